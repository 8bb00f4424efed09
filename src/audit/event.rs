//! The lines of a journal that are no decisions: what happened to the journal itself.

use jiff::Timestamp;
use serde::Serialize;

use super::chain::{Hash, Link};
use super::record::{clipped, to_plain_json};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The first line of each file, and of each process.
    Opened {
        /// Of which program.
        version: &'static str,
        /// The hash of the line before, in another file or none.
        previous: String,
    },
    /// The last line had no end: a process was killed while it wrote. What was there of it is here.
    Mended {
        /// How many bytes were cut off.
        torn_bytes: usize,
        /// What they said, as far as it has room.
        torn: String,
    },
    /// How far the journal is: this line's number and hash are in the log and in the checkpoint's file, too.
    Checkpoint,
    /// The last line of a file that is put aside.
    Rotated,
    /// Old files were removed, as the settings for retention say.
    Retired {
        /// The last of their lines.
        through: u64,
        /// Their names.
        files: Vec<String>,
    },
    /// The journal was closed in good order.
    Closed,
}

impl Event {
    /// A line begins here after `link`.
    pub(super) fn opened(link: Link) -> Self {
        Self::Opened {
            version: env!("CARGO_PKG_VERSION"),
            previous: link.hash.to_string(),
        }
    }

    pub(super) fn mended(torn: &[u8]) -> Self {
        Self::Mended {
            torn_bytes: torn.len(),
            torn: clipped(&String::from_utf8_lossy(torn)).into_owned(),
        }
    }

    /// The event as one line, without its newline.
    pub(super) fn to_line(&self, now: Timestamp) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'a> {
            time: String,
            #[serde(flatten)]
            event: &'a Event,
        }
        to_plain_json(&Line {
            time: format!("{now:.6}"),
            event: self,
        })
    }
}

/// What a reader needs of a line.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Read {
    #[serde(default)]
    pub(super) time: Option<Timestamp>,
    #[serde(default)]
    pub(super) event: Option<String>,
    #[serde(default)]
    pub(super) previous: Option<String>,
    #[serde(default)]
    pub(super) through: Option<u64>,
}

impl Read {
    pub(super) fn line(line: &[u8]) -> Self {
        serde_json::from_slice(line).unwrap_or_default()
    }

    /// The hash of the line before, if this one opens a file or a process.
    pub(super) fn opens_after(&self) -> Option<Hash> {
        let opens = self.event.as_deref() == Some("opened");
        Hash::read(self.previous.as_deref().filter(|_| opens)?.as_bytes())
    }
}
