use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::mcp::json::FaultKind;

const NESTING: usize = 64;

fn read(body: &[u8]) -> Result<Vec<String>, Unlisted> {
    let list = ToolList::read(body, NESTING)?;
    Ok(list.names().map(str::to_owned).collect())
}

#[test]
fn what_stays_is_as_the_server_wrote_it() {
    let body = br#" {"jsonrpc":"2.0" , "id":1.0, "result":{"_meta":{"a":1e3,"a":2}, "tools" : [ {"name":"a", "title":"\u0041"} ,
        { "description":"{\"name\":\"x\"}]", "name":"\u0062","inputSchema":{"type":"object"}},{"name":"c"}  ],"nextCursor":"n"}}
    "#;
    let list = ToolList::read(body, NESTING).unwrap();
    assert_eq!(list.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    let kept = |names: &[&str]| String::from_utf8(list.keeping(|name| names.contains(&name))).unwrap();
    let (before, after) = (
        r#" {"jsonrpc":"2.0" , "id":1.0, "result":{"_meta":{"a":1e3,"a":2}, "tools" : ["#,
        "],\"nextCursor\":\"n\"}}\n    ",
    );
    let b = r#"{ "description":"{\"name\":\"x\"}]", "name":"\u0062","inputSchema":{"type":"object"}}"#;
    assert_eq!(kept(&["b"]), format!("{before}{b}{after}"));
    assert_eq!(
        kept(&["a", "c"]),
        format!(r#"{before}{{"name":"a", "title":"\u0041"}},{{"name":"c"}}{after}"#)
    );
    assert_eq!(kept(&[]), format!("{before}{after}"));
}

#[test]
fn a_message_that_could_be_two_lists_is_none() {
    let cases: [(&str, Unlisted); 10] = [
        (
            r#"{"result":{"tools":[{"name":"a"}]},"error":{"code":-32603}}"#,
            Unlisted::NotAList,
        ),
        (
            r#"{"error":{"code":-32603,"message":"tools"}}"#,
            Unlisted::NotAList,
        ),
        (
            r#"{"result":{"resources":[]},"tools":[{"name":"a"}]}"#,
            Unlisted::NotAList,
        ),
        (r#"{"result":{"tools":{"name":"a"}}}"#, Unlisted::NotAList),
        (r#"[{"result":{"tools":[{"name":"a"}]}}]"#, Unlisted::NotAList),
        (
            r#"{"result":{"tools":[{"name":"a"},"b"]}}"#,
            Unlisted::Nameless(1),
        ),
        (
            r#"{"result":{"tools":[{"name":"a"},{"title":"b"}]}}"#,
            Unlisted::Nameless(1),
        ),
        (r#"{"result":{"tools":[{"name":["a"]}]}}"#, Unlisted::Nameless(0)),
        (
            r#"{"result":{"tools":[]}} {}"#,
            Unlisted::Unread(fault(24, FaultKind::TrailingBytes)),
        ),
        (
            r#"{"result":{"tools":[{"name":"a"},{"name":"b"},{"name":"\u0061"}]}}"#,
            Unlisted::NamedTwice(2),
        ),
    ];
    for (body, why) in cases {
        assert_eq!(read(body.as_bytes()), Err(why), "{body}");
    }
    for body in [
        r#"{"result":{"tools":[]},"result":{"tools":[{"name":"a"}]}}"#,
        r#"{"result":{"tools":[],"\u0074ools":[{"name":"a"}]}}"#,
        r#"{"result":{"tools":[{"name":"a","name":"b"}]}}"#,
    ] {
        let refused = read(body.as_bytes());
        let Err(Unlisted::Unread(Fault { kind, .. })) = refused else {
            panic!("{body}: {refused:?}");
        };
        assert_eq!(kind, FaultKind::DuplicateKey, "{body}");
    }
}

#[test]
fn a_key_that_some_parser_takes_for_another_is_refused() {
    let cases = [
        r#"{"result":{"tools":[{"name":"a"}],"Tools":[{"name":"b"}]}}"#,
        r#"{"result":{"tools":[{"name":"a"}],"tool\u017f":[{"name":"b"}]}}"#,
        r#"{"result":{"tools":[{"name":"a"}],"tools\u0000x":[{"name":"b"}]}}"#,
        r#"{"result":{"tools":[{"name":"a"}]},"Result":{"tools":[{"name":"b"}]}}"#,
        r#"{"result":{"tools":[{"name":"a"}]},"ERROR":{}}"#,
        r#"{"result":{"tools":[{"name":"a","Name":"b"}]}}"#,
        r#"{"result":{"tools":[{"name":"a","NAME\u0000":"b"}],"nextcursor":"b"}}"#,
    ];
    for body in cases {
        assert_eq!(read(body.as_bytes()), Err(Unlisted::Lookalike), "{body}");
    }
}

fn fault(at: usize, kind: FaultKind) -> Fault {
    Fault { at, kind }
}

/// A tool with whatever a server might say of it.
fn tool() -> impl Strategy<Value = (String, Value)> {
    let schema = prop_oneof![
        Just(json!({"type": "object"})),
        "\\PC{0,12}"
            .prop_map(|text| json!({"properties": {text.clone(): {"enum": [text, 1.5, null, [true]]}}})),
    ];
    ("[a-c\"\\\\ü]{1,2}", "\\PC{0,20}", schema).prop_map(|(name, description, schema)| {
        let tool = json!({"description": description, "name": name, "inputSchema": schema});
        (name, tool)
    })
}

proptest! {
    /// Cut from the text, or from what a parser made of it: the same tools stay, and everything else.
    #[test]
    fn the_list_is_the_one_that_plain_parsing_gives(
        tools in proptest::collection::vec(tool(), 0..8),
        keep in proptest::collection::hash_set("[a-c\"\\\\ü]{1,2}", 0..8),
        pretty: bool,
    ) {
        let mut seen = HashSet::new();
        let tools: Vec<Value> = tools.into_iter().filter(|(name, _)| seen.insert(name.clone())).map(|(_, tool)| tool).collect();
        let message = |tools: Vec<Value>| json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": tools, "nextCursor": "]"}});
        let whole = message(tools.clone());
        let body = if pretty { serde_json::to_vec_pretty(&whole) } else { serde_json::to_vec(&whole) }.unwrap();
        let list = ToolList::read(&body, NESTING).unwrap();
        let cut: Value = serde_json::from_slice(&list.keeping(|name| keep.contains(name))).unwrap();
        let stays = |tool: &Value| keep.contains(tool["name"].as_str().unwrap());
        prop_assert_eq!(cut, message(tools.into_iter().filter(stays).collect()));
    }

    /// Bytes of a list changed, added and taken away: what is still read is cut so that it is read again as just what stays.
    #[test]
    fn a_damaged_list_is_refused_or_cut_alike(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0_u8..3, "[\\[\\]{}\",:\\\\a1 \n]"), 1..4),
    ) {
        let mut body = br#"{"result":{"tools":[{"name":"a","x":[1,{}]},{"name":"b"},{"name":"c","y":"\"]"}],"z":{}}}"#.to_vec();
        for (place, change, byte) in changes {
            let (place, byte) = (place.index(body.len()), byte.as_bytes()[0]);
            match change {
                0 => body[place] = byte,
                1 => body.insert(place, byte),
                _ => drop(body.remove(place)),
            }
        }
        if let Ok(list) = ToolList::read(&body, NESTING) {
            let names: Vec<&str> = list.names().filter(|name| *name != "b").collect();
            let cut = list.keeping(|name| name != "b");
            let again = ToolList::read(&cut, NESTING).unwrap();
            prop_assert_eq!(again.names().collect::<Vec<_>>(), names.clone());
            let plain: Value = serde_json::from_slice(&cut).unwrap();
            let plain = plain["result"]["tools"].as_array().unwrap();
            prop_assert_eq!(plain.iter().map(|tool| tool["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
        }
    }
}
