//! The file or stream behind the journal.
//!
//! What is written is there as a whole or not at all: after a failure, what was begun is cut off again; where it can't
//! be (a pipe, a terminal), the rest follows as soon as it can. A file that was moved or removed is opened anew, so a
//! rotation needs no signal. A regular file is written to by one process only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::JournalError;
use super::lock::Lock;
use super::resume::Ends;
use crate::audit::place::{Place, sync_folder};

/// What lines are written to.
#[derive(Debug)]
pub(super) struct Target {
    sink: Box<dyn Sink>,
    /// Where the sink was opened; `None` for a stream.
    place: Option<Place>,
    /// Held for a regular file.
    lock: Option<Lock>,
    /// How many bytes it has.
    length: u64,
    /// How many bytes at the start of the next write this sink already has: they couldn't be cut off again.
    begun: usize,
    /// Whether those bytes may not be on disk although they read back: a failed `fsync` forgets them.
    doubtful: bool,
}

/// What a target needs of a file: a test has one that fails when told to.
pub(super) trait Sink: Send + std::fmt::Debug {
    /// Writes some bytes at the end.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts these bytes off the end, if they are what stands there.
    fn cut(&mut self, tail: &[u8]) -> io::Result<()>;
    /// Returns once all that was written is on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Device and inode, where it has a place in the file system.
    fn identity(&self) -> io::Result<(u64, u64)>;
}

impl Target {
    /// Opens the file, or standard output.
    pub(super) fn open(path: Option<&Path>) -> Result<(Self, Ends), JournalError> {
        let Some(path) = path else {
            // Not `std::io::Stdout`: its buffer would keep a half line back.
            let stream = io::stdout().as_fd().try_clone_to_owned();
            let stream = stream.map_err(|error| JournalError::Start(error.to_string()))?;
            return Ok((
                Self::new(Box::new(Stream(File::from(stream))), None),
                Ends::default(),
            ));
        };
        let place = Place::new(path);
        let mut lock = None;
        match open_file(&place, &mut lock) {
            Ok((file, ends, length)) => {
                let target = Self {
                    lock,
                    length,
                    ..Self::new(Box::new(file), Some(place))
                };
                Ok((target, ends))
            }
            Err(error) => Err(JournalError::Open {
                path: path.to_owned(),
                reason: error.to_string(),
            }),
        }
    }

    pub(super) fn new(sink: Box<dyn Sink>, place: Option<Place>) -> Self {
        Self {
            sink,
            place,
            lock: None,
            length: 0,
            begun: 0,
            doubtful: false,
        }
    }

    /// Opens the file anew if the path no longer leads to it; says what it found there.
    pub(super) fn refresh(&mut self) -> io::Result<Option<Ends>> {
        let Some(place) = &self.place else { return Ok(None) };
        let here = std::fs::metadata(place.current()).map(|found| (found.dev(), found.ino()));
        if here.is_ok_and(|here| self.sink.identity().is_ok_and(|own| own == here)) {
            return Ok(None);
        }
        let (file, ends, length) = open_file(place, &mut self.lock)?;
        self.sink = Box::new(file);
        self.length = length;
        self.begun = 0;
        self.doubtful = false;
        Ok(Some(ends))
    }

    /// Where its files are; `None` for what is no regular file.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref().filter(|_| self.lock.is_some())
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Gives the file another name, with all that was written on disk. The next [`Target::refresh`] begins a new one.
    pub(super) fn put_aside(&mut self, name: &Path) -> io::Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        self.sink.sync()?;
        std::fs::rename(place.current(), name)?;
        sync_folder(place.folder())
    }

    /// Whether the next write must begin with the bytes that the last one began with.
    pub(super) fn has_begun(&self) -> bool {
        self.begun > 0
    }

    /// Writes all of it. After an error nothing of it is there, or [`Target::has_begun`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.doubtful {
            self.cut(bytes)?;
        }
        while let Some(rest) = bytes.get(self.begun..).filter(|rest| !rest.is_empty()) {
            match self.sink.write(rest) {
                Ok(0) => return self.undo(bytes, io::ErrorKind::WriteZero.into()),
                Ok(count) => self.begun = self.begun.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.undo(bytes, error),
            }
        }
        self.begun = 0;
        self.length = self
            .length
            .saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        Ok(())
    }

    /// Brings to disk what was just written. After an error it counts as not written: the kernel may have dropped it,
    /// and say of the next `fsync` that all is well.
    pub(super) fn sync(&mut self, written: &[u8]) -> io::Result<()> {
        let result = self.sink.sync();
        if let Err(error) = result {
            self.begun = written.len();
            self.length = self
                .length
                .saturating_sub(written.len().try_into().unwrap_or(u64::MAX));
            self.doubtful = true;
            return self.undo(written, error);
        }
        Ok(())
    }

    fn undo(&mut self, bytes: &[u8], error: io::Error) -> io::Result<()> {
        // Where it can't be undone now, it is tried again, or gone on with, at the next attempt.
        let _ = self.cut(bytes);
        Err(error)
    }

    /// Cuts off again what was begun of these bytes.
    fn cut(&mut self, bytes: &[u8]) -> io::Result<()> {
        let begun = bytes.get(..self.begun).unwrap_or_default();
        if !begun.is_empty() {
            self.sink.cut(begun)?;
        }
        self.begun = 0;
        self.doubtful = false;
        Ok(())
    }
}

/// A regular file, or whatever else the path names.
#[derive(Debug)]
struct Appended(File);

/// Standard output.
#[derive(Debug)]
struct Stream(File);

/// Opens for appending, and says what was found and how long it is. A regular file is ours alone from here on; a last
/// line without an end, which a killed process left, is cut off, for the journal to say what it was.
fn open_file(place: &Place, lock: &mut Option<Lock>) -> io::Result<(Appended, Ends, u64)> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(place.current())?;
    if !file.metadata()?.is_file() {
        *lock = None;
        return Ok((Appended(file), Ends::default(), 0));
    }
    if !lock.as_ref().is_some_and(|lock| lock.holds(place)) {
        *lock = Some(Lock::take(place)?);
    }
    let ends = Ends::of(&file)?;
    let torn = u64::try_from(ends.torn.len()).map_err(io::Error::other)?;
    let length = file.metadata()?.len().saturating_sub(torn);
    if torn > 0 {
        file.set_len(length)?;
    }
    // So that the file itself is there after a loss of power.
    sync_folder(place.folder())?;
    Ok((Appended(file), ends, length))
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

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
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

    fn sync(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests;
