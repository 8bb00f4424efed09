//! What a matrix is about: tools, and what MCP itself asks a server for.

use cedar_policy::{EntityTypeName, EntityUid, Policy, ResourceConstraint};

use super::super::PolicySet;
use crate::policy::ask::actions::asked;
use crate::policy::ask::entities::uid;

/// Something that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    /// The server.
    pub server: String,
    /// The tool; `None` for an action of MCP itself.
    pub tool: Option<String>,
    /// The action that policies are asked about.
    pub action: String,
    /// What it is done to: one tool, one server, or each resource, prompt or session that policies name and one that none names.
    pub(super) targets: Vec<EntityUid>,
}

impl What {
    /// The name, as a matrix begins its row with it.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.tool {
            Some(_) => self.action.clone(),
            None => format!("{}: {}", self.server, self.action),
        }
    }
}

pub(super) fn callable(set: &PolicySet, protocol: bool) -> Vec<What> {
    let mut all = Vec::new();
    for server in set.inventory.iter() {
        let name = server.name.as_str();
        all.extend(server.iter().map(|tool| What {
            server: name.to_owned(),
            tool: Some(tool.name.clone()),
            action: tool.action.clone(),
            targets: vec![set.call_of(tool).resource],
        }));
        if protocol {
            all.extend(asked().map(|(action, types)| What {
                server: name.to_owned(),
                tool: None,
                action: action.to_owned(),
                targets: types.iter().flat_map(|kind| targets(set, name, kind)).collect(),
            }));
        }
    }
    all
}

/// Things of a type below a server.
fn targets(set: &PolicySet, server: &str, kind: &str) -> Vec<EntityUid> {
    let types = &set.fixed.types;
    let of = |type_name: &EntityTypeName| {
        // Of a link, the template's slot is filled in its scope alone.
        let named = set.engine.rules().flat_map(|rule| {
            rule.policy
                .entity_literals()
                .into_iter()
                .chain(in_scope(&rule.policy))
        });
        let mut named: Vec<EntityUid> = named
            .filter(|uid| uid.type_name() == type_name)
            .filter(|uid| *type_name != types.prompt || is_of(uid.id().unescaped(), server))
            .collect();
        named.sort();
        named.dedup();
        named.push(uid(type_name, &format!("{server}/any {kind}")));
        named
    };
    match kind {
        "Resource" => of(&types.resource),
        "Prompt" => of(&types.prompt),
        "Session" => of(&types.session),
        _ => vec![uid(&types.server, server)],
    }
}

/// The resource that a policy's scope names.
fn in_scope(policy: &Policy) -> Option<EntityUid> {
    match policy.resource_constraint() {
        ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
            Some(uid)
        }
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
    }
}

/// A prompt's id is `<server>/<prompt>`.
fn is_of(id: &str, server: &str) -> bool {
    id.strip_prefix(server).is_some_and(|rest| rest.starts_with('/'))
}
