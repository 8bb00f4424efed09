//! A signature and keys to yes or no, by no more threads at once than leaves the others for who is known.
//!
//! Verifying is work without a pause: whoever sends tokens never seen before could take every thread with it, and
//! known tokens, which cost nothing, would wait behind them. So verifications take turns, on half the processors; those
//! that wait for their turn wait outside the runtime's queue, no more than [`MAX_WAITING`] of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

use super::IdentityError;
use super::jwk::Key;
use super::jwt::Unverified;
use crate::clock;
use crate::exchange::stand_aside;

/// How many verifications wait for their turn: at 0.1 ms each, they are through in less than a gateway's deadline. It is
/// far below `grpc.max_checks`, so that strangers who wait don't keep others from being let in.
const MAX_WAITING: usize = 256;

/// Every algorithm of a signature, by the name that metrics have for it.
const ALGORITHMS: [(Algorithm, &str); 10] = [
    (Algorithm::HS256, "HS256"),
    (Algorithm::RS256, "RS256"),
    (Algorithm::RS384, "RS384"),
    (Algorithm::RS512, "RS512"),
    (Algorithm::PS256, "PS256"),
    (Algorithm::PS384, "PS384"),
    (Algorithm::PS512, "PS512"),
    (Algorithm::ES256, "ES256"),
    (Algorithm::ES384, "ES384"),
    (Algorithm::EdDSA, "EdDSA"),
];

/// Verifies signatures, and counts what that costs.
#[derive(Debug)]
pub(super) struct Verification {
    places: Semaphore,
    queue: Semaphore,
    turned_away: AtomicU64,
    tallies: [Tally; ALGORITHMS.len()],
}

#[derive(Debug, Default)]
struct Tally {
    valid: AtomicU64,
    invalid: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What verifying cost, since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerificationNumbers {
    /// Tokens refused because too many waited for their turn, or because it came too late.
    pub turned_away: u64,
    /// Of each algorithm that was asked for.
    pub algorithms: Vec<AlgorithmNumbers>,
}

/// What verifying signatures of one algorithm cost, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmNumbers {
    /// Its name (RFC 7518 §3.1).
    pub algorithm: &'static str,
    /// Signatures that verified.
    pub valid: u64,
    /// Signatures that didn't.
    pub invalid: u64,
    /// How long all of it took.
    pub took: Duration,
}

impl Verification {
    /// On half the processors, and one at least.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::at_once(processors.div_euclid(2).max(1))
    }

    pub(super) fn at_once(places: usize) -> Self {
        Self {
            places: Semaphore::new(places),
            queue: Semaphore::new(MAX_WAITING),
            turned_away: AtomicU64::new(0),
            tallies: Default::default(),
        }
    }

    /// Waits for a turn; without one, nothing is verified.
    pub(super) async fn turn(&self, deadline: Instant) -> Result<Turn<'_>, IdentityError> {
        // Before a place is taken: who is known goes first.
        stand_aside().await;
        let place = match self.places.try_acquire() {
            Ok(free) => Some(free),
            Err(_) => self.queued(deadline).await,
        };
        let turn = place.map(|place| Turn {
            of: self,
            _place: place,
        });
        turn.ok_or_else(|| {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            IdentityError::VerificationOverloaded
        })
    }

    async fn queued(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        let _queued = self.queue.try_acquire().ok()?;
        timeout_at(deadline.into(), self.places.acquire())
            .await
            .ok()?
            .ok()
    }

    /// What it cost.
    pub(super) fn numbers(&self) -> VerificationNumbers {
        let told = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let numbers = ALGORITHMS
            .iter()
            .zip(&self.tallies)
            .map(|((_, name), tally)| AlgorithmNumbers {
                algorithm: name,
                valid: told(&tally.valid),
                invalid: told(&tally.invalid),
                took: Duration::from_nanos(told(&tally.nanoseconds)),
            });
        VerificationNumbers {
            turned_away: told(&self.turned_away),
            algorithms: numbers
                .filter(|numbers| numbers.valid > 0 || numbers.invalid > 0)
                .collect(),
        }
    }
}

/// The right to verify one signature now.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    of: &'a Verification,
    _place: SemaphorePermit<'a>,
}

impl Turn<'_> {
    /// Whether a token's signature verifies with one of these keys.
    pub(super) fn verifies(self, token: &Unverified<'_>, keys: &[Key], algorithm: Algorithm) -> bool {
        let began = clock::instant();
        let with = |key: &Key| {
            let signed = token.signed.as_bytes();
            jsonwebtoken::crypto::verify(token.signature, signed, &key.verifying, algorithm).unwrap_or(false)
        };
        let valid = keys.iter().any(with);
        let took = clock::instant().saturating_duration_since(began);
        let place = ALGORITHMS.iter().position(|(known, _)| *known == algorithm);
        if let Some(tally) = place.and_then(|place| self.of.tallies.get(place)) {
            let count = if valid { &tally.valid } else { &tally.invalid };
            count.fetch_add(1, Ordering::Relaxed);
            let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            tally.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        }
        valid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_those_that_may_wait_a_stranger_is_turned_away_at_once() {
        let verification = std::sync::Arc::new(Verification::at_once(1));
        let far = clock::instant() + Duration::from_mins(10);
        let first = verification.turn(far).await.unwrap();
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let verification = std::sync::Arc::clone(&verification);
                tokio::spawn(async move { verification.turn(far).await.map(drop) })
            })
            .collect();
        while verification.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            verification.turn(far).await.map(drop),
            Err(IdentityError::VerificationOverloaded)
        );
        drop(first);
        for waited in waiting {
            assert_eq!(waited.await.unwrap(), Ok(()));
        }
        assert_eq!(verification.numbers().turned_away, 1);
    }

    #[tokio::test]
    async fn a_turn_that_comes_too_late_is_none() {
        let verification = Verification::at_once(1);
        let _taken = verification.turn(clock::instant()).await.unwrap();
        assert_eq!(
            verification.turn(clock::instant()).await.map(drop),
            Err(IdentityError::VerificationOverloaded)
        );
    }
}
