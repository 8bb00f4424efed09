//! How an issuer's keys are got: over HTTP, bounded in time and size, or from a file.

use std::path::PathBuf;

use serde_json::Value;
use url::Url;

use super::settings::{self, Keys};
use super::{IdentitySetupError, strict};
use crate::fetch::{Authorities, Bounds, Http, HttpError, HttpSetupError, is_protected};

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

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the file is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the discovery document is not JSON with `issuer` and `{0}`")]
    Document(&'static str),
    #[error("the discovery document is another issuer's")]
    OtherIssuer,
    #[error("the discovery document's `{0}` is not https")]
    Place(&'static str),
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
                Self::Discovery {
                    http: http(settings, &document, bounds(settings))?,
                    document,
                    issuer: settings.issuer.clone(),
                    jwks_uri: None,
                }
            }
            Keys::JwksUrl(url) => {
                let jwks_url = checked_url(settings, url)?;
                Self::Fixed {
                    http: http(settings, &jwks_url, bounds(settings))?,
                    jwks_url,
                }
            }
            Keys::File(path) => Self::File(path.clone()),
            Keys::SecretFile(_) | Keys::Absent => return Ok(None),
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
                    None => discovered(&http.get(document).await?, issuer, "jwks_uri")?,
                };
                let set = http.get(&place).await?;
                *jwks_uri = Some(place);
                Ok(set)
            }
            Self::Fixed { http, jwks_url } => Ok(http.get(jwks_url).await?),
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

const fn bounds(settings: &settings::Issuer) -> Bounds {
    Bounds {
        timeout: settings.fetch_timeout,
        max_bytes: MAX_BYTES,
    }
}

/// A client for what the issuer's server at `url` answers.
pub(super) fn http(
    settings: &settings::Issuer,
    url: &Url,
    bounds: Bounds,
) -> Result<Http, IdentitySetupError> {
    let authorities = settings
        .ca_file
        .as_deref()
        .map_or(Authorities::System, Authorities::File);
    Http::new(url, bounds, authorities).map_err(|error| match error {
        HttpSetupError::Authorities { path, problem } => IdentitySetupError::File {
            issuer: settings.name.clone(),
            path,
            problem,
        },
        HttpSetupError::Client(error) => IdentitySetupError::Client {
            issuer: settings.name.clone(),
            problem: error.to_string(),
        },
    })
}

/// Where an issuer's discovery document says that something of it is (OIDC Discovery §4.3: `issuer` must be exactly
/// ours).
pub(super) fn discovered(json: &[u8], issuer: &str, what: &'static str) -> Result<Url, FetchError> {
    let malformed = || FetchError::Document(what);
    let document = strict::object(json).ok_or_else(malformed)?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).ok_or_else(malformed);
    if text("issuer")? != issuer {
        return Err(FetchError::OtherIssuer);
    }
    let url = Url::parse(text(what)?).map_err(|_| malformed())?;
    if is_protected(&url) {
        Ok(url)
    } else {
        Err(FetchError::Place(what))
    }
}

/// Whether its keys could be asked for where the settings say.
pub(super) fn check(settings: &settings::Issuer) -> Result<(), IdentitySetupError> {
    match &settings.keys {
        Keys::Discovery => document_url(settings).map(drop),
        Keys::JwksUrl(url) => checked_url(settings, url).map(drop),
        Keys::File(_) | Keys::SecretFile(_) | Keys::Absent => Ok(()),
    }
}

/// Where its discovery document is.
pub(super) fn document_url(settings: &settings::Issuer) -> Result<Url, IdentitySetupError> {
    // OIDC Discovery §4: appended after removing a slash at the end.
    let base = settings.issuer.trim_end_matches('/');
    checked_url(settings, &format!("{base}/.well-known/openid-configuration"))
}

/// A URL that the settings name.
pub(super) fn checked_url(settings: &settings::Issuer, text: &str) -> Result<Url, IdentitySetupError> {
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
