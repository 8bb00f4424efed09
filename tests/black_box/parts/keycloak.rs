//! A real Keycloak for all tests of this process, realms in it, and stacks that take their tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_authz::dev::keycloak::{Keycloak, Ports, Realm, realm};
use mcp_authz::dev::stack::{self, Stack};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::caller::{Caller, Reply};
use super::{audit, repository, settings, temporary};

/// It ends with this process.
static KEYCLOAK: OnceCell<Result<Keycloak, String>> = OnceCell::const_new();

/// The shipped realm, as it is shipped, and a stack that takes its tokens.
static SHARED: OnceCell<Result<Ground, String>> = OnceCell::const_new();

/// A realm, and a stack that takes tokens of this realm and of no other issuer.
pub(crate) struct Ground {
    pub(crate) realm: Realm,
    pub(crate) stack: Stack,
}

/// The realm `mcp` and its stack, for tests that leave both as they are.
pub(crate) async fn shared() -> &'static Ground {
    let prepared = async || prepared("mcp", |_| {}).await;
    let ground = SHARED.get_or_init(prepared).await;
    ground.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

/// A realm of its own in the same Keycloak, for tests that change its keys, sessions or clients, and a stack of its own.
/// `change` edits what [`configuration`] says.
pub(crate) async fn own(name: &str, change: impl FnOnce(&mut Value)) -> Ground {
    let ground = prepared(name, change).await;
    ground.unwrap_or_else(|error| panic!("{error}"))
}

async fn prepared(name: &str, change: impl FnOnce(&mut Value)) -> Result<Ground, String> {
    let ports = stack::Ports::free(None).await.unwrap();
    let realm = keycloak()
        .await?
        .realm(&places(name, &ports))
        .await
        .map_err(|error| error.to_string())?;
    let mut configuration = configuration(&ports, &realm.issuer());
    change(&mut configuration);
    let stack = stack_for(name, ports, configuration).await?;
    Ok(Ground { realm, stack })
}

/// The one that most tests share.
pub(crate) async fn keycloak() -> Result<&'static Keycloak, String> {
    let start = async || start("keycloak", Ports::free().unwrap()).await;
    KEYCLOAK.get_or_init(start).await.as_ref().map_err(Clone::clone)
}

/// One more, for tests in which it goes away.
pub(crate) async fn start(name: &str, ports: Ports) -> Result<Keycloak, String> {
    let directory = temporary(name);
    let _ = std::fs::remove_dir_all(&directory);
    Keycloak::start(&repository().join(".tools"), &directory, ports)
        .await
        .map_err(|error| error.to_string())
}

/// The shipped realm, for the MCP servers and the mcp-authz behind these ports.
pub(crate) fn places(realm: &str, ports: &stack::Ports) -> realm::Places {
    realm::Places {
        realm: realm.to_owned(),
        workbench: ports.url("workbench"),
        info: ports.url("info"),
        authz: format!("http://127.0.0.1:{}", ports.http),
        bundle: "https://localhost:1/".to_owned(),
        passwords: true,
        fresh: false,
    }
}

/// Two servers, as the realm's scopes have them, which take tokens of this issuer and of no other, and hear what it tells.
pub(crate) fn configuration(ports: &stack::Ports, issuer: &str) -> Value {
    json!({
        "servers": [
            { "name": "workbench", "resource": ports.url("workbench"), "scopes": ["workbench"] },
            { "name": "info", "resource": ports.url("info"), "scopes": ["public:read"] },
        ],
        "identity": { "issuers": [{
            "name": "keycloak", "issuer": issuer, "algorithms": ["RS256", "ES256"],
            "clients": { realm::PASSWORDS: {}, realm::PASSWORDS_BY_SESSION: {} },
        }] },
        "revocation": { "listen": format!("127.0.0.1:{}", ports.http) },
    })
}

/// A stack at these ports.
pub(crate) async fn stack_for(
    name: &str,
    ports: stack::Ports,
    configuration: Value,
) -> Result<Stack, String> {
    let name = format!("keycloak-{name}");
    let settings = settings(&name, repository().join("policies"), configuration);
    Stack::start_at(&settings, ports)
        .await
        .map_err(|error| error.to_string())
}

/// A user through an agent, with what Keycloak gives for these scopes; at the server that they are for.
pub(crate) async fn user(realm: &Realm, stack: &Stack, name: &str, agent: &str, scope: &str) -> Caller {
    let tokens = realm.user(name, scope).await.unwrap();
    let server = if scope.contains("workbench") {
        "workbench"
    } else {
        "info"
    };
    bearing(&tokens.access_token, stack, agent, server)
}

/// Whoever has this token, through an agent.
pub(crate) fn bearing(token: &str, stack: &Stack, agent: &str, server: &str) -> Caller {
    Caller {
        token: Some(token.to_owned()),
        ..Caller::without_token(stack, agent, server)
    }
}

/// A token's header and claims, unverified.
pub(crate) fn decoded(token: &str) -> [Value; 2] {
    let parts: Vec<&str> = token.split('.').collect();
    [0, 1].map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[part]).unwrap()).unwrap())
}

/// Refused, and recorded with the same reason: the record.
pub(crate) async fn denied(stack: &Stack, reply: Reply, status: u16, reason: &str) -> Value {
    reply.assert_denied(status, reason);
    let record = audit::record(stack, &reply.decision_id()).await;
    assert_eq!(
        (&record["outcome"], &record["reason"]),
        (&json!("denied"), &json!(reason)),
        "{record}"
    );
    record
}
