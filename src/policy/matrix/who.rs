//! Whom a matrix is about: people and workloads of whom everything is known, and roles, tiers and paths of which only that is.
//!
//! In: the names that were declared, the tests' people. Out: [`Who`]: one principal, or a person through a workload, who are both
//! asked. A role stands for a person who has it and no other role, group or tenant, whose token is unknown, and whom no policy
//! names; a tier, a path and an OAuth client likewise.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use cedar_policy::{Entity, EntityUid, PartialEntity, RestrictedExpression, Schema};
use jiff::Timestamp;

use super::super::verdict::Principal;
use crate::identity::{User, Workload};
use crate::policy::ask::entities::{BuildError, Fixed, StepUp, build, prefixes, uid};
use crate::spiffe::SpiffeId;

/// One principal of a matrix, as its author names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Somebody who is in a declared `Role`, `Group` or `Tenant` (the kind), and in nothing else.
    Person(String, String),
    /// A workload that is in a declared `TrustTier` or `TrustDomain` (the kind), and in nothing else.
    Agent(String, String),
    /// Any workload below a path, whatever else its id is.
    Path(String),
    /// An agent that is a declared OAuth client.
    Client(String),
    /// A person with a name.
    User(String, Arc<User>),
    /// A workload with a name.
    Workload(String, Arc<Workload>),
}

impl Subject {
    /// A declared entity; `None` if it is nobody who could call.
    pub(super) fn declared(entity: &EntityUid) -> Option<Self> {
        let id = entity.id().unescaped().to_owned();
        let kind = entity.type_name().to_string();
        match kind.as_str() {
            "Role" | "Group" | "Tenant" => Some(Self::Person(kind, id)),
            "TrustTier" | "TrustDomain" => Some(Self::Agent(kind, id)),
            "WorkloadPath" => Some(Self::Path(id)),
            "OAuthClient" => Some(Self::Client(id)),
            _ => None,
        }
    }

    /// People before workloads, wide kinds before narrow ones.
    pub(super) fn rank(&self) -> usize {
        let kinds = [
            "role", "group", "tenant", "user", "tier", "domain", "path", "workload", "client",
        ];
        kinds
            .iter()
            .position(|kind| *kind == self.kind())
            .unwrap_or(kinds.len())
    }

    /// The same with the file's name, where another file has somebody else of that name.
    pub(super) fn named_in(self, path: &str) -> Self {
        match self {
            Self::User(name, user) => Self::User(format!("{name} ({path})"), user),
            Self::Workload(name, workload) => Self::Workload(format!("{name} ({path})"), workload),
            other => other,
        }
    }

    /// What kind it is, as a matrix writes it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Person(kind, _) => match kind.as_str() {
                "Role" => "role",
                "Group" => "group",
                _ => "tenant",
            },
            Self::Agent(kind, _) if kind == "TrustTier" => "tier",
            Self::Agent(..) => "domain",
            Self::Path(_) => "path",
            Self::Client(_) => "client",
            Self::User(..) => "user",
            Self::Workload(..) => "workload",
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Person(_, name)
            | Self::Agent(_, name)
            | Self::Path(name)
            | Self::Client(name)
            | Self::User(name, _)
            | Self::Workload(name, _) => name,
        }
    }

    /// Whether it is asked as a person.
    #[must_use]
    pub const fn is_person(&self) -> bool {
        matches!(self, Self::Person(..) | Self::User(..))
    }

    const fn principal(&self) -> Principal {
        match self {
            Self::Person(..) | Self::User(..) => Principal::User,
            Self::Agent(..) | Self::Path(_) | Self::Workload(..) => Principal::Workload,
            Self::Client(_) => Principal::Actor,
        }
    }
}

/// Who calls: one principal, or several who are each asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// A person first.
    pub subjects: Vec<Subject>,
}

impl Who {
    /// The name, as a matrix heads its column with it.
    #[must_use]
    pub fn title(&self) -> String {
        let names: Vec<String> = self
            .subjects
            .iter()
            .map(|subject| format!("{} {}", subject.kind(), subject.name()))
            .collect();
        names.join(" + ")
    }
}

/// A principal as entities.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) principal: Principal,
    pub(super) uid: EntityUid,
    /// `None` where they are unknown.
    attributes: Option<BTreeMap<String, RestrictedExpression>>,
    ancestors: HashSet<EntityUid>,
}

impl Asked {
    pub(super) fn of(subject: &Subject, fixed: &Fixed) -> Result<Self, BuildError> {
        let types = &fixed.types;
        let known = |entity: Entity| {
            let (id, attributes, ancestors) = entity.into_inner();
            Self {
                principal: subject.principal(),
                uid: id,
                attributes: Some(attributes.into_iter().collect()),
                ancestors,
            }
        };
        let nameless = |type_name, parents: Vec<EntityUid>| Self {
            principal: subject.principal(),
            uid: uid(type_name, &format!("any {} {}", subject.kind(), subject.name())),
            attributes: None,
            ancestors: fixed.with_ancestors(parents.into_iter()),
        };
        let parent = |kind: &str, id: &str| -> Result<EntityUid, BuildError> {
            Ok(uid(&kind.parse().map_err(build)?, id))
        };
        Ok(match subject {
            Subject::User(_, user) => known(fixed.user(user, &StepUp::default(), Timestamp::UNIX_EPOCH)?),
            Subject::Workload(_, workload) => known(fixed.workload(workload)?),
            Subject::Person(kind, id) => nameless(&types.user, vec![parent(kind, id)?]),
            Subject::Agent(kind, id) => nameless(&types.workload, vec![parent(kind, id)?]),
            Subject::Client(id) => nameless(&types.agent, vec![uid(&types.oauth_client, id)]),
            Subject::Path(path) => {
                let id = SpiffeId::parse(path).map_err(build)?;
                let paths = prefixes(&id).map(|path| uid(&types.workload_path, path));
                let domain = uid(&types.trust_domain, id.trust_domain());
                nameless(&types.workload, paths.chain([domain]).collect())
            }
        })
    }

    /// The attribute of the context that names it.
    pub(super) const fn in_context(&self) -> &'static [&'static str] {
        match self.principal {
            Principal::User => &["user"],
            Principal::Workload => &["workload"],
            // An agent acts, so that no workload does.
            Principal::Actor => &["agent", "actingWorkload"],
        }
    }

    /// As plain Cedar takes it, to find policies by their scopes.
    pub(super) fn entity(&self) -> Result<Entity, BuildError> {
        Entity::new(
            self.uid.clone(),
            std::collections::HashMap::new(),
            self.ancestors.clone(),
        )
        .map_err(build)
    }

    pub(super) fn partial(&self, schema: &Schema) -> Result<PartialEntity, BuildError> {
        let attributes = self.attributes.as_ref().map(|attributes| {
            let owned = attributes.iter();
            owned.map(|(name, value)| (name.into(), value.clone())).collect()
        });
        PartialEntity::new(
            self.uid.clone(),
            attributes,
            Some(self.ancestors.clone()),
            Some(BTreeMap::new()),
            schema,
        )
        .map_err(build)
    }
}
