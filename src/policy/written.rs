//! Where a policy is written: a piece of a file; for the link of a template the link's own, and the template's.

use std::sync::Arc;

use crate::inventory::Problem;

/// A piece of a file.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) file: Arc<str>,
    pub(super) source: Arc<str>,
    pub(super) start: usize,
    pub(super) length: usize,
    /// From 1.
    pub(super) line: usize,
    /// The template that is linked here: its conditions stand there.
    pub(super) template: Option<Arc<Written>>,
}

/// Where a policy, or a condition of one, is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl Written {
    /// Where the text stands: of a link, its template's.
    pub(super) fn location(&self) -> Location {
        let written = self.template.as_deref().unwrap_or(self);
        Location {
            file: Arc::clone(&written.file),
            line: written.line,
        }
    }

    /// The text itself.
    pub(super) fn text(&self) -> &str {
        let end = self.start.saturating_add(self.length);
        self.source.get(self.start..end).unwrap_or_default()
    }

    /// A problem where `needle` first stands: in the template, in the policy, else at its beginning.
    pub(super) fn problem(&self, message: impl Into<String>, needle: &str) -> Problem {
        if let Some(template) = self.template.as_ref().filter(|template| template.has(needle)) {
            return template.problem(message, needle);
        }
        let text = self.text();
        let found = (!needle.is_empty()).then(|| text.find(needle)).flatten();
        let first = text.find('\n').unwrap_or(text.len());
        let (offset, length) = found.map_or((0, first), |at| (at, needle.len()));
        Problem::new(&*self.file, message).at(&self.source, self.start.saturating_add(offset), length)
    }

    fn has(&self, needle: &str) -> bool {
        !needle.is_empty() && self.text().contains(needle)
    }
}
