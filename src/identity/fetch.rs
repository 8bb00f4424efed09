//! How an issuer's keys are got: over HTTP, bounded in time and size, or from a file.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Client, StatusCode, redirect};
use url::{Host, Url};

use super::settings::{self, Keys};
use super::{IdentitySetupError, strict};

/// No JWK set and no discovery document is longer.
const MAX_BYTES: usize = 256 * 1024;

/// Where a JWK set is read from.
#[derive(Debug)]
pub(super) enum Source {
    /// Discovery first; what it said of the set's place is remembered until a fetch fails.
    Discovery {
        /// How.
        http: Http,
        /// The discovery document's place.
        document: Url,
        /// What it must say as `issuer`.
        issuer: String,
        /// Where the set is, once known.
        jwks_uri: Option<Url>,
    },
    /// A fixed place.
    Fixed {
        /// How.
        http: Http,
        /// Where.
        jwks_url: Url,
    },
    /// A file.
    File(PathBuf),
}

/// A client, and how long it may take.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    timeout: Duration,
}

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer: {0}")]
    Transport(#[from] reqwest::Error),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the discovery document is not JSON with `issuer` and `jwks_uri`")]
    Document,
    #[error("the discovery document is another issuer's")]
    OtherIssuer,
    #[error("the discovery document's `jwks_uri` is not https")]
    KeysUrl,
    #[error("the file can't be read: {0}")]
    File(#[from] std::io::Error),
    #[error("not a JWK set")]
    NotKeys,
}

impl Source {
    /// Checks the settings; reads nothing but the CA file.
    pub(super) fn new(settings: &settings::Issuer) -> Result<Option<Self>, IdentitySetupError> {
        Ok(Some(match &settings.keys {
            Keys::Discovery => {
                let document = document_url(settings)?;
                let http = Http::new(settings, &document)?;
                Self::Discovery {
                    http,
                    document,
                    issuer: settings.issuer.clone(),
                    jwks_uri: None,
                }
            }
            Keys::JwksUrl(url) => {
                let jwks_url = checked_url(settings, url)?;
                Self::Fixed {
                    http: Http::new(settings, &jwks_url)?,
                    jwks_url,
                }
            }
            Keys::File(path) => Self::File(path.clone()),
            Keys::SecretFile(_) => return Ok(None),
        }))
    }

    /// The JWK set's text.
    pub(super) async fn fetch(&mut self) -> Result<Vec<u8>, FetchError> {
        match self {
            Self::Discovery {
                http,
                document,
                issuer,
                jwks_uri,
            } => {
                let known = jwks_uri.take();
                let place = match known {
                    Some(place) => place,
                    None => discovered(&http.get(document).await?, issuer)?,
                };
                let set = http.get(&place).await?;
                *jwks_uri = Some(place);
                Ok(set)
            }
            Self::Fixed { http, jwks_url } => http.get(jwks_url).await,
            Self::File(path) => {
                let length = tokio::fs::metadata(&path).await?.len();
                if length > MAX_BYTES as u64 {
                    return Err(FetchError::TooLong);
                }
                Ok(tokio::fs::read(path).await?)
            }
        }
    }
}

impl Http {
    fn new(settings: &settings::Issuer, url: &Url) -> Result<Self, IdentitySetupError> {
        // Another part of the process may have chosen already: whoever comes first is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let timeout = settings.fetch_timeout;
        // A redirect could lead anywhere: an issuer's keys are where it is configured to have them.
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("mcp-authz/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout);
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &settings.ca_file {
            let unusable = |problem: String| IdentitySetupError::File {
                issuer: settings.name.clone(),
                path: path.clone(),
                problem,
            };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let authorities =
                Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
            if authorities.is_empty() {
                return Err(unusable("no certificate in it".to_owned()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder.build().map_err(|error| IdentitySetupError::Client {
            issuer: settings.name.clone(),
            problem: error.to_string(),
        })?;
        Ok(Self { client, timeout })
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let answer = tokio::time::timeout(self.timeout, self.read(url)).await;
        answer.unwrap_or(Err(FetchError::TimedOut(self.timeout)))
    }

    async fn read(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let mut response = self.client.get(url.clone()).send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > MAX_BYTES {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Where the discovery document says that the keys are (OIDC Discovery §4.3: `issuer` must be exactly ours).
fn discovered(json: &[u8], issuer: &str) -> Result<Url, FetchError> {
    let document = strict::object(json).ok_or(FetchError::Document)?;
    let text = |name: &str| {
        document
            .get(name)
            .and_then(|value| value.as_str())
            .ok_or(FetchError::Document)
    };
    if text("issuer")? != issuer {
        return Err(FetchError::OtherIssuer);
    }
    let url = Url::parse(text("jwks_uri")?).map_err(|_| FetchError::Document)?;
    if is_protected(&url) {
        Ok(url)
    } else {
        Err(FetchError::KeysUrl)
    }
}

/// Whether its keys could be asked for where the settings say.
pub(super) fn check(settings: &settings::Issuer) -> Result<(), IdentitySetupError> {
    match &settings.keys {
        Keys::Discovery => document_url(settings).map(drop),
        Keys::JwksUrl(url) => checked_url(settings, url).map(drop),
        Keys::File(_) | Keys::SecretFile(_) => Ok(()),
    }
}

fn document_url(settings: &settings::Issuer) -> Result<Url, IdentitySetupError> {
    // OIDC Discovery §4: appended after removing a slash at the end.
    let base = settings.issuer.trim_end_matches('/');
    checked_url(settings, &format!("{base}/.well-known/openid-configuration"))
}

fn checked_url(settings: &settings::Issuer, text: &str) -> Result<Url, IdentitySetupError> {
    let refused = || IdentitySetupError::Url {
        issuer: settings.name.clone(),
        url: text.to_owned(),
    };
    let url = Url::parse(text).map_err(|_| refused())?;
    if is_protected(&url) {
        Ok(url)
    } else {
        Err(refused())
    }
}

/// https, or http where nobody is in between.
fn is_protected(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
