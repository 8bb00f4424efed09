//! Who may call what, from the policies alone: before there is a call.
//!
//! In: principals and what may be called. Out: a [`Matrix`] of [`Cell`]s. Each cell is a bound on what [`PolicySet::ask`] can say:
//! `allow` only if every call with arguments that fit the tool and that Cedar can hold is allowed, `deny` only if none is, and
//! `depends` with the conditions that are left otherwise, also where a policy can't be worked out.

mod cell;
mod outcomes;
mod people;
mod rewrite;
mod schema;
mod survey;
#[cfg(test)]
mod tests;
mod what;
mod who;

pub use cell::{Because, Cell, Condition};
pub use people::people;
pub use survey::Survey;
pub use what::What;
pub use who::{Subject, Who};

use self::schema::Second;
use super::PolicySet;
use crate::inventory::{Files, Problem, Server};

/// Who may call what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Who calls.
    pub who: Vec<Who>,
    /// What is called, each with a cell for each of [`Matrix::who`].
    pub rows: Vec<(What, Vec<Cell>)>,
}

impl PolicySet {
    /// Everybody whom `entities.json` declares, by kind and name.
    #[must_use]
    pub fn declared_subjects(&self) -> Vec<Subject> {
        let declared = self.fixed.declared().map(|(uid, _)| uid);
        let mut subjects: Vec<Subject> = declared.filter_map(Subject::declared).collect();
        subjects.sort_by(|a, b| (a.rank(), a.name()).cmp(&(b.rank(), b.name())));
        subjects
    }

    /// Everything that can be called: each tool, and with `protocol` what MCP itself asks each server for.
    #[must_use]
    pub fn callable(&self, protocol: bool) -> Vec<What> {
        what::callable(self, protocol)
    }

    /// What it takes to work out who may call what. `files` and `servers` are those that the set was loaded from.
    ///
    /// # Errors
    /// The second schema can't be made, which is a fault of ours where the first one could.
    pub fn survey(&self, files: &Files, servers: &[Server]) -> Result<Survey<'_>, Problem> {
        let second = Second::new(files, &self.inventory, servers)?;
        Ok(Survey::new(self, second))
    }
}

impl Survey<'_> {
    /// Works out who may call what.
    #[must_use]
    pub fn matrix(&self, who: Vec<Who>, what: Vec<What>) -> Matrix {
        let columns: Vec<Vec<Cell>> = who.iter().map(|who| self.column(who, &what)).collect();
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        let rows = what.into_iter().map(|what| {
            let cells = columns.iter_mut().map(|column| column.next().unwrap_or_default());
            (what, cells.collect())
        });
        Matrix {
            rows: rows.collect(),
            who,
        }
    }
}
