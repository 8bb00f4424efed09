//! What is written over a policy or a template, `@id("…")` and the like, checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::inventory::Problem;
use crate::inventory::problem::code;
use crate::policy::ask::entities::StepUp;
use crate::policy::verdict::Fired;
use crate::policy::written::Written;

/// What may be written over a policy.
const ANNOTATIONS: [&str; 7] = ["id", "reason", "scope", "acr", "max_age", "shadow", "advice"];
/// Bytes of an `@id`: it travels in a header.
const MAX_ID: usize = 128;

/// What the annotations say.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Notes {
    pub(in crate::policy) shown: Fired,
    /// `@scope`, `@acr` and `@max_age`
    pub(in crate::policy) step: StepUp,
    /// `@shadow`
    pub(in crate::policy) shadow: bool,
}

/// Checks the annotations of one policy or template.
pub(in crate::policy) fn read<'a>(
    annotations: impl Iterator<Item = (&'a str, &'a str)>,
    written: &Written,
) -> Result<Notes, Vec<Problem>> {
    let annotations: BTreeMap<&str, &str> = annotations.collect();
    let get = |name: &str| annotations.get(name).copied();
    let unknown = annotations.keys().filter(|name| !ANNOTATIONS.contains(name));
    let mut problems: Vec<Problem> = unknown.map(|name| unknown_annotation(name, written)).collect();
    match get("id") {
        None => {
            let problem = written
                .problem("a policy without an `@id`", "")
                .code(code::MISSING_ID);
            problems.push(problem.help("name it in the line before: @id(\"who-may-do-what\")"));
        }
        Some(id) => {
            let wrong = wrong_id(id).map(|wrong| written.problem(format!("an `@id` {wrong}"), "@id"));
            problems.extend(wrong.map(|problem| problem.code(code::INVALID_ID)));
        }
    }
    let max_age = get("max_age").map(seconds);
    let step = StepUp {
        scopes: words(get("scope")).map(str::to_owned).collect(),
        acr: get("acr").map(str::to_owned),
        max_age: max_age.flatten(),
    };
    if max_age == Some(None) {
        let problem = written.problem("`@max_age` is no time of at least a second", "@max_age");
        problems.push(problem.help("write it like \"15m\", \"1h\" or \"90s\""));
    }
    if get("scope").is_some() && step.scopes.is_empty() {
        problems.push(written.problem("`@scope` names no scope", "@scope"));
    }
    if !problems.is_empty() {
        return Err(Problem::coded(problems, code::ANNOTATION));
    }
    Ok(Notes {
        shown: Fired {
            id: get("id").unwrap_or_default().to_owned(),
            reason: get("reason").map(str::to_owned),
            advice: get("advice").map(str::to_owned),
        },
        step,
        shadow: get("shadow").is_some(),
    })
}

impl Notes {
    /// The same, said of a policy of another id.
    pub(in crate::policy) fn of(&self, id: &str) -> Self {
        let mut notes = self.clone();
        id.clone_into(&mut notes.shown.id);
        notes
    }

    /// What verdicts show.
    pub(in crate::policy) fn shown(&self) -> Arc<Fired> {
        Arc::new(self.shown.clone())
    }
}

/// What is wrong with an id, if anything is.
pub(in crate::policy) fn wrong_id(id: &str) -> Option<String> {
    let wrong = id.is_empty() || id.len() > MAX_ID || id.chars().any(|one| one.is_control() || one == ',');
    wrong.then(|| format!("has 1 to {MAX_ID} bytes, without control characters and commas"))
}

fn unknown_annotation(name: &str, written: &Written) -> Problem {
    let problem = written.problem(format!("unknown annotation `@{name}`"), &format!("@{name}"));
    let suggested = problem.suggest(name, ANNOTATIONS);
    match suggested.help {
        Some(_) => suggested,
        None => suggested.help(format!("known are @{}", ANNOTATIONS.join(", @"))),
    }
}

/// A time such as `15m`, in whole seconds.
fn seconds(text: &str) -> Option<u64> {
    let time: SignedDuration = text.parse().ok()?;
    u64::try_from(time.as_secs()).ok().filter(|seconds| *seconds > 0)
}

/// Scopes are separated by spaces (RFC 6749 §3.3).
fn words(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split_ascii_whitespace()
}
