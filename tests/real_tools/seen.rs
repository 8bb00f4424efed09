//! What Cedar ought to see of arguments, worked out a second time: as the text of a Cedar expression.

use mcp_authz::inventory::shape::{Record, Shape};
use serde_json::{Map, Value};

/// ±(2^53 − 1).
const SAFE: f64 = 9_007_199_254_740_991.0;

/// The record, and the paths of what is left out of it.
pub(crate) fn record(
    shape: &Record,
    members: &Map<String, Value>,
    path: &[String],
    omitted: &mut Vec<Vec<String>>,
) -> String {
    let mut parts = Vec::new();
    for (name, value) in members {
        if value.is_null() {
            continue;
        }
        let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
        let attribute = shape.iter().find(|(known, _)| known == name);
        match attribute.and_then(|(_, attribute)| expression(&attribute.shape, value, &path, omitted)) {
            Some(text) => parts.push(format!("\"{}\": {text}", name.escape_debug())),
            None => omitted.push(path),
        }
    }
    format!("{{{}}}", parts.join(", "))
}

fn expression(
    shape: &Shape,
    value: &Value,
    path: &[String],
    omitted: &mut Vec<Vec<String>>,
) -> Option<String> {
    match (shape, value) {
        (Shape::Bool, Value::Bool(value)) => Some(value.to_string()),
        (Shape::ShortString, Value::String(text)) if text.chars().count() > 1_024 => None,
        (Shape::String | Shape::ShortString, Value::String(text)) => {
            Some(format!("\"{}\"", text.escape_debug()))
        }
        (Shape::Long, Value::Number(number)) => {
            let near = number.as_f64()?;
            // As an f64, 2^53 + 1 is 2^53, and beyond the limit.
            let safe = near.fract() == 0.0 && near.abs() <= SAFE;
            safe.then(|| {
                number
                    .as_i64()
                    .map_or_else(|| format!("{near:.0}"), |exact| exact.to_string())
            })
        }
        (Shape::Decimal, Value::Number(number)) => {
            let near = number.as_f64()?;
            let text = format!("{near:.4}");
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            (digits <= 15 && text.parse::<f64>().unwrap().total_cmp(&near).is_eq())
                .then(|| format!("decimal(\"{}\")", text.replace("-0.0000", "0.0000")))
        }
        (Shape::Set(element), Value::Array(items)) => {
            let mut inner = Vec::new();
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| expression(element, item, path, &mut inner))
                .collect();
            texts
                .filter(|_| inner.is_empty())
                .map(|texts| format!("[{}]", texts.join(", ")))
        }
        (Shape::Record(inner), Value::Object(members)) => Some(record(inner, members, path, omitted)),
        _ => None,
    }
}

/// Every place that policies can read, as deep as attributes go.
pub(crate) fn places(shape: &Record) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (name, attribute) in shape.iter() {
        found.push(vec![name.to_owned()]);
        if let Shape::Record(inner) = &attribute.shape {
            let below = places(inner).into_iter();
            found.extend(below.map(|path| [vec![name.to_owned()], path].concat()));
        }
    }
    found
}

/// A condition that reads one place: the value equals itself.
pub(crate) fn reading(path: &[String]) -> String {
    let mut whole = "context.arguments".to_owned();
    let mut conditions = Vec::new();
    for name in path {
        let name = name.escape_debug();
        conditions.push(format!("{whole} has \"{name}\""));
        whole = format!("{whole}[\"{name}\"]");
    }
    conditions.push(format!("{whole} == {whole}"));
    conditions.join(" && ")
}
