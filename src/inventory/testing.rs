//! What the tests of this stage share.

use serde_json::Value;

use super::overrides::Override;
use super::{ServerName, Tool};
use crate::mcp::json;

/// A table of cases.
pub(crate) fn cases<T: serde::de::DeserializeOwned>(table: &str) -> Vec<T> {
    serde_saphyr::from_str(table).unwrap()
}

/// Arguments; `{"$n": "1.50"}` is a number of just that spelling.
pub(crate) fn arguments(value: &Value) -> json::Object {
    match strict(value) {
        json::Value::Object(object) => object,
        other => panic!("no object: {other:?}"),
    }
}

/// A number of just this spelling.
pub(crate) fn number(text: &str) -> json::Number {
    json::Number::new(text)
}

fn strict(value: &Value) -> json::Value {
    match value {
        Value::Null => json::Value::Null,
        Value::Bool(value) => json::Value::Bool(*value),
        Value::Number(value) => json::Value::Number(number(&value.to_string())),
        Value::String(text) => json::Value::String(text.clone()),
        Value::Array(items) => json::Value::Array(items.iter().map(strict).collect()),
        Value::Object(members) => match (members.len(), members.get("$n").and_then(Value::as_str)) {
            (1, Some(spelling)) => json::Value::Number(number(spelling)),
            _ => json::Value::Object(json::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), strict(value)))
                    .collect(),
            )),
        },
    }
}

pub(crate) fn server() -> ServerName {
    "kubernetes".parse().unwrap()
}

/// A tool `t` of the server `kubernetes` with a schema.
pub(crate) fn try_tool(schema: &Value) -> Result<Tool, String> {
    let definition = serde_json::json!({ "name": "t", "inputSchema": schema });
    Tool::new(&server(), &definition, Override::default())
}

/// A tool `t` of the server `kubernetes` with a schema that compiles.
pub(crate) fn tool(schema: &Value) -> Tool {
    try_tool(schema).unwrap()
}
