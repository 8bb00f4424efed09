//! SPIFFE IDs in canonical form.

use std::fmt;

/// A SPIFFE ID in canonical form: `spiffe://<trust domain>/<path>` (SPIFFE-ID §2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: String,
    /// Where the path begins in `text`.
    path_start: usize,
}

impl SpiffeId {
    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain, for instance `mcp-identity.local`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text
            .get("spiffe://".len()..self.path_start)
            .unwrap_or_default()
    }

    /// The path with its leading slash, for instance `/agent/trusted/1`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.path_start..).unwrap_or_default()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
