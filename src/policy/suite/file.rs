//! A file of tests as written, to its cases, each with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::identity::{Acting, Actor, Workload};
use crate::inventory::{Files, Problem};
use crate::policy::suite::case::{self, Case, People};
use crate::policy::suite::table::{Matrix, Placed, cells};
use crate::spiffe::SpiffeId;

/// A file's cases.
///
/// # Errors
/// Everything in it that can't be read as a test.
pub(super) fn cases(files: &Files, path: &str) -> Result<Resolved, Vec<Problem>> {
    let (source, file) = read(files, path)?;
    resolve(path, &source, file)
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

/// A file's cases, those of its matrices included, each with its line and column.
pub(super) struct Resolved {
    pub(super) source: Arc<str>,
    pub(super) people: People,
    pub(super) cases: Vec<Placed>,
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
pub(in crate::policy) fn line_column(location: &serde_saphyr::Location) -> (usize, usize) {
    let number = |value: u64| usize::try_from(value).unwrap_or(1);
    (number(location.line()), number(location.column()))
}
