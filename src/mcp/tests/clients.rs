//! What real clients send: never refused.

use std::collections::BTreeSet;

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use Version::{V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};

const SESSIONS: &[Version] = &[V2025_03_26, V2025_06_18, V2025_11_25];
const ALL: &[Version] = &Version::ALL;
const TASKS: &[Version] = &[V2025_11_25];
const STATELESS: &[Version] = &[V2026_07_28];

/// Versions, what it is read as, the message without `jsonrpc`.
const MESSAGES: &[(&[Version], &str, &str)] = &[
    (
        SESSIONS,
        "initialize",
        r#"{"id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{},"url":{}}},"clientInfo":{"name":"Client","title":"A Client","version":"1.0.0"}}}"#,
    ),
    (
        SESSIONS,
        "notifications/initialized",
        r#"{"method":"notifications/initialized"}"#,
    ),
    (
        SESSIONS,
        "notifications/initialized",
        r#"{"method":"notifications/initialized","params":{}}"#,
    ),
    (SESSIONS, "ping", r#"{"id":"ping-1","method":"ping"}"#),
    (
        SESSIONS,
        "ping",
        r#"{"method":"ping","params":{"_meta":{"progressToken":3}},"jsonrpc":"2.0","id":-3}"#,
    ),
    (ALL, "tools/list", r#"{"id":1,"method":"tools/list","params":{}}"#),
    (
        ALL,
        "tools/list",
        r#"{"id":1,"method":"tools/list","params":{"cursor":"b2Zmc2V0PTEw"}}"#,
    ),
    (SESSIONS, "tools/list", r#"{"id":1,"method":"tools/list"}"#),
    (
        ALL,
        "tools/call",
        r#"{"id":2,"method":"tools/call","params":{"name":"get_weather","arguments":{"location":"Genève 🌧","days":3,"at":[46.20222,6.14569],"deep":{"Id":null,"id":1}}}}"#,
    ),
    (
        ALL,
        "tools/call",
        r#"{"id":"b7f2c1de-1","method":"tools/call","params":{"name":"no.arguments"}}"#,
    ),
    (
        ALL,
        "tools/call",
        r#"{"id":2,"method":"tools/call","params":{"_meta":{"progressToken":"p-1","traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"},"name":"a/b_c-d","arguments":{}}}"#,
    ),
    (
        TASKS,
        "tools/call",
        r#"{"id":2,"method":"tools/call","params":{"name":"slow","arguments":{},"task":{"ttl":60000}}}"#,
    ),
    (
        STATELESS,
        "tools/call",
        r#"{"id":3,"method":"tools/call","params":{"name":"ask","arguments":{},"inputResponses":{"name":{"action":"accept","content":{"name":"x"}}},"requestState":"eyJhbGciOi"}}"#,
    ),
    (
        ALL,
        "prompts/list",
        r#"{"id":1,"method":"prompts/list","params":{}}"#,
    ),
    (
        ALL,
        "prompts/get",
        r#"{"id":1,"method":"prompts/get","params":{"name":"code review","arguments":{"code":"def f():\n    pass"}}}"#,
    ),
    (
        ALL,
        "resources/list",
        r#"{"id":1,"method":"resources/list","params":{}}"#,
    ),
    (
        ALL,
        "resources/templates/list",
        r#"{"id":1,"method":"resources/templates/list","params":{}}"#,
    ),
    (
        ALL,
        "resources/read",
        r#"{"id":1,"method":"resources/read","params":{"uri":"file:///projects/my app/ü,config.json"}}"#,
    ),
    (
        SESSIONS,
        "resources/subscribe",
        r#"{"id":1,"method":"resources/subscribe","params":{"uri":"file:///a"}}"#,
    ),
    (
        SESSIONS,
        "resources/unsubscribe",
        r#"{"id":1,"method":"resources/unsubscribe","params":{"uri":"file:///a"}}"#,
    ),
    (
        ALL,
        "completion/complete",
        r#"{"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"review","title":"Review"},"argument":{"name":"language","value":"py"},"context":{"arguments":{"framework":"flask"}}}}"#,
    ),
    (
        ALL,
        "completion/complete",
        r#"{"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"file:///{path}"},"argument":{"name":"path","value":""}}}"#,
    ),
    (
        SESSIONS,
        "logging/setLevel",
        r#"{"id":1,"method":"logging/setLevel","params":{"level":"info"}}"#,
    ),
    (
        SESSIONS,
        "notifications/cancelled",
        r#"{"method":"notifications/cancelled","params":{"requestId":"123","reason":"User requested cancellation"}}"#,
    ),
    (
        STATELESS,
        "notifications/cancelled",
        r#"{"method":"notifications/cancelled","params":{"requestId":1}}"#,
    ),
    (
        SESSIONS,
        "notifications/progress",
        r#"{"method":"notifications/progress","params":{"progressToken":"abc","progress":0.5,"total":1e2,"message":"…"}}"#,
    ),
    (
        SESSIONS,
        "notifications/roots/list_changed",
        r#"{"method":"notifications/roots/list_changed"}"#,
    ),
    (
        TASKS,
        "notifications/tasks/status",
        r#"{"method":"notifications/tasks/status","params":{"taskId":"t","status":"completed","createdAt":"2025-11-25T10:30:00Z","lastUpdatedAt":"2025-11-25T10:50:00Z","ttl":null}}"#,
    ),
    (
        TASKS,
        "tasks/get",
        r#"{"id":3,"method":"tasks/get","params":{"taskId":"786512e2-9e0d-44bd-8f29-789f320fe840"}}"#,
    ),
    (
        TASKS,
        "tasks/result",
        r#"{"id":3,"method":"tasks/result","params":{"taskId":"786512e2"}}"#,
    ),
    (
        TASKS,
        "tasks/cancel",
        r#"{"id":3,"method":"tasks/cancel","params":{"taskId":"786512e2"}}"#,
    ),
    (
        TASKS,
        "tasks/list",
        r#"{"id":3,"method":"tasks/list","params":{"cursor":"c"}}"#,
    ),
    (
        STATELESS,
        "tasks/get",
        r#"{"id":3,"method":"tasks/get","params":{"taskId":"786512e2"}}"#,
    ),
    (
        STATELESS,
        "tasks/update",
        r#"{"id":3,"method":"tasks/update","params":{"taskId":"786512e2","inputResponses":{}}}"#,
    ),
    (
        STATELESS,
        "tasks/cancel",
        r#"{"id":3,"method":"tasks/cancel","params":{"taskId":"786512e2"}}"#,
    ),
    (
        STATELESS,
        "server/discover",
        r#"{"id":"d","method":"server/discover","params":{}}"#,
    ),
    (
        STATELESS,
        "subscriptions/listen",
        r#"{"id":4,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///a","file:///b"]}}}"#,
    ),
    (
        STATELESS,
        "subscriptions/listen",
        r#"{"id":4,"method":"subscriptions/listen","params":{"notifications":{}}}"#,
    ),
    (SESSIONS, "response", r#"{"id":5,"result":{}}"#),
    (
        SESSIONS,
        "response",
        r#"{"id":5,"result":{"role":"assistant","content":{"type":"text","text":"Paris"},"model":"m","stopReason":"endTurn"}}"#,
    ),
    (
        SESSIONS,
        "response",
        r#"{"id":"r1","result":{"roots":[{"uri":"file:///home/user/project","name":"My Project"}]}}"#,
    ),
    (
        SESSIONS,
        "response",
        r#"{"id":6,"result":{"action":"accept","content":{"name":"octocat","age":30}}}"#,
    ),
    (SESSIONS, "response", r#"{"id":6,"result":{"action":"decline"}}"#),
    (
        SESSIONS,
        "response",
        r#"{"id":6,"error":{"code":-1,"message":"User rejected sampling request","data":null}}"#,
    ),
    (
        SESSIONS,
        "response",
        r#"{"error":{"code":-32700,"message":"Parse error"}}"#,
    ),
    (
        TASKS,
        "response",
        r#"{"id":6,"result":{"task":{"taskId":"t","status":"working","ttl":60000}}}"#,
    ),
    (
        ALL,
        "unknown",
        r#"{"id":1,"method":"vendor/custom","params":{"anything":[1,2]}}"#,
    ),
    (
        ALL,
        "unknown",
        r#"{"method":"notifications/vendor/custom","params":{"anything":true}}"#,
    ),
    (SESSIONS, "unknown", r#"{"id":1,"method":"server/discover"}"#),
    (STATELESS, "unknown", r#"{"id":1,"method":"ping","params":{}}"#),
    (
        &[V2025_06_18],
        "unknown",
        r#"{"id":1,"method":"tasks/get","params":{"taskId":"t"}}"#,
    ),
];

/// The request that a client of that version makes of a message.
fn sent(version: Version, message: &Json) -> Exchange {
    let mut message = message.clone();
    let mut more = Vec::new();
    message["jsonrpc"] = json!("2.0");
    if version == V2026_07_28 && message.get("id").is_some() {
        let meta = &mut message["params"]["_meta"];
        meta["io.modelcontextprotocol/protocolVersion"] = json!(version.as_str());
        meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "Client", "version": "1"});
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
        more.push(("mcp-method", message["method"].as_str().unwrap().to_owned()));
        let key = match message["method"].as_str().unwrap() {
            "tools/call" | "prompts/get" => "name",
            "resources/read" => "uri",
            "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
            _ => "",
        };
        more.extend(
            message["params"]
                .get(key)
                .map(|name| ("mcp-name", wrapped(name.as_str().unwrap()))),
        );
    }
    let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    post_with(Some(version), &more, &message.to_string())
}

fn wrapped(name: &str) -> String {
    if name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && name.trim() == name {
        return name.to_owned();
    }
    format!(
        "=?base64?{}?=",
        base64::engine::general_purpose::STANDARD.encode(name)
    )
}

#[test]
fn nothing_that_a_client_sends_is_refused() {
    for (versions, read_as, text) in MESSAGES {
        let sent_message: Json = serde_json::from_str(text).unwrap();
        for version in *versions {
            let message = message(&sent(*version, &sent_message));
            let [call] = message.calls() else { panic!("{text}") };
            assert_eq!(call.operation.method(), *read_as, "{version}: {text}");
            if *read_as != "response" {
                let id = call.id.as_ref().map(|id| match id {
                    Id::String(text) => json!(text),
                    Id::Number(number) => json!(number),
                });
                assert_eq!(id.as_ref(), sent_message.get("id"), "{text}");
            }
        }
    }
}

#[test]
fn the_corpus_has_every_method() {
    let read: BTreeSet<_> = MESSAGES.iter().map(|(_, read_as, _)| *read_as).collect();
    for version in Version::ALL {
        for method in methods::of(version) {
            assert!(read.contains(method), "{method}");
        }
    }
}

/// What the page's table says of a method: the versions that have it.
fn documented(method: &str) -> Vec<Version> {
    let page = include_str!("../../../docs/json-profile.md");
    let (_, table) = page.split_once("| method | versions |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let columns = |row: &'static str| {
        row.split(" | ")
            .map(|cell| cell.trim_matches(['|', ' ']))
            .collect()
    };
    let rows = table.lines().map(columns).collect::<Vec<Vec<_>>>();
    let found: Vec<_> = rows
        .iter()
        .filter(|row| row[0].split(", ").any(|name| name.trim_matches('`') == method))
        .collect();
    assert_eq!(
        found.len(),
        1,
        "`{method}` is to have one row in docs/json-profile.md"
    );
    let (first, last) = match found[0][1].split_once(' ') {
        None if found[0][1] == "all" => (None, None),
        None => (Some(found[0][1]), Some(found[0][1])),
        Some(("from", first)) => (Some(first), None),
        Some(("to", last)) => (None, Some(last)),
        Some(_) => panic!("{method}: {}", found[0][1]),
    };
    let within = |version: &Version| {
        let name = version.as_str();
        first.is_none_or(|first| first <= name) && last.is_none_or(|last| name <= last)
    };
    Version::ALL.into_iter().filter(within).collect()
}

#[test]
fn the_page_has_each_method_with_its_versions() {
    for method in methods::all() {
        let known = |version: &Version| methods::known(method.name, *version).is_some();
        let known: Vec<_> = Version::ALL.into_iter().filter(known).collect();
        assert_eq!(documented(method.name), known, "{}", method.name);
    }
}

#[test]
fn what_decides_is_read() {
    let read = |version, text: &str| {
        let message = message(&sent(version, &serde_json::from_str(text).unwrap()));
        message.calls()[0].operation.clone()
    };
    let listen = r#"{"id":4,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["a","b"]}}}"#;
    assert_eq!(
        read(V2026_07_28, listen),
        Operation::Listen {
            uris: vec!["a".into(), "b".into()]
        }
    );
    let complete =
        r#"{"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"u"}}}"#;
    assert_eq!(
        read(V2025_06_18, complete),
        Operation::Complete {
            reference: Reference::Resource("u".into())
        }
    );
    let task = r#"{"id":1,"method":"tasks/cancel","params":{"taskId":"t"}}"#;
    assert_eq!(
        read(V2025_11_25, task),
        Operation::Task {
            method: "tasks/cancel",
            task: "t".into()
        }
    );
    let subscribe = r#"{"id":1,"method":"resources/subscribe","params":{"uri":"u"}}"#;
    assert_eq!(
        read(V2025_11_25, subscribe),
        Operation::Resource {
            method: "resources/subscribe",
            uri: "u".into()
        }
    );
}

#[test]
fn what_rides_on_a_call_has_its_type() {
    let refused = |version, params: Json| {
        let message = json!({"id": 1, "method": "tools/call", "params": params});
        refusal(&sent(version, &message))
    };
    let object = |place| Refusal::BadParams {
        place,
        expected: "an object",
    };
    assert_eq!(
        refused(V2025_11_25, json!({"name": "a", "task": true})),
        object("`params.task`")
    );
    let responses = json!({"name": "a", "inputResponses": []});
    assert_eq!(refused(V2026_07_28, responses), object("`params.inputResponses`"));
    let state = Refusal::BadParams {
        place: "`params.requestState`",
        expected: "a string",
    };
    assert_eq!(
        refused(V2026_07_28, json!({"name": "a", "requestState": {}})),
        state
    );
    let listen = |filter: Json| {
        refusal(&sent(
            V2026_07_28,
            &json!({"id": 1, "method": "subscriptions/listen", "params": filter}),
        ))
    };
    assert_eq!(listen(json!({})), object("`params.notifications`"));
    let many = json!({"notifications": {"resourceSubscriptions": vec!["u"; 257]}});
    assert_eq!(listen(many), Refusal::TooManySubscriptions { limit: 256 });
    let strings = Refusal::BadParams {
        place: "`params.notifications.resourceSubscriptions`",
        expected: "an array of strings",
    };
    assert_eq!(
        listen(json!({"notifications": {"resourceSubscriptions": "u"}})),
        strings
    );
}

fn arguments() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    let value = leaf.prop_recursive(5, 32, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::vec(("[a-zA-Z_]{0,8}", value), 0..8)
        .prop_map(|members| Json::Object(members.into_iter().collect()))
}

proptest! {
    #[test]
    fn any_tool_with_any_arguments_is_read_as_sent(
        tool in "\\PC{1,40}", arguments in arguments(), version in prop::sample::select(ALL.to_vec())
    ) {
        let call = json!({"id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
        let message = message(&sent(version, &call));
        let Operation::ToolsCall { tool: read, arguments: held } = &message.calls()[0].operation else { panic!() };
        prop_assert_eq!(read, &tool);
        prop_assert_eq!(Json::Object(held.to_serde()), arguments);
    }

    #[test]
    fn a_damaged_message_is_read_or_refused_and_nothing_else(
        which: prop::sample::Index, place: prop::sample::Index, byte: u8
    ) {
        let mut bytes = MESSAGES[which.index(MESSAGES.len())].2.replacen('{', "{\"jsonrpc\":\"2.0\",", 1).into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let read = read(&exchange("POST", &[("content-type", "application/json")], bytes.clone()), &Limits::default());
        // Whatever is read, serde_json reads too.
        prop_assert!(read.is_err() || serde_json::from_slice::<Json>(&bytes).is_ok());
    }
}
