//! Who is calling, once proved. Only this stage makes these.

use std::sync::Arc;

use jiff::Timestamp;

use super::dpop::Nonce;
use crate::inventory::{Requirement, Server};

/// Every identity on one call.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The person, where the call brought a valid access token.
    pub user: Option<Arc<User>>,
    /// The workload, where a trusted gateway vouches for its SPIFFE ID.
    pub workload: Option<Arc<Workload>>,
    /// Who acts for the user, where the token says so. It is asked about only where the server requires an actor.
    pub actor: Option<Arc<Actor>>,
    /// What their next proof should have as its nonce, where the one that they used expires soon.
    pub nonce: Option<Nonce>,
}

impl Caller {
    /// The actor, if this server requires one: then it must be permitted like the others.
    #[must_use]
    pub fn asked_actor(&self, server: &Server) -> Option<&Arc<Actor>> {
        let required = server.require.contains(&Requirement::Actor);
        self.actor.as_ref().filter(|_| required)
    }

    /// How many principals a call to this server must be permitted for.
    #[must_use]
    pub fn principals(&self, server: &Server) -> usize {
        let each = [
            self.user.is_some(),
            self.workload.is_some(),
            self.asked_actor(server).is_some(),
        ];
        each.into_iter().filter(|there| *there).count()
    }
}

/// A person, as their issuer describes them in an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// A name for people: Keycloak's `preferred_username`; the subject where there is none.
    pub username: String,
    /// `email`
    pub email: Option<String>,
    /// Roles, sorted and unique.
    pub roles: Vec<String>,
    /// Groups, sorted and unique.
    pub groups: Vec<String>,
    /// Tenants, sorted and unique.
    pub tenants: Vec<String>,
    /// OAuth scopes, sorted and unique.
    pub scopes: Vec<String>,
    /// `acr`: how strong the login was.
    pub acr: Option<String>,
    /// `azp` or `client_id`: which OAuth client the token was issued to.
    pub client_id: Option<String>,
    /// `jti`
    pub token_id: Option<String>,
    /// `sid`: the login session at the issuer.
    pub login_session: Option<String>,
    /// `exp`
    pub expires: Timestamp,
    /// `auth_time`: when the user last logged in.
    pub authenticated: Option<Timestamp>,
}

impl User {
    /// What this person is, for ever and everywhere: `<issuer>#<subject>`. An issuer's URL has no fragment (OIDC
    /// Discovery §2), so no two persons share a key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}#{}", self.issuer, self.subject)
    }

    /// Somebody of whom nothing else is known.
    #[cfg(test)]
    pub(crate) fn named(issuer: &str, name: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            subject: name.to_owned(),
            username: name.to_owned(),
            email: None,
            roles: Vec::new(),
            groups: Vec::new(),
            tenants: Vec::new(),
            scopes: Vec::new(),
            acr: None,
            client_id: None,
            token_id: None,
            login_session: None,
            expires: Timestamp::MAX,
            authenticated: None,
        }
    }
}

/// A workload by its SPIFFE ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The canonical SPIFFE ID.
    pub spiffe_id: crate::spiffe::SpiffeId,
}

impl Workload {
    /// What this workload is: its SPIFFE ID.
    #[must_use]
    pub fn key(&self) -> &str {
        self.spiffe_id.as_str()
    }
}

/// Who acts for the user of a token (RFC 8693 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The current actor: it alone may decide.
    pub current: Acting,
    /// Those before it, the latest first, by their keys: information, to be recorded and nothing more.
    pub earlier: Vec<String>,
}

/// A current actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acting {
    /// A workload, by its SPIFFE ID.
    Workload(Workload),
    /// Anything else that the issuer knows.
    Agent(Agent),
}

/// An actor that is no workload: an OAuth client, or another subject of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    key: String,
    /// Whose name for it this is.
    pub issuer: String,
    /// Its `sub`, where it is known by one.
    pub subject: Option<String>,
    /// Its client id, where it has one.
    pub client_id: Option<String>,
}

impl Actor {
    /// What the current actor is: a SPIFFE ID, or an agent's key.
    #[must_use]
    pub fn key(&self) -> &str {
        match &self.current {
            Acting::Workload(workload) => workload.key(),
            Acting::Agent(agent) => agent.key(),
        }
    }
}

impl Agent {
    /// An OAuth client of an issuer: `<issuer>#client:<client id>`.
    #[must_use]
    pub fn client(issuer: &str, client_id: &str) -> Self {
        Self {
            key: format!("{issuer}#client:{client_id}"),
            issuer: issuer.to_owned(),
            subject: None,
            client_id: Some(client_id.to_owned()),
        }
    }

    /// A subject of an issuer: `<issuer>#subject:<sub>`; perhaps also one of its clients.
    #[must_use]
    pub fn subject(issuer: &str, subject: &str, client_id: Option<&str>) -> Self {
        Self {
            key: format!("{issuer}#subject:{subject}"),
            issuer: issuer.to_owned(),
            subject: Some(subject.to_owned()),
            client_id: client_id.map(str::to_owned),
        }
    }

    /// What this agent is, for ever and everywhere. An issuer's URL has no fragment, so the first `#` ends it, and a subject
    /// never passes for a client.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}
