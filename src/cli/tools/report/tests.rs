use serde_json::json;

use super::*;
use crate::cli::Color;
use crate::inventory::Inventory;

/// A tool for each thing that there is to say.
fn report() -> Report {
    let tool = |name: &str, schema: serde_json::Value| {
        json!({ "name": name, "annotations": { "readOnlyHint": true },
            "inputSchema": { "type": "object", "properties": schema } })
    };
    let list = json!({ "tools": [
        tool("plain", json!({ "namespace": { "type": "string" } })),
        tool("unseen", json!({
            "union": { "type": ["string", "integer"] },
            "labels": { "type": "object" },
            "rows": { "type": "array" },
            "any": {},
            "nothing": { "type": "null" },
            "inner": { "type": "object", "properties": { "label s": { "type": "object" }, "n": { "type": "integer" } } },
            "loop": { "type": "array", "items": { "$ref": "#/properties/loop" } },
            "strange\u{1b}[31m": { "type": "string", "pattern": "\\p{Unheard}" },
        })),
        tool("inexact", json!({
            "latitude": { "type": "number" },
            "ports": { "type": "array", "items": { "type": "object", "properties": { "port": { "type": "integer" } } } },
        })),
        tool("mail", json!({ "to": { "type": "string", "pattern": "^(?!\\.).*@" } })),
        { "name": "silent", "inputSchema": { "$schema": "http://json-schema.org/draft-07/schema#" } },
    ] });
    let files = [("tools/k.json", list.to_string())].into_iter().collect();
    let inventory = Inventory::from_files(&files).unwrap();
    Report::of(
        inventory.server(&"k".parse().unwrap()).unwrap(),
        Path::new("tools/k.json"),
    )
}

#[test]
fn what_policies_cannot_see_is_said_in_words_with_its_reason_and_what_to_do_instead() {
    insta::assert_snapshot!(report().words(Terminal::new(Output::Table, Color::Never)));
}

#[test]
fn scripts_get_the_same_as_json() {
    let mut report = serde_json::to_value(report()).unwrap();
    for tool in report["tools"].as_array_mut().unwrap() {
        tool.as_object_mut().unwrap().shift_remove("digest");
    }
    insta::assert_json_snapshot!(report["tools"]);
}
