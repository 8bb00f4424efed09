//! Which calls the scope of a policy holds, as far as that is known before any call: for authors, not for decisions.

use std::collections::BTreeMap;

use cedar_policy::{EntityTypeName, EntityUid};

use crate::policy::ask::evaluate::Rule;
use crate::policy::ask::scope::{Part, Scope};
pub(in crate::policy) use sides::Sides;
use world::About;
pub(in crate::policy) use world::World;

mod sides;
mod world;

/// The spots that a scope holds, by their places in the world.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::policy) struct Reach {
    spots: BTreeMap<usize, Extent>,
}

/// How much of a spot a scope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Extent {
    Whole,
    /// This resource alone, where its id is the client's.
    Only(EntityUid),
}

impl Reach {
    pub(in crate::policy) fn of(rule: &Rule, world: &World<'_>) -> Self {
        let Scope {
            actions, resource, ..
        } = &rule.scope;
        let held = world.acting(actions).into_iter();
        Self {
            spots: held
                .filter_map(|(place, spot)| Some((place, extent(resource, &spot.about)?)))
                .collect(),
        }
    }

    /// What it holds, by the places in the world.
    pub(in crate::policy) fn places(&self) -> impl ExactSizeIterator<Item = usize> {
        self.spots.keys().copied()
    }

    /// Whether no call can be in this scope.
    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// Whether this scope holds every spot that the other holds.
    pub(in crate::policy) fn holds(&self, other: &Self) -> bool {
        self.spots.len() >= other.spots.len()
            && other.spots.iter().all(|(place, extent)| {
                let own = self.spots.get(place);
                own.is_some_and(|own| *own == Extent::Whole || own == extent)
            })
    }

    /// Why no call can be in this scope, and what to look at.
    pub(in crate::policy) fn unreachable(&self, rule: &Rule, world: &World<'_>) -> Option<(String, String)> {
        let id = &rule.shown.id;
        if let Part::In(empty) | Part::IsIn(_, empty) = &rule.scope.principal
            && !world.is_populated(empty)
        {
            return Some((
                format!("`{id}` is for nobody: nothing is in {empty}"),
                "make it a parent of a path, a trust domain or a client in entities.json".to_owned(),
            ));
        }
        if !self.is_empty() {
            return None;
        }
        let acting = world.acting(&rule.scope.actions);
        let Some(first) = acting.values().next() else {
            return Some((
                format!("`{id}` is about no call: nothing is in the actions of its scope"),
                "name tools of tools/, or give tools this operation in their overrides".to_owned(),
            ));
        };
        let message = format!(
            "`{id}` is about no call: none of its actions is about {}",
            named(&rule.scope.resource)
        );
        Some((
            message,
            format!("{} is about {}", first.action, described(&first.about)),
        ))
    }
}

/// Whether every principal in the narrow scope is in the wide one.
pub(in crate::policy) fn of_the_same(wide: &Scope, narrow: &Scope, world: &World<'_>) -> bool {
    let narrow = &narrow.principal;
    let types = |of: &EntityTypeName| match narrow {
        Part::Any => world.principals().iter().all(|one| *one == of),
        Part::Is(type_name) | Part::IsIn(type_name, _) => type_name == of,
        Part::Eq(uid) => uid.type_name() == of,
        Part::In(uid) => world.principals_in(uid).iter().all(|one| *one == of),
    };
    let inside = |of: &EntityUid| match narrow {
        Part::Any | Part::Is(_) => false,
        Part::Eq(uid) | Part::In(uid) | Part::IsIn(_, uid) => world.within(uid, of),
    };
    match &wide.principal {
        Part::Any => true,
        Part::Is(type_name) => types(type_name),
        Part::In(uid) => inside(uid),
        Part::IsIn(type_name, uid) => types(type_name) && inside(uid),
        Part::Eq(uid) => matches!(narrow, Part::Eq(one) if one == uid),
    }
}

fn extent(resource: &Part, about: &About) -> Option<Extent> {
    let is = |type_name: &EntityTypeName| match about {
        About::One(uid, _) => uid.type_name() == type_name,
        About::AnyOf(own, _) => own == type_name,
    };
    let equal = |of: &EntityUid| match about {
        About::One(uid, _) => (uid == of).then_some(Extent::Whole),
        About::AnyOf(own, _) => (of.type_name() == own).then(|| Extent::Only(of.clone())),
    };
    let inside = |of: &EntityUid| match about {
        About::One(_, above) if above.contains(of) => Some(Extent::Whole),
        About::AnyOf(_, server) if server == of => Some(Extent::Whole),
        _ => equal(of),
    };
    match resource {
        Part::Any => Some(Extent::Whole),
        Part::Is(type_name) => is(type_name).then_some(Extent::Whole),
        Part::Eq(uid) => equal(uid),
        Part::In(uid) => inside(uid),
        Part::IsIn(type_name, uid) => inside(uid).filter(|_| is(type_name)),
    }
}

fn named(resource: &Part) -> String {
    match resource {
        Part::Any => "any resource".to_owned(),
        Part::Is(type_name) => format!("a {type_name}"),
        Part::Eq(uid) => uid.to_string(),
        Part::In(uid) => format!("anything in {uid}"),
        Part::IsIn(type_name, uid) => format!("a {type_name} in {uid}"),
    }
}

fn described(about: &About) -> String {
    match about {
        About::AnyOf(type_name, _) => format!("a {type_name}"),
        About::One(uid, above) if above.is_empty() => format!("a {}", uid.type_name()),
        About::One(uid, above) => {
            let mut above: Vec<String> = above.iter().map(ToString::to_string).collect();
            above.sort();
            format!("{uid}, which is in {}", above.join(", "))
        }
    }
}
