//! Policies that are only tried out: asked beside those that rule, told in the audit and counted, deciding nothing.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use mcp_authz::dev::client;
use mcp_authz::dev::stack::Stack;

use crate::parts::caller::{Caller, TRUSTED, developer};
use crate::parts::{audit, copy, repository, temporary, with_own_stack};

/// One series of the metrics.
async fn metric(stack: &Stack, series: &str) -> Option<f64> {
    let url = format!("http://127.0.0.1:{}/metrics", stack.ports.http);
    let http = client::http(&stack.authority, None).unwrap();
    let text = http.get(url).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn until(stack: &Stack, series: &str, wanted: f64) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..300 {
        ticks.tick().await;
        if metric(stack, series).await == Some(wanted) {
            return;
        }
    }
    panic!("{series} is not {wanted} after thirty seconds");
}

const FORBID: &str =
    "@id(\"nobody-writes\")\nforbid (principal, action == Action::\"workbench/fs_write\", resource);\n";

/// The shipped policies without their tests, and one more.
fn trial() -> PathBuf {
    let trial = temporary("shadow").join("trial");
    let _ = std::fs::remove_dir_all(&trial);
    copy(&repository().join("policies"), &trial);
    std::fs::remove_dir_all(trial.join("tests")).unwrap();
    std::fs::write(trial.join("trial.cedar"), FORBID).unwrap();
    trial
}

/// Whose opinions a record holds, and what they are.
fn told(record: &Value) -> Vec<(&Value, &Value)> {
    let opinions = record["shadow"].as_array().unwrap();
    opinions.iter().map(|one| (&one["from"], &one["would"])).collect()
}

#[test]
fn a_shadow_directory_and_a_shadow_policy_are_told_and_change_no_answer() {
    let trial = trial();
    let configuration = json!({ "policies": { "shadow": trial } });
    with_own_stack("shadow", configuration, async |stack, policies| {
        let caller = Caller::new(&stack, &developer(), TRUSTED, "workbench");
        let arguments = json!({ "path": "/srv/work/notes/x", "content": "x", "create": true });
        let said = async || {
            let reply = caller.call("fs_write", &arguments).await;
            reply.assert_allowed();
            audit::record(&stack, &reply.decision_id()).await
        };
        let record = said().await;
        assert_eq!(record["outcome"], "allowed");
        let opinion = &record["shadow"][0];
        assert_eq!(
            (
                &opinion["from"],
                &opinion["would"],
                &opinion["code"],
                &opinion["because"]
            ),
            (
                &json!("directory"),
                &json!("deny"),
                &json!("would_deny"),
                &json!("forbidden")
            )
        );
        assert_eq!(
            audit::policies(opinion),
            ["user: nobody-writes", "workload: nobody-writes"]
        );
        assert_ne!(opinion["policy_version"], record["policy_version"]);
        let counted = "mcp_authz_shadow_decisions_total{server=\"workbench\",from=\"directory\",outcome=\"allowed\",would=\"deny\"}";
        assert_eq!(metric(&stack, counted).await, Some(1.0));

        // It is broken: the last good one goes on, what rules doesn't care, and that is told.
        std::fs::write(trial.join("trial.cedar"), "permit (principal,").unwrap();
        until(&stack, "mcp_authz_shadow_policy_stale", 1.0).await;
        assert_eq!(metric(&stack, "mcp_authz_policy_stale").await, Some(0.0));
        assert_eq!(said().await["shadow"][0]["code"], "would_deny");

        // Emptied, it agrees; and a policy of the ruling directory is tried.
        std::fs::write(trial.join("trial.cedar"), "").unwrap();
        until(&stack, "mcp_authz_shadow_policy_stale", 0.0).await;
        let tried = FORBID.replace("@id", "@shadow\n@id");
        std::fs::write(policies.join("trial.cedar"), tried).unwrap();
        until(&stack, "mcp_authz_policy_reloads_total{outcome=\"loaded\"}", 1.0).await;
        let record = said().await;
        assert_eq!(
            told(&record),
            [
                (&json!("annotation"), &json!("deny")),
                (&json!("directory"), &json!("allow"))
            ]
        );
        let shadows = record["policies"].as_array().unwrap().iter();
        assert_eq!(
            shadows.filter(|one| one["effect"] == "shadow").count(),
            2,
            "{record}"
        );
        stack
    });
}
