//! One tool, as approved: what it is, which arguments it takes, what Cedar sees of them.

use aws_lc_rs::digest;
use serde_json::Value;

use super::accept::{self, Acceptance, ArgumentError};
use super::convert::{self, Converted};
use super::headers::{self, HeaderArgument, HeaderError};
use super::overrides::{Override, Undeclared};
use super::selection::Selection;
use super::shape::{self, Record};
use super::unseen::Unseen;
use super::{OperationKind, ServerName};
use crate::mcp::json::Object;

/// The longest name of a tool, in bytes (MCP 2025-11-25 recommends at most 128 characters).
const MAX_NAME: usize = 256;

/// A tool of a server, as approved.
#[derive(Debug)]
pub struct Tool {
    /// Its name, byte for byte as calls must spell it.
    pub name: String,
    /// Its title for people.
    pub title: Option<String>,
    /// What it says of itself.
    pub description: Option<String>,
    /// The id of its action: `<server>/<tool>`.
    pub action: String,
    /// What it does: from its overrides, else its annotations, else `execute`.
    pub operation: OperationKind,
    /// Whether overrides or annotations say what it does.
    pub classified: bool,
    /// Its groups, sorted and unique: ids of `ToolGroup`.
    pub groups: Vec<String>,
    /// Whether it can destroy something; true where nobody says.
    pub destructive: bool,
    /// Whether it reaches beyond the server's own world; true where nobody says.
    pub open_world: bool,
    /// SHA-256 of its definition in canonical JSON, in hexadecimal: what a pin compares.
    pub digest: String,
    undeclared: Option<Undeclared>,
    shape: Record,
    unseen: Vec<Unseen>,
    bounded: Vec<String>,
    unchecked: Vec<String>,
    headers: Vec<HeaderArgument>,
    acceptance: Acceptance,
}

impl Tool {
    /// From its definition in a `tools/list` result.
    ///
    /// # Errors
    /// What is wrong with the definition.
    pub(crate) fn new(server: &ServerName, definition: &Value, said: Override) -> Result<Self, String> {
        let name = text(definition, "name")?.ok_or("`name` is missing")?;
        check_name(&name)?;
        let silent = serde_json::json!({ "type": "object" });
        // MCP asks for an `inputSchema`; a tool without one declares no arguments.
        let schema = definition.get("inputSchema").unwrap_or(&silent);
        if !schema.is_object() {
            return Err("`inputSchema` is no object".to_owned());
        }
        let hints = Hints::of(definition)?;
        let operation = said.operation.or_else(|| hints.operation());
        let normal = accept::normal(schema);
        let (shape, unseen) = shape::arguments(&normal.schema);
        let acceptance = Acceptance::compile(&normal).map_err(|error| format!("`inputSchema`: {error}"))?;
        let mut groups = said.groups.unwrap_or_default();
        groups.sort();
        groups.dedup();
        Ok(Self {
            action: format!("{server}/{name}"),
            name,
            title: text(definition, "title")?,
            description: text(definition, "description")?,
            operation: operation.unwrap_or(OperationKind::Execute),
            classified: operation.is_some(),
            groups,
            destructive: said.destructive.unwrap_or_else(|| hints.is_destructive()),
            open_world: said.open_world.unwrap_or(hints.open_world.unwrap_or(true)),
            digest: digest(definition),
            undeclared: said.undeclared_arguments,
            shape,
            unseen,
            bounded: normal.backtracking.into_iter().collect(),
            unchecked: normal.unchecked.into_iter().collect(),
            headers: headers::annotated(schema)?,
            acceptance,
        })
    }

    /// Whether arguments fit the tool's schema. `undeclared` is what the server's configuration says of arguments
    /// that the schema neither declares nor forbids; the tool's overrides have the last word.
    ///
    /// # Errors
    /// The first argument that doesn't fit.
    pub fn accept(&self, arguments: &Object, undeclared: bool) -> Result<(), ArgumentError> {
        let undeclared = self.undeclared.or(undeclared.then_some(Undeclared::Allow));
        self.acceptance.check(arguments, undeclared)
    }

    /// What Cedar sees of arguments that fit, and the places that it doesn't.
    #[must_use]
    pub fn to_cedar(&self, arguments: &Object) -> Converted {
        self.selected_to_cedar(arguments, &Selection::Whole)
    }

    /// What Cedar sees of those of the arguments that are selected: the rest is neither in the record nor told as omitted.
    #[must_use]
    pub fn selected_to_cedar(&self, arguments: &Object, selection: &Selection) -> Converted {
        convert::convert(&self.shape, arguments, selection)
    }

    /// The Cedar type of `context.arguments`.
    #[must_use]
    pub const fn shape(&self) -> &Record {
        &self.shape
    }

    /// The declared arguments that no policy can see, and why.
    #[must_use]
    pub fn unseen(&self) -> &[Unseen] {
        &self.unseen
    }

    /// Whether the schema says nothing of any argument: then any pass, and policies see none of them.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.acceptance.is_silent() && self.undeclared != Some(Undeclared::Refuse)
    }

    /// What its overrides say of arguments that the schema neither declares nor forbids.
    pub(super) fn undeclared(&self) -> Option<&'static str> {
        self.undeclared.map(|said| match said {
            Undeclared::Allow => "allowed",
            Undeclared::Refuse => "refused",
        })
    }

    /// Patterns of the schema that are run by backtracking, on texts of bounded length.
    #[must_use]
    pub fn bounded_patterns(&self) -> &[String] {
        &self.bounded
    }

    /// Patterns of the schema that can't be run at all: what they ask for isn't checked.
    #[must_use]
    pub fn unchecked_patterns(&self) -> &[String] {
        &self.unchecked
    }

    /// The arguments that must travel as `Mcp-Param-*` headers too (MCP 2026-07-28).
    #[must_use]
    pub fn header_arguments(&self) -> &[HeaderArgument] {
        &self.headers
    }

    /// Whether a request's headers say what the arguments say. Only for messages of MCP 2026-07-28.
    ///
    /// # Errors
    /// The first header that disagrees with its argument.
    pub fn headers_agree(&self, arguments: &Object, headers: &[(String, String)]) -> Result<(), HeaderError> {
        headers::agree(&self.headers, arguments, headers)
    }
}

/// What a definition's annotations say that the tool does; nothing if they don't say it.
pub(super) fn annotated(definition: &Value) -> Option<OperationKind> {
    Hints::of(definition).ok()?.operation()
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!("the name of a tool has 1 to {MAX_NAME} bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err("the name has a control character".to_owned());
    }
    Ok(())
}

fn text(definition: &Value, key: &str) -> Result<Option<String>, String> {
    match definition.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{key}` is no string")),
    }
}

/// `annotations` (MCP `ToolAnnotations`), each where given.
#[derive(Debug, Clone, Copy, Default)]
struct Hints {
    read_only: Option<bool>,
    destructive: Option<bool>,
    open_world: Option<bool>,
}

impl Hints {
    fn of(definition: &Value) -> Result<Self, String> {
        let hints = match definition.get("annotations") {
            None => return Ok(Self::default()),
            Some(Value::Object(hints)) => hints,
            Some(_) => return Err("`annotations` is no object".to_owned()),
        };
        let hint = |name: &str| match hints.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(format!("`annotations.{name}` is neither true nor false")),
        };
        Ok(Self {
            read_only: hint("readOnlyHint")?,
            destructive: hint("destructiveHint")?,
            open_world: hint("openWorldHint")?,
        })
    }

    /// A tool that only reads, reads. One that says that it doesn't, or whether it destroys, changes something.
    /// `openWorldHint` and `idempotentHint` say nothing about it, nor does a tool that reads only and destroys.
    const fn operation(self) -> Option<OperationKind> {
        match (self.read_only, self.destructive) {
            (Some(true), Some(true)) | (None, None) => None,
            (Some(true), _) => Some(OperationKind::Read),
            (Some(false), _) | (None, Some(_)) => Some(OperationKind::Write),
        }
    }

    /// MCP: true by default, meaningful only for what doesn't merely read; believed where it is said all the same.
    fn is_destructive(self) -> bool {
        self.destructive.unwrap_or(self.read_only != Some(true))
    }
}

/// SHA-256 over the definition without white space and with sorted keys.
pub(super) fn digest(definition: &Value) -> String {
    let canonical = canonical(definition).to_string();
    let hash = digest::digest(&digest::SHA256, canonical.as_bytes());
    hash.as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            for nibble in [byte >> 4, byte & 0xf] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
            text
        })
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            // RFC 8785 §3.2.3: by UTF-16 code units.
            sorted.sort_by(|left, right| left.0.encode_utf16().cmp(right.0.encode_utf16()));
            let members = sorted
                .into_iter()
                .map(|(name, value)| (name.clone(), canonical(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        _ => value.clone(),
    }
}
