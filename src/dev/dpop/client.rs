//! How an MCP client of rmcp proves each of its requests.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Error as SseError, Sse};

use super::{Proof, ProofKey, ProofKeyError};
use crate::clock;

/// What rmcp sends its requests with, each with a new proof and a token that is bound to its key. Where the server
/// demands a nonce in proofs, it asks for one and tries once more.
#[derive(Debug, Clone)]
pub struct BoundClient {
    http: reqwest::Client,
    key: Arc<ProofKey>,
    token: Arc<str>,
    nonce: Arc<Mutex<Option<String>>>,
}

type Fields = HashMap<HeaderName, HeaderValue>;
type Failed = StreamableHttpError<reqwest::Error>;

impl BoundClient {
    /// A client that shows this token and proves that it has the key.
    #[must_use]
    pub fn new(http: reqwest::Client, key: Arc<ProofKey>, token: &str) -> Self {
        Self {
            http,
            key,
            token: token.into(),
            nonce: Arc::default(),
        }
    }

    /// The two fields that a request with this method and URL needs (RFC 9449 §7.1).
    ///
    /// # Errors
    /// [`ProofKeyError`] if there is no proof or the token can't be sent.
    pub fn fields(&self, method: &str, url: &str) -> Result<[(HeaderName, HeaderValue); 2], ProofKeyError> {
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let proof = Proof {
            method,
            url,
            token: Some(&self.token),
            nonce: nonce.as_deref(),
            ..Proof::default()
        };
        let proof = self.key.proof(&proof, clock::now())?;
        let value = |text: String| HeaderValue::try_from(text).map_err(|_| ProofKeyError::Token);
        Ok([
            (
                http::header::AUTHORIZATION,
                value(format!("DPoP {}", self.token))?,
            ),
            (HeaderName::from_static("dpop"), value(proof)?),
        ])
    }

    /// Sends with a new proof, and again with another where the first had no nonce that holds.
    async fn proving<T, F>(
        &self,
        (method, url): (&str, &str),
        fields: Fields,
        send: impl Fn(Fields) -> F + Send,
    ) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>> + Send,
    {
        let with_proof = |mut fields: Fields| {
            fields.extend(self.fields(method, url).map_err(io::Error::other)?);
            Ok::<_, Failed>(fields)
        };
        let outcome = send(with_proof(fields.clone())?).await;
        if outcome.as_ref().is_err_and(demands_nonce) && self.ask_for_nonce(method, url).await? {
            return send(with_proof(fields)?).await;
        }
        outcome
    }

    /// rmcp shows no field of a refusal but the challenge: the nonce is asked for once more.
    async fn ask_for_nonce(&self, method: &str, url: &str) -> Result<bool, Failed> {
        let method_name = http::Method::from_bytes(method.as_bytes()).map_err(io::Error::other)?;
        let mut request = self.http.request(method_name, url);
        for (name, value) in self.fields(method, url).map_err(io::Error::other)? {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(StreamableHttpError::Client)?;
        let nonce = answer.headers().get("dpop-nonce");
        let nonce = nonce.and_then(|nonce| nonce.to_str().ok()).map(str::to_owned);
        let found = nonce.is_some();
        *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = nonce;
        Ok(found)
    }
}

impl StreamableHttpClient for BoundClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _bearer: Option<String>,
        fields: Fields,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let send = |fields| {
            let (uri, message, session) = (Arc::clone(&uri), message.clone(), session.clone());
            self.http.post_message(uri, message, session, None, fields)
        };
        self.proving(("POST", &uri), fields, send).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        _bearer: Option<String>,
        fields: Fields,
    ) -> Result<(), Failed> {
        let send = |fields| {
            let (uri, session) = (Arc::clone(&uri), Arc::clone(&session));
            self.http.delete_session(uri, session, None, fields)
        };
        self.proving(("DELETE", &uri), fields, send).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _bearer: Option<String>,
        fields: Fields,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let send = |fields| {
            let (uri, session) = (Arc::clone(&uri), session.clone());
            self.http
                .get_stream(uri, session, last_event.clone(), None, fields)
        };
        self.proving(("GET", &uri), fields, send).await
    }
}

/// RFC 9449 §9
fn demands_nonce(failed: &Failed) -> bool {
    match failed {
        StreamableHttpError::AuthRequired(required) => required
            .www_authenticate_header
            .contains("error=\"use_dpop_nonce\""),
        _ => false,
    }
}
