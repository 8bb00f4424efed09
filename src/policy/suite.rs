//! `tests/*.yaml`: what must be allowed and what denied. Run whenever the directory is loaded, before it rules.
//!
//! ```yaml
//! users: { ada: { roles: [mcp-admin] } }
//! workloads: { build: spiffe://example.org/agent/trusted/build }
//! actors: { bot: { client_id: report-bot } }   # or a SPIFFE ID
//! arguments: { workbench/fs_read: { path: /srv/work/a } }   # where a case gives none
//! cases:
//!   - { server: workbench, user: ada, workload: build, tool: fs_read, expect: allow, by: [admins-on-workbench] }
//!   - { server: workbench, user: ada, method: resources/read, uri: "file:///a", expect: deny, because: no_permit }
//! matrices:
//!   - server: workbench
//!     user: ada
//!     columns: workload
//!     table: |
//!       tool      build   stranger
//!       fs_read   allow   deny
//! ```

pub(super) mod case;
pub(super) mod coverage;
mod file;
pub(super) mod table;

use self::case::Expected;
use self::table::Placed;
use super::{AskError, PolicySet, Question, Verdict};
use crate::inventory::problem::code;
use crate::inventory::{Files, Problem, Server};
use file::Resolved;
pub(super) use file::line_column;

/// Cases of one directory, cells of matrices included: each is asked whenever the directory is loaded.
const MAX_CASES: usize = 20_000;

/// What the tests said.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many cases were asked of each file, cells of matrices included.
    pub files: Vec<(String, usize)>,
    /// Those that didn't come out as expected.
    pub failures: Vec<TestFailure>,
    /// Each case. Of a set that rules, they are not kept.
    pub tested: Vec<Tested>,
    /// How many weren't asked, since nobody chose them.
    pub left_out: usize,
}

/// A test that didn't come out as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// What was asked, in words.
    pub name: String,
    /// What came out instead, and where the test is written.
    pub problem: Problem,
}

/// A test, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// What was asked, in words.
    pub name: String,
    /// Where it is written, relative to the policy directory.
    pub file: String,
    /// The line there, from 1.
    pub line: usize,
    /// What it expects.
    pub expected: Expected,
    /// What came out.
    pub found: Expected,
    /// The code of the reason.
    pub reason: &'static str,
    /// The policies that determined it, by id.
    pub by: Vec<String>,
    /// What isn't as expected.
    pub problem: Option<Problem>,
}

/// Who looks on while tests are asked: at each question, and at what the policies say.
pub type Look<'a> = dyn FnMut(&Question<'_>, &Result<Vec<Verdict>, AskError>) + 'a;

impl Report {
    /// How many cases were asked.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.files.iter().map(|(_, cases)| cases).sum()
    }
}

impl PolicySet {
    /// Asks the tests of the directory that this set was loaded from; with `only`, those in whose `<file>:<line>: <name>` this text
    /// stands, in whatever case.
    ///
    /// # Errors
    /// Test files that can't be read as tests.
    pub fn test(
        &self,
        files: &Files,
        servers: &[Server],
        only: Option<&str>,
        look: &mut Look<'_>,
    ) -> Result<Report, Vec<Problem>> {
        let mut running = Running {
            set: self,
            servers,
            only: only.map(str::to_lowercase),
            report: Report::default(),
        };
        let mut problems = Vec::new();
        let paths = files.under("tests", ".yaml").chain(files.under("tests", ".yml"));
        for path in paths {
            let asked = file::cases(files, path).and_then(|file| running.file(path, &file, look));
            problems.extend(asked.err().into_iter().flatten());
        }
        if problems.is_empty() {
            Ok(running.report)
        } else {
            Err(Problem::coded(problems, code::INVALID_TEST))
        }
    }
}

/// Runs the tests; a set that fails one is no set.
pub(super) fn passed(
    mut set: PolicySet,
    files: &Files,
    servers: &[Server],
) -> Result<PolicySet, Vec<Problem>> {
    let mut report = set.test(files, servers, None, &mut |_, _| {})?;
    if report.failures.is_empty() {
        report.tested = Vec::new();
        set.report = report;
        return Ok(set);
    }
    Err(report
        .failures
        .into_iter()
        .map(|failure| failure.problem)
        .collect())
}

/// Tests while they are asked.
struct Running<'a> {
    set: &'a PolicySet,
    servers: &'a [Server],
    /// In lower case.
    only: Option<String>,
    report: Report,
}

impl Running<'_> {
    fn file(&mut self, path: &str, file: &Resolved, look: &mut Look<'_>) -> Result<(), Vec<Problem>> {
        let sofar = self.report.cases().saturating_add(self.report.left_out);
        if file.cases.len() > MAX_CASES.saturating_sub(sofar) {
            let message = format!("with it, more than {MAX_CASES} tests");
            return Err(vec![Problem::new(path, message)]);
        }
        let (chosen, others): (Vec<&Placed>, Vec<&Placed>) = file
            .cases
            .iter()
            .partition(|(case, (line, _))| self.chooses(path, *line, &case.title()));
        self.report.left_out = self.report.left_out.saturating_add(others.len());
        if !chosen.is_empty() || self.only.is_none() {
            self.report.files.push((path.to_owned(), chosen.len()));
        }
        let mut problems = Vec::new();
        for placed in chosen {
            problems.extend(self.case(path, file, placed, look).err());
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    fn chooses(&self, path: &str, line: usize, title: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| format!("{path}:{line}: {title}").to_lowercase().contains(only))
    }

    fn case(
        &mut self,
        path: &str,
        file: &Resolved,
        (case, (line, column)): &Placed,
        look: &mut Look<'_>,
    ) -> Result<(), Problem> {
        let name = case.title();
        let answer = case::ask(self.set, self.servers, &file.people, case, look)
            .map_err(|said| said.into_problem(path).at_line(&file.source, *line, *column))?;
        let problem = answer.unmet.map(|unmet| {
            let problem = unmet.into_problem(path).code(code::FAILED_TEST);
            let message = format!("{name}: {}", problem.message);
            Problem { message, ..problem }.at_line(&file.source, *line, *column)
        });
        if let Some(problem) = &problem {
            self.report.failures.push(TestFailure {
                name: name.clone(),
                problem: problem.clone(),
            });
        }
        self.report.tested.push(Tested {
            name,
            file: path.to_owned(),
            line: *line,
            expected: case.expect,
            found: answer.found,
            reason: answer.reason,
            by: answer.by,
            problem,
        });
        Ok(())
    }
}
