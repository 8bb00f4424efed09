//! Tokens that only their owner may use, through the gateway: each proof and each certificate that isn't theirs is
//! refused for its own reason, and the answer says what would be taken.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_authz::dev::client::{Answer, Session};
use mcp_authz::dev::dpop::BoundClient;
use mcp_authz::dev::stack::{Ports, Stack};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::parts::bound::{self, Case, Owner};
use crate::parts::caller::Reply;
use crate::parts::{audit, copy, repository, run, settings, temporary};

pub(crate) const CASES: &str = include_str!("cases/bound.yaml");

/// A gateway and its two servers. It ends with this process.
struct Ground {
    name: &'static str,
    trusted_for: &'static [&'static str],
    /// `sender_constraint` of `workbench` and of `info`.
    constraints: [&'static str; 2],
    stack: OnceCell<Result<Stack, String>>,
}

/// The certificate is named by `x-forwarded-client-cert`, by the connection, by nobody.
static GROUNDS: [Ground; 3] = [
    Ground::new("bound-keys", &["xfcc"], ["dpop", "any"]),
    Ground::new("bound-certificates", &["principal"], ["mtls", "none"]),
    Ground::new("bound-stranger", &[], ["none", "none"]),
];

impl Ground {
    const fn new(
        name: &'static str,
        trusted_for: &'static [&'static str],
        constraints: [&'static str; 2],
    ) -> Self {
        Self {
            name,
            trusted_for,
            constraints,
            stack: OnceCell::const_new(),
        }
    }

    /// The policies, and who is required. Where no gateway is trusted nobody names a workload; the policies' own tests
    /// say what holds where one is required.
    fn policies(&self) -> (PathBuf, Vec<&str>) {
        let shipped = repository().join("policies");
        if !self.trusted_for.is_empty() {
            return (shipped, vec!["user", "workload"]);
        }
        let policies = temporary(self.name).join("policies");
        let _ = fs::remove_dir_all(&policies);
        copy(&shipped, &policies);
        fs::remove_dir_all(policies.join("tests")).unwrap();
        (policies, vec!["user"])
    }

    async fn stack(&self) -> &Stack {
        let started = self.stack.get_or_init(|| self.start()).await;
        started.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    async fn start(&self) -> Result<Stack, String> {
        let ports = Ports::free(None).await.unwrap();
        let (policies, require) = self.policies();
        let server = |name: &str, constraint: &str, max_age: &str| {
            json!({
                "name": name, "resource": ports.url(name), "sender_constraint": constraint, "require": require,
                "dpop": { "max_age": max_age },
            })
        };
        let [workbench, info] = self.constraints;
        let configuration = json!({
            "servers": [server("workbench", workbench, "60s"), server("info", info, "1h")],
            "identity": { "gateways": [{
                "name": "envoy", "certificate": "spiffe://mcp-identity.local/gateway/envoy",
                "trusted_for": self.trusted_for,
            }] },
        });
        let settings = settings(self.name, policies, configuration);
        let stack = Stack::start_at(&settings, ports)
            .await
            .map_err(|error| error.to_string())?;
        remembers(&stack).await;
        Ok(stack)
    }
}

/// Waits until a proof can't have been made before the state in memory began to remember; until then it is refused for
/// that very reason.
async fn remembers(stack: &Stack) {
    let owner = Owner::new(stack, "info");
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..300 {
        ticks.tick().await;
        let reply = proved(&owner).await;
        if reply.status == 200 {
            return;
        }
        reply.assert_denied(503, "replays_forgotten");
    }
    panic!("still nothing is remembered");
}

async fn proved(owner: &Owner<'_>) -> Reply {
    let token = owner.bound_token();
    let (header, claims) = owner.proof(&token);
    let proof = owner.key.sign(&header, &claims).unwrap();
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
    owner.call(&owner.http(), &fields).await
}

/// The server of a case.
async fn place(at: &str) -> (&'static Stack, &'static str) {
    let (ground, server) = match at {
        "dpop" => (0, "workbench"),
        "any" => (0, "info"),
        "mtls" => (1, "workbench"),
        "none" => (1, "info"),
        "stranger" => (2, "info"),
        other => panic!("{other} is no place"),
    };
    (GROUNDS[ground].stack().await, server)
}

/// The challenge of a server: by these schemes, with this error.
fn challenge(stack: &Stack, server: &str, schemes: &str, error: &str) -> String {
    let port = stack.ports.listener;
    let mut parameters = format!(
        "resource_metadata=\"https://localhost:{port}/.well-known/oauth-protected-resource/{server}/mcp\""
    );
    if error != "-" {
        parameters = format!("{parameters}, error=\"{error}\"");
    }
    let dpop = format!("DPoP {parameters}, algs=\"ES256 ES384 EdDSA\"");
    match schemes {
        "DPoP" => dpop,
        "Bearer" => format!("Bearer {parameters}"),
        "both" => format!("Bearer {parameters}, {dpop}"),
        other => panic!("{other} is no scheme"),
    }
}

/// What is not as the case expects.
async fn mistaken(case: &Case) -> Option<String> {
    let (stack, server) = place(&case.at).await;
    let reply = case.sent_by(&Owner::new(stack, server)).await;
    let words: Vec<&str> = case.expect.split(' ').collect();
    let record = audit::record(stack, &reply.decision_id()).await;
    let [outcome, reason] = ["outcome", "reason"].map(|name| record[name].as_str().unwrap().to_owned());
    let found = match words[1..] {
        ["allowed"] => outcome == "allowed" && reply.message()["result"]["isError"] == false,
        [expected, ref challenged @ ..] => {
            let field = match challenged {
                [schemes, error] => challenge(stack, server, schemes, error),
                _ => String::new(),
            };
            outcome == "denied"
                && reason == expected
                && reply.reason() == expected
                && reply.header("www-authenticate") == field
        }
        [] => false,
    };
    let status = words[0].parse() == Ok(reply.status);
    (!found || !status).then(|| {
        let (threat, name) = (&case.threat, &case.name);
        format!("{threat} ({name}): {case:?}\n{reply:?}\n{record}\n")
    })
}

#[test]
fn each_bound_token_of_the_table_is_taken_from_its_owner_alone() {
    run(async {
        let cases = bound::cases(CASES);
        let mut wrong = Vec::new();
        for case in &cases {
            wrong.extend(mistaken(case).await);
        }
        assert!(
            wrong.is_empty(),
            "{} of {}\n{}",
            wrong.len(),
            cases.len(),
            wrong.join("\n")
        );
        let places: BTreeSet<&str> = cases.iter().map(|case| case.at.as_str()).collect();
        assert_eq!(
            places,
            BTreeSet::from(["any", "dpop", "mtls", "none", "stranger"])
        );
    });
}

#[test]
fn a_proof_is_taken_once_however_many_send_it_at_once() {
    run(async {
        let (stack, server) = place("dpop").await;
        let owner = Owner::new(stack, server);
        let token = owner.bound_token();
        let (header, claims) = owner.proof(&token);
        let proof = owner.key.sign(&header, &claims).unwrap();
        let authorization = format!("DPoP {token}");
        let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
        let http = owner.http();
        let replies =
            futures_util::future::join_all((0..50).map(async |_| owner.call(&http, &fields).await)).await;
        let (taken, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
        assert_eq!(taken.len(), 1, "{taken:?}");
        taken[0].assert_allowed();
        for reply in refused {
            reply.assert_denied(401, "proof_replayed");
            let expected = challenge(stack, server, "DPoP", "invalid_dpop_proof");
            assert_eq!(reply.header("www-authenticate"), expected);
        }
        let later = owner.call(&http, &fields).await;
        later.assert_denied(401, "proof_replayed");
    });
}

#[test]
fn a_session_of_an_official_sdk_proves_each_of_its_requests() {
    run(async {
        let (stack, server) = place("dpop").await;
        let owner = Owner::new(stack, server);
        let client = BoundClient::new(owner.http(), Arc::new(owner.key.clone()), &owner.bound_token());
        let session = Session::open_bound(client, &owner.url()).await.unwrap();
        let tools = session.tools().await.unwrap();
        assert!(tools.iter().any(|tool| tool == "fs_read"), "{tools:?}");
        let arguments = Map::from_iter([("path".to_owned(), json!("/srv/work/hello.txt"))]);
        let Answer::Result { is_error, seen, .. } = session.call("fs_read", arguments).await else {
            panic!("no result");
        };
        assert!(!is_error);
        assert_eq!(seen["x-mcp-user"], json!(["dan"]));
        session.close().await;
        // A session's end is proved as its beginning is.
        let ended = audit::records(stack, |record| {
            record["method"] == "session/end" && record["server"] == server
        });
        assert_eq!(ended.await[0]["outcome"], "allowed");
    });
}

#[test]
fn the_metadata_says_what_tokens_must_be_bound_to() {
    run(async {
        let algorithms = json!(["ES256", "ES384", "EdDSA"]);
        let none = Value::Null;
        for (at, taken, required, certificates) in [
            ("none", &none, none.clone(), none.clone()),
            ("dpop", &algorithms, json!(true), none.clone()),
            ("mtls", &none, none.clone(), json!(true)),
            ("any", &algorithms, none.clone(), json!(true)),
        ] {
            let (stack, server) = place(at).await;
            let port = stack.ports.listener;
            let url = format!("https://localhost:{port}/.well-known/oauth-protected-resource/{server}/mcp");
            let http = Owner::new(stack, server).http();
            let document = Reply::of(http.get(url)).await.message();
            assert_eq!(document["bearer_methods_supported"], json!(["header"]), "{at}");
            assert_eq!(&document["dpop_signing_alg_values_supported"], taken, "{at}");
            assert_eq!(document["dpop_bound_access_tokens_required"], required, "{at}");
            assert_eq!(
                document["tls_client_certificate_bound_access_tokens"], certificates,
                "{at}"
            );
        }
    });
}
