use super::super::testing::cases;
use super::*;

/// A shape as Cedar's own syntax writes it.
fn cedar(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "Bool".to_owned(),
        Shape::Long => "Long".to_owned(),
        Shape::String => "String".to_owned(),
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
            "loop": { "$ref": "#/$defs/loop" },
            "tree": { "type": "object", "properties": { "left": { "$ref": "#/$defs/tree" }, "key": { "type": "integer" } } },
            "a b": { "type": "boolean" },
        },
    });
    let (record, unseen) = arguments(&schema);
    let unseen = unseen.iter().map(ToString::to_string).collect();
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
