//! What the tests never showed, for people and for scripts.

use comfy_table::Cell;
use serde_json::{Value, json};

use crate::cli::Terminal;
use crate::policy::{Coverage, OfCondition, OfPolicy, OfTool, Share};

/// Something that no test showed.
struct Gap {
    place: String,
    what: String,
    never: &'static str,
}

/// How much was seen, and a table of what wasn't.
pub(super) fn text(coverage: &Coverage, terminal: Terminal) -> String {
    let mut lines = vec![format!(
        "covered: {} policies decided, {} sides of conditions seen, {} tools decided",
        share(coverage.of_policies()),
        share(coverage.of_conditions()),
        share(coverage.of_tools()),
    )];
    let gaps = gaps(coverage);
    if !gaps.is_empty() {
        let mut table = terminal.table(["place", "what", "never"]);
        for gap in gaps {
            table.add_row([Cell::new(gap.place), Cell::new(gap.what), Cell::new(gap.never)]);
        }
        lines.push(table.to_string());
    }
    // That nobody may call a tool can be meant, so these are no gaps.
    let one_sided = [
        ("never allowed", tools(coverage, |tool| tool.allowed == 0)),
        ("never denied", tools(coverage, |tool| tool.denied == 0)),
    ];
    for (never, tools) in one_sided.iter().filter(|(_, tools)| !tools.is_empty()) {
        lines.push(format!("{never}: {}", tools.join(", ")));
    }
    lines.join("\n")
}

/// All that was seen, and how often.
pub(super) fn to_json(coverage: &Coverage) -> Value {
    let share = |share: Share| json!({ "seen": share.seen, "of": share.of });
    json!({
        "whole": coverage.is_whole(),
        "policies": share(coverage.of_policies()),
        "conditions": share(coverage.of_conditions()),
        "tools": share(coverage.of_tools()),
        "by_policy": coverage.policies().map(policy).collect::<Vec<_>>(),
        "by_tool": coverage.tools().map(|tool| json!({
            "action": tool.action,
            "allowed": tool.allowed,
            "denied": tool.denied,
        })).collect::<Vec<_>>(),
    })
}

fn policy(policy: &OfPolicy) -> Value {
    let conditions = policy.conditions.iter().map(|seen| {
        json!({
            "text": seen.condition.text,
            "unless": seen.condition.unless,
            "line": seen.condition.line,
            "true": seen.was_true,
            "false": seen.was_false,
            "can_be_true": seen.can_be_true,
            "can_be_false": seen.can_be_false,
        })
    });
    json!({
        "id": policy.id,
        "file": &*policy.location.file,
        "line": policy.location.line,
        "decided": policy.decided,
        "conditions": conditions.collect::<Vec<_>>(),
    })
}

fn share(share: Share) -> String {
    if share.is_whole() {
        format!("all {}", share.of)
    } else {
        format!("{} of {}", share.seen, share.of)
    }
}

fn gaps(coverage: &Coverage) -> Vec<Gap> {
    let mut policies: Vec<&OfPolicy> = coverage.policies().collect();
    policies.sort_by_key(|policy| (&policy.location.file, policy.location.line));
    let of_policies = policies.into_iter().flat_map(|policy| {
        let never = (!policy.is_seen()).then(|| Gap {
            place: place(policy, policy.location.line),
            what: policy.id.clone(),
            never: "decided",
        });
        let conditions = policy.conditions.iter().filter_map(|seen| unseen(policy, seen));
        never.into_iter().chain(conditions)
    });
    let of_tools = coverage.tools().filter(|tool| !tool.is_seen()).map(|tool| Gap {
        place: format!("tools/{}.json", tool.action.split('/').next().unwrap_or_default()),
        what: tool.action.clone(),
        never: "decided",
    });
    of_policies.chain(of_tools).collect()
}

fn unseen(policy: &OfPolicy, seen: &OfCondition) -> Option<Gap> {
    let never = match (seen.was_true, seen.was_false) {
        (0, 0) => "looked at",
        (0, _) if seen.can_be_true => "true",
        (_, 0) if seen.can_be_false => "false",
        _ => return None,
    };
    let clause = if seen.condition.unless { "unless" } else { "when" };
    Some(Gap {
        place: place(policy, seen.condition.line),
        what: format!("{}: {clause} {}", policy.id, seen.condition.text),
        never,
    })
}

fn place(policy: &OfPolicy, line: usize) -> String {
    format!("{}:{line}", policy.location.file)
}

/// The tools that were decided, but never so.
fn tools(coverage: &Coverage, never: impl Fn(&OfTool) -> bool) -> Vec<&str> {
    let decided = coverage.tools().filter(|tool| tool.is_seen() && never(tool));
    decided.map(|tool| tool.action.as_str()).collect()
}
