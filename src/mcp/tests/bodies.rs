//! Bodies: each line of «bytes that two parsers read differently».

use super::*;
use Refusal::*;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;

const fn bad(place: &'static str, expected: &'static str) -> Refusal {
    BadParams { place, expected }
}

/// Under 2025-06-18, each refused for its own reason.
static REFUSED: &[(&str, Refusal)] = &[
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}"#,
        DuplicateKey { at: 0 },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        DuplicateKey { at: 55 },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"y":1,"y":2}]}}}"#,
        DuplicateKey { at: 85 },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{}"#,
        TrailingBytes { at: 40 },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping",}"#,
        JsonSyntax {
            at: 40,
            expected: "a key in quotes",
        },
    ),
    (
        r#"{"jsonrpc":"2.0","id":NaN,"method":"ping"}"#,
        JsonSyntax {
            at: 22,
            expected: "a value",
        },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#,
        LoneSurrogate { at: 34 },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1e400,"method":"ping"}"#,
        NumberRange { at: 22 },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        CaseVariantKey { key: "method" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","PARAMS":{}}"#,
        CaseVariantKey { key: "params" },
    ),
    (
        r#"{"JSONRPC":"2.0","id":1,"method":"ping"}"#,
        CaseVariantKey { key: "jsonrpc" },
    ),
    (
        r#"{"jsonrpc":"2.0","ID":1,"method":"ping"}"#,
        CaseVariantKey { key: "id" },
    ),
    (
        r#"{"jsonrpc":"2.0","ıd":1,"method":"ping"}"#,
        CaseVariantKey { key: "id" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}"#,
        CaseVariantKey { key: "params" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params\u0000x":{}}"#,
        CaseVariantKey { key: "params" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Result":{}}"#,
        CaseVariantKey { key: "result" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Uri":""}"#,
        CaseVariantKey { key: "uri" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
        CaseVariantKey { key: "name" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","ARGUMENTS":{}}}"#,
        CaseVariantKey { key: "arguments" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","URI":"b"}}"#,
        CaseVariantKey { key: "uri" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskid":"a","taskId":"b"}}"#,
        CaseVariantKey { key: "taskId" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_Meta":{}}}"#,
        CaseVariantKey { key: "_meta" },
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a","NAME":"b"}}}"#,
        CaseVariantKey { key: "name" },
    ),
    (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, JsonrpcVersion),
    (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, JsonrpcVersion),
    (r#"{"id":1,"method":"ping"}"#, JsonrpcVersion),
    (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, BadId),
    (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, BadId),
    (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, BadId),
    (r#"{"jsonrpc":"2.0","id":1e2,"method":"ping"}"#, BadId),
    (r#"{"jsonrpc":"2.0","id":-0,"method":"ping"}"#, BadId),
    (
        r#"{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}"#,
        BadId,
    ),
    (
        r#"{"jsonrpc":"2.0","id":-9007199254740992,"method":"ping"}"#,
        BadId,
    ),
    (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, BadId),
    (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, BadId),
    (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, BadId),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        bad("`params`", "an object"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#,
        bad("`params`", "an object"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        bad("`params.name`", "a string"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1}}"#,
        bad("`params.name`", "a string"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
        bad("`params.arguments`", "an object"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":null}}"#,
        bad("`params.arguments`", "an object"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{}}"#,
        bad("`params.name`", "a string"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":["a"]}}"#,
        bad("`params.uri`", "a string"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{}}"#,
        bad("`params.ref`", "an object"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/x"}}}"#,
        bad("`params.ref.type`", "`ref/prompt` or `ref/resource`"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
        bad("`params.protocolVersion`", "a string"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}"#,
        bad("`params._meta`", "an object"),
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        MethodAndResult,
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":null}"#,
        MethodAndResult,
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        BadResponse,
    ),
    (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, BadResponse),
    (
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#,
        BadResponse,
    ),
    (r#"{"jsonrpc":"2.0","result":{}}"#, IdMissing),
    (
        r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#,
        UnknownMember,
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","sudo":true}"#,
        UnknownMember,
    ),
    (r#"{"jsonrpc":"2.0","id":1}"#, NotAMessage),
    (r"1", NotAMessage),
    (r#""tools/call""#, NotAMessage),
    (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, BadMethod),
    (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, BadMethod),
    (
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#,
        IdMissing,
    ),
    (
        r#"{"jsonrpc":"2.0","method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
        IdMissing,
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#,
        IdNotAllowed,
    ),
    (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, BatchNotAllowed),
    ("[]", BatchNotAllowed),
];

#[test]
fn refuses_each_ambiguous_body_for_its_own_reason() {
    for (body, why) in REFUSED {
        assert_eq!(refusal(&post(Some(Version::V2025_06_18), body)), *why, "{body}");
    }
}

#[test]
fn refuses_bytes_that_are_no_plain_utf8() {
    let with = |before: &[u8], after: &[u8]| {
        let bytes = [before, CALL.as_bytes(), after].concat();
        refusal(&exchange("POST", &[("content-type", "application/json")], bytes))
    };
    assert_eq!(with(b"\xef\xbb\xbf", b""), ByteOrderMark);
    assert_eq!(with(b"", b"\0"), NulByte { at: CALL.len() });
    assert_eq!(with(b"", b"\xff"), NotUtf8 { at: CALL.len() });
    let wide: Vec<u8> = CALL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        refusal(&exchange("POST", &[("content-type", "application/json")], wide)),
        NulByte { at: 1 }
    );
}

#[test]
fn keys_in_arguments_may_differ_in_case() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"name":1,"Name":2,"METHOD":3}}}"#;
    let message = message(&post(None, body));
    let Operation::ToolsCall { arguments, .. } = &message.calls()[0].operation else {
        panic!()
    };
    assert_eq!(arguments.len(), 3);
}

#[test]
fn the_id_is_echoed_where_it_was_read() {
    let cases = [
        (
            r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{}}"#,
            Some(Id::String("x".into())),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#,
            Some(Id::Number(7)),
        ),
        (r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, Some(Id::Number(7))),
        (r#"{"jsonrpc":"2.0","id":7,"ID":8,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}"#, None),
        // The server's own id, or nobody's: an answer to it would pass for another.
        (r#"{"jsonrpc":"2.0","id":7,"result":[]}"#, None),
        (r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#, None),
        (r#"[{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}]"#, None),
    ];
    for (body, id) in cases {
        assert_eq!(refused(&post(None, body)).id, id, "{body}");
    }
}

#[test]
fn a_batch_is_all_or_nothing() {
    let ping = |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let many = |count: u32| format!("[{}]", (0..count).map(ping).collect::<Vec<_>>().join(","));
    let one = ping(1);
    let done = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let start = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}"#;
    let cases = [
        ("[]".to_owned(), EmptyBatch),
        (many(101), BatchTooLarge { limit: 100 }),
        (many(10_000), BatchTooLarge { limit: 100 }),
        (format!("[{one},{one}]"), DuplicateId),
        (
            format!(r#"[{one},{{"jsonrpc":"2.0","id":"1","method":"ping"}}]"#),
            DuplicateId,
        ),
        (format!("[{done},{done}]"), DuplicateId),
        (format!("[{one},{done}]"), MixedBatch),
        (format!("[{done},{note}]"), MixedBatch),
        (format!("[{start},{note}]"), InitializeInBatch),
        (format!("[{one},[{note}]]"), NotAMessage),
        (format!("[{one},1]"), NotAMessage),
        (
            format!(r#"[{one},{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{}}}}]"#),
            bad("`params.name`", "a string"),
        ),
    ];
    for (body, why) in cases {
        assert_eq!(refusal(&post(None, &body)), why, "{body}");
        assert_eq!(refusal(&post(Some(Version::V2025_03_26), &body)), why, "{body}");
    }
    for version in [Version::V2025_06_18, Version::V2025_11_25, Version::V2026_07_28] {
        assert_eq!(
            refusal(&post(Some(version), &format!("[{one}]"))),
            BatchNotAllowed
        );
    }
    assert_eq!(message(&post(None, &many(100))).calls().len(), 100);
    assert_eq!(message(&post(None, &format!("[{one},{note}]"))).calls().len(), 2);
}

#[test]
fn names_and_bodies_are_bounded() {
    let named = |length| {
        let name = "n".repeat(length);
        post(
            None,
            &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#),
        )
    };
    message(&named(1024));
    assert_eq!(
        refusal(&named(1025)),
        NameTooLong {
            place: "`params.name`",
            limit: 1024
        }
    );
    let asked = |length| {
        post(
            None,
            &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(length)),
        )
    };
    message(&asked(1024));
    assert_eq!(refusal(&asked(1025)), BadMethod);
    let identified = |length| {
        post(
            None,
            &format!(
                r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
                "i".repeat(length)
            ),
        )
    };
    message(&identified(1024));
    assert_eq!(refusal(&identified(1025)), BadId);
    message(&padded((1 << 20) - 1));
    assert_eq!(refusal(&padded((1 << 20) + 1)), TooLarge { limit: 1 << 20 });
}

#[test]
fn a_resource_spelt_otherwise_than_servers_read_it_is_refused() {
    for (params, method, place) in [
        (r#""uri":"docs://a/../secret""#, "resources/read", "`params.uri`"),
        (r#""uri":"DOCS://secret""#, "resources/subscribe", "`params.uri`"),
        (
            r#""ref":{"type":"ref/resource","uri":"docs://%73ecret"},"argument":{"name":"a","value":""}"#,
            "completion/complete",
            "`params.ref.uri`",
        ),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        assert_eq!(refusal(&post(None, &body)), UriNotNormal { place }, "{body}");
    }
}

/// `CALL`, with as much white space behind it.
fn padded(length: usize) -> Exchange {
    post(
        None,
        &format!("{CALL}{}", " ".repeat(length.saturating_sub(CALL.len()))),
    )
}

#[test]
fn a_body_of_exactly_the_limit_without_a_length_is_not_taken_for_the_whole_body() {
    let mut exchange = padded(1 << 20);
    assert_eq!(refusal(&exchange), BodyCut);
    exchange.headers.push("content-length", "1048576");
    message(&exchange);
}

#[test]
fn long_strings_pass() {
    let text = "long \\\" text 𝄞".repeat(40_000);
    let body = CALL.replace(r#""a""#, &format!(r#""a","arguments":{{"text":"{text}"}}"#));
    message(&post(None, &body));
}
