//! A realm, and what its administrator does to keys and sessions.

use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::realm::Credentials;
use super::{ADMINISTRATOR, KeycloakError, Ports};

/// A realm of a running Keycloak.
#[derive(Debug, Clone)]
pub struct Realm {
    ports: Ports,
    http: Client,
    password: String,
    name: String,
    credentials: Arc<Credentials>,
    login: Arc<Mutex<()>>,
}

impl Realm {
    pub(super) fn new(
        ports: Ports,
        http: Client,
        password: String,
        name: &str,
        credentials: Credentials,
    ) -> Self {
        Self {
            credentials: Arc::new(credentials),
            ports,
            http,
            password,
            name: name.to_owned(),
            login: Arc::default(),
        }
    }

    /// To be held while a user logs in by password, as [`Realm::user`] does: Keycloak's protection against brute force says
    /// «invalid credentials» to the second of two logins of a user at the same time.
    pub async fn login(&self) -> MutexGuard<'_, ()> {
        self.login.lock().await
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its tokens say as `iss`.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.ports.issuer(&self.name)
    }

    /// The password of one of its users; none of somebody whom it was not made with.
    pub(super) fn password(&self, user: &str) -> &str {
        self.credentials.passwords.get(user).map_or("", String::as_str)
    }

    /// The secret of one of its clients, if it has one.
    #[must_use]
    pub fn secret(&self, client: &str) -> Option<&str> {
        self.credentials.secrets.get(client).map(String::as_str)
    }

    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    pub(super) async fn import(&self, realm: &Value) -> Result<(), KeycloakError> {
        let place = format!("{}/admin/realms", self.ports.base());
        self.ask(Method::POST, &place, Some(realm)).await.map(drop)
    }

    /// Adds a signing key that comes before those there are, and says its id: tokens are signed with it from now on.
    /// `algorithm` is `RS256` or `ES256`.
    ///
    /// # Errors
    /// [`KeycloakError`].
    pub async fn rotate(&self, algorithm: &str, priority: u32) -> Result<(), KeycloakError> {
        let (provider, what) = match algorithm {
            "ES256" => ("ecdsa-generated", json!({ "ecdsaEllipticCurveKey": ["P-256"] })),
            algorithm => ("rsa-generated", json!({ "algorithm": [algorithm] })),
        };
        let mut config = what;
        if let Some(config) = config.as_object_mut() {
            config.insert("priority".to_owned(), json!([priority.to_string()]));
        }
        let component = json!({
            "name": format!("{provider}-{priority}"), "providerId": provider,
            "providerType": "org.keycloak.keys.KeyProvider", "config": config,
        });
        self.administer(Method::POST, "components", Some(&component))
            .await
            .map(drop)
    }

    /// Withdraws a key: it is published no more, and nothing it signed is taken by Keycloak itself.
    ///
    /// # Errors
    /// [`KeycloakError`], also if there is no such key.
    pub async fn withdraw(&self, kid: &str) -> Result<(), KeycloakError> {
        let keys = self.administer(Method::GET, "keys", None).await?;
        let provider = keys.get("keys").and_then(Value::as_array).and_then(|keys| {
            let of_kid = keys
                .iter()
                .find(|key| key.get("kid").and_then(Value::as_str) == Some(kid));
            of_kid?.get("providerId")?.as_str()
        });
        let place = format!("components/{}", provider.unwrap_or_default());
        let mut component = self.administer(Method::GET, &place, None).await?;
        if let Some(config) = component.get_mut("config").and_then(Value::as_object_mut) {
            config.insert("enabled".to_owned(), json!(["false"]));
            config.insert("active".to_owned(), json!(["false"]));
        }
        self.administer(Method::PUT, &place, Some(&component))
            .await
            .map(drop)
    }

    /// Adds a client, as the realm's file would have it.
    ///
    /// # Errors
    /// [`KeycloakError`], also if there is one of that `clientId`.
    pub async fn add_client(&self, client: &Value) -> Result<(), KeycloakError> {
        self.administer(Method::POST, "clients", Some(client))
            .await
            .map(drop)
    }

    /// Gives the realm another URL, as behind a proxy: its `iss` and all endpoints in its metadata begin with it.
    ///
    /// # Errors
    /// [`KeycloakError`].
    pub async fn move_behind(&self, proxy: &str) -> Result<(), KeycloakError> {
        let change = json!({ "attributes": { "frontendUrl": proxy } });
        self.administer(Method::PUT, "", Some(&change)).await.map(drop)
    }

    /// Ends all sessions of the user of this name.
    ///
    /// # Errors
    /// [`KeycloakError`], also if there is no such user.
    pub async fn log_out(&self, name: &str) -> Result<(), KeycloakError> {
        let query = url::form_urlencoded::Serializer::new("users?exact=true".to_owned())
            .append_pair("username", name)
            .finish();
        let users = self.administer(Method::GET, &query, None).await?;
        let id = users.pointer("/0/id").and_then(Value::as_str);
        self.end_sessions(id.unwrap_or("nobody")).await
    }

    /// Ends all sessions of a user, named by id.
    ///
    /// # Errors
    /// [`KeycloakError`].
    pub async fn end_sessions(&self, user: &str) -> Result<(), KeycloakError> {
        self.administer(Method::POST, &format!("users/{user}/logout"), None)
            .await
            .map(drop)
    }

    /// Ends one session.
    ///
    /// # Errors
    /// [`KeycloakError`].
    pub async fn end_session(&self, sid: &str) -> Result<(), KeycloakError> {
        self.administer(Method::DELETE, &format!("sessions/{sid}"), None)
            .await
            .map(drop)
    }

    /// Ends all sessions of all users, and tells the clients that have an `adminUrl`. What they answered.
    ///
    /// # Errors
    /// [`KeycloakError`].
    pub async fn end_all_sessions(&self) -> Result<Value, KeycloakError> {
        self.administer(Method::POST, "logout-all", None).await
    }

    /// Says that tokens issued before this time are void, and tells the clients that have an `adminUrl`. What they answered.
    ///
    /// # Errors
    /// [`KeycloakError`].
    pub async fn push_not_before(&self, seconds: i64) -> Result<Value, KeycloakError> {
        let change = json!({ "notBefore": seconds });
        self.administer(Method::PUT, "", Some(&change)).await?;
        self.administer(Method::POST, "push-revocation", None).await
    }

    /// Asks its administration (Keycloak's Admin REST API) for a place below the realm.
    ///
    /// # Errors
    /// [`KeycloakError`].
    pub async fn administer(
        &self,
        method: Method,
        place: &str,
        body: Option<&Value>,
    ) -> Result<Value, KeycloakError> {
        let place = format!("{}/admin/realms/{}/{place}", self.ports.base(), self.name);
        self.ask(method, place.trim_end_matches('/'), body).await
    }

    /// As the administrator, whose tokens live a minute: each request with one of its own.
    async fn ask(&self, method: Method, place: &str, body: Option<&Value>) -> Result<Value, KeycloakError> {
        let login = format!("{}/protocol/openid-connect/token", self.ports.issuer("master"));
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", "admin-cli")
            .append_pair("username", ADMINISTRATOR)
            .append_pair("password", &self.password)
            .finish();
        let request = self.http.post(&login).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let tokens = answer(&login, request).await?;
        let token = tokens.get("access_token").and_then(Value::as_str);
        let mut request = self
            .http
            .request(method, place)
            .bearer_auth(token.unwrap_or_default());
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(place, request).await
    }
}

/// The answer as JSON, `null` if there is none.
pub(super) async fn answer(place: &str, request: RequestBuilder) -> Result<Value, KeycloakError> {
    let response = request.send().await?;
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        return Err(KeycloakError::Refused {
            status: status.as_u16(),
            place: place.to_owned(),
            said: text,
        });
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}
