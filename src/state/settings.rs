//! What replicas share, and where.

use serde::{Deserialize, Serialize};

use super::Limits;

/// What replicas share: ids that may be used once, secrets, revocations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How much of it there may be.
    pub limits: Limits,
}
