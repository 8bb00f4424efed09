//! Identities, tools and resources as Cedar entities.
//!
//! What doesn't change between calls is built when the directory is loaded: for each action one small store that holds it with its
//! groups (without them `action in …` is false, and a group's forbid would silently not match), and for a tool the tool. A call adds
//! its principals, its resource, and what its candidates' conditions look up by name. Each of them carries all of its
//! ancestors, so the roles, paths and tiers themselves need not be there.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema};
use jiff::Timestamp;

use crate::identity::{Acting, Actor, User, Workload};
use crate::spiffe::SpiffeId;

/// The names of the entity types, parsed once.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Types {
    pub(in crate::policy) action: EntityTypeName,
    pub(in crate::policy) user: EntityTypeName,
    pub(in crate::policy) workload: EntityTypeName,
    pub(in crate::policy) workload_path: EntityTypeName,
    pub(in crate::policy) trust_domain: EntityTypeName,
    pub(in crate::policy) agent: EntityTypeName,
    pub(in crate::policy) oauth_client: EntityTypeName,
    pub(in crate::policy) role: EntityTypeName,
    pub(in crate::policy) group: EntityTypeName,
    pub(in crate::policy) tenant: EntityTypeName,
    pub(in crate::policy) server: EntityTypeName,
    pub(in crate::policy) tool: EntityTypeName,
    pub(in crate::policy) tool_group: EntityTypeName,
    pub(in crate::policy) resource: EntityTypeName,
    pub(in crate::policy) prompt: EntityTypeName,
    pub(in crate::policy) session: EntityTypeName,
}

/// Why an entity or a request can't be built. None is expected: ids are any text, attributes have fixed types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't build the request's entities: {0}")]
pub struct BuildError(pub(in crate::policy) String);

/// `Type::"id"`, whatever the id's characters.
pub(in crate::policy) fn uid(type_name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
}

impl Types {
    pub(in crate::policy) fn new() -> Result<Self, BuildError> {
        let name = |text: &str| text.parse().map_err(|_| BuildError(format!("no type `{text}`")));
        Ok(Self {
            action: name("Action")?,
            user: name("User")?,
            workload: name("Workload")?,
            workload_path: name("WorkloadPath")?,
            trust_domain: name("TrustDomain")?,
            agent: name("Agent")?,
            oauth_client: name("OAuthClient")?,
            role: name("Role")?,
            group: name("Group")?,
            tenant: name("Tenant")?,
            server: name("Server")?,
            tool: name("Tool")?,
            tool_group: name("ToolGroup")?,
            resource: name("Resource")?,
            prompt: name("Prompt")?,
            session: name("Session")?,
        })
    }
}

/// What is the same for every call.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Fixed {
    pub(in crate::policy) types: Types,
    /// All ancestors of each entity of entities.json.
    ancestors: HashMap<EntityUid, Vec<EntityUid>>,
    /// For each action: itself with its groups, and its tool.
    stores: HashMap<String, Entities>,
    /// What conditions look up by name, as far as it is there.
    looked_up: HashMap<EntityUid, Entity>,
}

/// A tool as the inventory describes it.
#[derive(Debug, Clone)]
pub(in crate::policy) struct ToolEntity<'a> {
    /// `<server>/<tool>`
    pub(in crate::policy) action: &'a str,
    pub(in crate::policy) server: &'a str,
    pub(in crate::policy) groups: &'a [String],
    pub(in crate::policy) pinned: bool,
    pub(in crate::policy) destructive: bool,
    pub(in crate::policy) open_world: bool,
}

impl Fixed {
    /// Builds the stores of every action of the schema.
    ///
    /// `declared` are the entities of entities.json, `named` those that conditions of policies look up.
    pub(in crate::policy) fn new<'a>(
        schema: &Schema,
        declared: &Entities,
        named: &BTreeSet<EntityUid>,
        tools: impl IntoIterator<Item = ToolEntity<'a>>,
    ) -> Result<Self, BuildError> {
        let types = Types::new()?;
        let ancestors = declared
            .iter()
            .filter(|entity| *entity.uid().type_name() != types.action)
            .map(|entity| (entity.uid(), ancestors_in(declared, &entity.uid())))
            .collect();
        let mut fixed = Self {
            types,
            ancestors,
            stores: HashMap::new(),
            looked_up: HashMap::new(),
        };
        let tools: HashMap<EntityUid, Entity> = tools
            .into_iter()
            .map(|tool| fixed.tool(&tool).map(|entity| (entity.uid(), entity)))
            .collect::<Result<_, BuildError>>()?;
        let actions = schema.action_entities().map_err(build)?;
        for uid in named {
            let known = declared.get(uid).or_else(|| actions.get(uid));
            // Under its own id; an action comes with its groups.
            if let Some(entity) = known.or_else(|| tools.get(uid)) {
                fixed.looked_up.insert(uid.clone(), entity.clone());
            }
        }
        for action in actions.iter() {
            let name = action.uid().id().unescaped().to_owned();
            let groups = ancestors_in(&actions, &action.uid());
            let groups = groups.iter().filter_map(|group| actions.get(group));
            let tool = tools.get(&uid(&fixed.types.tool, &name));
            let entities = groups.chain([action]).chain(tool).cloned();
            let store = Entities::from_entities(entities, None).map_err(build)?;
            fixed.stores.insert(name, store);
        }
        Ok(fixed)
    }

    /// The stores of all actions, by their names.
    pub(in crate::policy) const fn stores(&self) -> &HashMap<String, Entities> {
        &self.stores
    }

    /// The store of an action, without principals and without resources other than its tool.
    pub(in crate::policy) fn store(&self, action: &str) -> Option<&Entities> {
        self.stores.get(action)
    }

    /// These entities, and those of `uids` that are known and not among them.
    pub(in crate::policy) fn with(
        &self,
        entities: Entities,
        uids: &BTreeSet<EntityUid>,
    ) -> Result<Entities, BuildError> {
        let added: Vec<Entity> = uids
            .iter()
            .filter(|uid| entities.get(uid).is_none())
            .filter_map(|uid| self.looked_up.get(uid).cloned())
            .collect();
        if added.is_empty() {
            return Ok(entities);
        }
        entities.add_entities(added, None).map_err(build)
    }

    /// The entity of a tool.
    pub(in crate::policy) fn tool(&self, tool: &ToolEntity<'_>) -> Result<Entity, BuildError> {
        let groups = tool.groups.iter().map(|group| uid(&self.types.tool_group, group));
        let parents = self.with_ancestors(groups.chain([uid(&self.types.server, tool.server)]));
        let attributes = [
            ("pinned", RestrictedExpression::new_bool(tool.pinned)),
            ("destructive", RestrictedExpression::new_bool(tool.destructive)),
            ("openWorld", RestrictedExpression::new_bool(tool.open_world)),
        ];
        entity(uid(&self.types.tool, tool.action), attributes, parents)
    }

    /// The id of a user: the issuer has no fragment (RFC 8414 §2), so the first `#` ends it.
    pub(in crate::policy) fn user_uid(&self, user: &User) -> EntityUid {
        uid(&self.types.user, &format!("{}#{}", user.issuer, user.subject))
    }

    /// The entity of a user, with what a step-up at this time would put in the token's place.
    pub(in crate::policy) fn user(
        &self,
        user: &User,
        step: &StepUp,
        now: Timestamp,
    ) -> Result<Entity, BuildError> {
        let types = &self.types;
        let roles = user.roles.iter().map(|role| uid(&types.role, role));
        let groups = user.groups.iter().map(|group| uid(&types.group, group));
        let tenants = user.tenants.iter().map(|tenant| uid(&types.tenant, tenant));
        let parents = self.with_ancestors(roles.chain(groups).chain(tenants));
        let scopes = user.scopes.iter().chain(&step.scopes);
        let mut attributes = vec![
            ("issuer", text(&user.issuer)),
            ("subject", text(&user.subject)),
            ("username", text(&user.username)),
            (
                "tenants",
                RestrictedExpression::new_set(user.tenants.iter().map(|tenant| text(tenant))),
            ),
            (
                "scopes",
                RestrictedExpression::new_set(scopes.map(|scope| text(scope))),
            ),
        ];
        let optional = [
            ("email", user.email.as_ref()),
            ("acr", step.acr.as_ref().or(user.acr.as_ref())),
            ("clientId", user.client_id.as_ref()),
        ];
        attributes.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, text(value?)))),
        );
        let login = step.max_age.map(|_| now).or(user.authenticated);
        attributes.extend(login.map(|at| ("authenticated", datetime(at))));
        entity(self.user_uid(user), attributes, parents)
    }

    /// The id of a workload.
    pub(in crate::policy) fn workload_uid(&self, workload: &Workload) -> EntityUid {
        uid(&self.types.workload, workload.spiffe_id.as_str())
    }

    /// The entity of a workload, in the path of each prefix of its id.
    pub(in crate::policy) fn workload(&self, workload: &Workload) -> Result<Entity, BuildError> {
        let id = &workload.spiffe_id;
        let attributes = [
            ("spiffeId", text(id.as_str())),
            ("trustDomain", text(id.trust_domain())),
            ("path", text(id.path())),
        ];
        entity(self.workload_uid(workload), attributes, self.above_workload(id))
    }

    /// What a workload is in: the path of each prefix of its id, its trust domain, and what those are in.
    pub(in crate::policy) fn above_workload(&self, id: &SpiffeId) -> HashSet<EntityUid> {
        let paths = prefixes(id).map(|path| uid(&self.types.workload_path, path));
        let domain = uid(&self.types.trust_domain, id.trust_domain());
        self.with_ancestors(paths.chain([domain]))
    }

    /// The entities of entities.json, each with all that it is in.
    pub(in crate::policy) fn declared(&self) -> impl Iterator<Item = (&EntityUid, &[EntityUid])> {
        self.ancestors.iter().map(|(uid, above)| (uid, above.as_slice()))
    }

    /// The id of an actor.
    pub(in crate::policy) fn actor_uid(&self, actor: &Actor) -> EntityUid {
        match &actor.current {
            Acting::Workload(workload) => self.workload_uid(workload),
            Acting::Agent(agent) => uid(&self.types.agent, agent.key()),
        }
    }

    /// The entity of an actor: a workload's, or an agent's, in its OAuth client and what that is in.
    pub(in crate::policy) fn actor(&self, actor: &Actor) -> Result<Entity, BuildError> {
        let agent = match &actor.current {
            Acting::Workload(workload) => return self.workload(workload),
            Acting::Agent(agent) => agent,
        };
        let client = agent.client_id.as_ref();
        let client_uid =
            client.map(|client| uid(&self.types.oauth_client, &format!("{}#{client}", agent.issuer)));
        let optional = [("subject", agent.subject.as_ref()), ("clientId", client)];
        let attributes = optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, text(value?))))
            .chain([("issuer", text(&agent.issuer))]);
        let parents = self.with_ancestors(client_uid.into_iter());
        entity(self.actor_uid(actor), attributes, parents)
    }

    /// An entity below a server: a resource, a prompt or a session.
    pub(in crate::policy) fn below_server(
        &self,
        id: EntityUid,
        attribute: Option<(&str, &str)>,
        server: &str,
    ) -> Result<Entity, BuildError> {
        let attributes = attribute.map(|(name, value)| (name, text(value)));
        entity(id, attributes, HashSet::from([uid(&self.types.server, server)]))
    }

    /// These parents and all of theirs.
    pub(in crate::policy) fn with_ancestors(
        &self,
        parents: impl Iterator<Item = EntityUid>,
    ) -> HashSet<EntityUid> {
        let mut all = HashSet::new();
        for parent in parents {
            if let Some(ancestors) = self.ancestors.get(&parent) {
                all.extend(ancestors.iter().cloned());
            }
            all.insert(parent);
        }
        all
    }
}

/// What a stronger login would add to a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepUp {
    /// Scopes that the token lacks.
    pub scopes: BTreeSet<String>,
    /// The `acr` that the login would need (RFC 9470).
    pub acr: Option<String>,
    /// How old the login may be, in seconds.
    pub max_age: Option<u64>,
}

impl StepUp {
    /// Whether it takes another login, rather than more scopes alone.
    #[must_use]
    pub const fn is_login(&self) -> bool {
        self.acr.is_some() || self.max_age.is_some()
    }
}

/// The prefixes of a SPIFFE ID by whole segments, the whole id included.
pub(in crate::policy) fn prefixes(id: &SpiffeId) -> impl Iterator<Item = &str> {
    let text = id.as_str();
    let path_start = text.len().saturating_sub(id.path().len());
    let slashes = text
        .match_indices('/')
        .map(|(at, _)| at)
        .filter(move |at| *at > path_start);
    slashes
        .chain([text.len()])
        .filter_map(move |end| text.get(..end))
        .filter(move |prefix| prefix.len() > path_start)
}

fn ancestors_in(entities: &Entities, id: &EntityUid) -> Vec<EntityUid> {
    entities
        .ancestors(id)
        .map(|ancestors| ancestors.cloned().collect())
        .unwrap_or_default()
}

/// Cedar's `datetime` counts in milliseconds.
pub(in crate::policy) fn datetime(at: Timestamp) -> RestrictedExpression {
    RestrictedExpression::new_datetime(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn entity<'a>(
    id: EntityUid,
    attributes: impl IntoIterator<Item = (&'a str, RestrictedExpression)>,
    parents: HashSet<EntityUid>,
) -> Result<Entity, BuildError> {
    let attributes = attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Entity::new(id, attributes, parents).map_err(build)
}

/// Any error of Cedar in building.
pub(in crate::policy) fn build(error: impl std::fmt::Display) -> BuildError {
    BuildError(error.to_string())
}
