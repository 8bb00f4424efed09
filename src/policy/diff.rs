//! Two policy directories: what changed from one to the other in words, and which answers that changes.
//!
//! In: an old and a new directory, each loaded. Out: [`Changes`] of what is written; [`Cases`], what the tests of both come to in
//! either; and a [`Replay`] of recorded calls. What can't be told is counted with why, never taken for the same.

mod approvals;
mod cases;
mod entities;
mod policies;
mod replay;
mod tools;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Answer, PolicySet, Question};
use crate::inventory::changes::Fate;
use crate::inventory::{Files, Problem};
use crate::mcp::Operation;

pub use approvals::ApprovalChange;
pub use cases::{CaseFlip, Cases, TestChange};
pub use replay::{Group, NotAsked, Replay};
pub use tools::ServerChange;

/// A directory that was loaded.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What rules there.
    pub set: &'a PolicySet,
    /// Its files.
    pub files: &'a Files,
}

/// What changed from one directory to another.
#[derive(Debug, Default, Serialize)]
pub struct Changes {
    /// Policies, by id.
    pub policies: Vec<PolicyChange>,
    /// Entities of `entities.json`.
    pub entities: Vec<EntityChange>,
    /// Tools, by server.
    pub servers: Vec<ServerChange>,
    /// Approvals of tools, by server.
    pub approvals: Vec<ApprovalChange>,
    /// Whether `base.cedarschema` changed.
    pub schema: bool,
}

/// What became of a policy.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// Its `@id`.
    pub id: String,
    /// Added, removed or changed.
    pub fate: Fate,
    /// The file where it is, or was.
    pub file: String,
    /// The line there, from 1.
    pub line: usize,
    /// What changed; of one that came or went, what it says.
    pub words: Vec<String>,
}

/// What became of an entity.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct EntityChange {
    /// As policies write it.
    pub entity: String,
    /// Added, removed or changed.
    pub fate: Fate,
    /// What changed.
    pub words: Vec<String>,
}

impl Changes {
    /// What changed.
    ///
    /// # Errors
    /// A file that can't be read a second time.
    pub fn between(old: Side<'_>, new: Side<'_>) -> Result<Self, Problem> {
        let schema = |side: Side<'_>| side.files.get("base.cedarschema").map(<[u8]>::to_vec);
        Ok(Self {
            policies: policies::between(old.set, new.set),
            entities: entities::between(old.files, new.files)?,
            servers: tools::between(old, new)?,
            approvals: approvals::between(old, new)?,
            schema: schema(old) != schema(new),
        })
    }

    /// Whether nothing changed that is in words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
            && self.entities.is_empty()
            && self.servers.is_empty()
            && self.approvals.is_empty()
            && !self.schema
    }
}

/// What one directory says to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Whether every principal is allowed.
    pub allowed: bool,
    /// The code of the reason.
    pub reason: String,
    /// The policies that determined it, by id: of all principals where it is allowed, else of those that are denied.
    pub by: Vec<String>,
}

impl Said {
    /// What an answer comes to.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        let verdicts = match answer {
            Ok(verdicts) => verdicts,
            Err(error) => {
                return Self {
                    allowed: false,
                    reason: error.code().to_owned(),
                    by: Vec::new(),
                };
            }
        };
        let denying = verdicts.iter().find(|verdict| !verdict.allows());
        let deciding = verdicts
            .iter()
            .filter(|verdict| verdict.allows() == denying.is_none());
        let fired = deciding.flat_map(|verdict| &verdict.fired);
        let mut by: Vec<String> = fired.map(|fired| fired.id.clone()).collect();
        by.sort();
        by.dedup();
        Self {
            allowed: denying.is_none(),
            reason: denying
                .map_or(super::Outcome::Allowed, |verdict| verdict.outcome)
                .as_str()
                .to_owned(),
            by,
        }
    }
}

/// A call that one directory allows and the other denies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Who calls: the user's name; without a user the workload, or the actor.
    pub who: String,
    /// Who that is, whatever their name: the name of a person may be another's too, at another issuer.
    #[serde(skip)]
    key: String,
    /// What is called: `<server>/<tool>`, or `<server>/<method>`.
    pub what: String,
    /// What the old directory says.
    pub old: Said,
    /// What the new one says.
    pub new: Said,
}

impl Flip {
    /// What both say of a question, if it isn't the same.
    fn of(question: &Question<'_>, old: Said, new: Said) -> Option<Self> {
        (old.allowed != new.allowed).then(|| Self {
            who: who(question),
            key: key(question),
            what: what(question),
            old,
            new,
        })
    }

    /// Whether it was denied and is allowed.
    #[must_use]
    pub const fn opens(&self) -> bool {
        self.new.allowed
    }
}

/// Calls those by their keys who share their name with somebody else: what is accepted of one isn't accepted of the other.
fn tell_apart(flips: &mut [&mut Flip]) {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for flip in flips.iter() {
        names
            .entry(flip.who.clone())
            .or_default()
            .insert(flip.key.clone());
    }
    for flip in flips {
        if names.get(&flip.who).is_some_and(|keys| keys.len() > 1) {
            flip.who.clone_from(&flip.key);
        }
    }
}

fn key(question: &Question<'_>) -> String {
    let user = question.caller.user.as_ref();
    user.map_or_else(|| who(question), |user| user.key())
}

fn who(question: &Question<'_>) -> String {
    let caller = question.caller;
    let user = caller.user.as_ref().map(|user| user.username.clone());
    let workload = || caller.workload.as_ref().map(|workload| workload.key().to_owned());
    let actor = || caller.actor.as_ref().map(|actor| actor.key().to_owned());
    user.or_else(workload)
        .or_else(actor)
        .unwrap_or_else(|| "nobody".to_owned())
}

fn what(question: &Question<'_>) -> String {
    let name = match &question.call.operation {
        Operation::ToolsCall { tool, .. } => tool.as_str(),
        operation => operation.method(),
    };
    format!("{}/{name}", question.server.name)
}

#[cfg(test)]
mod tests;
