//! Which policies a tool's definition matters to.
//!
//! In: a tool, and places in its arguments. Out: every policy in whose scope a call of the tool can be, whoever calls, and which of
//! the places it reads.

use cedar_policy::EntityUid;
use serde::Serialize;

use super::PolicySet;
use super::ask::entities::uid;
use super::ask::evaluate::Rule;
use super::ask::scope::{Part, Scope};

/// A policy in whose scope a tool is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reaching {
    /// Its `@id`.
    pub id: String,
    /// The file, relative to the policy directory.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// Whether it is a `@shadow` policy, which decides nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// Of the arguments that were asked about, those that it reads.
    pub reads: Vec<String>,
}

impl PolicySet {
    /// The policies in whose scope calls of a tool are, by id; of these arguments (by name and path) each tells which it reads.
    #[must_use]
    pub fn reaching(&self, action: &str, arguments: &[(&str, &[String])]) -> Vec<Reaching> {
        let Some(entities) = self.fixed.store(action) else {
            return Vec::new();
        };
        let action_uid = uid(&self.fixed.types.action, action);
        let groups = entities.ancestors(&action_uid).into_iter().flatten();
        let groups: Vec<String> = groups.map(|group| group.id().unescaped().to_owned()).collect();
        let tool = uid(&self.fixed.types.tool, action);
        let rules = self.engine.rules().filter(|rule| {
            let Scope {
                actions, resource, ..
            } = &rule.scope;
            actions.hold(action, &groups)
                && is_resource(resource, &tool, |group| entities.is_ancestor_of(group, &tool))
        });
        rules.map(|rule| reaching(rule, arguments)).collect()
    }
}

fn reaching(rule: &Rule, arguments: &[(&str, &[String])]) -> Reaching {
    let read = |path: &[String]| {
        // One lies on the way to the other.
        let on_the_way = |read: &[String]| read.iter().zip(path).all(|(a, b)| a == b);
        rule.reads.arguments().any(on_the_way)
    };
    let mut reads: Vec<String> = arguments
        .iter()
        .filter(|(_, path)| read(path))
        .map(|(name, _)| (*name).to_owned())
        .collect();
    reads.dedup();
    Reaching {
        id: rule.shown.id.clone(),
        file: rule.location.file.to_string(),
        line: rule.location.line,
        shadow: rule.shadow,
        reads,
    }
}

fn is_resource(resource: &Part, tool: &EntityUid, is_group: impl Fn(&EntityUid) -> bool) -> bool {
    match resource {
        Part::Any => true,
        Part::Eq(one) => one == tool,
        Part::Is(kind) => kind == tool.type_name(),
        Part::In(one) => one == tool || is_group(one),
        Part::IsIn(kind, one) => kind == tool.type_name() && (one == tool || is_group(one)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Files;

    #[test]
    fn policies_are_found_by_operation_group_and_server_and_say_what_they_read() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let set = PolicySet::load(&Files::read(&directory).unwrap(), &[]).unwrap();
        let limit = vec!["limit".to_owned()];
        let sql = vec!["sql".to_owned()];
        let arguments = [("limit", limit.as_slice()), ("sql", sql.as_slice())];
        let found = set.reaching("workbench/db_read", &arguments);
        let shown: Vec<_> = found
            .iter()
            .map(|found| (found.id.as_str(), found.file.as_str(), found.reads.join(",")))
            .collect();
        let none = String::new;
        assert_eq!(
            shown,
            [
                ("admins-on-workbench", "workbench-people.cedar", none()),
                ("developers-on-workbench", "workbench-people.cedar", none()),
                (
                    "large-queries-are-for-admins",
                    "workbench-limits.cedar",
                    "limit".to_owned()
                ),
                (
                    "semi-trusted-agents-on-workbench",
                    "workbench-agents.cedar",
                    none()
                ),
                ("trusted-agents-on-workbench", "workbench-agents.cedar", none()),
                ("untrusted-agents-on-workbench", "workbench-agents.cedar", none()),
                ("viewers-on-workbench", "workbench-people.cedar", none()),
            ]
        );
        let info: Vec<String> = set
            .reaching("info/get_public_info", &[])
            .into_iter()
            .map(|found| found.id)
            .collect();
        assert_eq!(
            info,
            ["agents-of-every-tier-on-info", "public-info-needs-its-scope"]
        );
        assert_eq!(set.reaching("info/nothing", &[]), []);
    }
}
