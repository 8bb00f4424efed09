//! An issuer's keys, kept fresh in the background.
//!
//! One task fetches; requests only ever read the last good set. An unknown `kid` asks that task for a round, on
//! average at most once in a set time, and every request that needs one waits for the same round, never beyond its
//! deadline.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jsonwebtoken::Algorithm;
use tokio::sync::{Notify, watch};
use tokio::time::timeout_at;

use super::IdentityError;
use super::fetch::{FetchError, Source};
use super::jwk::{self, Key};
use crate::clock;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keyring {
    current: ArcSwapOption<KeySet>,
    /// How many fetches have ended.
    rounds: watch::Sender<u64>,
    /// Asks the task for a round.
    wanted: Notify,
    /// Never held across an await.
    attempt: Mutex<Attempt>,
    pace: Pace,
}

/// The keys as last published.
#[derive(Debug)]
pub(super) struct KeySet {
    pub(super) keys: Arc<[Key]>,
    /// Changes whenever the keys do: what was verified with other keys isn't any more.
    pub(super) generation: u64,
    pub(super) fetched: Instant,
}

/// How often what is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between fetches, when all is well.
    pub(super) refresh: Duration,
    /// Between fetches that unknown `kid`s ask for, on average.
    pub(super) unknown_kid: Duration,
    /// How long keys live without being fetched again; `None`: for ever (a shared secret).
    pub(super) max_age: Option<Duration>,
}

#[derive(Debug, Default)]
struct Attempt {
    running: bool,
    /// When unknown `kid`s last asked for rounds, the oldest first; at most [`ASKED_AT_ONCE`].
    asked: VecDeque<Instant>,
    /// In a row.
    failures: u32,
}

/// How many rounds unknown `kid`s may ask for in a row before they have to wait: an issuer may rotate its keys twice
/// at once, and right after the timer's own fetch.
const ASKED_AT_ONCE: u32 = 4;

/// What waiting for a fetch came to.
enum Round {
    /// It began after it was needed: what is known now is what the issuer says.
    Fresh,
    /// It had begun before: the issuer may have answered before it made the key.
    Joined,
    /// None was due; the last was good.
    NotDue,
    /// It failed, or the deadline came first.
    Failed,
}

/// How long a failed fetch is waited after at first, doubled each time, and at most.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(30);

impl Keyring {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            rounds: watch::Sender::new(0),
            wanted: Notify::new(),
            attempt: Mutex::default(),
            pace,
        }
    }

    /// Takes a set as the issuer's present keys.
    pub(super) fn replace(&self, keys: Vec<Key>, now: Instant) {
        let before = self.current.load();
        let next = match before.as_deref() {
            Some(before) if *before.keys == *keys => KeySet {
                keys: Arc::clone(&before.keys),
                generation: before.generation,
                fetched: now,
            },
            before => KeySet {
                keys: keys.into(),
                generation: before.map_or(0, |before| before.generation.wrapping_add(1)),
                fetched: now,
            },
        };
        self.current.store(Some(Arc::new(next)));
    }

    /// The present keys, unless there are none or they are too old.
    pub(super) fn current(&self, now: Instant) -> Option<Arc<KeySet>> {
        let set = self.current.load_full()?;
        let age = now.saturating_duration_since(set.fetched);
        self.pace.max_age.is_none_or(|max| age <= max).then_some(set)
    }

    /// When the present keys were fetched, and how many there are.
    pub(super) fn status(&self) -> Option<(Instant, usize)> {
        self.current
            .load()
            .as_ref()
            .map(|set| (set.fetched, set.keys.len()))
    }

    /// How many fetches have failed since the last good one.
    pub(super) fn failures(&self) -> u32 {
        self.attempt().failures
    }

    /// The keys that can have signed a token with this header, and their generation. Waits for a fetch where that
    /// may help and is due.
    pub(super) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
        deadline: Instant,
    ) -> Result<(Vec<Key>, u64), IdentityError> {
        match self.look(kid, algorithm, now) {
            Err(IdentityError::KidUnknown | IdentityError::KeysUnavailable) => {}
            settled => return settled,
        }
        let mut round = self.round(now, deadline).await;
        if let (Round::Joined, Err(IdentityError::KidUnknown)) = (&round, self.look(kid, algorithm, now)) {
            round = self.round(clock::instant(), deadline).await;
        }
        match (self.look(kid, algorithm, now), round) {
            // The issuer could not be asked: it may well have a new key.
            (Err(IdentityError::KidUnknown), Round::Failed) => Err(IdentityError::KeysUnavailable),
            (settled, _) => settled,
        }
    }

    fn look(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
    ) -> Result<(Vec<Key>, u64), IdentityError> {
        let set = self.current(now).ok_or(IdentityError::KeysUnavailable)?;
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        let Some(kid) = kid else {
            let mut fitting = set.keys.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok((vec![only.clone()], set.generation)),
                (None, _) => Err(IdentityError::KidUnknown),
                (Some(_), Some(_)) => Err(IdentityError::KidMissing),
            };
        };
        let named: Vec<&Key> = set
            .keys
            .iter()
            .filter(|key| key.kid.as_deref() == Some(kid))
            .collect();
        if named.is_empty() {
            return Err(IdentityError::KidUnknown);
        }
        let fitting: Vec<Key> = named.into_iter().filter(fits).cloned().collect();
        if fitting.is_empty() {
            Err(IdentityError::AlgorithmNotAllowed)
        } else {
            Ok((fitting, set.generation))
        }
    }

    /// Waits for a fetch if one is running or due.
    async fn round(&self, now: Instant, deadline: Instant) -> Round {
        let mut rounds = self.rounds.subscribe();
        let joined = {
            let mut attempt = self.attempt();
            let joined = attempt.running;
            if !joined {
                if !attempt.ask(now, self.pace.unknown_kid) {
                    return if attempt.failures == 0 {
                        Round::NotDue
                    } else {
                        Round::Failed
                    };
                }
                attempt.running = true;
                self.wanted.notify_one();
            }
            joined
        };
        let ended = timeout_at(deadline.into(), rounds.changed()).await;
        match ended {
            Ok(Ok(())) if self.failures() == 0 && joined => Round::Joined,
            Ok(Ok(())) if self.failures() == 0 => Round::Fresh,
            _ => Round::Failed,
        }
    }

    /// The background task: fetches for ever.
    pub(super) async fn keep_fresh(
        self: Arc<Self>,
        mut source: Source,
        name: String,
        algorithms: Vec<Algorithm>,
    ) {
        loop {
            self.begin();
            let fetched = source.fetch().await;
            let keys = fetched.and_then(|json| jwk::read_set(&json, &algorithms).ok_or(FetchError::NotKeys));
            let pause = self.end(keys, &name);
            let due = tokio::time::Instant::from_std(clock::instant()).checked_add(pause);
            let Some(due) = due else { return };
            // A request that asked and was served by the timer's round may leave its call behind.
            while timeout_at(due, self.wanted.notified()).await.is_ok() && !self.attempt().running {}
        }
    }

    /// Waits until the first fetch has ended, well or not.
    pub(super) async fn first_round(&self) {
        let mut rounds = self.rounds.subscribe();
        // The sender is our own: it can't be gone.
        let _ = rounds.wait_for(|rounds| *rounds > 0).await;
    }

    fn begin(&self) {
        self.attempt().running = true;
    }

    /// Records how a fetch ended; how long to pause.
    fn end(&self, keys: Result<Vec<Key>, FetchError>, name: &str) -> Duration {
        let failure = match keys {
            Ok(keys) => {
                // An issuer that says that it has no keys is believed: its tokens are refused.
                if keys.is_empty() {
                    tracing::warn!(
                        issuer = name,
                        "the issuer publishes no key that may verify its tokens"
                    );
                }
                self.replace(keys, clock::instant());
                None
            }
            Err(error) => Some(error),
        };
        let failures = {
            let mut attempt = self.attempt();
            attempt.running = false;
            attempt.failures = if failure.is_some() {
                attempt.failures.saturating_add(1)
            } else {
                0
            };
            attempt.failures
        };
        self.rounds.send_modify(|rounds| *rounds = rounds.wrapping_add(1));
        let Some(error) = failure else {
            return clock::jittered(self.pace.refresh);
        };
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            issuer = name,
            failures,
            error,
            "the issuer's keys could not be fetched; the last ones stay"
        );
        let doublings = 2_u32.saturating_pow(failures.saturating_sub(1));
        clock::jittered(
            FIRST_RETRY
                .saturating_mul(doublings)
                .min(MAX_RETRY)
                .min(self.pace.refresh.max(FIRST_RETRY)),
        )
    }

    fn attempt(&self) -> std::sync::MutexGuard<'_, Attempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// Whether an unknown `kid` may ask for a round now; it counts if it may.
    fn ask(&mut self, now: Instant, interval: Duration) -> bool {
        let full = self.asked.len() >= ASKED_AT_ONCE as usize;
        if let (true, Some(&oldest)) = (full, self.asked.front()) {
            if now.saturating_duration_since(oldest) < interval.saturating_mul(ASKED_AT_ONCE) {
                return false;
            }
            self.asked.pop_front();
        }
        self.asked.push_back(now);
        true
    }
}
