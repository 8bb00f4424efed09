use cedar_policy::{Context, EvalResult, Expression, Request};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::testing::{arguments, cases, tool};
use super::*;

fn schema() -> Json {
    json!({
        "type": "object",
        "properties": {
            "n": { "type": "integer" },
            "d": { "type": "number" },
            "s": { "type": "string" },
            "b": { "type": "boolean" },
            "set": { "type": "array", "items": { "type": "integer" } },
            "rows": { "type": "array", "items": { "type": "object", "properties": { "k": { "type": "string" } } } },
            "o": {
                "type": "object",
                "properties": { "lat": { "type": "number" }, "name": { "type": ["string", "null"] } },
            },
            "map": { "type": "object" },
        },
    })
}

/// The value of `context.arguments` as Cedar evaluates it, and what was left out.
fn converted(value: &Json) -> (String, Vec<String>) {
    let Converted { record, omitted } = tool(&schema()).to_cedar(&arguments(value));
    let omitted = omitted.iter().map(ToString::to_string).collect();
    (evaluated(record), omitted)
}

fn evaluated(record: RestrictedExpression) -> String {
    let context = Context::from_pairs([("arguments".to_owned(), record)]).unwrap();
    let request = Request::new(
        r#"User::"u""#.parse().unwrap(),
        r#"Action::"a""#.parse().unwrap(),
        r#"Tool::"t""#.parse().unwrap(),
        context,
        None,
    )
    .unwrap();
    let expression: Expression = "context.arguments".parse().unwrap();
    let value =
        cedar_policy::eval_expression(&request, &cedar_policy::Entities::empty(), &expression).unwrap();
    assert!(matches!(value, EvalResult::Record(_)));
    value.to_string()
}

#[test]
fn values_are_held_exactly_or_named_as_left_out() {
    let cases: Vec<(Json, String, Vec<String>)> = cases(include_str!("../cases/values.yaml"));
    for (given, record, omitted) in cases {
        assert_eq!(converted(&given), (record, omitted), "{given}");
    }
}

#[test]
fn what_a_client_spells_like_cedars_own_json_stays_plain_text_or_is_left_out() {
    let anything = json!({
        "type": "object",
        "properties": {
            "s": { "type": "string" },
            "e": { "type": "object", "properties": { "__entity": { "type": "object" }, "__extn": { "type": "string" } } },
            "f": { "type": "object", "properties": { "fn": { "type": "string" }, "arg": { "type": "string" } } },
            "u": { "type": "object", "properties": { "type": { "type": "string" }, "id": { "type": "string" } } },
        },
    });
    let tool = tool(&anything);
    for (given, expected) in [
        (json!({ "s": "1.5" }), r#"{"s": "1.5"}"#),
        (json!({ "s": "User::\"admin\"" }), r#"{"s": "User::\"admin\""}"#),
        (
            json!({ "s": { "__extn": { "fn": "decimal", "arg": "1.5" } } }),
            "{}",
        ),
        (json!({ "s": { "fn": "decimal", "arg": "1.5" } }), "{}"),
        (
            json!({ "e": { "__entity": { "type": "User", "id": "admin" } } }),
            r#"{"e": {}}"#,
        ),
        (json!({ "e": { "__extn": "x" } }), r#"{"e": {"__extn": "x"}}"#),
        (
            json!({ "f": { "fn": "decimal", "arg": "1.5" } }),
            r#"{"f": {"arg": "1.5", "fn": "decimal"}}"#,
        ),
        (
            json!({ "u": { "type": "User", "id": "admin" } }),
            r#"{"u": {"id": "admin", "type": "User"}}"#,
        ),
    ] {
        assert_eq!(
            evaluated(tool.to_cedar(&arguments(&given)).record),
            expected,
            "{given}"
        );
    }
}

#[test]
fn a_set_of_100_000_is_left_out_and_costs_little() {
    let items: Vec<u32> = (0..100_000).collect();
    let (record, omitted) = converted(&json!({ "set": items, "n": 1 }));
    assert_eq!(
        (record.as_str(), omitted),
        (r#"{"n": 1}"#, vec!["set".to_owned()])
    );
}

#[test]
fn forty_thousand_undeclared_members_are_named_in_part_and_kept_from_whoever_reads_them() {
    let members: serde_json::Map<String, Json> = (0..40_000)
        .map(|index| (format!("k{index}"), json!(index)))
        .chain([("n".to_owned(), json!(1))])
        .collect();
    let converted = tool(&schema()).to_cedar(&arguments(&Json::Object(members)));
    assert_eq!(converted.omitted.len(), MAX_NAMED + 1);
    let reads = |read: &[&str]| converted.omitted.iter().any(|place| place.is_read_by(read));
    assert!(reads(&["k0"]) && reads(&["k39999"]) && reads(&[]));
    assert!(!reads(&["n"]), "what was held is read as ever");
    assert_eq!(evaluated(converted.record), r#"{"n": 1}"#);
}

/// Any JSON, also of the kinds that the schema doesn't ask for.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(|n| json!({ "$n": n.to_string() })),
        (any::<i32>(), 0_u8..8).prop_map(|(n, e)| json!({ "$n": format!("{n}e-{e}") })),
        "[a-z]{0,4}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "n", "d", "s", "b", "set", "rows", "o", "map", "lat", "name", "k", "x",
    ])
    .prop_map(str::to_owned)
}

fn any_arguments() -> impl Strategy<Value = Json> {
    prop::collection::vec((name(), any_json()), 0..8)
        .prop_map(|members| Json::Object(members.into_iter().collect()))
}

/// Whether the evaluated value says the same as the JSON value, but for what is named as left out.
fn says_the_same(
    found: Option<&EvalResult>,
    given: &Value,
    path: &mut Vec<String>,
    omitted: &[Place],
) -> bool {
    let named = omitted.iter().any(|place| {
        place.path().len() == path.len() && place.path().iter().zip(path.iter()).all(|(a, b)| **a == **b)
    });
    match (found, given) {
        (None, Value::Null) => !named,
        (None, _) => named,
        (Some(_), _) if named => false,
        (Some(EvalResult::Bool(found)), Value::Bool(given)) => found == given,
        (Some(EvalResult::Long(found)), Value::Number(given)) => exact::integer(given) == Some(*found),
        (Some(EvalResult::ExtensionValue(found)), Value::Number(given)) => {
            let given: f64 = given.as_str().parse().unwrap();
            let found = found.trim_start_matches("decimal(\"").trim_end_matches("\")");
            found.parse::<f64>() == Ok(given)
        }
        (Some(EvalResult::String(found)), Value::String(given)) => found == given,
        (Some(EvalResult::Set(found)), Value::Array(given)) => {
            found.iter().all(|one| {
                given
                    .iter()
                    .any(|item| says_the_same(Some(one), item, &mut vec![], &[]))
            }) && given.iter().all(|item| {
                found
                    .iter()
                    .any(|one| says_the_same(Some(one), item, &mut vec![], &[]))
            })
        }
        (Some(EvalResult::Record(found)), Value::Object(given)) => {
            let invented = found.iter().any(|(name, _)| given.get(name).is_none());
            !invented
                && given.iter().all(|(name, value)| {
                    path.push(name.to_owned());
                    let same = says_the_same(found.get(name), value, path, omitted);
                    path.pop();
                    same
                })
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_place_is_either_held_exactly_or_named_and_nothing_is_invented(given in any_arguments()) {
        let given = arguments(&given);
        let Converted { record, omitted } = tool_of_schema().to_cedar(&given);
        let context = Context::from_pairs([("arguments".to_owned(), record)]).unwrap();
        let request = Request::new(
            r#"User::"u""#.parse().unwrap(), r#"Action::"a""#.parse().unwrap(), r#"Tool::"t""#.parse().unwrap(),
            context, None,
        ).unwrap();
        let found = cedar_policy::eval_expression(
            &request, &cedar_policy::Entities::empty(), &"context.arguments".parse().unwrap(),
        ).unwrap();
        prop_assert!(says_the_same(Some(&found), &Value::Object(given), &mut Vec::new(), &omitted), "{found} {omitted:?}");
    }
}

fn tool_of_schema() -> &'static super::super::Tool {
    static TOOL: std::sync::OnceLock<super::super::Tool> = std::sync::OnceLock::new();
    TOOL.get_or_init(|| tool(&schema()))
}
