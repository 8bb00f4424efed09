//! What a wire and its decider know of one question besides the reply: under which id it is decided, and who ended it.
//!
//! A wire that answers in the decider's stead (the deadline passed, a reply can't be sent) says so here before it drops
//! the decider's work; the decider, which has seen more of the question, then records that end, and nobody a second time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Shared by the wire and the decider of one [`Exchange`](super::Exchange). Clones are the same fate.
#[derive(Debug, Clone, Default)]
pub struct Fate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    decision_id: OnceLock<String>,
    overruled: OnceLock<&'static str>,
    recorded: AtomicBool,
}

impl Fate {
    /// The decider's word: under which id it decides. The first one stands.
    pub fn decided_as(&self, decision_id: &str) {
        self.0.decision_id.get_or_init(|| decision_id.to_owned());
    }

    /// The id of the decision; `None` if the question never got that far.
    #[must_use]
    pub fn decision_id(&self) -> Option<&str> {
        self.0.decision_id.get().map(String::as_str)
    }

    /// The wire's word: it denies, for this reason, whatever the decider would say. The first one stands.
    pub fn overrule(&self, reason: &'static str) {
        self.0.overruled.get_or_init(|| reason);
    }

    /// Why the wire denied; `None` if it didn't.
    #[must_use]
    pub fn overruled(&self) -> Option<&'static str> {
        self.0.overruled.get().copied()
    }

    /// The decider's word: it has counted and recorded the end of this question.
    pub fn recorded(&self) {
        self.0.recorded.store(true, Ordering::Release);
    }

    /// Whether the end was recorded.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.recorded.load(Ordering::Acquire)
    }
}
