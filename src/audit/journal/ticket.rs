//! Whether an answer may be given: what the writer and the request that waits for it agree on.
//!
//! Exactly one of them has the last word. If it is the writer, the record is on disk and the answer is given as
//! recorded. If it is the request (its deadline came, or its gateway left), the answer was another than the record
//! says, and the writer adds a line that corrects it.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::Notify;

use super::JournalError;
use crate::decide::Reason;

/// How the waiting ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The record is on disk.
    Durable,
    /// It can't be written at the moment.
    Refused(Arc<str>),
    /// It was not on disk in time, and something else was answered, or nothing.
    Otherwise {
        /// The outcome of that.
        outcome: &'static str,
        /// Its reason's code.
        reason: &'static str,
    },
}

impl Ended {
    /// It was not on disk at the deadline.
    pub(super) const LATE: Self = Self::Otherwise {
        outcome: "denied",
        reason: Reason::AuditUnavailable.code(),
    };
    /// Nobody waits any more.
    const GONE: Self = Self::Otherwise {
        outcome: "gateway_gone",
        reason: Reason::GatewayGone.code(),
    };
}

/// What both sides hold.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    ended: OnceLock<Ended>,
    told: Notify,
}

impl Ticket {
    /// The first one to call this is right; the others are told how it ended.
    pub(super) fn end(&self, how: Ended) -> &Ended {
        let ended = self.ended.get_or_init(|| how);
        self.told.notify_one();
        ended
    }

    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.get()
    }
}

/// A record on its way to the disk. Dropped, nobody waits for it any more.
#[derive(Debug)]
#[must_use = "an answer may be given only once its record is where it is to be"]
pub struct Receipt(pub(super) Option<Arc<Ticket>>);

impl Receipt {
    /// Waits until the record is on disk, where answers wait for that; else returns at once.
    ///
    /// # Errors
    /// [`JournalError::NotOnDisk`] at the deadline, [`JournalError::Unwritable`] once a write failed. The record then
    /// is followed by one that corrects it.
    pub async fn durable(&self, deadline: Instant) -> Result<(), JournalError> {
        let Some(ticket) = &self.0 else { return Ok(()) };
        // Boxed: most answers don't wait.
        let told = Box::pin(tokio::time::timeout_at(deadline.into(), ticket.told.notified())).await;
        let ended = match told {
            Ok(()) => ticket.ended(),
            Err(_elapsed) => Some(ticket.end(Ended::LATE)),
        };
        match ended {
            Some(Ended::Durable) => Ok(()),
            Some(Ended::Refused(why)) => Err(JournalError::Unwritable(Arc::clone(why))),
            _ => Err(JournalError::NotOnDisk),
        }
    }

    /// Something else was answered meanwhile: the record is corrected, unless it is on disk already.
    pub fn overrule(&self, outcome: &'static str, reason: &'static str) {
        if let Some(ticket) = &self.0 {
            ticket.end(Ended::Otherwise { outcome, reason });
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(ticket) = &self.0 {
            ticket.end(Ended::GONE);
        }
    }
}
