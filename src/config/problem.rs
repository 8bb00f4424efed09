//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

use super::tree::Place;

/// A problem while the file it stands in is still being read.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) place: Place,
}

impl Problem {
    pub(super) fn at(place: Place, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            place,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigProblem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file, if the configuration has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column in the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The environment variable, if it was that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<Arc<str>>,
    #[serde(skip)]
    shown: Option<Shown>,
}

/// The file's text and the part of it to point at.
#[derive(Debug, Clone)]
struct Shown {
    source: Arc<NamedSource<Arc<str>>>,
    span: (usize, usize),
}

/// The file that a configuration is read from.
pub(super) struct File {
    path: PathBuf,
    source: Arc<NamedSource<Arc<str>>>,
}

impl File {
    pub(super) fn new(path: PathBuf, text: &str) -> Self {
        let source = NamedSource::new(path.to_string_lossy(), Arc::from(text));
        Self {
            path,
            source: Arc::new(source),
        }
    }
}

impl ConfigProblem {
    /// A problem with its place made readable.
    pub(super) fn new(problem: Problem, file: Option<&File>) -> Self {
        let Problem { message, help, place } = problem;
        let mut shown = Self {
            message,
            help,
            file: file.map(|file| file.path.clone()),
            line: None,
            column: None,
            variable: None,
            shown: None,
        };
        match place {
            Place::File { line, column, span } => {
                shown.line = Some(line);
                shown.column = Some(column);
                shown.shown = file.map(|file| Shown {
                    source: Arc::clone(&file.source),
                    span,
                });
            }
            Place::Variable(name) => {
                shown.file = None;
                shown.variable = Some(name);
            }
            Place::Nowhere => {}
        }
        shown
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.variable, &self.file) {
            (Some(name), _) => write!(f, "{name}: ")?,
            (None, Some(file)) => {
                write!(f, "{}:", file.display())?;
                if let (Some(line), Some(column)) = (self.line, self.column) {
                    write!(f, "{line}:{column}:")?;
                }
                f.write_str(" ")?;
            }
            (None, None) => {}
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigProblem {}

impl Diagnostic for ConfigProblem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.shown
            .as_ref()
            .map(|shown| shown.source.as_ref() as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (offset, length) = self.shown.as_ref()?.span;
        let label = LabeledSpan::new(Some("here".to_owned()), offset, length.max(1));
        Some(Box::new(std::iter::once(label)))
    }
}
