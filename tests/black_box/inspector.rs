//! The command line of the MCP Inspector: what a person sees who tries a server through the gateway.

use std::path::Path;
use std::process::Output;

use mcp_authz::dev::stack::Stack;
use serde_json::{Value, json};

use crate::parts::caller::{Caller, TRUSTED};
use crate::parts::{node, with_stack};

/// Runs it, in the era of sessions (`legacy`) or without (`modern`).
fn inspector(stack: &Stack, server: &str, token: Option<&str>, era: &str, what: &[&str]) -> Output {
    let pki = stack.directory.join("pki");
    let agent = stack.authority.workload(TRUSTED).unwrap();
    agent.write(&pki, "inspector").unwrap();
    let mut command = node::tool("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    node::show_certificate(&mut command, &pki, "inspector");
    // It keeps what it knows of servers in the home directory.
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inspector");
    std::fs::create_dir_all(&home).unwrap();
    command.env("HOME", home);
    command.args(["--cli", "--server-url", &stack.url(server), "--protocol-era", era]);
    command.args([
        "--connect-timeout",
        "60000",
        "--stored-auth-only",
        "--format",
        "json",
        "--quiet",
    ]);
    if let Some(token) = token {
        command
            .arg("--header")
            .arg(format!("Authorization: Bearer {token}"));
    }
    command.args(what).output().unwrap()
}

/// What came of it: the exit code, and the one object that was printed, on either stream.
fn outcome(output: &Output) -> (i32, Value) {
    let printed = if output.stdout.is_empty() {
        &output.stderr
    } else {
        &output.stdout
    };
    let printed = serde_json::from_slice(printed).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), printed)
}

fn call<'a>(tool: &'a str, arguments: &'a str) -> [&'a str; 6] {
    [
        "--method",
        "tools/call",
        "--tool-name",
        tool,
        "--tool-args-json",
        arguments,
    ]
}

const ERAS: [&str; 2] = ["legacy", "modern"];

#[test]
fn lists_and_calls_what_is_permitted() {
    with_stack(async |stack| {
        let token = Caller::developer(stack).token;
        let run = |era, what: &[&str]| outcome(&inspector(stack, "workbench", token.as_deref(), era, what));
        for era in ERAS {
            let (code, printed) = run(era, &["--method", "tools/list"]);
            assert_eq!(code, 0, "{era}: {printed}");
            assert_eq!(
                printed["result"]["tools"].as_array().map(Vec::len),
                Some(25),
                "{era}"
            );
            let (code, printed) = run(era, &call("fs_read", r#"{"path":"/srv/work/hello.txt"}"#));
            assert_eq!(code, 0, "{era}: {printed}");
            let result = &printed["result"];
            assert_eq!(
                result["structuredContent"]["text"], "Hello from the workbench.\n",
                "{era}"
            );
            let seen = &result["_meta"][mcp_authz::dev::client::SEEN];
            assert_eq!(seen["x-mcp-workload"], json!([TRUSTED]), "{era}");
        }
    });
}

/// It takes the code 403 for an HTTP status and sorts the denial under authentication; the words are ours.
#[test]
fn shows_why_a_call_is_denied() {
    with_stack(async |stack| {
        let token = Caller::developer(stack).token;
        let run = |era, what: &[&str]| outcome(&inspector(stack, "workbench", token.as_deref(), era, what));
        for era in ERAS {
            let grant = r#"{"table":"orders","privilege":"select","grantee":"x"}"#;
            let (code, printed) = run(era, &call("db_admin", grant));
            assert_eq!(
                (code, &printed["error"]["message"]),
                (3, &json!("No policy permits this")),
                "{era}"
            );
            assert_eq!(printed["error"]["status"], 403, "{era}: {printed}");
            let (code, printed) = run(era, &call("api_execute", r#"{"job":"report","replicas":"ten"}"#));
            let words = "argument `/replicas`: expected an integer";
            assert_eq!((code, &printed["error"]["message"]), (1, &json!(words)), "{era}");
        }
    });
}

#[test]
fn says_that_a_login_is_needed_where_there_is_no_token() {
    with_stack(async |stack| {
        for era in ERAS {
            let (code, printed) = outcome(&inspector(stack, "info", None, era, &["--method", "tools/list"]));
            assert_eq!(
                (code, &printed["error"]["code"]),
                (3, &json!("auth_required")),
                "{era}: {printed}"
            );
        }
    });
}
