//! `context`: what is known of a call besides who, what and on what.

use cedar_policy::{Context, EntityUid, RestrictedExpression};
use jiff::Timestamp;

use super::Question;
use super::entities::{BuildError, Fixed, build, uid};
use super::reads::Reads;

/// What costs so much to say that it is only said where a policy reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Costly {
    /// `context.now`: half of what a context costs.
    pub(super) now: bool,
    /// `context.request.address`: Cedar parses the name of the function `ip` each time.
    pub(super) address: bool,
}

impl Costly {
    /// What any of these policies reads.
    pub(super) fn read_by<'a>(policies: &(impl Iterator<Item = &'a Reads> + Clone)) -> Self {
        let read = |place: &[&str]| policies.clone().any(|reads| reads.touches(place));
        Self {
            now: read(&["now"]),
            address: read(&["request", "address"]),
        }
    }
}

/// Builds the context of a question. `arguments` for tools only.
pub(super) fn context(
    question: &Question<'_>,
    fixed: &Fixed,
    arguments: Option<RestrictedExpression>,
    costly: Costly,
) -> Result<Context, BuildError> {
    let mut pairs = vec![("request".to_owned(), request(question, costly)?)];
    let mut entity = |name: &str, id: EntityUid| {
        pairs.push((name.to_owned(), RestrictedExpression::new_entity_uid(id)));
    };
    if let Some(user) = &question.caller.user {
        entity("user", fixed.user_uid(user));
    }
    if let Some(workload) = &question.caller.workload {
        entity("workload", fixed.workload_uid(workload));
    }
    if let Some(session) = question.session {
        entity("session", uid(&fixed.types.session, session));
    }
    if let Some(arguments) = arguments {
        pairs.push(("arguments".to_owned(), arguments));
    }
    if costly.now {
        pairs.push(("now".to_owned(), datetime(question.now)));
    }
    Context::from_pairs(pairs).map_err(build)
}

fn request(question: &Question<'_>, costly: Costly) -> Result<RestrictedExpression, BuildError> {
    let version = RestrictedExpression::new_string(question.version.as_str().to_owned());
    let mut pairs = vec![("version".to_owned(), version)];
    if let Some(address) = question.address.filter(|_| costly.address) {
        // Cedar doesn't read `::ffff:192.0.2.1`, and a policy about 192.0.2.0/24 means it.
        let address = address.to_canonical().to_string();
        pairs.push(("address".to_owned(), RestrictedExpression::new_ip(address)));
    }
    RestrictedExpression::new_record(pairs).map_err(build)
}

/// Cedar's `datetime` counts in milliseconds.
fn datetime(now: Timestamp) -> RestrictedExpression {
    RestrictedExpression::new_datetime(now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}
