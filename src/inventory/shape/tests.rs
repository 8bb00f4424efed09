use std::collections::BTreeSet;

use super::super::testing::cases;
use super::derive::MAX_DEPTH;
use super::*;
use crate::inventory::Why;
use crate::inventory::normal::UNCHECKED;

/// A shape as Cedar's own syntax writes it.
fn cedar(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "Bool".to_owned(),
        Shape::Long => "Long".to_owned(),
        Shape::String | Shape::ShortString => "String".to_owned(),
        Shape::Decimal => "decimal".to_owned(),
        Shape::Set(element) => format!("Set<{}>", cedar(element)),
        Shape::Record(record) => {
            let attributes: Vec<String> = record
                .iter()
                .map(|(name, attribute)| {
                    let optional = if attribute.required { "" } else { "?" };
                    format!("{name}{optional}: {}", cedar(&attribute.shape))
                })
                .collect();
            format!("{{{}}}", attributes.join(", "))
        }
    }
}

/// The shape of a required argument `x`, and what of it isn't seen.
fn of(schema: &Value) -> (String, Vec<String>) {
    let schema = json!({
        "type": "object",
        "properties": { "x": schema },
        "required": ["x"],
        "$defs": {
            "name": { "type": "string" },
            "object": { "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] },
            "loop": { "$ref": "#/$defs/loop" },
            "tree": { "type": "object", "properties": { "left": { "$ref": "#/$defs/tree" }, "key": { "type": "integer" } } },
            "a b": { "type": "boolean" },
        },
    });
    let (record, unseen) = arguments(&schema);
    let unseen = unseen.iter().map(|it| it.place.to_string()).collect();
    (cedar(&Shape::Record(record)), unseen)
}

#[test]
fn each_schema_has_the_type_that_holds_it_exactly() {
    let cases: Vec<(Value, String)> = cases(include_str!("../cases/shapes.yaml"));
    for (schema, expected) in cases {
        let (shape, unseen) = of(&schema);
        assert_eq!(shape, expected, "{schema}");
        assert_eq!(unseen.is_empty(), expected != "{}", "{schema}: {unseen:?}");
    }
    assert_eq!(
        of(&json!(false)),
        ("{}".to_owned(), vec![]),
        "nothing can be given, so nothing is unseen"
    );
}

#[test]
fn a_recursive_schema_is_seen_as_deep_as_calls_may_sensibly_go() {
    let (shape, unseen) = of(&json!({ "$ref": "#/$defs/tree" }));
    assert_eq!(shape.matches("key?: Long").count(), MAX_DEPTH - 1);
    assert_eq!(unseen.len(), 2, "{unseen:?}");
}

#[test]
fn a_schema_whose_references_multiply_stays_small() {
    let many: Map<String, Value> = (0..50)
        .map(|index| (format!("p{index}"), json!({ "$ref": "#" })))
        .collect();
    let (_, unseen) = arguments(&json!({ "type": "object", "properties": many }));
    assert!(unseen.len() < 5_000, "{}", unseen.len());
}

#[test]
fn alternatives_that_contradict_each_other_are_not_seen_where_they_do() {
    let one = |a: Value| json!({ "type": "object", "properties": { "a": a, "o": { "type": "object", "properties": { "a": a } }, "k": { "type": "string" } } });
    let (shape, unseen) =
        of(&json!({ "oneOf": [one(json!({ "type": "integer" })), one(json!({ "type": "string" }))] }));
    assert_eq!(shape, "{x: {k?: String, o?: {}}}");
    assert_eq!(unseen, ["x.a", "x.o.a"]);
    // What one alternative sees is seen, wherever another one has a map.
    let (shape, unseen) =
        of(&json!({ "oneOf": [one(json!({ "type": "integer" })), one(json!({ "type": "object" }))] }));
    assert_eq!(
        (shape.as_str(), unseen.len()),
        ("{x: {a?: Long, k?: String, o?: {a?: Long}}}", 0)
    );
}

#[test]
fn each_cause_is_told_by_its_own_word() {
    for (schema, expected) in [
        (json!({ "type": ["integer", "string"] }), Why::Union),
        (json!({ "enum": ["a", 1] }), Why::Union),
        (
            json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            Why::Map,
        ),
        (
            json!({ "anyOf": [{ "type": "object" }, { "type": "null" }] }),
            Why::Map,
        ),
        (json!({ "type": "array" }), Why::Items),
        (json!({ "type": "array", "items": {} }), Why::Items),
        (json!({}), Why::Untyped),
        (json!({ "minimum": 1 }), Why::Untyped),
        (json!({ "type": "null" }), Why::Null),
        (json!({ "enum": [null] }), Why::Null),
        (json!({ "$ref": "#/properties/x" }), Why::Untyped),
        (
            json!({ "type": "array", "items": { "$ref": "#/properties/x" } }),
            Why::Deep,
        ),
        (json!({ "type": "string", UNCHECKED: "(" }), Why::Pattern),
    ] {
        let schema = json!({ "type": "object", "properties": { "x": schema } });
        let (record, unseen) = arguments(&schema);
        assert!(record.is_empty(), "{schema}");
        let found: Vec<(String, Why)> = unseen.iter().map(|it| (it.place.to_string(), it.why)).collect();
        assert_eq!(found, [("x".to_owned(), expected)], "{schema}");
    }
    let codes: BTreeSet<&str> = Why::ALL.iter().map(|why| why.code()).collect();
    assert_eq!(codes.len(), Why::ALL.len());
}
