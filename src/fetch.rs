//! Documents that others publish for us, over HTTP: bounded in time and size, from nowhere but where they were asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode, redirect};
use url::{Host, Url};

/// A client, and how long and how much it takes.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    bounds: Bounds,
}

/// How long an answer may take, and how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// From the first byte sent to the last one received.
    pub timeout: Duration,
    /// The longest answer, in bytes.
    pub max_bytes: usize,
}

/// Who vouches for a server.
#[derive(Debug)]
pub enum Authorities<'a> {
    /// Whom the system believes.
    System,
    /// Only those in this PEM file.
    File(&'a Path),
    /// Whoever this configuration of rustls believes.
    Tls(Box<rustls::ClientConfig>),
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("no answer: {0}")]
    Transport(#[from] reqwest::Error),
    /// It took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Any status but 200; a redirect could lead anywhere.
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    /// The answer to a question is of another type than JSON.
    #[error("the answer is not of type application/json")]
    NotJson,
    /// The answer doesn't end in time.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The file of certificate authorities can't be used.
    #[error("`{}` can't be used: {problem}", path.display())]
    Authorities {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The client can't be built.
    #[error("no HTTP client: {0}")]
    Client(reqwest::Error),
}

impl Http {
    /// A client for documents of the server of `url`. Reads nothing but the file of authorities.
    ///
    /// # Errors
    /// [`HttpSetupError`] if that file can't be used.
    pub fn new(url: &Url, bounds: Bounds, authorities: Authorities<'_>) -> Result<Self, HttpSetupError> {
        // Another part of the process may have chosen already: whoever comes first is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("mcp-authz/", env!("CARGO_PKG_VERSION")))
            .timeout(bounds.timeout);
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        builder = match authorities {
            Authorities::System => builder,
            Authorities::File(path) => only(builder, path)?,
            Authorities::Tls(config) => builder.tls_backend_preconfigured(*config),
        };
        let client = builder.build().map_err(HttpSetupError::Client)?;
        Ok(Self { client, bounds })
    }

    /// The document there.
    ///
    /// # Errors
    /// [`HttpError`] unless all of it came in time.
    pub async fn get(&self, url: &Url) -> Result<Vec<u8>, HttpError> {
        self.in_time(self.client.get(url.clone()), false).await
    }

    /// What is answered to a request of [`Http::post`]'s, in JSON.
    ///
    /// # Errors
    /// [`HttpError`] unless all of it came in time, and says that it is JSON.
    pub async fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, HttpError> {
        self.in_time(request, true).await
    }

    async fn in_time(&self, request: RequestBuilder, json: bool) -> Result<Vec<u8>, HttpError> {
        let answer = tokio::time::timeout(self.bounds.timeout, self.read(request, json)).await;
        answer.unwrap_or(Err(HttpError::TimedOut(self.bounds.timeout)))
    }

    /// A request that says something, to be completed and then sent.
    pub fn post(&self, url: &Url) -> RequestBuilder {
        self.client.post(url.clone())
    }

    async fn read(&self, request: RequestBuilder, json: bool) -> Result<Vec<u8>, HttpError> {
        let mut response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(HttpError::Status(response.status()));
        }
        if json && !is_json(response.headers()) {
            return Err(HttpError::NotJson);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > self.bounds.max_bytes {
                return Err(HttpError::TooLong(self.bounds.max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn only(builder: ClientBuilder, path: &Path) -> Result<ClientBuilder, HttpSetupError> {
    let unusable = |problem: String| HttpSetupError::Authorities {
        path: path.to_owned(),
        problem,
    };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
    if authorities.is_empty() {
        return Err(unusable("no certificate in it".to_owned()));
    }
    Ok(builder.tls_certs_only(authorities))
}

/// Whether a body is JSON (RFC 8259 §11), whatever parameters follow.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// https, or http where nobody is in between.
#[must_use]
pub fn is_protected(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Whether a URL leads to this machine and nowhere else.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
