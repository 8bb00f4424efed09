//! How much is remembered.

use serde::{Deserialize, Serialize};

/// How much is remembered at most. What would be more is refused: nothing is forgotten to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Ids that were used, for instance of proofs, kept in memory. Redis has a bound of its own, `maxmemory`.
    /// Default: 1000000.
    pub used_ids: usize,
    /// Revocations, in memory at each replica whatever the store. Default: 100000.
    pub revocations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            used_ids: 1_000_000,
            revocations: 100_000,
        }
    }
}
