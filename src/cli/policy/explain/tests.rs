use std::io::Write as _;
use std::path::Path;

use clap::Parser;
use serde_json::json;

use super::super::testing::{directory, plain};
use super::*;
use crate::cli::Color;

const POLICIES: &str = "\
@id(\"viewers\")
@reason(\"Viewers may read a few rows\")
permit (principal in Role::\"mcp-viewer\", action == Action::\"workbench/db_read\", resource)
when { context.arguments has limit && context.arguments.limit <= 5 };

@id(\"strong-viewers\")
permit (principal in Role::\"mcp-viewer\", action == Action::\"workbench/db_read\", resource)
when {
  principal has acr && principal.acr == \"high\" &&
  [\"select 1\", \"select 2\"].contains(context.arguments.sql)
};

@id(\"admins\")
permit (principal in Role::\"mcp-admin\", action in Action::\"tools/call\", resource);

@id(\"trusted\")
@reason(\"Trusted agents may call every tool\")
permit (principal in TrustTier::\"trusted\", action in Action::\"tools/call\", resource);

@id(\"few-rows\")
@reason(\"Nobody reads more than 100 rows\")
forbid (principal is User, action == Action::\"workbench/db_read\", resource)
when { context.arguments has limit && context.arguments.limit > 100 };

@id(\"never\") @shadow
forbid (principal is Workload, action, resource);
";
const TESTS: &str = "\
users: { ada: { roles: [mcp-viewer] }, grace: { roles: [mcp-admin] } }
workloads: { build: spiffe://mcp-identity.local/agent/trusted/build }
cases:
  - { server: workbench, user: ada, workload: build, tool: db_read, arguments: { sql: select 3, limit: 8 }, expect: deny }
  - { server: workbench, user: grace, workload: build, tool: db_read, arguments: { sql: select 3, limit: 101 }, expect: deny }
  - { name: the right way, server: workbench, user: ada, workload: build, tool: db_read, arguments: { sql: select 3, limit: 5 }, expect: allow }
  - { name: a misspelling, server: workbench, user: ada, workload: build, tool: db_raed, expect: deny }
";

fn small() -> tempfile::TempDir {
    directory(&[("own.cedar", POLICIES), ("tests/own.yaml", TESTS)])
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    config: ConfigFile,
}

/// What the command line means in a directory.
fn command(place: &Path, words: &[&str]) -> Command {
    let start = ["explain", place.to_str().unwrap()];
    Command::parse_from(start.iter().chain(words))
}

fn explained(place: &Path, words: &[&str]) -> (PolicySet, Vec<Explained>, Unexplained) {
    let Command { args, config } = command(place, words);
    let files = Files::read(place).unwrap();
    let set = PolicySet::load_untested(&files, &[]).unwrap();
    let (explained, unexplained) = args.explained(&set, &files, &config, &[], plain()).unwrap();
    (set, explained, unexplained)
}

fn shown(place: &Path, words: &[&str]) -> String {
    let (set, explained, _) = explained(place, words);
    let texts = explained.iter().map(|one| shown::text(one, &set, plain()));
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_person_sees_who_decided_what_and_what_nearly_did() {
    insta::assert_snapshot!(shown(small().path(), &["--test", "tests/own.yaml"]));
}

#[test]
fn a_script_gets_each_condition_with_the_values_met_and_needed() {
    let (_, explained, unexplained) = explained(small().path(), &["--test", "own.yaml:4"]);
    let said = to_json(&explained, &unexplained);
    insta::assert_snapshot!(serde_json::to_string_pretty(&said).unwrap());
}

const DESCRIBED: &[&str] = &[
    "--role",
    "mcp-viewer",
    "--workload",
    "spiffe://mcp-identity.local/agent/trusted/1",
    "--tool",
    "db_read",
    "--server",
    "workbench",
];

#[test]
fn a_call_can_be_described_instead() {
    let place = small();
    let with = |more: &[&str]| shown(place.path(), &[DESCRIBED, more].concat());
    let denied = with(&["--arguments", r#"{"sql": "select 1", "limit": 8}"#]);
    assert!(denied.contains("limit is 8, at most 5 is allowed"), "{denied}");
    assert!(denied.contains("acr is missing, \"high\" is needed"), "{denied}");
    let stronger = with(&[
        "--arguments",
        r#"{"sql": "select 1", "limit": 8}"#,
        "--acr",
        "high",
    ]);
    assert!(
        stronger.starts_with(
            "user through spiffe://mcp-identity.local/agent/trusted/1 calls workbench/db_read: allowed"
        ),
        "{stronger}"
    );
    let misfit = with(&[]);
    assert!(misfit.contains("denied (arguments_dont_fit)"), "{misfit}");
}

#[test]
fn yes_no_and_could_not_tell_are_told_apart() {
    let place = small();
    let said = |words: &[&str]| {
        let Command { args, config } = command(place.path(), words);
        for output in [Output::Table, Output::Json] {
            let terminal = Terminal::new(output, Color::Never);
            let outcome = run(&args, &config, &[], terminal);
            if output == Output::Json {
                return outcome.map_err(|error| error.to_string());
            }
        }
        unreachable!()
    };
    assert_eq!(said(&["--test", "the right way"]), Ok(Outcome::Yes));
    assert_eq!(said(&["--test", "a misspelling"]), Ok(Outcome::No));
    assert_eq!(said(&["--test", "own.yaml"]), Ok(Outcome::No));
    assert_eq!(
        said(&["--test", "nothing"]),
        Err("no test has `nothing` in it".to_owned())
    );
    assert_eq!(said(&[]), Err("which call is to be explained?".to_owned()));
    let broken = [DESCRIBED, &["--arguments", "["]].concat();
    assert!(said(&broken).unwrap_err().starts_with("`--arguments` is no JSON"));
    assert!(said(&["--audit", "/nowhere"]).is_err());
}

fn recorded(decision: &str, arguments: &serde_json::Value) -> String {
    let mut line = json!({
        "time": "2026-11-21T09:00:00.000000Z", "decision_id": decision, "outcome": "denied", "reason": "no_permit",
        "server": "workbench", "method": "tools/call", "target": "db_read",
        "user": { "issuer": "https://i", "subject": "u-1", "username": "alice",
                  "claims": { "roles": ["mcp-viewer"], "groups": [], "tenants": [], "scopes": [] } },
        "workload": "spiffe://mcp-identity.local/agent/trusted/1",
        "policies": [{ "id": "trusted", "principal": "workload", "effect": "permit" }],
        "policy_version": "0".repeat(64),
        "durations_us": { "total": 1 }, "gateway": "g", "seq": 1,
    });
    line.as_object_mut()
        .unwrap()
        .extend(arguments.as_object().unwrap().clone());
    line.to_string()
}

#[test]
fn a_line_of_the_audit_is_explained_as_far_as_it_goes() {
    let place = small();
    let file = place.path().join("audit.jsonl");
    let whole = json!({ "arguments": { "sql": "select 3", "limit": 8 }, "arguments_as": "all" });
    let names = json!({ "arguments": { "sql": "string", "limit": "number" }, "arguments_as": "names" });
    let mut written = std::fs::File::create(&file).unwrap();
    for line in [recorded("d-1", &whole), recorded("d-2", &names)] {
        writeln!(written, "{line}").unwrap();
    }
    let file = file.to_str().unwrap();
    let said = shown(place.path(), &["--audit", file, "--decision", "d-1"]);
    assert!(
        said.contains("recorded at 2026-11-21T09:00:00Z: denied (no_permit), by other policies"),
        "{said}"
    );
    assert!(said.contains("limit is 8, at most 5 is allowed"), "{said}");
    // The shadow policy may read what isn't in the record.
    assert!(!said.contains("never"), "{said}");
    let (_, found, unexplained) = explained(place.path(), &["--audit", file]);
    assert_eq!(found.len(), 1);
    assert_eq!(unexplained.len(), 1);
    assert_eq!(unexplained[0].0, "d-2");
    let Command { args, config } = command(place.path(), &["--audit", file]);
    let error = run(&args, &config, &[], plain()).unwrap_err().to_string();
    assert_eq!(
        error,
        "`d-2` can't be explained: the record doesn't hold the value of an argument that policies read"
    );
    let missing = command(place.path(), &["--audit", file, "--decision", "d-9"]);
    let error = run(&missing.args, &missing.config, &[], plain()).unwrap_err();
    assert_eq!(error.to_string(), "no decision `d-9` in the audit");
}
