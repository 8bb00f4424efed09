//! Who is calling, once proved. Only this stage makes these.

use std::sync::Arc;

use jiff::Timestamp;

/// Every identity on one call.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The person, where the call brought a valid access token.
    pub user: Option<Arc<User>>,
    /// The workload, where a trusted gateway vouches for its SPIFFE ID.
    pub workload: Option<Arc<Workload>>,
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
}

impl User {
    /// What this person is, for ever and everywhere: `<issuer>#<subject>`. An issuer's URL has no fragment (OIDC
    /// Discovery §2), so no two persons share a key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}#{}", self.issuer, self.subject)
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
