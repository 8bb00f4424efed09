//! State in this process: for a single replica, for commands, for tests.
//!
//! Bounded: when it is full it refuses. It remembers since it was made, and is gone with the process.

use std::future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use jiff::Timestamp;

use super::moment::Moment;
use super::revocations::Revocations;
use super::used::UsedIds;
use super::{Answer, Id, Limits, Revocation, Secret, StateError, Status, Store, Used};

/// State in this process.
#[derive(Debug)]
pub struct Memory {
    used: UsedIds,
    revocations: Revocations,
    secrets: Mutex<Vec<(&'static str, Secret)>>,
    limits: Limits,
    start: Moment,
}

impl Memory {
    /// An empty store that holds so much.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let start = Moment::now();
        Self {
            used: UsedIds::new(limits.used_ids, start),
            revocations: Revocations::new(limits.revocations, start),
            secrets: Mutex::default(),
            limits,
            start,
        }
    }

    fn use_now(&self, id: Id, keep: Duration) -> Result<Used, StateError> {
        let first = self.used.is_first(id, keep, Moment::now())?;
        Ok(if first {
            Used::First {
                remembers_since: self.start.time,
            }
        } else {
            Used::Again
        })
    }

    fn secret_named(&self, name: &'static str) -> Result<Secret, StateError> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, secret)) = secrets.iter().find(|(known, _)| *known == name) {
            return Ok(*secret);
        }
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| StateError::Unreachable)?;
        secrets.push((name, Secret(bytes)));
        Ok(Secret(bytes))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Store for Memory {
    fn use_once(&self, id: Id, keep: Duration, _: Instant) -> Answer<'_, Used> {
        Box::pin(future::ready(self.use_now(id, keep)))
    }

    fn secret(&self, name: &'static str, _: Instant) -> Answer<'_, Secret> {
        Box::pin(future::ready(self.secret_named(name)))
    }

    fn revoke(&self, revocation: Revocation, _: Instant) -> Answer<'_, ()> {
        Box::pin(future::ready(self.revocations.add(revocation, Moment::now())))
    }

    fn caught_up(&self, _: Instant, _: Instant) -> Option<Answer<'_, ()>> {
        None
    }

    fn revoked(&self, id: &Id) -> Option<Timestamp> {
        self.revocations.issued_until(id)
    }

    fn revocations_version(&self) -> u64 {
        self.revocations.version()
    }

    fn propagation(&self) -> Duration {
        Duration::ZERO
    }

    fn status(&self) -> Status {
        Status {
            kind: "memory",
            outage: None,
            cause: None,
            revocations_age: None,
            used_ids: Some(self.used.len()),
            revocations: self.revocations.len(),
            bytes: self.used.bytes().saturating_add(self.revocations.bytes()),
            limits: self.limits,
        }
    }
}
