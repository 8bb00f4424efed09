//! Everything that a call can be about and whom it can be of, as far as a scope can tell it apart: from the schema, the tools and
//! the declared entities.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{EntityTypeName, EntityUid, Schema};

use crate::inventory::Inventory;
use crate::policy::BuildError;
use crate::policy::ask::entities::{Fixed, build, uid};
use crate::policy::ask::scope::Actions;
use crate::spiffe::SpiffeId;

/// A server of which no policy can say anything by name: one without tools.
const ANOTHER_SERVER: &str = "";

/// What calls can be about, and of whom.
pub(in crate::policy) struct World<'a> {
    schema: &'a Schema,
    principals: BTreeSet<&'a EntityTypeName>,
    pub(in crate::policy) fixed: &'a Fixed,
    /// Every action with every thing that it can be about, in the order of their names.
    pub(in crate::policy) spots: Vec<Spot>,
    /// The places of the spots of each action, and of each group of actions.
    by_action: HashMap<EntityUid, Vec<usize>>,
}

/// An action before a resource.
pub(in crate::policy) struct Spot {
    pub(in crate::policy) action: EntityUid,
    pub(in crate::policy) about: About,
}

/// A resource, as far as it is known before a call.
pub(in crate::policy) enum About {
    /// This one.
    One(EntityUid, HashSet<EntityUid>),
    /// Any of this type below a server: its id is the client's.
    AnyOf(EntityTypeName, EntityUid),
}

/// The servers and tools.
struct Things<'a> {
    fixed: &'a Fixed,
    servers: Vec<EntityUid>,
    /// By their actions: what each is in.
    tools: HashMap<&'a str, HashSet<EntityUid>>,
}

impl<'a> Things<'a> {
    fn of(fixed: &'a Fixed, inventory: &'a Inventory) -> Self {
        let types = &fixed.types;
        let names = inventory.iter().map(|server| server.name.as_str());
        let servers = names.chain([ANOTHER_SERVER]).map(|name| uid(&types.server, name));
        let tools = inventory
            .iter()
            .flat_map(|server| server.iter().map(move |tool| (server, tool)))
            .map(|(server, tool)| {
                let groups = tool.groups.iter().map(|group| uid(&types.tool_group, group));
                let parents = groups.chain([uid(&types.server, server.name.as_str())]);
                (tool.action.as_str(), fixed.with_ancestors(parents))
            });
        Self {
            fixed,
            servers: servers.collect(),
            tools: tools.collect(),
        }
    }

    /// What an action can be about, of a type.
    fn of_type(&self, type_name: &EntityTypeName, action: &EntityUid) -> Vec<About> {
        let types = &self.fixed.types;
        let name = action.id().unescaped();
        let servers = self.servers.iter().cloned();
        if *type_name == types.tool {
            let above = self.tools.get(name).cloned();
            let tool = above.map(|above| About::One(uid(&types.tool, name), above));
            tool.into_iter().collect()
        } else if *type_name == types.server {
            servers.map(|server| About::One(server, HashSet::new())).collect()
        } else {
            servers
                .map(|server| About::AnyOf(type_name.clone(), server))
                .collect()
        }
    }
}

impl<'a> World<'a> {
    pub(in crate::policy) fn new(
        schema: &'a Schema,
        fixed: &'a Fixed,
        inventory: &Inventory,
    ) -> Result<Self, BuildError> {
        let things = Things::of(fixed, inventory);
        let actions = schema.action_entities().map_err(build)?;
        let names: BTreeMap<String, &EntityUid> = schema
            .actions()
            .map(|action| (action.to_string(), action))
            .collect();
        let (mut spots, mut by_action) = (Vec::new(), HashMap::<EntityUid, Vec<usize>>::new());
        for action in names.into_values() {
            let first = spots.len();
            let about = schema.resources_for_action(action).into_iter().flatten();
            let about: BTreeSet<&EntityTypeName> = about.collect();
            let things = about
                .into_iter()
                .flat_map(|type_name| things.of_type(type_name, action));
            spots.extend(things.map(|about| Spot {
                action: action.clone(),
                about,
            }));
            let above = actions.ancestors(action).into_iter().flatten();
            for group in above.chain([action]) {
                by_action
                    .entry(group.clone())
                    .or_default()
                    .extend(first..spots.len());
            }
        }
        Ok(Self {
            schema,
            principals: schema.principals().collect(),
            fixed,
            spots,
            by_action,
        })
    }

    /// The spots of these actions, by their places.
    pub(in crate::policy) fn acting(&self, actions: &Actions) -> BTreeMap<usize, &Spot> {
        let of = |uid: &EntityUid| self.by_action.get(uid).into_iter().flatten().copied();
        let at = |place: usize| Some((place, self.spots.get(place)?));
        match actions {
            Actions::Any => self.spots.iter().enumerate().collect(),
            Actions::Eq(uid) => of(uid)
                .filter_map(at)
                .filter(|(_, spot)| spot.action == *uid)
                .collect(),
            Actions::In(uids) => uids.iter().flat_map(of).filter_map(at).collect(),
        }
    }

    /// The types of principal that can be in an entity, or be it.
    pub(in crate::policy) fn principals_in(&self, uid: &EntityUid) -> BTreeSet<&EntityTypeName> {
        let principals = self.principals.iter().copied();
        principals
            .filter(|type_name| {
                let mut above = self.schema.ancestors(type_name).into_iter().flatten();
                *type_name == uid.type_name() || above.any(|above| above == uid.type_name())
            })
            .collect()
    }

    /// All types of principal.
    pub(in crate::policy) fn principals(&self) -> &BTreeSet<&EntityTypeName> {
        &self.principals
    }

    /// Whether whatever is in the one is in the other, too, or both are the same.
    pub(in crate::policy) fn within(&self, one: &EntityUid, other: &EntityUid) -> bool {
        one == other || self.above(one).contains(other)
    }

    /// What a principal, or what it is in, is in besides: declared, and for workloads and their paths what their ids say.
    fn above(&self, uid: &EntityUid) -> HashSet<EntityUid> {
        let types = &self.fixed.types;
        let by_id = *uid.type_name() == types.workload || *uid.type_name() == types.workload_path;
        let id = SpiffeId::parse(uid.id().unescaped()).ok().filter(|_| by_id);
        let mut above = self.fixed.with_ancestors(std::iter::once(uid.clone()));
        if let Some(id) = id {
            above.extend(self.fixed.above_workload(&id));
        }
        above
    }

    /// Whether a call can bring a principal that is in this entity.
    pub(in crate::policy) fn is_populated(&self, uid: &EntityUid) -> bool {
        let types = &self.fixed.types;
        // What tokens and SPIFFE IDs say, whether it is declared or not.
        let told = [
            &types.role,
            &types.group,
            &types.tenant,
            &types.workload_path,
            &types.trust_domain,
            &types.oauth_client,
        ];
        self.principals.contains(uid.type_name())
            || told.contains(&uid.type_name())
            || self
                .fixed
                .declared()
                .any(|(one, above)| told.contains(&one.type_name()) && above.contains(uid))
    }
}
