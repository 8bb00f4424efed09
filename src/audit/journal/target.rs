//! The file or stream behind the journal.
//!
//! A line is whole or not there: after a failed write, what was begun of a line is cut off again; where it can't
//! be (a pipe, a terminal), the rest of the line follows as soon as it can. A file that was moved or removed is
//! opened anew, so a rotation needs no signal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::JournalError;

/// What lines are written to.
#[derive(Debug)]
pub(super) struct Target {
    sink: Box<dyn Sink>,
    /// Where the sink was opened; `None` for a stream.
    path: Option<PathBuf>,
    /// How many bytes at the start of the next write this sink already has: a line was begun and couldn't be cut
    /// off.
    begun: usize,
}

/// What a target needs of a file: a test has one that fails when told to.
pub(super) trait Sink: Send + std::fmt::Debug {
    /// Writes some bytes at the end.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts these bytes off the end, if they are what stands there.
    fn cut(&mut self, tail: &[u8]) -> io::Result<()>;
    /// Device and inode, where it has a place in the file system.
    fn identity(&self) -> io::Result<(u64, u64)>;
}

impl Target {
    /// Opens the file, or standard output.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, JournalError> {
        let Some(path) = path else {
            // Not `std::io::Stdout`: its buffer would keep a half line back.
            let stream = io::stdout().as_fd().try_clone_to_owned();
            let stream = stream.map_err(|error| JournalError::Start(error.to_string()))?;
            return Ok(Self::new(Box::new(Stream(File::from(stream))), None));
        };
        match open_file(path) {
            Ok(file) => Ok(Self::new(Box::new(file), Some(path.to_owned()))),
            Err(error) => Err(JournalError::Open {
                path: path.to_owned(),
                reason: error.to_string(),
            }),
        }
    }

    pub(super) fn new(sink: Box<dyn Sink>, path: Option<PathBuf>) -> Self {
        Self { sink, path, begun: 0 }
    }

    /// Opens the file anew if the path no longer leads to it.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let here = std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
        if here.is_ok_and(|here| self.sink.identity().is_ok_and(|own| own == here)) {
            return Ok(());
        }
        self.sink = Box::new(open_file(path)?);
        self.begun = 0;
        Ok(())
    }

    /// Writes whole lines. Says how many bytes are done with, always up to the end of a line.
    pub(super) fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if let Err(error) = self.refresh() {
            return (0, Err(error));
        }
        let mut at = self.begun.min(lines.len());
        let result = loop {
            let rest = lines.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match self.sink.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => at = at.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let written = lines.get(..at).unwrap_or_default();
        let whole = written
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end.saturating_add(1));
        let partial = written.get(whole..).unwrap_or_default();
        self.begun = if partial.is_empty() || self.sink.cut(partial).is_ok() {
            0
        } else {
            partial.len()
        };
        (whole, result)
    }
}

/// A regular file, or whatever else the path names.
#[derive(Debug)]
struct Appended(File);

/// Standard output.
#[derive(Debug)]
struct Stream(File);

/// Opens for appending. A last line without an end, which a killed process left, is ended: it stays one bad line
/// and spoils no other. It is not removed: nothing that is found in a journal ever is.
fn open_file(path: &Path) -> io::Result<Appended> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let found = file.metadata()?;
    if let Some(last) = found.len().checked_sub(1).filter(|_| found.is_file()) {
        let mut end = [0];
        file.read_exact_at(&mut end, last)?;
        if end != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(Appended(file))
}

impl Sink for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn cut(&mut self, tail: &[u8]) -> io::Result<()> {
        let count = u64::try_from(tail.len()).map_err(io::Error::other)?;
        let shorter = self.0.metadata()?.len().checked_sub(count);
        let shorter = shorter.ok_or(io::ErrorKind::InvalidInput)?;
        let mut found = vec![0; tail.len()];
        self.0.read_exact_at(&mut found, shorter)?;
        if found != tail {
            return Err(io::Error::other("the end of the file is somebody else's"));
        }
        self.0.set_len(shorter)
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        self.0.metadata().map(|own| (own.dev(), own.ino()))
    }
}

impl Sink for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn cut(&mut self, _tail: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests;
