//! How far a journal was, at least: kept beside it, so that lines cut off its end are missed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::{Hash, Link};
use super::place::{Place, sync_folder};

/// A line of a journal, by number and hash. Written `SEQ:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint(pub Link);

#[derive(Serialize, Deserialize)]
struct File {
    time: Timestamp,
    seq: u64,
    hash: String,
}

impl Checkpoint {
    /// The last one of a journal; `None` if there is none.
    ///
    /// # Errors
    /// It is there and can't be read.
    pub fn of(place: &Place) -> io::Result<Option<Self>> {
        let text = match fs::read(place.checkpoint()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let file: File = serde_json::from_slice(&text)?;
        let hash = Hash::read(file.hash.as_bytes())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "`hash` is no SHA-256"))?;
        Ok(Some(Self(Link { seq: file.seq, hash })))
    }

    /// Puts it in the place of the last one, whole or not at all.
    pub(super) fn write(self, place: &Place, now: Timestamp) -> io::Result<()> {
        let path = place.checkpoint();
        let temporary = path.with_extension("checkpoint.tmp");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        let content = File {
            time: now,
            seq: self.0.seq,
            hash: self.0.hash.to_string(),
        };
        writeln!(file, "{}", serde_json::to_string(&content)?)?;
        file.sync_data()?;
        fs::rename(&temporary, &path)?;
        sync_folder(place.folder())
    }
}

impl FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no checkpoint: write SEQ:HASH, as the log has it");
        let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
        Ok(Self(Link {
            seq: seq.parse().map_err(|_| wrong())?,
            hash: Hash::read(hash.as_bytes()).ok_or_else(wrong)?,
        }))
    }
}
