//! A store whose questions are counted: which, what came of each, and how long it took.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Answer, Id, Revocation, Secret, StateError, Status, Store, Used};
use crate::clock;

/// Is told of each question that had to be waited for: its name, what came of it, how long it took.
pub type Watcher = Arc<dyn Fn(&'static str, &'static str, Duration) + Send + Sync>;

/// A store and who counts what it is asked.
pub(super) struct Watched {
    store: Arc<dyn Store>,
    watcher: Watcher,
}

/// A question that is under way; told when it ends, also if nobody waits for it any more.
struct Asked<'a> {
    watcher: &'a Watcher,
    operation: &'static str,
    outcome: &'static str,
    began: Instant,
}

impl Watched {
    pub(super) fn new(store: Arc<dyn Store>, watcher: Watcher) -> Self {
        Self { store, watcher }
    }

    fn watch<'a, T: 'a>(
        &'a self,
        operation: &'static str,
        answer: Answer<'a, T>,
        outcome: fn(&T) -> &'static str,
    ) -> Answer<'a, T> {
        let asked = Asked {
            watcher: &self.watcher,
            operation,
            outcome: "abandoned",
            began: clock::instant(),
        };
        Box::pin(async move {
            let answer = answer.await;
            asked.ended(answer.as_ref().map_or_else(|why| why.name(), outcome));
            answer
        })
    }
}

impl Store for Watched {
    fn use_once(&self, id: Id, keep: Duration, deadline: Instant) -> Answer<'_, Used> {
        let answer = self.store.use_once(id, keep, deadline);
        self.watch("use_once", answer, |used| match used {
            Used::First { .. } => "first",
            Used::Again => "again",
        })
    }

    fn secret(&self, name: &'static str, deadline: Instant) -> Answer<'_, Secret> {
        self.watch("secret", self.store.secret(name, deadline), |_| "ok")
    }

    fn revoke(&self, revocation: Revocation, deadline: Instant) -> Answer<'_, ()> {
        self.watch("revoke", self.store.revoke(revocation, deadline), |()| "ok")
    }

    fn caught_up(&self, now: Instant, deadline: Instant) -> Option<Answer<'_, ()>> {
        let answer = self.store.caught_up(now, deadline)?;
        Some(self.watch("catch_up", answer, |()| "ok"))
    }

    fn revoked(&self, id: &Id) -> Option<Timestamp> {
        self.store.revoked(id)
    }

    fn revocations_version(&self) -> u64 {
        self.store.revocations_version()
    }

    fn propagation(&self) -> Duration {
        self.store.propagation()
    }

    fn status(&self) -> Status {
        self.store.status()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(formatter)
    }
}

impl Asked<'_> {
    /// Takes all of it, so that it is the question's until then, and no sooner told.
    fn ended(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let took = clock::instant().saturating_duration_since(self.began);
        (self.watcher)(self.operation, self.outcome, took);
    }
}

impl StateError {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TooLate => "too_late",
            Self::Full => "full",
        }
    }
}
