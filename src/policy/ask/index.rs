//! Where policies are found by their scopes, so that a call meets those that can apply and no others.
//!
//! Made when the directory is loaded. What is found is just what a request is in the scope of: each form that a scope can
//! have is a key of its own, and a request has the keys of all forms that hold it. So what a look costs depends on what the
//! principal and the resource are in and on what is found, not on how many policies there are; and nothing that isn't found is
//! touched.

use std::collections::HashMap;

use cedar_policy::{Entities, EntityTypeName, EntityUid, Request};

use super::scope::{Actions, Part, Scope};

/// Policies by their places in a list.
type Places = Vec<usize>;

/// Policies by the action of their scope, then its principal, then its resource.
#[derive(Debug, Default)]
pub(in crate::policy) struct Index {
    names: Names,
    actions: HashMap<Key, HashMap<Key, HashMap<Key, Places>>>,
    policies: usize,
}

/// The entities and types of scopes, numbered: a request's are looked up here once each.
#[derive(Debug, Default)]
struct Names {
    entities: HashMap<EntityUid, usize>,
    types: HashMap<EntityTypeName, usize>,
}

/// More policies than a request should meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Crowd {
    /// How many.
    pub(in crate::policy) policies: usize,
    /// How many of them have the same scope.
    pub(in crate::policy) alike: usize,
    /// The place of one of those.
    pub(in crate::policy) one: usize,
}

/// One form of a scope's part, by the numbers of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Any,
    Is(usize),
    Eq(usize),
    In(usize),
    IsIn(usize, usize),
}

impl Key {
    /// What a principal must be, or be in, to have it.
    const fn entity(self) -> Option<usize> {
        match self {
            Self::Any | Self::Is(_) => None,
            Self::Eq(entity) | Self::In(entity) | Self::IsIn(_, entity) => Some(entity),
        }
    }
}

impl Names {
    fn entity(&mut self, uid: &EntityUid) -> usize {
        let next = self.entities.len();
        *self.entities.entry(uid.clone()).or_insert(next)
    }

    fn type_name(&mut self, type_name: &EntityTypeName) -> usize {
        let next = self.types.len();
        *self.types.entry(type_name.clone()).or_insert(next)
    }

    fn key(&mut self, part: &Part) -> Key {
        match part {
            Part::Any => Key::Any,
            Part::Is(type_name) => Key::Is(self.type_name(type_name)),
            Part::Eq(uid) => Key::Eq(self.entity(uid)),
            Part::In(uid) => Key::In(self.entity(uid)),
            Part::IsIn(type_name, uid) => Key::IsIn(self.type_name(type_name), self.entity(uid)),
        }
    }

    /// The keys that hold an entity: no other form of a scope does.
    fn keys(&self, uid: &EntityUid, entities: &Entities) -> Vec<Key> {
        let mut keys = vec![Key::Any];
        let type_name = self.types.get(uid.type_name()).copied();
        keys.extend(type_name.map(Key::Is));
        keys.extend(self.entities.get(uid).map(|entity| Key::Eq(*entity)));
        let ancestors = entities.ancestors(uid).into_iter().flatten();
        // Everything is in itself.
        for within in std::iter::once(uid).chain(ancestors) {
            if let Some(&within) = self.entities.get(within) {
                keys.push(Key::In(within));
                keys.extend(type_name.map(|type_name| Key::IsIn(type_name, within)));
            }
        }
        keys
    }
}

impl Index {
    /// Puts each policy where its scope says.
    pub(in crate::policy) fn new<'a>(scopes: impl Iterator<Item = &'a Scope>) -> Self {
        let mut index = Self::default();
        for (place, scope) in scopes.enumerate() {
            index.policies = place.saturating_add(1);
            let principal = index.names.key(&scope.principal);
            let resource = index.names.key(&scope.resource);
            let mut actions: Vec<Key> = match &scope.actions {
                Actions::Any => vec![Key::Any],
                Actions::Eq(action) => vec![Key::Eq(index.names.entity(action))],
                Actions::In(actions) => actions
                    .iter()
                    .map(|action| Key::In(index.names.entity(action)))
                    .collect(),
            };
            // `in [a, a]`
            actions.sort_unstable_by_key(|action| match action {
                Key::In(entity) => *entity,
                _ => 0,
            });
            actions.dedup();
            for action in actions {
                let principals = index.actions.entry(action).or_default();
                let resources = principals.entry(principal).or_default();
                resources.entry(resource).or_default().push(place);
            }
        }
        index
    }

    /// The policies that a request for this may meet, of a principal that is, or is in, one of the things that they name. Nothing if they
    /// aren't more than `most`.
    pub(in crate::policy) fn crowd(
        &self,
        action: &EntityUid,
        resource: &EntityUid,
        entities: &Entities,
        most: usize,
    ) -> Option<Crowd> {
        let keys = self.names.keys(action, entities).into_iter();
        let by_principal: Vec<_> = keys.filter_map(|key| self.actions.get(&key)).collect();
        let all = by_principal.iter().flat_map(|principals| principals.values());
        let all: usize = all.flat_map(HashMap::values).map(Vec::len).sum();
        if all <= most {
            return None;
        }
        let resources = self.names.keys(resource, entities);
        // By what the principal is or is in: how many, and those of the fullest bucket.
        let mut met: HashMap<Option<usize>, (usize, &Places)> = HashMap::new();
        for (principal, by_resource) in by_principal.into_iter().flatten() {
            for places in resources.iter().filter_map(|key| by_resource.get(key)) {
                let (count, fullest) = met.entry(principal.entity()).or_insert((0, places));
                *count = count.saturating_add(places.len());
                if fullest.len() < places.len() {
                    *fullest = places;
                }
            }
        }
        let by_anybody = met.remove(&None);
        let by_one = met.into_values().max_by_key(|(count, _)| *count);
        let both = || by_anybody.iter().chain(&by_one);
        let policies = both().map(|(count, _)| count).sum();
        let fullest = both()
            .map(|(_, fullest)| *fullest)
            .max_by_key(|places| places.len())?;
        (policies > most).then_some(Crowd {
            policies,
            alike: fullest.len(),
            one: *fullest.first()?,
        })
    }

    /// The places of all policies whose scope holds this request, in order.
    pub(in crate::policy) fn find(&self, request: &Request, entities: &Entities) -> Places {
        let (Some(principal), Some(action), Some(resource)) =
            (request.principal(), request.action(), request.resource())
        else {
            // Requests are made whole; of one that weren't, every policy could be about it.
            return (0..self.policies).collect();
        };
        let principals = self.names.keys(principal, entities);
        let resources = self.names.keys(resource, entities);
        let mut found = Places::new();
        for action in self.names.keys(action, entities) {
            let Some(by_principal) = self.actions.get(&action) else {
                continue;
            };
            for by_resource in principals.iter().filter_map(|key| by_principal.get(key)) {
                let places = resources.iter().filter_map(|key| by_resource.get(key));
                found.extend(places.flatten());
            }
        }
        found.sort_unstable();
        // `action in [a, b]` holds an action that is in both twice.
        found.dedup();
        found
    }
}
