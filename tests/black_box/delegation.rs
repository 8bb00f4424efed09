//! Who acts for a user, and how long ago the user logged in: told by tokens, decided through the gateway.

use mcp_authz::clock;
use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::stack::{self, Stack};
use serde_json::{Value, json};

use crate::parts::caller::{Caller, TRUSTED, UNTRUSTED, developer, person};
use crate::parts::{audit, copy, repository, run, settings, temporary};

/// What the policies of these tests have besides the shipped ones.
const MORE: &str = r#"
@id("the-report-agent-reads")
permit (principal is Agent, action == Action::"workbench/fs_read", resource)
when { principal has subject && principal.subject == "report-agent" };

@id("confidential-after-a-fresh-login")
@max_age("15m")
permit (principal is User, action == Action::"info/get_confidential_info", resource)
when { principal has authenticated && context.now.durationSince(principal.authenticated) <= duration("15m") };
"#;

/// A stack whose workbench wants to know who acts, and lets a gateway's workload pass an agent's calls on if `proxied`.
async fn with_actors(name: &str, proxied: bool) -> Stack {
    let policies = temporary(name).join("policies");
    let _ = std::fs::remove_dir_all(&policies);
    copy(&repository().join("policies"), &policies);
    // They say what holds where no actor is asked for.
    std::fs::remove_dir_all(policies.join("tests")).unwrap();
    std::fs::write(policies.join("more.cedar"), MORE).unwrap();
    // A scope would do as well, and is asked for first.
    let info = std::fs::read_to_string(policies.join("info.cedar")).unwrap();
    let info = info.replace("@scope(\"confidential:read\")\n", "");
    std::fs::write(policies.join("info.cedar"), info).unwrap();
    let ports = stack::Ports::free(None).await.unwrap();
    let configuration = json!({ "servers": [
        { "name": "workbench", "resource": ports.url("workbench"), "require": ["user", "workload", "actor"],
          "proxied_actors": proxied },
        { "name": "info", "resource": ports.url("info"), "scopes": ["public:read"] },
    ]});
    let settings = settings(name, policies, configuration);
    Stack::start_at(&settings, ports)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

fn acting(act: Value) -> Mint {
    Mint {
        extra: [("act".to_owned(), act)].into_iter().collect(),
        ..developer()
    }
}

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
}

#[test]
fn a_call_needs_its_users_its_workloads_and_its_actors_permit() {
    run(async {
        let stack = with_actors("actors", true).await;
        let agent = json!({ "sub": "report-agent" });
        let delegated = Caller::new(&stack, &acting(agent.clone()), TRUSTED, "workbench");
        let reply = delegated.call("fs_read", &read()).await;
        assert_eq!(
            reply.seen("x-mcp-policies").as_deref(),
            Some("developers-on-workbench,the-report-agent-reads,trusted-agents-on-workbench"),
            "{reply:?}"
        );
        let key = format!("{}#subject:report-agent", stack.issuer.issuer());
        assert_eq!(reply.seen("x-mcp-agent").as_deref(), Some(&*key));
        let record = audit::record(&stack, &reply.decision_id()).await;
        assert_eq!(record["actor"], *key, "{record}");

        // User and workload may write; the agent may not.
        let note = json!({ "path": "/srv/work/notes/actor", "content": "x", "create": true });
        let reply = delegated.call("fs_write", &note).await;
        reply.assert_denied(200, "no_permit");

        // A token from within the chain is recorded and decides nothing.
        let chain = json!({ "sub": "report-agent", "act": { "sub": "another-agent" } });
        let nested = Caller::new(&stack, &acting(chain), TRUSTED, "workbench");
        let reply = nested.call("fs_read", &read()).await;
        reply.assert_allowed();
        let record = audit::record(&stack, &reply.decision_id()).await;
        assert!(record.to_string().contains("another-agent"), "{record}");

        let another = json!({ "sub": "another-agent", "act": agent });
        let another = Caller::new(&stack, &acting(another), TRUSTED, "workbench");
        another
            .call("fs_read", &read())
            .await
            .assert_denied(200, "no_permit");
        stack.stop().await;
    });
}

#[test]
fn an_actor_that_is_a_workload_calls_itself_or_is_asked_about_too() {
    run(async {
        let strict = with_actors("actors-strict", false).await;
        let itself = Caller::new(&strict, &acting(json!({ "sub": TRUSTED })), TRUSTED, "workbench");
        itself.call("fs_read", &read()).await.assert_allowed();
        let cases = [
            (acting(json!({ "sub": UNTRUSTED })), 403, "actor_disagrees"),
            (developer(), 403, "actor_missing"),
            (acting(json!("report-agent")), 401, "actor_malformed"),
            (
                acting(json!({ "sub": "report-agent", "iss": "https://evil.example" })),
                401,
                "actor_issuer_not_accepted",
            ),
            (
                acting(json!({ "sub": "spiffe://evil.example/agent" })),
                401,
                "actor_foreign_trust_domain",
            ),
        ];
        for (mint, status, reason) in cases {
            let caller = Caller::new(&strict, &mint, TRUSTED, "workbench");
            caller
                .call("fs_read", &read())
                .await
                .assert_denied(status, reason);
        }
        strict.stop().await;

        // Passed on: what the untrusted agent may not, it may not through a trusted one either.
        let proxied = with_actors("actors-proxied", true).await;
        let through = Caller::new(
            &proxied,
            &acting(json!({ "sub": UNTRUSTED })),
            TRUSTED,
            "workbench",
        );
        through.call("fs_read", &read()).await.assert_allowed();
        let note = json!({ "path": "/srv/work/notes/proxied", "content": "x", "create": true });
        through
            .call("fs_write", &note)
            .await
            .assert_denied(200, "no_permit");
        proxied.stop().await;
    });
}

#[test]
fn a_login_that_is_too_old_is_asked_for_again_and_a_fresh_one_is_taken() {
    run(async {
        let stack = with_actors("fresh-login", false).await;
        let logged_in = |seconds_ago: i64| Mint {
            extra: [(
                "auth_time".to_owned(),
                json!(clock::now().as_second() - seconds_ago),
            )]
            .into_iter()
            .collect(),
            ..person("pia", &[], &["public:read"])
        };
        let call = async |mint: &Mint| {
            let caller = Caller::new(&stack, mint, TRUSTED, "info");
            caller.call("get_confidential_info", &json!({})).await
        };
        let old = call(&logged_in(3600)).await;
        old.assert_denied(401, "insufficient_user_authentication");
        let challenge = old.header("www-authenticate");
        assert!(
            challenge.ends_with(
                "scope=\"public:read\", error=\"insufficient_user_authentication\", max_age=\"900\""
            ),
            "{challenge}"
        );
        call(&logged_in(60)).await.assert_allowed();
        call(&logged_in(-3600))
            .await
            .assert_denied(401, "authenticated_in_future");
        stack.stop().await;
    });
}
