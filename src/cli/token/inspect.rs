//! `token inspect`: what a token says, and why it would be refused.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use comfy_table::Cell;
use jiff::Timestamp;
use miette::{IntoDiagnostic as _, WrapErr as _};
use serde_json::{Map, Value, json};

use crate::cli::{Outcome, Output, Terminal};
use crate::clock;
use crate::identity::inspect::{Inspection, inspect};
use crate::identity::settings::{self, Keys};
use crate::identity::{IdentityError, Verifier};
use crate::state::Memory;

/// Show what a token says, and every reason for which it would be refused; never its signature
///
/// The token comes from the argument, or from standard input, which leaves no trace in the shell's history. With the
/// issuer's keys its signature is verified too. The settings of the issuer are the defaults.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz token mint --user alice | mcp-authz token inspect
  mcp-authz token inspect --audience https://mcp.example/info/mcp < token.txt
  mcp-authz token inspect --issuer https://id.example/realms/mcp --discover < token.txt")]
pub(super) struct Args {
    /// The token, or `-` to read it from standard input
    #[arg(default_value = "-", hide_default_value = true)]
    token: String,
    /// The resource of the server that it is meant for: `aud` must be it
    #[arg(long, alias = "aud", value_name = "URL")]
    audience: Option<String>,
    /// The issuer that it should be from; without it the one that it names
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The issuer's keys, as a JWK set in a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwks_url", "discover"])]
    jwks: Option<PathBuf>,
    /// The issuer's keys, at this URL
    #[arg(long, value_name = "URL", conflicts_with = "discover")]
    jwks_url: Option<String>,
    /// The issuer's keys, where the discovery of `--issuer` says
    #[arg(long, requires = "issuer")]
    discover: bool,
}

pub(super) async fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    let token = read_token(&args.token)?;
    let token = bare(&token);
    let now = clock::now();
    let settings = args.settings(token);
    let inspection = inspect(token, &settings, args.audience.as_deref(), now);
    let signature = args.signature(token, settings).await?;
    let report = Report::new(inspection, signature, now);
    match terminal.output() {
        Output::Json => terminal.json(&report.to_json())?,
        Output::Table => report.print(terminal)?,
    }
    Ok(Outcome::from(report.refusals.is_empty()))
}

impl Args {
    fn settings(&self, token: &str) -> settings::Issuer {
        let named = || {
            let says = inspect(
                token,
                &settings::Issuer::new("inspected", ""),
                None,
                Timestamp::UNIX_EPOCH,
            );
            Some(says.claims?.get("iss")?.as_str()?.to_owned())
        };
        let iss = self.issuer.clone().or_else(named).unwrap_or_default();
        let mut settings = settings::Issuer::new("inspected", &iss);
        settings.algorithms = [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
        ]
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
        settings
    }

    /// Whether the signature verifies; `None` where no keys are given.
    async fn signature(
        &self,
        token: &str,
        mut settings: settings::Issuer,
    ) -> miette::Result<Option<Result<(), IdentityError>>> {
        settings.keys = match (&self.jwks, &self.jwks_url, self.discover) {
            (Some(file), _, _) => Keys::File(file.clone()),
            (None, Some(url), _) => Keys::JwksUrl(url.clone()),
            (None, None, true) => Keys::Discovery,
            (None, None, false) => return Ok(None),
        };
        let all = crate::identity::Settings {
            issuers: vec![settings],
            ..Default::default()
        };
        let verifier = Verifier::start(all, Arc::new(Memory::default()))
            .await
            .into_diagnostic()?;
        let signature = verifier.verify_signature(token, clock::instant()).await;
        if signature.is_err_and(|reason| reason.is_outage()) {
            miette::bail!("the issuer's keys could not be fetched");
        }
        Ok(Some(signature))
    }
}

fn read_token(argument: &str) -> miette::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(1 << 20).read_to_string(&mut text);
    read.into_diagnostic()
        .wrap_err("the token could not be read from standard input")?;
    Ok(text)
}

/// The token alone, also when a whole header was pasted.
fn bare(text: &str) -> &str {
    let text = text.trim();
    text.rsplit_once(char::is_whitespace)
        .map_or(text, |(_, token)| token)
}

struct Report {
    header: Option<Map<String, Value>>,
    claims: Option<Map<String, Value>>,
    refusals: Vec<IdentityError>,
    signature: &'static str,
    now: Timestamp,
}

impl Report {
    fn new(inspection: Inspection, signature: Option<Result<(), IdentityError>>, now: Timestamp) -> Self {
        let Inspection {
            header,
            claims,
            mut refusals,
        } = inspection;
        let verdict = match signature {
            None => "not checked: give the issuer's keys with --jwks, --jwks-url or --discover",
            Some(Ok(())) => "valid",
            Some(Err(IdentityError::SignatureInvalid)) => "not valid",
            Some(Err(_)) => "can't be checked",
        };
        refusals.extend(
            signature
                .and_then(Result::err)
                .filter(|reason| !refusals.contains(reason)),
        );
        Self {
            header,
            claims,
            refusals,
            signature: verdict,
            now,
        }
    }

    fn to_json(&self) -> Value {
        let refusals = self
            .refusals
            .iter()
            .map(|reason| json!({ "code": reason.code(), "reason": reason.to_string() }));
        json!({
            "header": self.header,
            "claims": self.claims,
            "signature": self.signature,
            "refused_for": refusals.collect::<Vec<_>>(),
        })
    }

    fn print(&self, terminal: Terminal) -> miette::Result<()> {
        let mut table = terminal.table(["part", "name", "value"]);
        let parts = [("header", &self.header), ("claim", &self.claims)];
        for (part, members) in parts {
            for (name, value) in members.iter().flat_map(|members| members.iter()) {
                table.add_row([
                    Cell::new(part),
                    Cell::new(printable(name)),
                    Cell::new(self.shown(name, value)),
                ]);
            }
        }
        terminal.print(table)?;
        terminal.print(format!("signature: {}", self.signature))?;
        for reason in &self.refusals {
            terminal.print(format!("refused: {} ({reason})", reason.code()))?;
        }
        if self.refusals.is_empty() {
            terminal.print("nothing speaks against it")?;
        }
        Ok(())
    }

    /// A value as people read it: times with their distance from now.
    fn shown(&self, name: &str, value: &Value) -> String {
        let time = ["exp", "iat", "nbf", "auth_time"]
            .contains(&name)
            .then(|| value.as_i64())
            .flatten();
        let Some(time) = time.and_then(|seconds| Timestamp::from_second(seconds).ok()) else {
            return printable(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        };
        let distance = time.as_second().saturating_sub(self.now.as_second());
        let minutes = distance.unsigned_abs() / 60;
        let side = if distance < 0 { "ago" } else { "from now" };
        format!("{time} ({minutes} min {side})")
    }
}

/// A token is a stranger's text: nothing in it may steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::{DevIssuer, Mint, TokenKind};

    fn args(issuer: &DevIssuer, directory: &std::path::Path) -> Args {
        Args {
            token: String::new(),
            audience: Some("https://mcp.example/mcp".to_owned()),
            issuer: Some(issuer.issuer().to_owned()),
            jwks: Some(directory.join("jwks.json")),
            jwks_url: None,
            discover: false,
        }
    }

    async fn report(args: &Args, token: &str) -> Report {
        let settings = args.settings(token);
        let inspection = inspect(token, &settings, args.audience.as_deref(), clock::now());
        Report::new(
            inspection,
            args.signature(token, settings).await.unwrap(),
            clock::now(),
        )
    }

    #[tokio::test]
    async fn names_every_reason_and_never_the_signature() {
        use IdentityError::{Expired, KidUnknown, SignatureInvalid, WrongAudience, WrongType};
        let directory = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::create(directory.path(), "http://127.0.0.1:8099/realms/demo").unwrap();
        let args = args(&issuer, directory.path());
        let good = Mint {
            user: "alice".to_owned(),
            audiences: vec!["https://mcp.example/mcp".to_owned()],
            lifetime_seconds: 300,
            ..Mint::default()
        };
        let elsewhere = vec!["https://other.example".to_owned()];
        let cases = [
            (good.clone(), vec![]),
            (
                Mint {
                    lifetime_seconds: -60,
                    ..good.clone()
                },
                vec![Expired],
            ),
            (
                Mint {
                    lifetime_seconds: -60,
                    audiences: elsewhere,
                    ..good.clone()
                },
                vec![Expired, WrongAudience],
            ),
            (
                Mint {
                    kind: TokenKind::Refresh,
                    ..good.clone()
                },
                vec![WrongType],
            ),
            (
                Mint {
                    kid: Some("other".to_owned()),
                    ..good.clone()
                },
                vec![KidUnknown],
            ),
        ];
        for (mint, refusals) in cases {
            let token = issuer.mint(&mint, clock::now()).unwrap();
            let report = report(&args, &token).await;
            assert_eq!(report.refusals, refusals, "{mint:?}");
            let signature = token.rsplit('.').next().unwrap();
            assert!(!report.to_json().to_string().contains(signature));
        }
        let token = issuer.mint(&good, clock::now()).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{signed}.{other}{}", &signature[1..]);
        let report = report(&args, &forged).await;
        assert_eq!(
            (report.refusals, report.signature),
            (vec![SignatureInvalid], "not valid")
        );
    }

    #[test]
    fn takes_a_pasted_header_and_defuses_control_characters() {
        assert_eq!(bare("Authorization: Bearer a.b.c\n"), "a.b.c");
        assert_eq!(bare(" a.b.c "), "a.b.c");
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
