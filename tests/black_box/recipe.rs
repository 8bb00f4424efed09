//! The recipe for Keycloak in docs/identity.md, followed as it stands there in an empty realm, with mcp-authz as it says.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mcp_authz::clock;
use mcp_authz::dev::DevTrustDomain;
use mcp_authz::dev::agents::{AGENTS, Agent};
use mcp_authz::dev::keycloak::{Client, Grant, Realm};
use mcp_authz::dev::served::Served;
use mcp_authz::dev::stack::{Ports, Stack, TRUST_DOMAIN};
use mcp_authz::spiffe::TrustDomain;
use serde_json::{Value, json};

use crate::parts::caller::{Caller, Reply};
use crate::parts::keycloak::{denied, keycloak};
use crate::parts::{audit, repository, run, settings};

const PAGE: &str = include_str!("../../docs/identity.md");
const PASSWORD: &str = "a-password-of-this-test";

/// The snippets of the recipe, with these for its own URLs.
fn snippets(places: &[(&str, String)]) -> Vec<Value> {
    let (_, section) = PAGE.split_once("\n## A recipe for Keycloak\n").unwrap();
    let mut section = section.split("\n## ").next().unwrap().to_owned();
    for (theirs, ours) in places {
        assert!(section.contains(theirs), "{theirs}");
        section = section.replace(theirs, ours);
    }
    let snippets = section
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    snippets
        .map(|snippet| serde_saphyr::from_str(snippet).unwrap())
        .collect()
}

/// A realm's administrator, who does what the recipe says.
struct Administrator<'a>(&'a Realm);

impl Administrator<'_> {
    async fn ask(&self, method: Method, place: &str, body: Option<&Value>) -> Value {
        let answer = self.0.administer(method, place, body).await;
        answer.unwrap_or_else(|error| panic!("{place}: {error}"))
    }

    async fn create(&self, place: &str, what: &Value) {
        self.ask(Method::POST, place, Some(what)).await;
    }

    /// The id of the one in a list whose member says this.
    async fn id(&self, place: &str, member: &str, value: &Value) -> String {
        let list = self.ask(Method::GET, place, None).await;
        let mut found = list
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| &one[member] == value);
        found.next().unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn roles(&self, names: &Value) -> Value {
        let mut roles = Vec::new();
        for name in names.as_array().unwrap() {
            let place = format!("roles/{}", name.as_str().unwrap());
            roles.push(self.ask(Method::GET, &place, None).await);
        }
        Value::Array(roles)
    }

    async fn follow(&self, part: &Value) {
        let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
        for role in all(&part["roles"]["realm"]) {
            self.create("roles", &role).await;
        }
        for group in all(&part["groups"]) {
            self.create("groups", &json!({ "name": group["name"] })).await;
            let id = self.id("groups", "name", &group["name"]).await;
            for below in all(&group["subGroups"]) {
                self.create(&format!("groups/{id}/children"), &below).await;
            }
        }
        for provider in all(&part["identityProviders"]) {
            self.create("identity-provider/instances", &provider).await;
        }
        for scope in all(&part["clientScopes"]) {
            self.create("client-scopes", &scope).await;
        }
        for mapping in all(&part["scopeMappings"]) {
            let id = self.id("client-scopes", "name", &mapping["clientScope"]).await;
            let place = format!("client-scopes/{id}/scope-mappings/realm");
            self.create(&place, &self.roles(&mapping["roles"]).await).await;
        }
        for client in all(&part["clients"]) {
            self.create("clients", &client).await;
        }
        for account in all(&part["users"]) {
            let id = self
                .id("clients", "clientId", &account["serviceAccountClientId"])
                .await;
            let user = self
                .ask(Method::GET, &format!("clients/{id}/service-account-user"), None)
                .await;
            self.give(user["id"].as_str().unwrap(), &account["realmRoles"])
                .await;
        }
    }

    async fn give(&self, user: &str, roles: &Value) {
        let place = format!("users/{user}/role-mappings/realm");
        self.create(&place, &self.roles(roles).await).await;
    }

    /// Carol, a viewer, and a client that takes her password: nobody looks at a login page here.
    async fn people(&self, scopes: &Value) {
        let carol = json!({
            "username": "carol", "enabled": true, "email": "carol@example.com", "emailVerified": true,
            "firstName": "Carol", "lastName": "Cook", "credentials": [{ "type": "password", "value": PASSWORD }],
        });
        self.create("users", &carol).await;
        let id = self.id("users", "username", &json!("carol")).await;
        self.give(&id, &json!(["mcp-viewer"])).await;
        let client = json!({
            "clientId": "passwords", "publicClient": true, "directAccessGrantsEnabled": true,
            "defaultClientScopes": ["basic", "profile", "roles"], "optionalClientScopes": scopes,
        });
        self.create("clients", &client).await;
    }
}

struct Ground {
    realm: Realm,
    stack: Stack,
    agent: Agent,
    _bundle: Served,
}

impl Ground {
    /// All that the recipe says, done.
    async fn prepared() -> Self {
        let name = TrustDomain::parse(TRUST_DOMAIN).unwrap();
        let domain = Arc::new(DevTrustDomain::new(name, clock::now()).unwrap());
        let bundle = Served::start(domain.router()).await.unwrap();
        let ports = Ports::free(None).await.unwrap();
        let realm = keycloak().await.unwrap().empty_realm("recipe").await.unwrap();
        let listener = format!("127.0.0.1:{}", ports.http);
        let mut parts = snippets(&[
            ("https://localhost:8443/workbench/mcp", ports.url("workbench")),
            ("https://localhost:8443/info/mcp", ports.url("info")),
            ("https://spire-server:8443/", format!("{}/bundle", bundle.url())),
            ("mcp-authz:9192", listener.clone()),
            ("0.0.0.0:9192", listener),
            ("https://login.example/realms/mcp", realm.issuer()),
        ]);
        let configuration = parts.pop().unwrap();
        assert_eq!((parts.len(), configuration["servers"].is_array()), (4, true));
        let administrator = Administrator(&realm);
        for part in &parts {
            administrator.follow(part).await;
        }
        administrator.people(&json!(["agents"])).await;
        let mut settings = settings("recipe", repository().join("policies"), configuration);
        settings.trust_domain = Some(Arc::clone(&domain));
        let stack = Stack::start_at(&settings, ports)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let agent = Agent::start(&AGENTS[0].spiffe_id(), &domain, &stack.authority).unwrap();
        Self {
            realm,
            stack,
            agent,
            _bundle: bundle,
        }
    }

    /// A call with this token and a proof; asked again as long as proofs may be older than the state.
    async fn call(&self, token: &str, server: &str, tool: &str, arguments: &Value) -> Reply {
        let caller = Caller {
            http: self.agent.http().clone(),
            url: self.stack.url(server),
            token: None,
        };
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        for _ in 0..300 {
            ticks.tick().await;
            let fields = self.agent.client(token).fields("POST", &caller.url).unwrap();
            let [token, proof] = fields.map(|(_, value)| value.to_str().unwrap().to_owned());
            let fields = [("authorization", token.as_str()), ("dpop", proof.as_str())];
            let reply = caller.call_with(tool, arguments, &fields).await;
            if reply.status != 503 || reply.reason() != "replays_forgotten" {
                return reply;
            }
        }
        panic!("no proof is taken");
    }
}

#[test]
fn the_recipe_for_keycloak_followed_in_an_empty_realm_does_what_it_says() {
    run(async {
        let ground = Ground::prepared().await;
        let Ground {
            realm, stack, agent, ..
        } = &ground;
        let read = json!({ "path": "/srv/work/hello.txt" });
        let owner = json!({ "path": "/srv/work/hello.txt", "owner": "root" });

        // The agent for itself: its account is a developer's.
        let own = agent.log_in(realm, "workbench").await.unwrap();
        assert_eq!(own.token_type, "DPoP");
        let reply = ground
            .call(&own.access_token, "workbench", "fs_read", &read)
            .await;
        assert_eq!(
            reply.seen("x-mcp-policies").as_deref(),
            Some("developers-on-workbench,trusted-agents-on-workbench"),
            "{reply:?}"
        );
        let reply = ground
            .call(&own.access_token, "workbench", "fs_admin", &owner)
            .await;
        denied(stack, reply, 200, "no_permit").await;
        let both = agent.log_in(realm, "confidential:read").await.unwrap();
        ground
            .call(&both.access_token, "info", "get_confidential_info", &json!({}))
            .await
            .assert_allowed();

        // For a person, who is a viewer.
        let grant = Grant::Password("carol", PASSWORD);
        let given = realm
            .tokens(Client::Public("passwords"), grant, "agents", None)
            .await
            .unwrap();
        let scopes = "workbench confidential:read";
        let carols = agent.exchange(realm, &given.access_token, scopes).await.unwrap();
        assert!(!carols.scope.contains("confidential:read"), "{}", carols.scope);
        let reply = ground
            .call(&carols.access_token, "workbench", "fs_read", &read)
            .await;
        let record = audit::record(stack, &reply.decision_id()).await;
        assert_eq!(
            audit::policies(&record),
            [
                "user: viewers-on-workbench",
                "workload: trusted-agents-on-workbench",
                "actor: trusted-agents-on-workbench"
            ],
            "{record}"
        );
        assert_eq!(record["user"]["username"], "carol", "{record}");

        // What the realm revokes is told to mcp-authz.
        let told = realm
            .push_not_before(clock::now().as_second().saturating_add(1))
            .await
            .unwrap();
        assert_eq!(told["failedRequests"], Value::Null, "{told}");
        let reply = ground
            .call(&own.access_token, "workbench", "fs_read", &read)
            .await;
        denied(stack, reply, 401, "issuer_not_before").await;
    });
}
