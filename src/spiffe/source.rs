//! The sources of bundles that are asked again and again: files and bundle endpoints (SPIFFE Federation §5). One task
//! for each trust domain writes into [`Bundles`].
//!
//! What is refused leaves the last good bundle in its place, for as long as [`Bundles`] lets it serve: a document that is
//! no bundle, a bundle without any authority, one with a smaller `spiffe_sequence` than the last.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use super::bundle::{Bundle, BundleError};
use super::bundles::{Bundles, Freshness, Source};
use super::endpoint;
use super::id::TrustDomain;
use super::settings::{self, BundleSource, Refresh};
use crate::clock;
use crate::fetch::{Authorities, Bounds, Http, HttpError, HttpSetupError, is_protected};

/// No bundle is longer.
const MAX_BYTES: usize = 1024 * 1024;

/// How long a failed fetch is waited after at first, doubled each time, up to the usual interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Why a source of bundles can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its URL isn't https.
    #[error("trust domain `{trust_domain}`: `{url}` must be an https URL")]
    Url {
        /// Whose bundle.
        trust_domain: String,
        /// What was configured.
        url: String,
    },
    /// The SPIFFE ID of its endpoint isn't one, or its trust domain can't be verified.
    #[error("trust domain `{trust_domain}`: {problem}")]
    Endpoint {
        /// Whose bundle.
        trust_domain: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// A file can't be used.
    #[error("trust domain `{trust_domain}`: `{}` can't be used: {problem}", path.display())]
    File {
        /// Whose bundle.
        trust_domain: String,
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// There is no HTTP client.
    #[error("trust domain `{trust_domain}`: {error}")]
    Client {
        /// Whose bundle.
        trust_domain: String,
        /// Why.
        error: HttpSetupError,
    },
}

/// Why a bundle could not be had, or isn't taken.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the file can't be read: {0}")]
    File(#[from] std::io::Error),
    #[error("the file is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("the bundle has no authority at all")]
    Empty,
    #[error("the bundle's `spiffe_sequence` is {now}, the last one's was {before}")]
    Older { now: u64, before: u64 },
}

/// How a source fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Whose bundle it gives.
    pub trust_domain: TrustDomain,
    /// How many attempts have failed since the last good one.
    pub failures: u32,
    /// How many attempts have failed since the start.
    pub failed: u64,
    /// Why the last attempt failed.
    pub problem: Option<String>,
}

/// The sources at work; they end when this is dropped.
#[derive(Debug)]
pub struct Sources(Vec<Running>);

#[derive(Debug)]
struct Running {
    status: Arc<Mutex<SourceStatus>>,
    rounds: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Sources {
    /// Checks the settings and starts to ask, each source in a task of its own. Trust domains without a
    /// source, or whose bundle is the Workload API's, have none here.
    ///
    /// # Errors
    /// [`SourceError`] if a source can't be used as configured; one that can't be reached is no error.
    pub fn start(
        domains: &[settings::TrustDomain],
        refresh: Refresh,
        bundles: &Arc<Bundles>,
    ) -> Result<Self, SourceError> {
        let mut pollers = Vec::new();
        for domain in domains {
            pollers.extend(Poller::new(domain, domains, refresh, bundles)?);
        }
        Ok(Self(pollers.into_iter().map(Poller::start).collect()))
    }

    /// Waits until each has been asked once.
    pub async fn asked_once(&self) {
        for running in &self.0 {
            // Its task ends with us alone.
            let _ = running.rounds.clone().wait_for(|rounds| *rounds > 0).await;
        }
    }

    /// How each fares.
    #[must_use]
    pub fn status(&self) -> Vec<SourceStatus> {
        let status = |running: &Running| lock(&running.status).clone();
        self.0.iter().map(status).collect()
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        for running in &self.0 {
            running.task.abort();
        }
    }
}

/// Checks what can be checked of a trust domain's source without reading a file or asking anybody.
///
/// # Errors
/// [`SourceError`] with what to write instead.
pub fn check(domain: &settings::TrustDomain, all: &[settings::TrustDomain]) -> Result<(), SourceError> {
    match &domain.bundle {
        Some(BundleSource::HttpsWeb(web)) => protected(&domain.name, &web.url, is_protected).map(drop),
        Some(BundleSource::HttpsSpiffe(spiffe)) => {
            protected(&domain.name, &spiffe.url, |url| url.scheme() == "https")?;
            endpoint::check(&domain.name, spiffe, all).map(drop)
        }
        Some(BundleSource::File(_) | BundleSource::WorkloadApi) | None => Ok(()),
    }
}

fn protected(trust_domain: &str, url: &str, fits: impl FnOnce(&Url) -> bool) -> Result<Url, SourceError> {
    Url::parse(url).ok().filter(fits).ok_or_else(|| SourceError::Url {
        trust_domain: trust_domain.to_owned(),
        url: url.to_owned(),
    })
}

/// What asks one source.
struct Poller {
    trust_domain: TrustDomain,
    place: Place,
    source: Source,
    refresh: Refresh,
    bundles: Arc<Bundles>,
    /// Of the last bundle taken.
    sequence: Option<u64>,
    status: Arc<Mutex<SourceStatus>>,
}

enum Place {
    File(PathBuf),
    Endpoint { http: Http, url: Url },
}

impl Poller {
    fn new(
        domain: &settings::TrustDomain,
        all: &[settings::TrustDomain],
        refresh: Refresh,
        bundles: &Arc<Bundles>,
    ) -> Result<Option<Self>, SourceError> {
        check(domain, all)?;
        let bounds = Bounds {
            timeout: refresh.timeout,
            max_bytes: MAX_BYTES,
        };
        let client = |url: &Url, authorities: Authorities<'_>| {
            Http::new(url, bounds, authorities).map_err(|error| SourceError::Client {
                trust_domain: domain.name.clone(),
                error,
            })
        };
        let (place, source) = match &domain.bundle {
            None | Some(BundleSource::WorkloadApi) => return Ok(None),
            Some(BundleSource::File(path)) => (Place::File(path.clone()), Source::File),
            Some(BundleSource::HttpsWeb(web)) => {
                let url = protected(&domain.name, &web.url, is_protected)?;
                let authorities = web
                    .ca_file
                    .as_deref()
                    .map_or(Authorities::System, Authorities::File);
                let http = client(&url, authorities)?;
                (Place::Endpoint { http, url }, Source::HttpsWeb)
            }
            Some(BundleSource::HttpsSpiffe(spiffe)) => {
                let url = protected(&domain.name, &spiffe.url, |url| url.scheme() == "https")?;
                let tls = endpoint::tls(&domain.name, spiffe, all, bundles)?;
                let http = client(&url, Authorities::Tls(Box::new(tls)))?;
                (Place::Endpoint { http, url }, Source::HttpsSpiffe)
            }
        };
        let trust_domain = TrustDomain::parse(&domain.name).map_err(|error| SourceError::Endpoint {
            trust_domain: domain.name.clone(),
            problem: error.to_string(),
        })?;
        let status = Arc::new(Mutex::new(SourceStatus {
            trust_domain: trust_domain.clone(),
            failures: 0,
            failed: 0,
            problem: None,
        }));
        Ok(Some(Self {
            trust_domain,
            place,
            source,
            refresh,
            bundles: Arc::clone(bundles),
            sequence: None,
            status,
        }))
    }

    fn start(mut self) -> Running {
        let (told, rounds) = watch::channel(0_u64);
        let status = Arc::clone(&self.status);
        let task = tokio::spawn(async move {
            loop {
                let pause = self.round().await;
                told.send_modify(|rounds| *rounds = rounds.wrapping_add(1));
                wait(clock::jittered(pause)).await;
            }
        });
        Running { status, rounds, task }
    }

    /// Asks once; how long to pause.
    async fn round(&mut self) -> Duration {
        let taken = match self.ask().await {
            Ok(document) => self.take(&document),
            Err(failure) => Err(failure),
        };
        match taken {
            Ok(hint) => {
                let mut status = lock(&self.status);
                status.failures = 0;
                status.problem = None;
                self.usual(hint)
            }
            Err(failure) => {
                let failure: &dyn std::error::Error = &failure;
                let trust_domain = self.trust_domain.as_str();
                tracing::warn!(
                    trust_domain,
                    error = failure,
                    "a bundle could not be had; the last one stays"
                );
                let mut status = lock(&self.status);
                status.failures = status.failures.saturating_add(1);
                status.failed = status.failed.saturating_add(1);
                status.problem = Some(with_causes(failure));
                let doublings = 2_u32.saturating_pow(status.failures.saturating_sub(1));
                FIRST_RETRY.saturating_mul(doublings).min(self.usual(None))
            }
        }
    }

    async fn ask(&self) -> Result<Vec<u8>, Failure> {
        match &self.place {
            Place::Endpoint { http, url } => Ok(http.get(url).await?),
            Place::File(path) => {
                if tokio::fs::metadata(path).await?.len() > MAX_BYTES as u64 {
                    return Err(Failure::TooLong);
                }
                Ok(tokio::fs::read(path).await?)
            }
        }
    }

    /// Takes a document as the trust domain's bundle; what it says of how often to ask.
    fn take(&mut self, document: &[u8]) -> Result<Option<Duration>, Failure> {
        let bundle = Bundle::parse(document)?;
        if bundle.x509.is_empty() && bundle.jwt.is_empty() {
            return Err(Failure::Empty);
        }
        let now = clock::instant();
        // Once the last bundle has aged out there is nothing left to protect: whoever started counting anew is heard.
        let last = self.sequence.filter(|_| self.is_usable());
        if let (Some(before), Some(now)) = (last, bundle.sequence)
            && now < before
        {
            return Err(Failure::Older { now, before });
        }
        self.sequence = bundle.sequence;
        self.bundles.put(
            &self.trust_domain,
            &bundle,
            self.source,
            Freshness::Confirmed(now),
        );
        Ok(bundle.refresh_hint)
    }

    fn is_usable(&self) -> bool {
        let (name, now) = (self.trust_domain.as_str(), clock::instant());
        self.bundles.jwt(name, now).is_ok() || self.bundles.x509(name, now).is_ok()
    }

    fn usual(&self, hint: Option<Duration>) -> Duration {
        match self.place {
            Place::File(_) => self.refresh.file_interval,
            Place::Endpoint { .. } => hint
                .unwrap_or(self.refresh.interval)
                .min(self.refresh.max_interval)
                .max(self.refresh.min_interval),
        }
    }
}

/// An error with all that led to it: what TLS says of a certificate stands at the end.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

fn lock(status: &Mutex<SourceStatus>) -> std::sync::MutexGuard<'_, SourceStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a pause between attempts")]
async fn wait(pause: Duration) {
    tokio::time::sleep(pause).await;
}
