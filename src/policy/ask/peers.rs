//! Users whom no policy tells apart: they stand alike before a tool, and what is decided for one is decided for all.
//!
//! In: what the policies read of users ([`Telling`], found by `reads` when they are loaded), and a user. Out: [`Whose`], what a standing is
//! known by. Users are peers before an action if they are in the same roles, groups and tenants, if each attribute that a policy about the
//! action reads is the same, and if none of them is named by any policy. Wherever a policy uses a user as a value (compares it, puts it into
//! a set), everybody stands alone. What isn't known to be harmless is taken for that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cedar_policy::{Entities, EntityUid};
use jiff::Timestamp;
use serde_json::Value;

use super::entities::Types;
use super::evaluate::Rule;
use super::scope::{Actions, Part};
use super::telling::Telling;
use crate::identity::User;

/// What the policies of one directory can tell users apart by.
#[derive(Debug, Default)]
pub(in crate::policy) struct Peers {
    /// By the name of an action.
    actions: HashMap<String, Telling>,
    /// The users that policies name: their subjects, by their issuers.
    named: HashMap<String, HashSet<String>>,
}

/// Whose a standing is.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) enum Whose<'a> {
    /// No user's.
    Nobodys,
    /// That of this very user, known by the place in memory: one for each verified token.
    Ones(&'a Arc<User>),
    /// That of this user and of all peers.
    Peers(&'a Arc<User>, Telling),
}

impl Peers {
    /// Of these policies, before the actions of these stores.
    pub(in crate::policy) fn new<'a>(
        types: &Types,
        rules: impl Iterator<Item = &'a Rule>,
        stores: &HashMap<String, Entities>,
        declared: &Entities,
    ) -> Self {
        let mut of_any = Telling::default();
        let mut of_action: HashMap<&EntityUid, Telling> = HashMap::new();
        let mut of_group: HashMap<&EntityUid, Telling> = HashMap::new();
        let mut peers = Self::default();
        for rule in rules {
            peers.name_those_of(types, rule);
            let telling = rule.reads.users;
            match &rule.scope.actions {
                Actions::Any => of_any.also(telling),
                Actions::Eq(action) => of_action.entry(action).or_default().also(telling),
                Actions::In(groups) => groups
                    .iter()
                    .for_each(|group| of_group.entry(group).or_default().also(telling)),
            }
        }
        // No user can be declared, but an attribute or a tag of what is declared may name one.
        for entity in declared.iter() {
            match entity.to_json_value() {
                Ok(entity) => peers.name_those_in(types, &entity),
                Err(_) => of_any.identity = true,
            }
        }
        for (name, store) in stores {
            let action = super::entities::uid(&types.action, name);
            let above = store.ancestors(&action).into_iter().flatten();
            let groups: BTreeSet<&EntityUid> = above.chain([&action]).collect();
            let mut telling = of_any;
            let told = groups.iter().filter_map(|group| of_group.get(*group));
            told.chain(of_action.get(&action))
                .for_each(|told| telling.also(*told));
            peers.actions.insert(name.clone(), telling);
        }
        peers
    }

    /// Notes the users that a policy names, in its scope or in its conditions.
    fn name_those_of(&mut self, types: &Types, rule: &Rule) {
        let in_scope = |part: &Part| match part {
            Part::Any | Part::Is(_) => None,
            Part::Eq(uid) | Part::In(uid) | Part::IsIn(_, uid) => Some(uid.clone()),
        };
        let scope = [&rule.scope.principal, &rule.scope.resource];
        let named = scope.into_iter().filter_map(in_scope);
        for uid in named.chain(rule.reads.entities.iter().cloned()) {
            if *uid.type_name() == types.user {
                self.name(uid.id().unescaped());
            }
        }
    }

    /// Notes the users in a value of Cedar, as JSON.
    fn name_those_in(&mut self, types: &Types, value: &Value) {
        match value {
            Value::Object(members) => {
                let text = |name: &str| members.get(name).and_then(Value::as_str);
                if let (Some(kind), Some(id)) = (text("type"), text("id"))
                    && kind == types.user.basename()
                {
                    self.name(id);
                }
                members
                    .values()
                    .for_each(|value| self.name_those_in(types, value));
            }
            Value::Array(values) => values.iter().for_each(|value| self.name_those_in(types, value)),
            _ => {}
        }
    }

    fn name(&mut self, id: &str) {
        // As `Fixed::user_uid` puts it together.
        if let Some((issuer, subject)) = id.split_once('#') {
            let subjects = self.named.entry(issuer.to_owned()).or_default();
            subjects.insert(subject.to_owned());
        }
    }

    /// Whose the standing of a user before an action is.
    pub(in crate::policy) fn whose<'a>(&self, user: Option<&'a Arc<User>>, action: &str) -> Whose<'a> {
        let Some(user) = user else {
            return Whose::Nobodys;
        };
        match self.actions.get(action) {
            Some(telling) if !telling.identity && !self.names(user) => Whose::Peers(user, *telling),
            _ => Whose::Ones(user),
        }
    }

    /// An issuer that has a `#` would be cut elsewhere in the name of a user.
    fn names(&self, user: &User) -> bool {
        !self.named.is_empty()
            && (user.issuer.contains('#')
                || self
                    .named
                    .get(&user.issuer)
                    .is_some_and(|subjects| subjects.contains(&user.subject)))
    }
}

/// [`Whose`], kept: the user may be gone by now, but lies where no other can.
#[derive(Debug)]
pub(in crate::policy) enum Owner {
    Nobodys,
    Ones(Arc<User>),
    Peers(Arc<User>, Telling),
}

impl From<Whose<'_>> for Owner {
    fn from(whose: Whose<'_>) -> Self {
        match whose {
            Whose::Nobodys => Self::Nobodys,
            Whose::Ones(user) => Self::Ones(Arc::clone(user)),
            Whose::Peers(user, telling) => Self::Peers(Arc::clone(user), telling),
        }
    }
}

impl<'a> From<&'a Owner> for Whose<'a> {
    fn from(owner: &'a Owner) -> Self {
        match owner {
            Owner::Nobodys => Self::Nobodys,
            Owner::Ones(user) => Self::Ones(user),
            Owner::Peers(user, telling) => Self::Peers(user, *telling),
        }
    }
}

/// What policies can see of a user; `None` also where none looks, which `telling` says.
#[derive(PartialEq, Eq, Hash)]
struct Appearance<'a> {
    roles: &'a [String],
    groups: &'a [String],
    tenants: &'a [String],
    issuer: Option<&'a str>,
    subject: Option<&'a str>,
    username: Option<&'a str>,
    email: Option<&'a str>,
    scopes: Option<&'a [String]>,
    acr: Option<&'a str>,
    client_id: Option<&'a str>,
    authenticated: Option<Timestamp>,
    telling: Telling,
}

impl<'a> Appearance<'a> {
    fn of(user: &'a User, telling: Telling) -> Self {
        Self {
            roles: &user.roles,
            groups: &user.groups,
            tenants: &user.tenants,
            issuer: telling.issuer.then_some(&*user.issuer),
            subject: telling.subject.then_some(&*user.subject),
            username: telling.username.then_some(&*user.username),
            email: telling.email.then_some(user.email.as_deref()).flatten(),
            scopes: telling.scopes.then_some(&*user.scopes),
            acr: telling.acr.then_some(user.acr.as_deref()).flatten(),
            client_id: telling.client_id.then_some(user.client_id.as_deref()).flatten(),
            authenticated: telling.authenticated.then_some(user.authenticated).flatten(),
            telling,
        }
    }
}

impl PartialEq for Whose<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nobodys, Self::Nobodys) => true,
            (Self::Ones(one), Self::Ones(other)) => Arc::ptr_eq(one, other),
            (Self::Peers(one, by), Self::Peers(other, also_by)) => {
                Appearance::of(one, *by) == Appearance::of(other, *also_by)
            }
            _ => false,
        }
    }
}

impl Eq for Whose<'_> {}

impl Hash for Whose<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Nobodys => {}
            Self::Ones(user) => Arc::as_ptr(user).hash(state),
            Self::Peers(user, by) => Appearance::of(user, *by).hash(state),
        }
    }
}
