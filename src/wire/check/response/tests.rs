use proptest::prelude::*;
use serde_json::json;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else {
        panic!("not an object: {value}")
    };
    object
}

fn forward(set: &[(&'static str, &str)], remove: &[&'static str]) -> Reply {
    Reply::Forward(Forward {
        set: set
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        remove: remove.to_vec(),
        ..Forward::default()
    })
}

fn answer(status: u16, headers: &[(&'static str, &str)]) -> Reply {
    Reply::Answer(Answer {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        body: "{}".to_owned(),
        metadata: Map::new(),
    })
}

fn ok(response: CheckResponse) -> OkHttpResponse {
    match response.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok,
        other => panic!("not an allow: {other:?}"),
    }
}

fn refused(response: CheckResponse) -> DeniedHttpResponse {
    match response.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => denied,
        other => panic!("not a denial: {other:?}"),
    }
}

fn fields(headers: &[HeaderValueOption]) -> Vec<(&str, &str, HeaderAppendAction)> {
    headers
        .iter()
        .map(|option| {
            let header = option.header.as_ref().unwrap();
            assert!(header.raw_value.is_empty(), "Envoy reads `value` only");
            #[expect(deprecated, reason = "it must stay unset")]
            let append = option.append;
            assert_eq!(append, None);
            (header.key.as_str(), header.value.as_str(), option.append_action())
        })
        .collect()
}

#[test]
fn an_allow_overwrites_each_header_by_name_of_the_action() {
    let response = of_reply(forward(
        &[("x-mcp-user", "alice"), ("x-mcp-action", "a/b c")],
        &["x-mcp-agent"],
    ));
    let response = response.unwrap();
    assert_eq!(response.status.as_ref().unwrap().code, 0);
    let ok = ok(response);
    let overwrite = HeaderAppendAction::OverwriteIfExistsOrAdd;
    assert_eq!(
        fields(&ok.headers),
        [
            ("x-mcp-user", "alice", overwrite),
            ("x-mcp-action", "a/b c", overwrite)
        ]
    );
    assert_eq!(ok.headers_to_remove, ["x-mcp-agent"]);
}

#[test]
fn what_is_for_the_client_is_written_on_the_servers_answer_and_not_on_the_request() {
    let answering = |value: &str| {
        of_reply(Reply::Forward(Forward {
            answer: vec![("dpop-nonce", value.to_owned())],
            ..Forward::default()
        }))
    };
    let ok = ok(answering("n1").unwrap());
    let overwrite = HeaderAppendAction::OverwriteIfExistsOrAdd;
    assert_eq!(
        fields(&ok.response_headers_to_add),
        [("dpop-nonce", "n1", overwrite)]
    );
    assert!(ok.headers.is_empty() && ok.headers_to_remove.is_empty());
    assert_eq!(answering("a\r\nx: y"), Err(Unfit::Value("dpop-nonce")));
}

#[test]
fn an_empty_value_removes_the_header() {
    let ok = ok(of_reply(forward(&[("x-mcp-tenant", "")], &[])).unwrap());
    assert!(ok.headers.is_empty());
    assert_eq!(ok.headers_to_remove, ["x-mcp-tenant"]);
}

// What is set, what is removed, why it is unfit.
type Unsendable<'a> = (&'a [(&'static str, &'a str)], &'a [&'static str], Unfit);

#[test]
fn a_forward_that_gateways_could_read_otherwise_is_unfit() {
    let long = "a".repeat(MAX_VALUE + 1);
    let cases: [Unsendable<'_>; 17] = [
        (&[("x-a", "1")], &["x-a"], Unfit::Twice("x-a")),
        (&[("x-a", "")], &["x-a"], Unfit::Twice("x-a")),
        (&[("x-a", "1"), ("x-a", "1")], &[], Unfit::Twice("x-a")),
        (&[], &["x-a", "x-a"], Unfit::Twice("x-a")),
        (&[("x-a", "a\r\nx-b: c")], &[], Unfit::Value("x-a")),
        (&[("x-a", "a\n")], &[], Unfit::Value("x-a")),
        (&[("x-a", "a\0")], &[], Unfit::Value("x-a")),
        (&[("x-a", "a\tb")], &[], Unfit::Value("x-a")),
        (&[("x-a", "\u{7f}")], &[], Unfit::Value("x-a")),
        (&[("x-a", "é")], &[], Unfit::Value("x-a")),
        (&[("x-a", " a")], &[], Unfit::Value("x-a")),
        (&[("x-a", "a ")], &[], Unfit::Value("x-a")),
        (&[("x-a", &long)], &[], Unfit::Long("x-a")),
        (&[("X-A", "1")], &[], Unfit::Name),
        (&[(":path", "/")], &[], Unfit::Name),
        (&[("x_a", "1")], &[], Unfit::Name),
        (&[], &[""], Unfit::Name),
    ];
    for (set, remove, expected) in cases {
        assert_eq!(
            of_reply(forward(set, remove)),
            Err(expected),
            "{set:?} {remove:?}"
        );
    }
}

#[test]
fn a_denial_carries_the_http_status_and_never_the_code_ok() {
    let cases = [
        (200, Code::PermissionDenied),
        (400, Code::PermissionDenied),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::PermissionDenied),
        (405, Code::PermissionDenied),
        (413, Code::PermissionDenied),
        (415, Code::PermissionDenied),
        (500, Code::PermissionDenied),
        (503, Code::Unavailable),
    ];
    for (status, code) in cases {
        let response = of_reply(answer(status, &[])).unwrap();
        assert_eq!(
            response.status.as_ref().unwrap().code,
            i32::from(code),
            "{status}"
        );
        let denied = refused(response);
        assert_eq!(denied.status.unwrap().code, i32::from(status));
        assert_eq!(denied.body, "{}");
    }
}

#[test]
fn a_status_that_envoy_cannot_send_is_unfit() {
    for status in [0, 100, 101, 199, 299, 418, 499, 599, 600, 999] {
        assert_eq!(of_reply(answer(status, &[])), Err(Unfit::Status(status)));
    }
}

#[test]
fn two_challenges_are_appended_in_their_order() {
    let challenges = [
        ("content-type", "application/json"),
        (
            "www-authenticate",
            "Bearer resource_metadata=\"https://a/b\", scope=\"c d\"",
        ),
        ("www-authenticate", "DPoP algs=\"ES256\""),
    ];
    let denied = refused(of_reply(answer(401, &challenges)).unwrap());
    let append = HeaderAppendAction::AppendIfExistsOrAdd;
    assert_eq!(
        fields(&denied.headers),
        [
            (
                "content-type",
                "application/json",
                HeaderAppendAction::OverwriteIfExistsOrAdd
            ),
            ("www-authenticate", challenges[1].1, append),
            ("www-authenticate", challenges[2].1, append),
        ]
    );
}

#[test]
fn a_denial_with_an_unfit_header_is_unfit() {
    assert_eq!(
        of_reply(answer(401, &[("x-a", "b\r\n\r\nc")])),
        Err(Unfit::Value("x-a"))
    );
    assert_eq!(of_reply(answer(401, &[("x-a", "")])), Err(Unfit::Value("x-a")));
    assert_eq!(of_reply(answer(401, &[("x a", "b")])), Err(Unfit::Name));
}

#[test]
fn both_outcomes_carry_metadata_on_the_top_level() {
    let metadata = object(json!({"outcome": "allowed", "reason": "a"}));
    let forward = Forward {
        metadata: vec![("outcome", "allowed".to_owned()), ("reason", "a".to_owned())],
        ..Forward::default()
    };
    let answer = Answer {
        status: 403,
        headers: vec![],
        body: String::new(),
        metadata: metadata.clone(),
    };
    for reply in [Reply::Forward(forward), Reply::Answer(answer)] {
        let response = of_reply(reply).unwrap();
        let sent = metadata::to_json(response.dynamic_metadata.unwrap()).unwrap();
        assert_eq!(sent, metadata);
    }
    assert_eq!(of_reply(forward_nothing()).unwrap().dynamic_metadata, None);
}

fn forward_nothing() -> Reply {
    Reply::Forward(Forward::default())
}

#[test]
fn a_failure_is_a_denial_in_json_with_its_reason() {
    let cases = [
        (Failure::NoHttpRequest, 503, "check_without_http"),
        (Failure::Certificate, 503, "check_certificate_malformed"),
        (
            Failure::Metadata(NotJson::TooDeep),
            503,
            "check_metadata_malformed",
        ),
        (Failure::TooLarge, 413, "check_too_large"),
        (Failure::Unreadable, 503, "check_unreadable"),
        (Failure::Abandoned, 503, "check_abandoned"),
        (Failure::Overloaded, 503, "overloaded"),
        (Failure::DeadlinePassed, 503, "deadline_passed"),
        (Failure::Panicked, 503, "internal_fault"),
        (Failure::UnfitReply(Unfit::Name), 503, "reply_unfit"),
    ];
    for (failure, status, reason) in cases {
        let response = of_failure(failure, None);
        assert_ne!(response.status.as_ref().unwrap().code, 0);
        let metadata = metadata::to_json(response.dynamic_metadata.clone().unwrap()).unwrap();
        assert_eq!(
            Value::Object(metadata),
            json!({"outcome": "denied", "reason": reason})
        );
        let denied = refused(response);
        assert_eq!(denied.status.as_ref().unwrap().code, status);
        let body: Value = serde_json::from_str(&denied.body).unwrap();
        assert_eq!(body["jsonrpc"], "2.0");
        assert_eq!(body["id"], Value::Null);
        assert_eq!(body["error"]["code"], status);
        assert_eq!(body["error"]["data"]["reason"], reason);
        let names: Vec<_> = fields(&denied.headers)
            .into_iter()
            .map(|(name, _, _)| name)
            .collect();
        let expected: &[&str] = if status == 503 {
            &["content-type", "retry-after"]
        } else {
            &["content-type"]
        };
        assert_eq!(names, expected);
    }
}

fn forwards() -> impl Strategy<Value = Forward> {
    let name = || prop::sample::select(vec!["x-a", "x-b", "x-mcp-user", "dpop-nonce", "X-Bad"]);
    // Lengths at which the length of a length changes, too.
    let value = || {
        prop_oneof![
            4 => "[ -~]{0,20}",
            1 => "[!-~]{100,300}",
            1 => "\\PC{0,5}",
        ]
    };
    let fields = || prop::collection::vec((name(), value()), 0..4);
    let metadata = prop::collection::btree_map(name(), "\\PC{0,200}", 0..4);
    let withheld = prop::option::of(prop::sample::select(vec!["x-svid", "x-a"]));
    (
        fields(),
        fields(),
        prop::collection::vec(name(), 0..3),
        withheld,
        metadata,
    )
        .prop_map(|(set, answer, remove, withheld, metadata)| Forward {
            set,
            answer,
            remove,
            withheld: withheld.map(Into::into),
            metadata: metadata.into_iter().collect(),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn the_bytes_of_an_allow_are_those_of_the_generated_types(forward in forwards()) {
        let plain = of_reply(Reply::Forward(forward.clone()));
        let frame = frame_of(Reply::Forward(forward));
        match (plain, frame) {
            (Ok(plain), Ok(frame)) => {
                prop_assert_eq!(&frame[..PREFIX], &framed(&plain)[..PREFIX]);
                prop_assert_eq!(CheckResponse::decode(&frame[PREFIX..]), Ok(plain));
            }
            (plain, frame) => prop_assert_eq!(plain.map(drop), frame.map(drop)),
        }
    }
}
