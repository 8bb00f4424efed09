//! The calls of the Workload API, answered for one workload.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use prost::Message;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::{Mood, Workload, Wrong};
use crate::clock;
use crate::dev::trust_domain::{DevTrustDomain, DevTrustDomainError};
use crate::spiffe::SpiffeId;
use crate::spiffe::workload_api::message::{
    JwtBundlesRequest, JwtBundlesResponse, JwtSvidEntry, JwtSvidRequest, JwtSvidResponse, SECURITY_HEADER,
    X509BundlesRequest, X509BundlesResponse, X509SvidEntry, X509SvidRequest, X509SvidResponse, path,
};

/// What a socket serves.
#[derive(Clone)]
pub(super) struct Service {
    workload: Workload,
    mood: watch::Receiver<Mood>,
}

type Answers<M> = BoxStream<'static, Result<M, Status>>;
type Make<M> = fn(&Workload, Option<Wrong>) -> Result<M, DevTrustDomainError>;

impl Service {
    pub(super) fn new(workload: Workload, mood: watch::Receiver<Mood>) -> Self {
        Self { workload, mood }
    }

    /// An answer now, after each change and each renewal, made by `make`; `M::default()` is an answer with nothing in it.
    fn answers<M: Message + Default + 'static>(self, make: Make<M>) -> Answers<M> {
        let changes = self.workload.trust_domain.subscribe();
        let state = Some((self, changes, false));
        let next = move |state: Option<(Self, watch::Receiver<u64>, bool)>| async move {
            let (mut this, mut changes, answered) = state?;
            if answered {
                this.changed(&mut changes).await;
            }
            changes.mark_unchanged();
            let wrong = match this.mood_of_an_answer().await {
                Mood::Nothing => return Some((Ok(M::default()), Some((this, changes, true)))),
                Mood::Denying => return Some((Err(denied()), None)),
                Mood::Wrong(wrong) => Some(wrong),
                Mood::Serving | Mood::Hanging => None,
            };
            match make(&this.workload, wrong) {
                Ok(answer) => Some((Ok(answer), Some((this, changes, true)))),
                Err(error) => Some((Err(Status::internal(error.to_string())), None)),
            }
        };
        stream::unfold(state, next).boxed()
    }

    /// Waits until there is something new to tell.
    async fn changed(&mut self, changes: &mut watch::Receiver<u64>) {
        let half = self.workload.svid_lifetime.checked_div(2).unwrap_or_default();
        let told = async {
            tokio::select! {
                // Nobody left to change anything: renewals go on.
                Ok(()) = changes.changed() => {}
                Ok(()) = self.mood.changed() => {}
                else => std::future::pending().await,
            }
        };
        let _renewal = timeout(half.max(Duration::from_millis(10)), told).await;
    }

    /// The mood once it isn't hanging.
    async fn mood_of_an_answer(&mut self) -> Mood {
        let mood = self.mood.wait_for(|mood| *mood != Mood::Hanging).await;
        let mood = mood.map(|mood| *mood).ok();
        match mood {
            Some(mood) => mood,
            // The agent is gone, and so will this connection be.
            None => std::future::pending().await,
        }
    }

    async fn jwt_svids(mut self, request: JwtSvidRequest) -> Result<JwtSvidResponse, Status> {
        match self.mood_of_an_answer().await {
            Mood::Nothing => return Ok(JwtSvidResponse::default()),
            Mood::Denying => return Err(denied()),
            _ => {}
        }
        if request.audience.is_empty() {
            return Err(Status::invalid_argument("audience must be specified"));
        }
        let audience: Vec<&str> = request.audience.iter().map(String::as_str).collect();
        let asked = |id: &&SpiffeId| request.spiffe_id.is_empty() || id.as_str() == request.spiffe_id;
        let workload = &self.workload;
        let entry = |id: &SpiffeId| -> Result<JwtSvidEntry, DevTrustDomainError> {
            let domain = &workload.trust_domain;
            Ok(JwtSvidEntry {
                spiffe_id: id.to_string(),
                svid: domain.mint_jwt_svid(id, &audience, workload.svid_lifetime, clock::now())?,
                hint: String::new(),
            })
        };
        let svids: Result<Vec<_>, _> = workload.ids.iter().filter(asked).map(entry).collect();
        let svids = svids.map_err(|error| Status::internal(error.to_string()))?;
        if svids.is_empty() {
            return Err(denied());
        }
        Ok(JwtSvidResponse { svids })
    }
}

impl Service {
    pub(super) async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        // Workload Endpoint §3: whoever was tricked into sending a request doesn't send this along.
        let secured = request.headers().get(SECURITY_HEADER);
        if secured.is_none_or(|value| value != "true") {
            return Status::invalid_argument("security header missing from request").into_http();
        }
        match request.uri().path() {
            path::FETCH_X509_SVID => self.stream(request, |_: X509SvidRequest| (), x509_svids).await,
            path::FETCH_X509_BUNDLES => {
                self.stream(
                    request,
                    |_: X509BundlesRequest| (),
                    |workload, _| Ok(x509_bundles(workload)),
                )
                .await
            }
            path::FETCH_JWT_BUNDLES => {
                self.stream(
                    request,
                    |_: JwtBundlesRequest| (),
                    |workload, _| Ok(jwt_bundles(workload)),
                )
                .await
            }
            path::FETCH_JWT_SVID => {
                let call = move |request: Request<JwtSvidRequest>| {
                    let this = self.clone();
                    async move { this.jwt_svids(request.into_inner()).await.map(Response::new) }
                };
                Grpc::new(ProstCodec::default())
                    .unary(service_fn(call), request)
                    .await
            }
            _ => Status::unimplemented("no such call").into_http(),
        }
    }

    async fn stream<Q: Message + Default + 'static, M: Message + Default + 'static>(
        self,
        request: http::Request<Body>,
        _takes: fn(Q),
        make: Make<M>,
    ) -> http::Response<Body> {
        let call = move |_: Request<Q>| {
            let answers = self.clone().answers(make);
            async move { Ok::<_, Status>(Response::new(answers)) }
        };
        Grpc::new(ProstCodec::<M, Q>::default())
            .server_streaming(service_fn(call), request)
            .await
    }
}

fn x509_svids(workload: &Workload, wrong: Option<Wrong>) -> Result<X509SvidResponse, DevTrustDomainError> {
    let domain = &workload.trust_domain;
    let entry = |id: &SpiffeId| -> Result<X509SvidEntry, DevTrustDomainError> {
        let svid = domain.x509_svid(id, workload.svid_lifetime, clock::now())?;
        let entry = X509SvidEntry {
            spiffe_id: id.to_string(),
            x509_svid: svid.certificate.into(),
            x509_svid_key: svid.key.into(),
            bundle: domain.x509_bundle().into(),
            hint: String::new(),
        };
        match wrong {
            Some(wrong) => spoilt(entry, wrong, workload),
            None => Ok(entry),
        }
    };
    let svids: Result<Vec<_>, _> = workload.ids.iter().map(entry).collect();
    let federated = workload.federated.iter();
    Ok(X509SvidResponse {
        svids: svids?,
        crl: Vec::new(),
        federated_bundles: federated
            .map(|domain| (name(domain), domain.x509_bundle()))
            .collect(),
    })
}

fn spoilt(
    mut entry: X509SvidEntry,
    wrong: Wrong,
    workload: &Workload,
) -> Result<X509SvidEntry, DevTrustDomainError> {
    let name = workload.trust_domain.name();
    match wrong {
        Wrong::NotCanonical => entry.spiffe_id.push('/'),
        Wrong::OtherId => entry.spiffe_id.push('x'),
        Wrong::OtherKey => {
            let other = workload.trust_domain.x509_svid(
                workload.ids.first().ok_or(DevTrustDomainError::NoAuthority)?,
                workload.svid_lifetime,
                clock::now(),
            )?;
            entry.x509_svid_key = other.key.into();
        }
        Wrong::OtherBundle => {
            let other = DevTrustDomain::new(name.clone(), clock::now())?;
            entry.bundle = other.x509_bundle().into();
        }
        Wrong::NoBundle => entry.bundle.clear(),
        Wrong::NoCertificate => entry.x509_svid = b"no certificate".to_vec().into(),
    }
    Ok(entry)
}

fn x509_bundles(workload: &Workload) -> X509BundlesResponse {
    X509BundlesResponse {
        crl: Vec::new(),
        bundles: all(workload)
            .map(|domain| (name(domain), domain.x509_bundle()))
            .collect(),
    }
}

fn jwt_bundles(workload: &Workload) -> JwtBundlesResponse {
    let bundle = |domain: &DevTrustDomain| (name(domain), domain.jwt_bundle().to_string().into_bytes());
    let bundles: BTreeMap<_, _> = all(workload).map(bundle).collect();
    JwtBundlesResponse { bundles }
}

fn all(workload: &Workload) -> impl Iterator<Item = &DevTrustDomain> {
    let own = std::iter::once(&workload.trust_domain);
    own.chain(&workload.federated).map(AsRef::as_ref)
}

fn name(domain: &DevTrustDomain) -> String {
    format!("spiffe://{}", domain.name())
}

fn denied() -> Status {
    Status::permission_denied("no identity issued")
}
