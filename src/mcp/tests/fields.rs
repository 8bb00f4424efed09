//! Headers against the body.

use super::*;
use Refusal::*;
use Version::{V2025_06_18, V2025_11_25, V2026_07_28};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
const METHOD: (&str, &str) = ("mcp-method", "tools/call");

fn call(name: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}",{META}}}}}"#)
}

const fn mismatch(header: &'static str) -> Refusal {
    HeaderMismatch { header }
}

const fn missing(header: &'static str) -> Refusal {
    HeaderMissing { header }
}

const fn invalid(header: &'static str) -> Refusal {
    HeaderInvalid { header }
}

type Sent = &'static [(&'static str, &'static str)];

/// Headers, the tool's name in the body, why.
static DISAGREEING: &[(Sent, &str, Refusal)] = &[
    (&[], "a", missing("Mcp-Method")),
    (&[METHOD], "a", missing("Mcp-Name")),
    (&[("mcp-name", "a")], "a", missing("Mcp-Method")),
    (
        &[("mcp-method", "tools/list"), ("mcp-name", "a")],
        "a",
        mismatch("Mcp-Method"),
    ),
    (
        &[("mcp-method", "Tools/Call"), ("mcp-name", "a")],
        "a",
        mismatch("Mcp-Method"),
    ),
    (&[METHOD, ("mcp-name", "b")], "a", mismatch("Mcp-Name")),
    (&[METHOD, ("mcp-name", "A")], "a", mismatch("Mcp-Name")),
    (&[METHOD, ("mcp-name", "a,a")], "a", mismatch("Mcp-Name")),
    (&[METHOD, ("mcp-name", "a, b")], "a", mismatch("Mcp-Name")),
    (&[METHOD, ("mcp-name", "")], "a", mismatch("Mcp-Name")),
    (
        &[METHOD, ("mcp-name", "a"), ("mcp-name", "a")],
        "a",
        invalid("Mcp-Name"),
    ),
    (&[METHOD, METHOD, ("mcp-name", "a")], "a", invalid("Mcp-Method")),
    (&[METHOD, ("mcp-name", "ä")], "ä", invalid("Mcp-Name")),
    (
        &[METHOD, ("mcp-name", "=?base64?Yg==?=")],
        "a",
        mismatch("Mcp-Name"),
    ),
    (
        &[METHOD, ("mcp-name", "=?BASE64?YQ==?=")],
        "a",
        mismatch("Mcp-Name"),
    ),
    (&[METHOD, ("mcp-name", "=?base64?YQ?=")], "a", invalid("Mcp-Name")),
    (&[METHOD, ("mcp-name", "=?base64?!?=")], "a", invalid("Mcp-Name")),
    (
        &[METHOD, ("mcp-name", "=?base64?/w==?=")],
        "a",
        invalid("Mcp-Name"),
    ),
    (
        &[
            METHOD,
            ("mcp-name", "a"),
            ("mcp-param-x", "1"),
            ("mcp-param-x", "2"),
        ],
        "a",
        invalid("Mcp-Param-*"),
    ),
    (
        &[METHOD, ("mcp-name", "a"), ("mcp-param-x", "é")],
        "a",
        invalid("Mcp-Param-*"),
    ),
];

#[test]
fn a_request_of_2026_07_28_must_say_in_headers_what_its_body_says() {
    for (headers, name, why) in DISAGREEING {
        let refused = refused(&post_with(Some(V2026_07_28), headers, &call(name)));
        assert_eq!(refused.why, *why, "{headers:?}");
        assert_eq!(refused.id, Some(Id::Number(1)));
    }
}

#[test]
fn names_may_be_wrapped_in_base64() {
    for (name, header) in [
        ("a", "a"),
        ("a", "=?base64?YQ==?="),
        ("a b, c", "a b, c"),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("世界", "=?base64?5LiW55WM?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ] {
        let headers = [METHOD, ("mcp-name", header), ("mcp-param-region", "us-west1")];
        let message = message(&post_with(Some(V2026_07_28), &headers, &call(name)));
        assert!(matches!(&message.calls()[0].operation, Operation::ToolsCall { tool, .. } if tool == name));
        assert_eq!(
            message.param_headers,
            [("mcp-param-region".to_owned(), "us-west1".to_owned())]
        );
    }
}

#[test]
fn headers_sent_under_an_older_version_must_agree_too() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
    for version in [None, Some(V2025_06_18), Some(V2025_11_25)] {
        message(&post_with(version, &[METHOD, ("mcp-name", "a")], body));
        message(&post_with(version, &[METHOD], body));
        let other = [("mcp-method", "tools/list")];
        assert_eq!(refusal(&post_with(version, &other, body)), mismatch("Mcp-Method"));
        assert_eq!(
            refusal(&post_with(version, &[("mcp-name", "b")], body)),
            mismatch("Mcp-Name")
        );
    }
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(
        refusal(&post_with(None, &[("mcp-name", "b")], list)),
        mismatch("Mcp-Name")
    );
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(
        refusal(&post_with(None, &[METHOD], response)),
        mismatch("Mcp-Method")
    );
    assert_eq!(
        refusal(&post_with(None, &[METHOD], &format!("[{list}]"))),
        mismatch("Mcp-Method")
    );
}

#[test]
fn the_version_is_one_and_known() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(message(&post(None, ping)).version, Version::V2025_03_26);
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let message = message(&post_with(None, &[("mcp-protocol-version", version)], ping));
        assert_eq!(message.version.as_str(), version);
    }
    for (sent, requested) in [
        ("2024-11-05", "2024-11-05"),
        ("2027-01-01", "2027-01-01"),
        ("", ""),
        ("2025-06-18,2025-06-18", "2025-06-18,2025-06-18"),
        ("2025-06-18 ", "2025-06-18"),
        ("\"x\\", "x"),
    ] {
        let refused = refused(&post_with(None, &[("mcp-protocol-version", sent)], ping));
        assert_eq!(
            refused.why,
            VersionUnknown {
                requested: requested.to_owned()
            },
            "{sent}"
        );
        assert_eq!(refused.id, Some(Id::Number(1)));
    }
    let long = "9".repeat(1000);
    let VersionUnknown { requested } = refusal(&post_with(None, &[("mcp-protocol-version", &long)], ping))
    else {
        panic!()
    };
    assert_eq!(requested.len(), 64);
    let twice = [
        ("mcp-protocol-version", "2025-06-18"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    assert_eq!(
        refusal(&post_with(None, &twice, ping)),
        invalid("MCP-Protocol-Version")
    );
}

#[test]
fn the_version_in_meta_is_that_of_the_header() {
    let headers = [METHOD, ("mcp-name", "a")];
    assert_eq!(
        refusal(&post_with(None, &headers, &call("a"))),
        missing("MCP-Protocol-Version")
    );
    assert_eq!(
        refusal(&post_with(Some(V2025_11_25), &headers, &call("a"))),
        VersionMismatch
    );
    let unknown = call("a").replace("2026-07-28", "1999-01-01");
    assert_eq!(
        refusal(&post_with(Some(V2026_07_28), &headers, &unknown)),
        VersionMismatch
    );
    let both = [METHOD, ("mcp-name", "a"), ("mcp-protocol-version", "1999-01-01")];
    assert_eq!(
        refusal(&post_with(None, &both, &unknown)),
        VersionUnknown {
            requested: "1999-01-01".into()
        }
    );
    let batch = format!("[{}]", call("a"));
    assert_eq!(refusal(&post(None, &batch)), missing("MCP-Protocol-Version"));
}

#[test]
fn meta_of_2026_07_28_is_complete() {
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let cases = [
        (String::new(), version),
        (r#","params":{}"#.to_owned(), version),
        (r#","params":{"_meta":{}}"#.to_owned(), version),
        (
            format!(r#","params":{{"_meta":{{"{version}":20260728}}}}"#),
            version,
        ),
        (
            format!(r#","params":{{"_meta":{{"{version}":"2026-07-28"}}}}"#),
            capabilities,
        ),
        (
            format!(r#","params":{{"_meta":{{"{version}":"2026-07-28","{capabilities}":[]}}}}"#),
            capabilities,
        ),
    ];
    let headers = [("mcp-method", "tools/list")];
    for (params, key) in cases {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{params}}}"#);
        assert_eq!(
            refusal(&post_with(Some(V2026_07_28), &headers, &body)),
            MetaIncomplete { key },
            "{params}"
        );
    }
}

#[test]
fn responses_ended_with_2025_11_25() {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    message(&post(Some(V2025_11_25), body));
    assert_eq!(refusal(&post(Some(V2026_07_28), body)), ResponseNotAllowed);
}

#[test]
fn an_offered_version_is_never_refused() {
    for (offered, read_as) in [
        ("2025-03-26", Version::V2025_03_26),
        ("2025-06-18", V2025_06_18),
        ("2025-11-25", V2025_11_25),
        ("2026-07-28", V2025_11_25),
        ("2024-11-05", V2025_11_25),
        ("2099-01-01", V2025_11_25),
        ("", V2025_11_25),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{offered}"}}}}"#
        );
        for header in [None, Some(offered), Some("2026-07-28")] {
            let headers: Vec<_> = header
                .map(|header| ("mcp-protocol-version", header))
                .into_iter()
                .collect();
            let message = message(&post_with(None, &headers, &body));
            assert_eq!(message.version, read_as, "{offered}");
            assert_eq!(
                message.calls()[0].operation,
                Operation::Initialize {
                    offered: offered.to_owned()
                }
            );
        }
    }
}

#[test]
fn an_initialize_with_the_metadata_of_2026_07_28_is_a_method_that_it_does_not_know() {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    for params in [
        meta.to_owned(),
        format!(r#"{meta},"protocolVersion":"2025-11-25""#),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{{params}}}}}"#);
        let headers = [("mcp-method", "initialize")];
        let message = message(&post_with(Some(V2026_07_28), &headers, &body));
        assert_eq!(message.version, V2026_07_28);
        let unknown = Operation::Unknown {
            method: "initialize".to_owned(),
        };
        assert_eq!(message.calls()[0].operation, unknown, "{params}");
        // A server of both eras would go by one or the other.
        let older = post_with(Some(V2025_11_25), &headers, &body);
        assert_eq!(refusal(&older), VersionMismatch);
    }
}

#[test]
fn sessions_are_visible_ascii_and_older_than_2026_07_28() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let long = "s".repeat(8193);
    for session in ["", "a b", "a,b", "é", "a\tb", &long] {
        assert_eq!(
            refusal(&post_with(None, &[("mcp-session-id", session)], ping)),
            SessionInvalid,
            "{session}"
        );
    }
    let twice = [("mcp-session-id", "a"), ("mcp-session-id", "a")];
    assert_eq!(refusal(&post_with(None, &twice, ping)), SessionInvalid);
    let read = message(&post_with(
        Some(V2025_06_18),
        &[("mcp-session-id", "1868a90c-+/=~")],
        ping,
    ));
    assert_eq!(read.session.as_deref(), Some("1868a90c-+/=~"));
    let headers = [METHOD, ("mcp-name", "a"), ("mcp-session-id", "s")];
    assert_eq!(
        message(&post_with(Some(V2026_07_28), &headers, &call("a"))).session,
        None
    );
}
