//! One process writes to a journal, and no other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use crate::audit::place::Place;

/// Held as long as the journal is written to. The kernel frees it, however the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock.
    pub(super) fn take(place: &Place) -> io::Result<Self> {
        let path = place.lock();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("another process writes to it and holds `{}`", path.display()),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether the lock's file still is the one of the place: its folder may be another one by now.
    pub(super) fn holds(&self, place: &Place) -> bool {
        let own = self.file.metadata().map(|own| (own.dev(), own.ino()));
        let here = std::fs::metadata(place.lock()).map(|here| (here.dev(), here.ino()));
        matches!((own, here), (Ok(own), Ok(here)) if own == here)
    }
}
