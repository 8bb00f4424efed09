//! Recorded calls, asked of both directories.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Flip, Said, ServerChange, what};
use crate::inventory::Server;
use crate::inventory::changes::Aspect;
use crate::policy::{Line, NoLine, PolicySet, Recorded, Unasked};

/// What recorded calls come to in one directory and in the other.
#[derive(Debug, Serialize)]
pub struct Replay {
    /// Lines that were read.
    pub lines: usize,
    /// Those of calls.
    pub calls: usize,
    /// Those that both could be asked about.
    pub asked: usize,
    /// Those of them on which the old directory doesn't say what was recorded: another version ruled then, or another configuration.
    pub unlike: usize,
    /// Those that come out the same, and for another reason or by other policies.
    pub otherwise: usize,
    /// Those that one allows and the other denies, by who, what, and whether it is allowed.
    pub flips: Vec<Group>,
    /// Those that couldn't be asked about, by why.
    pub not_asked: Vec<NotAsked>,
    /// Tools whose arguments are others now.
    #[serde(skip)]
    retyped: BTreeSet<String>,
}

/// Calls of one kind that come out otherwise.
#[derive(Debug, Serialize)]
pub struct Group {
    /// Whose, of what; and what was said of the first.
    #[serde(flatten)]
    pub flip: Flip,
    /// How many there are.
    pub calls: usize,
    /// The decision's id of the first.
    pub example: String,
}

/// Calls that couldn't be asked about for one reason.
#[derive(Debug, Serialize)]
pub struct NotAsked {
    /// The code of it.
    pub code: &'static str,
    /// In words.
    pub why: String,
    /// How many there are.
    pub calls: usize,
    /// The decision's id of the first.
    pub example: String,
}

impl Replay {
    /// Nothing was read yet. `servers` are those whose tools changed.
    #[must_use]
    pub fn new(servers: &[ServerChange]) -> Self {
        let tools = servers.iter().flat_map(|server| {
            let retyped = server.tools.iter().filter(|tool| {
                tool.changes
                    .iter()
                    .any(|change| change.aspect == Aspect::Arguments)
            });
            retyped.map(|tool| format!("{}/{}", server.server, tool.tool))
        });
        Self {
            lines: 0,
            calls: 0,
            asked: 0,
            unlike: 0,
            otherwise: 0,
            flips: Vec::new(),
            not_asked: Vec::new(),
            retyped: tools.collect(),
        }
    }

    /// Takes a line.
    ///
    /// # Errors
    /// It is none of an audit.
    pub fn line(
        &mut self,
        text: &[u8],
        old: &PolicySet,
        new: &PolicySet,
        servers: &[Server],
    ) -> Result<(), NoLine> {
        let line = Line::read(text)?;
        self.lines = self.lines.saturating_add(1);
        match line {
            Line::Other => return Ok(()),
            Line::Unasked(id, why) => self.refuse(&why, &id),
            Line::Call(recorded) => {
                if let Err(why) = self.call(&recorded, old, new, servers) {
                    self.refuse(&why, &recorded.decision_id);
                }
            }
        }
        self.calls = self.calls.saturating_add(1);
        Ok(())
    }

    fn call(
        &mut self,
        recorded: &Recorded,
        old: &PolicySet,
        new: &PolicySet,
        servers: &[Server],
    ) -> Result<(), Unasked> {
        let server = recorded.server(servers).ok_or(Unasked::Malformed("server"))?;
        let question = recorded.question(&server);
        if !recorded.has_arguments() && self.retyped.contains(&what(&question)) {
            // Whether they fit can't be told without them.
            return Err(Unasked::Argument);
        }
        let was = Said::of(&old.ask_again(recorded, &server)?);
        let is = Said::of(&new.ask_again(recorded, &server)?);
        self.asked = self.asked.saturating_add(1);
        // A call of a batch is denied with another one, though it would be allowed by itself.
        let alone = recorded.reason != "denied_with_batch" && recorded.outcome != "gateway_gone";
        if alone && (recorded.outcome == "allowed") != was.allowed {
            self.unlike = self.unlike.saturating_add(1);
        }
        let same = was == is;
        match Flip::of(&question, was, is) {
            Some(flip) => self.flip(flip, &recorded.decision_id),
            None if !same => self.otherwise = self.otherwise.saturating_add(1),
            None => {}
        }
        Ok(())
    }

    fn flip(&mut self, flip: Flip, id: &str) {
        fn told(flip: &Flip) -> (&str, &str, &str, bool) {
            (&flip.key, &flip.who, &flip.what, flip.opens())
        }
        let same = |group: &&mut Group| told(&group.flip) == told(&flip);
        match self.flips.iter_mut().find(same) {
            Some(group) => group.calls = group.calls.saturating_add(1),
            None => self.flips.push(Group {
                flip,
                calls: 1,
                example: id.to_owned(),
            }),
        }
    }

    fn refuse(&mut self, why: &Unasked, id: &str) {
        let words = why.to_string();
        match self.not_asked.iter_mut().find(|known| known.why == words) {
            Some(known) => known.calls = known.calls.saturating_add(1),
            None => self.not_asked.push(NotAsked {
                code: why.code(),
                why: words,
                calls: 1,
                example: id.to_owned(),
            }),
        }
    }

    /// Puts what was found in order: what opens first, then what happens most.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let mut flips: Vec<&mut Flip> = self.flips.iter_mut().map(|group| &mut group.flip).collect();
        super::tell_apart(&mut flips);
        self.flips.sort_by(|a, b| {
            let key = |group: &Group| (!group.flip.opens(), std::cmp::Reverse(group.calls));
            (key(a), &a.flip.who, &a.flip.what).cmp(&(key(b), &b.flip.who, &b.flip.what))
        });
        self.not_asked
            .sort_by(|a, b| (std::cmp::Reverse(a.calls), &a.why).cmp(&(std::cmp::Reverse(b.calls), &b.why)));
        self
    }
}
