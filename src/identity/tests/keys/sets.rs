//! Which keys of a set may verify, and which settings can be used.

use super::*;

#[test]
fn leaves_out_every_key_that_must_not_verify() {
    use jsonwebtoken::Algorithm::{ES256, RS256};
    let (ec, rsa, ed) = (Signer::ec(), Signer::rsa(), Signer::ed());
    let changed = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        jwk
    };
    let short = rsa.jwk("x")["n"].as_str().unwrap()[..171].to_owned();
    let cases = [
        ("good", ec.jwk("x"), 1),
        ("good", rsa.jwk("x"), 1),
        ("for encryption", changed(ec.jwk("x"), "use", json!("enc")), 0),
        ("an unknown use", changed(ec.jwk("x"), "use", json!(5)), 0),
        ("RSA-OAEP", changed(rsa.jwk("x"), "alg", json!("RSA-OAEP")), 0),
        (
            "an algorithm not configured",
            changed(rsa.jwk("x"), "alg", json!("PS256")),
            0,
        ),
        (
            "an algorithm of another type",
            changed(ec.jwk("x"), "alg", json!("RS256")),
            0,
        ),
        (
            "HS256 on a public key",
            changed(rsa.jwk("x"), "alg", json!("HS256")),
            0,
        ),
        (
            "only for wrapping",
            changed(ec.jwk("x"), "key_ops", json!(["wrapKey"])),
            0,
        ),
        (
            "for verifying",
            changed(ec.jwk("x"), "key_ops", json!(["verify"])),
            1,
        ),
        (
            "with its private part",
            changed(ec.jwk("x"), "d", json!("AAAA")),
            0,
        ),
        ("symmetric", Signer::Secret(vec![1; 32]).jwk("x"), 0),
        ("RSA of 1024 bits", changed(rsa.jwk("x"), "n", json!(short)), 0),
        (
            "a curve not allowed",
            changed(ec.jwk("x"), "crv", json!("secp256k1")),
            0,
        ),
        (
            "a coordinate cut off",
            changed(ec.jwk("x"), "x", json!("AAAA")),
            0,
        ),
        ("Ed25519, not configured", ed.jwk("x"), 0),
        ("a kid that is no text", changed(ec.jwk("x"), "kid", json!(1)), 0),
        ("no object", json!("x"), 0),
    ];
    for (what, jwk, count) in cases {
        let set = json!({ "keys": [jwk] }).to_string();
        let keys = jwk::read_set(set.as_bytes(), &[RS256, ES256]).unwrap();
        assert_eq!(keys.len(), count, "{what}");
    }
    for no_set in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[],"keys":[]}"#,
        "<html>",
    ] {
        assert_eq!(jwk::read_set(no_set.as_bytes(), &[ES256]), None, "{no_set}");
    }
}

#[tokio::test]
async fn settings_that_contradict_themselves_do_not_start() {
    use jsonwebtoken::Algorithm::{ES256, HS256, HS512, RS256};
    let directory = tempfile::tempdir().unwrap();
    let (secret, short) = (directory.path().join("secret"), directory.path().join("short"));
    std::fs::write(&secret, [b'x'; 32]).unwrap();
    std::fs::write(&short, "too short\n").unwrap();
    let base = || settings::Issuer::new("demo", "https://issuer.example");
    let with = |change: &dyn Fn(&mut settings::Issuer)| {
        let mut settings = base();
        change(&mut settings);
        vec![settings]
    };
    let cases = [
        (
            "HS256 with public keys",
            with(&|s| s.algorithms = vec![RS256, HS256]),
            "issuer `demo`: HS256 is only taken",
        ),
        (
            "HS512",
            with(&|s| s.algorithms = vec![HS512]),
            "issuer `demo`: HS256 is only taken",
        ),
        (
            "ES256 with a secret",
            with(&|s| {
                s.keys = Keys::SecretFile(secret.clone());
                s.algorithms = vec![HS256, ES256];
            }),
            "issuer `demo`: with `secret_file` the only",
        ),
        (
            "a short secret",
            with(&|s| s.keys = Keys::SecretFile(short.clone())),
            "issuer `demo`: ",
        ),
        (
            "no such file",
            with(&|s| s.keys = Keys::File("/nowhere/jwks.json".into())),
            "issuer `demo`: `/nowhere",
        ),
        (
            "a file that is no set",
            with(&|s| s.keys = Keys::File(secret.clone())),
            "issuer `demo`: ",
        ),
        (
            "plain http",
            with(&|s| s.keys = Keys::JwksUrl("http://issuer.example/keys".into())),
            "issuer `demo`: `http:",
        ),
        (
            "a file URL",
            with(&|s| s.keys = Keys::JwksUrl("file:///etc/passwd".into())),
            "issuer `demo`: `file:",
        ),
        (
            "http on a host that begins like loopback",
            with(&|s| s.keys = Keys::JwksUrl("http://127.0.0.1.evil.example/".into())),
            "issuer `demo`: `http:",
        ),
        (
            "no URL",
            with(&|s| s.issuer = "demo".to_owned()),
            "issuer `demo`: `demo/",
        ),
        (
            "a fragment",
            with(&|s| s.issuer = "https://a/#b".to_owned()),
            "issuer `demo`: `issuer` must",
        ),
        (
            "a bad name",
            with(&|s| s.name = "De mo".to_owned()),
            "issuer `De mo`: its `name`",
        ),
        (
            "no time",
            with(&|s| s.refresh_interval = Duration::from_secs(0)),
            "issuer `demo`: fetching needs",
        ),
        ("twice", vec![base(), base()], "issuer `demo`: its `name` and"),
        (
            "a CA file that is none",
            with(&|s| s.ca_file = Some(secret.clone())),
            "issuer `demo`: ",
        ),
    ];
    for (what, issuers, message) in cases {
        let started = Verifier::start(
            Settings {
                issuers,
                ..Settings::default()
            },
            Arc::new(Memory::default()),
        )
        .await;
        let error = started.map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{what}: {error}");
    }
}
