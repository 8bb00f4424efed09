//! The demo itself, as a script would run it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mcp_authz::dev::agents::AGENTS;
use mcp_authz::dev::part::free_ports;
use serde_json::Value;

use crate::parts::repository;

#[test]
fn every_scene_comes_as_the_default_policies_have_it() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
    let [port] = free_ports().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .args(["demo", "--once", "--output", "json", "--port", &port.to_string()])
        .arg("--directory")
        .arg(directory)
        .current_dir(repository())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows.len() >= 20, "{rows:?}");
    for row in &rows {
        assert_eq!(row["as_expected"], true, "{row}");
    }
    // Every decision has an id of its own.
    let mut ids: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["decision_id"].as_str())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn an_answer_that_is_not_the_expected_one_is_a_clear_no() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-closed");
    let policies = directory.join("policies");
    let _ = std::fs::remove_dir_all(&directory);
    crate::parts::copy(&repository().join("policies"), &policies);
    // Closed altogether; its own tests would not let that rule.
    std::fs::remove_dir_all(policies.join("tests")).unwrap();
    let closed = "@id(\"closed\")\n@reason(\"Closed\")\nforbid (principal, action, resource);\n";
    std::fs::write(policies.join("closed.cedar"), closed).unwrap();
    let [port] = free_ports().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .args(["demo", "--once", "--port", &port.to_string(), "--directory"])
        .arg(directory.join("demo"))
        .arg("--policies")
        .arg(&policies)
        .current_dir(repository())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("answers are not as expected"), "{printed}");
}

/// The files below a directory, but for these.
fn files(directory: &Path, without: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            files(&path, without)
        } else {
            vec![path]
        }
    };
    paths
        .filter(|path| !path.ends_with(without))
        .flat_map(below)
        .collect()
}

#[test]
fn ten_agents_log_in_call_and_go_and_leave_no_credential_behind() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-agents");
    let _ = std::fs::remove_dir_all(&directory);
    let [port] = free_ports().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .args(["demo", "--keycloak", "--port", &port.to_string(), "--directory"])
        .arg(&directory)
        .current_dir(repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Read after the cast has played.
    let typed = "planner workbench/fs_read {\"path\": \"/srv/work/hello.txt\"}\n\
        bob through crawler workbench/db_read {\"sql\": \"select 1\"}\n\
        mallory workbench/fs_read\n\
        quit\n";
    demo.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = demo.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(printed.contains(": every answer as expected."), "{printed}");
    for agent in &AGENTS {
        assert!(printed.contains(agent.name), "{} in {printed}", agent.name);
    }
    for said in [
        "  the server says: ",
        "  denied, 403: ",
        "no agent is called `mallory`",
    ] {
        assert!(printed.contains(said), "`{said}` in {printed}");
    }

    let mut keys = Vec::new();
    for path in files(&directory, "keycloak/database.mv.db") {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let named = path.strip_prefix(&directory).unwrap().display().to_string();
        // Tokens, SVIDs and proofs begin so: it is `{"` in base64.
        for secret in ["eyJ", "only-for-the-demo"] {
            assert!(!text.contains(secret), "`{secret}` in {named}");
        }
        if text.contains("PRIVATE KEY") {
            keys.push(named);
        }
    }
    keys.sort_unstable();
    let servers = ["authz", "gateway", "server"].map(|part| format!("agents/pki/{part}-key.pem"));
    assert_eq!(keys, servers);
}

#[test]
fn without_keycloak_the_demo_says_where_it_comes_from() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-nothing");
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .args([
            "demo",
            "--keycloak",
            "--once",
            "--tools",
            "nowhere",
            "--directory",
        ])
        .arg(directory)
        .current_dir(repository())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for said in ["scripts/tools.sh --keycloak", "make demo KEYCLOAK=1", "Java 17"] {
        assert!(errors.contains(said), "`{said}` in {errors}");
    }
}
