//! Verdicts that were given before.
//!
//! In: a question, and where its caller stands. Out: its verdicts: the ones given before, if the same caller asked for the same thing and whatever
//! of the call its candidates read was the same; else Cedar's. Not remembered: what reads the time, what reads more than
//! [`values::MAX_BYTES`](super::values::MAX_BYTES), and why there is no verdict.
//!
//! It is no way round any check. It belongs to the set of policies and goes with it. Who asks is known by a [`Standing`], found by the user
//! that was proved for this very call: nobody is handed a user whose token expired or was revoked. Whether the arguments fit the tool
//! has been asked before.

use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::sync::{Cache, DefaultLifecycle};

use super::context::Needs;
use super::standing::Standing;
use super::target::Target;
use super::values::values;
use crate::policy::settings::DecisionCache;
use crate::policy::verdict::Verdict;
use crate::policy::{AskError, PolicySet, Question};

/// What a remembered decision takes besides what it is known by and what its verdicts name, in bytes, roughly.
const ENTRY: usize = 160;

/// The verdicts of one set of policies, by where the caller stands and the values that were read. Values are the client's:
/// they are compared as a whole, and hashed with a secret of this cache's own.
type Known = Cache<Key, Arc<Vec<Verdict>>, InBytes, RandomState>;

/// What one set of policies decided before.
#[derive(Debug)]
pub(in crate::policy) struct Decisions {
    /// `None` if every call is to be asked about anew.
    known: Option<Known>,
    /// How many standings have a number.
    numbered: AtomicU64,
    lookups: Arc<Lookups>,
}

/// What is remembered of the verdicts of a standing.
#[derive(Debug)]
pub(in crate::policy) enum Memory {
    /// The one answer, once it is given: its candidates read nothing that differs from call to call.
    Settled(OnceLock<Arc<Vec<Verdict>>>),
    /// An answer for each of the values that its candidates read, under this number, which no other standing of the set has.
    Numbered(u64),
    /// None.
    Nothing,
}

/// Which standing, and the values.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    standing: u64,
    values: Vec<u8>,
}

/// How often verdicts were looked for, since the start: the sets of policies that rule one after another count together.
#[derive(Debug, Default)]
pub struct Lookups {
    hit: AtomicU64,
    miss: AtomicU64,
    not_cacheable: AtomicU64,
}

/// How the decisions of the policies that rule fare.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DecisionStatus {
    /// How often verdicts were looked for since the start, by outcome.
    pub lookups: Vec<(&'static str, u64)>,
    /// How many are remembered, apart from those that hang on nothing of the call.
    pub known: usize,
    /// What they take, in bytes, roughly.
    pub bytes: u64,
    /// What they may take, in bytes; 0 where nothing is remembered.
    pub capacity: u64,
}

impl Decisions {
    /// None yet.
    pub(in crate::policy) fn new(settings: DecisionCache, lookups: Arc<Lookups>) -> Self {
        let known = settings.bytes().map(|capacity| {
            let about = usize::try_from(capacity).map_or(usize::MAX, |capacity| capacity / 512);
            let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
            Cache::with(about, capacity, InBytes, hasher, lifecycle)
        });
        Self {
            known,
            numbered: AtomicU64::new(0),
            lookups,
        }
    }

    pub(in crate::policy) fn status(&self) -> DecisionStatus {
        let known = self.known.as_ref();
        DecisionStatus {
            lookups: self.lookups.all(),
            known: known.map_or(0, Cache::len),
            bytes: known.map_or(0, Cache::weight),
            capacity: known.map_or(0, Cache::capacity),
        }
    }
}

impl Default for Decisions {
    fn default() -> Self {
        Self::new(DecisionCache::default(), Arc::default())
    }
}

impl Lookups {
    fn all(&self) -> Vec<(&'static str, u64)> {
        [
            ("hit", &self.hit),
            ("miss", &self.miss),
            ("not_cacheable", &self.not_cacheable),
        ]
        .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
        .into()
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl PolicySet {
    /// What will be remembered of the verdicts of a standing that is remembered itself, by what its candidates read.
    pub(in crate::policy) fn memory(&self, needs: Needs) -> Memory {
        if self.decisions.known.is_none() || needs.now {
            Memory::Nothing
        } else if needs.of_the_call() {
            Memory::Numbered(self.decisions.numbered.fetch_add(1, Ordering::Relaxed))
        } else {
            Memory::Settled(OnceLock::new())
        }
    }

    /// The verdicts on every principal before one target, asked of Cedar unless they were before.
    pub(in crate::policy) fn decided(
        &self,
        question: &Question<'_>,
        target: &Target<'_>,
        standing: &Standing,
    ) -> Result<Arc<Vec<Verdict>>, AskError> {
        let Decisions { known, lookups, .. } = &self.decisions;
        let anew = || self.verdicts(question, target, standing).map(Arc::new);
        let Some(known) = known else {
            return anew();
        };
        let number = match &standing.memory {
            Memory::Settled(settled) => {
                if let Some(verdicts) = settled.get() {
                    count(&lookups.hit);
                    return Ok(Arc::clone(verdicts));
                }
                count(&lookups.miss);
                let verdicts = anew()?;
                return Ok(Arc::clone(settled.get_or_init(|| verdicts)));
            }
            Memory::Numbered(number) => Some(*number),
            Memory::Nothing => None,
        };
        let key = number.and_then(|number| Key::of(number, question, target, standing));
        let Some(mut key) = key else {
            count(&lookups.not_cacheable);
            return anew();
        };
        if let Some(verdicts) = known.get(&key) {
            count(&lookups.hit);
            return Ok(verdicts);
        }
        count(&lookups.miss);
        let verdicts = anew()?;
        key.values.shrink_to_fit();
        known.insert(key, Arc::clone(&verdicts));
        Ok(verdicts)
    }
}

impl Key {
    fn of(number: u64, question: &Question<'_>, target: &Target<'_>, standing: &Standing) -> Option<Self> {
        let values = values(question, target, standing.needs, &standing.arguments)?;
        Some(Self {
            standing: number,
            values,
        })
    }
}

/// Roughly what an entry takes: the policies that verdicts name belong to the set.
#[derive(Debug, Clone)]
struct InBytes;

impl quick_cache::Weighter<Key, Arc<Vec<Verdict>>> for InBytes {
    fn weight(&self, key: &Key, verdicts: &Arc<Vec<Verdict>>) -> u64 {
        let named = |verdict: &Verdict| {
            let lists = [&verdict.fired, &verdict.errored, &verdict.shadow];
            lists.iter().map(|list| list.len()).sum::<usize>()
        };
        let pointers = verdicts.iter().map(named).sum::<usize>();
        let bytes = pointers
            .saturating_mul(size_of::<usize>())
            .saturating_add(size_of_val(verdicts.as_slice()))
            .saturating_add(key.values.len())
            .saturating_add(ENTRY);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}
