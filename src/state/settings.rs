//! What replicas share, and where.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::watched::Watched;
use super::{Limits, Memory, Redis, Store, Watcher, redis};

/// What replicas share: ids that may be used once, secrets, revocations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How much of it there may be.
    pub limits: Limits,
    /// The Redis that replicas share. Default: none; a single replica keeps it in memory.
    pub redis: Option<redis::Settings>,
}

impl Settings {
    /// The store that is configured, and who counts what it is asked. Needs a running tokio.
    #[must_use]
    pub fn open(&self, watcher: Watcher) -> Arc<dyn Store> {
        let store: Arc<dyn Store> = match &self.redis {
            Some(redis) => Arc::new(Redis::start(redis.clone(), self.limits)),
            None => Arc::new(Memory::new(self.limits)),
        };
        Arc::new(Watched::new(store, watcher))
    }
}
