//! `check`: one decision, for scripts and for trying things out.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use miette::{IntoDiagnostic as _, WrapErr as _};
use serde_json::{Value, json};

use crate::app;
use crate::audit::Durability;
use crate::exchange::{Decider as _, Reply};

use super::configured::ConfigFile;
use super::{Outcome, Output, Terminal, serve};

mod request;

use request::Request;

/// How long the decision may take: there is no gateway that waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Decide about one request from a file, exactly as `serve` would; nothing is recorded
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The request is a JSON object:
  {
    \"method\": \"POST\", \"path\": \"/workbench/mcp\",
    \"headers\": { \"content-type\": \"application/json\", \"authorization\": \"Bearer …\" },
    \"body\": { \"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/list\" },
    \"context\": { \"server\": \"workbench\" },
    \"principal\": \"spiffe://mcp-identity.local/agent/trusted/1\",
    \"gateway\": \"envoy\"
  }
`body` may also be a text, byte for byte. `gateway` names one of `identity.gateways`.

Examples:
  mcp-authz check request.json
  jq .request trace.json | mcp-authz check - --output json")]
pub(super) struct Args {
    #[command(flatten)]
    file: ConfigFile,

    /// The request; `-` reads it from stdin
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
}

/// Decides.
pub(super) async fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    let mut config = args.file.load(terminal)?;
    let request = read(&args.request)?;
    // A question asked by hand is no call: it doesn't belong among those that were made.
    config.audit.file = Some("/dev/null".into());
    config.audit.durability = Durability::Queued;
    let exchange = request.exchange(&config, PATIENCE)?;
    let pipeline = app::pipeline(&config)
        .await
        .map_err(|error| serve::report(error, terminal))?;
    let reply = pipeline.answer(Box::new(exchange)).await;
    show(&reply, terminal)?;
    outcome(&reply)
}

/// Allowed or denied; a decision that couldn't be made is neither.
fn outcome(reply: &Reply) -> miette::Result<Outcome> {
    match reply {
        Reply::Forward(_) => Ok(Outcome::Yes),
        Reply::Answer(answer) if answer.status == 503 => Err(miette::miette!(
            help = "the reason above says which; ask again when it is up",
            "a part that the decision needs is down"
        )),
        Reply::Answer(_) => Ok(Outcome::No),
    }
}

fn read(path: &PathBuf) -> miette::Result<Request> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).into_diagnostic()?;
    } else {
        text = std::fs::read_to_string(path)
            .into_diagnostic()
            .wrap_err_with(|| format!("`{}`", path.display()))?;
    }
    serde_json::from_str(&text)
        .into_diagnostic()
        .wrap_err_with(|| format!("`{}` is no request: see `mcp-authz check --help`", path.display()))
}

fn show(reply: &Reply, terminal: Terminal) -> miette::Result<()> {
    let (metadata, answer): (serde_json::Map<_, _>, _) = match reply {
        Reply::Forward(forward) => {
            let headers = forward
                .set
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)));
            let metadata = forward.metadata.iter();
            let metadata = metadata.map(|(name, text)| ((*name).to_owned(), json!(text)));
            (
                metadata.collect(),
                json!({ "headers": headers.collect::<serde_json::Map<_, _>>() }),
            )
        }
        Reply::Answer(answer) => {
            let body = serde_json::from_str(&answer.body).unwrap_or_else(|_| json!(answer.body));
            let headers = answer
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)));
            let headers: serde_json::Map<_, _> = headers.collect();
            (
                answer.metadata.clone(),
                json!({ "status": answer.status, "headers": headers, "body": body }),
            )
        }
    };
    if terminal.output() == Output::Json {
        return terminal.json(&json!({ "decision": metadata, "answer": answer }));
    }
    let mut table = terminal.table(["", ""]);
    for (name, value) in &metadata {
        table.add_row([name.clone(), value.as_str().unwrap_or_default().to_owned()]);
    }
    for name in ["status", "body"] {
        if let Some(value) = answer.get(name) {
            table.add_row([name.to_owned(), shown(value)]);
        }
    }
    terminal.print(table)
}

fn shown(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Answer, Forward};

    #[test]
    fn only_a_decision_that_was_made_is_a_yes_or_a_no() {
        let answer = |status| {
            outcome(&Reply::Answer(Answer {
                status,
                headers: Vec::new(),
                body: String::new(),
                metadata: serde_json::Map::new(),
            }))
        };
        assert_eq!(
            outcome(&Reply::Forward(Forward::default())).unwrap(),
            Outcome::Yes
        );
        for denied in [200, 400, 401, 403, 404, 413] {
            assert_eq!(answer(denied).unwrap(), Outcome::No, "{denied}");
        }
        assert!(answer(503).is_err());
    }
}
