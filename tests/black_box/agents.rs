//! The ten agents of the default policies: each a workload that logs in at a real Keycloak by its JWT-SVID, connects with
//! its X.509-SVID and proves with each call that it owns the key of its token. None has a secret.

use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::DevTrustDomain;
use mcp_authz::dev::agents::{AGENTS, Agent, AgentError, Named, World};
use mcp_authz::dev::dpop::{BoundClient, Proof};
use mcp_authz::dev::keycloak::{Client, Grant, KeycloakError, Tokens};
use mcp_authz::dev::stack::TRUST_DOMAIN;
use mcp_authz::spiffe::{SpiffeId, TrustDomain};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::parts::caller::{Caller, Reply};
use crate::parts::keycloak::{bearing, denied, keycloak};
use crate::parts::{audit, repository, run, settings};

static WORLD: OnceCell<Result<World, String>> = OnceCell::const_new();

async fn world() -> &'static World {
    let start = async || {
        let settings = settings("agents", repository().join("policies"), Value::Null);
        let world = World::start(keycloak().await?, "agents", settings).await;
        world.map_err(|error| error.to_string())
    };
    let world = WORLD.get_or_init(start).await;
    world.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

fn named(name: &str) -> &'static Named {
    AGENTS.iter().find(|agent| agent.name == name).unwrap()
}

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
}

/// A call of a tool of the workbench over an agent's connection, with these fields that say who calls.
async fn call(over: &Agent, tool: &str, arguments: &Value, fields: &[(&str, &str)]) -> Reply {
    let caller = Caller {
        http: over.http().clone(),
        url: world().await.stack.url("workbench"),
        token: None,
    };
    caller.call_with(tool, arguments, fields).await
}

/// An agent with a token.
struct Holder {
    agent: Agent,
    token: String,
}

impl Holder {
    /// One that has logged in for itself.
    async fn of(name: &str) -> Self {
        let world = world().await;
        let agent = world.agent(named(name)).unwrap();
        let token = agent
            .log_in(&world.realm, "workbench")
            .await
            .unwrap()
            .access_token;
        Self { agent, token }
    }

    /// One that acts for a user, who gave it a token for that.
    async fn acting_for(user: &str, name: &str) -> Self {
        let world = world().await;
        let given = world.realm.user(user, "agents").await.unwrap().access_token;
        let agent = world.agent(named(name)).unwrap();
        let token = agent
            .exchange(&world.realm, &given, "workbench")
            .await
            .unwrap()
            .access_token;
        Self { agent, token }
    }

    /// What this token comes with when an agent calls the workbench that owns a key.
    async fn fields(&self, prover: &Agent) -> [String; 2] {
        let client: BoundClient = prover.client(&self.token);
        let fields = client
            .fields("POST", &world().await.stack.url("workbench"))
            .unwrap();
        fields.map(|(_, value)| value.to_str().unwrap().to_owned())
    }

    async fn call(&self, tool: &str, arguments: &Value) -> Reply {
        let [token, proof] = self.fields(&self.agent).await;
        call(
            &self.agent,
            tool,
            arguments,
            &[("authorization", &token), ("dpop", &proof)],
        )
        .await
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    tool: String,
    arguments: Value,
    /// The tiers that may.
    allowed: Vec<String>,
}

#[test]
fn ten_agents_log_in_by_svid_and_may_what_their_tier_may_and_no_more() {
    run(async {
        let stack = &world().await.stack;
        let rows: Vec<Row> = serde_saphyr::from_str(include_str!("cases/agents.yaml")).unwrap();
        assert_eq!(rows.len(), 25);
        for named in &AGENTS {
            let holder = Holder::of(named.name).await;
            let permits = format!("developers-on-workbench,{}-agents-on-workbench", named.tier);
            for row in &rows {
                let reply = holder.call(&row.tool, &row.arguments).await;
                if row.allowed.iter().any(|tier| tier == named.tier) {
                    assert_eq!(reply.status, 200, "{named:?} {row:?}: {reply:?}");
                    let seen = ["x-mcp-policies", "x-mcp-user", "x-mcp-agent"].map(|name| reply.seen(name));
                    let expected = [permits.clone(), named.account(), named.spiffe_id()];
                    assert_eq!(seen, expected.map(Some), "{named:?} {row:?}");
                } else {
                    reply.assert_denied(200, "no_permit");
                }
            }
            let admin = json!({ "table": "t", "privilege": "select", "grantee": "reader" });
            let record = denied(stack, holder.call("db_admin", &admin).await, 200, "no_permit").await;
            assert_eq!(record["workload"], named.spiffe_id(), "{record}");
            assert_eq!(record["actor"], named.spiffe_id(), "{record}");
            // Its account is a developer's, whatever the agent is.
            let by_tier = [
                "workload: trusted-agents-on-workbench",
                "actor: trusted-agents-on-workbench",
            ];
            let expected: &[&str] = if named.tier == "trusted" { &by_tier } else { &[] };
            assert_eq!(audit::policies(&record), expected, "{record}");
        }
    });
}

/// Who acts for whom, what they try, and whose policies must be for it: all three where it is allowed.
const FOR_USERS: [(&str, &str, &str, &[&str]); 8] = [
    (
        "alice",
        "assistant",
        "fs_admin",
        &[
            "user: admins-on-workbench",
            "workload: trusted-agents-on-workbench",
            "actor: trusted-agents-on-workbench",
        ],
    ),
    ("alice", "helper", "fs_admin", &["user: admins-on-workbench"]),
    ("alice", "crawler", "fs_list", &["user: admins-on-workbench"]),
    (
        "bob",
        "operator",
        "fs_write",
        &[
            "user: developers-on-workbench",
            "workload: trusted-agents-on-workbench",
            "actor: trusted-agents-on-workbench",
        ],
    ),
    (
        "bob",
        "operator",
        "fs_admin",
        &[
            "workload: trusted-agents-on-workbench",
            "actor: trusted-agents-on-workbench",
        ],
    ),
    (
        "bob",
        "analyst",
        "fs_list",
        &[
            "user: developers-on-workbench",
            "workload: semi-trusted-agents-on-workbench",
            "actor: semi-trusted-agents-on-workbench",
        ],
    ),
    (
        "carol",
        "summarizer",
        "fs_read",
        &[
            "user: viewers-on-workbench",
            "workload: untrusted-agents-on-workbench",
            "actor: untrusted-agents-on-workbench",
        ],
    ),
    (
        "carol",
        "planner",
        "fs_write",
        &[
            "workload: trusted-agents-on-workbench",
            "actor: trusted-agents-on-workbench",
        ],
    ),
];

#[test]
fn an_agent_with_a_users_exchanged_token_may_what_both_may() {
    run(async {
        let stack = &world().await.stack;
        for (user, agent, tool, permits) in FOR_USERS {
            let arguments = match tool {
                "fs_admin" => json!({ "path": "/srv/work/hello.txt", "owner": "root" }),
                "fs_write" => json!({ "path": "/srv/work/notes/agents", "content": "x", "create": true }),
                "fs_list" => json!({ "path": "/srv/work" }),
                _ => read(),
            };
            let reply = Holder::acting_for(user, agent).await.call(tool, &arguments).await;
            let record = if permits.len() == 3 {
                reply.assert_allowed();
                audit::record(stack, &reply.decision_id()).await
            } else {
                denied(stack, reply, 200, "no_permit").await
            };
            assert_eq!(
                audit::policies(&record),
                permits,
                "{user} through {agent}: {record}"
            );
            assert_eq!(record["user"]["username"], user, "{record}");
            assert_eq!(record["actor"], named(agent).spiffe_id(), "{record}");
        }
    });
}

/// How a stolen token is used: over whose connection, with which fields, and what comes of it.
type Try<'a> = (&'a str, &'a Agent, Vec<(&'a str, &'a str)>, u16, &'a str);

#[test]
fn an_agents_token_is_nothing_without_its_key_and_its_connection() {
    run(async {
        let stack = &world().await.stack;
        let owner = Holder::of("assistant").await;
        let thief = Holder::of("planner").await;
        owner.call("fs_read", &read()).await.assert_allowed();

        let [token, proof] = owner.fields(&owner.agent).await;
        let bearer = format!("Bearer {}", owner.token);
        let [_, thiefs_proof] = owner.fields(&thief.agent).await;
        let [_, other_proof] = thief.fields(&owner.agent).await;
        let tries: [Try<'_>; 5] = [
            (
                "as a bearer token",
                &owner.agent,
                vec![("authorization", &bearer)],
                401,
                "bound_token_without_proof",
            ),
            (
                "without a proof",
                &owner.agent,
                vec![("authorization", &token)],
                401,
                "proof_missing",
            ),
            (
                "with another agent's key",
                &thief.agent,
                vec![("authorization", &token), ("dpop", &thiefs_proof)],
                401,
                "proof_other_key",
            ),
            (
                "with a proof for another token",
                &owner.agent,
                vec![("authorization", &token), ("dpop", &other_proof)],
                401,
                "proof_other_token",
            ),
            // Not even with its key: the token says whose it is.
            (
                "over another agent's connection",
                &thief.agent,
                vec![("authorization", &token), ("dpop", &proof)],
                403,
                "actor_disagrees",
            ),
        ];
        for (how, over, fields, status, reason) in tries {
            let reply = call(over, "fs_read", &read(), &fields).await;
            assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{how}");
            denied(stack, reply, status, reason).await;
        }
    });
}

#[test]
fn a_proof_that_was_seen_on_the_way_is_of_no_use_whoever_sends_it() {
    run(async {
        let stack = &world().await.stack;
        let owner = Holder::of("assistant").await;
        let [token, proof] = owner.fields(&owner.agent).await;
        let fields = [("authorization", token.as_str()), ("dpop", proof.as_str())];
        call(&owner.agent, "fs_read", &read(), &fields)
            .await
            .assert_allowed();
        denied(
            stack,
            call(&owner.agent, "fs_read", &read(), &fields).await,
            401,
            "proof_replayed",
        )
        .await;
    });
}

#[test]
fn a_token_that_is_bound_to_no_key_or_to_no_agent_opens_nothing_to_agents() {
    run(async {
        let World { realm, stack, .. } = world().await;
        let id = named("assistant").spiffe_id();
        let unbound = realm.user("alice", "workbench").await.unwrap().access_token;
        let reply = bearing(&unbound, stack, &id, "workbench")
            .call("fs_read", &read())
            .await;
        denied(stack, reply, 401, "token_not_bound").await;

        // What a user gives an agent is for Keycloak alone.
        let given = realm.user("alice", "agents").await.unwrap().access_token;
        let reply = bearing(&given, stack, &id, "workbench")
            .call("fs_read", &read())
            .await;
        denied(stack, reply, 401, "wrong_audience").await;

        // Bound to a key of the agent's, but nobody says that the agent acts for her.
        let agent = world().await.agent(named("assistant")).unwrap();
        let proof = Proof {
            method: "POST",
            url: &realm.token_endpoint(),
            ..Proof::default()
        };
        let proof = agent.key().proof(&proof, clock::now()).unwrap();
        let backend = Client::Secret("mcp-backend", realm.secret("mcp-backend").unwrap());
        let own = realm
            .tokens(backend, Grant::ClientCredentials, "workbench", Some(&proof))
            .await
            .unwrap();
        let holder = Holder {
            agent,
            token: own.access_token,
        };
        denied(stack, holder.call("fs_read", &read()).await, 403, "actor_missing").await;
    });
}

/// What Keycloak says no to.
#[track_caller]
fn refused(answer: Result<Tokens, KeycloakError>) {
    match answer {
        Err(KeycloakError::Refused {
            status: 400 | 401, ..
        }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn keycloak_logs_no_workload_in_but_those_that_it_knows_by_their_own_svid() {
    run(async {
        let World {
            realm, domain, stack, ..
        } = world().await;
        let minute = Duration::from_mins(1);
        let issuer = realm.issuer();
        let id = SpiffeId::parse(&named("assistant").spiffe_id()).unwrap();
        let name = TrustDomain::parse(TRUST_DOMAIN).unwrap();
        let impostors = DevTrustDomain::new(name, clock::now()).unwrap();
        let elsewhere = "https://elsewhere.example";
        let newcomer = SpiffeId::parse("spiffe://mcp-identity.local/agent/newcomer").unwrap();
        let svids = [
            domain.mint_jwt_svid(&newcomer, &[&issuer], minute, clock::now()),
            impostors.mint_jwt_svid(&id, &[&issuer], minute, clock::now()),
            domain.mint_jwt_svid(&id, &[elsewhere], minute, clock::now()),
            domain.mint_jwt_svid(&id, &[&issuer, elsewhere], minute, clock::now()),
        ];
        let key = Agent::start(id.as_str(), domain, &stack.authority).unwrap();
        let proof = || {
            let proof = Proof {
                method: "POST",
                url: &realm.token_endpoint(),
                ..Proof::default()
            };
            key.key().proof(&proof, clock::now()).unwrap()
        };
        let log_in = async |client: Client<'_>, proof: Option<&str>| {
            realm
                .tokens(client, Grant::ClientCredentials, "workbench", proof)
                .await
        };
        for svid in svids {
            refused(log_in(Client::Spiffe(&svid.unwrap()), Some(&proof())).await);
        }
        for client in [
            Client::Public("agent-assistant"),
            Client::Secret("agent-assistant", "only-for-the-demo"),
        ] {
            refused(log_in(client, Some(&proof())).await);
        }
        let own = domain
            .mint_jwt_svid(&id, &[&issuer], minute, clock::now())
            .unwrap();
        refused(log_in(Client::Spiffe(&own), None).await);
        assert_eq!(
            log_in(Client::Spiffe(&own), Some(&proof()))
                .await
                .unwrap()
                .token_type,
            "DPoP"
        );
    });
}

#[test]
fn an_agent_acts_for_no_user_who_did_not_let_it() {
    run(async {
        let World {
            realm, domain, stack, ..
        } = world().await;
        let key = Agent::start(&named("assistant").spiffe_id(), domain, &stack.authority).unwrap();
        let elsewhere = realm.user("alice", "workbench").await.unwrap().access_token;
        let exchanged = key.exchange(realm, &elsewhere, "workbench").await;
        assert!(
            matches!(
                exchanged,
                Err(AgentError::Keycloak(KeycloakError::Refused { .. }))
            ),
            "{exchanged:?}"
        );
    });
}
