//! Whether a journal is as it was written: every line there, unchanged, in order.
//!
//! In come its files, in order; out goes what was found, with the first line that is broken or missing. What can't be
//! seen: lines of somebody who can rewrite all files and the checkpoint beside them. A checkpoint that was kept
//! elsewhere (the log has them) shows that, too.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::chain::{Hash, Link, Sealed};
use super::checkpoint::Checkpoint;
use super::event::Read;
use super::read::{Line, Source};

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The files in order.
    pub files: Vec<PathBuf>,
    /// The number of the first line that was read.
    pub first: Option<u64>,
    /// The number of the last line that holds.
    pub last: Option<u64>,
    /// The hash of the last line that holds.
    pub hash: Option<String>,
    /// How many lines hold.
    pub lines: u64,
    /// What is worth knowing and breaks nothing.
    pub notes: Vec<String>,
    /// The first line that is broken or missing.
    pub broken: Option<Broken>,
}

/// A line that is broken or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The file in which it shows.
    pub file: PathBuf,
    /// The line in which it shows, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub fault: Fault,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is no line of a chain.
    NotSealed,
    /// It has no end, and others follow.
    Torn,
    /// Its hash is not that of its text after the line before.
    Changed,
    /// Lines before it are not there.
    Missing,
    /// Its number was there before.
    Repeated,
    /// A file begins with a line that opens none.
    HeadMissing,
    /// Lines that a checkpoint knows are not there.
    TailMissing,
    /// The line of a checkpoint has another hash.
    Rewritten,
    /// The file can't be read to its end.
    Unreadable,
}

impl Fault {
    /// What it means, for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NotSealed => "this line was not written by mcp-authz, or its end was changed",
            Self::Torn => "this line was cut, and the next ones come from elsewhere",
            Self::Changed => "this line, or the hash of the line before, was changed after it was written",
            Self::Missing => "lines were removed before this one",
            Self::Repeated => "this line was added, moved, or written by a second process",
            Self::HeadMissing => "the lines that this file began with were removed",
            Self::TailMissing => "lines were removed from the end, or the last file is gone",
            Self::Rewritten => {
                "the journal was written anew up to here: each line fits the one before, but not the checkpoint"
            }
            Self::Unreadable => "the file is damaged",
        }
    }
}

/// Reads files and checks them.
///
/// With `whole`, they are all files of one journal: what is missing before the first line must have been removed by
/// its retention. Each checkpoint must be a line of it.
#[must_use]
pub fn verify(sources: Vec<Source>, checkpoints: &[Checkpoint], whole: bool) -> Report {
    let mut check = Check {
        report: Report::default(),
        before: None,
        retired: 0,
        checkpoints,
        line_in_file: 0,
    };
    let last = sources.len().saturating_sub(1);
    for (index, source) in sources.into_iter().enumerate() {
        check.report.files.push(source.path.clone());
        if let Err(broken) = check.file(source, index == last) {
            check.report.broken = Some(*broken);
            break;
        }
    }
    if check.report.broken.is_none() {
        check.report.broken = check.ends(whole);
    }
    check.report.last = check.before.map(|link| link.seq);
    check.report.hash = check.before.map(|link| link.hash.to_string());
    check.report
}

struct Check<'a> {
    report: Report,
    /// The last line that holds.
    before: Option<Link>,
    /// The last line that retention removed.
    retired: u64,
    checkpoints: &'a [Checkpoint],
    /// The last line of the last file.
    line_in_file: u64,
}

/// Where a line is.
struct Here<'a> {
    file: &'a Path,
    line: u64,
}

impl Here<'_> {
    #[expect(
        clippy::unnecessary_box_returns,
        reason = "the error of results that are mostly fine"
    )]
    fn broken(&self, fault: Fault, expected: impl Into<String>, found: impl Into<String>) -> Box<Broken> {
        Box::new(Broken {
            file: self.file.to_owned(),
            line: self.line,
            fault,
            expected: expected.into(),
            found: found.into(),
        })
    }
}

impl Check<'_> {
    fn file(&mut self, mut source: Source, is_last: bool) -> Result<(), Box<Broken>> {
        let path = source.path.clone();
        let mut here = Here { file: &path, line: 0 };
        loop {
            self.line_in_file = here.line;
            here.line = here.line.saturating_add(1);
            let line = source
                .next_line()
                .map_err(|error| here.broken(Fault::Unreadable, "a whole file", error.to_string()))?;
            let Some(line) = line else { return Ok(()) };
            if line.ended {
                self.line(&line, &here)?;
            } else if is_last {
                let note = "the last line has no end: it is being written, or a process was killed while it wrote; the next start mends it";
                self.report.notes.push(note.to_owned());
            } else {
                return Err(here.broken(Fault::Torn, "a line with an end", shown(&line)));
            }
        }
    }

    fn line(&mut self, line: &Line, here: &Here<'_>) -> Result<(), Box<Broken>> {
        let sealed = Sealed::read(&line.text).ok_or_else(|| {
            here.broken(
                Fault::NotSealed,
                "a line that ends in `seq` and `hash`",
                shown(line),
            )
        })?;
        let before = match self.before {
            Some(before) => in_order(before, sealed.link, here)?.hash,
            None => self.first(line, sealed, here)?,
        };
        let expected = sealed.hash_after(before);
        if expected != sealed.link.hash {
            let (expected, found) = (expected.to_string(), sealed.link.hash.to_string());
            return Err(here.broken(
                Fault::Changed,
                format!("hash {expected}"),
                format!("hash {found}"),
            ));
        }
        for checkpoint in self
            .checkpoints
            .iter()
            .filter(|known| known.0.seq == sealed.link.seq)
        {
            if checkpoint.0.hash != sealed.link.hash {
                let (expected, found) = (checkpoint.0.hash, sealed.link.hash);
                return Err(here.broken(
                    Fault::Rewritten,
                    format!("hash {expected}"),
                    format!("hash {found}"),
                ));
            }
        }
        self.before = Some(sealed.link);
        self.report.lines = self.report.lines.saturating_add(1);
        // Only lines about the journal say `retired`, and they are few.
        if memchr::memmem::find(&line.text, b"\"event\":\"retired\"").is_some() {
            let read = Read::line(&line.text);
            if read.event.as_deref() == Some("retired") {
                self.retired = self.retired.max(read.through.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// The hash before the first line of all.
    fn first(&mut self, line: &Line, sealed: Sealed<'_>, here: &Here<'_>) -> Result<Hash, Box<Broken>> {
        let seq = sealed.link.seq;
        self.report.first = Some(seq);
        if seq == 1 {
            return Ok(Link::NONE.hash);
        }
        let opens = Read::line(&line.text).opens_after();
        opens.ok_or_else(|| here.broken(Fault::HeadMissing, "a line that opens a file", shown(line)))
    }

    /// What shows only when all was read: the beginning, and the end.
    fn ends(&mut self, whole: bool) -> Option<Broken> {
        let last = self.report.files.last().cloned().unwrap_or_default();
        let first = self.report.files.first().cloned().unwrap_or_default();
        let begins = self.report.first.unwrap_or(1);
        if begins > 1 {
            let gone = begins.saturating_sub(1);
            if whole && self.retired < gone {
                let here = Here {
                    file: &first,
                    line: 1,
                };
                let found = format!("line {begins}; retention removed lines up to {}", self.retired);
                return Some(*here.broken(Fault::Missing, "line 1, or what retention left", found));
            }
            let why = if whole {
                "removed by retention"
            } else {
                "not in these files"
            };
            self.report.notes.push(format!("lines 1 to {gone} are {why}"));
        }
        let end = self.before.map_or(0, |link| link.seq);
        let beyond = self
            .checkpoints
            .iter()
            .filter(|known| known.0.seq > end)
            .max_by_key(|known| known.0.seq)?;
        let here = Here {
            file: &last,
            line: self.line_in_file.saturating_add(1),
        };
        let expected = format!("lines {} to {}", end.saturating_add(1), beyond.0.seq);
        Some(*here.broken(Fault::TailMissing, expected, "the end"))
    }
}

/// Whether a line has the number after the one before.
fn in_order(before: Link, link: Link, here: &Here<'_>) -> Result<Link, Box<Broken>> {
    let next = before.seq.saturating_add(1);
    let (expected, found) = (format!("line {next}"), format!("line {}", link.seq));
    match link.seq.cmp(&next) {
        std::cmp::Ordering::Equal => Ok(before),
        std::cmp::Ordering::Less => Err(here.broken(Fault::Repeated, expected, found)),
        std::cmp::Ordering::Greater => Err(here.broken(Fault::Missing, expected, found)),
    }
}

/// The beginning of a line, for people.
fn shown(line: &Line) -> String {
    let text = String::from_utf8_lossy(&line.text);
    let end = text.floor_char_boundary(80);
    let (kept, cut) = text.split_at(end);
    let kept = crate::exchange::printable::escape(kept);
    if cut.is_empty() {
        format!("`{kept}`")
    } else {
        format!("`{kept}…`")
    }
}

#[cfg(test)]
mod tests;
