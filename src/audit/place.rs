//! Where a journal's files are: the current one, the old ones beside it, and two small ones.
//!
//! ```text
//! audit.jsonl                                                   what is written to
//! audit-000000000001-000000004711-20261121T090000Z.jsonl.gz     lines 1 to 4711, ended at 09:00:00 UTC
//! audit.jsonl.checkpoint                                        how far the journal was, at least
//! audit.jsonl.lock                                              held by the process that writes
//! ```

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How times are written in names.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// A journal's place.
#[derive(Debug, Clone)]
pub struct Place {
    current: PathBuf,
}

/// An old file of a journal, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Old {
    pub(super) path: PathBuf,
    /// The number of its first line.
    pub(super) first: u64,
    /// The number of its last line.
    pub(super) last: u64,
    /// When it was put aside: all of it is older.
    pub(super) ended: Timestamp,
    /// Whether it is compressed.
    pub(super) packed: bool,
}

impl Place {
    /// The journal that writes to this file.
    #[must_use]
    pub fn new(current: &Path) -> Self {
        Self {
            current: current.to_owned(),
        }
    }

    /// The file that is written to.
    #[must_use]
    pub fn current(&self) -> &Path {
        &self.current
    }

    /// The folder of all its files.
    pub(super) fn folder(&self) -> &Path {
        match self.current.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.beside(".lock")
    }

    /// The file of the last checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.beside(".checkpoint")
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name: OsString = self.current.clone().into_os_string();
        name.push(end);
        name.into()
    }

    /// What the current file is called once it is put aside.
    pub(super) fn old(&self, first: u64, last: u64, ended: Timestamp) -> PathBuf {
        let (stem, end) = self.name();
        let ended = ended.strftime(TIME);
        self.folder()
            .join(format!("{stem}-{first:012}-{last:012}-{ended}{end}"))
    }

    /// The name before and after the numbers: `audit` and `.jsonl`.
    fn name(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let stem = text(self.current.file_stem()).unwrap_or_default();
        let end = text(self.current.extension()).map_or_else(String::new, |end| format!(".{end}"));
        (stem, end)
    }

    /// The old files in the order of their lines. One that is there plain and compressed is listed as compressed.
    ///
    /// # Errors
    /// The folder can't be read.
    pub(super) fn old_files(&self) -> io::Result<Vec<Old>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder())? {
            found.extend(self.read_name(&entry?.path()));
        }
        found.sort_by_key(|old| (old.first, old.last, old.ended, !old.packed));
        // Compressed ones come first, and are whole: they get their name when they are.
        found.dedup_by(|next, kept| {
            (next.first, next.last, next.ended) == (kept.first, kept.last, kept.ended)
        });
        Ok(found)
    }

    fn read_name(&self, path: &Path) -> Option<Old> {
        let (stem, end) = self.name();
        let name = path.file_name()?.to_str()?;
        let packed = path.extension().is_some_and(|end| end == "gz");
        let numbers = name
            .strip_suffix(".gz")
            .unwrap_or(name)
            .strip_suffix(&end)?
            .strip_prefix(&stem)?
            .strip_prefix('-')?;
        let mut parts = numbers.split('-');
        let (first, last, ended) = (parts.next()?, parts.next()?, parts.next()?);
        let ended = jiff::civil::DateTime::strptime(TIME, ended).ok()?;
        if parts.next().is_some() {
            return None;
        }
        Some(Old {
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            ended: ended.to_zoned(TimeZone::UTC).ok()?.timestamp(),
            packed,
            path: path.to_owned(),
        })
    }

    /// Files that another program put aside: `audit.jsonl.1`, `audit.jsonl.2.gz`, `audit.jsonl-20261121`.
    pub(super) fn moved_files(&self) -> io::Result<Vec<PathBuf>> {
        let current = self
            .current
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder())? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let numbered = name
                .strip_prefix(&current)
                .and_then(|rest| rest.strip_prefix(['.', '-']))
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            if numbered {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Brings to disk that a file was created, renamed or removed in this folder.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_lines_do_and_a_file_that_is_there_twice_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(&folder.path().join("audit.jsonl"));
        let ended: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let (one, two) = (place.old(1, 4711, ended), place.old(4712, 5000, ended));
        assert_eq!(
            one.file_name().unwrap(),
            "audit-000000000001-000000004711-20261121T090000Z.jsonl"
        );
        let packed = PathBuf::from(format!("{}.gz", one.display()));
        for path in [&two, &one, &packed] {
            std::fs::write(path, "").unwrap();
        }
        for other in [
            "audit.jsonl",
            "audit.jsonl.lock",
            "audit-x.jsonl",
            "audit-000000000001-000000004711-20261121T090000Z.jsonl.gz.tmp",
            "other-000000000001-000000004711-20261121T090000Z.jsonl",
            "audit.jsonl.1",
            "audit.jsonl.2.gz",
        ] {
            std::fs::write(folder.path().join(other), "").unwrap();
        }
        let found = place.old_files().unwrap();
        let paths: Vec<_> = found.iter().map(|old| &old.path).collect();
        assert_eq!(paths, [&packed, &two]);
        assert_eq!((found[0].first, found[0].last, found[0].ended), (1, 4711, ended));
        assert_eq!(place.moved_files().unwrap().len(), 2);
    }

    #[test]
    fn a_name_without_an_end_or_a_folder_is_a_place_too() {
        let place = Place::new(Path::new("audit"));
        assert_eq!(place.folder(), Path::new("."));
        let old = place.old(1, 2, Timestamp::UNIX_EPOCH);
        assert!(place.read_name(&old).is_some());
    }
}
