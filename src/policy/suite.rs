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

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::case::{Case, People};
use super::table::{Matrix, Placed, cells};
use super::{PolicySet, case};
use crate::identity::{Acting, Actor, Workload};
use crate::inventory::{Files, Problem, Server};
use crate::spiffe::SpiffeId;

/// Cases of one directory, cells of matrices included: each is asked whenever the directory is loaded.
const MAX_CASES: usize = 20_000;

/// What the tests said.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many cases there were in each file, cells of matrices included.
    pub files: Vec<(String, usize)>,
    /// Those that didn't come out as expected.
    pub failures: Vec<TestFailure>,
}

/// A test that didn't come out as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// What was asked, in words.
    pub name: String,
    /// What came out instead, and where the test is written.
    pub problem: Problem,
}

impl Report {
    /// How many cases there were.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.files.iter().map(|(_, cases)| cases).sum()
    }
}

/// One file of tests.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestFile {
    users: BTreeMap<String, case::TestUser>,
    workloads: BTreeMap<String, Spanned<String>>,
    actors: BTreeMap<String, Spanned<TestActor>>,
    arguments: BTreeMap<String, serde_json::Map<String, Value>>,
    cases: Vec<Spanned<Case>>,
    matrices: Vec<Spanned<Matrix>>,
}

/// An actor as written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TestActor {
    Workload(String),
    Agent(case::TestAgent),
}

impl TestActor {
    fn actor(&self) -> Result<Actor, String> {
        let current = match self {
            Self::Workload(id) => {
                let spiffe_id = SpiffeId::parse(id).map_err(|error| error.to_string())?;
                Acting::Workload(Workload { spiffe_id })
            }
            Self::Agent(agent) => {
                let named = "an actor has a `client_id` or a `subject`";
                Acting::Agent(agent.agent().ok_or(named)?)
            }
        };
        Ok(Actor {
            current,
            earlier: Vec::new(),
        })
    }
}

/// Runs the tests; a set that fails one is no set.
pub(super) fn passed(
    mut set: PolicySet,
    files: &Files,
    servers: &[Server],
) -> Result<PolicySet, Vec<Problem>> {
    let report = run(&set, files, servers)?;
    if report.failures.is_empty() {
        set.report = report;
        return Ok(set);
    }
    Err(report
        .failures
        .into_iter()
        .map(|failure| failure.problem)
        .collect())
}

/// Runs the tests.
///
/// # Errors
/// Test files that can't be read as tests.
pub(super) fn run(set: &PolicySet, files: &Files, servers: &[Server]) -> Result<Report, Vec<Problem>> {
    let mut report = Report::default();
    let mut problems = Vec::new();
    let paths: Vec<&str> = files
        .under("tests", ".yaml")
        .chain(files.under("tests", ".yml"))
        .collect();
    for path in paths {
        let asked = read(files, path).and_then(|(source, file)| {
            let file = resolve(path, &source, file)?;
            let left = MAX_CASES.saturating_sub(report.cases());
            if file.cases.len() > left {
                return Err(vec![Problem::new(
                    path,
                    format!("with it, more than {MAX_CASES} tests"),
                )]);
            }
            Ok(file)
        });
        match asked {
            Ok(file) => {
                report.files.push((path.to_owned(), file.cases.len()));
                for (case, line) in &file.cases {
                    if let Err(failure) = case::ask(set, servers, &file.people, case) {
                        let problem = Problem::new(path, format!("{}: {}", case.title(), failure.message))
                            .at_line(&file.source, line.0, line.1);
                        let problem = match failure.help {
                            Some(help) => problem.help(help),
                            None => problem,
                        };
                        report.failures.push(TestFailure {
                            name: case.title(),
                            problem,
                        });
                    }
                }
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok(report)
    } else {
        Err(problems)
    }
}

/// A file's cases, those of its matrices included, each with its line and column.
struct Resolved {
    source: Arc<str>,
    people: People,
    cases: Vec<Placed>,
}

fn read(files: &Files, path: &str) -> Result<(Arc<str>, TestFile), Vec<Problem>> {
    let source = files
        .text(path)
        .map_err(|problem| vec![problem])?
        .unwrap_or_default();
    let file = serde_saphyr::from_str(&source).map_err(|error| {
        let problem = Problem::new(path, error.without_snippet().to_string());
        vec![match error.location() {
            Some(location) => {
                let (line, column) = line_column(&location);
                problem.at_line(&source, line, column)
            }
            None => problem,
        }]
    })?;
    Ok((source, file))
}

fn resolve(path: &str, source: &Arc<str>, file: TestFile) -> Result<Resolved, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut workloads = BTreeMap::new();
    for (name, id) in file.workloads {
        let (line, column) = line_column(&id.referenced);
        match SpiffeId::parse(&id.value) {
            Ok(spiffe_id) => {
                workloads.insert(name, Arc::new(Workload { spiffe_id }));
            }
            Err(error) => problems.push(Problem::new(path, error.to_string()).at_line(source, line, column)),
        }
    }
    let mut actors = BTreeMap::new();
    for (name, actor) in file.actors {
        let (line, column) = line_column(&actor.referenced);
        match actor.value.actor() {
            Ok(actor) => {
                actors.insert(name, Arc::new(actor));
            }
            Err(message) => problems.push(Problem::new(path, message).at_line(source, line, column)),
        }
    }
    let users = file.users.into_iter().map(|(name, user)| {
        let user = Arc::new(user.user(&name));
        (name, user)
    });
    let people = People {
        users: users.collect(),
        workloads,
        actors,
        arguments: file.arguments,
    };
    let mut cases: Vec<Placed> = file
        .cases
        .into_iter()
        .map(|case| (case.value, line_column(&case.referenced)))
        .collect();
    for matrix in file.matrices {
        let (line, column) = line_column(&matrix.referenced);
        match cells(&matrix.value) {
            Ok(found) => cases.extend(found),
            Err(message) => problems.push(Problem::new(path, message).at_line(source, line, column)),
        }
    }
    for (case, (line, column)) in &cases {
        if let Err(problem) = case.check(&people) {
            problems.push(problem.into_problem(path).at_line(source, *line, *column));
        }
    }
    if problems.is_empty() {
        Ok(Resolved {
            source: Arc::clone(source),
            people,
            cases,
        })
    } else {
        Err(problems)
    }
}

/// Line and column, both from 1.
pub(super) fn line_column(location: &serde_saphyr::Location) -> (usize, usize) {
    let number = |value: u64| usize::try_from(value).unwrap_or(1);
    (number(location.line()), number(location.column()))
}
