//! The HTTP request around the message.

use super::*;
use Refusal::*;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: (&str, &str) = ("accept", "text/event-stream");

#[test]
fn refuses_bodies_that_are_not_plain_json() {
    let cases: &[(&[(&str, &str)], Refusal)] = &[
        (&[], ContentType),
        (&[("content-type", "text/plain")], ContentType),
        (&[("content-type", "application/json-rpc")], ContentType),
        (
            &[("content-type", "multipart/form-data; boundary=x")],
            ContentType,
        ),
        (&[("content-type", "application/json, text/plain")], ContentType),
        (&[JSON, ("content-type", "text/plain")], ContentType),
        (&[("content-type", "application/json; profile=x")], ContentType),
        (&[("content-type", "application/json;")], ContentType),
        (&[("content-type", "application/json; charset=utf-16")], Charset),
        (&[("content-type", "application/json; charset=latin1")], Charset),
        (
            &[("content-type", "application/json; charset=utf-8; charset=utf-7")],
            Charset,
        ),
        (&[JSON, ("content-encoding", "gzip")], BodyCompressed),
        (&[JSON, ("content-encoding", "identity, br")], BodyCompressed),
        (
            &[
                JSON,
                ("content-encoding", "identity"),
                ("content-encoding", "gzip"),
            ],
            BodyCompressed,
        ),
        (&[JSON, ("content-length", "41")], BodyIncomplete),
        (&[JSON, ("content-length", "39")], ContentLength),
        (&[JSON, ("content-length", "40,40")], ContentLength),
        (&[JSON, ("content-length", "+40")], ContentLength),
        (&[JSON, ("content-length", "")], ContentLength),
        (
            &[JSON, ("content-length", "40"), ("content-length", "40")],
            ContentLength,
        ),
        (&[JSON, ("x-http-method-override", "DELETE")], MethodOverride),
        (&[JSON, ("x-http-method", "GET")], MethodOverride),
        (&[JSON, ("x-method-override", "POST")], MethodOverride),
        (&[JSON, ("x_mcp_user", "root")], HeaderLookalike),
        (&[JSON, ("x-mcp_user", "root")], HeaderLookalike),
        (&[JSON, ("X_MCP-Agent", "root")], HeaderLookalike),
        (&[JSON, ("mcp_method", "ping")], HeaderLookalike),
        (&[JSON, ("x.mcp.user", "root")], HeaderLookalike),
        (&[JSON, ("x-mcp~user", "root")], HeaderLookalike),
    ];
    for (headers, why) in cases {
        assert_eq!(refusal(&exchange("POST", headers, PING)), *why, "{headers:?}");
    }
}

#[test]
fn reads_the_content_types_that_clients_send() {
    for kind in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
    ] {
        message(&exchange(
            "POST",
            &[("content-type", kind), ("content-length", "40")],
            PING,
        ));
    }
    message(&exchange("POST", &[JSON, ("content-encoding", "identity")], PING));
}

#[test]
fn refuses_bodies_that_are_not_whole() {
    let with = |method: &str, body: Body| {
        let mut exchange = exchange(method, &[JSON, EVENTS], "");
        exchange.body = body;
        refusal(&exchange)
    };
    assert_eq!(with("POST", Body::Absent), BodyAbsent);
    assert_eq!(with("POST", Body::Whole(Bytes::new())), BodyAbsent);
    assert_eq!(with("POST", Body::Cut), BodyCut);
    assert_eq!(with("POST", Body::Ambiguous), BodyAmbiguous);
    // Of exactly the gateway's maximum: looks whole, isn't one JSON text.
    let cut = Body::Whole(Bytes::from_static(&PING.as_bytes()[..20]));
    assert_eq!(
        with("POST", cut),
        JsonSyntax {
            at: 20,
            expected: "the end of a string"
        }
    );
    for method in ["GET", "DELETE"] {
        for body in [Body::Whole(Bytes::from_static(b"{}")), Body::Cut, Body::Ambiguous] {
            assert_eq!(with(method, body), BodyWithGet);
        }
    }
}

#[test]
fn knows_three_http_methods_spelt_exactly() {
    for method in [
        "HEAD", "OPTIONS", "PUT", "PATCH", "CONNECT", "post", "Get", "POST ", "",
    ] {
        assert_eq!(refusal(&exchange(method, &[JSON], PING)), HttpMethod, "{method}");
    }
}

#[test]
fn a_get_opens_a_stream_of_events() {
    let get = |headers: &[(&str, &str)]| exchange("GET", headers, "");
    let opened = message(&get(&[
        EVENTS,
        ("mcp-session-id", "s1"),
        ("last-event-id", "e/7"),
    ]));
    assert_eq!(opened.session.as_deref(), Some("s1"));
    assert_eq!(opened.version, Version::V2025_03_26);
    assert_eq!(
        opened.calls()[0].operation,
        Operation::OpenStream {
            last_event: Some("e/7".into())
        }
    );
    message(&get(&[("accept", "application/json, text/event-stream;q=0.9")]));
    message(&get(&[("accept", "*/*"), ("content-length", "0")]));
    let long = "x".repeat(8193);
    let cases: &[(&[(&str, &str)], Refusal)] = &[
        (&[], NotAcceptable),
        (&[("accept", "text/html")], NotAcceptable),
        (&[EVENTS, ("content-length", "2")], BodyWithGet),
        (&[EVENTS, ("transfer-encoding", "chunked")], BodyWithGet),
        (
            &[EVENTS, ("last-event-id", "a"), ("last-event-id", "b")],
            LastEventInvalid,
        ),
        (&[EVENTS, ("last-event-id", "a\nb")], LastEventInvalid),
        (&[EVENTS, ("last-event-id", &long)], LastEventInvalid),
        (
            &[EVENTS, ("mcp-protocol-version", "2026-07-28")],
            MethodNotAllowed,
        ),
        (
            &[EVENTS, ("mcp-protocol-version", "1999-01-01")],
            VersionUnknown {
                requested: "1999-01-01".into(),
            },
        ),
        (
            &[EVENTS, ("mcp-method", "tools/call")],
            HeaderMismatch { header: "Mcp-Method" },
        ),
    ];
    for (headers, why) in cases {
        assert_eq!(refusal(&get(headers)), *why, "{headers:?}");
    }
}

#[test]
fn a_delete_ends_a_session() {
    let delete = |headers: &[(&str, &str)]| exchange("DELETE", headers, "");
    let ended = message(&delete(&[
        ("mcp-session-id", "s1"),
        ("mcp-protocol-version", "2025-11-25"),
    ]));
    assert_eq!(
        ended.calls()[0],
        Call {
            id: None,
            operation: Operation::EndSession
        }
    );
    assert_eq!(ended.version, Version::V2025_11_25);
    assert_eq!(
        refusal(&delete(&[("mcp-protocol-version", "2026-07-28")])),
        MethodNotAllowed
    );
    assert_eq!(refusal(&delete(&[("content-length", "2")])), BodyWithGet);
}
