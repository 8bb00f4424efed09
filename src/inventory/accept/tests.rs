use super::super::testing::{arguments, cases, tool, try_tool};
use super::*;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "namespace": { "type": "string", "pattern": "^[a-z-]+$", "maxLength": 16 },
            "replicas": { "type": "integer", "minimum": 0, "maximum": 100 },
            "mode": { "enum": ["fast", "slow"] },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } },
            "spec": { "$ref": "#/$defs/spec" },
            "ports": { "type": "array", "items": { "type": "integer" }, "uniqueItems": true, "maxItems": 3 },
            "either": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
        },
        "required": ["namespace"],
        "$defs": { "spec": { "type": "object", "properties": { "a/b": { "type": "boolean" } }, "required": ["a/b"] } },
    })
}

/// `path: expected`, or nothing if the arguments fit.
fn refused(schema: &Value, given: &Value, undeclared: bool) -> String {
    match tool(schema).accept(&arguments(given), undeclared) {
        Ok(()) => String::new(),
        Err(error) => format!("{}: {}", error.path, error.expected),
    }
}

#[test]
fn says_where_and_what_was_expected_and_never_the_value() {
    let cases: Vec<(Value, String)> = cases(include_str!("../cases/misfits.yaml"));
    for (given, expected) in cases {
        assert_eq!(refused(&schema(), &given, false), expected, "{given}");
    }
}

#[test]
fn undeclared_arguments_pass_only_where_schema_or_configuration_say_so() {
    let cases: Vec<(Value, bool, String)> = cases(include_str!("../cases/undeclared.yaml"));
    for (schema, undeclared, expected) in cases {
        let expected = match expected.as_str() {
            "fits" => String::new(),
            "undeclared" => format!("/x: {UNDECLARED}"),
            other => format!("/x: {other}"),
        };
        assert_eq!(
            refused(&schema, &json!({ "x": 1 }), undeclared),
            expected,
            "{schema} {undeclared}"
        );
    }
}

/// As real servers' lists have it: the tool takes arguments, and its schema doesn't say which.
#[test]
fn a_tool_whose_schema_says_nothing_takes_any_arguments_unless_the_overrides_refuse_them() {
    let any = arguments(&json!({ "x": 1 }));
    for definition in [
        json!({ "name": "t" }),
        json!({ "name": "t", "inputSchema": { "type": "object" } }),
    ] {
        for (said, passes) in [
            (None, true),
            (Some(Undeclared::Allow), true),
            (Some(Undeclared::Refuse), false),
        ] {
            let said = crate::inventory::overrides::Override {
                undeclared_arguments: said,
                ..Default::default()
            };
            let tool = super::super::Tool::new(&"k".parse().unwrap(), &definition, said).unwrap();
            assert_eq!(tool.accept(&any, false).is_ok(), passes, "{definition}");
            assert_eq!(tool.is_silent(), passes, "{definition}");
            assert!(tool.accept(&arguments(&json!({})), false).is_ok());
        }
    }
}

#[test]
fn refuses_at_load_what_leads_elsewhere_or_is_no_schema() {
    for (schema, expected) in [
        (
            json!({ "properties": { "x": { "$ref": "https://evil.example/s.json" } } }),
            "https://evil.example/s.json",
        ),
        (
            json!({ "$schema": "https://evil.example/meta" }),
            "https://evil.example/meta",
        ),
        (
            json!({ "properties": { "x": { "$ref": "file:///etc/passwd" } } }),
            "file:///etc/passwd",
        ),
        (
            json!({ "patternProperties": { "(?=a)b": {} } }),
            "the pattern of names `(?=a)b` can't be run in linear time",
        ),
        (
            json!({ "properties": { "x": { "type": "strin" } } }),
            "/properties/x/type",
        ),
        (
            json!({ "properties": { "x": { "$ref": "#/$defs/nowhere" } } }),
            "/$defs/nowhere",
        ),
    ] {
        let error = try_tool(&schema).unwrap_err();
        assert!(error.contains(expected), "{schema}: {error}");
    }
}

#[test]
fn drafts_are_as_declared() {
    let draft7 = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": { "x": { "$ref": "#/definitions/n" } },
        "definitions": { "n": { "type": "integer" } },
    });
    assert_eq!(refused(&draft7, &json!({ "x": "1" }), false), "/x: an integer");
    let tuple = json!({ "properties": { "x": { "prefixItems": [{ "type": "integer" }] } } });
    assert_eq!(refused(&tuple, &json!({ "x": ["1"] }), false), "/x/0: an integer");
}

#[test]
fn a_pattern_made_to_backtrack_takes_no_longer_than_its_text() {
    let schema = json!({ "properties": { "x": { "type": "string", "pattern": "^(a+)+$" } } });
    let tool = tool(&schema);
    let given = arguments(&json!({ "x": format!("{}!", "a".repeat(100_000)) }));
    let start = crate::clock::instant();
    assert!(tool.accept(&given, false).is_err());
    assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
}

#[test]
fn forty_thousand_arguments_and_deep_nesting_are_read_in_one_pass() {
    let many: serde_json::Map<String, Value> = (0..40_000)
        .map(|index| (format!("k{index}"), json!(index)))
        .collect();
    let properties: serde_json::Map<String, Value> =
        (0..30).map(|index| (format!("k{index}"), json!({}))).collect();
    let names: Vec<String> = properties.keys().cloned().collect();
    let tool = tool(
        &json!({ "properties": properties, "required": names, "additionalProperties": { "type": "integer" } }),
    );
    let given = arguments(&Value::Object(many));
    let start = crate::clock::instant();
    assert_eq!(tool.accept(&given, false), Ok(()));
    assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());

    let recursive = super::super::testing::tool(&json!({
        "properties": { "x": { "$ref": "#/$defs/n" } },
        "$defs": { "n": { "type": "array", "items": { "$ref": "#/$defs/n" } } },
    }));
    let deep = (0..63).fold(json!([]), |inner, _| json!([inner]));
    assert_eq!(recursive.accept(&arguments(&json!({ "x": deep })), false), Ok(()));
}

fn doubling() -> Value {
    json!({ "allOf": [{ "$ref": "#/$defs/a0" }, { "$ref": "#/$defs/a0" }] })
}

/// Each asks the next twice.
fn chain(length: usize) -> Value {
    let link = |index: usize| {
        let next = json!({ "$ref": format!("#/$defs/a{}", index.saturating_add(1)) });
        (format!("a{index}"), json!({ "allOf": [next, next] }))
    };
    let mut chain: serde_json::Map<String, Value> = (0..length).map(link).collect();
    chain.insert(format!("a{length}"), json!({ "type": "string" }));
    Value::Object(chain)
}

/// Each level of arrays is asked twice, and the innermost fits neither.
fn nested() -> Value {
    let again = json!({ "type": "array", "items": { "$ref": "#/$defs/n" } });
    json!({ "anyOf": [again, again] })
}

#[test]
fn schemas_that_refer_to_themselves_come_to_an_end() {
    let fan: Vec<Value> = (0..40).map(|_| json!({ "$ref": "#/$defs/a" })).collect();
    let all = Some([true; 3]);
    for (schema, expected) in [
        (json!({ "$ref": "#" }), all),
        (json!({ "allOf": [{ "$ref": "#" }, { "$ref": "#" }] }), all),
        (
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "allOf": fan } } }),
            all,
        ),
        (
            json!({ "properties": { "x": { "$ref": "#/$defs/a" } }, "$defs": { "a": { "anyOf": fan } } }),
            all,
        ),
        (
            json!({ "properties": { "x": { "$ref": "#/$defs/a" } }, "$defs": { "a": { "allOf": fan } } }),
            all,
        ),
        (
            json!({ "propertyNames": { "$ref": "#/$defs/a" }, "$defs": { "a": { "allOf": fan } } }),
            all,
        ),
        (
            json!({ "properties": { "x": doubling() }, "$defs": chain(10) }),
            Some([true, true, false]),
        ),
        (
            json!({ "properties": { "x": doubling() }, "$defs": chain(40) }),
            None,
        ),
        (
            json!({ "properties": { "x": nested() }, "$defs": { "n": nested() } }),
            Some([false, true, false]),
        ),
    ] {
        let start = crate::clock::instant();
        let found = try_tool(&schema).ok().map(|tool| {
            let deep = (0..40).fold(json!("v"), |inner, _| json!([inner]));
            let given = [json!({ "x": "v" }), json!({ "": "v" }), json!({ "x": deep })];
            given.map(|given| tool.accept(&arguments(&given), true).is_ok())
        });
        assert_eq!(found, expected, "{schema}");
        assert!(start.elapsed().as_secs() < 2, "{schema}: {:?}", start.elapsed());
    }
}

#[test]
fn the_name_of_an_argument_fills_no_answer() {
    let error = tool(&json!({ "properties": {} }))
        .accept(&arguments(&json!({ "x".repeat(10_000): 1 })), false)
        .unwrap_err();
    assert!(error.path.len() < 1_000);
}

/// zod writes its e-mail addresses so.
const EMAIL: &str =
    r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$";

#[test]
fn a_pattern_that_looks_around_is_checked_within_bounds() {
    let schema = json!({ "properties": {
        "to": { "type": "string", "pattern": EMAIL },
        "again": { "type": "string", "pattern": r"^(a|aa)+\1$" },
        "plain": { "type": "string", "pattern": "^a+$" },
    } });
    let tool = tool(&schema);
    assert_eq!(tool.bounded_patterns().len(), 2);
    assert!(tool.unseen().is_empty() && tool.unchecked_patterns().is_empty());
    for (length, omitted) in [(1_024, 0), (1_025, 1)] {
        let given = arguments(&json!({ "to": "ü".repeat(length) }));
        assert_eq!(tool.to_cedar(&given).omitted.len(), omitted, "{length}");
    }
    for (given, expected) in [
        (json!({ "to": "ada.lovelace@example.org" }), ""),
        (
            json!({ "to": "ada..lovelace@example.org" }),
            "/to: a string that matches",
        ),
        (json!({ "to": "a@b.org\n@c.org" }), "/to: a string that matches"),
        // Too long to be checked: it passes, and policies don't see it.
        (json!({ "to": "a".repeat(5_000) }), ""),
        (
            json!({ "again": format!("{}b", "a".repeat(1_000)) }),
            "/again: a string that its pattern can be checked on",
        ),
        (json!({ "plain": "a".repeat(100_000) }), ""),
    ] {
        let told = refused(&schema, &given, false);
        assert!(
            told.starts_with(expected) && told.is_empty() == expected.is_empty(),
            "{given}: {told}"
        );
    }
}

#[test]
fn a_pattern_that_nothing_can_run_is_not_checked_and_not_seen() {
    let tool = tool(
        &json!({ "properties": { "x": { "type": "string", "pattern": "\\p{Unheard}" }, "pattern": { "type": "string" } } }),
    );
    assert_eq!(tool.unchecked_patterns(), ["\\p{Unheard}"]);
    assert!(
        tool.accept(&arguments(&json!({ "x": "anything", "pattern": "(" })), false)
            .is_ok()
    );
    assert_eq!(tool.unseen().len(), 2);
    // Where a pattern is about can't be told in general: no text of the tool is seen.
    assert!(!tool.shape().has(&["pattern"]) && !tool.shape().has(&["x"]));
}

/// A pattern may stand in a part, behind a reference or under a condition: wherever it is, a text that it wasn't run on must
/// not reach a policy that takes it for checked.
#[test]
fn a_text_that_a_pattern_was_not_run_on_is_never_seen_wherever_the_pattern_stands() {
    for pattern in [r"^(?!.*\.\.)/srv/", "\\p{Unheard}"] {
        let text = json!({ "type": "string" });
        let part = json!({ "pattern": pattern });
        let own = json!({ "type": "string", "pattern": pattern });
        let object = |path: &Value| json!({ "type": "object", "properties": { "path": path } });
        let with = |keyword: &str, value: Value| {
            let mut schema = object(&text);
            schema[keyword] = value;
            schema
        };
        let schemas = [
            object(&own),
            object(&json!({ "type": "string", "allOf": [part] })),
            object(&json!({ "allOf": [text, part] })),
            object(&json!({ "$ref": "#/$defs/p", "pattern": pattern, "$defs": { "p": text } })),
            json!({ "properties": { "path": { "$ref": "#/$defs/p", "pattern": pattern } }, "$defs": { "p": text } }),
            object(&json!({ "type": "string", "if": { "minLength": 1 }, "then": part })),
            object(&json!({ "type": "string", "anyOf": [part, { "pattern": "^/tmp/" }] })),
            object(&json!({ "anyOf": [{ "type": "string", "allOf": [part] }, { "type": "null" }] })),
            with("allOf", json!([{ "properties": { "path": part } }])),
            with("allOf", json!([{ "properties": { "path": own } }])),
            with("then", json!({ "properties": { "path": part } })),
            with("patternProperties", json!({ "^path$": part })),
            with(
                "dependentSchemas",
                json!({ "path": { "properties": { "path": own } } }),
            ),
        ];
        let path = format!("/srv/../etc/{}passwd", "/".repeat(1_100));
        for schema in schemas {
            let Ok(tool) = try_tool(&schema) else {
                // A reference that leads nowhere keeps the tool out.
                continue;
            };
            let given = arguments(&json!({ "path": path }));
            let hidden = !tool.to_cedar(&given).omitted.is_empty() || !tool.shape().has(&["path"]);
            assert!(hidden, "{schema}");
        }
    }
}

#[test]
fn a_schema_is_silent_only_if_nothing_in_it_could_declare_an_argument() {
    let declaring = [
        json!({ "$ref": "#args", "$defs": { "args": { "$anchor": "args", "properties": { "path": {} } } } }),
        json!({ "$dynamicRef": "#args", "$defs": { "args": { "$dynamicAnchor": "args", "properties": { "path": {} } } } }),
        json!({ "$schema": "http://json-schema.org/draft-07/schema#", "dependencies": { "a": { "properties": { "b": {} } } } }),
        json!({ "required": ["path"] }),
        json!({ "dependentRequired": { "a": ["b"] } }),
    ];
    for schema in declaring {
        let told = refused(
            &schema,
            &json!({ "path": "/a", "a": 1, "b": 2, "extra": 1 }),
            false,
        );
        assert!(told.contains("no such argument"), "{schema}: {told}");
    }
    assert_eq!(
        refused(&json!({ "required": ["path"] }), &json!({ "path": "/a" }), false),
        ""
    );
    assert_eq!(
        refused(&json!({ "type": "object" }), &json!({ "extra": 1 }), false),
        ""
    );
}

/// A server's own idea of a URL or of base64 is not asked for.
#[test]
fn formats_and_contents_are_annotations_in_every_draft() {
    for draft in [
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let schema = json!({ "$schema": draft, "properties": {
            "url": { "type": "string", "format": "uri" },
            "blob": { "type": "string", "contentEncoding": "base64", "contentMediaType": "application/json" },
        } });
        assert_eq!(
            refused(
                &schema,
                &json!({ "url": "https://example.org/ü b", "blob": "no" }),
                false
            ),
            "",
            "{draft}"
        );
    }
}

#[test]
fn what_openapi_lets_be_null_may_be_null() {
    let schema = json!({ "properties": {
        "a": { "type": "string", "nullable": true },
        "b": { "type": "string", "enum": ["x"], "nullable": true },
        "c": { "type": "string", "nullable": false },
        "nullable": { "type": "boolean" },
    } });
    assert_eq!(
        refused(&schema, &json!({ "a": null, "b": null, "nullable": true }), false),
        ""
    );
    assert_eq!(
        refused(&schema, &json!({ "a": 1 }), false),
        "/a: null or a string"
    );
    assert_eq!(refused(&schema, &json!({ "c": null }), false), "/c: a string");
}
