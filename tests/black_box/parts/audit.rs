//! What was recorded.

use std::time::Duration;

use mcp_authz::dev::stack::Stack;
use serde_json::Value;

/// The records that match, as soon as there is one.
pub(crate) async fn records(stack: &Stack, matches: impl Fn(&Value) -> bool) -> Vec<Value> {
    // What the journal notes of itself is no decision.
    lines(stack, |line| line["event"].is_null() && matches(line)).await
}

async fn lines(stack: &Stack, matches: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..500 {
        ticks.tick().await;
        let text = std::fs::read_to_string(stack.audit()).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found: Vec<Value> = lines.filter(|line| matches(line)).collect();
        if !found.is_empty() {
            return found;
        }
    }
    panic!("nothing was recorded in {}", stack.audit().display());
}

/// The revocations that match, as soon as there is one.
pub(crate) async fn revocations(stack: &Stack, matches: impl Fn(&Value) -> bool) -> Vec<Value> {
    lines(stack, |line| line["event"] == "revoked" && matches(line)).await
}

/// Waits until so many decisions are recorded.
pub(crate) async fn records_at_least(stack: &Stack, count: usize) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while std::fs::read_to_string(stack.audit())
        .unwrap_or_default()
        .lines()
        .count()
        < count
    {
        ticks.tick().await;
    }
}

/// The one record of a decision.
pub(crate) async fn record(stack: &Stack, decision_id: &str) -> Value {
    let mut found = records(stack, |record| record["decision_id"] == decision_id).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// The ids of the policies in a record, as `principal: id`.
pub(crate) fn policies(record: &Value) -> Vec<String> {
    let policies = record["policies"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    policies
        .iter()
        .map(|policy| format!("{}: {}", text(&policy["principal"]), text(&policy["id"])))
        .collect()
}
