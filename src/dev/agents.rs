//! The ten agents of the shipped realm and policies. Each is a workload of a trust domain: an X.509-SVID for its
//! connections, a JWT-SVID to log in with, a key of its own for proofs. None has a secret, and nothing is written anywhere.

use std::sync::Arc;
use std::time::Duration;

use super::client::{self, ClientError};
use super::dpop::{BoundClient, Proof, ProofKey, ProofKeyError};
use super::keycloak::{Client, Grant, KeycloakError, Realm, Tokens};
use super::pki::Authority;
use super::stack::TRUST_DOMAIN;
use super::trust_domain::{DevTrustDomain, DevTrustDomainError};
use crate::clock;
use crate::spiffe::{SpiffeId, SpiffeIdError};

mod world;

pub use world::{World, WorldError};

/// How long the certificate for its connections is valid.
const CONNECTION: Duration = Duration::from_hours(1);

/// How long the JWT-SVID of one login is valid.
const LOGIN: Duration = Duration::from_mins(1);

/// An agent, as realm and policies know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The end of its SPIFFE ID.
    pub name: &'static str,
    /// Its trust tier.
    pub tier: &'static str,
}

const fn trusted(name: &'static str) -> Named {
    let tier = "trusted";
    Named { name, tier }
}

const fn semi_trusted(name: &'static str) -> Named {
    let tier = "semi-trusted";
    Named { name, tier }
}

const fn untrusted(name: &'static str) -> Named {
    let tier = "untrusted";
    Named { name, tier }
}

/// All that log in.
pub const AGENTS: [Named; 10] = [
    trusted("assistant"),
    trusted("planner"),
    trusted("reviewer"),
    trusted("operator"),
    semi_trusted("helper"),
    semi_trusted("translator"),
    semi_trusted("analyst"),
    untrusted("crawler"),
    untrusted("visitor"),
    untrusted("summarizer"),
];

impl Named {
    /// Its SPIFFE ID.
    #[must_use]
    pub fn spiffe_id(&self) -> String {
        format!("spiffe://{TRUST_DOMAIN}/agent/{}/{}", self.tier, self.name)
    }

    /// Its client at Keycloak.
    #[must_use]
    pub fn client_id(&self) -> String {
        format!("agent-{}", self.name)
    }

    /// The name by which its own account comes to the MCP servers.
    #[must_use]
    pub fn account(&self) -> String {
        format!("service-account-{}", self.client_id())
    }
}

/// Why an agent can't do what it is to do.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its name is none.
    #[error(transparent)]
    Id(#[from] SpiffeIdError),
    /// The trust domain issues nothing.
    #[error(transparent)]
    Svid(#[from] DevTrustDomainError),
    /// It can't connect.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It can't make a proof.
    #[error(transparent)]
    Proof(#[from] ProofKeyError),
    /// Keycloak says no.
    #[error(transparent)]
    Keycloak(#[from] KeycloakError),
}

/// A running agent.
#[derive(Debug, Clone)]
pub struct Agent {
    id: SpiffeId,
    domain: Arc<DevTrustDomain>,
    key: Arc<ProofKey>,
    http: reqwest::Client,
}

impl Agent {
    /// The workload of this name, with a new certificate and a new key, for servers of this authority.
    ///
    /// # Errors
    /// [`AgentError`] if it gets no certificate.
    pub fn start(
        spiffe_id: &str,
        domain: &Arc<DevTrustDomain>,
        authority: &Authority,
    ) -> Result<Self, AgentError> {
        let id = SpiffeId::parse(spiffe_id)?;
        let svid = domain.x509_svid(&id, CONNECTION, clock::now())?;
        Ok(Self {
            id,
            domain: Arc::clone(domain),
            key: Arc::new(ProofKey::generate()),
            http: client::workload(authority, &svid)?,
        })
    }

    /// Its own token for these scopes, bound to its key.
    ///
    /// # Errors
    /// [`AgentError::Keycloak`] if Keycloak knows no client of that SPIFFE ID.
    pub async fn log_in(&self, realm: &Realm, scope: &str) -> Result<Tokens, AgentError> {
        self.tokens(realm, Grant::ClientCredentials, scope).await
    }

    /// A user's token with which it acts for them, in exchange for one that they gave it.
    ///
    /// # Errors
    /// [`AgentError::Keycloak`] if the user's token isn't for this agent.
    pub async fn exchange(&self, realm: &Realm, token: &str, scope: &str) -> Result<Tokens, AgentError> {
        self.tokens(realm, Grant::Exchange(token), scope).await
    }

    async fn tokens(&self, realm: &Realm, grant: Grant<'_>, scope: &str) -> Result<Tokens, AgentError> {
        let now = clock::now();
        // Keycloak takes exactly one audience: the realm itself.
        let svid = self
            .domain
            .mint_jwt_svid(&self.id, &[&realm.issuer()], LOGIN, now)?;
        let proof = Proof {
            method: "POST",
            url: &realm.token_endpoint(),
            ..Proof::default()
        };
        let proof = self.key.proof(&proof, now)?;
        let client = Client::Spiffe(&svid);
        Ok(realm.tokens(client, grant, scope, Some(&proof)).await?)
    }

    /// What it calls with: its connection, its key, a token.
    #[must_use]
    pub fn client(&self, token: &str) -> BoundClient {
        BoundClient::new(self.http.clone(), Arc::clone(&self.key), token)
    }

    /// The key that its tokens are bound to.
    #[must_use]
    pub fn key(&self) -> &Arc<ProofKey> {
        &self.key
    }

    /// Its connection.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::dev::keycloak::realm::SHIPPED;

    #[test]
    fn the_shipped_realm_knows_these_agents_and_no_other_and_gives_none_of_them_a_secret() {
        let realm: Value = serde_json::from_str(SHIPPED).unwrap();
        let by_svid = |client: &&Value| client["clientAuthenticatorType"] == "federated-jwt";
        let clients: Vec<&Value> = realm["clients"]
            .as_array()
            .unwrap()
            .iter()
            .filter(by_svid)
            .collect();
        let known: Vec<(String, String)> = clients
            .iter()
            .map(|client| {
                let id = &client["attributes"]["jwt.credential.sub"];
                // Who acts, says the token itself: no exchange of Keycloak's does.
                assert_eq!(client["protocolMappers"][0]["config"]["claim.name"], "act.sub");
                assert_eq!(&client["protocolMappers"][0]["config"]["claim.value"], id);
                assert_eq!(client.get("secret"), None, "{client}");
                assert_eq!(client["attributes"]["dpop.bound.access.tokens"], "true");
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&client["clientId"]), text(id))
            })
            .collect();
        let ours = AGENTS.map(|agent| (agent.client_id(), agent.spiffe_id()));
        assert_eq!(known, ours);
        let tier = |tier: &str| AGENTS.iter().filter(|agent| agent.tier == tier).count();
        assert_eq!(
            (tier("trusted"), tier("semi-trusted"), tier("untrusted")),
            (4, 3, 3)
        );
    }
}
