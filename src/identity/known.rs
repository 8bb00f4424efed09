//! Tokens that were verified before, known by their exact bytes: bounded by what they weigh, and gone once they have
//! expired, whether or not anybody asks for them again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use super::tokens::Verified;
use crate::clock;

/// How often expired tokens are looked for: so long after it, one may still take room.
const SWEEP: Duration = Duration::from_secs(5);
/// What an entry takes besides what it holds: its fingerprint and pointer, its share of the cache's tables (a third
/// more for what was evicted last), two counts of references, and what an allocator rounds up.
const ENTRY: usize = 192;

/// A token's SHA-256. The token itself isn't kept: this is enough to know it again.
pub(super) type Fingerprint = [u8; 32];

/// What was verified.
#[derive(Debug)]
pub(super) struct Known {
    cache: Cache<Fingerprint, Arc<Verified>, InBytes, DefaultHashBuilder, CountEvicted>,
    capacity: u64,
    hits: AtomicU64,
    misses: AtomicU64,
    expired: AtomicU64,
    withdrawn: AtomicU64,
    evicted: CountEvicted,
}

/// How far what was verified still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// As it is.
    Still,
    /// Its issuer was asked about it, too long ago.
    IfTheIssuerSaysSoAgain,
    /// It was verified with keys that its issuer no longer has.
    NoMore,
}

/// What is known of a token.
#[derive(Debug)]
pub(super) enum Found {
    Good(Arc<Verified>),
    ToBeAskedAbout(Arc<Verified>),
    Nothing,
}

/// What the cache of tokens holds and what became of it, since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheNumbers {
    /// Tokens in it.
    pub tokens: usize,
    /// What they weigh, in bytes, roughly.
    pub bytes: u64,
    /// What it holds at most, in bytes.
    pub capacity: u64,
    /// Tokens that were known.
    pub hits: u64,
    /// Tokens that were not, or that had to be asked about again.
    pub misses: u64,
    /// Tokens that had to go for others.
    pub evicted: u64,
    /// Tokens that went because they had expired.
    pub expired: u64,
    /// Tokens that went because their issuer said that they aren't active any more.
    pub withdrawn: u64,
}

#[derive(Debug, Clone)]
struct InBytes;

impl Weighter<Fingerprint, Arc<Verified>> for InBytes {
    fn weight(&self, _: &Fingerprint, verified: &Arc<Verified>) -> u64 {
        let bytes = ENTRY.saturating_add(verified.bytes());
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Counts what is evicted.
#[derive(Debug, Clone, Default)]
struct CountEvicted(Arc<AtomicU64>);

impl Lifecycle<Fingerprint, Arc<Verified>> for CountEvicted {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Fingerprint, _: Arc<Verified>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Known {
    /// Remembers tokens up to so many kilobytes. A task of its own forgets what has expired, as long as this lives.
    pub(super) fn start(kilobytes: u32) -> Arc<Self> {
        let this = Arc::new(Self::new(kilobytes));
        tokio::spawn(sweep(Arc::downgrade(&this)));
        this
    }

    fn new(kilobytes: u32) -> Self {
        let capacity = u64::from(kilobytes).saturating_mul(1024);
        let evicted = CountEvicted::default();
        Self {
            // A usual token takes a kilobyte or two.
            cache: Cache::with(
                kilobytes as usize,
                capacity,
                InBytes,
                DefaultHashBuilder::default(),
                evicted.clone(),
            ),
            capacity,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            withdrawn: AtomicU64::new(0),
            evicted,
        }
    }

    /// What is known of a token, and how far it still holds.
    pub(super) fn find(&self, key: &Fingerprint, holds: impl FnOnce(&Verified) -> Holds) -> Found {
        let found = match self.cache.get(key) {
            Some(known) => match holds(&known) {
                Holds::Still => Found::Good(known),
                Holds::IfTheIssuerSaysSoAgain => Found::ToBeAskedAbout(known),
                Holds::NoMore => Found::Nothing,
            },
            None => Found::Nothing,
        };
        let count = match found {
            Found::Good(_) => &self.hits,
            Found::ToBeAskedAbout(_) | Found::Nothing => &self.misses,
        };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(super) fn remember(&self, key: Fingerprint, verified: Arc<Verified>) {
        self.cache.insert(key, verified);
    }

    /// Forgets a token that has expired.
    pub(super) fn expire(&self, key: &Fingerprint) {
        if self.cache.remove(key).is_some() {
            self.expired.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets a token that its issuer says is not active any more.
    pub(super) fn withdraw(&self, key: &Fingerprint) {
        if self.cache.remove(key).is_some() {
            self.withdrawn.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets every token that has expired.
    pub(super) fn forget_expired(&self, now: Timestamp) {
        let gone = AtomicU64::new(0);
        self.cache.retain(|_, verified| {
            let holds = now.as_second() < verified.useless_from;
            if !holds {
                gone.fetch_add(1, Ordering::Relaxed);
            }
            holds
        });
        self.expired.fetch_add(gone.into_inner(), Ordering::Relaxed);
    }

    /// What it holds, and what became of it.
    pub(super) fn numbers(&self) -> CacheNumbers {
        let told = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheNumbers {
            tokens: self.cache.len(),
            bytes: self.cache.weight(),
            capacity: self.capacity,
            hits: told(&self.hits),
            misses: told(&self.misses),
            evicted: told(&self.evicted.0),
            expired: told(&self.expired),
            withdrawn: told(&self.withdrawn),
        }
    }
}

async fn sweep(known: Weak<Known>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        let Some(known) = known.upgrade() else { return };
        known.forget_expired(clock::now());
    }
}

/// A token's fingerprint.
pub(super) fn fingerprint(token: &str) -> Fingerprint {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let mut key = [0; 32];
    key.iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    key
}
