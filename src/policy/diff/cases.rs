//! The tests of both directories, asked of both.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Flip, Said, Side};
use crate::inventory::changes::Fate;
use crate::inventory::{Problem, Server};
use crate::policy::{Expected, Question};

/// What the tests' cases come to in one directory and in the other.
#[derive(Debug, Default, Serialize)]
pub struct Cases {
    /// How many were asked, of both directories together.
    pub asked: usize,
    /// The tests that aren't the same in both.
    pub tests: Vec<TestChange>,
    /// How many come out the same, and for another reason or by other policies.
    pub otherwise: usize,
    /// Those that one allows and the other denies.
    pub flips: Vec<CaseFlip>,
    /// How many of its own tests the new directory fails: then it may not rule.
    pub failing: usize,
}

/// What became of a test.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TestChange {
    /// The file, relative to the policy directory.
    pub file: String,
    /// The line there, from 1: in the new directory, unless only the old one has it.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Added, removed or changed.
    pub fate: Fate,
    /// What changed, or what it expects.
    pub words: String,
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
    expected: Expected,
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
            tests: tests(&theirs, &ours),
            ..Self::default()
        };
        let gone: BTreeMap<Asked, Answered> = theirs
            .into_iter()
            .filter(|(case, _)| !ours.contains_key(case))
            .collect();
        cases.take(ours, false);
        cases.take(gone, true);
        let mut flips: Vec<_> = cases.flips.iter_mut().map(|case| &mut case.flip).collect();
        super::tell_apart(&mut flips);
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

/// The tests that aren't the same: by file and name, then by what they ask and expect.
fn tests(old: &BTreeMap<Asked, Answered>, new: &BTreeMap<Asked, Answered>) -> Vec<TestChange> {
    let change = |(file, name, _): &Asked, answered: &Answered, fate, words: String| TestChange {
        file: file.clone(),
        line: answered.line,
        name: name.clone(),
        fate,
        words,
    };
    let expects = |expected: Expected| match expected {
        Expected::Allow => "expects allow",
        Expected::Deny => "expects deny",
    };
    let named =
        |those: &BTreeMap<Asked, Answered>, others: &BTreeMap<Asked, Answered>, (file, name, _): &Asked| {
            let from = (file.clone(), name.clone(), String::new());
            let of_name = those
                .range(from..)
                .next()
                .filter(|((a, b, _), _)| (a, b) == (file, name));
            of_name.is_some_and(|(case, _)| !others.contains_key(case))
        };
    let mut found = Vec::new();
    for (case, is) in new {
        match old.get(case) {
            Some(was) if was.expected == is.expected => {}
            Some(_) => found.push(change(
                case,
                is,
                Fate::Changed,
                format!("{}, which it did not", expects(is.expected)),
            )),
            None if named(old, new, case) => found.push(change(
                case,
                is,
                Fate::Changed,
                format!("asks something else, {}", expects(is.expected)),
            )),
            None => found.push(change(case, is, Fate::Added, expects(is.expected).to_owned())),
        }
    }
    for (case, was) in old.iter().filter(|(case, _)| !new.contains_key(*case)) {
        if !named(new, old, case) {
            found.push(change(
                case,
                was,
                Fate::Removed,
                format!("it {}", expects(was.expected).replace("expects", "expected")),
            ));
        }
    }
    found.sort();
    found
}

/// All that a question says, as a text: two cases are the same only if nothing tells them apart.
fn whole(question: &Question<'_>) -> String {
    let Question {
        server,
        call,
        caller,
        session,
        address,
        version,
        now,
    } = question;
    format!(
        "{} {call:?} {caller:?} {session:?} {address:?} {version:?} {now}",
        server.name
    )
}

/// The cases of a directory, with what both say of each; and how many of its own tests it fails.
fn asked(
    side: Side<'_>,
    servers: &[Server],
    both: impl Fn(Said, &Question<'_>) -> (Said, Said),
) -> Result<(BTreeMap<Asked, Answered>, usize), Vec<Problem>> {
    let mut said = Vec::new();
    let report = side
        .set
        .test(side.files, servers, None, &mut |question, answer| {
            let (old, new) = both(Said::of(answer), question);
            let flip = Flip::of(question, old.clone(), new.clone());
            // A case that was written anew in the same place is another.
            let text = whole(question);
            said.push((text, old, new, flip));
        })?;
    let failing = report.failures.len();
    let answered = report.tested.into_iter().zip(said);
    let mut seen: BTreeMap<Asked, usize> = BTreeMap::new();
    let answered = answered.map(|(tested, (text, old, new, flip))| {
        let mut asked = (tested.file, tested.name, text);
        // What is asked twice, maybe with other expectations, is two cases.
        let times = seen.entry(asked.clone()).or_default();
        asked.2 = format!("{} {times}", asked.2);
        *times = times.saturating_add(1);
        let case = Answered {
            line: tested.line,
            expected: tested.expected,
            old,
            new,
            flip,
        };
        (asked, case)
    });
    Ok((answered.collect(), failing))
}
