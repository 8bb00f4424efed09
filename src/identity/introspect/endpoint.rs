//! A question over HTTP to an answer: at the configured place or the one that the issuer's discovery document names,
//! bounded in time and size.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::timeout;
use url::Url;
use url::form_urlencoded::Serializer;

use super::credential::{Credential, CredentialError, Proof};
use super::fault::IntrospectionFault as Fault;
use super::settings::Introspection;
use crate::clock::{self, Seldom};
use crate::fetch::{Bounds, Http, HttpError};
use crate::identity::fetch::{self, FetchError};
use crate::identity::settings::Issuer;
use crate::identity::{IdentitySetupError, strict};

/// No answer is longer: it says no more than a token.
const MAX_BYTES: usize = 64 * 1024;
/// Where and as whom an issuer is asked.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Its short name, for the log.
    name: String,
    http: Http,
    place: Place,
    credential: Credential,
    timeout: Duration,
    /// That it couldn't be asked, for the log.
    failures: Seldom,
}

#[derive(Debug)]
enum Place {
    Fixed(Url),
    /// What its discovery document says; remembered until a question fails. Held while it is fetched, so that it is
    /// fetched once for all that need it.
    Discovered {
        document: Url,
        issuer: String,
        found: Mutex<Option<Url>>,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the discovery document can't be used: {0}")]
    Discovery(#[source] FetchError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the answer is not a JSON object without duplicates")]
    Malformed,
    #[error("our own credential can't be used: {0}")]
    Credential(#[from] CredentialError),
}

impl Endpoint {
    /// Reads our credential once, and the file of authorities.
    pub(super) fn new(settings: &Issuer, asked: &Introspection) -> Result<Self, IdentitySetupError> {
        let bounds = Bounds {
            timeout: asked.timeout,
            max_bytes: MAX_BYTES,
        };
        let place = match &asked.endpoint {
            Some(url) => Place::Fixed(fetch::checked_url(settings, url)?),
            None => Place::Discovered {
                document: fetch::document_url(settings)?,
                issuer: settings.issuer.clone(),
                found: Mutex::default(),
            },
        };
        let (Place::Fixed(url) | Place::Discovered { document: url, .. }) = &place;
        Ok(Self {
            name: settings.name.clone(),
            http: fetch::http(settings, url, bounds)?,
            place,
            credential: Credential::new(settings, asked)?,
            timeout: asked.timeout,
            failures: Seldom::default(),
        })
    }

    /// What the issuer says of a token.
    pub(super) async fn ask(&self, token: &str) -> Result<Map<String, Value>, Fault> {
        // Discovery and question together: whoever waits has no more time for two than for one.
        let asked = timeout(self.timeout, self.once(token)).await;
        let asked = asked.unwrap_or(Err(AskError::Http(HttpError::TimedOut(self.timeout))));
        asked.map_err(|error| {
            self.forget();
            let fault = error.fault();
            self.tell(fault, &error);
            fault
        })
    }

    async fn once(&self, token: &str) -> Result<Map<String, Value>, AskError> {
        let url = self.url().await?;
        let proof = self.credential.prove().await?;
        let request = question(self.http.post(&url), token, proof);
        let answer = self.http.send(request).await?;
        strict::object(&answer).ok_or(AskError::Malformed)
    }

    async fn url(&self) -> Result<Url, AskError> {
        match &self.place {
            Place::Fixed(url) => Ok(url.clone()),
            Place::Discovered {
                document,
                issuer,
                found,
            } => {
                let mut found = found.lock().await;
                if let Some(url) = &*found {
                    return Ok(url.clone());
                }
                let json = self.http.get(document).await?;
                let url = fetch::discovered(&json, issuer, "introspection_endpoint");
                let url = url.map_err(AskError::Discovery)?;
                Ok(found.insert(url).clone())
            }
        }
    }

    /// It may be elsewhere by now. Who holds the place is looking for it already.
    fn forget(&self) {
        if let Place::Discovered { found, .. } = &self.place
            && let Ok(mut found) = found.try_lock()
        {
            *found = None;
        }
    }

    fn tell(&self, fault: Fault, error: &(dyn std::error::Error + 'static)) {
        if let Some(count) = self.failures.came_up(clock::instant()) {
            let (issuer, reason) = (self.name.as_str(), fault.code());
            tracing::warn!(
                issuer,
                reason,
                count,
                error,
                "the issuer could not be asked about a token"
            );
        }
    }
}

/// RFC 7662 §2.1.
fn question(request: RequestBuilder, token: &str, proof: Proof) -> RequestBuilder {
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token)
        .append_pair("token_type_hint", "access_token");
    let request = match proof {
        Proof::Basic(user, password) => request.basic_auth(user, Some(password)),
        Proof::Form(members) => {
            form.extend_pairs(members);
            request
        }
    };
    request
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.finish())
}

impl AskError {
    fn fault(&self) -> Fault {
        match self {
            Self::Http(HttpError::TimedOut(_)) => Fault::TooLate,
            Self::Http(HttpError::Transport(error)) if error.is_timeout() => Fault::TooLate,
            // RFC 7662 §2.3, RFC 6749 §5.2: `invalid_client` is 401, or 400 where it didn't come by a header.
            Self::Http(HttpError::Status(
                StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            )) => Fault::NotAllowed,
            Self::Malformed | Self::Http(HttpError::TooLong(_) | HttpError::NotJson) => {
                Fault::AnswerMalformed
            }
            Self::Credential(_) => Fault::NoCredential,
            Self::Discovery(_) | Self::Http(HttpError::Transport(_) | HttpError::Status(_)) => {
                Fault::Unavailable
            }
        }
    }
}

/// Whether it could be asked where the settings say.
pub(super) fn check(settings: &Issuer, asked: &Introspection) -> Result<(), IdentitySetupError> {
    match &asked.endpoint {
        Some(url) => fetch::checked_url(settings, url).map(drop),
        None => fetch::document_url(settings).map(drop),
    }
}
