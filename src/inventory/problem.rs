//! What is wrong with a file that an author edits, so that it can be shown with its line.

pub mod code;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteSpanContents, Severity, SourceCode, SourceSpan, SpanContents,
};

/// Something wrong with a file of the policy directory: what, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the policy directory; `.` where the directory itself is meant.
    pub file: PathBuf,
    /// The file's text, where there is a place in it to show.
    pub source: Option<Arc<str>>,
    /// The place: offset and length in bytes.
    pub span: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// What kind of thing it is: one of [`code::ALL`].
    pub code: &'static str,
    /// Whether it only advises. What doesn't keeps the directory from ruling.
    pub warning: bool,
}

impl Problem {
    /// A problem with a file as a whole.
    pub fn new(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            source: None,
            span: None,
            message: message.into(),
            help: None,
            code: code::INVALID,
            warning: false,
        }
    }

    /// Something that an author should look at, though it doesn't keep the directory from ruling.
    pub fn warning(file: impl Into<PathBuf>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            warning: true,
            ..Self::new(file, message)
        }
    }

    /// The same problem with its code, unless it has one already.
    #[must_use]
    pub fn code(self, code: &'static str) -> Self {
        let code = if self.code == code::INVALID {
            code
        } else {
            self.code
        };
        Self { code, ..self }
    }

    /// Several problems with their code, each unless it has one already.
    #[must_use]
    pub fn coded(problems: Vec<Self>, code: &'static str) -> Vec<Self> {
        problems.into_iter().map(|problem| problem.code(code)).collect()
    }

    /// The same as a warning.
    #[must_use]
    pub fn warn(self) -> Self {
        Self {
            warning: true,
            ..self
        }
    }

    /// The same problem at a place in the file's text.
    #[must_use]
    pub fn at(mut self, source: &Arc<str>, offset: usize, length: usize) -> Self {
        self.source = Some(Arc::clone(source));
        self.span = Some((offset, length));
        self
    }

    /// The same problem at a line and column, both from 1, as parsers report them.
    #[must_use]
    pub fn at_line(self, source: &Arc<str>, line: usize, column: usize) -> Self {
        let start: usize = source
            .split_inclusive('\n')
            .take(line.saturating_sub(1))
            .map(str::len)
            .sum();
        let offset = start.saturating_add(column.saturating_sub(1)).min(source.len());
        self.at(source, offset, usize::from(offset < source.len()))
    }

    /// The same problem where `needle` first stands in the file's text; without a place if it doesn't.
    #[must_use]
    pub fn at_text(self, source: &Arc<str>, needle: &str) -> Self {
        match source.find(needle) {
            Some(offset) => self.at(source, offset, needle.len()),
            None => self,
        }
    }

    /// The same problem with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same problem with a suggestion, where one of the known words is close to the one written.
    #[must_use]
    pub fn suggest<'a>(self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(written, known) {
            Some(word) => self.help(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    /// Line and column of the place, both from 1.
    #[must_use]
    pub fn line_column(&self) -> Option<(usize, usize)> {
        let (offset, _) = self.span?;
        let before = self.source.as_deref()?.get(..offset)?;
        let line = before.matches('\n').count().saturating_add(1);
        let start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let column = before.get(start..)?.chars().count().saturating_add(1);
        Some((line, column))
    }
}

/// The known word that is closest to a written one, if any is close.
#[must_use]
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(written, word), word))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, word)| word)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.line_column() {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(if self.warning {
            Severity::Warning
        } else {
            Severity::Error
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.is_some().then_some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (offset, length) = self.span?;
        let label = LabeledSpan::new(Some("here".to_owned()), offset, length);
        Some(Box::new(std::iter::once(label)))
    }
}

impl SourceCode for Problem {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text: &str = self.source.as_deref().unwrap_or_default();
        let contents = text.read_span(span, before, after)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.file.display().to_string(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_file_line_and_column() {
        let source: Arc<str> = "tools:\n  fs_raed: {}\n".into();
        let problem = Problem::new("tools/a.overrides.yaml", "no tool `fs_raed`")
            .at_text(&source, "fs_raed")
            .suggest("fs_raed", ["fs_write", "fs_read"]);
        assert_eq!(
            problem.to_string(),
            "tools/a.overrides.yaml:2:3: no tool `fs_raed`"
        );
        assert_eq!(problem.help.as_deref(), Some("did you mean `fs_read`?"));
        let shown = format!("{:?}", miette::Report::new(problem.clone()));
        assert!(shown.contains("fs_raed"), "{shown}");
        assert_eq!(
            Problem::new("x", "y").at_line(&source, 2, 3).line_column(),
            Some((2, 3))
        );
    }
}
