//! Values that satisfy a JSON Schema, and such as nearly do: made from the schema alone, the same in every run.

use std::collections::BTreeSet;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// A sequence of choices (`SplitMix64`).
pub(crate) struct Choices(pub(crate) u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn sometimes(&mut self) -> bool {
        self.below(3) == 0
    }
}

const TEXTS: [&str; 14] = [
    "a",
    "main",
    "https://example.org/a?b=c#d",
    "2026-01-01T00:00:00Z",
    "",
    "it's \"quoted\" \\ and more",
    "ü—😀\u{200d}",
    "line\nbreak\ttab",
    "{\"__extn\":{\"fn\":\"ip\",\"arg\":\"127.0.0.1\"}}",
    "decimal(\"1.0\")",
    "../../etc/passwd",
    "null",
    "7",
    "a long text that is longer than most of the limits that schemas have on texts, so that it is cut where it must be",
];
const NUMBERS: [f64; 10] = [
    0.0,
    1.0,
    0.5,
    -1.25,
    48.858_37,
    0.1,
    3.0,
    1e300,
    99_999.999_9,
    0.000_01,
];
const INTEGERS: [i64; 9] = [
    0,
    1,
    2,
    5,
    42,
    -7,
    9_007_199_254_740_991,
    9_007_199_254_740_993,
    i64::MAX,
];

/// A value for a schema; not each one satisfies it.
pub(crate) fn value(root: &Value, schema: &Value, choices: &mut Choices, depth: usize) -> Value {
    let schema = &flat(root, schema, choices, 0);
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return choices.one(values).clone();
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().map(|name| name.as_str().unwrap()).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ if schema.get("items").is_some() => vec!["array"],
        _ => vec![
            "string", "integer", "boolean", "object", "array", "null", "number",
        ],
    };
    match *choices.one(&kinds) {
        "object" => object(root, schema, choices, depth),
        "array" => array(root, schema, choices, depth),
        "string" => text(schema, choices),
        "integer" => integer(schema, choices),
        "number" => number(schema, choices),
        "boolean" => json!(choices.sometimes()),
        _ => Value::Null,
    }
}

/// The schema with what it refers to, all of its parts and one of its alternatives written into it.
fn flat(root: &Value, schema: &Value, choices: &mut Choices, hops: usize) -> Value {
    let mut whole = match schema {
        Value::Object(keywords) => keywords.clone(),
        _ => Map::new(),
    };
    let mut parts = Vec::new();
    if let Some(Value::String(reference)) = whole.remove("$ref") {
        parts.push(root.pointer(reference.trim_start_matches('#')).unwrap().clone());
    }
    if let Some(Value::Array(all)) = whole.remove("allOf") {
        parts.extend(all);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(any)) = whole.remove(keyword) {
            parts.push(choices.one(&any).clone());
        }
    }
    for part in parts {
        assert!(hops < 50, "a schema that only refers to itself");
        let Value::Object(part) = flat(root, &part, choices, hops + 1) else {
            continue;
        };
        for (keyword, value) in part {
            match (whole.get_mut(&keyword), value) {
                (Some(Value::Object(own)), Value::Object(other)) => own.extend(other),
                (Some(Value::Array(own)), Value::Array(other)) if keyword == "required" => own.extend(other),
                (_, value) => {
                    whole.insert(keyword, value);
                }
            }
        }
    }
    Value::Object(whole)
}

fn object(root: &Value, schema: &Value, choices: &mut Choices, depth: usize) -> Value {
    let none = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let required: BTreeSet<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut members = Map::new();
    for (name, property) in properties {
        let wanted = required.contains(name.as_str()) || (depth < 5 && choices.below(2) == 0);
        if wanted && property != &Value::Bool(false) {
            members.insert(name.clone(), value(root, property, choices, depth + 1));
        }
    }
    // Of arguments, only a schema that says nothing at all lets undeclared ones pass.
    let free = properties.is_empty() && (depth > 0 || schema.get("properties").is_none());
    match schema.get("additionalProperties") {
        Some(Value::Bool(true)) if choices.sometimes() => {
            members.insert("x-more".to_owned(), json!({ "any": [1, "thing"] }));
        }
        Some(more @ Value::Object(_)) if choices.sometimes() => {
            members.insert("more".to_owned(), value(root, more, choices, depth + 1));
        }
        None if free && choices.sometimes() => {
            members.insert("free".to_owned(), json!({ "$gt": 5 }));
        }
        _ => {}
    }
    Value::Object(members)
}

fn array(root: &Value, schema: &Value, choices: &mut Choices, depth: usize) -> Value {
    let bound = |keyword| {
        schema
            .get(keyword)
            .and_then(Value::as_u64)
            .map(|n| usize::try_from(n).unwrap())
    };
    let least = bound("minItems").unwrap_or(0);
    let most = bound("maxItems").unwrap_or(least + 3);
    let count = (least + choices.below(3)).min(most);
    let any = json!({});
    let items = schema.get("items").unwrap_or(&any);
    Value::Array(
        (0..count)
            .map(|_| value(root, items, choices, depth + 1))
            .collect(),
    )
}

fn text(schema: &Value, choices: &mut Choices) -> Value {
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let inner = pattern.trim_start_matches('^').trim_end_matches('$');
        // ECMA-262's classes are of ASCII.
        let ascii = inner.replace("\\d", "[0-9]").replace("\\w", "[A-Za-z0-9_]");
        if let Ok(strategy) = proptest::string::string_regex(&ascii) {
            return json!(
                strategy
                    .new_tree(&mut TestRunner::deterministic())
                    .unwrap()
                    .current()
            );
        }
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && choices.below(2) == 0
    {
        return json!(match format {
            "uri" => "https://example.org/ü b",
            "uuid" => "0b6a4c1e-7d3f-4f5e-9a51-0c4b7f0f8b11",
            "email" => "ada@example.org",
            "date" => "2026-02-29",
            _ => "2026-01-01T00:00:00+01:00",
        });
    }
    let text = *choices.one(&TEXTS);
    let bound = |keyword| {
        schema
            .get(keyword)
            .and_then(Value::as_u64)
            .map(|n| usize::try_from(n).unwrap())
    };
    let mut text: String = text
        .chars()
        .take(bound("maxLength").unwrap_or(usize::MAX))
        .collect();
    while text.chars().count() < bound("minLength").unwrap_or(0) {
        text.push('x');
    }
    json!(text)
}

fn integer(schema: &Value, choices: &mut Choices) -> Value {
    let number = |keyword: &str| schema.get(keyword).and_then(Value::as_i64);
    let least = number("minimum").or(number("exclusiveMinimum").map(|n| n.saturating_add(1)));
    let most = number("maximum").or(number("exclusiveMaximum").map(|n| n.saturating_sub(1)));
    let (least, most) = (least.unwrap_or(i64::MIN), most.unwrap_or(i64::MAX));
    let chosen = (*choices.one(&INTEGERS)).clamp(least, most.max(least));
    if choices.sometimes() && chosen.abs() < 1000 {
        // The same integer, spelt otherwise.
        return serde_json::from_str(&format!("{chosen}.0")).unwrap();
    }
    json!(chosen)
}

fn number(schema: &Value, choices: &mut Choices) -> Value {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|n| n + 1.0));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|n| n - 1.0));
    let (least, most) = (least.unwrap_or(f64::MIN), most.unwrap_or(f64::MAX));
    if choices.sometimes() {
        return integer(schema, choices);
    }
    json!(choices.one(&NUMBERS).clamp(least, most.max(least)))
}

/// The same arguments with one thing in them changed to another type or left out: where, and how they are then.
pub(crate) fn nearly(schema: &Value, arguments: &Value, choices: &mut Choices) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut places = Vec::new();
    every(arguments, "", &mut places);
    for place in places {
        let wrong = [
            json!({ "un": ["expected"] }),
            json!(7),
            json!("text"),
            json!(null),
            json!([[]]),
            json!(-0.5),
        ];
        let mut changed = arguments.clone();
        *changed.pointer_mut(&place).unwrap() = choices.one(&wrong).clone();
        found.push((place, changed));
    }
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let mut changed = arguments.clone();
        let name = name.as_str().unwrap();
        changed.as_object_mut().unwrap().shift_remove(name);
        found.push((
            format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            changed,
        ));
    }
    found
}

/// Pointers to everything in a value, itself not included.
fn every(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, inner)| (name.replace('~', "~0").replace('/', "~1"), inner))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, inner)| (index.to_string(), inner))
            .collect(),
        _ => Vec::new(),
    };
    for (name, inner) in inner {
        let at = format!("{at}/{name}");
        every(inner, &at, found);
        found.push(at);
    }
}
