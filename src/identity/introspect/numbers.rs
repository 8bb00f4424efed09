//! How often an issuer was asked, and what came of it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::IntrospectionFault;
use crate::identity::IdentityError;

/// Counted so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    active: AtomicU64,
    refused: AtomicU64,
    remembered: AtomicU64,
    faults: [AtomicU64; IntrospectionFault::ALL.len()],
}

/// What was asked of an issuer since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionNumbers {
    /// Its short name.
    pub issuer: String,
    /// Answers that a token is active and can be used.
    pub active: u64,
    /// Answers that it is not, or that it says what no token may say.
    pub refused: u64,
    /// Refusals that were still remembered: nobody was asked.
    pub remembered: u64,
    /// Questions without an answer that counts, by what went wrong.
    pub faults: Vec<(IntrospectionFault, u64)>,
    /// Refused tokens that are remembered now.
    pub refusals: usize,
}

impl Counts {
    /// An answer came, and this is what is made of it.
    pub(super) fn answered(&self, token: Result<(), &IdentityError>) {
        match token {
            Ok(()) => count(&self.active),
            Err(IdentityError::Introspection(fault)) => self.fault(*fault),
            Err(_) => count(&self.refused),
        }
    }

    /// No answer that counts.
    pub(super) fn fault(&self, fault: IntrospectionFault) {
        let place = IntrospectionFault::ALL.iter().position(|known| *known == fault);
        if let Some(counted) = place.and_then(|place| self.faults.get(place)) {
            count(counted);
        }
    }

    /// Nobody had to be asked.
    pub(super) fn remembered(&self) {
        count(&self.remembered);
    }

    /// All of it.
    pub(super) fn told(&self, issuer: &str, refusals: usize) -> IntrospectionNumbers {
        let told = |count: &AtomicU64| count.load(Ordering::Relaxed);
        IntrospectionNumbers {
            issuer: issuer.to_owned(),
            active: told(&self.active),
            refused: told(&self.refused),
            remembered: told(&self.remembered),
            faults: IntrospectionFault::ALL
                .into_iter()
                .zip(self.faults.iter().map(told))
                .collect(),
            refusals,
        }
    }
}

fn count(counted: &AtomicU64) {
    counted.fetch_add(1, Ordering::Relaxed);
}
