//! The one path through the real stages, without a gateway: what is answered, and what is recorded of it.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail on the spot"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_authz::app;
use mcp_authz::clock;
use mcp_authz::config::Config;
use mcp_authz::dev::{DevIssuer, Mint};
use mcp_authz::exchange::{
    Answer, Body, Decider, Exchange, Fate, Forward, Gateway, Headers, Peer, Reply, Source,
};
use mcp_authz::identity::revocation::{self, Kind};
use mcp_authz::inventory::Files;
use mcp_authz::pipeline::Pipeline;
use mcp_authz::policy::{Line, PolicySet};
use mcp_authz::state::Revocation;
use serde_json::{Value, json};
use tempfile::TempDir;

const RESOURCE: &str = "https://mcp.example/workbench/mcp";
const TRUSTED: &str = "spiffe://mcp-identity.local/agent/trusted/1";
const UNTRUSTED: &str = "spiffe://mcp-identity.local/agent/untrusted/1";

struct House {
    pipeline: Pipeline,
    issuer: DevIssuer,
    folder: TempDir,
}

async fn house(settings: &str) -> House {
    house_with(settings, "durability: queued").await
}

/// A house with these settings of its server and of its audit.
async fn house_with(settings: &str, audit: &str) -> House {
    let folder = tempfile::tempdir().unwrap();
    let issuer = DevIssuer::create(folder.path(), "https://id.example/realms/mcp").unwrap();
    let text = format!(
        "servers:\n  - {{name: workbench, resource: {RESOURCE}, origins: ['https://app.example']{settings}}}\n\
         identity:\n  issuers: [{{name: dev, issuer: 'https://id.example/realms/mcp', keys: {{file: {keys}}}}}]\n  \
         gateways: [{{name: unix, unix: true, trusted_for: [principal]}}]\n  \
         spiffe: {{trust_domains: [mcp-identity.local]}}\naudit: {{file: {file}, {audit}}}\n",
        keys = folder.path().join("jwks.json").display(),
        file = folder.path().join("audit.jsonl").display(),
    );
    let config = Config::read(None, &text, []).unwrap_or_else(|problems| panic!("{problems:?}"));
    House {
        pipeline: app::pipeline(&config).await.unwrap(),
        issuer,
        folder,
    }
}

impl House {
    fn token(&self, user: &str, role: &str) -> String {
        let mint = Mint {
            user: user.to_owned(),
            roles: vec![role.to_owned()],
            audiences: vec![RESOURCE.to_owned()],
            ..Mint::default()
        };
        self.issuer.mint(&mint, clock::now()).unwrap()
    }

    fn exchange(token: Option<&str>, agent: &str, body: &Value) -> Exchange {
        let mut headers: Headers = [("content-type", "application/json")].into_iter().collect();
        if let Some(token) = token {
            headers.push("authorization", format!("Bearer {token}"));
        }
        Exchange {
            method: "POST".to_owned(),
            path: "/workbench/mcp".to_owned(),
            host: "mcp.example".to_owned(),
            scheme: "https".to_owned(),
            headers,
            body: Body::Whole(body.to_string().into()),
            source: Source {
                principal: Some(agent.to_owned()),
                ..Source::default()
            },
            context: [("server".to_owned(), "workbench".to_owned())].into(),
            filter_metadata: serde_json::Map::new(),
            gateway: Gateway {
                peer: Peer::Unix,
                ..Gateway::default()
            },
            request_id: "r1".to_owned(),
            received: clock::now(),
            started: clock::instant(),
            deadline: clock::instant() + Duration::from_secs(5),
            fate: Fate::default(),
        }
    }

    async fn ask(&self, role: &str, agent: &str, body: &Value) -> Reply {
        let token = self.token("alice", role);
        self.pipeline
            .answer(Box::new(Self::exchange(Some(&token), agent, body)))
            .await
    }

    /// Every record so far, once they are written.
    async fn records(&self) -> Vec<Value> {
        self.pipeline
            .journal
            .close(clock::instant() + Duration::from_secs(5))
            .await
            .unwrap();
        let lines = std::fs::read_to_string(self.audit()).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            // The others are about the journal itself.
            .filter(|line: &Value| line["decision_id"].is_string())
            .collect()
    }

    fn audit(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }
}

fn call(tool: &str, arguments: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
}

fn forward(reply: Reply) -> Forward {
    match reply {
        Reply::Forward(forward) => forward,
        Reply::Answer(answer) => panic!("denied: {answer:?}"),
    }
}

fn answer(reply: Reply) -> (Answer, Value) {
    match reply {
        Reply::Answer(answer) => {
            let body = serde_json::from_str(&answer.body).unwrap();
            (answer, body)
        }
        Reply::Forward(forward) => panic!("allowed: {forward:?}"),
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer
        .headers
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn what_both_may_is_allowed_with_headers_that_name_them_and_recorded_once() {
    let house = house("").await;
    let forward = forward(
        house
            .ask(
                "mcp-developer",
                TRUSTED,
                &call("fs_write", &json!({"path": "a", "content": "b"})),
            )
            .await,
    );
    let set = |name: &str| {
        forward
            .set
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(set("x-mcp-user"), Some("alice"));
    assert_eq!(set("x-mcp-workload"), Some(TRUSTED));
    assert_eq!(set("x-mcp-action"), Some("workbench/fs_write"));
    assert_eq!(
        set("x-mcp-policies"),
        Some("developers-on-workbench,trusted-agents-on-workbench")
    );
    assert!(forward.remove.contains(&"x-mcp-agent") && forward.remove.contains(&"x-mcp-tenant"));
    let records = house.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["outcome"], "allowed");
    assert_eq!(records[0]["decision_id"], set("x-mcp-decision-id").unwrap());
    assert_eq!(records[0]["target"], "fs_write");
    assert_eq!(
        records[0]["arguments"],
        json!({"path": "string", "content": "string"})
    );
    assert_eq!(records[0]["policies"][0]["effect"], "permit");
}

#[tokio::test]
async fn a_remembered_decision_is_of_no_use_to_a_token_that_expired_or_was_revoked() {
    let house = house("").await;
    let token = house.token("alice", "mcp-developer");
    let now = clock::now();
    let ask = async |seconds: u64| {
        // A policy reads the limit.
        let body = call("db_read", &json!({"sql": "select 1", "limit": 100}));
        let mut exchange = House::exchange(Some(&token), TRUSTED, &body);
        exchange.received = now + Duration::from_secs(seconds);
        house.pipeline.answer(Box::new(exchange)).await
    };
    let looked = || {
        let lookups = house.pipeline.policies.current().decisions().lookups;
        [lookups[0], lookups[1]]
    };
    forward(ask(0).await);
    forward(ask(1).await);
    let known = [("hit", 1), ("miss", 1)];
    assert_eq!(looked(), known);
    // Longer than such a token lives.
    answer(ask(3700).await);
    let revocation = Revocation {
        id: revocation::id(Kind::Issuer, "https://id.example/realms/mcp", ""),
        issued_until: now,
        keep_until: now + Duration::from_hours(24),
    };
    let deadline = clock::instant() + Duration::from_secs(5);
    let store = house.pipeline.verifier.store();
    store.revoke(revocation, deadline).await.unwrap();
    answer(ask(2).await);
    assert_eq!(looked(), known, "policies aren't asked");
    let records = house.records().await;
    let reasons: Vec<_> = records
        .iter()
        .map(|record| record["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["allowed", "allowed", "expired", "issuer_not_before"]);
}

#[tokio::test]
async fn what_only_one_may_is_denied() {
    let house = house("").await;
    for (role, agent) in [("mcp-viewer", TRUSTED), ("mcp-developer", UNTRUSTED)] {
        let (told, body) = answer(
            house
                .ask(
                    role,
                    agent,
                    &call("fs_write", &json!({"path": "a", "content": "b"})),
                )
                .await,
        );
        assert_eq!(
            (told.status, &body["error"]["code"], &body["id"]),
            (200, &json!(403), &json!(7))
        );
        assert_eq!(body["error"]["data"]["reason"], "no_permit");
    }
}

#[tokio::test]
async fn a_forbid_is_told_with_its_reason_and_its_policy_recorded() {
    let house = house("").await;
    let (_, body) = answer(
        house
            .ask(
                "mcp-developer",
                TRUSTED,
                &call("db_read", &json!({"sql": "select 1", "limit": 500})),
            )
            .await,
    );
    assert_eq!(body["error"]["data"]["reason"], "forbidden");
    assert_eq!(
        body["error"]["data"]["reasons"],
        json!(["Only administrators may query more than 100 rows at once"])
    );
    let records = house.records().await;
    assert_eq!(
        records[0]["policies"][0],
        json!({"id": "large-queries-are-for-admins", "principal": "user", "effect": "forbid"})
    );
}

#[tokio::test]
async fn whether_a_tool_exists_is_told_only_to_who_may_know() {
    let house = house("").await;
    let (_, unknown) = answer(
        house
            .ask("mcp-viewer", TRUSTED, &call("no_such_tool", &json!({})))
            .await,
    );
    let (_, misfit) = answer(
        house
            .ask("mcp-viewer", TRUSTED, &call("shell_admin", &json!({"pid": "x"})))
            .await,
    );
    let (_, denied) = answer(
        house
            .ask("mcp-viewer", TRUSTED, &call("shell_admin", &json!({"pid": 4242})))
            .await,
    );
    for body in [&unknown, &misfit, &denied] {
        assert_eq!(body["error"]["data"]["reason"], "no_permit", "{body}");
        assert_eq!(body["error"]["message"], denied["error"]["message"]);
    }
    let (told, misfit) = answer(
        house
            .ask("mcp-admin", TRUSTED, &call("shell_admin", &json!({"pid": "x"})))
            .await,
    );
    assert_eq!((told.status, &misfit["error"]["code"]), (200, &json!(-32602)));
    assert_eq!(misfit["error"]["data"]["argument"], "/pid");
    let reasons: Vec<_> = house
        .records()
        .await
        .iter()
        .map(|record| record["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        [
            "unknown_tool",
            "arguments_dont_fit",
            "no_permit",
            "arguments_dont_fit"
        ]
    );
}

#[tokio::test]
async fn each_level_of_disclosure_tells_what_it_promises_and_no_more() {
    let reason = "Only administrators may query more than 100 rows at once";
    let remedy = "limit is 500, at most 100 is allowed";
    for (level, reasons, remedies) in [
        ("minimal", Value::Null, Value::Null),
        ("reasons", json!([reason]), Value::Null),
        ("conditions", json!([reason]), json!([[remedy]])),
    ] {
        for denials in ["jsonrpc", "tool_result"] {
            let house = house(&format!(", disclosure: {level}, denials: {denials}")).await;
            let large = call("db_read", &json!({"sql": "select 1", "limit": 500}));
            let (_, body) = answer(house.ask("mcp-developer", TRUSTED, &large).await);
            let text = body.to_string();
            assert_eq!(text.contains(reason), level != "minimal", "{body}");
            assert_eq!(text.contains(remedy), level == "conditions", "{body}");
            assert!(!text.contains("mcp-admin"), "{body}");
            if denials == "jsonrpc" {
                let data = &body["error"]["data"];
                assert_eq!(
                    (&data["reasons"], &data["remedies"]),
                    (&reasons, &remedies),
                    "{level}"
                );
            }
            // Whom nothing permits learns nothing of what is forbidden.
            let (_, stranger) = answer(house.ask("nobody", TRUSTED, &large).await);
            assert!(!stranger.to_string().contains(remedy), "{stranger}");
        }
    }
}

#[tokio::test]
async fn one_denied_call_denies_its_batch_and_each_call_is_recorded() {
    let house = house("").await;
    let mut hidden = call("shell_admin", &json!({"pid": 4242}));
    hidden["id"] = json!("b");
    let batch = json!([call("fs_read", &json!({"path": "a"})), hidden, {"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    let (told, body) = answer(house.ask("mcp-viewer", TRUSTED, &batch).await);
    assert_eq!(told.status, 200);
    assert_eq!(body.as_array().unwrap().len(), 2, "notifications get no answer");
    assert_eq!(body[0]["error"]["data"]["reason"], "denied_with_batch");
    assert_eq!(
        (&body[1]["error"]["data"]["reason"], &body[1]["id"]),
        (&json!("no_permit"), &json!("b"))
    );
    let records = house.records().await;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record["outcome"] == "denied" && record["decision_id"] == records[0]["decision_id"]));
    assert_eq!(records[1]["batch"], json!({"index": 1, "size": 3}));
}

#[tokio::test]
async fn without_a_token_the_login_begins_whatever_the_body_is() {
    let house = house(", scopes: ['tools:call']").await;
    let (told, body) = answer(
        house
            .pipeline
            .answer(Box::new(House::exchange(None, TRUSTED, &json!({"method": 1}))))
            .await,
    );
    assert_eq!(told.status, 401);
    assert_eq!(
        header(&told, "www-authenticate"),
        Some(
            "Bearer resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/workbench/mcp\", scope=\"tools:call\""
        )
    );
    assert_eq!(body["error"]["data"]["reason"], "no_credential");
}

#[tokio::test]
async fn a_body_that_two_parsers_read_differently_is_refused_with_its_own_reason() {
    let house = house("").await;
    let token = house.token("alice", "mcp-admin");
    let mut exchange = House::exchange(Some(&token), TRUSTED, &Value::Null);
    exchange.body =
        Body::Whole(r#"{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/list"}"#.into());
    let (told, body) = answer(house.pipeline.answer(Box::new(exchange)).await);
    assert_eq!(
        (
            told.status,
            &body["error"]["code"],
            &body["error"]["data"]["reason"]
        ),
        (400, &json!(-32700), &json!("duplicate_key"))
    );
}

#[tokio::test]
async fn a_foreign_origin_is_refused_and_a_listed_one_is_not() {
    let house = house("").await;
    let token = house.token("alice", "mcp-admin");
    for (origin, allowed) in [
        ("https://app.example", true),
        ("https://app.example.evil", false),
        ("null", false),
    ] {
        let mut exchange = House::exchange(Some(&token), TRUSTED, &call("fs_read", &json!({"path": "a"})));
        exchange.headers.push("origin", origin);
        let reply = house.pipeline.answer(Box::new(exchange)).await;
        assert_eq!(matches!(reply, Reply::Forward(_)), allowed, "{origin}: {reply:?}");
    }
}

#[tokio::test]
async fn the_metadata_is_served_to_anybody_at_this_servers_paths_only() {
    let house = house("").await;
    let well_known = "/.well-known/oauth-protected-resource";
    let ask = async |path: &str, method: &str, body: Body| {
        let mut exchange = House::exchange(None, "", &Value::Null);
        (exchange.path, exchange.method, exchange.body) = (path.to_owned(), method.to_owned(), body);
        answer(house.pipeline.answer(Box::new(exchange)).await)
    };
    let (told, body) = ask(&format!("{well_known}/workbench/mcp"), "GET", Body::Absent).await;
    assert_eq!(told.status, 200);
    assert_eq!(body["resource"], RESOURCE);
    assert_eq!(
        body["authorization_servers"],
        json!(["https://id.example/realms/mcp"])
    );
    assert_eq!(ask(well_known, "GET", Body::Absent).await.0.status, 200);
    assert_eq!(
        ask(&format!("{well_known}/info/mcp"), "GET", Body::Absent)
            .await
            .0
            .status,
        404
    );
    assert_eq!(
        ask(&format!("{well_known}?x=/info/mcp"), "GET", Body::Absent)
            .await
            .0
            .status,
        404
    );
    assert_eq!(ask(well_known, "POST", Body::Absent).await.0.status, 405);
    assert_eq!(
        ask(well_known, "GET", Body::Whole("{}".into())).await.0.status,
        405
    );
}

#[tokio::test]
async fn no_server_no_call() {
    let house = house("").await;
    let token = house.token("alice", "mcp-admin");
    for (named, reason) in [
        (Some("info"), "unknown_server"),
        (Some("../x"), "unknown_server"),
        (None, "no_server"),
    ] {
        let mut exchange = House::exchange(Some(&token), TRUSTED, &call("fs_read", &json!({"path": "a"})));
        exchange.context = named
            .map(|name| ("server".to_owned(), name.to_owned()))
            .into_iter()
            .collect();
        let (told, body) = answer(house.pipeline.answer(Box::new(exchange)).await);
        assert_eq!(
            (told.status, body["error"]["data"]["reason"].as_str()),
            (404, Some(reason))
        );
    }
}

/// An issuer whose keys never come: connections are taken and left hanging.
fn silent() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

/// What is recorded of a call that waits for keys, with that fate, when it is dropped.
async fn recorded_of_a_dropped_call(fate: &Fate) -> Value {
    let silent = silent();
    let mut house = house("").await;
    let text = format!(
        "servers: [{{name: workbench, resource: {RESOURCE}}}]\n\
         identity: {{issuers: [{{name: dev, issuer: 'https://id.example/realms/mcp', keys: {{jwks_url: 'http://{}/'}},\n  \
         fetch_timeout: 300ms, unknown_kid_interval: 1s}}],\n  \
         gateways: [{{name: unix, unix: true, trusted_for: [principal]}}], spiffe: {{trust_domains: [mcp-identity.local]}}}}\naudit: {{file: {}}}\n",
        silent.local_addr().unwrap(),
        house.audit().display(),
    );
    let config = Config::read(None, &text, []).unwrap_or_else(|problems| panic!("{problems:?}"));
    // Two don't write to one journal.
    house.records().await;
    house.pipeline = app::pipeline(&config).await.unwrap();
    let token = house.token("alice", "mcp-admin");
    // Until the keys are asked for again, an outage is answered at once; then a call waits for them, and is dropped.
    let gone = async || loop {
        let mut exchange = House::exchange(Some(&token), TRUSTED, &call("fs_read", &json!({"path": "a"})));
        exchange.fate = fate.clone();
        let waited = tokio::time::timeout(
            Duration::from_millis(50),
            house.pipeline.answer(Box::new(exchange)),
        )
        .await;
        if waited.is_err() {
            return;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone())
        .await
        .unwrap();
    house.records().await.pop().unwrap()
}

#[tokio::test]
async fn a_call_that_the_gateway_gave_up_on_is_recorded_as_gone() {
    let record = recorded_of_a_dropped_call(&Fate::default()).await;
    assert_eq!(
        (&record["outcome"], &record["reason"], &record["target"]),
        (&json!("gateway_gone"), &json!("gateway_gone"), &json!("fs_read"))
    );
}

#[tokio::test]
async fn a_call_that_its_wire_cut_off_is_recorded_once_with_the_wires_reason_and_all_that_was_known() {
    let fate = Fate::default();
    fate.overrule("deadline_passed");
    let record = recorded_of_a_dropped_call(&fate).await;
    assert_eq!(
        (&record["outcome"], &record["reason"], &record["target"]),
        (&json!("denied"), &json!("deadline_passed"), &json!("fs_read"))
    );
    assert!(fate.is_recorded() && fate.decision_id().is_some());
}

#[tokio::test]
async fn without_a_journal_nothing_is_decided() {
    let house = house("").await;
    house
        .pipeline
        .journal
        .close(clock::instant() + Duration::from_secs(5))
        .await
        .unwrap();
    let (told, body) = answer(
        house
            .ask("mcp-admin", TRUSTED, &call("fs_read", &json!({"path": "a"})))
            .await,
    );
    assert_eq!((told.status, header(&told, "retry-after")), (503, Some("1")));
    assert_eq!(body["error"]["data"]["reason"], "audit_unavailable");
}

#[tokio::test]
async fn denials_are_told_as_the_server_says() {
    for (denials, status, is_result) in [
        ("jsonrpc", 200, false),
        ("http", 403, false),
        ("tool_result", 200, true),
    ] {
        let house = house(&format!(", denials: {denials}")).await;
        let (told, body) = answer(
            house
                .ask("mcp-viewer", TRUSTED, &call("shell_admin", &json!({"pid": 4242})))
                .await,
        );
        assert_eq!(
            (told.status, body["result"]["isError"] == json!(true)),
            (status, is_result),
            "{denials}"
        );
    }
}

#[tokio::test]
async fn an_unknown_method_is_not_found_and_one_of_ours_is_not_reachable_by_name() {
    let house = house("").await;
    for method in ["tools/callx", "response", "stream/open", "session/end", "unknown"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method});
        let (told, body) = answer(house.ask("mcp-admin", TRUSTED, &body).await);
        assert_eq!(
            (told.status, &body["error"]["code"]),
            (404, &json!(-32601)),
            "{method}"
        );
    }
}

#[tokio::test]
async fn what_is_recorded_is_enough_to_ask_the_same_policies_again() {
    let house = house_with("", "arguments: all").await;
    let write = call("fs_write", &json!({"path": "a", "content": "b"}));
    let many = call("db_read", &json!({"sql": "s", "limit": 101}));
    let unfit = call("db_read", &json!({"limit": 1}));
    let list = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" });
    let calls = [
        ("mcp-developer", TRUSTED, &write, "allowed"),
        ("mcp-viewer", TRUSTED, &write, "no_permit"),
        ("mcp-viewer", TRUSTED, &many, "forbidden"),
        ("mcp-admin", TRUSTED, &many, "allowed"),
        ("mcp-admin", TRUSTED, &unfit, "arguments_dont_fit"),
        ("mcp-admin", UNTRUSTED, &write, "no_permit"),
        ("mcp-viewer", TRUSTED, &list, "allowed"),
    ];
    for (role, agent, body, _) in &calls {
        house.ask(role, agent, body).await;
    }
    let records = house.records().await;
    assert_eq!(records.len(), calls.len());
    let files = Files::read(Path::new("policies")).unwrap();
    let set = PolicySet::load(&files, &[]).unwrap();
    for (record, (_, _, body, expected)) in records.iter().zip(&calls) {
        assert_eq!(record["reason"], *expected, "{body}");
        assert_eq!(record["policy_version"], set.version());
        let Line::Call(recorded) = Line::read(record.to_string().as_bytes()).unwrap() else {
            panic!("{record}");
        };
        let server = recorded.server(&[]).unwrap();
        let said = match set.ask_again(&recorded, &server).unwrap() {
            Ok(verdicts) => verdicts
                .iter()
                .find(|verdict| !verdict.allows())
                .map_or("allowed", |verdict| verdict.outcome.as_str()),
            Err(error) => error.code(),
        };
        assert_eq!(said, *expected, "{body}");
    }
}

#[tokio::test]
async fn without_claims_a_record_names_the_user_and_says_nothing_else_of_them() {
    let house = house_with("", "claims: none").await;
    let list = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" });
    house.ask("mcp-viewer", TRUSTED, &list).await;
    let records = house.records().await;
    let user = records[0]["user"].as_object().unwrap();
    assert_eq!(user.keys().collect::<Vec<_>>(), ["issuer", "subject", "username"]);
}
