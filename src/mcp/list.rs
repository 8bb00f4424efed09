//! The answer to `tools/list`, and the same without the tools that a caller is not to see.
//!
//! In: the message of the server. Out: which tools it lists, and the message without some of them: what stays is left as the server wrote it, to
//! the byte. Refused is whatever two clients could read as different lists; how a tool describes itself is passed on unread.

use std::collections::HashSet;
use std::ops::Range;

use super::json::{Fault, Walk, walk};

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
        let mut listed = None;
        let message = walk(body, max_nesting, |message| {
            message.object(|key, value| match key {
                "result" => value
                    .object(|key, value| result(key, value, &mut listed))
                    .map(drop),
                _ => value.pass().map(drop),
            })
        });
        message.map_err(Unlisted::Unread)?;
        let (array, tools) = listed.ok_or(Unlisted::NotAList)?;
        let mut seen = HashSet::with_capacity(tools.len());
        let mut named = Vec::with_capacity(tools.len());
        for (number, (name, place)) in tools.into_iter().enumerate() {
            let name: String = name.ok_or(Unlisted::Nameless(number))?;
            if !seen.insert(name.clone()) {
                return Err(Unlisted::NamedTwice(number));
            }
            named.push((name, place));
        }
        Ok(Self {
            body,
            array,
            tools: named,
        })
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

/// Where the array of the tools is, and of each tool its name, if it has one, and its place.
type Listed = (Range<usize>, Vec<(Option<String>, Range<usize>)>);

/// A member of the result.
fn result(key: &str, value: Walk<'_, '_>, listed: &mut Option<Listed>) -> Result<(), Fault> {
    if key != "tools" {
        return value.pass().map(drop);
    }
    let mut tools = Vec::new();
    let array = value.array(|tool| {
        let mut name = None;
        let place = tool.object(|key, value| {
            if key != "name" {
                return value.pass().map(drop);
            }
            name = value.string()?;
            Ok(())
        })?;
        // What is no object has no name and no place.
        tools.push((name, place.unwrap_or_default()));
        Ok(())
    })?;
    *listed = array.map(|array| (array, tools));
    Ok(())
}

#[cfg(test)]
mod tests;
