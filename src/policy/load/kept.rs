//! What one load of a policy directory leaves to the next: whatever depends on nothing that changed.
//!
//! Files are kept by their text, and what the validator took by the text of the policy and the content of the part of the schema
//! that it was held against. Only what the last load used stays.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::rules::PolicyFile;

/// What refused loads may pile up.
const MOST_SOUND: usize = 200_000;

/// SHA-256 of a policy's text and of what it was held against.
pub(in crate::policy) type Digest = [u8; 32];

/// What may be used again. A new one knows nothing: everything is read and validated.
#[derive(Debug, Default)]
pub struct Kept {
    files: HashMap<String, (Arc<str>, Arc<PolicyFile>)>,
    before: HashMap<String, (Arc<str>, Arc<PolicyFile>)>,
    sound: HashSet<Digest>,
    sound_before: HashSet<Digest>,
    /// What the last load did.
    pub work: Work,
}

/// How much a load had to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Policy files that were read.
    pub files: usize,
    /// Policies and templates that were validated.
    pub validated: usize,
}

impl Kept {
    /// A load begins: what it doesn't ask for is forgotten when the next begins.
    pub(in crate::policy) fn begin(&mut self) {
        self.before = std::mem::take(&mut self.files);
        self.sound_before = std::mem::take(&mut self.sound);
        self.work = Work::default();
    }

    /// A load ends. What a good one didn't use goes; one that was refused is no reason to forget what the next may use.
    pub(in crate::policy) fn end(&mut self, refused: bool) {
        let files = std::mem::take(&mut self.before);
        let sound = std::mem::take(&mut self.sound_before);
        if refused && self.sound.len() < MOST_SOUND {
            for (path, file) in files {
                self.files.entry(path).or_insert(file);
            }
            self.sound.extend(sound);
        }
    }

    /// A file of this text, read now if it isn't kept.
    pub(in crate::policy) fn file(
        &mut self,
        path: &str,
        source: &Arc<str>,
        read: impl FnOnce() -> PolicyFile,
    ) -> Arc<PolicyFile> {
        let known = self.before.remove(path).filter(|(text, _)| text == source);
        let (source, file) = known.unwrap_or_else(|| {
            self.work.files = self.work.files.saturating_add(1);
            (Arc::clone(source), Arc::new(read()))
        });
        self.files.insert(path.to_owned(), (source, Arc::clone(&file)));
        file
    }

    /// Whether the validator found nothing in this before.
    pub(in crate::policy) fn is_sound(&mut self, digest: &Digest) -> bool {
        let known = self.sound.contains(digest) || self.sound_before.contains(digest);
        if known {
            self.sound.insert(*digest);
        }
        known
    }

    /// The validator finds nothing in this.
    pub(in crate::policy) fn found_sound(&mut self, digest: Digest) {
        self.sound.insert(digest);
    }
}
