//! Official client SDKs of other languages, each with a certificate of its own.

use std::io::Write as _;
use std::process::{Command, Stdio};

use mcp_authz::dev::stack::{self, Stack};
use serde_json::{Value, json};

use super::caller::TRUSTED;
use super::repository;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Sdk {
    Node,
    Python,
    /// The Python SDK without sessions, as of 2026-07-28.
    PythonModern,
}

pub(crate) const ALL: [Sdk; 3] = [Sdk::Node, Sdk::Python, Sdk::PythonModern];

/// What comes of a call: `{tools, result, progress, error}`. `credential` is laid over the wish: `{token}`, `{login}`, or nothing.
pub(crate) fn call(
    stack: &Stack,
    sdk: Sdk,
    server: &str,
    credential: &Value,
    tool: &str,
    arguments: &Value,
) -> Value {
    let pki = stack.directory.join("pki");
    // Tests run at the same time, and a file is written once.
    let agent = format!("sdk-{}", uuid::Uuid::now_v7());
    stack
        .authority
        .workload(TRUSTED)
        .unwrap()
        .write(&pki, &agent)
        .unwrap();
    let mut wish = json!({
        "url": stack.url(server), "pki": pki, "agent": agent, "tool": tool, "arguments": arguments,
        "mode": if matches!(sdk, Sdk::PythonModern) { "2026-07-28" } else { "legacy" },
    });
    stack::overlay(&mut wish, credential);
    let mut command = match sdk {
        Sdk::Node => Command::new("node"),
        Sdk::Python | Sdk::PythonModern => Command::new(repository().join(".tools/venv/bin/python")),
    };
    command.arg(repository().join(match sdk {
        Sdk::Node => "tests/clients/node/call.mjs",
        Sdk::Python | Sdk::PythonModern => "tests/clients/python/call.py",
    }));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(wish.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{sdk:?}: {error}: {errors}"))
}
