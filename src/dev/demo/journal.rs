//! The audit, read along while it is written.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::DemoError;

/// How long a record may take to appear after its answer.
const APPEARS_WITHIN: Duration = Duration::from_secs(5);

/// One record, as far as the demo shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The decision's id.
    pub decision_id: String,
    /// `allowed` or `denied`.
    pub outcome: String,
    /// Why it was denied.
    #[serde(default)]
    pub reason: Option<String>,
    /// The server that was asked.
    #[serde(default)]
    pub server: Option<String>,
    /// The MCP method.
    #[serde(default)]
    pub method: Option<String>,
    /// The tool.
    #[serde(default)]
    pub target: Option<String>,
    /// The person.
    #[serde(default)]
    pub user: Option<Person>,
    /// The agent's SPIFFE ID.
    #[serde(default)]
    pub workload: Option<String>,
    /// Which policies ruled.
    #[serde(default)]
    pub policy_version: Option<String>,
    /// The policies that took part.
    #[serde(default)]
    pub policies: Vec<Policy>,
}

/// The person in a record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Person {
    /// The name for people.
    pub username: String,
}

/// One policy's part in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Policy {
    /// Its `@id`.
    pub id: String,
    /// Whom it was asked about.
    pub principal: String,
    /// `permit` or `forbid`.
    pub effect: String,
}

/// A file of JSON lines and how far it was read.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    read: u64,
}

impl Tail {
    /// This file, from its beginning.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            read: 0,
        }
    }

    /// What was added since the last look, as far as lines are whole and of this shape.
    ///
    /// # Errors
    /// [`DemoError::Read`] if it can't be read; a file that isn't there yet is empty.
    pub fn added<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, DemoError> {
        let failed = |source| DemoError::Read {
            path: self.path.clone(),
            source,
        };
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        file.seek(SeekFrom::Start(self.read)).map_err(failed)?;
        let mut reader = BufReader::new(file);
        let (mut added, mut line) = (Vec::new(), String::new());
        while reader.read_line(&mut line).map_err(failed)? > 0 && line.ends_with('\n') {
            self.read = self
                .read
                .saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
            added.extend(serde_json::from_str(&line).ok());
            line.clear();
        }
        Ok(added)
    }
}

/// The audit, read along.
#[derive(Debug)]
pub struct Journal(Tail);

impl Journal {
    /// The audit in this file, from its end on.
    ///
    /// # Errors
    /// [`DemoError::Read`] if it can't be read.
    pub fn open(path: &Path) -> Result<Self, DemoError> {
        let mut journal = Self(Tail::new(path));
        journal.skip()?;
        Ok(journal)
    }

    /// Forgets what was recorded until now.
    ///
    /// # Errors
    /// [`DemoError::Read`] if it can't be read.
    pub fn skip(&mut self) -> Result<(), DemoError> {
        self.entries().map(drop)
    }

    /// The records that were added since the last look.
    ///
    /// # Errors
    /// [`DemoError::Read`] if it can't be read.
    pub fn entries(&mut self) -> Result<Vec<Entry>, DemoError> {
        self.0.added()
    }

    /// What was decided about a call of this tool since the last look; if it never came to that call, the denial
    /// that ended the session before.
    ///
    /// # Errors
    /// [`DemoError::Read`] if it can't be read.
    pub async fn decision(&mut self, tool: &str) -> Result<Option<Entry>, DemoError> {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let now = Instant::from_std(crate::clock::instant());
        let deadline = now.checked_add(APPEARS_WITHIN).unwrap_or(now);
        loop {
            let found = self
                .entries()?
                .into_iter()
                .find(|entry| entry.target.as_deref() == Some(tool) || entry.outcome == "denied");
            if found.is_some() || tokio::time::timeout_at(deadline, ticks.tick()).await.is_err() {
                return Ok(found);
            }
        }
    }
}
