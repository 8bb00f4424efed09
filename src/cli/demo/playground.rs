//! What a person needs for calls of their own: tokens, certificates, a client, and lines to copy.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::dev::client;
use crate::dev::demo::cast::{
    ADA, ASSISTANT, Agent, CARL, CRAWLER, DAN, HELPER, NEWCOMER, PIA, Scene, Token, VERA,
};
use crate::dev::demo::{self, DemoError, Expected};
use crate::dev::pki;
use crate::dev::stack::{SERVERS, Stack, StackError};

use super::DemoArgs;

/// A policy to try an edit with: no test of the default policies reads that file.
const QUIET: &str = "\
// Nobody reads the greeting.

@id(\"quiet\")
@reason(\"The workbench doesn't talk today\")
forbid (principal is User, action == Action::\"workbench/fs_read\", resource)
when { context.arguments.path == \"/srv/work/hello.txt\" };
";

const CLIENT: &str = include_str!("../../../compose/mcp-server/client.py");

/// Writes everything beside the configuration of the demo.
pub(super) fn write(stack: &Stack) -> Result<(), DemoError> {
    let directory = &stack.directory;
    let (tokens, agents) = (directory.join("tokens"), directory.join("pki/agents"));
    for path in [&tokens, &agents] {
        fs::create_dir_all(path).map_err(|source| StackError::File {
            path: path.clone(),
            source,
        })?;
    }
    for user in [&ADA, &DAN, &VERA, &PIA, &CARL] {
        for server in SERVERS {
            let scene = Scene {
                user,
                token: Token::Valid,
                agent: &ASSISTANT,
                server,
                tool: "",
                arguments: "{}",
                expected: Expected::Allowed,
            };
            if let Some(token) = demo::token(stack, &scene)? {
                secret(&tokens.join(format!("{}.{server}", user.name)), &token)?;
            }
        }
    }
    for agent in [&ASSISTANT, &HELPER, &CRAWLER, &NEWCOMER] {
        if let Agent::Workload { spiffe_id, .. } = agent {
            let identity = stack.authority.workload(spiffe_id).map_err(StackError::from)?;
            identity.write(&agents, agent.name()).map_err(StackError::from)?;
        }
    }
    secret(&directory.join("client.py"), CLIENT)?;
    secret(&directory.join("quiet.cedar"), QUIET)?;
    secret(&directory.join("gateway.url"), &gateway(stack))?;
    for (tool, arguments) in [
        ("fs_read", json!({ "path": "/srv/work/hello.txt" })),
        (
            "db_admin",
            json!({ "table": "orders", "privilege": "select", "grantee": "reports" }),
        ),
    ] {
        let call = client::single_call(1, tool, &arguments);
        secret(&directory.join(format!("{tool}.json")), &call.to_string())?;
    }
    secret(&directory.join("curl.conf"), &curl(stack))
}

/// How to go on from here.
pub(super) fn hints(stack: &Stack, args: &DemoArgs) -> String {
    let (directory, tools) = (args.directory.display(), args.tools.display());
    let gateway = gateway(stack);
    let policies = args.policies.display();
    format!(
        "
Your turn: the gateway listens on {gateway}

  With an MCP client: ada, dan, vera, pia or carl, through assistant, helper, crawler or newcomer
    {tools}/venv/bin/python {directory}/client.py --as dan --through helper workbench fs_list '{{\"path\": \"/srv/work\"}}'
    {tools}/venv/bin/python {directory}/client.py --as dan --through helper workbench shell_list

  With curl, as dan through assistant
    curl -K {directory}/curl.conf -H 'mcp-name: fs_read' -d @{directory}/fs_read.json
    curl -K {directory}/curl.conf -H 'mcp-name: db_admin' -d @{directory}/db_admin.json

  Edit the policies in {policies}/ and call again: the next answer follows. For instance
    cp {directory}/quiet.cedar {policies}/quiet.cedar     # and fs_read of hello.txt is denied; rm it, and it isn't
  An edit that doesn't pass the directory's own tests ({policies}/tests/) doesn't rule; you are told here.

  Each decision, a line of JSON: {directory}/audit.jsonl    Logs: {directory}/*.log

Ctrl-C ends it. What happens:",
    )
}

fn gateway(stack: &Stack) -> String {
    format!("https://localhost:{}", stack.ports.listener)
}

fn curl(stack: &Stack) -> String {
    let directory = stack.directory.display();
    let token = fs::read_to_string(stack.directory.join("tokens/dan.workbench")).unwrap_or_default();
    let headers = client::SINGLE_CALL.map(|(name, value)| format!("header = \"{name}: {value}\"\n"));
    let headers = headers.concat();
    format!(
        "silent
show-error
cacert = \"{directory}/pki/ca.pem\"
cert = \"{directory}/pki/agents/assistant.pem\"
key = \"{directory}/pki/agents/assistant-key.pem\"
header = \"authorization: Bearer {token}\"
{headers}write-out = \"\\n\"
url = \"{}\"
",
        stack.url("workbench")
    )
}

fn secret(path: &Path, text: &str) -> Result<(), DemoError> {
    Ok(pki::write(path, text, 0o600).map_err(StackError::from)?)
}
