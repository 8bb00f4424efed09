//! Arguments that a client also sends as headers, so that gateways can route by them: `Mcp-Param-*` of MCP 2026-07-28.
//!
//! A property annotated `"x-mcp-header": "Region"` travels as `Mcp-Param-Region`; header and argument must agree, or a
//! gateway would route by another value than the server gets.

use std::collections::HashSet;

use serde_json::Value;

use super::exact;
use crate::mcp::{header_value, json};

/// The prefix of the headers' names, in lower case as gateways send them.
pub const PREFIX: &str = "mcp-param-";

/// An argument that travels as a header too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderArgument {
    /// Member names from the arguments to the property.
    pub path: Vec<String>,
    /// The whole header's name in lower case, for instance `mcp-param-region`.
    pub header: String,
}

/// How a header and its argument disagree. Neither value is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The argument is there, the header isn't.
    #[error("header `{0}` is missing")]
    Missing(String),
    /// The header is there, the argument isn't.
    #[error("header `{0}` stands for an argument that is not given")]
    Unexpected(String),
    /// The header stands there twice.
    #[error("header `{0}` is given twice")]
    Repeated(String),
    /// `=?base64?…?=` around something else.
    #[error("header `{0}` is not valid base64")]
    Encoding(String),
    /// They say different things.
    #[error("header `{0}` differs from its argument")]
    Differs(String),
}

/// The annotated properties of a schema, along `properties` alone.
///
/// # Errors
/// An annotation that the specification doesn't allow; clients refuse such a tool.
pub(crate) fn annotated(schema: &Value) -> Result<Vec<HeaderArgument>, String> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    let mut seen = HashSet::new();
    match found
        .iter()
        .find(|argument| !seen.insert(argument.header.as_str()))
    {
        Some(twice) => Err(format!(
            "two properties have the `x-mcp-header` of `{}`",
            twice.header
        )),
        None => Ok(found),
    }
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<HeaderArgument>) -> Result<(), String> {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return Ok(());
    };
    // Deeper than any call can be.
    if path.len() > 64 {
        return Ok(());
    }
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(header) = property.get("x-mcp-header") {
            let header = header
                .as_str()
                .filter(|header| !header.is_empty() && header.bytes().all(is_token))
                .ok_or_else(|| format!("`x-mcp-header` of `{}` is no header name", path.join(".")))?;
            if !matches!(
                property.get("type").and_then(Value::as_str),
                Some("string" | "integer" | "boolean")
            ) {
                return Err(format!(
                    "`x-mcp-header` of `{}` needs a string, integer or boolean",
                    path.join(".")
                ));
            }
            found.push(HeaderArgument {
                path: path.clone(),
                header: format!("{PREFIX}{}", header.to_ascii_lowercase()),
            });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

/// RFC 9110 §5.6.2
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// # Errors
/// The first header that disagrees with its argument.
pub(crate) fn agree(
    annotated: &[HeaderArgument],
    arguments: &json::Object,
    headers: &[(String, String)],
) -> Result<(), HeaderError> {
    for argument in annotated {
        let name = || argument.header.clone();
        let mut sent = headers
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(&argument.header));
        let value = sent.next().map(|(_, value)| value.as_str());
        if sent.next().is_some() {
            return Err(HeaderError::Repeated(name()));
        }
        match (value, at(arguments, &argument.path)) {
            (None, None) => {}
            (None, Some(_)) => return Err(HeaderError::Missing(name())),
            (Some(_), None) => return Err(HeaderError::Unexpected(name())),
            (Some(value), Some(argument)) => {
                let value = header_value(value.trim_matches([' ', '\t']))
                    .ok_or_else(|| HeaderError::Encoding(name()))?;
                if !says(&value, argument) {
                    return Err(HeaderError::Differs(name()));
                }
            }
        }
    }
    Ok(())
}

/// The argument at a path; `null` counts as absent.
fn at<'a>(arguments: &'a json::Object, path: &[String]) -> Option<&'a json::Value> {
    let (first, rest) = path.split_first()?;
    let start = arguments.get(first)?;
    let value = rest
        .iter()
        .try_fold(start, |value, name| value.as_object()?.get(name))?;
    (!matches!(value, json::Value::Null)).then_some(value)
}

/// Whether a header's text says what an argument is. Integers may be spelt in more than one way.
fn says(text: &str, argument: &json::Value) -> bool {
    match argument {
        json::Value::String(value) => text == value,
        json::Value::Bool(value) => text == if *value { "true" } else { "false" },
        json::Value::Number(number) => {
            text == number.as_str()
                || exact::integer(number).is_some_and(|value| exact::spelt_integer(text) == Some(value))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{arguments, cases, tool, try_tool};
    use super::*;

    /// Arguments, headers, what is wrong.
    type Case = (Value, Vec<(String, String)>, String);

    #[test]
    fn headers_say_what_their_arguments_say() {
        let tool = tool(&json!({ "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "size": { "type": "integer", "x-mcp-header": "Size" },
            "where": { "type": "object", "properties": { "dry": { "type": "boolean", "x-mcp-header": "Dry" } } },
        } }));
        let cases: Vec<Case> = cases(include_str!("cases/headers.yaml"));
        for (given, headers, expected) in cases {
            let found = tool.headers_agree(&arguments(&given), &headers);
            let found = found.err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(found, expected, "{given} {headers:?}");
        }
    }

    #[test]
    fn refuses_annotations_that_clients_refuse() {
        for property in [
            json!({ "a": { "type": "string", "x-mcp-header": "" } }),
            json!({ "a": { "type": "string", "x-mcp-header": "a b" } }),
            json!({ "a": { "type": "string", "x-mcp-header": 1 } }),
            json!({ "a": { "type": "number", "x-mcp-header": "A" } }),
            json!({ "a": { "type": "string", "x-mcp-header": "A" }, "b": { "type": "string", "x-mcp-header": "a" } }),
        ] {
            assert!(
                try_tool(&json!({ "properties": property })).is_err(),
                "{property}"
            );
        }
    }
}
