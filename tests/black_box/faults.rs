//! A part that is down, asleep or asked for too much.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::DevIssuer;
use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::stack::Stack;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::parts::caller::{Caller, Reply, developer};
use crate::parts::{audit, with_own_stack};

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
}

/// A pipe that can be opened and written to like a file, but for nobody reads it: after 64 kB, writing sleeps.
fn pipe(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn without_mcp_authz_nothing_goes_through() {
    with_own_stack("authz-down", Value::Null, async |mut stack, _| {
        let caller = Caller::developer(&stack);
        let read = json!({ "path": "/srv/work/hello.txt" });
        caller.call("fs_read", &read).await.assert_allowed();
        stack.stop_part("mcp-authz").await;
        for _ in 0..3 {
            let reply = caller.call("fs_read", &read).await;
            assert_eq!(reply.status, 503, "{reply:?}");
            assert!(!reply.text.contains("Hello"), "{reply:?}");
        }
        stack
    });
}

#[test]
fn an_issuer_that_is_down_does_not_undo_what_is_known_of_its_keys() {
    with_own_stack("issuer-down", Value::Null, async |mut stack, _| {
        let caller = Caller::developer(&stack);
        let read = json!({ "path": "/srv/work/hello.txt" });
        caller.call("fs_read", &read).await.assert_allowed();
        stack.stop_issuer();
        // Another token, so that none is remembered.
        Caller::developer(&stack)
            .call("fs_read", &read)
            .await
            .assert_allowed();
        stack
    });
}

#[test]
fn with_the_disk_asleep_calls_are_denied_in_time_and_go_on_when_it_wakes() {
    let journal = temporary("disk-asleep.pipe");
    pipe(&journal);
    let settings = json!({ "audit": { "file": journal, "queue": 4 } });
    with_own_stack("disk-asleep", settings, async |stack, _| {
        let caller = Caller::developer(&stack);
        let mut allowed = 0;
        let denied = loop {
            let reply = caller.call("fs_read", &read()).await;
            if reply.status == 503 {
                break reply;
            }
            reply.assert_allowed();
            allowed += 1;
            assert!(allowed < 1000, "nobody reads, and yet it goes on");
        };
        // Our own words: in time for the gateway, which has others.
        denied.assert_denied(503, "audit_unavailable");
        assert_eq!(denied.header("retry-after"), "1");
        caller
            .call("fs_read", &read())
            .await
            .assert_denied(503, "audit_unavailable");
        // It wakes up.
        let awake = tokio::spawn(async move {
            let mut pipe = tokio::fs::File::open(journal).await.unwrap();
            tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await
        });
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let mut tries = 0;
        while caller.call("fs_read", &read()).await.status != 200 {
            ticks.tick().await;
            tries += 1;
            assert!(tries < 200, "the disk is awake, and yet it is denied");
        }
        let stopped = stack;
        // The reader ends when the writer does.
        drop(awake);
        stopped
    });
}

#[test]
fn with_the_issuer_asleep_only_who_needs_its_keys_is_denied_and_in_time() {
    with_own_stack("issuer-asleep", Value::Null, async |stack, _| {
        let caller = Caller::developer(&stack);
        caller.call("fs_read", &read()).await.assert_allowed();
        stack.put_issuer_to_sleep();
        // By a key that it may have published since.
        let rotated = DevIssuer::create(&stack.directory.join("rotated"), stack.issuer.issuer()).unwrap();
        let mint = Mint {
            audiences: vec![stack.url("workbench")],
            ..developer()
        };
        let stranger = Caller {
            token: Some(rotated.mint(&mint, clock::now()).unwrap()),
            ..caller.clone()
        };
        let mut asking = JoinSet::new();
        for _ in 0..20 {
            let stranger = stranger.clone();
            asking.spawn(async move { stranger.call("fs_read", &read()).await });
        }
        // Nobody else waits for it: neither a token seen before nor a new one of a known key.
        caller.call("fs_read", &read()).await.assert_allowed();
        Caller::developer(&stack)
            .call("fs_read", &read())
            .await
            .assert_allowed();
        let for_its_reason =
            |reason: &str| ["keys_unavailable", "kid_unknown", "deadline_exceeded"].contains(&reason);
        for reply in asking.join_all().await {
            // Our word leaves 20 ms before the gateway's patience ends: on a machine that is too busy, the gateway's own comes
            // first.
            let by_the_gateway = reply.status == 503 && reply.text.is_empty();
            assert!(by_the_gateway || for_its_reason(&reply.reason()), "{reply:?}");
        }
        // Whoever was heard, each was decided on and recorded.
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let refused = loop {
            ticks.tick().await;
            let refused = audit::records(&stack, |record| record["outcome"] != "allowed").await;
            if refused.len() >= 20 {
                break refused;
            }
        };
        assert_eq!(refused.len(), 20);
        for record in refused {
            let reason = record["reason"].as_str().unwrap();
            assert!(for_its_reason(reason) || reason == "gateway_gone", "{record}");
        }
        stack
    });
}

#[test]
fn with_the_policies_on_a_disk_asleep_the_last_good_ones_rule() {
    with_own_stack("policies-asleep", Value::Null, async |stack, policies| {
        let caller = Caller::developer(&stack);
        caller.call("fs_read", &read()).await.assert_allowed();
        // Whoever opened it would wait without end for somebody who writes.
        pipe(&policies.join("never.cedar"));
        let log = stack.authz_log();
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let mut tries = 0;
        while !std::fs::read_to_string(&log).unwrap().contains("never.cedar") {
            caller.call("fs_read", &read()).await.assert_allowed();
            ticks.tick().await;
            tries += 1;
            assert!(tries < 400, "nobody noticed the pipe");
        }
        caller.call("fs_read", &read()).await.assert_allowed();
        stack
    });
}

/// Many callers, each with one call after the other, until told to stop; every reply of theirs.
fn load(stack: &Stack, callers: usize, stop: &tokio::sync::watch::Receiver<bool>) -> JoinSet<Vec<Reply>> {
    let mut asking = JoinSet::new();
    for _ in 0..callers {
        let (caller, stop) = (Caller::developer(stack), stop.clone());
        asking.spawn(async move {
            let mut replies = Vec::new();
            while !*stop.borrow() {
                replies.push(caller.call("fs_read", &read()).await);
            }
            replies
        });
    }
    asking
}

#[test]
fn sigterm_under_load_loses_no_answer_that_was_recorded() {
    with_own_stack("sigterm", Value::Null, async |mut stack, _| {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let asking = load(&stack, 8, &stopped);
        // In the middle of it.
        audit::records_at_least(&stack, 50).await;
        stack.stop_part("mcp-authz").await;
        stop.send_replace(true);
        let replies: Vec<Reply> = asking.join_all().await.into_iter().flatten().collect();
        let (allowed, rest): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
        assert!(
            !rest.is_empty() && rest.iter().all(|reply| reply.status == 503),
            "{rest:?}"
        );
        let told: BTreeSet<String> = allowed.iter().map(Reply::decision_id).collect();
        let records = audit::records(&stack, |_| true).await;
        assert!(
            records.iter().all(|record| record["outcome"] == "allowed"),
            "{records:?}"
        );
        let recorded: BTreeSet<String> = records
            .iter()
            .map(|record| record["decision_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(told, recorded);
        stack
    });
}

#[test]
fn what_is_too_much_is_denied_with_a_reason_and_a_record_and_reaches_no_server() {
    let settings = json!({ "grpc": { "max_checks": 1 } });
    with_own_stack("overload", settings, async |stack, _| {
        let caller = Caller::developer(&stack);
        let mut denied = 0;
        for round in 0.. {
            let mut asking = JoinSet::new();
            for _ in 0..20 {
                let caller = caller.clone();
                asking.spawn(async move { caller.call("fs_read", &read()).await });
            }
            for reply in asking.join_all().await {
                if reply.status == 503 {
                    reply.assert_denied(503, "overloaded");
                    assert_eq!(reply.header("retry-after"), "1");
                    denied += 1;
                } else {
                    reply.assert_allowed();
                }
            }
            if denied > 0 {
                break;
            }
            assert!(round < 100, "one at a time, and never one too many");
        }
        let records = audit::records(&stack, |record| record["reason"] == "overloaded").await;
        assert_eq!(records.len(), denied);
        caller.call("fs_read", &read()).await.assert_allowed();
        stack
    });
}
