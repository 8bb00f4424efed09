//! The five kinds of thing that a tool does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of thing a tool does: from its annotations or its overrides; without either, `execute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// Reads a thing.
    Read,
    /// Lists things.
    List,
    /// Changes things.
    Write,
    /// Runs something, or nobody said what.
    Execute,
    /// Administers.
    Admin,
}

impl OperationKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Read, Self::List, Self::Write, Self::Execute, Self::Admin];

    /// The name, which is also the id of its action group: `Action::"read"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
