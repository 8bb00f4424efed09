//! What a record may hold of a client's values.

use super::*;
use crate::audit::Record;

const SECRET: &str = "hunter2-planted";

fn call() -> Object {
    Object(vec![
        ("path".into(), Value::String(SECRET.into())),
        ("count".into(), Value::Number(Number::new("9007199254740993"))),
        (
            "deep".into(),
            Value::Object(Object(vec![
                ("z".into(), Value::Null),
                (
                    "a".into(),
                    Value::Array(vec![Value::Bool(true), Value::Number(Number::new("48.858370"))]),
                ),
            ])),
        ),
    ])
}

fn redactor(arguments: ShowArguments) -> Redactor {
    let key = Some(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32])));
    Redactor {
        arguments,
        max_bytes: 4096,
        written: None,
        session: ShowSession::Fingerprint,
        key,
    }
}

/// What of a record's line is about the arguments, as an object of its own.
fn shown(redactor: &Redactor, arguments: &Object) -> String {
    let record = Record {
        arguments: redactor.arguments(arguments),
        ..Record::default()
    };
    let line = String::from_utf8(record.to_line()).unwrap();
    let (_, members) = line.trim_end().split_once(r#""gateway":"""#).unwrap();
    format!("{{{}", members.trim_start_matches(','))
}

#[test]
fn none_shows_nothing() {
    assert_eq!(shown(&redactor(ShowArguments::None), &call()), "{}");
}

#[test]
fn names_shows_types_and_no_values() {
    assert_eq!(
        shown(&redactor(ShowArguments::Names), &call()),
        r#"{"arguments":{"path":"string","count":"number","deep":"object"},"arguments_as":"names"}"#
    );
}

#[test]
fn all_shows_values_as_they_were_spelt() {
    assert_eq!(
        shown(&redactor(ShowArguments::All), &call()),
        r#"{"arguments":{"path":"hunter2-planted","count":9007199254740993,"deep":{"z":null,"a":[true,48.858370]}},"arguments_as":"all"}"#
    );
}

#[test]
fn hash_is_the_hmac_of_the_canonical_text_so_an_auditor_can_look_a_value_up() {
    let text = shown(&redactor(ShowArguments::Hash), &call());
    assert!(!text.contains(SECRET));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let of = |canonical: &str| hex::of(hmac::sign(&key, canonical.as_bytes()).as_ref());
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["arguments"]["path"], of("\"hunter2-planted\""));
    assert_eq!(read["arguments"]["count"], of("9007199254740993"));
    assert_eq!(
        read["arguments"]["deep"],
        of(r#"{"a":[true,48.858370],"z":null}"#)
    );
}

#[test]
fn a_number_that_readers_cannot_hold_is_shown_as_a_string() {
    let arguments = Object(vec![("n".into(), Value::Number(Number::new("1e400")))]);
    assert_eq!(
        shown(&redactor(ShowArguments::All), &arguments),
        r#"{"arguments":{"n":"1e400"},"arguments_as":"all"}"#
    );
}

#[test]
fn what_has_no_room_is_left_out_and_counted() {
    let many = (0..10_000).map(|n| (format!("n{n}"), Value::Null)).collect();
    let read: serde_json::Value =
        serde_json::from_str(&shown(&redactor(ShowArguments::Names), &Object(many))).unwrap();
    let kept = read["arguments"].as_object().unwrap().len();
    assert!(kept > 200);
    assert_eq!(read["arguments_omitted"], 10_000 - kept);

    let huge = Value::Array(vec![Value::String("x".repeat(900)); 1000]);
    let arguments = Object(vec![
        ("huge".into(), huge),
        ("x".repeat(257), Value::Null),
        ("small".into(), Value::Null),
    ]);
    assert_eq!(
        shown(&redactor(ShowArguments::All), &arguments),
        r#"{"arguments":{"small":null},"arguments_omitted":2,"arguments_as":"all"}"#
    );
}

#[test]
fn a_session_is_shown_by_a_fingerprint_unless_asked_for() {
    let mut redactor = redactor(ShowArguments::Names);
    let keyed = redactor.session("session-1");
    assert_eq!(keyed.len(), 16);
    redactor.key = None;
    let plain_hash = redactor.session("session-1");
    assert_eq!(plain_hash.len(), 16);
    assert_ne!(keyed, plain_hash);
    redactor.session = ShowSession::Plain;
    assert_eq!(redactor.session("session-1"), "session-1");
}

#[test]
fn hashing_needs_a_key_of_32_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let mut settings = AuditSettings {
        arguments: ShowArguments::Hash,
        ..AuditSettings::default()
    };
    assert!(matches!(Redactor::new(&settings), Err(RedactError::NoKey)));
    settings.key_file = Some(path.clone());
    assert!(matches!(Redactor::new(&settings), Err(RedactError::Key { .. })));
    std::fs::write(&path, format!("{}\n", "k".repeat(31))).unwrap();
    assert!(matches!(
        Redactor::new(&settings),
        Err(RedactError::ShortKey { length: 31, .. })
    ));
    std::fs::write(&path, format!("{}\n", "k".repeat(32))).unwrap();
    let redactor = Redactor::new(&settings).unwrap();
    assert!(!format!("{redactor:?}").contains("kkkk"));
}

#[test]
fn neither_values_nor_keys_nor_sessions_get_into_a_log() {
    use std::io::Read as _;
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "planted-key-planted-key-planted-key-").unwrap();
    let settings = AuditSettings {
        arguments: ShowArguments::Hash,
        key_file: Some(key_file),
        ..AuditSettings::default()
    };
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(std::sync::Mutex::new(log.reopen().unwrap()))
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let redactor = Redactor::new(&settings).unwrap();
        let value = crate::mcp::json::read(br#"{"password":"planted-value"}"#, 8).unwrap();
        let shown = redactor.arguments(value.as_object().unwrap()).unwrap();
        tracing::info!(
            ?redactor,
            ?shown,
            session = redactor.session("planted-session"),
            "recorded"
        );
    });
    let mut text = String::new();
    log.reopen().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("recorded") && text.contains("password"), "{text}");
    assert!(!text.contains("planted"), "{text}");
}

#[test]
fn claims_are_written_once_for_a_user_and_anew_for_another_like_them() {
    let redactor = Redactor::new(&AuditSettings::default()).unwrap();
    let user = |role: &str| {
        let claims = serde_json::json!({ "roles": [role] });
        let somebody = User {
            roles: vec![role.to_owned()],
            ..User::named("https://idp", "ada")
        };
        (Arc::new(somebody), claims)
    };
    let (ada, of_ada) = user("admin");
    let first = redactor.claims(&ada).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(first.get()).unwrap(),
        of_ada
    );
    assert!(Arc::ptr_eq(&first, &redactor.claims(&ada).unwrap()));
    // However many come: whoever takes the place of one who is gone has claims of their own.
    for number in 0..2 * CALLERS {
        let (other, of_other) = user(&format!("role-{number}"));
        let claims = redactor.claims(&other).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(claims.get()).unwrap(),
            of_other
        );
    }
    let none = AuditSettings {
        claims: ShowClaims::None,
        ..AuditSettings::default()
    };
    assert!(Redactor::new(&none).unwrap().claims(&ada).is_none());
}
