//! Changes of a tool in words.

use serde_json::json;

use super::*;
use crate::inventory::Inventory;

#[expect(
    clippy::needless_pass_by_value,
    reason = "written on the spot, where it is called"
)]
fn tool(definition: Value) -> Value {
    let mut tool = json!({ "name": "scale", "description": "Scales a thing.", "inputSchema": {
        "type": "object", "properties": {
            "name": { "type": "string" },
            "replicas": { "type": "integer", "maximum": 10 },
            "mode": { "type": "string", "enum": ["fast", "slow"] },
            "labels": { "type": "array", "items": { "type": "object", "properties": { "key": { "type": "string" } } } }
        }, "required": ["name"] },
        "annotations": { "readOnlyHint": false } });
    for (key, value) in definition.as_object().unwrap() {
        tool[key] = value.clone();
    }
    tool
}

/// The words for what changed, with overrides before and after.
fn told_with(old: &Value, new: &Value, overrides: [&str; 2]) -> Vec<String> {
    let server: ServerName = "k8s".parse().unwrap();
    let load = |tools: &Value, overrides: &str| {
        let files: Files = [
            ("tools/k8s.json".to_owned(), json!({ "tools": tools }).to_string()),
            ("tools/k8s.overrides.yaml".to_owned(), overrides.to_owned()),
        ]
        .into_iter()
        .collect();
        let definitions = definitions(&files, &server).unwrap();
        (definitions, Inventory::from_files(&files).unwrap())
    };
    let (old, before) = load(old, overrides[0]);
    let (new, after) = load(new, overrides[1]);
    let changes = between(
        List::new(&old, before.server(&server)),
        List::new(&new, after.server(&server)),
    );
    let mut words = Vec::new();
    for change in changes {
        words.push(format!("{} {}", change.fate.as_str(), change.tool));
        for change in change.changes {
            words.push(change.words);
            words.extend(change.lines);
        }
    }
    words
}

fn told(old: Value, new: Value) -> Vec<String> {
    told_with(&json!([tool(old)]), &json!([tool(new)]), ["", ""])
}

#[test]
fn the_same_list_in_another_order_is_no_change() {
    let (one, two) = (tool(json!({})), tool(json!({ "name": "other" })));
    assert_eq!(
        told_with(&json!([one, two]), &json!([two, one]), ["", ""]),
        Vec::<String>::new()
    );
}

#[test]
fn tools_come_and_go() {
    let old = json!([tool(json!({})), tool(json!({ "name": "gone" }))]);
    let new = json!([tool(json!({})), { "name": "new", "inputSchema": { "type": "object",
        "properties": { "path": { "type": "string" } }, "required": ["path"] } }]);
    assert_eq!(
        told_with(&old, &new, ["", ""]),
        [
            "removed gone",
            "added new",
            "operation `execute`: nobody says what it does",
            "argument `path`: added: string, required",
        ]
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn arguments_change_in_words() {
    let with = |replace: &str, by: Value| {
        let mut new = tool(json!({}));
        *new.pointer_mut(&format!("/inputSchema{replace}")).unwrap() = by;
        new["inputSchema"].clone()
    };
    let added = json!({ "name": { "type": "string" }, "replicas": { "type": "integer", "maximum": 10 },
        "mode": { "type": "string", "enum": ["fast", "slow"] }, "force": { "type": "boolean", "description": "Now" },
        "labels": { "type": "array", "items": { "type": "object", "properties": { "key": { "type": "string" } } } } });
    let cases: Vec<(Value, Vec<&str>)> = vec![
        (
            with("/properties", added),
            vec![
                "argument `force`: added: boolean",
                "argument `force`: its description:",
                "+ Now",
            ],
        ),
        (
            with("/required", json!(["name", "mode"])),
            vec!["argument `mode`: now required"],
        ),
        (
            with("/required", json!([])),
            vec!["argument `name`: no longer required"],
        ),
        (
            with("/properties/replicas/type", json!(["integer", "null"])),
            vec!["argument `replicas`: integer → integer or null"],
        ),
        (
            with("/properties/replicas/maximum", json!(1000)),
            vec!["argument `replicas`: `maximum`: 10 → 1000"],
        ),
        (
            with("/properties/mode/enum", json!(["slow", "fast", "reckless"])),
            vec!["argument `mode`: also takes \"reckless\""],
        ),
        (
            with("/properties/mode/enum", json!(["slow"])),
            vec!["argument `mode`: no longer takes \"fast\""],
        ),
        (
            with("/properties/mode", json!({ "type": "string" })),
            vec!["argument `mode`: takes any value, not only \"fast\", \"slow\""],
        ),
        (
            with(
                "/properties/labels/items/properties/key",
                json!({ "type": "integer" }),
            ),
            vec!["argument `labels[].key`: string → integer"],
        ),
        (
            with("/properties/name", json!(true)),
            vec!["argument `name`: {\"type\":\"string\"} → true"],
        ),
        (with("/type", json!(["object"])), vec!["object → object"]),
    ];
    for (schema, expected) in cases {
        let words = told(json!({}), json!({ "inputSchema": schema }));
        assert_eq!(words[0], "changed scale");
        assert_eq!(words[1..], expected, "{schema}");
    }
}

#[test]
fn a_description_shows_its_lines_and_what_nobody_sees() {
    let words = told(
        json!({ "description": "Scales a thing.\nOnce." }),
        json!({ "description": "Scales a thing.\nTwice.\u{202e}\u{e0041}\u{e0041}" }),
    );
    assert_eq!(
        words,
        [
            "changed scale",
            "description changed",
            "- Once.",
            r"+ Twice.\u202e\udb40\udc41\udb40\udc41",
            "description has characters that nobody sees: U+202E, U+E0041 2 times",
        ]
    );
}

#[test]
fn annotations_say_what_a_tool_counts_as_unless_overrides_do() {
    let (write, read) = (
        tool(json!({})),
        tool(json!({ "annotations": { "readOnlyHint": true } })),
    );
    let hint = "`readOnlyHint`: false → true";
    let cases: [(&str, &str, &Value, &[&str]); 4] = [
        (
            "",
            "",
            &read,
            &[
                hint,
                "operation `write` → `read`, by its annotations",
                "no longer counts as destructive",
            ],
        ),
        (
            "defaults: { operation: admin, destructive: true }",
            "defaults: { operation: admin, destructive: true }",
            &read,
            &[
                hint,
                "the operation stays `admin`, whatever the annotations say: the overrides set it",
            ],
        ),
        (
            "",
            "tools: { scale: { operation: read, groups: [a, b], undeclared_arguments: allow } }",
            &write,
            &[
                "operation `write` → `read`, by the overrides",
                "groups none → a, b",
                "undeclared arguments: as the server's configuration says → allowed",
            ],
        ),
        (
            "",
            "",
            &tool(json!({ "annotations": {} })),
            &[
                "`readOnlyHint` removed: false",
                "operation `write` → `execute`, since nobody says any more what it does",
            ],
        ),
    ];
    for (before, after, new, expected) in cases {
        let words = told_with(&json!([write]), &json!([new]), [before, after]);
        assert_eq!(words[1..], *expected, "{before} {after}");
    }
}

#[test]
fn a_new_tool_says_what_overrides_let_through() {
    let overrides = "tools: { scale: { operation: write, undeclared_arguments: allow } }";
    let words = told_with(
        &json!([]),
        &json!([{ "name": "scale", "inputSchema": { "type": "object" } }]),
        ["", overrides],
    );
    assert_eq!(
        words,
        [
            "added scale",
            "operation `write`",
            "undeclared arguments: allowed, by the overrides",
        ]
    );
}

#[test]
fn what_has_no_words_of_its_own_is_told_all_the_same() {
    let words = told(
        json!({ "execution": { "taskSupport": "optional" }, "outputSchema": { "type": "object" } }),
        json!({ "_meta": { "x": 1 }, "outputSchema": { "type": "object", "properties": { "a": {} } } }),
    );
    assert_eq!(
        words,
        [
            "changed scale",
            "`execution` removed: {\"taskSupport\":\"optional\"}",
            "output `a`: added: of any type",
            "`_meta`: {\"x\":1}",
        ]
    );
}

#[test]
fn a_change_knows_which_argument_a_policy_would_read() {
    let mut new = tool(json!({}));
    new["inputSchema"]["properties"]["labels"]["items"]["properties"]["key"] = json!({ "type": "integer" });
    let (old, new) = ([tool(json!({}))], [new]);
    let changes = between(List::new(&old, None), List::new(&new, None));
    assert_eq!(changes[0].changes[0].path, ["labels"]);
    assert_eq!(changes[0].changes[0].argument.as_deref(), Some("labels[].key"));
}
