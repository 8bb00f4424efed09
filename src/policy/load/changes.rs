//! When a directory changes: changes that follow on one another are one.
//!
//! In: a directory. Out: a time to look at it again, because the file system told of a change that has settled, or because nothing
//! was told for long.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::policy::Settings;

/// Looks at a directory for as long as it is kept.
#[derive(Debug)]
pub struct Changes {
    directory: PathBuf,
    settings: Settings,
    changed: Arc<Notify>,
    /// Held, not used.
    watcher: Option<RecommendedWatcher>,
}

/// Why a directory is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The file system tells of a change.
    Changed,
    /// Nothing was told for the settings' `poll_interval`: not every file system tells.
    Nothing,
}

impl Changes {
    /// Begins to look.
    #[must_use]
    pub fn of(directory: &Path, settings: Settings) -> Self {
        let changed = Arc::new(Notify::new());
        Self {
            watcher: watcher(directory, &changed),
            directory: directory.to_owned(),
            settings,
            changed,
        }
    }

    /// Waits until the directory is to be looked at again. What is told while nobody waits counts.
    pub async fn next(&mut self) -> Told {
        let poll = self.settings.poll_interval.max(Duration::from_secs(1));
        if tokio::time::timeout(poll, self.changed.notified()).await.is_err() {
            return Told::Nothing;
        }
        self.settle().await;
        Told::Changed
    }

    /// Begins anew: for a directory that changed while nothing was told, since the one that was watched may be gone.
    pub fn renew(&mut self) {
        self.watcher = watcher(&self.directory, &self.changed);
    }

    /// Waits until changes stop, within bounds.
    async fn settle(&self) {
        let quiet = self.settings.settle;
        let until_quiet =
            async { while tokio::time::timeout(quiet, self.changed.notified()).await.is_ok() {} };
        // Enough waited: what is there is to be looked at.
        let _elapsed = tokio::time::timeout(self.settings.settle_at_most, until_quiet).await;
    }
}

/// A watcher that tells of every change below the directory; without one, polling finds them.
fn watcher(directory: &Path, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let tell = move |event: notify::Result<notify::Event>| {
        // Our own reading opens files, too.
        let reading = |kind: &EventKind| matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write));
        if !event.is_ok_and(|event| reading(&event.kind)) {
            changed.notify_one();
        }
    };
    let watching = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(directory, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watching
        .inspect_err(|error| tracing::warn!(%error, "changes of the directory are found by polling only"))
        .ok()
}
