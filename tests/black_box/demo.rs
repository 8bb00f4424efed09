//! The demo itself, as a script would run it.

use std::path::Path;
use std::process::Command;

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
