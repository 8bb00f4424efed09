//! What became of the approvals of the servers' tools, and what can be called that nobody approved as it is now.
//!
//! A directory without approvals is taken as it is: where they go away, so does what bound the list to them. What is approved is the list,
//! as the server wrote it; overrides are the operator's own word, and what they change is told with the tools.

use cedar_policy::Effect;
use serde::Serialize;

use super::Side;
use crate::inventory::approvals::{self, Approval};
use crate::inventory::changes::Fate;
use crate::inventory::{Problem, ServerName, ServerTools, Tool};
use crate::policy::PolicySet;

/// What became of a server's approvals.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ApprovalChange {
    /// The server.
    pub server: String,
    /// Added, removed or changed.
    pub fate: Fate,
    /// What changed, a line for each approval.
    pub words: Vec<String>,
    /// Where they were removed: `<server>/<tool>` of what was added or changed since the last one, and is in the scope of a `permit`.
    pub unapproved: Vec<String>,
}

/// Every server whose approvals aren't the same.
pub(super) fn between(old: Side<'_>, new: Side<'_>) -> Result<Vec<ApprovalChange>, Problem> {
    let mut found = Vec::new();
    for server in &super::tools::servers(old, new) {
        let was = approvals::of(old.files, server)?;
        let is = approvals::of(new.files, server)?;
        let fate = match (was.is_empty(), is.is_empty()) {
            _ if was == is => continue,
            (true, _) => Fate::Added,
            (false, true) => Fate::Removed,
            (false, false) => Fate::Changed,
        };
        found.push(ApprovalChange {
            server: server.to_string(),
            fate,
            words: words(&was, &is),
            unapproved: if fate == Fate::Removed {
                unapproved(old, new, server)
            } else {
                Vec::new()
            },
        });
    }
    Ok(found)
}

fn words(was: &[Approval], is: &[Approval]) -> Vec<String> {
    let went = was.iter().filter(|one| !is.contains(one));
    let mut words: Vec<String> = went.map(|one| format!("went: {}", said(one))).collect();
    let came = is.iter().filter(|one| !was.contains(one));
    words.extend(came.map(|one| format!("came: {}", said(one))));
    if words.is_empty() {
        words.push("the same approvals, in another order or another number of times".to_owned());
    }
    if is.is_empty() {
        words.push("no approval binds the list of tools any more".to_owned());
    }
    words
}

/// Who, when, of which list, why, and what changed with it.
fn said(approval: &Approval) -> String {
    let Approval {
        when,
        by,
        why,
        digest,
        changes,
    } = approval;
    let list: String = digest.chars().take(12).collect();
    let changes = if changes.is_empty() {
        String::new()
    } else {
        format!(" ({})", changes.join("; "))
    };
    format!("by {by}, {when}, of {list}: {why}{changes}")
}

/// The tools that aren't as they were approved last, and that a policy lets through. The old list is that one: else it wouldn't rule.
fn unapproved(old: Side<'_>, new: Side<'_>, server: &ServerName) -> Vec<String> {
    let approved = old.set.inventory().server(server);
    let is_approved = |tool: &Tool| {
        let approved = approved.and_then(|tools| tools.tool(&tool.name));
        approved.is_some_and(|approved| approved.digest == tool.digest)
    };
    let tools = new.set.inventory().server(server);
    let tools = tools.into_iter().flat_map(ServerTools::iter);
    let mut found: Vec<String> = tools
        .filter(|tool| !is_approved(tool) && may_be_permitted(new.set, &tool.action))
        .map(|tool| tool.action.clone())
        .collect();
    found.sort();
    found
}

/// Whether a `permit` that decides is about this tool, whoever calls it.
fn may_be_permitted(set: &PolicySet, action: &str) -> bool {
    let reaching = set.reaching(action, &[]);
    let mut permits = set
        .engine
        .rules()
        .filter(|rule| !rule.shadow && rule.policy.effect() == Effect::Permit);
    permits.any(|rule| reaching.iter().any(|one| one.id == rule.shown.id))
}
