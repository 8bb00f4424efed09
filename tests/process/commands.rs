//! `audit verify` and `audit show`, on what a real process wrote.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::service::{Service, decision, ping, post, stop};

fn audit(arguments: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .arg("audit")
        .args(arguments)
        .arg(path)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A journal of 30 allowed calls and one that is denied, in several files; gives the ids.
async fn written(service: &Service) -> (Vec<String>, String) {
    let process = service.start();
    let mut client = service.client().await;
    let mut allowed = Vec::new();
    for id in 0..30 {
        allowed.push(decision(client.check(ping(id)).await.unwrap().get_ref()).0);
    }
    let body =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"none\u001b[2J","arguments":{}}}"#;
    let denied = client.check(post("/mcp", &[], body)).await.unwrap();
    drop(client);
    stop(process);
    (allowed, decision(denied.get_ref()).0)
}

fn service() -> Service {
    Service::new(&json!({ "audit": { "rotation": { "max_bytes": 6000 } } }))
}

#[tokio::test]
async fn verify_says_that_a_journal_holds_and_where_it_does_not() {
    let service = service();
    written(&service).await;
    let folder = service.folder.path();
    let holds = audit(&["verify"], folder);
    assert_eq!(holds.status.code(), Some(0), "{}", said(&holds));
    assert!(said(&holds).contains("hold, in"), "{}", said(&holds));

    let current = service.place().current().to_owned();
    let text = fs::read_to_string(&current).unwrap();
    fs::write(&current, text.replacen("\"opened\"", "\"0pened\"", 1)).unwrap();
    let broken = audit(&["verify"], &current);
    assert_eq!(broken.status.code(), Some(1), "{}", said(&broken));
    assert!(
        said(&broken).contains("audit.jsonl:1: this line, or the hash"),
        "{}",
        said(&broken)
    );
    let broken = audit(&["verify", "--output", "json"], &current);
    let told: Value = serde_json::from_slice(&broken.stdout).unwrap();
    assert_eq!(
        (&told["broken"]["line"], &told["broken"]["fault"]),
        (&json!(1), &json!("changed"))
    );

    let nowhere = audit(&["verify"], Path::new("/nowhere"));
    assert_eq!(nowhere.status.code(), Some(2), "{}", said(&nowhere));
}

#[tokio::test]
async fn a_checkpoint_of_the_log_is_held_against_the_journal() {
    let service = service();
    written(&service).await;
    let [_, log] = service.outputs().map(|path| fs::read_to_string(path).unwrap());
    let events = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let checkpoints: Vec<String> = events
        .filter_map(|event| {
            Some(
                event
                    .pointer("/fields/checkpoint")
                    .or(event.get("checkpoint"))?
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    let known = checkpoints.first().unwrap_or_else(|| panic!("{log}"));
    let holds = audit(&["verify", "--checkpoint", known], service.folder.path());
    assert_eq!(holds.status.code(), Some(0), "{}", said(&holds));
    let (seq, _) = known.split_once(':').unwrap();
    let other = format!("{seq}:{}", "0".repeat(64));
    let rewritten = audit(&["verify", "--checkpoint", &other], service.folder.path());
    assert_eq!(rewritten.status.code(), Some(1), "{}", said(&rewritten));
    assert!(said(&rewritten).contains("written anew"), "{}", said(&rewritten));
}

#[tokio::test]
async fn show_finds_records_in_all_files_and_shows_nothing_that_disturbs() {
    let service = service();
    let (allowed, denied) = written(&service).await;
    let folder = service.folder.path();
    let ids = |arguments: &[&str]| {
        let output = audit(&[&["show", "--output", "json"], arguments].concat(), folder);
        assert!(output.status.success(), "{}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| line["decision_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--outcome", "allowed"]), allowed);
    assert_eq!(ids(&["--outcome", "allowed", "--limit", "2"]), allowed[28..]);
    assert_eq!(
        ids(&[
            "--outcome",
            "denied",
            "--since",
            "1h",
            "--action",
            "workbench/none\u{1b}[2J"
        ]),
        std::slice::from_ref(&denied)
    );
    assert_eq!(
        ids(&["--workload", "spiffe://mcp-identity.local/agent", "--limit", "0"]).len(),
        31
    );
    assert_eq!(ids(&["--until", "2020-01-01"]), Vec::<String>::new());
    let table = said(&audit(&["show", "--decision", &denied], folder));
    assert!(
        table.contains(r"workbench/none\u001b[2J") && !table.contains('\u{1b}'),
        "{table}"
    );
}

#[tokio::test]
async fn show_follows_a_journal_through_its_files() {
    let service = service();
    written(&service).await;
    let mut showing = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .args(["audit", "show", "--follow", "--limit", "1", "--output", "json"])
        .arg(service.folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(showing.stdout.take().unwrap()).lines();
    // The last one that was there: from here on it follows.
    lines.next().unwrap().unwrap();
    let (allowed, denied) = written(&service).await;
    for id in allowed.iter().chain([&denied]) {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(id), "{id}: {line}");
    }
    showing.kill().unwrap();
    showing.wait().unwrap();
}

/// Two directories that differ by one limit, and a record of a call that only the second allows.
#[test]
fn policy_diff_reads_recorded_calls_from_standard_input() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let place = tempfile::TempDir::new().unwrap();
    let new = place.path().join("new");
    for (path, bytes) in mcp_authz::inventory::Files::read(&shipped).unwrap().iter() {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let path = new.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("limit > 100 ", "limit > 1000 ")).unwrap();
    }
    let line = |id: &str, limit: u32| {
        json!({
            "time": "2026-03-01T12:00:00.000042Z", "decision_id": id, "outcome": "denied", "reason": "forbidden",
            "server": "workbench", "method": "tools/call", "protocol_version": "2025-11-25", "target": "db_read",
            "user": { "issuer": "https://idp", "subject": "42", "username": "vera", "claims": { "roles": ["mcp-viewer"] } },
            "workload": "spiffe://mcp-identity.local/agent/trusted/1", "policy_version": "abc",
            "durations_us": { "total": 120 }, "gateway": "envoy", "arguments": { "sql": "select 1", "limit": limit },
            "arguments_as": "all",
        })
    };
    let log = format!("{}\n{}\n", line("d-1", 500), line("d-2", 5000));
    let piped = |old: &Path, new: &Path, log: &[u8]| {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
            .args(["policy", "diff", "--output", "json", "--log", "-"])
            .args(["--accept", "*:workbench/db_list", "--"])
            .args([old, new])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(log).unwrap();
        process.wait_with_output().unwrap()
    };
    let told = piped(&shipped, &new, log.as_bytes());
    assert_eq!(told.status.code(), Some(1), "{}", said(&told));
    let report: Value = serde_json::from_slice(&told.stdout).unwrap();
    let replay = &report["log"];
    assert_eq!((&replay["lines"], &replay["asked"]), (&json!(2), &json!(2)));
    assert_eq!(replay["flips"].as_array().unwrap().len(), 1);
    assert_eq!(replay["flips"][0]["example"], "d-1");
    assert_eq!(
        replay["flips"][0]["old"]["by"],
        json!(["large-queries-are-for-admins"])
    );

    let same = piped(&shipped, &shipped, log.as_bytes());
    assert_eq!(same.status.code(), Some(0), "{}", said(&same));
    let broken = piped(&shipped, &new, b"{}\nno record\n");
    assert_eq!(broken.status.code(), Some(2), "{}", said(&broken));
    assert!(said(&broken).contains("-:2"), "{}", said(&broken));
}
