//! What a client asks of a realm's token endpoint.

use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::admin::Realm;
use super::{KeycloakError, realm};

/// RFC 7523's assertion, as Keycloak takes it from a SPIFFE workload.
const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// RFC 8693.
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Who asks, and how it proves that it is this client.
#[derive(Debug, Clone, Copy)]
pub enum Client<'a> {
    /// It doesn't.
    Public(&'a str),
    /// By a secret.
    Secret(&'a str, &'a str),
    /// By a SPIFFE JWT-SVID, whose subject says which client it is.
    Spiffe(&'a str),
}

/// What is asked for, and for what it is given.
#[derive(Debug, Clone, Copy)]
pub enum Grant<'a> {
    /// The client's own account.
    ClientCredentials,
    /// A user's name and password.
    Password(&'a str, &'a str),
    /// A refresh token.
    Refresh(&'a str),
    /// A user's access token, for one that this client may use.
    Exchange(&'a str),
}

/// What is given.
#[derive(Debug, Clone, Deserialize)]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// The refresh token, where there is one.
    pub refresh_token: Option<String>,
    /// The ID token, where `openid` was asked for.
    pub id_token: Option<String>,
    /// `Bearer` or `DPoP`.
    pub token_type: String,
    /// The scopes given.
    #[serde(default)]
    pub scope: String,
}

impl Realm {
    /// Asks for tokens; with a proof if the client owns a key.
    ///
    /// # Errors
    /// [`KeycloakError::Refused`] with what it says.
    pub async fn tokens(
        &self,
        client: Client<'_>,
        grant: Grant<'_>,
        scope: &str,
        proof: Option<&str>,
    ) -> Result<Tokens, KeycloakError> {
        let answer = self
            .post(&self.token_endpoint(), asked(client, grant, scope), proof)
            .await?;
        serde_json::from_value(answer).map_err(|error| KeycloakError::Refused {
            status: 200,
            place: self.token_endpoint(),
            said: error.to_string(),
        })
    }

    /// The tokens of a user that the realm was made with.
    ///
    /// # Errors
    /// [`KeycloakError::Refused`], also where the realm wasn't made with [`realm::Places::passwords`].
    pub async fn user(&self, user: &str, scope: &str) -> Result<Tokens, KeycloakError> {
        let grant = Grant::Password(user, self.password(user));
        let _one_at_a_time = self.login().await;
        self.tokens(Client::Public(realm::PASSWORDS), grant, scope, None)
            .await
    }

    /// Revokes a token (RFC 7009).
    ///
    /// # Errors
    /// [`KeycloakError::Refused`].
    pub async fn revoke(&self, client: Client<'_>, token: &str) -> Result<(), KeycloakError> {
        let form = {
            let mut form = form_urlencoded::Serializer::new(String::new());
            identified(&mut form, client);
            form.append_pair("token", token).finish()
        };
        let place = format!("{}/protocol/openid-connect/revoke", self.issuer());
        self.post(&place, form, None).await.map(drop)
    }

    /// Where tokens are asked for: what a proof for it says as `htu`.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("{}/protocol/openid-connect/token", self.issuer())
    }

    async fn post(&self, place: &str, form: String, proof: Option<&str>) -> Result<Value, KeycloakError> {
        let mut request = self
            .http()
            .post(place)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        super::admin::answer(place, request).await
    }
}

fn asked(client: Client<'_>, grant: Grant<'_>, scope: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("scope", scope);
    identified(&mut form, client);
    match grant {
        Grant::ClientCredentials => {
            form.append_pair("grant_type", "client_credentials");
        }
        Grant::Password(user, password) => {
            form.append_pair("grant_type", "password")
                .append_pair("username", user)
                .append_pair("password", password);
        }
        Grant::Refresh(token) => {
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", token);
        }
        Grant::Exchange(token) => {
            form.append_pair("grant_type", EXCHANGE)
                .append_pair("subject_token", token)
                .append_pair("subject_token_type", ACCESS_TOKEN);
        }
    }
    form.finish()
}

fn identified(form: &mut form_urlencoded::Serializer<'_, String>, client: Client<'_>) {
    match client {
        Client::Public(id) => form.append_pair("client_id", id),
        Client::Secret(id, secret) => form
            .append_pair("client_id", id)
            .append_pair("client_secret", secret),
        // Keycloak wants `client_id` absent, or equal to the SPIFFE ID.
        Client::Spiffe(svid) => form
            .append_pair("client_assertion_type", JWT_SPIFFE)
            .append_pair("client_assertion", svid),
    };
}
