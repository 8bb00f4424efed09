//! Where a caller stands before a thing: its entities, and the policies that can apply. Made once for a user and all
//! [peers](super::peers), a workload and a tool, and remembered as long as the set of policies rules. Before a thing whose name is the client's (a resource, a prompt, a session) likewise,
//! if the name is short, in a room of its own.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cedar_policy::{Context, Entities, Entity, EntityUid, Request};
use quick_cache::sync::Cache;

use super::context::Needs;
use super::decisions::Memory;
use super::entities::{StepUp, build, uid};
use super::evaluate::Candidates;
use super::peers::{Owner, Whose};
use super::target::Target;
use crate::identity::{Actor, User};
use crate::inventory::{Requirement, Selection};
use crate::policy::verdict::Principal;
use crate::policy::{AskError, BuildError, PolicySet, Question};

/// How much memory standings may take, in kilobytes, roughly.
const REMEMBERED: u64 = 8192;
/// And those before things that clients name, of which there is no end: they can push out none but one another.
const REMEMBERED_OF_NAMED: u64 = 2048;
/// The longest name that is remembered, in bytes.
const MAX_NAME: usize = 512;

/// Standings by whose they are, and before what.
#[derive(Debug)]
pub(in crate::policy) struct Standings {
    ours: Known,
    named: Known,
}

#[cfg(test)]
impl Standings {
    /// How many are remembered.
    pub(in crate::policy) fn len(&self) -> usize {
        self.ours.len().saturating_add(self.named.len())
    }
}

type Known = Cache<Key, Arc<Standing>, InKilobytes>;

/// Where the principals of one caller stand before one thing.
#[derive(Debug)]
pub(in crate::policy) struct Standing {
    /// Every entity but those that a call brings: a resource, a prompt, a session.
    pub(in crate::policy) entities: Entities,
    pub(in crate::policy) principals: Vec<Standpoint>,
    /// What of the context the candidates read.
    pub(in crate::policy) needs: Needs,
    /// Which arguments.
    pub(in crate::policy) arguments: Selection,
    /// What is remembered of the verdicts.
    pub(in crate::policy) memory: Memory,
    /// Whose entity is among them: that of the caller, or of a peer.
    pub(in crate::policy) user: Option<Arc<User>>,
    /// Kept, because the key holds its address: no other actor can have it meanwhile.
    actor: Option<Arc<Actor>>,
}

/// One principal, and the policies that can apply to it.
#[derive(Debug)]
pub(in crate::policy) struct Standpoint {
    pub(in crate::policy) principal: Principal,
    pub(in crate::policy) uid: EntityUid,
    pub(in crate::policy) candidates: Arc<Candidates>,
}

/// Whose a standing is. An actor is known by the place in memory: one for each verified token.
#[derive(Debug)]
pub(in crate::policy) struct Key {
    user: Owner,
    /// And whether the server asks about them.
    actor: (usize, bool),
    workload: String,
    server: String,
    action: String,
    /// What the client named, if it did.
    named: Option<EntityUid>,
}

/// A [`Key`] that owns nothing, to look it up with.
struct Wanted<'a> {
    user: Whose<'a>,
    actor: (usize, bool),
    workload: &'a str,
    server: &'a str,
    action: &'a str,
    named: Option<&'a EntityUid>,
}

impl PolicySet {
    /// Where the caller stands before a thing: remembered, if it is one that stays the same.
    pub(in crate::policy) fn standing(
        &self,
        question: &Question<'_>,
        target: &Target<'_>,
        step: &StepUp,
    ) -> Result<Arc<Standing>, AskError> {
        let known = match &target.entity {
            None => &self.standings.ours,
            Some(_) => &self.standings.named,
        };
        let short = target.entity.is_none() || name_of(target).len() <= MAX_NAME;
        if !short || *step != StepUp::default() {
            return Ok(Arc::new(self.stand(question, target, step)?));
        }
        let whose = self.peers.whose(question.caller.user.as_ref(), &target.action);
        let wanted = Wanted::of(whose, question, target);
        if let Some(known) = known.get(&wanted) {
            return Ok(known);
        }
        let mut standing = self.stand(question, target, step)?;
        standing.memory = self.memory(standing.needs);
        let standing = Arc::new(standing);
        known.insert(wanted.owned(), Arc::clone(&standing));
        Ok(standing)
    }

    /// Where this very caller stands, apart from all peers: for what is told of the user by name. Not remembered.
    pub(in crate::policy) fn own_standing(
        &self,
        question: &Question<'_>,
        target: &Target<'_>,
    ) -> Result<Standing, AskError> {
        self.stand(question, target, &StepUp::default())
    }

    fn stand(
        &self,
        question: &Question<'_>,
        target: &Target<'_>,
        step: &StepUp,
    ) -> Result<Standing, AskError> {
        let (principals, identities) = self.principals(question, step)?;
        let added = identities.into_iter().chain(target.entity.clone());
        let fixed = self
            .fixed
            .store(&target.action)
            .ok_or_else(|| BuildError(format!("no action `{}` in the schema", target.action)))?;
        let mut entities = fixed.clone().add_entities(added, None).map_err(build)?;
        let mut needs = Needs::default();
        let mut arguments = Selection::default();
        let mut standpoints = Vec::with_capacity(principals.len());
        for (principal, uid) in principals {
            let request = self.request(&uid, target, Context::empty())?;
            let candidates = self.engine.candidates(&request, &entities).map_err(build)?;
            needs = needs.and(candidates.needs);
            arguments.also(&candidates.arguments);
            standpoints.push(Standpoint {
                principal,
                uid,
                candidates,
            });
        }
        for standpoint in &standpoints {
            entities = self.fixed.with(entities, &standpoint.candidates.looked_up)?;
        }
        Ok(Standing {
            entities,
            principals: standpoints,
            needs,
            arguments,
            memory: Memory::Nothing,
            user: question.caller.user.clone(),
            actor: question.caller.actor.clone(),
        })
    }

    /// Refuses a call without the identities that its server requires, or without any.
    pub(in crate::policy) fn identified(question: &Question<'_>) -> Result<(), AskError> {
        let caller = question.caller;
        let there = |requirement: &Requirement| match requirement {
            Requirement::User => caller.user.is_some(),
            Requirement::Workload => caller.workload.is_some(),
            Requirement::Actor => caller.actor.is_some(),
        };
        match question.server.require.iter().find(|required| !there(required)) {
            Some(missing) => Err(AskError::MissingIdentity(*missing)),
            None if caller.user.is_none() && caller.workload.is_none() => Err(AskError::NoPrincipal),
            None => Ok(()),
        }
    }

    /// Whom to ask about, and every identity as an entity: policies may look at the others through the context.
    #[expect(clippy::type_complexity, reason = "two lists that are made together")]
    fn principals(
        &self,
        question: &Question<'_>,
        step: &StepUp,
    ) -> Result<(Vec<(Principal, EntityUid)>, Vec<Entity>), AskError> {
        Self::identified(question)?;
        let caller = question.caller;
        let mut principals = Vec::with_capacity(3);
        let mut entities = Vec::with_capacity(3);
        if let Some(user) = &caller.user {
            principals.push((Principal::User, self.fixed.user_uid(user)));
            entities.push(self.fixed.user(user, step, question.now)?);
        }
        if let Some(workload) = &caller.workload {
            principals.push((Principal::Workload, self.fixed.workload_uid(workload)));
            entities.push(self.fixed.workload(workload)?);
        }
        if let Some(actor) = &caller.actor {
            let uid = self.fixed.actor_uid(actor);
            // A workload that acts and calls is one entity.
            if principals.iter().all(|(_, other)| *other != uid) {
                entities.push(self.fixed.actor(actor)?);
            }
            if caller.asked_actor(question.server).is_some() {
                principals.push((Principal::Actor, uid));
            }
        }
        Ok((principals, entities))
    }

    pub(in crate::policy) fn request(
        &self,
        principal: &EntityUid,
        target: &Target<'_>,
        context: Context,
    ) -> Result<Request, BuildError> {
        let action = uid(&self.fixed.types.action, &target.action);
        Request::new(principal.clone(), action, target.resource.clone(), context, None).map_err(build)
    }
}

/// No standing is remembered yet.
pub(in crate::policy) fn none() -> Standings {
    Standings {
        ours: Cache::with_weighter(1024, REMEMBERED, InKilobytes),
        named: Cache::with_weighter(256, REMEMBERED_OF_NAMED, InKilobytes),
    }
}

fn name_of<'a>(target: &'a Target<'_>) -> &'a str {
    target.resource.id().unescaped()
}

impl<'a> Wanted<'a> {
    fn of(user: Whose<'a>, question: &Question<'a>, target: &'a Target<'_>) -> Self {
        let caller = question.caller;
        Self {
            user,
            actor: (
                caller.actor.as_ref().map_or(0, |actor| Arc::as_ptr(actor).addr()),
                caller.asked_actor(question.server).is_some(),
            ),
            workload: caller.workload.as_ref().map_or("", |workload| workload.key()),
            server: question.server.name.as_str(),
            action: &target.action,
            named: target.entity.as_ref().map(|_| &target.resource),
        }
    }

    fn owned(&self) -> Key {
        Key {
            user: self.user.into(),
            actor: self.actor,
            workload: self.workload.to_owned(),
            server: self.server.to_owned(),
            action: self.action.to_owned(),
            named: self.named.cloned(),
        }
    }

    /// As the members of a [`Key`], in their order.
    const fn members(&self) -> (Whose<'_>, (usize, bool), &str, &str, &str, Option<&EntityUid>) {
        (
            self.user,
            self.actor,
            self.workload,
            self.server,
            self.action,
            self.named,
        )
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `Key` is hashed.
        self.members().hash(state);
    }
}

impl quick_cache::Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.members() == key.members()
    }
}

impl Key {
    fn members(&self) -> (Whose<'_>, (usize, bool), &str, &str, &str, Option<&EntityUid>) {
        let Self {
            user,
            actor,
            workload,
            server,
            action,
            named,
        } = self;
        (user.into(), *actor, workload, server, action, named.as_ref())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.members() == other.members()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.members().hash(state);
    }
}

/// A standing takes 2 kB, an eighth for each thing that its user is in or may do, and their names thrice: as entities, as their
/// parents and as attributes.
#[derive(Debug, Clone)]
pub(in crate::policy) struct InKilobytes;

impl quick_cache::Weighter<Key, Arc<Standing>> for InKilobytes {
    fn weight(&self, _: &Key, standing: &Arc<Standing>) -> u64 {
        let user = standing.user.as_ref();
        let lists = user.map(|user| [&user.roles, &user.groups, &user.tenants, &user.scopes]);
        let things = || lists.iter().flatten().copied().flatten();
        let earlier = standing.actor.iter().flat_map(|actor| &actor.earlier);
        let names: usize = things().chain(earlier).map(String::len).sum();
        let bytes = things()
            .count()
            .saturating_mul(128)
            .saturating_add(names.saturating_mul(3));
        u64::try_from(bytes.div_ceil(1024)).map_or(u64::MAX, |kilobytes| kilobytes.saturating_add(2))
    }
}
