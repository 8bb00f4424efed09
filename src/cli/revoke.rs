//! `revoke`: what a running service shall take no more.

use std::io::Read as _;
use std::path::PathBuf;

use jiff::Timestamp;
use miette::{IntoDiagnostic as _, WrapErr as _};
use serde_json::Value;

use super::configured::ConfigFile;
use super::moment::moment;
use super::{Outcome, Output, Terminal};
use crate::exchange::printable;
use crate::identity::inspect::inspect;
use crate::identity::revocation::Kind;
use crate::identity::settings::Issuer;
use crate::revocation::ask::{Answer, AskError, Problem, Question, ask};

/// Revoke tokens at a running service, and at all that share its Redis, from the next request on
///
/// It asks the service through the Unix socket `revocation.socket`, which only the service's own user and root may use.
/// Each revocation is recorded in the audit. Without `--before`, what was issued until now is revoked, and as much later as
/// the issuer's clock may be ahead (`clock_skew`): who logs in again at once has to do so once more. None can be taken back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz revoke --user 7d5b2c1e-5a4f-4f6e-9d0a-2f1f6d2f7a10
  mcp-authz revoke --issuer keycloak --session PLYZicc1PH7OoyXklh_ajDIk
  mcp-authz revoke --issuer keycloak --client report-agent --before 2026-11-21T09:00:00Z
  mcp-authz revoke --issuer keycloak --all --before 2h
  mcp-authz revoke --token - < stolen-token --socket /run/mcp-authz/revoke.sock --output json

Exit codes: 0 revoked; 1 the service says no; 2 nobody answered, or the service could not keep it: try again")]
pub(super) struct Args {
    /// Whose tokens: the issuer's `name`. Default: the only one that the service has
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    #[command(flatten)]
    what: What,
    /// Only those that were issued before then: a time, a day, or how long ago (`90m`, `2d`)
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "token")]
    before: Option<Timestamp>,
    /// The service's socket. Default: `revocation.socket` of the configuration
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// One token, by its `jti`; `-`: the token itself is on standard input
    #[arg(long, value_name = "JTI", help_heading = "What", value_parser = named)]
    token: Option<String>,
    /// All tokens of a login session, by `sid`
    #[arg(long, value_name = "SID", help_heading = "What", value_parser = named)]
    session: Option<String>,
    /// All tokens of a user, by `sub`
    #[arg(long, value_name = "SUB", help_heading = "What", value_parser = named)]
    user: Option<String>,
    /// All tokens that a client was given, by its id (`azp` or `client_id`)
    #[arg(long, value_name = "ID", help_heading = "What", value_parser = named)]
    client: Option<String>,
    /// All tokens of the issuer
    #[arg(long, help_heading = "What")]
    all: bool,
}

fn named(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("an id is not empty; `--all` is for all tokens".to_owned());
    }
    Ok(text.to_owned())
}

/// Runs the command.
pub(super) async fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    let socket = match &args.socket {
        Some(path) => path.clone(),
        None => configured(&args.file, terminal)?,
    };
    let (kind, value) = args.what.read()?;
    let question = Question {
        issuer: args.issuer,
        kind,
        value,
        before: args.before,
    };
    match ask(&socket, &question).await {
        Ok(answer) => show(&answer, terminal).map(|()| Outcome::Yes),
        Err(AskError::Refused(problem)) if !problem.retry => refused(&problem, terminal),
        Err(error) => Err(miette::miette!(
            help = "nothing may be revoked yet: once the service answers, revoke again",
            "{error}"
        )),
    }
}

fn configured(file: &ConfigFile, terminal: Terminal) -> miette::Result<PathBuf> {
    file.load(terminal)?.revocation.socket.ok_or_else(|| {
        miette::miette!(
            help = "set `revocation.socket`, or name the service's socket by `--socket`",
            "the configuration has no socket to revoke through"
        )
    })
}

impl What {
    fn read(self) -> miette::Result<(Kind, String)> {
        match self {
            Self {
                token: Some(token), ..
            } if token == "-" => Ok((Kind::Token, token_id(std::io::stdin().lock())?)),
            Self { token: Some(id), .. } => Ok((Kind::Token, id)),
            Self {
                session: Some(id), ..
            } => Ok((Kind::Session, id)),
            Self { user: Some(id), .. } => Ok((Kind::Subject, id)),
            Self { client: Some(id), .. } => Ok((Kind::Client, id)),
            Self { .. } => Ok((Kind::Issuer, String::new())),
        }
    }
}

/// The `jti` of a token. Whether anybody signed it doesn't matter: what isn't taken is revoked without harm.
fn token_id(input: impl std::io::Read) -> miette::Result<String> {
    let mut text = String::new();
    let read = input.take(1 << 20).read_to_string(&mut text);
    read.into_diagnostic()
        .wrap_err("the token could not be read from standard input")?;
    // Also when a whole header was pasted.
    let token = text.split_whitespace().next_back().unwrap_or_default();
    let claims = inspect(token, &Issuer::new("any", ""), None, Timestamp::UNIX_EPOCH).claims;
    let claims = claims.ok_or_else(|| miette::miette!("standard input holds no JWT"))?;
    let id = claims
        .get("jti")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or_else(|| {
        miette::miette!(
            help = "revoke its `--session` or `--user`: `mcp-authz token inspect -` shows them",
            "the token has no `jti` by which it could be revoked"
        )
    })
}

fn show(answer: &Answer, terminal: Terminal) -> miette::Result<()> {
    if terminal.output() == Output::Json {
        return terminal.json(answer);
    }
    let mut table = terminal.table([
        "revoked",
        "id",
        "issuer",
        "issued until",
        "kept until",
        "at every replica",
    ]);
    table.add_row([
        answer.kind.name().to_owned(),
        printable::escape(&answer.value).into_owned(),
        answer.issuer.clone(),
        answer.issued_until.to_string(),
        answer.keep_until.to_string(),
        match answer.replicas_within_seconds {
            0 => "now".to_owned(),
            seconds => format!("in {seconds} s"),
        },
    ]);
    terminal.print(table)
}

/// A clear no.
fn refused(problem: &Problem, terminal: Terminal) -> miette::Result<Outcome> {
    match terminal.output() {
        Output::Json => terminal.json(problem)?,
        Output::Table => terminal.print(format!(
            "nothing is revoked: {}",
            printable::escape(&problem.error)
        ))?,
    }
    Ok(Outcome::No)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token(claims: &str) -> String {
        format!(
            "Authorization: Bearer {}.{}.AAAA\n",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
            URL_SAFE_NO_PAD.encode(claims)
        )
    }

    #[test]
    fn a_whole_token_is_revoked_by_its_id() {
        assert_eq!(token_id(token(r#"{"jti":"j1"}"#).as_bytes()).unwrap(), "j1");
        for (text, told) in [
            (token(r#"{"sub":"alice"}"#), "no `jti`"),
            (token(r#"{"jti":""}"#), "no `jti`"),
            ("opaque".to_owned(), "no JWT"),
            (String::new(), "no JWT"),
        ] {
            let refused = token_id(text.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }
}
