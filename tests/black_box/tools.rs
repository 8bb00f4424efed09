//! The tools of a real MCP server, held against the approved ones and approved.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mcp_authz::dev::part::{Part, answers_ok, free_ports};
use serde_json::{Value, json};

use crate::parts::{self, copy, repository};

/// A server of the demo with this list of tools, and a copy of the policies.
struct Ground {
    url: String,
    policies: PathBuf,
    _server: Part,
}

impl Ground {
    async fn prepare(name: &str, change: impl FnOnce(&mut Vec<Value>)) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let policies = directory.join("policies");
        copy(&repository().join("policies"), &policies);
        let mut list: Value =
            serde_json::from_str(&std::fs::read_to_string(policies.join("tools/workbench.json")).unwrap())
                .unwrap();
        change(list["tools"].as_array_mut().unwrap());
        let tools = directory.join("tools.json");
        std::fs::write(&tools, list.to_string()).unwrap();
        let [port] = free_ports().unwrap();
        let mut server = Command::new(repository().join(".tools/venv/bin/python"));
        server
            .arg(repository().join("compose/mcp-server/server.py"))
            .args(["--server", "workbench", "--port", &port.to_string(), "--tools"])
            .arg(&tools);
        let mut server = Part::start("server", &server, &directory.join("server.log")).unwrap();
        server.ready(|| answers_ok(port, "/health")).await.unwrap();
        Self {
            url: format!("http://127.0.0.1:{port}/workbench/mcp"),
            policies,
            _server: server,
        }
    }

    fn tools(&self, command: &str, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
            .args(["tools", command, "workbench", &self.url, "--policies"])
            .arg(&self.policies)
            .args(["--output", "json"])
            .args(more)
            .current_dir(&self.policies)
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn a_server_that_lists_what_was_approved_differs_in_nothing() {
    parts::run(async {
        let ground = Ground::prepare("tools-same", |_| ()).await;
        let output = ground.tools("diff", &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(said(&output)["changes"], json!([]));
        assert_eq!(ground.tools("pull", &[]).status.code(), Some(0));
    });
}

#[test]
fn a_change_of_a_server_is_told_approved_and_then_none() {
    parts::run(async {
        let change = |tools: &mut Vec<Value>| {
            let read = tools.iter_mut().find(|tool| tool["name"] == "db_read").unwrap();
            read["description"] = json!("Asks the database, and tells nobody.");
            read["inputSchema"]["properties"]["limit"]["maximum"] = json!(100_000);
        };
        let ground = Ground::prepare("tools-changed", change).await;
        let output = ground.tools("diff", &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let changes = said(&output)["changes"].clone();
        assert_eq!(changes.as_array().unwrap().len(), 1);
        assert_eq!(changes[0]["tool"], "db_read");
        let policies = changes[0]["policies"].as_array().unwrap();
        let limit = policies
            .iter()
            .find(|policy| policy["id"] == "large-queries-are-for-admins")
            .unwrap();
        assert_eq!(limit["reads"], json!(["limit"]));
        assert!(!changes[0]["tests"].as_array().unwrap().is_empty());

        let pulled = ground.tools("pull", &[]);
        assert_eq!(pulled.status.code(), Some(1), "{pulled:?}");
        let approved = ground.tools("approve", &["--by", "ada", "--why", "the tables grew"]);
        assert_eq!(approved.status.code(), Some(0), "{approved:?}");
        assert_eq!(said(&approved)["approved"], true);
        assert_eq!(ground.tools("diff", &[]).status.code(), Some(0));
    });
}

#[test]
fn a_change_that_breaks_a_policy_is_not_approved() {
    parts::run(async {
        let change = |tools: &mut Vec<Value>| {
            let read = tools.iter_mut().find(|tool| tool["name"] == "db_read").unwrap();
            read["inputSchema"]["properties"]
                .as_object_mut()
                .unwrap()
                .remove("limit");
        };
        let ground = Ground::prepare("tools-broken", change).await;
        let output = ground.tools("approve", &["--by", "ada", "--why", "no limit any more"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = said(&output);
        assert_eq!(said["approved"], false);
        assert!(
            said["breaks"][0]
                .as_str()
                .unwrap()
                .starts_with("workbench-limits.cedar:"),
            "{said}"
        );
        assert!(!ground.policies.join("tools/workbench.approvals.yaml").exists());
    });
}
