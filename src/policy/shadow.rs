//! What other policies would say: asked beside those that rule, recorded and counted, deciding nothing.
//!
//! In: a question, and what the ruling policies said of it. Out: an [`Opinion`]. `@shadow` policies of the ruling directory are asked with
//! it ([`Verdict::would`]); a directory of its own ([`Shadow`]) is loaded, validated, tested and watched like the ruling one. A fault
//! of it is an opinion, too: nothing that happens here changes an answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::load::aside;
use super::load::version;
use super::{AskError, PolicyStore, Question, Settings, Verdict, code};
use crate::clock;
use crate::inventory::{Files, Problem, Server};

/// What the policies said, or why they weren't asked.
type Answer = Result<Vec<Verdict>, AskError>;

/// What policies would say that don't rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinion {
    /// Whose it is.
    pub from: Whose,
    /// What would come of the call.
    pub would: Would,
    /// Whether the ruling policies allow the call.
    pub ruling: bool,
    /// What is said of each principal; of `@shadow` policies the ruling verdicts have it.
    pub verdicts: Vec<Verdict>,
    /// The version of the directory; of `@shadow` policies it is the ruling one.
    pub version: Option<String>,
}

/// Whose an opinion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The `@shadow` policies of the ruling directory, if they counted.
    Annotated,
    /// The shadow directory.
    Directory,
}

/// What would come of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Would {
    /// It would be allowed.
    Allow,
    /// It would be denied, with the code of the reason.
    Deny(&'static str),
    /// Nobody can tell, since asking failed.
    Fail,
    /// Nobody asked, since the answer was due.
    Skip,
}

impl Opinion {
    /// What the `@shadow` policies would make of a call; `None` where none of them applies.
    #[must_use]
    pub fn annotated(ruling: &Answer) -> Option<Self> {
        let verdicts = ruling.as_ref().ok()?;
        verdicts.iter().find(|verdict| verdict.would.is_some())?;
        let denying = verdicts
            .iter()
            .map(|verdict| verdict.would.unwrap_or(verdict.outcome))
            .find(|outcome| *outcome != super::Outcome::Allowed);
        Some(Self {
            from: Whose::Annotated,
            would: denying.map_or(Would::Allow, |outcome| Would::Deny(outcome.as_str())),
            ruling: allows(ruling),
            verdicts: Vec::new(),
            version: None,
        })
    }

    /// `would_allow` or `would_deny` where that is not what the ruling policies say.
    #[must_use]
    pub const fn code(&self) -> Option<&'static str> {
        match (self.would, self.ruling) {
            (Would::Allow, false) => Some(code::WOULD_ALLOW),
            (Would::Deny(_), true) => Some(code::WOULD_DENY),
            _ => None,
        }
    }
}

impl Whose {
    /// As audit and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Annotated => "annotation",
            Self::Directory => "directory",
        }
    }
}

impl Would {
    /// As audit and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(_) => "deny",
            Self::Fail => "failed",
            Self::Skip => "skipped",
        }
    }

    /// Why it would be denied.
    #[must_use]
    pub const fn because(self) -> Option<&'static str> {
        match self {
            Self::Deny(code) => Some(code),
            Self::Allow | Self::Fail | Self::Skip => None,
        }
    }
}

/// The shadow directory. Without one that could be loaded, it has no opinion.
#[derive(Debug)]
pub struct Shadow {
    /// As the ruling policies', but for the directory.
    settings: Settings,
    servers: Vec<Server>,
    store: OnceLock<Arc<PolicyStore>>,
    refused: Mutex<Refused>,
}

/// The directory that can't be loaded for the first time, and why.
#[derive(Debug, Default)]
struct Refused {
    version: Option<String>,
    problem: Option<String>,
}

/// How the shadow directory fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShadowStatus {
    /// The version that is asked; `None` if none is.
    pub version: Option<Arc<str>>,
    /// Since when.
    pub loaded_at: Option<Timestamp>,
    /// Why what the directory holds now isn't asked; `None` if it is.
    pub problem: Option<String>,
}

impl Shadow {
    /// A directory that is yet to be [loaded](Self::load).
    #[must_use]
    pub fn new(directory: &Path, settings: &Settings, servers: Vec<Server>) -> Self {
        Self {
            settings: Settings {
                directory: directory.to_owned(),
                shadow: None,
                ..settings.clone()
            },
            servers,
            store: OnceLock::new(),
            refused: Mutex::default(),
        }
    }

    /// Tries to load the directory for the first time. Blocks. A directory that failed is tried again when it changed.
    pub fn load(&self, now: Timestamp) {
        if self.store.get().is_some() {
            return;
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let found = Files::read(&self.settings.directory).map(|files| version(&files));
        if found.is_ok() && found.as_ref().ok() == refused.version.as_ref() {
            return;
        }
        let loaded = found.and_then(|found| {
            refused.version = Some(found);
            PolicyStore::open(&self.settings, self.servers.clone(), now)
        });
        match loaded {
            Ok(store) => {
                let policies = store.status().policies;
                tracing::info!(directory = %self.settings.directory.display(), policies, "shadow policies are asked");
                let _first = self.store.set(Arc::new(store));
                *refused = Refused::default();
            }
            Err(problems) => refused.tell(&self.settings.directory, &problems),
        }
    }

    /// How it fares.
    #[must_use]
    pub fn status(&self) -> ShadowStatus {
        let Some(store) = self.store.get() else {
            let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            return ShadowStatus {
                problem: Some(
                    refused
                        .problem
                        .clone()
                        .unwrap_or_else(|| "not loaded yet".to_owned()),
                ),
                ..ShadowStatus::default()
            };
        };
        let status = store.status();
        ShadowStatus {
            version: Some(status.version),
            loaded_at: Some(status.loaded_at),
            problem: status.last_error.as_deref().map(summary),
        }
    }

    /// What it would make of a call; `None` where no directory could be loaded. `in_time` says whether there is time to ask.
    pub fn ask(&self, question: &Question<'_>, ruling: &Answer, in_time: bool) -> Option<Opinion> {
        let set = self.store.get()?.current();
        let opinion = |would, verdicts| Opinion {
            from: Whose::Directory,
            would,
            ruling: allows(ruling),
            verdicts,
            version: Some(set.version().to_owned()),
        };
        if !in_time {
            return Some(opinion(Would::Skip, Vec::new()));
        }
        Some(match caught(|| set.ask(question)) {
            Some(Ok(verdicts)) => opinion(would(&verdicts), verdicts),
            Some(Err(AskError::Build(_))) | None => opinion(Would::Fail, Vec::new()),
            Some(Err(error)) => opinion(Would::Deny(error.code()), Vec::new()),
        })
    }

    /// Watches the directory: one that couldn't be loaded is looked at again, one that was is watched like the ruling one.
    pub async fn watch(self: Arc<Self>) {
        let poll = self.settings.poll_interval.max(Duration::from_secs(1));
        let mut ticks = tokio::time::interval(poll);
        loop {
            if let Some(store) = self.store.get() {
                return Arc::clone(store).watch(self.settings.clone()).await;
            }
            ticks.tick().await;
            let shadow = Arc::clone(&self);
            if let Err(error) = aside::run(move || shadow.load(clock::now())).await {
                tracing::error!(%error, "loading the shadow policies failed");
            }
        }
    }

    /// A store that is there from the beginning.
    #[cfg(test)]
    pub(super) fn of(set: super::PolicySet, now: Timestamp) -> Self {
        let shadow = Self::new(Path::new("."), &Settings::default(), Vec::new());
        shadow.store.set(Arc::new(PolicyStore::of(set, now))).unwrap();
        shadow
    }
}

impl Refused {
    fn tell(&mut self, directory: &Path, problems: &[Problem]) {
        let why = summary(problems);
        if self.problem.as_ref() != Some(&why) {
            tracing::error!(directory = %directory.display(), why, "the shadow policies can't be asked");
            self.problem = Some(why);
        }
    }
}

/// What it does, unless it panics.
fn caught<T>(ask: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(ask)).ok()
}

fn would(verdicts: &[Verdict]) -> Would {
    match verdicts.iter().find(|verdict| !verdict.allows()) {
        None if verdicts.is_empty() => Would::Deny(code::NO_PRINCIPAL),
        None => Would::Allow,
        Some(denying) => Would::Deny(denying.outcome.as_str()),
    }
}

fn allows(answer: &Answer) -> bool {
    answer
        .as_ref()
        .is_ok_and(|verdicts| !verdicts.is_empty() && verdicts.iter().all(Verdict::allows))
}

fn summary(problems: &[Problem]) -> String {
    match problems.first() {
        Some(problem) => format!("{} problems, the first: {problem}", problems.len()),
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests;
