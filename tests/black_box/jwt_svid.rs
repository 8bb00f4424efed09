//! Workloads that prove themselves by a JWT-SVID, through the gateway: in a header that no server sees, or as the access token
//! of a server that requires workloads alone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::client;
use mcp_authz::dev::stack::{Ports, Stack};
use mcp_authz::dev::trust_domain::DevTrustDomain;
use mcp_authz::dev::workload_api::{self, WorkloadApi};
use mcp_authz::spiffe::{SpiffeId, TrustDomain};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::parts::caller::{Caller, Reply, SEMI_TRUSTED, TRUSTED, UNTRUSTED, developer};
use crate::parts::jwt_svid::{Case, Signer, cases};
use crate::parts::{audit, copy, repository, run, settings, table, temporary, with_stack};

pub(crate) const CASES: &str = include_str!("cases/jwt_svid.yaml");

/// A gateway, its servers, and the trust domains whose bundles lie in files. It ends with this process.
struct Ground {
    stack: Stack,
    ours: DevTrustDomain,
    partner: DevTrustDomain,
    bundles: PathBuf,
    /// Its bundle is the Workload API's.
    agents: Arc<DevTrustDomain>,
    _agent: WorkloadApi,
}

/// Nobody names the workload but a JWT-SVID.
static STRANGER: OnceCell<Result<Ground, String>> = OnceCell::const_new();
/// The gateway vouches for the client's certificate.
static TRUSTED_GATEWAY: OnceCell<Result<Ground, String>> = OnceCell::const_new();

async fn ground() -> &'static Ground {
    let started = STRANGER.get_or_init(|| Ground::start("jwt-svid", &[])).await;
    started.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

async fn ground_with_certificates() -> &'static Ground {
    let started = TRUSTED_GATEWAY.get_or_init(|| Ground::start("jwt-svid-certificates", &["principal"]));
    let started = started.await;
    started.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

fn domain(name: &str) -> DevTrustDomain {
    DevTrustDomain::new(TrustDomain::parse(name).unwrap(), clock::now()).unwrap()
}

/// Writes a bundle as a whole or not at all, as who publishes a file should.
fn publish(domain: &DevTrustDomain, bundles: &Path) {
    let place = bundles.join(format!("{}.json", domain.name()));
    let new = place.with_extension("new");
    std::fs::write(&new, domain.bundle().to_string()).unwrap();
    std::fs::rename(new, place).unwrap();
}

impl Ground {
    async fn start(name: &'static str, trusted_for: &[&str]) -> Result<Self, String> {
        let (ours, partner) = (domain("mcp-identity.local"), domain("partner.example"));
        let bundles = temporary(name).join("bundles");
        std::fs::create_dir_all(&bundles).unwrap();
        publish(&ours, &bundles);
        publish(&partner, &bundles);
        // Other identities are required than the policies' own tests have.
        let policies = temporary(name).join("policies");
        let _ = std::fs::remove_dir_all(&policies);
        copy(&repository().join("policies"), &policies);
        std::fs::remove_dir_all(policies.join("tests")).unwrap();
        let agents = Arc::new(domain("agents.example"));
        let agent = workload_api::Workload {
            ids: vec![SpiffeId::parse("spiffe://agents.example/mcp-authz").unwrap()],
            trust_domain: Arc::clone(&agents),
            federated: Vec::new(),
            svid_lifetime: Duration::from_hours(1),
        };
        let socket = temporary(name).join("agent.sock");
        let agent = WorkloadApi::serve(&socket, agent).map_err(|error| error.to_string())?;
        let ports = Ports::free(None).await.unwrap();
        let server = |name: &str, require: &[&str]| json!({ "name": name, "resource": ports.url(name), "require": require });
        let file =
            |name: &str| json!({ "name": name, "bundle": { "file": bundles.join(format!("{name}.json")) } });
        let configuration = json!({
            "workload_api": { "socket": agent.address() },
            "servers": [server("workbench", &["user", "workload"]), server("info", &["workload"])],
            "identity": {
                "spiffe": {
                    "trust_domains": [
                        file("mcp-identity.local"), file("partner.example"), file("late.example"), "certificates.example",
                        { "name": "agents.example", "bundle": "workload_api" },
                    ],
                    "bundles": { "file_interval": "50ms" },
                    "jwt_svid": { "header": "x-jwt-svid" },
                },
                "gateways": [{
                    "name": "envoy", "certificate": "spiffe://mcp-identity.local/gateway/envoy",
                    "trusted_for": trusted_for,
                }],
            },
        });
        let settings = settings(name, policies, configuration);
        let stack = Stack::start_at(&settings, ports)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self {
            stack,
            ours,
            partner,
            bundles,
            agents,
            _agent: agent,
        })
    }

    /// A JWT-SVID of our trust domain for a server.
    fn svid(&self, id: &str, server: &str) -> String {
        let (id, lifetime) = (SpiffeId::parse(id).unwrap(), Duration::from_mins(5));
        let audience = self.stack.url(server);
        let svid = self.ours.mint_jwt_svid(&id, &[&audience], lifetime, clock::now());
        svid.unwrap()
    }

    /// A user and an agent with this certificate, who show this JWT-SVID to the workbench.
    async fn shown(&self, certificate: &str, svid: &str) -> Reply {
        let caller = Caller::new(&self.stack, &developer(), certificate, "workbench");
        let arguments = json!({ "path": "/srv/work/hello.txt" });
        caller
            .call_with("fs_read", &arguments, &[("x-jwt-svid", svid)])
            .await
    }

    /// A workload alone, with this access token.
    async fn presented(&self, token: &str) -> Reply {
        let caller = Caller {
            token: Some(token.to_owned()),
            ..Caller::without_token(&self.stack, UNTRUSTED, "info")
        };
        caller.call("get_public_info", &json!({})).await
    }

    /// What is not as the case expects.
    async fn mistaken(&self, case: &Case, as_token: bool) -> Option<String> {
        let domain = match case.domain {
            Signer::Ours => &self.ours,
            Signer::Partner => &self.partner,
        };
        let server = if as_token { "info" } else { "workbench" };
        let svid = case.svid(domain, &self.stack.url(server));
        let reply = if as_token {
            self.presented(&svid).await
        } else {
            self.shown(UNTRUSTED, &svid).await
        };
        let record = audit::record(&self.stack, &reply.decision_id()).await;
        let (status, expected) = case.expected(as_token).split_once(' ').unwrap();
        let told = match reply.reason() {
            none if none.is_empty() => "allowed".to_owned(),
            reason => reason,
        };
        let right = status.parse() == Ok(reply.status) && told == expected && record["reason"] == expected;
        (!right).then(|| {
            let (threat, name) = (&case.threat, &case.name);
            format!("{threat} ({name}, as token: {as_token}):\n{reply:?}\n{record}\n")
        })
    }
}

#[test]
fn each_jwt_svid_of_the_table_is_taken_or_refused_for_its_own_reason() {
    run(async {
        let ground = ground().await;
        let cases = cases(CASES);
        let mut wrong = Vec::new();
        for case in &cases {
            for as_token in [false, true] {
                wrong.extend(ground.mistaken(case, as_token).await);
            }
        }
        table::assert_none(&wrong, cases.len());
    });
}

#[test]
fn a_jwt_svid_in_its_header_is_the_workload_and_never_reaches_the_server() {
    run(async {
        let ground = ground().await;
        // The certificate is another's: nobody believes this gateway about it.
        let reply = ground.shown(UNTRUSTED, &ground.svid(TRUSTED, "workbench")).await;
        reply.assert_allowed();
        assert_eq!(reply.seen("x-mcp-workload").as_deref(), Some(TRUSTED));
        assert_eq!(reply.seen("x-jwt-svid"), None);
        let record = audit::record(&ground.stack, &reply.decision_id()).await;
        assert_eq!(record["workload"], TRUSTED);
        assert!(!record.to_string().contains("eyJ"), "{record}");
        let without = Caller::new(&ground.stack, &developer(), TRUSTED, "workbench");
        let reply = without
            .call("fs_read", &json!({ "path": "/srv/work/hello.txt" }))
            .await;
        reply.assert_denied(403, "gateway_not_trusted");
    });
    // A header that isn't configured is none of ours: there it would be seen, so that it was taken off above.
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let arguments = json!({ "path": "/srv/work/hello.txt" });
        let reply = caller.call_with("fs_read", &arguments, &[("x-jwt-svid", "a.b.c")]);
        assert_eq!(reply.await.seen("x-jwt-svid").as_deref(), Some("a.b.c"));
    });
}

#[test]
fn a_jwt_svid_is_the_access_token_of_a_server_that_requires_workloads_alone() {
    run(async {
        let ground = ground().await;
        for (agent, tier) in [
            (TRUSTED, "trusted"),
            (SEMI_TRUSTED, "semi-trusted"),
            (UNTRUSTED, "untrusted"),
        ] {
            let reply = ground.presented(&ground.svid(agent, "info")).await;
            reply.assert_allowed();
            assert_eq!(reply.seen("x-mcp-workload").as_deref(), Some(agent), "{tier}");
            assert_eq!(reply.seen("x-mcp-user"), None);
            let policies = reply.seen("x-mcp-policies").unwrap();
            assert_eq!(policies, "agents-of-every-tier-on-info");
        }
        // Where a user is required it is no user's token.
        let caller = Caller {
            token: Some(ground.svid(TRUSTED, "workbench")),
            ..Caller::without_token(&ground.stack, TRUSTED, "workbench")
        };
        let reply = caller
            .call("fs_read", &json!({ "path": "/srv/work/hello.txt" }))
            .await;
        reply.assert_denied(401, "issuer_unknown");
    });
}

/// One at a time: both change what our trust domain signs with, or depend on it.
static OURS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[test]
fn a_certificate_and_a_jwt_svid_that_disagree_are_refused() {
    run(async {
        let ground = ground_with_certificates().await;
        let _turn = OURS.lock().await;
        let svid = |id: &str| ground.svid(id, "workbench");
        ground.shown(TRUSTED, &svid(TRUSTED)).await.assert_allowed();
        for (certificate, named) in [(TRUSTED, UNTRUSTED), (UNTRUSTED, TRUSTED)] {
            let reply = ground.shown(certificate, &svid(named)).await;
            reply.assert_denied(403, "workload_disagrees");
        }
        let token = ground.svid(TRUSTED, "info");
        // It comes over the connection of the untrusted agent.
        ground
            .presented(&token)
            .await
            .assert_denied(403, "workload_disagrees");
    });
}

#[test]
fn a_trust_domain_rotates_its_keys_under_load_without_a_false_denial_and_a_withdrawn_key_is_refused() {
    run(async {
        let ground = ground_with_certificates().await;
        let _turn = OURS.lock().await;
        let old = ground.svid(TRUSTED, "workbench");
        let current = Mutex::new(old.clone());
        let (done, stopped) = tokio::sync::watch::channel(false);
        let load = async || {
            let mut asked = false;
            while !*stopped.borrow() {
                let svid = current.lock().unwrap().clone();
                ground.shown(TRUSTED, &svid).await.assert_allowed();
                asked = true;
            }
            asked
        };
        let rotation = async {
            ground.ours.rotate(clock::now()).unwrap();
            publish(&ground.ours, &ground.bundles);
            let new = ground.svid(TRUSTED, "workbench");
            until(ground, &new, "allowed").await;
            ground.shown(TRUSTED, &old).await.assert_allowed();
            *current.lock().unwrap() = new.clone();
            // Whoever took the old one before is through.
            for _ in 0..10 {
                ground.shown(TRUSTED, &new).await.assert_allowed();
            }
            done
        };
        let withdrawal = async {
            let done = rotation.await;
            done.send(true).unwrap();
        };
        let (asked, more, ()) = tokio::join!(load(), load(), withdrawal);
        assert!(asked && more);
        ground.ours.withdraw();
        publish(&ground.ours, &ground.bundles);
        // Known by its bytes, and refused all the same.
        until(ground, &old, "svid_key_unknown").await;
        ground
            .shown(TRUSTED, &ground.svid(TRUSTED, "workbench"))
            .await
            .assert_allowed();
    });
}

/// Asks until the answer is this; before, it may be one of the two that a bundle on its way makes.
async fn until(ground: &Ground, svid: &str, expected: &str) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1500 {
        ticks.tick().await;
        let reply = ground.shown(TRUSTED, svid).await;
        let reason = match reply.reason() {
            none if none.is_empty() => "allowed".to_owned(),
            reason => reason,
        };
        if reason == expected {
            return;
        }
        assert!(
            ["allowed", "svid_key_unknown"].contains(&reason.as_str()),
            "{reply:?}"
        );
    }
    panic!("never {expected}");
}

#[test]
fn the_bundles_are_told_by_metrics_and_readiness() {
    run(async {
        let ground = ground().await;
        let url = |path: &str| format!("http://127.0.0.1:{}{path}", ground.stack.ports.http);
        let http = client::http(&ground.stack.authority, None).unwrap();
        let get = async |path: &str| http.get(url(path)).send().await.unwrap().text().await.unwrap();
        let ready: Value = serde_json::from_str(&get("/ready").await).unwrap();
        assert_eq!(
            (&ready["ready"], &ready["bundles"]["mcp-identity.local"]),
            (&json!(true), &json!("ok"))
        );
        let late = ready["bundles"]["late.example"].as_str().unwrap();
        assert!(late.starts_with("missing: the file can't be read"), "{late}");
        let metrics = get("/metrics").await;
        for line in [
            r#"mcp_authz_bundle_usable{trust_domain="partner.example"} 1"#,
            r#"mcp_authz_bundle_usable{trust_domain="late.example"} 0"#,
            r#"mcp_authz_bundle_age_seconds{trust_domain="partner.example"}"#,
            r#"mcp_authz_bundle_failures_total{trust_domain="late.example"}"#,
        ] {
            assert!(metrics.contains(line), "{line}");
        }
        assert!(!metrics.contains(r#"mcp_authz_bundle_age_seconds{trust_domain="late.example"}"#));
    });
}

#[test]
fn the_workload_apis_bundle_verifies_the_jwt_svids_of_the_trust_domain_that_names_it() {
    run(async {
        let ground = ground().await;
        let svid = |domain: &DevTrustDomain| {
            let id = SpiffeId::parse("spiffe://agents.example/a").unwrap();
            let audience = ground.stack.url("info");
            domain
                .mint_jwt_svid(&id, &[&audience], Duration::from_mins(5), clock::now())
                .unwrap()
        };
        let old = svid(&ground.agents);
        // Nobody may do anything in that trust domain; its workload is known all the same.
        let reply = ground.presented(&old).await;
        reply.assert_denied(200, "no_permit");
        let record = audit::record(&ground.stack, &reply.decision_id()).await;
        assert_eq!(record["workload"], "spiffe://agents.example/a");
        // Another trust domain's keys don't count for it.
        ground
            .presented(&svid(&ground.ours))
            .await
            .assert_denied(403, "svid_key_unknown");
        ground.agents.rotate(clock::now()).unwrap();
        ground.agents.withdraw();
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let mut reply = ground.presented(&old).await;
        for _ in 0..1500 {
            if reply.status != 200 {
                break;
            }
            ticks.tick().await;
            reply = ground.presented(&old).await;
        }
        reply.assert_denied(403, "svid_key_unknown");
        ground
            .presented(&svid(&ground.agents))
            .await
            .assert_denied(200, "no_permit");
    });
}
