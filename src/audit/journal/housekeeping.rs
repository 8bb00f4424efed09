//! Old files, on a thread of their own: compressed, and removed when the settings say so.
//!
//! A compressed file gets its name once it is whole and on disk, and only then the plain one is removed: a crash at
//! any moment leaves one or the other, or both, which counts as one. The journal says what was removed before it is.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};

use super::queue::Entry;
use super::ticket::{Receipt, Ticket};
use super::{JournalError, Shared};
use crate::audit::event::Event;
use crate::audit::place::{Old, Place, sync_folder};
use crate::audit::settings::{AuditSettings, Retention};
use crate::clock;

/// How often it is looked whether a file is too old.
const INTERVAL: Duration = Duration::from_mins(1);
/// How long the journal may take to say that files are removed.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);

struct Housekeeper {
    place: Place,
    shared: Arc<Shared>,
    compress: bool,
    retention: Retention,
}

/// Starts housekeeping. It ends with the sender.
pub(super) fn spawn(place: Place, shared: Arc<Shared>, settings: &AuditSettings) -> io::Result<Sender<()>> {
    let (told, news) = mpsc::channel();
    let housekeeper = Housekeeper {
        place,
        shared,
        compress: settings.rotation.compress,
        retention: settings.retention.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    std::thread::Builder::new()
        .name("audit-old-files".to_owned())
        .spawn(move || {
            loop {
                if let Err(error) = housekeeper.tidy(&runtime) {
                    tracing::warn!(%error, "old files of the audit can't be compressed or removed");
                }
                if news.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected) {
                    break;
                }
            }
        })?;
    Ok(told)
}

impl Housekeeper {
    fn tidy(&self, runtime: &tokio::runtime::Runtime) -> io::Result<()> {
        for old in self.place.old_files()? {
            if self.compress && !old.packed {
                compress(&old.path)?;
            } else if old.packed {
                // Left by a crash between the two.
                remove(&old.path.with_extension(""))?;
            }
        }
        let old = self.place.old_files()?;
        let retired = outlived(&old, &self.retention, clock::now())?;
        if retired.is_empty() || self.shared.queue.is_closing() {
            return Ok(());
        }
        self.record(retired, runtime).map_err(io::Error::other)?;
        for old in retired {
            remove(&old.path)?;
            tracing::info!(file = %old.path.display(), "an old file of the audit was removed");
        }
        sync_folder(self.place.folder())
    }

    fn record(&self, retired: &[Old], runtime: &tokio::runtime::Runtime) -> Result<(), JournalError> {
        let name = |old: &Old| {
            old.path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let event = Event::Retired {
            through: retired.last().map_or(0, |old| old.last),
            files: retired.iter().map(name).collect(),
        };
        let ticket = Arc::new(Ticket::default());
        self.shared.queue.push(Entry {
            lines: event.to_line(clock::now()),
            ticket: Some(Arc::clone(&ticket)),
            holds_place: false,
        });
        let now = clock::instant();
        let deadline = now.checked_add(RECORDED_WITHIN).unwrap_or(now);
        runtime.block_on(Receipt(Some(ticket)).durable(deadline))
    }
}

/// The oldest files, as far as they are too many, too large or too old.
fn outlived<'a>(old: &'a [Old], retention: &Retention, now: Timestamp) -> io::Result<&'a [Old]> {
    let mut bytes = 0_u64;
    let mut kept = 0_usize;
    for file in old.iter().rev() {
        bytes = bytes.saturating_add(fs::metadata(&file.path)?.len());
        let age = now.duration_since(file.ended);
        let too_old = retention
            .max_age
            .is_some_and(|most| age > SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX));
        if too_old
            || retention.max_files.is_some_and(|most| kept >= most)
            || retention.max_bytes.is_some_and(|most| bytes > most)
        {
            break;
        }
        kept = kept.saturating_add(1);
    }
    Ok(old.get(..old.len().saturating_sub(kept)).unwrap_or_default())
}

/// Puts a compressed file in the place of a plain one.
fn compress(plain: &Path) -> io::Result<()> {
    let packed = with_end(plain, ".gz");
    let temporary = with_end(&packed, ".tmp");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    io::copy(&mut File::open(plain)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&temporary, &packed)?;
    if let Some(folder) = packed.parent() {
        sync_folder(folder)?;
    }
    remove(plain)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(folder: &Path, first: u64, ended: &str, bytes: usize) -> Old {
        let path = folder.join(first.to_string());
        fs::write(&path, vec![b'x'; bytes]).unwrap();
        Old {
            path,
            first,
            last: first,
            ended: ended.parse().unwrap(),
            packed: true,
        }
    }

    #[test]
    fn the_oldest_go_first_and_what_is_within_every_bound_stays() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            old(folder.path(), 1, "2026-11-18T00:00:00Z", 100),
            old(folder.path(), 2, "2026-11-19T00:00:00Z", 100),
            old(folder.path(), 3, "2026-11-20T00:00:00Z", 100),
        ];
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        let gone = |retention: Retention| outlived(&files, &retention, now).unwrap().len();
        assert_eq!(gone(Retention::default()), 0);
        let day = Duration::from_hours(24);
        for (max_age, expected) in [(day / 2, 3), (day, 2), (day * 2, 1), (day * 3, 0)] {
            assert_eq!(
                gone(Retention {
                    max_age: Some(max_age),
                    ..Retention::default()
                }),
                expected
            );
        }
        for (max_files, expected) in [(0, 3), (1, 2), (3, 0), (4, 0)] {
            assert_eq!(
                gone(Retention {
                    max_files: Some(max_files),
                    ..Retention::default()
                }),
                expected
            );
        }
        for (max_bytes, expected) in [(99, 3), (100, 2), (299, 1), (300, 0)] {
            assert_eq!(
                gone(Retention {
                    max_bytes: Some(max_bytes),
                    ..Retention::default()
                }),
                expected
            );
        }
    }
}
