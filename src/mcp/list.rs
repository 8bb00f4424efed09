//! The answer to `tools/list`, and the same without the tools that a caller is not to see.
//!
//! In: the message of the server. Out: which tools it lists, and the message without some of them: what stays is left as the server wrote it, to
//! the byte. Refused is whatever two clients could read as different lists; how a tool describes itself is passed on unread. No
//! gateway asks for this yet: `ext_authz` doesn't show what servers answer.

use std::collections::HashSet;
use std::ops::Range;

use super::json::{Fault, Walk, walk};
use super::lookalike::passes_for;

/// A server's list of tools (MCP, `ListToolsResult`), of which there may be more pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolList<'a> {
    body: &'a [u8],
    /// Where in the body the array is, with its brackets.
    array: Range<usize>,
    /// The tools' names, and where in the body each tool is.
    tools: Vec<(String, Range<usize>)>,
}

/// Why a message is taken for no list of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unlisted {
    /// It is no JSON that everybody reads alike.
    #[error("the message can't be read at byte {}", .0.at)]
    Unread(Fault),
    /// It is an error, or the answer to something else.
    #[error("the message has no `result.tools`")]
    NotAList,
    /// A key isn't one of those that are read, but some parsers take it for one.
    #[error("the message has a key that passes for another")]
    Lookalike,
    /// Nobody can say whether its caller may call it.
    #[error("tool {0} of the list has no name")]
    Nameless(usize),
    /// Which of the two is called is up to the server.
    #[error("tool {0} of the list has the name of another")]
    NamedTwice(usize),
}

impl<'a> ToolList<'a> {
    /// Reads a message, nested at most so deep.
    ///
    /// # Errors
    /// [`Unlisted`].
    pub fn read(body: &'a [u8], max_nesting: usize) -> Result<Self, Unlisted> {
        let mut found = Found::default();
        let message = walk(body, max_nesting, |message| {
            message.object(|key, value| found.of_message(key, value))
        });
        message.map_err(Unlisted::Unread)?;
        if found.lookalike {
            return Err(Unlisted::Lookalike);
        }
        let array = found.array.filter(|_| !found.error).ok_or(Unlisted::NotAList)?;
        let mut seen = HashSet::with_capacity(found.tools.len());
        let mut tools = Vec::with_capacity(found.tools.len());
        for (number, (name, place)) in found.tools.into_iter().enumerate() {
            let name: String = name.ok_or(Unlisted::Nameless(number))?;
            if !seen.insert(name.clone()) {
                return Err(Unlisted::NamedTwice(number));
            }
            tools.push((name, place));
        }
        Ok(Self { body, array, tools })
    }

    /// The names of the tools, in the order of the list.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(|(name, _)| name.as_str())
    }

    /// The message with only those tools whose names `keep` says yes to.
    #[must_use]
    pub fn keeping(&self, keep: impl Fn(&str) -> bool) -> Vec<u8> {
        let part = |range: Range<usize>| self.body.get(range).unwrap_or_default();
        let mut message = Vec::with_capacity(self.body.len());
        message.extend_from_slice(part(0..self.array.start));
        message.push(b'[');
        let mut kept = self.tools.iter().filter(|(name, _)| keep(name)).peekable();
        while let Some((_, place)) = kept.next() {
            message.extend_from_slice(part(place.clone()));
            if kept.peek().is_some() {
                message.push(b',');
            }
        }
        message.push(b']');
        message.extend_from_slice(part(self.array.end..self.body.len()));
        message
    }
}

/// What was come by.
#[derive(Default)]
struct Found {
    array: Option<Range<usize>>,
    /// Of each tool its name, if it has one, and its place.
    tools: Vec<(Option<String>, Range<usize>)>,
    error: bool,
    /// Some parsers take a key for another: Go's without regard to case, C's up to a NUL.
    lookalike: bool,
}

impl Found {
    fn of_message(&mut self, key: &str, value: Walk<'_, '_>) -> Result<(), Fault> {
        self.look_at(key, &["jsonrpc", "id", "method", "result", "error"]);
        if key == "result" {
            return value.object(|key, value| self.of_result(key, value)).map(drop);
        }
        self.error |= key == "error";
        value.pass().map(drop)
    }

    fn of_result(&mut self, key: &str, value: Walk<'_, '_>) -> Result<(), Fault> {
        self.look_at(key, &["tools", "nextCursor"]);
        if key != "tools" {
            return value.pass().map(drop);
        }
        self.array = value.array(|tool| {
            let mut name = None;
            let place = tool.object(|key, value| {
                self.look_at(key, &["name"]);
                if key != "name" {
                    return value.pass().map(drop);
                }
                name = value.string()?;
                Ok(())
            })?;
            // What is no object has no name and no place.
            self.tools.push((name, place.unwrap_or_default()));
            Ok(())
        })?;
        Ok(())
    }

    fn look_at(&mut self, key: &str, read: &[&str]) {
        self.lookalike |= read.iter().any(|name| key != *name && passes_for(key, name));
    }
}

#[cfg(test)]
mod tests;
