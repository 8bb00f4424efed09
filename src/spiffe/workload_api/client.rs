//! Calls of the Workload API, and what their answers have to hold.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::uri::PathAndQuery;
use jiff::Timestamp;
use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::address::Address;
use super::message::{
    JwtBundlesRequest, JwtBundlesResponse, JwtSvidRequest, JwtSvidResponse, SECURITY_HEADER, X509SvidRequest,
    X509SvidResponse, path,
};
use crate::spiffe::bundle::{BundleError, JwtAuthority, X509Authority, jwt_authorities, x509_authorities};
use crate::spiffe::id::{SpiffeId, SpiffeIdError, TrustDomain};
use crate::spiffe::strict;
use crate::spiffe::svid::{SvidError, X509Svid};

/// How long an answer may take; that of a stream is due at once, too (Workload API §4.3).
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// An agent that hangs is found out by this. Not more often: servers of gRPC for Go, SPIRE's among them, hang up on who
/// pings within five minutes.
const PING: Duration = Duration::from_mins(6);
/// Far above what an agent has for one workload.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// A client; its connection is made when it is needed, and again when it broke.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
}

/// What the workload is entitled to.
#[derive(Debug, Clone)]
pub struct X509Material {
    /// At least one; the first is the default (Workload API §5.3).
    pub svids: Vec<X509Svid>,
    /// By trust domain: its own, and those that it federates with.
    pub bundles: X509Bundles,
}

/// X.509 authorities by trust domain.
pub type X509Bundles = BTreeMap<TrustDomain, Vec<X509Authority>>;

/// JWT authorities by trust domain.
pub type JwtBundles = BTreeMap<TrustDomain, Vec<JwtAuthority>>;

/// A JWT-SVID of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtSvid {
    /// Whose.
    pub id: SpiffeId,
    /// The token.
    pub token: String,
    /// `exp`
    pub expires: Timestamp,
}

/// Why the Workload API gave nothing of use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadApiError {
    /// Nobody serves it, or the connection broke.
    #[error("the Workload API can't be reached: {0}")]
    Unreachable(String),
    /// It doesn't answer.
    #[error("the Workload API did not answer in time")]
    TooLate,
    /// It knows no identity for this workload (any more).
    #[error("the Workload API has no identity for this workload: is it registered?")]
    Denied,
    /// It doesn't serve this call, or not this way.
    #[error("the Workload API refuses the call: {0}")]
    Refused(String),
    /// It answered, but what must be there is missing.
    #[error("the Workload API answered with nothing: no {0}")]
    Nothing(&'static str),
    /// It answered, and our identity isn't in the answer (any more).
    #[error("the Workload API has no X.509-SVID of `{0}` for this workload: is it registered?")]
    NotAmong(String),
    /// The stream ended without an error.
    #[error("the Workload API ended the stream")]
    Ended,
    /// An identity isn't sound.
    #[error("the SVID of `{id}` can't be used: {error}")]
    Svid {
        /// Whose it should be.
        id: String,
        /// Why not.
        error: SvidError,
    },
    /// A name isn't a SPIFFE ID.
    #[error("`{id}` is no SPIFFE ID: {error}")]
    Id {
        /// What it says.
        id: String,
        /// Why not.
        error: SpiffeIdError,
    },
    /// A bundle isn't sound.
    #[error("the bundle of `{trust_domain}` can't be used: {error}")]
    Bundle {
        /// Whose.
        trust_domain: String,
        /// Why not.
        error: BundleError,
    },
    /// Not the token that was asked for.
    #[error("the JWT-SVID of `{0}` is not one")]
    Token(String),
}

/// The answers of a stream, each of which replaces the one before.
pub struct Updates<M, T> {
    messages: Streaming<M>,
    read: fn(M) -> Result<T, WorkloadApiError>,
    answered: bool,
}

impl Client {
    /// A client of what is served there, whether or not it is served already.
    ///
    /// # Errors
    /// [`WorkloadApiError::Unreachable`] if the address can't be one.
    pub fn new(address: &Address) -> Result<Self, WorkloadApiError> {
        let uri = match address {
            Address::Unix(_) => address.to_string(),
            Address::Tcp(address) => format!("http://{address}"),
        };
        let endpoint =
            Endpoint::from_shared(uri).map_err(|error| WorkloadApiError::Unreachable(error.to_string()))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PATIENCE)
            .keep_alive_while_idle(true);
        Ok(Self {
            channel: endpoint.connect_lazy(),
        })
    }

    /// Our X.509-SVIDs and the X.509 bundles, now and whenever they change.
    ///
    /// # Errors
    /// [`WorkloadApiError`] if the stream can't be opened.
    pub async fn x509(&self) -> Result<Updates<X509SvidResponse, X509Material>, WorkloadApiError> {
        self.stream(path::FETCH_X509_SVID, X509SvidRequest {}, x509_material)
            .await
    }

    /// The JWT bundles, now and whenever they change.
    ///
    /// # Errors
    /// [`WorkloadApiError`] if the stream can't be opened.
    pub async fn jwt_bundles(&self) -> Result<Updates<JwtBundlesResponse, JwtBundles>, WorkloadApiError> {
        self.stream(path::FETCH_JWT_BUNDLES, JwtBundlesRequest {}, jwt_bundles)
            .await
    }

    /// A JWT-SVID of ours for an audience: that of `id`, or of our default identity.
    ///
    /// # Errors
    /// [`WorkloadApiError`].
    pub async fn jwt_svid(&self, audience: &str, id: Option<&SpiffeId>) -> Result<JwtSvid, WorkloadApiError> {
        let request = JwtSvidRequest {
            audience: vec![audience.to_owned()],
            spiffe_id: id.map(ToString::to_string).unwrap_or_default(),
        };
        let mut grpc = self.grpc();
        let asked = async {
            ready(&mut grpc).await?;
            let path = PathAndQuery::from_static(path::FETCH_JWT_SVID);
            let codec = ProstCodec::<_, JwtSvidResponse>::default();
            grpc.unary(secured(request), path, codec)
                .await
                .map_err(|status| told(&status))
        };
        let answer = timeout(PATIENCE, asked)
            .await
            .map_err(|_| WorkloadApiError::TooLate)??;
        let first = answer.into_inner().svids.into_iter().next();
        let first = first.ok_or(WorkloadApiError::Nothing("JWT-SVID"))?;
        let svid = read_jwt_svid(&first.spiffe_id, first.svid)?;
        match id {
            Some(id) if svid.id != *id => Err(WorkloadApiError::Token(id.to_string())),
            _ => Ok(svid),
        }
    }

    async fn stream<Q: Message + 'static, M: Message + Default + 'static, T>(
        &self,
        path: &'static str,
        request: Q,
        read: fn(M) -> Result<T, WorkloadApiError>,
    ) -> Result<Updates<M, T>, WorkloadApiError> {
        let mut grpc = self.grpc();
        let asked = async {
            ready(&mut grpc).await?;
            let path = PathAndQuery::from_static(path);
            grpc.server_streaming(secured(request), path, ProstCodec::default())
                .await
                .map_err(|status| told(&status))
        };
        let answer = timeout(PATIENCE, asked)
            .await
            .map_err(|_| WorkloadApiError::TooLate)??;
        Ok(Updates {
            messages: answer.into_inner(),
            read,
            answered: false,
        })
    }

    fn grpc(&self) -> Grpc<Channel> {
        Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }
}

impl<M, T> Updates<M, T> {
    /// The next answer. The first is due at once; after it, silence means that nothing changed. After an answer that
    /// holds nothing of use the stream goes on; after any other error it doesn't.
    ///
    /// # Errors
    /// [`WorkloadApiError`].
    pub async fn next(&mut self) -> Result<T, WorkloadApiError> {
        let next = self.messages.message();
        let message = if self.answered {
            next.await
        } else {
            timeout(PATIENCE, next)
                .await
                .map_err(|_| WorkloadApiError::TooLate)?
        };
        self.answered = true;
        (self.read)(
            message
                .map_err(|status| told(&status))?
                .ok_or(WorkloadApiError::Ended)?,
        )
    }
}

impl WorkloadApiError {
    /// Whether the agent said that what it gave before is withdrawn, rather than that it can't tell now.
    #[must_use]
    pub fn withdraws(&self) -> bool {
        matches!(self, Self::Denied)
    }

    /// Whether the stream that it came by goes on: the answer was discarded (Workload API §4.5).
    #[must_use]
    pub fn is_of_an_answer(&self) -> bool {
        matches!(
            self,
            Self::Nothing(_) | Self::NotAmong(_) | Self::Svid { .. } | Self::Id { .. } | Self::Bundle { .. }
        )
    }
}

async fn ready(grpc: &mut Grpc<Channel>) -> Result<(), WorkloadApiError> {
    let failed = |error: tonic::transport::Error| WorkloadApiError::Unreachable(causes(&error));
    grpc.ready().await.map_err(failed)
}

fn secured<Q>(message: Q) -> Request<Q> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert(SECURITY_HEADER, MetadataValue::from_static("true"));
    request
}

/// Workload Endpoint, appendix A.
fn told(status: &Status) -> WorkloadApiError {
    match status.code() {
        Code::PermissionDenied => WorkloadApiError::Denied,
        Code::InvalidArgument | Code::Unimplemented => WorkloadApiError::Refused(status.message().to_owned()),
        Code::DeadlineExceeded => WorkloadApiError::TooLate,
        _ => WorkloadApiError::Unreachable(causes(status)),
    }
}

/// An error with what it came from: tonic's own texts say little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn x509_material(message: X509SvidResponse) -> Result<X509Material, WorkloadApiError> {
    if message.svids.is_empty() {
        return Err(WorkloadApiError::Nothing("X.509-SVID"));
    }
    let mut material = X509Material {
        svids: Vec::new(),
        bundles: X509Bundles::new(),
    };
    for (name, der) in message.federated_bundles {
        let trust_domain =
            TrustDomain::parse_id(&name).map_err(|error| WorkloadApiError::Id { id: name, error })?;
        // A domain that has no X.509 authorities is as good as one that isn't named.
        if !der.is_empty() {
            let authorities = x509_bundle(&trust_domain, &der)?;
            material.bundles.insert(trust_domain, authorities);
        }
    }
    // After the others: what stands with an SVID is its own domain's bundle.
    for entry in message.svids {
        let name = entry.spiffe_id;
        let failed = |error| WorkloadApiError::Id {
            id: name.clone(),
            error,
        };
        let id = SpiffeId::parse(&name).map_err(failed)?;
        let trust_domain = TrustDomain::parse(id.trust_domain()).map_err(failed)?;
        let svid = X509Svid::new(&id, &entry.x509_svid, &entry.x509_svid_key);
        material
            .svids
            .push(svid.map_err(|error| WorkloadApiError::Svid { id: name, error })?);
        let authorities = x509_bundle(&trust_domain, &entry.bundle)?;
        material.bundles.insert(trust_domain, authorities);
    }
    Ok(material)
}

fn x509_bundle(trust_domain: &TrustDomain, der: &[u8]) -> Result<Vec<X509Authority>, WorkloadApiError> {
    let authorities = x509_authorities(der).map_err(|error| WorkloadApiError::Bundle {
        trust_domain: trust_domain.to_string(),
        error,
    })?;
    if authorities.is_empty() {
        return Err(WorkloadApiError::Nothing("X.509 bundle"));
    }
    Ok(authorities)
}

fn jwt_bundles(message: JwtBundlesResponse) -> Result<JwtBundles, WorkloadApiError> {
    if message.bundles.is_empty() {
        return Err(WorkloadApiError::Nothing("JWT bundle"));
    }
    let mut bundles = JwtBundles::new();
    for (name, document) in message.bundles {
        let trust_domain = TrustDomain::parse_id(&name).map_err(|error| WorkloadApiError::Id {
            id: name.clone(),
            error,
        })?;
        let authorities = jwt_authorities(&document).map_err(|error| WorkloadApiError::Bundle {
            trust_domain: name,
            error,
        })?;
        bundles.insert(trust_domain, authorities);
    }
    Ok(bundles)
}

/// The token is the agent's word to us: its signature is for whom it is shown to.
fn read_jwt_svid(name: &str, token: String) -> Result<JwtSvid, WorkloadApiError> {
    let id = SpiffeId::parse(name).map_err(|error| WorkloadApiError::Id {
        id: name.to_owned(),
        error,
    })?;
    let claims = token.split('.').nth(1).and_then(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        strict::object(&bytes)
    });
    let expires = claims.and_then(|claims| {
        let ours = claims.get("sub")?.as_str()? == name;
        ours.then(|| Timestamp::from_second(claims.get("exp")?.as_i64()?).ok())?
    });
    match expires {
        Some(expires) => Ok(JwtSvid { id, token, expires }),
        None => Err(WorkloadApiError::Token(name.to_owned())),
    }
}

// A token has no business in a log.
impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvid")
            .field("id", &self.id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl<M, T> fmt::Debug for Updates<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates")
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}
