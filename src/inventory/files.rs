//! The policy directory, read once: everything that is loaded comes from one such reading, so that half of an
//! edit never rules.
//!
//! A directory mounted from a Kubernetes `ConfigMap` holds symlinks into `..data`, itself a symlink that is swapped
//! on an update: links are followed as long as they end within the directory, entries that begin with a dot are
//! not read by themselves, and a swap in the middle of reading makes it begin again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Problem;

/// What files end in that are read; others (a README, an editor's backup) are left alone.
const EXTENSIONS: [&str; 5] = ["cedar", "cedarschema", "json", "yaml", "yml"];
/// Folders below the policy directory.
const MAX_DEPTH: usize = 8;
/// Folders in all: links that go round in circles multiply.
const MAX_FOLDERS: usize = 1_000;
/// How often a reading begins again because `..data` was swapped under it.
const MAX_ATTEMPTS: usize = 5;

/// How much is read at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of all files together.
    pub total: u64,
    /// Number of files.
    pub count: usize,
}

impl Default for Limits {
    /// 16 MiB a file, 64 MiB together, 10,000 files.
    fn default() -> Self {
        Self {
            file: 16 << 20,
            total: 64 << 20,
            count: 10_000,
        }
    }
}

/// The files of a policy directory as they were at one moment, by path below it with `/` between segments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Arc<[u8]>>);

impl Files {
    /// Reads a directory with everything below it, within the default [`Limits`].
    ///
    /// # Errors
    /// What can't be read, is too large, or leads out of the directory: every such file.
    pub fn read(directory: &Path) -> Result<Self, Vec<Problem>> {
        Self::read_within(directory, Limits::default())
    }

    /// Reads a directory with everything below it.
    ///
    /// # Errors
    /// What can't be read, is too large, or leads out of the directory: every such file.
    pub fn read_within(directory: &Path, limits: Limits) -> Result<Self, Vec<Problem>> {
        let marker = directory.join("..data");
        for _ in 0..MAX_ATTEMPTS {
            let before = fs::read_link(&marker).ok();
            let result = Reading::of(directory, limits);
            if fs::read_link(&marker).ok() == before {
                return result;
            }
        }
        Err(vec![Problem::new(
            ".",
            "the directory changed again and again while it was read",
        )])
    }

    /// These files with one of them changed or added.
    #[must_use]
    pub fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.0.insert(path.to_owned(), bytes.into());
        self
    }

    /// The bytes of a file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(AsRef::as_ref)
    }

    /// The text of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// The file isn't UTF-8.
    pub fn text(&self, path: &str) -> Result<Option<Arc<str>>, Problem> {
        let Some(bytes) = self.get(path) else {
            return Ok(None);
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.into())),
            Err(error) => Err(Problem::new(
                path,
                format!("not UTF-8: byte {} of the file", error.valid_up_to()),
            )),
        }
    }

    /// All files in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(path, bytes)| (path.as_str(), bytes.as_ref()))
    }

    /// The files right in a folder (`""` for the directory itself) that end in `suffix`, in order: their whole paths.
    pub fn under<'a>(&'a self, folder: &'a str, suffix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(String::as_str).filter(move |path| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            parent == folder && name.ends_with(suffix)
        })
    }

    /// Whether there is no file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// For tests and for policies that come from elsewhere than a directory.
impl<P: Into<String>, B: AsRef<[u8]>> FromIterator<(P, B)> for Files {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        let files = files
            .into_iter()
            .map(|(path, bytes)| (path.into(), bytes.as_ref().into()));
        Self(files.collect())
    }
}

/// One walk through the directory.
struct Reading {
    root: PathBuf,
    limits: Limits,
    files: BTreeMap<String, Arc<[u8]>>,
    total: u64,
    folders: usize,
    problems: Vec<Problem>,
}

impl Reading {
    fn of(directory: &Path, limits: Limits) -> Result<Files, Vec<Problem>> {
        let root = fs::canonicalize(directory).map_err(|error| {
            vec![Problem::new(
                ".",
                format!("can't open `{}`: {error}", directory.display()),
            )]
        })?;
        let mut reading = Self {
            root: root.clone(),
            limits,
            files: BTreeMap::new(),
            total: 0,
            folders: 0,
            problems: Vec::new(),
        };
        reading.folder(&root, "", 0);
        if reading.problems.is_empty() {
            Ok(Files(reading.files))
        } else {
            Err(reading.problems)
        }
    }

    fn refuse(&mut self, path: &str, message: impl Into<String>) {
        let path = if path.is_empty() { "." } else { path };
        self.problems.push(Problem::new(path, message));
    }

    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) {
        self.folders = self.folders.saturating_add(1);
        if self.folders > MAX_FOLDERS {
            return;
        }
        if self.folders == MAX_FOLDERS {
            return self.refuse(prefix, format!("more than {MAX_FOLDERS} folders"));
        }
        if depth > MAX_DEPTH {
            return self.refuse(prefix, format!("more than {MAX_DEPTH} folders deep"));
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.refuse(prefix, format!("can't be listed: {error}")),
        };
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => names.push(entry.file_name()),
                Err(error) => return self.refuse(prefix, format!("can't be listed: {error}")),
            }
        }
        names.sort();
        for name in names {
            let Some(name) = name.to_str() else {
                self.refuse(prefix, "holds a file whose name is not UTF-8");
                continue;
            };
            if !name.starts_with('.') {
                self.entry(&folder.join(name), &join(prefix, name), depth);
            }
        }
    }

    fn entry(&mut self, path: &Path, relative: &str, depth: usize) {
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            // A link of a file that is left alone anyway may dangle.
            Err(_) if !has_extension(relative) => return,
            Err(error) => return self.refuse(relative, format!("can't be opened: {error}")),
        };
        let Ok(metadata) = fs::metadata(&target) else {
            return self.refuse(relative, "vanished while it was read");
        };
        if !metadata.is_dir() && !has_extension(relative) {
            return;
        }
        if !target.starts_with(&self.root) {
            return self.refuse(relative, "is a link that leads out of the policy directory");
        }
        if metadata.is_dir() {
            self.folder(&target, relative, depth.saturating_add(1));
        } else if metadata.is_file() {
            self.file(&target, relative);
        } else {
            self.refuse(relative, "is no regular file");
        }
    }

    fn file(&mut self, target: &Path, relative: &str) {
        if self.files.len() >= self.limits.count {
            return self.refuse(".", format!("more than {} files", self.limits.count));
        }
        let limit = self.limits.file;
        let mut bytes = Vec::new();
        let read = fs::File::open(target)
            .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
        let length = match read {
            Ok(length) => u64::try_from(length).unwrap_or(u64::MAX),
            Err(error) => return self.refuse(relative, format!("can't be read: {error}")),
        };
        if length > limit {
            return self.refuse(relative, format!("larger than {limit} bytes"));
        }
        self.total = self.total.saturating_add(length);
        if self.total > self.limits.total {
            let total = self.limits.total;
            return self.refuse(
                relative,
                format!("with it, the files are larger than {total} bytes"),
            );
        }
        self.files.insert(relative.to_owned(), bytes.into());
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}/{name}")
    }
}

/// Whether a file of a policy directory is read, by its path there: the others are left alone.
#[must_use]
pub fn is_read(relative: &str) -> bool {
    let hidden = relative.split('/').any(|name| name.starts_with('.'));
    !hidden && has_extension(relative)
}

fn has_extension(relative: &str) -> bool {
    Path::new(relative)
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension))
}

#[cfg(test)]
mod tests;
