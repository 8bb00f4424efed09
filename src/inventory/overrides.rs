//! `tools/<server>.overrides.yaml`: what tools do, where their annotations don't say or say it wrong.
//!
//! ```yaml
//! defaults: { groups: [api] }              # for every tool of the server that says nothing else
//! tools:
//!   scale_deployment: { operation: write, groups: [api], undeclared_arguments: allow }
//!   drop_table: { operation: admin, destructive: true, open_world: false }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{OperationKind, Problem};

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Overrides {
    /// What holds for every tool that says nothing else.
    #[serde(default)]
    pub(crate) defaults: Override,
    /// By the tool's name.
    #[serde(default)]
    pub(crate) tools: BTreeMap<String, Override>,
}

/// What is said of one tool; what isn't is as the defaults, then the annotations say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    /// read, list, write, execute or admin.
    pub(crate) operation: Option<OperationKind>,
    /// The tool's groups; an empty list takes it out of the default ones.
    pub(crate) groups: Option<Vec<String>>,
    /// Whether it can destroy something.
    pub(crate) destructive: Option<bool>,
    /// Whether it reaches beyond the server's own world.
    pub(crate) open_world: Option<bool>,
    /// Whether arguments pass that its schema neither declares nor forbids.
    pub(crate) undeclared_arguments: Option<Undeclared>,
}

/// What happens to undeclared arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Undeclared {
    /// They pass; policies don't see them.
    Allow,
    /// They are refused.
    Refuse,
}

/// The keys of an [`Override`], for suggestions.
const KEYS: [&str; 7] = [
    "operation",
    "groups",
    "destructive",
    "open_world",
    "undeclared_arguments",
    "defaults",
    "tools",
];

impl Overrides {
    /// # Errors
    /// No YAML of this form: with the line, and what was perhaps meant.
    pub(crate) fn parse(path: &str, source: &Arc<str>) -> Result<Self, Problem> {
        // An empty file, or one of comments, says nothing.
        let says_nothing = source.lines().all(|line| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#')
        });
        if says_nothing {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(source).map_err(|error| problem(path, source, &error))
    }

    /// What is said of a tool, with the defaults filled in.
    pub(crate) fn of(&self, tool: &str) -> Override {
        let own = self.tools.get(tool).cloned().unwrap_or_default();
        let defaults = &self.defaults;
        Override {
            operation: own.operation.or(defaults.operation),
            groups: own.groups.or_else(|| defaults.groups.clone()),
            destructive: own.destructive.or(defaults.destructive),
            open_world: own.open_world.or(defaults.open_world),
            undeclared_arguments: own.undeclared_arguments.or(defaults.undeclared_arguments),
        }
    }
}

fn problem(path: &str, source: &Arc<str>, error: &serde_saphyr::Error) -> Problem {
    let message = error.without_snippet().to_string();
    let unknown = message
        .split_once("unknown field `")
        .and_then(|(_, rest)| rest.split_once('`'))
        .map(|(field, _)| field.to_owned());
    let mut problem = Problem::new(path, message);
    if let Some(location) = error.location() {
        let line = usize::try_from(location.line()).unwrap_or(1);
        let column = usize::try_from(location.column()).unwrap_or(1);
        problem = problem.at_line(source, line, column);
    }
    match unknown {
        Some(field) => problem.suggest(&field, KEYS),
        None => problem,
    }
}
