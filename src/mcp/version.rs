//! The protocol versions of MCP that are read, and in what they differ.
//!
//! What depends on the version asks a property here, never for a version itself: a version that is added has to answer
//! every one of them before it compiles. Which methods it has, `methods.rs` says.

use std::fmt;

use Version::{V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};

/// A published version of the Model Context Protocol. Two of them are not compared: ask for the property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// 2025-03-26: the first with streamable HTTP; the only one with batches.
    V2025_03_26,
    /// 2025-06-18: brings the header `MCP-Protocol-Version`.
    V2025_06_18,
    /// 2025-11-25: brings tasks.
    V2025_11_25,
    /// 2026-07-28: stateless; POST only.
    V2026_07_28,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Self; 4] = [V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28];

    /// What a message without `MCP-Protocol-Version` is read under (MCP 2025-06-18 §Transports).
    pub const WITHOUT_HEADER: Self = V2025_03_26;

    /// The newest that negotiates with `initialize` and has sessions.
    pub const NEWEST_WITH_SESSIONS: Self = V2025_11_25;

    /// The version's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            V2025_03_26 => "2025-03-26",
            V2025_06_18 => "2025-06-18",
            V2025_11_25 => "2025-11-25",
            V2026_07_28 => "2026-07-28",
        }
    }

    /// The version of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// Whether it opens sessions, with `initialize`, and `Mcp-Session-Id` means one.
    #[must_use]
    pub const fn has_sessions(self) -> bool {
        match self {
            V2025_03_26 | V2025_06_18 | V2025_11_25 => true,
            V2026_07_28 => false,
        }
    }

    /// Whether GET opens a stream of events, and DELETE ends a session.
    #[must_use]
    pub const fn has_get_and_delete(self) -> bool {
        match self {
            V2025_03_26 | V2025_06_18 | V2025_11_25 => true,
            V2026_07_28 => false,
        }
    }

    /// Whether a client posts responses to requests of the server.
    #[must_use]
    pub const fn has_client_responses(self) -> bool {
        match self {
            V2025_03_26 | V2025_06_18 | V2025_11_25 => true,
            V2026_07_28 => false,
        }
    }

    /// Whether one POST may carry an array of messages.
    #[must_use]
    pub const fn has_batches(self) -> bool {
        match self {
            V2025_03_26 => true,
            V2025_06_18 | V2025_11_25 | V2026_07_28 => false,
        }
    }

    /// Whether `_meta` of each request must say the version and the client's capabilities.
    #[must_use]
    pub const fn describes_itself_in_meta(self) -> bool {
        match self {
            V2025_03_26 | V2025_06_18 | V2025_11_25 => false,
            V2026_07_28 => true,
        }
    }

    /// Whether each request must say what it calls in `Mcp-Method` and `Mcp-Name`.
    #[must_use]
    pub const fn names_itself_in_headers(self) -> bool {
        match self {
            V2025_03_26 | V2025_06_18 | V2025_11_25 => false,
            V2026_07_28 => true,
        }
    }

    /// Whether arguments may have to stand in `Mcp-Param-*` too.
    #[must_use]
    pub const fn has_argument_headers(self) -> bool {
        match self {
            V2025_03_26 | V2025_06_18 | V2025_11_25 => false,
            V2026_07_28 => true,
        }
    }

    /// Whether `params.task` asks for a tool's call to run as a task.
    #[must_use]
    pub const fn has_task_params(self) -> bool {
        match self {
            V2025_11_25 => true,
            V2025_03_26 | V2025_06_18 | V2026_07_28 => false,
        }
    }

    /// Whether a request may be sent again with `inputResponses` and `requestState`.
    #[must_use]
    pub const fn has_retried_requests(self) -> bool {
        match self {
            V2025_03_26 | V2025_06_18 | V2025_11_25 => false,
            V2026_07_28 => true,
        }
    }

    /// Whether a result says its `resultType`.
    #[must_use]
    pub const fn has_result_type(self) -> bool {
        match self {
            V2025_03_26 | V2025_06_18 | V2025_11_25 => false,
            V2026_07_28 => true,
        }
    }

    /// Its place in [`Version::ALL`]: for the table of methods.
    pub(super) const fn place(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_the_order_in_which_they_were_published() {
        assert!(
            Version::ALL
                .windows(2)
                .all(|two| two[0].as_str() < two[1].as_str())
        );
        let places: Vec<usize> = Version::ALL
            .iter()
            .map(|version| version.place().into())
            .collect();
        assert_eq!(places, (0..Version::ALL.len()).collect::<Vec<_>>());
    }

    #[test]
    fn initialize_is_countered_with_the_newest_version_that_has_sessions() {
        let newest = Version::ALL.into_iter().rfind(|version| version.has_sessions());
        assert_eq!(newest, Some(Version::NEWEST_WITH_SESSIONS));
    }
}
