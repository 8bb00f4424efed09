//! The process that is tried, seen from outside: its memory and what it recorded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::Failure;

/// How often the memory is looked at.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// Samples in a minute.
const MINUTE: usize = 12;

/// Memory may differ by a twentieth, or by this many kB if that is more: an allocator's noise.
const NOISE_KB: u64 = 4096;

/// How long records may take to be written after the last answer.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// How often each outcome or reason was recorded.
pub(crate) type Recorded = BTreeMap<String, u64>;

/// A process, by its directory in /proc.
#[derive(Debug)]
pub(crate) struct Process(PathBuf);

impl Process {
    /// The mcp-authz that serves with this configuration.
    pub(crate) fn find(configuration: &Path) -> Result<Self, Failure> {
        let configuration = configuration.to_str().ok_or("a path that isn't UTF-8")?;
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            // Processes of others, or that ended meanwhile, can't be read.
            let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
            let arguments: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
            let program = arguments.first().copied().unwrap_or_default();
            if program.ends_with(b"/mcp-authz") && arguments.contains(&configuration.as_bytes()) {
                return Ok(Self(path));
            }
        }
        Err("the process of mcp-authz isn't to be found in /proc".into())
    }

    /// Its resident memory.
    pub(crate) fn resident_kb(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(self.0.join("status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS: the process ended")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

/// The memory over time.
#[derive(Debug, Default)]
pub(crate) struct Memory(Vec<u64>);

impl Memory {
    pub(crate) fn add(&mut self, resident_kb: u64) {
        self.0.push(resident_kb);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How long ago the first sample was.
    pub(crate) fn seconds(&self) -> u64 {
        let samples = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        samples.saturating_sub(1).saturating_mul(EVERY.as_secs())
    }

    pub(crate) fn latest_mb(&self) -> f64 {
        mb(self.0.last().copied().unwrap_or_default())
    }

    /// A sentence for people, and a complaint if the memory isn't flat: the median of the last minute against
    /// that of the second.
    pub(crate) fn verdict(&self) -> (String, Option<String>) {
        let second = self.0.get(MINUTE..MINUTE.saturating_mul(2));
        let last = self.0.get(self.0.len().saturating_sub(MINUTE)..);
        let (Some(second), Some(last), true) = (second, last, self.0.len() >= MINUTE.saturating_mul(3))
        else {
            let sentence = "memory: less than three minutes tell nothing of it";
            return (sentence.to_owned(), None);
        };
        let (second, last) = (median(second), median(last));
        let sentence = format!(
            "memory: {:.1} MB in the second minute, {:.1} MB in the last, {:.1} MB at most",
            mb(second),
            mb(last),
            mb(self.0.iter().copied().max().unwrap_or_default())
        );
        let allowed = second.saturating_add((second / 20).max(NOISE_KB));
        let complaint = (last > allowed).then(|| {
            format!(
                "memory grew from {:.1} to {:.1} MB, more than {:.1} MB",
                mb(second),
                mb(last),
                mb(allowed)
            )
        });
        (sentence, complaint)
    }
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn mb(kb: u64) -> f64 {
    u32::try_from(kb).map_or(f64::INFINITY, |kb| f64::from(kb) / 1024.0)
}

#[derive(Debug, Deserialize)]
struct Record {
    outcome: Option<String>,
    reason: Option<String>,
}

/// What the audit has, by reason, or by outcome where there is none.
pub(crate) fn recorded(audit: &Path) -> Result<Recorded, Failure> {
    let mut recorded = Recorded::new();
    let file = match File::open(audit) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(recorded),
        file => file?,
    };
    for line in BufReader::new(file).split(b'\n') {
        let record: Record = serde_json::from_slice(&line?)?;
        // A line about the journal itself.
        let Some(outcome) = record.outcome else { continue };
        let count = recorded.entry(record.reason.unwrap_or(outcome)).or_default();
        *count = count.saturating_add(1);
    }
    Ok(recorded)
}

/// What was recorded since then, as soon as it is so much, or after a while whatever it is.
pub(crate) async fn recorded_since(
    audit: &Path,
    before: &Recorded,
    wanted: u64,
) -> Result<Recorded, Failure> {
    let mut ticks = tokio::time::interval(Duration::from_secs(2));
    let deadline = tokio::time::Instant::from_std(mcp_authz::clock::instant())
        .checked_add(WRITTEN_WITHIN)
        .ok_or("too long")?;
    loop {
        ticks.tick().await;
        let over = tokio::time::Instant::from_std(mcp_authz::clock::instant()) >= deadline;
        // A last line may be half written yet.
        let mut found = match recorded(audit) {
            Err(_) if !over => continue,
            found => found?,
        };
        for (code, count) in &mut found {
            *count = count.saturating_sub(before.get(code).copied().unwrap_or_default());
        }
        found.retain(|_, count| *count > 0);
        if over || found.values().sum::<u64>() >= wanted {
            return Ok(found);
        }
    }
}
