//! Envoy's own `jwt_authn` verifies the token and passes on its claims: believed where the configuration trusts this gateway
//! for it, and nowhere else.

use std::process::Command;

use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::part::{self, Part};
use mcp_authz::dev::stack::Stack;
use serde_json::{Value, json};

use crate::parts::caller::{Caller, TRUSTED, developer, person};
use crate::parts::{audit, repository, temporary, with_own_stack, with_stack};

/// A second Envoy before the stack's mcp-authz, which verifies tokens itself. It ends when this is dropped.
struct Verifying {
    _part: Part,
    port: u16,
}

/// The shipped configuration with `jwt_authn` before `ext_authz`, which is shown what it found.
async fn verifying(stack: &Stack, name: &str, forward: bool) -> Verifying {
    let directory = temporary(name).join("envoy");
    std::fs::create_dir_all(&directory).unwrap();
    let [port, admin] = part::free_ports().unwrap();
    let provider = json!({
        "issuer": stack.issuer.issuer(),
        "local_jwks": { "inline_string": stack.issuer.jwks().to_string() },
        "payload_in_metadata": "jwt_payload",
        "forward": forward,
    });
    let filter = json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "demo": provider },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "demo" } }],
        },
    });
    let shipped = std::fs::read_to_string(stack.directory.join("envoy.yaml")).unwrap();
    let ext_authz = "                  - name: envoy.filters.http.ext_authz\n";
    let version = "                      transport_api_version: V3\n";
    let shown = "                      metadata_context_namespaces: [envoy.filters.http.jwt_authn]\n";
    assert_eq!(
        (
            shipped.matches(ext_authz).count(),
            shipped.matches(version).count()
        ),
        (1, 1)
    );
    let configuration = shipped
        .replace(ext_authz, &format!("                  - {filter}\n{ext_authz}"))
        .replace(version, &format!("{version}{shown}"))
        .replace(&stack.ports.listener.to_string(), &port.to_string())
        .replace(&stack.ports.admin.to_string(), &admin.to_string());
    let path = directory.join("envoy.yaml");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new(repository().join(".tools/venv/bin/envoy"));
    command.arg("-c").arg(&path).arg("--disable-hot-restart");
    let mut part = Part::start(name, &command, &directory.join("envoy.log")).unwrap();
    part.ready(|| part::answers_ok(admin, "/ready")).await.unwrap();
    part.ready(|| part::accepts(port)).await.unwrap();
    Verifying { _part: part, port }
}

impl Verifying {
    /// A caller by way of this Envoy, with a token for the server behind the stack's own.
    fn caller(&self, stack: &Stack, mint: &Mint) -> Caller {
        let url = format!("https://localhost:{}/workbench/mcp", self.port);
        Caller {
            url,
            ..Caller::new(stack, mint, TRUSTED, "workbench")
        }
    }
}

/// The token with the signature of another text.
fn forged(token: &str) -> String {
    let (text, signature) = token.rsplit_once('.').unwrap();
    let signature: String = signature.chars().rev().collect();
    format!("{text}.{signature}")
}

fn trusting() -> Value {
    json!({ "identity": { "gateways": [{
        "name": "envoy", "certificate": "spiffe://mcp-identity.local/gateway/envoy",
        "trusted_for": ["principal", "xfcc", "jwt_claims"],
    }] } })
}

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
}

#[test]
fn claims_that_envoy_verified_name_the_user_where_it_is_trusted_for_them() {
    with_own_stack("jwt-authn", trusting(), async |stack, _| {
        for forward in [false, true] {
            let envoy = verifying(&stack, &format!("jwt-authn-{forward}"), forward).await;
            let caller = envoy.caller(&stack, &developer());
            let reply = caller.call("fs_read", &read()).await;
            assert_eq!(reply.seen("x-mcp-user").as_deref(), Some("dan"), "{reply:?}");
            assert_eq!(reply.seen("authorization").is_some(), forward, "{reply:?}");
            let record = audit::record(&stack, &reply.decision_id()).await;
            assert_eq!(record["user"]["issuer"], stack.issuer.issuer(), "{record}");

            let viewer = envoy.caller(&stack, &person("vera", &["mcp-viewer"], &[]));
            let note = json!({ "path": "/srv/work/notes/jwt-authn", "content": "x", "create": true });
            viewer
                .call("fs_write", &note)
                .await
                .assert_denied(200, "no_permit");

            // Envoy's own no, before anybody asks us.
            let liar = Caller {
                token: caller.token.as_deref().map(forged),
                ..caller.clone()
            };
            let refused = liar.request("POST").body("{}").send().await.unwrap();
            assert_eq!(refused.status(), 401);
            assert!(refused.text().await.unwrap().contains("Jwt verification fails"));
        }
        stack
    });
}

#[test]
fn what_envoy_verified_is_held_to_all_that_a_token_is_held_to() {
    with_own_stack("jwt-authn-checks", trusting(), async |stack, _| {
        let envoy = verifying(&stack, "jwt-authn-checks", false).await;
        let claiming = |name: &str, value: Value| Mint {
            extra: [(name.to_owned(), value)].into_iter().collect(),
            ..developer()
        };
        let cases = [
            (
                claiming("aud", json!("https://elsewhere.example/mcp")),
                "wrong_audience",
            ),
            (claiming("typ", json!("ID")), "wrong_type"),
            // Whoever stole it needs no key: the proof can't be held against a token that nobody passed on.
            (claiming("cnf", json!({ "jkt": "x" })), "confirmation_malformed"),
            (
                claiming(
                    "cnf",
                    json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
                ),
                "bound_token_without_proof",
            ),
        ];
        for (mint, reason) in cases {
            let reply = envoy.caller(&stack, &mint).call("fs_read", &read()).await;
            reply.assert_denied(401, reason);
        }
        stack
    });
}

#[test]
fn claims_of_an_envoy_that_is_not_trusted_for_them_are_nothing() {
    with_stack(async |stack| {
        let envoy = verifying(stack, "jwt-authn-untrusted", false).await;
        let reply = envoy.caller(stack, &developer()).call("fs_read", &read()).await;
        reply.assert_denied(401, "no_credential");
        // What a client says itself is no metadata, whatever it is called.
        let caller = Caller::without_token(stack, TRUSTED, "workbench");
        let claims = json!({ "iss": stack.issuer.issuer(), "sub": "admin" }).to_string();
        let said = [("x-jwt-payload", &*claims), ("x-mcp-user", "admin")];
        caller
            .call_with("fs_read", &read(), &said)
            .await
            .assert_denied(401, "no_credential");
    });
}
