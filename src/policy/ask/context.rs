//! `context`: what is known of a call besides who, what and on what.

use cedar_policy::{Context, EntityUid, RestrictedExpression};

use super::entities::{BuildError, Fixed, build, datetime, uid};
use super::reads::Reads;
use crate::identity::{Acting, User};
use crate::policy::Question;

/// Which parts of the context policies read: what none of them reads is not said.
///
/// Two parts are dear: `now` is half of what a context costs, and for an address Cedar parses the name of the function
/// `ip` each time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each part of the context")]
pub(in crate::policy) struct Needs {
    pub(in crate::policy) user: bool,
    pub(in crate::policy) workload: bool,
    pub(in crate::policy) actor: bool,
    pub(in crate::policy) session: bool,
    pub(in crate::policy) arguments: bool,
    pub(in crate::policy) version: bool,
    pub(in crate::policy) address: bool,
    pub(in crate::policy) now: bool,
}

impl Needs {
    #[cfg(test)]
    pub(in crate::policy) const EVERYTHING: Self = Self {
        user: true,
        workload: true,
        actor: true,
        session: true,
        arguments: true,
        version: true,
        address: true,
        now: true,
    };

    /// What any of these policies reads.
    pub(in crate::policy) fn of<'a>(policies: &(impl Iterator<Item = &'a Reads> + Clone)) -> Self {
        let read = |place: &[&str]| policies.clone().any(|reads| reads.touches(place));
        Self {
            user: read(&["user"]),
            workload: read(&["workload"]),
            actor: read(&["agent"]) || read(&["actingWorkload"]),
            // A condition may also look at the session by a name of its own.
            session: read(&["session"]) || policies.clone().any(Reads::names_sessions),
            arguments: read(&["arguments"]),
            version: read(&["request", "version"]),
            address: read(&["request", "address"]),
            now: read(&["now"]),
        }
    }

    /// What these or those read.
    pub(in crate::policy) const fn and(self, other: Self) -> Self {
        Self {
            user: self.user || other.user,
            workload: self.workload || other.workload,
            actor: self.actor || other.actor,
            session: self.session || other.session,
            arguments: self.arguments || other.arguments,
            version: self.version || other.version,
            address: self.address || other.address,
            now: self.now || other.now,
        }
    }

    /// Whether anything is read that differs between two calls of the same caller for the same thing.
    pub(in crate::policy) const fn of_the_call(self) -> bool {
        self.session || self.arguments || self.version || self.address || self.now
    }
}

/// Builds the context of a question that such a user asks. `arguments` for tools only.
pub(in crate::policy) fn context(
    question: &Question<'_>,
    user: Option<&User>,
    fixed: &Fixed,
    arguments: Option<RestrictedExpression>,
    needs: Needs,
) -> Result<Context, BuildError> {
    let mut pairs = Vec::new();
    let mut say = |name: &str, value: RestrictedExpression| pairs.push((name.to_owned(), value));
    let entity = |id: EntityUid| RestrictedExpression::new_entity_uid(id);
    if needs.version || needs.address {
        say("request", request(question, needs)?);
    }
    if let Some(user) = user.filter(|_| needs.user) {
        say("user", entity(fixed.user_uid(user)));
    }
    if let Some(workload) = question.caller.workload.as_ref().filter(|_| needs.workload) {
        say("workload", entity(fixed.workload_uid(workload)));
    }
    if let Some(actor) = question.caller.actor.as_ref().filter(|_| needs.actor) {
        let name = match actor.current {
            Acting::Agent(_) => "agent",
            Acting::Workload(_) => "actingWorkload",
        };
        say(name, entity(fixed.actor_uid(actor)));
    }
    if let Some(session) = question.session.filter(|_| needs.session) {
        say("session", entity(uid(&fixed.types.session, session)));
    }
    if let Some(arguments) = arguments {
        say("arguments", arguments);
    }
    if needs.now {
        say("now", datetime(question.now));
    }
    Context::from_pairs(pairs).map_err(build)
}

fn request(question: &Question<'_>, needs: Needs) -> Result<RestrictedExpression, BuildError> {
    let mut pairs = Vec::new();
    if needs.version {
        let version = RestrictedExpression::new_string(question.version.as_str().to_owned());
        pairs.push(("version".to_owned(), version));
    }
    if let Some(address) = question.address.filter(|_| needs.address) {
        // Cedar doesn't read `::ffff:192.0.2.1`, and a policy about 192.0.2.0/24 means it.
        let address = address.to_canonical().to_string();
        pairs.push(("address".to_owned(), RestrictedExpression::new_ip(address)));
    }
    RestrictedExpression::new_record(pairs).map_err(build)
}
