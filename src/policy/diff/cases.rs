//! The tests of both directories, asked of both.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Flip, Said, Side};
use crate::inventory::{Problem, Server};

/// What the tests' cases come to in one directory and in the other.
#[derive(Debug, Default, Serialize)]
pub struct Cases {
    /// How many were asked, of both directories together.
    pub asked: usize,
    /// How many only the new directory has.
    pub added: usize,
    /// How many only the old directory has.
    pub removed: usize,
    /// How many come out the same, and for another reason or by other policies.
    pub otherwise: usize,
    /// Those that one allows and the other denies.
    pub flips: Vec<CaseFlip>,
    /// How many of its own tests the new directory fails: then it may not rule.
    pub failing: usize,
}

/// A case that comes out otherwise.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CaseFlip {
    /// Its name.
    pub name: String,
    /// The file, relative to the policy directory.
    pub file: String,
    /// The line there, from 1.
    pub line: usize,
    /// Whether only the old directory has it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// What becomes of it.
    #[serde(flatten)]
    pub flip: Flip,
}

/// A case as it was asked: what makes two of them the same.
type Asked = (String, String, String);

/// What both say of a case, and where it stands.
struct Answered {
    line: usize,
    old: Said,
    new: Said,
    flip: Option<Flip>,
}

impl Cases {
    /// Asks the tests of both.
    ///
    /// # Errors
    /// Tests that can't be read, or that mean nothing.
    pub fn between(old: Side<'_>, new: Side<'_>, servers: &[Server]) -> Result<Self, Vec<Problem>> {
        let (ours, failing) = asked(new, servers, |of_new, question| {
            (Said::of(&old.set.ask(question)), of_new)
        })?;
        let (theirs, _) = asked(old, servers, |of_old, question| {
            (of_old, Said::of(&new.set.ask(question)))
        })?;
        let mut cases = Self {
            failing,
            added: ours.keys().filter(|case| !theirs.contains_key(*case)).count(),
            ..Self::default()
        };
        let gone: BTreeMap<Asked, Answered> = theirs
            .into_iter()
            .filter(|(case, _)| !ours.contains_key(case))
            .collect();
        cases.removed = gone.len();
        cases.take(ours, false);
        cases.take(gone, true);
        Ok(cases)
    }

    fn take(&mut self, answered: BTreeMap<Asked, Answered>, removed: bool) {
        for ((file, name, _), answered) in answered {
            self.asked = self.asked.saturating_add(1);
            match answered.flip {
                Some(flip) => self.flips.push(CaseFlip {
                    name,
                    file,
                    line: answered.line,
                    removed,
                    flip,
                }),
                None if answered.old != answered.new => self.otherwise = self.otherwise.saturating_add(1),
                None => {}
            }
        }
    }
}

/// The cases of a directory, with what both say of each; and how many of its own tests it fails.
fn asked(
    side: Side<'_>,
    servers: &[Server],
    both: impl Fn(Said, &crate::policy::Question<'_>) -> (Said, Said),
) -> Result<(BTreeMap<Asked, Answered>, usize), Vec<Problem>> {
    let mut said = Vec::new();
    let report = side
        .set
        .test(side.files, servers, None, &mut |question, answer| {
            let (old, new) = both(Said::of(answer), question);
            let flip = Flip::of(question, old.clone(), new.clone());
            // A case that was written anew in the same place is another.
            let text = format!("{:?} {:?} {:?}", question.call, question.caller, question.now);
            said.push((text, old, new, flip));
        })?;
    let failing = report.failures.len();
    let answered = report.tested.into_iter().zip(said);
    let answered = answered.map(|(tested, (text, old, new, flip))| {
        let case = Answered {
            line: tested.line,
            old,
            new,
            flip,
        };
        ((tested.file, tested.name, text), case)
    });
    Ok((answered.collect(), failing))
}
