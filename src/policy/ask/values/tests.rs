use proptest::prelude::*;

use super::*;
use crate::mcp::json;

/// The bytes of arguments, with everything read, or these paths.
fn bytes(text: &str, paths: &[&[&str]]) -> Option<Vec<u8>> {
    let arguments = json::read(text.as_bytes(), 64).unwrap();
    let mut selection = Selection::default();
    for path in paths {
        selection.add(path);
    }
    let mut values = Values(Vec::new());
    values.selected(arguments.as_object().unwrap(), &selection)?;
    Some(values.0)
}

#[test]
fn what_equality_of_json_hides_is_told_apart() {
    let values = [
        "1",
        "1.0",
        "1e0",
        "10e-1",
        "0",
        "-0",
        "-0.0",
        "true",
        "false",
        "null",
        "\"1\"",
        "\"\"",
        "\"null\"",
        "\"true\"",
        "[]",
        "{}",
        "[1]",
        "[[1]]",
        "[1,2]",
        "[2,1]",
        "[1,1,2]",
        "[\"1,2\"]",
        "[\"1\",\"2\"]",
        "[12]",
        "[null]",
        "{\"v\":1}",
        "{\"v\":1.0}",
        "{\"v\":null}",
        "{\"v\":{}}",
        "{\"w\":1}",
        "{\"v\":1,\"w\":2}",
        "{\"w\":2,\"v\":1}",
        "0.1",
        "0.10",
        "9007199254740993",
        "9007199254740992",
        "\"\\u0000\"",
        "\"\\u0000\\u0000\"",
        "\"e\\u0301\"",
        "\"\\u00e9\"",
    ];
    let read: [&[&[&str]]; 3] = [&[&[]], &[&["a"]], &[&["a", "v"], &["a", "w"], &["b"]]];
    for paths in read {
        let mut seen = vec![(bytes("{}", paths).unwrap(), "nothing")];
        for value in values {
            let found = bytes(&format!("{{\"a\":{value}}}"), paths).unwrap();
            // Of an object only what is read is told apart: `{}`, a member in another order.
            let alike = paths.len() == 3 && value == "{\"w\":2,\"v\":1}";
            let before = seen.iter().find(|(bytes, _)| *bytes == found);
            assert_eq!(before.is_some(), alike, "{value} is {before:?} for {paths:?}");
            seen.push((found, value));
        }
    }
}

#[test]
fn values_cannot_run_into_one_another() {
    let paths: &[&[&str]] = &[&["a"], &["b"]];
    let mut seen = Vec::new();
    for text in [
        r#"{"a":"x","b":"y"}"#,
        r#"{"a":"xy","b":""}"#,
        r#"{"a":"","b":"xy"}"#,
        r#"{"a":"xy"}"#,
        r#"{"b":"xy"}"#,
        r#"{"a":["x","y"]}"#,
        r#"{"a":["x"],"b":["y"]}"#,
        r#"{"a":1,"b":23}"#,
        r#"{"a":12,"b":3}"#,
        r#"{"a":null,"b":"xy"}"#,
    ] {
        let found = bytes(text, paths).unwrap();
        assert!(!seen.contains(&found), "{text}");
        seen.push(found);
    }
}

#[test]
fn what_nobody_reads_makes_no_difference() {
    let paths: &[&[&str]] = &[&["a", "b"]];
    let alike = [
        r#"{"a":{"b":1}}"#,
        r#"{"a":{"b":1,"c":2}}"#,
        r#"{"z":[],"a":{"c":2,"b":1}}"#,
    ];
    let found: Vec<_> = alike.iter().map(|text| bytes(text, paths).unwrap()).collect();
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{found:?}");
}

#[test]
fn texts_are_read_to_their_end_and_too_long_ones_are_no_key() {
    let text = |length: usize, last: char| format!("{{\"a\":\"{}{last}\"}}", "x".repeat(length));
    let paths: &[&[&str]] = &[&["a"]];
    assert_ne!(bytes(&text(1000, 'y'), paths), bytes(&text(1000, 'z'), paths));
    // An object's kind, the text's kind and its length come before it.
    let room = MAX_BYTES - 6 - 1;
    assert_eq!(bytes(&text(room, 'y'), paths).unwrap().len(), MAX_BYTES);
    assert_eq!(bytes(&text(room + 1, 'y'), paths), None);
    let many = format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_BYTES));
    assert_eq!(bytes(&many, paths), None);
    assert!(bytes(&many, &[&["b"]]).is_some(), "nobody reads it");
}

/// JSON in few words, so that much is nearly the same.
fn text() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(&["null", "true", "1", "1.0", "\"\"", "\"a\"", "\"1\"", "[]", "{}"]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..3);
        let members = prop::collection::btree_map("[ab]", inner, 0..3);
        prop_oneof![
            items.prop_map(|items| format!("[{}]", items.join(","))),
            members.prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn equal_bytes_are_of_equal_values(
        one in text(), other in text(), beside in text(),
    ) {
        let of = |value: &str| bytes(&format!("{{\"a\":{value},\"b\":{beside}}}"), &[&["a"], &["b"]]);
        prop_assert_eq!(of(&one) == of(&other), one == other, "{} {}", one, other);
    }
}
