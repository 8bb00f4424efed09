//! What became of a server's tools, in words: the list that was, and the list that is or would be.
//!
//! In: two lists of definitions as the server wrote them, and what was made of each with its overrides. Out: a [`ToolChange`] for each tool that
//! isn't the same. Nothing goes unsaid: what has no words of its own is told as the key and both values.

mod schema;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::tool::annotated;
use super::{Files, Problem, ServerName, ServerTools, Tool, load};

/// A server's list: its definitions, and its tools.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    definitions: &'a [Value],
    tools: Option<&'a ServerTools>,
}

/// What became of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolChange {
    /// Its name.
    pub tool: String,
    /// Added, removed or changed.
    pub fate: Fate,
    /// What changed, or what the new one is.
    pub changes: Vec<Change>,
}

/// What became of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It wasn't there.
    Added,
    /// It isn't there any more.
    Removed,
    /// It is another.
    Changed,
}

impl Fate {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One thing about a tool that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which side of the tool.
    pub aspect: Aspect,
    /// The argument that it is about, as policies write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// The same as member names, as far as a policy can read into it; of what any argument may refer to, and of what is no argument,
    /// nothing.
    #[serde(skip)]
    pub path: Vec<String>,
    /// What changed, in a line.
    pub words: String,
    /// For texts: the lines that went (`-`) and came (`+`), invisible characters made visible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

/// The sides of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// What it says of itself.
    Description,
    /// What it takes.
    Arguments,
    /// What it gives.
    Output,
    /// What it says that it does.
    Annotations,
    /// What it counts as: its operation and groups.
    Operation,
    /// Anything else.
    Other,
}

impl Change {
    fn new(aspect: Aspect, words: impl Into<String>) -> Self {
        Self {
            aspect,
            argument: None,
            path: Vec::new(),
            words: words.into(),
            lines: Vec::new(),
        }
    }
}

/// The definitions of a server's tools as its file has them; none where there is no file.
///
/// # Errors
/// The file is no list of tools.
pub fn definitions(files: &Files, server: &ServerName) -> Result<Vec<Value>, Problem> {
    load::listed(files, server)
}

impl<'a> List<'a> {
    /// A list of definitions, and what was made of them.
    #[must_use]
    pub const fn new(definitions: &'a [Value], tools: Option<&'a ServerTools>) -> Self {
        Self { definitions, tools }
    }

    fn by_name(self) -> BTreeMap<&'a str, Both<'a>> {
        let named = self.definitions.iter().filter_map(|definition| {
            let name = definition.get("name")?.as_str()?;
            let tool = self.tools.and_then(|tools| tools.tool(name));
            Some((name, Both { definition, tool }))
        });
        named.collect()
    }
}

/// A tool as written, and as read.
#[derive(Clone, Copy)]
struct Both<'a> {
    definition: &'a Value,
    tool: Option<&'a Tool>,
}

/// What became of each tool that isn't the same, by name.
#[must_use]
pub fn between(old: List<'_>, new: List<'_>) -> Vec<ToolChange> {
    let (before, after) = (old.by_name(), new.by_name());
    let mut changes = Vec::new();
    for (name, was) in &before {
        let found = match after.get(name) {
            None => Some((Fate::Removed, Vec::new())),
            Some(is) => {
                let changes = changed(*was, *is);
                (!changes.is_empty()).then_some((Fate::Changed, changes))
            }
        };
        changes.extend(found.map(|(fate, changes)| ToolChange {
            tool: (*name).to_owned(),
            fate,
            changes,
        }));
    }
    for (name, is) in after {
        if !before.contains_key(name) {
            changes.push(ToolChange {
                tool: name.to_owned(),
                fate: Fate::Added,
                changes: introduced(is),
            });
        }
    }
    changes.sort_by(|a, b| a.tool.cmp(&b.tool));
    changes
}

/// What a new tool is.
fn introduced(is: Both<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(tool) = is.tool {
        let why = if tool.classified {
            ""
        } else {
            ": nobody says what it does"
        };
        changes.push(Change::new(
            Aspect::Operation,
            format!("operation `{}`{why}", tool.operation),
        ));
        if !tool.groups.is_empty() {
            changes.push(Change::new(
                Aspect::Operation,
                format!("groups {}", tool.groups.join(", ")),
            ));
        }
        changes.extend(tool.undeclared().map(|said| {
            Change::new(
                Aspect::Arguments,
                format!("undeclared arguments: {said}, by the overrides"),
            )
        }));
    }
    changes.extend(text::description(
        None,
        is.definition.get("description"),
        Aspect::Description,
        "description",
    ));
    let plain = serde_json::json!({ "type": "object" });
    changes.extend(schema::changes(
        Some(&plain),
        is.definition.get("inputSchema"),
        Aspect::Arguments,
    ));
    changes
}

fn changed(was: Both<'_>, is: Both<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for key in keys(was.definition, is.definition) {
        let (old, new) = (was.definition.get(key), is.definition.get(key));
        if old == new {
            continue;
        }
        match key {
            "description" => changes.extend(text::description(old, new, Aspect::Description, "description")),
            "title" => changes.push(text::value("title", old, new, Aspect::Description)),
            "inputSchema" => changes.extend(schema::changes(old, new, Aspect::Arguments)),
            "outputSchema" => changes.extend(schema::changes(old, new, Aspect::Output)),
            "annotations" => changes.extend(annotations(old, new)),
            _ => changes.push(text::value(key, old, new, Aspect::Other)),
        }
    }
    if let (Some(before), Some(after)) = (was.tool, is.tool) {
        changes.extend(counted(was.definition, before, is.definition, after));
    }
    changes
}

/// Every key of both, the old one's order first.
fn keys<'a>(old: &'a Value, new: &'a Value) -> Vec<&'a str> {
    let members = |value: &'a Value| value.as_object().into_iter().flat_map(|members| members.keys());
    let mut keys: Vec<&str> = members(old).map(String::as_str).collect();
    let own: Vec<&str> = members(new)
        .map(String::as_str)
        .filter(|key| !keys.contains(key))
        .collect();
    keys.extend(own);
    keys
}

fn annotations(old: Option<&Value>, new: Option<&Value>) -> Vec<Change> {
    let none = Value::Object(serde_json::Map::new());
    let (old, new) = (old.unwrap_or(&none), new.unwrap_or(&none));
    if !old.is_object() || !new.is_object() {
        return vec![text::value(
            "annotations",
            Some(old),
            Some(new),
            Aspect::Annotations,
        )];
    }
    let changed = keys(old, new)
        .into_iter()
        .filter(|key| old.get(key) != new.get(key));
    changed
        .map(|key| text::value(key, old.get(key), new.get(key), Aspect::Annotations))
        .collect()
}

/// What it counts as: from annotations, unless overrides say it.
fn counted(was: &Value, before: &Tool, is: &Value, after: &Tool) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut say = |words: String| changes.push(Change::new(Aspect::Operation, words));
    let (by_old, by_new) = (annotated(was), annotated(is));
    if before.operation != after.operation {
        let why = if by_old == by_new {
            "by the overrides"
        } else if after.classified {
            "by its annotations"
        } else {
            "since nobody says any more what it does"
        };
        say(format!(
            "operation `{}` → `{}`, {why}",
            before.operation, after.operation
        ));
    } else if by_old != by_new {
        say(format!(
            "the operation stays `{}`, whatever the annotations say: the overrides set it",
            after.operation
        ));
    }
    if before.groups != after.groups {
        let list = |groups: &[String]| {
            if groups.is_empty() {
                "none".to_owned()
            } else {
                groups.join(", ")
            }
        };
        say(format!(
            "groups {} → {}",
            list(&before.groups),
            list(&after.groups)
        ));
    }
    let flags = [
        (before.destructive, after.destructive, "destructive"),
        (
            before.open_world,
            after.open_world,
            "reaching beyond its own world",
        ),
    ];
    for (_, is, what) in flags.into_iter().filter(|(was, is, _)| was != is) {
        let counts = if is { "counts as" } else { "no longer counts as" };
        say(format!("{counts} {what}"));
    }
    if before.undeclared() != after.undeclared() {
        let words = |said: Option<&'static str>| said.unwrap_or("as the server's configuration says");
        let words = format!(
            "undeclared arguments: {} → {}",
            words(before.undeclared()),
            words(after.undeclared())
        );
        changes.push(Change::new(Aspect::Arguments, words));
    }
    changes
}

#[cfg(test)]
mod tests;
