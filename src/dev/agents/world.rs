//! A realm, a trust domain and a gateway in which agents alone call: each over a connection with its X.509-SVID, with a
//! token that it got by its JWT-SVID and a proof that it owns the token's key.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Agent, AgentError, Named};
use crate::clock;
use crate::dev::client::{self, Answer};
use crate::dev::dpop::BoundClient;
use crate::dev::keycloak::{Keycloak, KeycloakError, Realm, realm};
use crate::dev::part::PartError;
use crate::dev::served::Served;
use crate::dev::stack::{self, SERVERS, Settings, Stack, StackError, TRUST_DOMAIN};
use crate::dev::trust_domain::{DevTrustDomain, DevTrustDomainError};
use crate::spiffe::{SpiffeIdError, TrustDomain};

/// How often it is asked whether proofs are taken yet, and how many times.
const POLL: Duration = Duration::from_millis(100);
const POLLS: usize = 600;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The trust domain has no name.
    #[error(transparent)]
    Name(#[from] SpiffeIdError),
    /// The trust domain can't be made.
    #[error(transparent)]
    Domain(#[from] DevTrustDomainError),
    /// A port can't be had, or a part doesn't start.
    #[error(transparent)]
    Part(#[from] PartError),
    /// Keycloak doesn't take the realm.
    #[error(transparent)]
    Keycloak(#[from] KeycloakError),
    /// Another part is missing.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The first agent can't log in.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Proofs are never taken.
    #[error("no proof is taken, a minute after the start")]
    Forgotten,
}

/// What runs; dropping it stops it all, but for Keycloak.
pub struct World {
    /// Who issues tokens.
    pub realm: Realm,
    /// Who issues SVIDs.
    pub domain: Arc<DevTrustDomain>,
    /// Envoy, mcp-authz, the MCP servers.
    pub stack: Stack,
    /// Where Keycloak looks up the trust domain's keys.
    _bundle: Served,
}

impl World {
    /// Starts it all with a realm of this name, and waits until proofs are taken. What the settings say of the configuration is
    /// laid over what it takes.
    ///
    /// # Errors
    /// [`WorldError`]; what had been started is stopped.
    pub async fn start(keycloak: &Keycloak, realm: &str, settings: Settings) -> Result<Self, WorldError> {
        let domain = DevTrustDomain::new(TrustDomain::parse(TRUST_DOMAIN)?, clock::now())?;
        let domain = Arc::new(domain);
        let bundle = Served::start(domain.router()).await?;
        let ports = stack::Ports::free(settings.listener).await?;
        let places = realm::Places {
            realm: realm.to_owned(),
            workbench: ports.url("workbench"),
            info: ports.url("info"),
            authz: format!("http://127.0.0.1:{}", ports.http),
            bundle: format!("{}/bundle", bundle.url()),
            passwords: true,
            fresh: true,
        };
        let realm = keycloak.realm(&places).await?;
        let mut configuration = configuration(&ports, &realm.issuer());
        stack::overlay(&mut configuration, &settings.configuration);
        let settings = Settings {
            configuration,
            trust_domain: Some(Arc::clone(&domain)),
            ..settings
        };
        let mut stack = Stack::start_at(&settings, ports).await?;
        without_issuer(&mut stack)?;
        let world = Self {
            realm,
            domain,
            stack,
            _bundle: bundle,
        };
        world.remembers().await?;
        Ok(world)
    }

    /// One of the agents, as a new process of it would be: with a new certificate and a new key.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn agent(&self, named: &Named) -> Result<Agent, AgentError> {
        Agent::start(&named.spiffe_id(), &self.domain, &self.stack.authority)
    }

    /// A proof of the second in which the state began to remember may have been used before: waits until it is over.
    async fn remembers(&self) -> Result<(), WorldError> {
        let agent = self.agent(&super::AGENTS[0])?;
        let token = agent.log_in(&self.realm, "workbench").await?.access_token;
        let client = agent.client(&token);
        let mut ticks = tokio::time::interval(POLL);
        for _ in 0..POLLS {
            ticks.tick().await;
            if !self.forgotten(&agent, &client).await? {
                return Ok(());
            }
        }
        Err(WorldError::Forgotten)
    }

    async fn forgotten(&self, agent: &Agent, client: &BoundClient) -> Result<bool, WorldError> {
        let url = self.stack.url("workbench");
        let fields = client.fields("POST", &url).map_err(AgentError::from)?;
        let arguments = json!({ "path": "/srv/work/hello.txt" });
        let answer = client::single(
            agent.http(),
            &url,
            "fs_read",
            &arguments,
            fields.into_iter().collect(),
        );
        Ok(match answer.await {
            Answer::Error { data, .. } => data
                .get("reason")
                .is_some_and(|reason| reason == "replays_forgotten"),
            _ => false,
        })
    }
}

/// Nobody takes tokens of the dev issuer here: it goes, and so does its key.
fn without_issuer(stack: &mut Stack) -> Result<(), StackError> {
    stack.stop_issuer();
    let path = stack.directory.join("issuer");
    std::fs::remove_dir_all(&path).map_err(|source| StackError::File { path, source })
}

/// Both servers take calls of agents alone, with tokens of this issuer that are bound to a key.
fn configuration(ports: &stack::Ports, issuer: &str) -> Value {
    let servers = SERVERS.map(|server| {
        let scope = if server == "info" { "public:read" } else { server };
        json!({
            "name": server, "resource": ports.url(server), "scopes": [scope],
            "require": ["user", "workload", "actor"], "sender_constraint": "dpop",
            // One clock for all: proofs are taken from the second after the start on.
            "dpop": { "max_ahead": "0s" },
        })
    });
    json!({
        "servers": servers,
        "revocation": { "listen": format!("127.0.0.1:{}", ports.http) },
        "identity": { "issuers": [{
            "name": "keycloak", "issuer": issuer, "algorithms": ["RS256"],
            // People log in with it: it is told when they log out.
            "clients": { realm::PASSWORDS: {} },
        }] },
    })
}
