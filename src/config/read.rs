//! The tree to typed settings, and every problem on the way with its place.

use serde::Deserialize as _;

use crate::inventory::problem::closest;

use super::Config;
use super::deserialize::Reader;
use super::fault::{Fault, What};
use super::problem::Problem;
use super::tree::{Node, Step, written};

/// After so many problems there is no use in finding more.
const MAX_PROBLEMS: usize = 50;

/// Reads the tree. A fault is reported and its value left out, so that the next one shows: `None` if that came to
/// no end.
pub(super) fn read(root: &mut Node, problems: &mut Vec<Problem>) -> Option<Config> {
    while problems.len() < MAX_PROBLEMS {
        let fault = match Config::deserialize(Reader::root(root)) {
            Ok(config) => return Some(config),
            Err(fault) => fault,
        };
        root.open(fault.path());
        if !follows_from_another(root, &fault) {
            problems.push(explain(root, &fault));
        }
        if !root.drop_value(fault.path()) {
            return None;
        }
    }
    None
}

/// A key that is missing because its value was left out as wrong is no problem of its own.
fn follows_from_another(root: &Node, fault: &Fault) -> bool {
    let What::Missing(key) = fault.what else {
        return false;
    };
    let mut path = fault.path().to_vec();
    path.push(Step::Key(key.to_owned()));
    root.get(&path).is_some_and(Node::is_dropped)
}

/// What is wrong, where, and what to do.
fn explain(root: &Node, fault: &Fault) -> Problem {
    let path = fault.path();
    if let (What::UnknownKey { known }, Some((Step::Key(key), parent))) = (&fault.what, path.split_last()) {
        let within = if parent.is_empty() {
            "at the top".to_owned()
        } else {
            format!("in `{}`", written(parent))
        };
        let problem = Problem::at(root.place_of_key(path), format!("unknown key `{key}` {within}"));
        let help = suggestion(key, known).unwrap_or_else(|| format!("known here: {}", known.join(", ")));
        return problem.help(help);
    }
    let told = if path.is_empty() {
        fault.to_string()
    } else {
        format!("`{}`: {fault}", written(path))
    };
    let problem = Problem::at(root.place_of(path), told);
    let help = match &fault.what {
        What::UnknownWord { word, known } => suggestion(word, known),
        What::Other { help, .. } => help.map(str::to_owned),
        What::UnknownKey { .. } | What::Missing(_) => None,
    };
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn suggestion(written: &str, known: &[&'static str]) -> Option<String> {
    closest(written, known.iter().copied()).map(|meant| format!("did you mean `{meant}`?"))
}
