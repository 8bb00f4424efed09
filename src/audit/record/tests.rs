//! Lines are whole, ordered, bounded and can't be forged.

use super::*;
use crate::audit::{AuditSettings, Redactor, ShowArguments};
use crate::mcp::json::{Number, Object, Value};

fn full() -> Record<'static> {
    Record {
        time: "2026-03-01T12:00:00.000042Z".parse().unwrap(),
        decision_id: "0195".into(),
        outcome: "denied",
        reason: Some("no_permit"),
        server: Some("workbench".into()),
        method: Some("tools/call".into()),
        protocol_version: Some("2025-11-25"),
        target: Some("run_shell".into()),
        target_kind: None,
        user: Some(User {
            issuer: "https://idp".into(),
            subject: "42".into(),
            username: "alice".into(),
            claims: Some(RawValue::from_string(r#"{"roles":["a"]}"#.into()).unwrap().into()),
        }),
        workload: Some("spiffe://mcp-identity.local/agent/trusted/1".into()),
        actor: None,
        actor_client: None,
        actors: Vec::new(),
        tenant: Some("blue".into()),
        session: Some("9f86d081884c7d65".into()),
        policies: vec![PolicyEffect {
            id: "people".into(),
            principal: "user",
            effect: "permit",
        }],
        shadow: vec![ShadowOpinion {
            from: "directory",
            would: "allow",
            code: Some("would_allow"),
            because: None,
            policies: Vec::new(),
            policy_version: Some("def".into()),
        }],
        policy_version: Some("abc".into()),
        durations_us: Durations {
            total: 120,
            read: Some(4),
            identity: Some(50),
            policy: None,
        },
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        gateway: "envoy".into(),
        request_id: Some("r-1".into()),
        client: Some("192.0.2.7".parse().unwrap()),
        batch: Some(Batch { index: 0, size: 2 }),
        arguments: None,
    }
}

fn text(record: &Record<'_>) -> String {
    String::from_utf8(record.to_line()).unwrap()
}

#[test]
fn a_record_is_one_line_with_its_fields_in_a_fixed_order() {
    let settings = AuditSettings {
        arguments: ShowArguments::All,
        ..AuditSettings::default()
    };
    let arguments = Object(vec![("replicas".into(), Value::Number(Number::new("3.50")))]);
    let arguments = Redactor::new(&settings).unwrap().arguments(&arguments);
    insta::assert_snapshot!(text(&Record { arguments, ..full() }), @r#"{"time":"2026-03-01T12:00:00.000042Z","decision_id":"0195","outcome":"denied","reason":"no_permit","server":"workbench","method":"tools/call","protocol_version":"2025-11-25","target":"run_shell","user":{"issuer":"https://idp","subject":"42","username":"alice","claims":{"roles":["a"]}},"workload":"spiffe://mcp-identity.local/agent/trusted/1","tenant":"blue","session":"9f86d081884c7d65","policies":[{"id":"people","principal":"user","effect":"permit"}],"shadow":[{"from":"directory","would":"allow","code":"would_allow","policy_version":"def"}],"policy_version":"abc","durations_us":{"total":120,"read":4,"identity":50},"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","gateway":"envoy","request_id":"r-1","client":"192.0.2.7","batch":{"index":0,"size":2},"arguments":{"replicas":3.50},"arguments_as":"all"}"#);
}

#[test]
fn what_is_not_known_is_left_out() {
    let line = text(&Record {
        outcome: "gateway_gone",
        ..Record::default()
    });
    assert_eq!(
        line,
        "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"decision_id\":\"\",\"outcome\":\"gateway_gone\",\
         \"durations_us\":{\"total\":0},\"gateway\":\"\"}\n"
    );
}

#[test]
fn a_hostile_name_neither_forges_nor_disturbs_a_line() {
    let names = [
        "a\n{\"outcome\":\"allowed\"}",
        "a\r\u{1b}[2K\u{1b}[1Aallowed",
        "\u{9b}31m",
        "\u{202e}dewolla\u{202c}",
        "\u{2066}x\u{2069}\u{200b}\u{feff}",
        "line\u{2028}separator\u{85}",
        "\",\"outcome\":\"allowed",
        "tag\u{e0041}\u{0}",
    ];
    for name in names {
        let line = text(&Record {
            target: Some(name.into()),
            ..full()
        });
        let (json, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        assert!(!json.chars().any(printable::disturbs), "{json:?}");
        let read: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(read["target"], name);
        assert_eq!(read["outcome"], "denied");
    }
}

#[test]
fn a_long_text_is_cut_with_a_mark_and_never_inside_a_character() {
    let line = text(&Record {
        target: Some("é".repeat(5000).into()),
        gateway: "x".repeat(10_000).into(),
        ..full()
    });
    let read: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["target"], format!("{}…(+8976 bytes)", "é".repeat(512)));
    assert_eq!(read["gateway"], format!("{}…(+8976 bytes)", "x".repeat(1024)));
}

#[test]
fn a_thousand_policies_are_cut_and_counted() {
    let policy = PolicyEffect {
        id: "p".into(),
        principal: "user",
        effect: "permit",
    };
    let line = text(&Record {
        policies: vec![policy; 1000],
        ..full()
    });
    let read: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["policies"].as_array().unwrap().len(), MAX_POLICIES + 1);
    assert_eq!(read["policies"][MAX_POLICIES]["omitted"], 968);
}

proptest::proptest! {
    #[test]
    fn every_line_reads_back(target in ".*", user in "\\PC{0,40}", gateway in "(?s).{0,40}", value in "(?s).{0,40}") {
        let settings = AuditSettings { arguments: ShowArguments::All, ..AuditSettings::default() };
        let arguments = Object(vec![(target.clone(), Value::Array(vec![Value::String(value.clone())]))]);
        let record = Record {
            target: Some(target.as_str().into()),
            user: Some(User { username: user.as_str().into(), ..User::default() }),
            gateway: gateway.as_str().into(),
            arguments: Redactor::new(&settings).unwrap().arguments(&arguments),
            ..full()
        };
        let line = text(&record);
        proptest::prop_assert_eq!(line.matches('\n').count(), 1);
        proptest::prop_assert!(!line.trim_end_matches('\n').chars().any(printable::disturbs));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        proptest::prop_assert_eq!(read["target"].as_str(), Some(target.as_str()));
        proptest::prop_assert_eq!(read["user"]["username"].as_str(), Some(user.as_str()));
        proptest::prop_assert_eq!(read["gateway"].as_str(), Some(gateway.as_str()));
        if target.len() <= 256 {
            proptest::prop_assert_eq!(read["arguments"][target.as_str()][0].as_str(), Some(value.as_str()));
        }
    }
}
