//! Whether the arguments of a call fit the tool's `inputSchema`: JSON Schema decides, compiled once at load.

use std::collections::HashSet;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Value, json};

use super::instance::{Instance, Strict};
use super::normal::{self, Engine, Normal};
use super::overrides::Undeclared;
use super::shape::referred;
use super::weight;
use crate::mcp::json::Object;

/// How often a schema may ask something of one value.
const MAX_WEIGHT: u64 = 10_000;
/// Steps back in one text, where a `pattern` is run by backtracking.
const MAX_BACKTRACKS: usize = 1_000;
/// Compiled size of one `pattern`.
const PATTERN_SIZE: usize = 1 << 20;
/// Characters of a name or an enumeration that are told.
const MAX_TOLD: usize = 200;

/// What is expected where an argument is that nobody asked for.
const UNDECLARED: &str = "no such argument: the tool's schema doesn't declare it";

/// An argument that doesn't fit. Tells where and what was expected, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argument `{path}`: expected {expected}")]
pub struct ArgumentError {
    /// JSON pointer (RFC 6901) to the argument; empty: the arguments as a whole.
    pub path: String,
    /// What was expected there, in plain words.
    pub expected: String,
    /// The schema declares no such argument.
    pub undeclared: bool,
}

/// A tool's `inputSchema`, ready to be asked.
#[derive(Debug)]
pub(crate) struct Acceptance {
    validator: Validator<Strict>,
    /// Whether finding out what doesn't fit is affordable, not only that something doesn't.
    explains: bool,
    declared: Declared,
}

/// Which arguments a schema declares.
#[derive(Debug)]
enum Declared {
    /// It says itself what else there may be.
    BySchema,
    /// It says nothing of any argument. MCP 2025-11-25, «Tool»: `{"type": "object"}` accepts any object.
    Silent,
    /// It is silent about others than these.
    Names(HashSet<String>, Option<Box<Validator<Strict>>>),
}

impl Acceptance {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Why it can't be: no valid schema, a `$ref` to elsewhere (named), names by a pattern that no linear engine runs.
    pub(crate) fn compile(normal: &Normal) -> Result<Self, String> {
        if let Some(pattern) = normal.costly_names.first() {
            return Err(format!(
                "the pattern of names `{}` can't be run in linear time",
                bounded(pattern)
            ));
        }
        let schema = &normal.schema;
        let (flat, nested) = weight::of(schema);
        if flat > MAX_WEIGHT {
            return Err(format!(
                "its references ask the same of a value {flat} times over: more than {MAX_WEIGHT}"
            ));
        }
        let engine = if normal.backtracking.is_empty() {
            Engine::Linear
        } else {
            Engine::Backtracking
        };
        let validator = build(schema, engine)?;
        Ok(Self {
            validator,
            explains: nested <= MAX_WEIGHT,
            declared: Declared::of(schema)?,
        })
    }

    /// Whether the schema says nothing of any argument, so that all pass.
    pub(crate) const fn is_silent(&self) -> bool {
        matches!(self.declared, Declared::Silent)
    }

    /// # Errors
    /// The first argument that doesn't fit.
    pub(crate) fn check(
        &self,
        arguments: &Object,
        undeclared: Option<Undeclared>,
    ) -> Result<(), ArgumentError> {
        let instance = Instance::Object(arguments);
        if !self.validator.is_valid(instance) {
            // Should the two validations ever disagree, the arguments don't fit.
            let error = self
                .explains
                .then(|| self.validator.validate(instance).err())
                .flatten();
            return Err(error.map_or_else(unexplained, |error| told(&error, arguments)));
        }
        let undeclared = match undeclared {
            Some(said) => said == Undeclared::Allow,
            None => self.is_silent(),
        };
        if undeclared {
            return Ok(());
        }
        match arguments.iter().find(|(name, _)| !self.declared.allows(name)) {
            None => Ok(()),
            Some((name, _)) => Err(ArgumentError {
                path: pointer("", name),
                expected: UNDECLARED.to_owned(),
                undeclared: true,
            }),
        }
    }
}

/// Arguments that don't fit, where nothing says which.
fn unexplained() -> ArgumentError {
    ArgumentError {
        path: String::new(),
        expected: "arguments that fit the tool's schema".to_owned(),
        undeclared: false,
    }
}

/// A schema as arguments are checked against it.
pub(crate) fn normal(schema: &Value) -> Normal {
    // Draft-07 is the first that has `if`, with which texts are bounded.
    let old = match schema.get("$schema") {
        Some(Value::String(draft)) => draft.contains("draft-04") || draft.contains("draft-06"),
        _ => false,
    };
    let engines: &[Engine] = if old {
        &[Engine::Linear]
    } else {
        &[Engine::Linear, Engine::Backtracking]
    };
    normal::of(schema, |pattern| {
        let alone = json!({ "pattern": pattern });
        engines
            .iter()
            .copied()
            .find(|engine| build(&alone, *engine).is_ok())
    })
}

/// Offline: what a schema refers to must be in it. The linear engine: no pattern takes longer than its text; the other one
/// gives up in time, and what it gave up on doesn't fit.
fn build(schema: &Value, engine: Engine) -> Result<Validator<Strict>, String> {
    let options = jsonschema::options_for::<Strict>()
        .with_draft_unless_declared(schema)
        // Annotations, as of 2019-09: what a server takes for a URL or a date is its own business (a WHATWG URL is
        // often no RFC 3986 one), and policies see the text as it is.
        .should_validate_formats(false)
        .without_content_media_type_support("application/json")
        .without_content_encoding_support("base64")
        .offline();
    let options = match engine {
        Engine::Linear => options.with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE)),
        Engine::Backtracking => options.with_pattern_options(
            PatternOptions::fancy_regex()
                .backtrack_limit(MAX_BACKTRACKS)
                .size_limit(PATTERN_SIZE),
        ),
    };
    options.build(schema).map_err(|error| reason(&error))
}

/// MCP: without `$schema`, a schema is of draft 2020-12.
trait DefaultDraft {
    fn with_draft_unless_declared(self, schema: &Value) -> Self;
}

impl<R> DefaultDraft for jsonschema::ValidationOptions<'_, R, Strict> {
    fn with_draft_unless_declared(self, schema: &Value) -> Self {
        if schema.get("$schema").is_some() {
            self
        } else {
            self.with_draft(Draft::Draft202012)
        }
    }
}

/// Why a schema can't be compiled: text of the schema's author, not of a caller.
fn reason(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().as_str();
    let place = if place.is_empty() {
        String::new()
    } else {
        format!(" at `{place}`")
    };
    match error.kind() {
        ValidationErrorKind::Referencing(error) => format!("a reference leads elsewhere: {error}"),
        _ => format!("no valid JSON Schema{place}: {error}"),
    }
}

impl Declared {
    fn of(schema: &Value) -> Result<Self, String> {
        let mut collected = Collected::default();
        collected.collect(schema, schema);
        if collected.explicit {
            return Ok(Self::BySchema);
        }
        if !collected.declares {
            return Ok(Self::Silent);
        }
        let patterns = if collected.patterns.is_empty() {
            None
        } else {
            let any: Vec<Value> = collected
                .patterns
                .iter()
                .map(|pattern| json!({ "pattern": pattern }))
                .collect();
            Some(Box::new(build(&json!({ "anyOf": any }), Engine::Linear)?))
        };
        Ok(Self::Names(collected.names, patterns))
    }

    fn allows(&self, name: &str) -> bool {
        match self {
            Self::BySchema => true,
            Self::Silent => false,
            Self::Names(names, patterns) => {
                names.contains(name)
                    || patterns
                        .as_ref()
                        .is_some_and(|patterns| patterns.is_valid(Instance::Text(name)))
            }
        }
    }
}

/// What a schema says about the members of the object itself, also through its in-place applicators
/// (JSON Schema 2020-12 core §10.2).
#[derive(Default)]
struct Collected {
    names: HashSet<String>,
    patterns: Vec<String>,
    /// It says which others there may be.
    explicit: bool,
    /// It says which there are, or that there is none.
    declares: bool,
    /// Where it has been, by address: references may lead back, or to one place many times.
    seen: HashSet<usize>,
}

impl Collected {
    fn collect(&mut self, root: &Value, schema: &Value) {
        if !self.seen.insert(std::ptr::from_ref(schema).addr()) {
            return;
        }
        let Value::Object(schema) = schema else {
            return;
        };
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("additionalProperties" | "unevaluatedProperties", _) => self.explicit = true,
                ("properties", Value::Object(properties)) => {
                    self.declares = true;
                    self.names.extend(properties.keys().cloned());
                }
                ("patternProperties", Value::Object(patterns)) => {
                    self.declares = true;
                    self.patterns.extend(patterns.keys().cloned());
                }
                // Whoever says that there must be one, says that there is one.
                ("required", Value::Array(required)) => {
                    self.declares = true;
                    let names = required.iter().filter_map(Value::as_str);
                    self.names.extend(names.map(str::to_owned));
                }
                ("dependencies" | "dependentRequired", Value::Object(parts)) => {
                    self.declares = true;
                    self.names.extend(parts.keys().cloned());
                    for part in parts.values() {
                        self.collect(root, part);
                    }
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                    for part in parts {
                        self.collect(root, part);
                    }
                }
                ("if" | "then" | "else", part) => self.collect(root, part),
                ("dependentSchemas", Value::Object(parts)) => {
                    for part in parts.values() {
                        self.collect(root, part);
                    }
                }
                ("$ref", Value::String(reference)) => {
                    match referred(root, reference) {
                        Some(target) => self.collect(root, target),
                        // The validator may find more there than is found here: it is not silence.
                        None => self.declares = true,
                    }
                }
                ("$dynamicRef" | "$recursiveRef", _) => self.declares = true,
                _ => {}
            }
        }
    }
}

/// The error as a caller may read it: the schema's words, never the value's.
fn told(error: &ValidationError<'_>, arguments: &Object) -> ArgumentError {
    let path = error.instance_path().as_str();
    let (path, undeclared) = match error.kind() {
        ValidationErrorKind::Required { property } => {
            (pointer(path, property.as_str().unwrap_or_default()), false)
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            (pointer(path, unexpected.first().map_or("", String::as_str)), true)
        }
        // `additionalProperties: false` beside no properties at all: the error doesn't tell which one.
        ValidationErrorKind::FalseSchema
            if error.schema_path().as_str().ends_with("/additionalProperties") =>
        {
            let first = arguments.iter().next().filter(|_| path.is_empty());
            let path = first.map_or_else(|| bounded(path), |(name, _)| pointer("", name));
            (path, true)
        }
        _ => (bounded(path), false),
    };
    ArgumentError {
        path,
        expected: if undeclared {
            UNDECLARED.to_owned()
        } else {
            expected(error.kind())
        },
        undeclared,
    }
}

fn expected(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type {
            kind: TypeKind::Single(expected),
        } => article(expected.as_str()),
        Kind::Type {
            kind: TypeKind::Multiple(expected),
        } => {
            let expected: Vec<String> = expected.iter().map(|one| article(one.as_str())).collect();
            expected.join(" or ")
        }
        Kind::Required { .. } => "this argument to be given".to_owned(),
        Kind::Enum { options } => format!("one of {}", bounded(&options.to_string())),
        Kind::Constant { expected_value } => bounded(&expected_value.to_string()),
        Kind::Minimum { limit } => format!("a number not below {limit}"),
        Kind::Maximum { limit } => format!("a number not above {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("a number above {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("a number below {limit}"),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("a string of at least {limit} characters"),
        Kind::MaxLength { limit } => format!("a string of at most {limit} characters"),
        Kind::BacktrackLimitExceeded { .. } => {
            "a string that its pattern can be checked on in a reasonable number of steps".to_owned()
        }
        Kind::Pattern { pattern } => format!("a string that matches `{}`", bounded(pattern)),
        Kind::Format { format } => format!("a string of the format `{}`", bounded(format)),
        Kind::MinItems { limit } => format!("at least {limit} items"),
        Kind::MaxItems { limit } => format!("at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("no more than {limit} items"),
        Kind::UniqueItems => "items that all differ".to_owned(),
        Kind::Contains => "an item of the kind that the tool's schema asks for".to_owned(),
        Kind::MinProperties { limit } => format!("at least {limit} members"),
        Kind::MaxProperties { limit } => format!("at most {limit} members"),
        Kind::PropertyNames { .. } => "names of members that the tool's schema allows".to_owned(),
        Kind::FalseSchema => "nothing: the tool's schema allows no value here".to_owned(),
        Kind::AnyOf { .. } => "a value of one of the kinds that the tool's schema lists".to_owned(),
        Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
            "a value of exactly one of the kinds that the tool's schema lists".to_owned()
        }
        _ => format!("what `{}` of the tool's schema asks for", kind.keyword()),
    }
}

fn article(name: &str) -> String {
    match name {
        "null" => "null".to_owned(),
        "integer" | "array" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

/// A JSON pointer with one more segment (RFC 6901 §3).
fn pointer(path: &str, name: &str) -> String {
    bounded(&format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")))
}

/// At most so much that nobody fills an answer with it.
fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_TOLD) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
