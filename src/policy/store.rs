//! The policies that rule now, and the directory that they are reloaded from.
//!
//! A changed directory is read, validated and tested beside the set that rules, and only then takes its place, as a whole. A broken one
//! changes nothing but the [`Status`]: the last good set goes on ruling.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;

use super::load::aside;
use super::load::changes::{Changes, Told};
use super::load::version;
use super::{DecisionCache, Kept, Lookups, PolicySet, Settings};
use crate::clock;
use crate::inventory::{Files, Problem, Server};

/// Warnings of one directory that are logged; `policy validate` shows them all.
const MAX_WARNINGS: usize = 20;
/// How often a directory is read until two readings in a row agree.
const MAX_READINGS: usize = 5;

/// The policies that rule now.
#[derive(Debug)]
pub struct PolicyStore {
    directory: PathBuf,
    servers: Vec<Server>,
    room: DecisionCache,
    lookups: Arc<Lookups>,
    current: ArcSwap<PolicySet>,
    status: watch::Sender<Status>,
    /// Held while a directory is loaded: two loads at once would race for the last word.
    loading: Mutex<Loading>,
}

/// What one load leaves to the next.
#[derive(Debug, Default)]
struct Loading {
    /// The version of the directory that was refused last: it is not tried again until it changes.
    refused: Option<String>,
    /// What is not read and validated again.
    kept: Kept,
    /// Sets that ruled and that somebody still asks: taking one apart takes time, which is not to be a call's.
    retired: Vec<Arc<PolicySet>>,
}

/// What rules, since when, and whether the directory says something else that can't rule.
#[derive(Debug, Clone)]
pub struct Status {
    /// The version of the set that rules: [`PolicySet::version`].
    pub version: Arc<str>,
    /// How many policies it has.
    pub policies: usize,
    /// When it began to rule.
    pub loaded_at: Timestamp,
    /// When a changed directory was last loaded, or tried to be.
    pub last_attempt: Timestamp,
    /// Why what the directory holds now doesn't rule; `None` if it does.
    pub last_error: Option<Arc<[Problem]>>,
    /// How many directories have ruled, the first included.
    pub loads: u64,
    /// How many were refused.
    pub refusals: u64,
}

/// What came of looking at the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It is as it was.
    Unchanged,
    /// It rules now.
    Loaded,
    /// It can't rule; what ruled goes on.
    Refused,
}

impl PolicyStore {
    /// Loads a directory for the first time. Blocks: call it before serving, or on a blocking thread.
    ///
    /// # Errors
    /// Everything that is wrong with the directory: there is nothing that could rule instead.
    pub fn open(settings: &Settings, servers: Vec<Server>, now: Timestamp) -> Result<Self, Vec<Problem>> {
        let files = stable(&settings.directory)?;
        let mut kept = Kept::default();
        let set = PolicySet::reload(&files, &servers, &mut kept)?;
        warn(&set);
        let (room, lookups) = (settings.decision_cache, Arc::<Lookups>::default());
        let set = set.remembering(room, Arc::clone(&lookups));
        let loading = Loading {
            kept,
            ..Loading::default()
        };
        Ok(Self {
            directory: settings.directory.clone(),
            servers,
            room,
            lookups,
            loading: Mutex::new(loading),
            ..Self::of(set, now)
        })
    }

    /// A store of a set that never changes.
    #[must_use]
    pub fn of(set: PolicySet, now: Timestamp) -> Self {
        let status = Status {
            version: set.version().into(),
            policies: set.len(),
            loaded_at: now,
            last_attempt: now,
            last_error: None,
            loads: 1,
            refusals: 0,
        };
        Self {
            directory: PathBuf::new(),
            servers: Vec::new(),
            room: DecisionCache::default(),
            lookups: Arc::default(),
            current: ArcSwap::from_pointee(set),
            status: watch::Sender::new(status),
            loading: Mutex::default(),
        }
    }

    /// The set that rules now. One call asks it once and keeps to it.
    #[must_use]
    pub fn current(&self) -> Arc<PolicySet> {
        self.current.load_full()
    }

    /// What rules, and whether the directory says something else.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The status whenever it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Looks at the directory and loads it if it changed. Blocks.
    pub fn reload(&self, now: Timestamp) -> Reload {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        loading.retired.retain(|set| Arc::strong_count(set) > 1);
        let files = match stable(&self.directory) {
            Ok(files) => files,
            Err(problems) => return self.refuse(&mut loading.refused, unreadable(&problems), problems, now),
        };
        let found = version(&files);
        let ruling = *self.status.borrow().version == *found;
        let told = self.status.borrow().last_error.is_none();
        if ruling && told || loading.refused.as_ref() == Some(&found) {
            return Reload::Unchanged;
        }
        if ruling {
            // An edit that could not rule was taken back.
            loading.refused = None;
            self.status
                .send_modify(|status| (status.last_error, status.last_attempt) = (None, now));
            tracing::info!(version = %found, "the policy directory is again the one that rules");
            return Reload::Unchanged;
        }
        match PolicySet::reload(&files, &self.servers, &mut loading.kept) {
            Ok(set) => {
                loading.refused = None;
                let retired = self.swap(set, now);
                loading.retired.extend(retired);
                Reload::Loaded
            }
            Err(problems) => self.refuse(&mut loading.refused, found, problems, now),
        }
    }

    /// Lets a set rule. The one that ruled is given back while somebody still asks it, and is gone otherwise.
    fn swap(&self, set: PolicySet, now: Timestamp) -> Option<Arc<PolicySet>> {
        warn(&set);
        // What its own tests asked is no more likely to be asked again than anything else.
        let set = Arc::new(set.remembering(self.room, Arc::clone(&self.lookups)));
        let retired = self.current.swap(Arc::clone(&set));
        tracing::info!(
            version = set.version(),
            policies = set.len(),
            tests = set.tests().cases(),
            "policies loaded"
        );
        self.status.send_modify(|status| {
            status.version = set.version().into();
            status.policies = set.len();
            (status.loaded_at, status.last_attempt, status.last_error) = (now, now, None);
            status.loads = status.loads.saturating_add(1);
        });
        (Arc::strong_count(&retired) > 1).then_some(retired)
    }

    fn refuse(
        &self,
        refused: &mut Option<String>,
        found: String,
        problems: Vec<Problem>,
        now: Timestamp,
    ) -> Reload {
        if refused.as_ref() == Some(&found) {
            return Reload::Unchanged;
        }
        *refused = Some(found);
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        let ruling = self.current();
        tracing::error!(
            problems = problems.len(),
            first,
            ruling = ruling.version(),
            "the policy directory can't rule: what ruled before goes on"
        );
        self.status.send_modify(|status| {
            status.last_attempt = now;
            status.last_error = Some(problems.into());
            status.refusals = status.refusals.saturating_add(1);
        });
        Reload::Refused
    }

    /// A load that ended by itself, which is a fault of ours: what ruled goes on, and the status says so.
    fn failed(&self, error: &str, now: Timestamp) {
        tracing::error!(
            error,
            "loading the policy directory failed: what ruled before goes on"
        );
        let problem = Problem::new(".", format!("loading the directory failed: {error}"));
        self.status.send_modify(|status| {
            status.last_attempt = now;
            status.last_error = Some(Arc::from([problem]));
            status.refusals = status.refusals.saturating_add(1);
        });
    }

    /// Watches the directory for as long as it is polled: changes that follow on one another are loaded once.
    pub async fn watch(self: Arc<Self>, settings: Settings) {
        let mut changes = Changes::of(&self.directory, settings);
        loop {
            let told = changes.next().await;
            let store = Arc::clone(&self);
            let outcome = aside::run(move || store.reload(clock::now())).await;
            match outcome {
                // Nobody told: the directory that was watched is gone, or its file system tells nothing.
                Ok(Reload::Loaded | Reload::Refused) if told == Told::Nothing => changes.renew(),
                Ok(_) => {}
                Err(error) => self.failed(&error.to_string(), clock::now()),
            }
        }
    }
}

impl Status {
    /// Whether what the directory holds is what rules.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.last_error.is_none()
    }
}

/// Tells the operator what rules all the same but should be looked at.
fn warn(set: &PolicySet) {
    for warning in set.warnings().iter().take(MAX_WARNINGS) {
        let advice = warning.help.as_deref().unwrap_or_default();
        tracing::warn!(%warning, advice, "the policy directory may not say what is meant");
    }
    let untold = set.warnings().len().saturating_sub(MAX_WARNINGS);
    if untold > 0 {
        tracing::warn!(untold, "there are more warnings: see `mcp-authz policy validate`");
    }
}

/// A reading that another one right after agrees with: not the middle of an edit.
fn stable(directory: &Path) -> Result<Files, Vec<Problem>> {
    let mut last = Files::read(directory)?;
    for _ in 1..MAX_READINGS {
        let next = Files::read(directory)?;
        if next == last {
            return Ok(next);
        }
        last = next;
    }
    Err(vec![Problem::new(
        ".",
        "the directory goes on changing while it is read",
    )])
}

/// Stands for the version of a directory that can't be read, so that each way is told once.
fn unreadable(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
