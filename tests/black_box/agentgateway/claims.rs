//! agentgateway verifies the tokens itself and takes them away: its claims count where mcp-authz was told so, and are
//! checked all the same.

use mcp_authz::dev::mint::Mint;
use serde_json::{Value, json};

use super::ground::{Ground, Switch, WORKBENCH, with, without};
use crate::parts::caller::{developer, person};
use crate::parts::with_stack;

#[test]
fn claims_that_the_gateway_verified_count_where_both_sides_say_so() {
    with_stack(async |stack| {
        let both = Switch {
            gateway: true,
            authz: true,
        };
        let ground = Ground::start(stack, "claims", both, |_| ()).await;
        let reply = ground.send(ground.allowed()).await;
        assert_eq!(reply.seen("x-mcp-user").as_deref(), Some("dan"));
        assert_eq!(reply.seen("authorization"), None, "the gateway keeps the token");
        let good = || Mint {
            audiences: vec![WORKBENCH.to_owned()],
            ..developer()
        };
        let claiming = |name: &str, value: Value| Mint {
            extra: [(name.to_owned(), value)].into_iter().collect(),
            ..good()
        };
        // The gateway here refuses nothing: what it should have refused is refused.
        let cases = [
            (
                Mint {
                    audiences: vec!["https://localhost:8443/info/mcp".to_owned()],
                    ..good()
                },
                "wrong_audience",
            ),
            (
                Mint {
                    lifetime_seconds: -600,
                    ..good()
                },
                "expired",
            ),
            (claiming("iss", json!("https://evil.example")), "issuer_unknown"),
            (claiming("exp", Value::Null), "no_expiry"),
        ];
        for (mint, reason) in cases {
            let request = with(
                without(ground.allowed(), "authorization"),
                "authorization",
                ground.token(&mint),
            );
            ground.send(request).await.assert_denied(401, reason);
        }
        // Its 401 comes from mcp-authz, and says where to get a token.
        let nobody = ground.send(without(ground.allowed(), "authorization")).await;
        nobody.assert_denied(401, "no_credential");
        assert!(nobody.headers["www-authenticate"].starts_with("Bearer resource_metadata="));
        let viewer = person("vera", &["mcp-viewer"], &[]);
        let viewer = ground.token(&Mint {
            audiences: vec![WORKBENCH.to_owned()],
            ..viewer
        });
        let write = json!({ "path": "/srv/work/new.txt", "content": "x", "create": true });
        let write = with(
            without(ground.call("fs_write", &write), "authorization"),
            "authorization",
            viewer,
        );
        ground.send(write).await.assert_denied(200, "no_permit");
    });
}

#[test]
fn claims_are_nothing_where_one_side_alone_is_switched() {
    with_stack(async |stack| {
        let gateway_alone = Switch {
            gateway: true,
            authz: false,
        };
        let ground = Ground::start(stack, "gateway-alone", gateway_alone, |_| ()).await;
        ground
            .send(ground.allowed())
            .await
            .assert_denied(401, "no_credential");
    });
}
