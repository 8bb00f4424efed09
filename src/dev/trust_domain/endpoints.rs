//! Bundle endpoints over real TLS (SPIFFE Federation §5): who is believed to be one, and what is taken from it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::clock;
use crate::dev::pki::Identity;
use crate::spiffe::settings::{self, BundleSource, HttpsSpiffe, HttpsWeb, Refresh};
use crate::spiffe::{Bundles, Source, SourceStatus, Sources};

const DAY: Duration = Duration::from_hours(24);
const ENDPOINT: &str = "spiffe://partner.example/spire/server";

fn domain(name: &str) -> DevTrustDomain {
    DevTrustDomain::new(TrustDomain::parse(name).unwrap(), clock::now()).unwrap()
}

impl DevTrustDomain {
    /// The certificate of a server of this name, whoever's name it is.
    fn server(&self, id: &str, issued: Timestamp) -> Arc<ServerConfig> {
        let id = SpiffeId::parse(id).unwrap();
        let svid = self.x509_svid(&id, Duration::from_mins(5), issued).unwrap();
        tls(svid.certificate.into(), svid.key)
    }
}

fn of_web(identity: &Identity) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    tls(certificate, key.secret_der().to_vec())
}

fn tls(certificate: CertificateDer<'static>, key: Vec<u8>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

/// What an endpoint is and says now.
struct Said {
    config: Arc<ServerConfig>,
    status: &'static str,
    document: String,
}

/// An endpoint, on a thread of its own.
struct Endpoint {
    url: String,
    said: Arc<Mutex<Said>>,
}

impl Endpoint {
    fn start(config: Arc<ServerConfig>, document: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "https://localhost:{}/bundle",
            listener.local_addr().unwrap().port()
        );
        let said = Arc::new(Mutex::new(Said {
            config,
            status: "200 OK",
            document,
        }));
        let saying = Arc::clone(&said);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, status, document) = {
                    let said = saying.lock().unwrap();
                    (Arc::clone(&said.config), said.status, said.document.clone())
                };
                let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                // A client that doesn't believe us hangs up here.
                if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                    let length = document.len();
                    let head = format!(
                        "HTTP/1.1 {status}\r\nlocation: /elsewhere\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                    );
                    let _ = stream
                        .write_all(head.as_bytes())
                        .and_then(|()| stream.write_all(document.as_bytes()));
                    let _ = stream.flush();
                }
            }
        });
        Self { url, said }
    }

    fn says(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.said.lock().unwrap());
    }
}

/// Who follows an endpoint.
struct Consumer {
    bundles: Arc<Bundles>,
    sources: Sources,
    directory: tempfile::TempDir,
}

/// A file with a bundle.
fn written(directory: &tempfile::TempDir, domain: &DevTrustDomain) -> PathBuf {
    let path = directory.path().join(format!("{}.json", domain.name()));
    std::fs::write(&path, domain.bundle().to_string()).unwrap();
    path
}

impl Consumer {
    /// Asks each source at least every 50 ms, and waits for its first answer.
    async fn start(
        directory: tempfile::TempDir,
        sources: impl IntoIterator<Item = (&str, Source, BundleSource)>,
    ) -> Self {
        let sources: Vec<_> = sources.into_iter().collect();
        let assigned = sources
            .iter()
            .map(|(name, source, _)| (TrustDomain::parse(name).unwrap(), *source));
        let bundles = Arc::new(Bundles::new(assigned, DAY));
        let domains: Vec<_> = sources
            .into_iter()
            .map(|(name, _, bundle)| settings::TrustDomain {
                name: name.to_owned(),
                bundle: Some(bundle),
            })
            .collect();
        let refresh = Refresh {
            min_interval: Duration::from_millis(10),
            max_interval: Duration::from_millis(50),
            file_interval: Duration::from_millis(10),
            ..Refresh::default()
        };
        let sources = Sources::start(&domains, refresh, &bundles).unwrap();
        sources.asked_once().await;
        Self {
            bundles,
            sources,
            directory,
        }
    }

    fn status(&self, domain: &str) -> SourceStatus {
        let mut all = self.sources.status().into_iter();
        all.find(|status| status.trust_domain.as_str() == domain).unwrap()
    }

    /// The names of the keys for JWT-SVIDs.
    fn kids(&self, domain: &str) -> Vec<String> {
        let found = self.bundles.jwt(domain, clock::instant());
        let authorities = found.unwrap_or_else(|_| Arc::from([]));
        authorities
            .iter()
            .map(|authority| authority.kid().to_owned())
            .collect()
    }

    /// Waits until this is so.
    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        for _ in 0..6000 {
            if so(self) {
                return;
            }
            ticks.tick().await;
        }
        panic!("never: {what}; {:?}", self.sources.status());
    }
}

fn kids(domain: &DevTrustDomain) -> Vec<String> {
    let keys = domain.jwt_bundle()["keys"].as_array().unwrap().clone();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

fn https_web(url: &str, ca_file: PathBuf) -> BundleSource {
    BundleSource::HttpsWeb(HttpsWeb {
        url: url.to_owned(),
        ca_file: Some(ca_file),
    })
}

fn https_spiffe(url: &str, endpoint_id: &str, bootstrap: Option<PathBuf>) -> BundleSource {
    BundleSource::HttpsSpiffe(HttpsSpiffe {
        url: url.to_owned(),
        endpoint_id: endpoint_id.to_owned(),
        bootstrap,
    })
}

#[tokio::test]
async fn a_bundle_comes_over_https_web_only_from_a_server_that_the_configured_authority_vouches_for() {
    let partner = domain("partner.example");
    let (authority, other) = (
        Authority::new(clock::now()).unwrap(),
        Authority::new(clock::now()).unwrap(),
    );
    let endpoint = Endpoint::start(
        of_web(&authority.server(None).unwrap()),
        partner.bundle().to_string(),
    );
    for (vouches, taken) in [(&authority, true), (&other, false)] {
        let directory = tempfile::tempdir().unwrap();
        vouches.write(directory.path()).unwrap();
        let source = https_web(&endpoint.url, directory.path().join("ca.pem"));
        let consumer = Consumer::start(directory, [("partner.example", Source::HttpsWeb, source)]).await;
        let status = consumer.status("partner.example");
        assert_eq!(status.problem.is_none(), taken, "{status:?}");
        let expected = if taken { kids(&partner) } else { Vec::new() };
        assert_eq!(consumer.kids("partner.example"), expected);
    }
}

#[tokio::test]
async fn a_bundle_comes_over_https_spiffe_only_from_the_endpoints_own_identity() {
    let (partner, other, now) = (domain("partner.example"), domain("other.example"), clock::now());
    let an_hour_ago = now.checked_sub(jiff::SignedDuration::from_hours(1)).unwrap();
    let web = Authority::new(now).unwrap().server(None).unwrap();
    let cases = [
        (partner.server(ENDPOINT, now), None),
        (
            partner.server("spiffe://partner.example/spire/agent", now),
            Some("the endpoint is `spiffe://partner.example/spire/agent`"),
        ),
        (other.server(ENDPOINT, now), Some("does not hold")),
        (
            other.server("spiffe://other.example/spire/server", now),
            Some("the endpoint is `spiffe://other.example/spire/server`"),
        ),
        (partner.server(ENDPOINT, an_hour_ago), Some("does not hold")),
        (of_web(&web), Some("no X.509-SVID")),
    ];
    for (config, refused) in cases {
        let endpoint = Endpoint::start(config, partner.bundle().to_string());
        let directory = tempfile::tempdir().unwrap();
        let bootstrap = written(&directory, &partner);
        let source = https_spiffe(&endpoint.url, ENDPOINT, Some(bootstrap));
        let consumer = Consumer::start(directory, [("partner.example", Source::HttpsSpiffe, source)]).await;
        let problem = consumer.status("partner.example").problem;
        match refused {
            None => {
                assert_eq!(problem, None);
                assert_eq!(consumer.kids("partner.example"), kids(&partner));
            }
            Some(why) => {
                assert!(
                    problem.as_ref().is_some_and(|problem| problem.contains(why)),
                    "{why}: {problem:?}"
                );
                assert!(consumer.kids("partner.example").is_empty());
            }
        }
    }
}

#[tokio::test]
async fn an_endpoint_of_another_trust_domain_is_known_by_that_domains_bundle_and_speaks_for_the_one_it_serves()
 {
    let (partner, host) = (domain("partner.example"), domain("host.example"));
    let id = "spiffe://host.example/bundles";
    let endpoint = Endpoint::start(host.server(id, clock::now()), partner.bundle().to_string());
    let directory = tempfile::tempdir().unwrap();
    let vouching = written(&directory, &host);
    let sources = [
        ("host.example", Source::File, BundleSource::File(vouching.clone())),
        (
            "partner.example",
            Source::HttpsSpiffe,
            https_spiffe(&endpoint.url, id, None),
        ),
    ];
    let consumer = Consumer::start(directory, sources).await;
    consumer
        .until("the partner's keys", |consumer| {
            consumer.kids("partner.example") == kids(&partner)
        })
        .await;
    assert_eq!(consumer.kids("host.example"), kids(&host));
    // Its authority is withdrawn: it is believed no more, and the last word of it stays.
    host.rotate(clock::now()).unwrap();
    host.withdraw();
    written(&consumer.directory, &host);
    consumer
        .until("another authority", |consumer| {
            consumer.kids("host.example") == kids(&host)
        })
        .await;
    consumer
        .until("the endpoint is refused", |consumer| {
            let problem = consumer.status("partner.example").problem;
            problem.is_some_and(|problem| problem.contains("does not hold"))
        })
        .await;
    assert_eq!(consumer.kids("partner.example"), kids(&partner));
}

#[tokio::test]
async fn a_trust_domain_without_any_x509_authority_left_vouches_for_no_endpoint_nor_does_its_bootstrap_bundle()
 {
    let (partner, host) = (domain("partner.example"), domain("host.example"));
    let id = "spiffe://host.example/bundles";
    let endpoint = Endpoint::start(host.server(id, clock::now()), partner.bundle().to_string());
    let directory = tempfile::tempdir().unwrap();
    let vouching = written(&directory, &host);
    let bootstrap = directory.path().join("bootstrap.json");
    std::fs::copy(&vouching, &bootstrap).unwrap();
    let sources = [
        ("host.example", Source::File, BundleSource::File(vouching.clone())),
        (
            "partner.example",
            Source::HttpsSpiffe,
            https_spiffe(&endpoint.url, id, Some(bootstrap)),
        ),
    ];
    let consumer = Consumer::start(directory, sources).await;
    consumer
        .until("the partner's keys", |consumer| {
            consumer.kids("partner.example") == kids(&partner)
        })
        .await;
    // Its X.509 authority was broken into and is withdrawn; there is no other yet.
    let mut left = host.bundle();
    let keys = left["keys"].as_array_mut().unwrap();
    keys.retain(|key| key["use"] == "jwt-svid");
    std::fs::write(&vouching, left.to_string()).unwrap();
    let refused = |consumer: &Consumer| {
        let status = consumer.status("partner.example");
        let why = status.problem.unwrap_or_default();
        why.contains("does not hold").then_some(status.failed)
    };
    consumer
        .until("the endpoint is refused", |consumer| refused(consumer).is_some())
        .await;
    // Who has the withdrawn authority's key plays the endpoint.
    let before = kids(&partner);
    partner.rotate(clock::now()).unwrap();
    endpoint.says(|said| said.document = partner.bundle().to_string());
    let failed = refused(&consumer).unwrap();
    consumer
        .until("it is asked again", |consumer| {
            refused(consumer).is_some_and(|now| now > failed)
        })
        .await;
    assert_eq!(consumer.kids("partner.example"), before);
}

#[tokio::test]
async fn an_endpoint_is_followed_through_rotations_of_its_own_authority_that_the_bootstrap_bundle_never_saw()
{
    let partner = domain("partner.example");
    let endpoint = Endpoint::start(
        partner.server(ENDPOINT, clock::now()),
        partner.bundle().to_string(),
    );
    let directory = tempfile::tempdir().unwrap();
    let bootstrap = written(&directory, &partner);
    let source = https_spiffe(&endpoint.url, ENDPOINT, Some(bootstrap));
    let consumer = Consumer::start(directory, [("partner.example", Source::HttpsSpiffe, source)]).await;
    for _ in 0..2 {
        partner.rotate(clock::now()).unwrap();
        endpoint.says(|said| said.document = partner.bundle().to_string());
        consumer
            .until("both keys", |consumer| {
                consumer.kids("partner.example") == kids(&partner)
            })
            .await;
        partner.withdraw();
        endpoint.says(|said| {
            said.config = partner.server(ENDPOINT, clock::now());
            said.document = partner.bundle().to_string();
        });
        consumer
            .until("the new key alone", |consumer| {
                consumer.kids("partner.example") == kids(&partner)
            })
            .await;
    }
    // Whoever has the first authority, which the bootstrap bundle still names, is nobody by now.
    let stranger = domain("partner.example");
    endpoint.says(|said| {
        said.config = stranger.server(ENDPOINT, clock::now());
        said.document = stranger.bundle().to_string();
    });
    consumer
        .until("the stranger is refused", |consumer| {
            let problem = consumer.status("partner.example").problem;
            problem.is_some_and(|problem| problem.contains("does not hold"))
        })
        .await;
    assert_eq!(consumer.kids("partner.example"), kids(&partner));
}

#[tokio::test]
async fn whatever_an_endpoint_answers_instead_of_a_bundle_leaves_the_last_good_one() {
    let partner = domain("partner.example");
    let authority = Authority::new(clock::now()).unwrap();
    partner.rotate(clock::now()).unwrap();
    let good = partner.bundle();
    let endpoint = Endpoint::start(of_web(&authority.server(None).unwrap()), good.to_string());
    let directory = tempfile::tempdir().unwrap();
    authority.write(directory.path()).unwrap();
    let source = https_web(&endpoint.url, directory.path().join("ca.pem"));
    let consumer = Consumer::start(directory, [("partner.example", Source::HttpsWeb, source)]).await;
    let known = kids(&partner);
    assert_eq!(consumer.kids("partner.example"), known);
    let mut older = domain("partner.example").bundle();
    older["spiffe_sequence"] = json!(1);
    let mut twice = good.clone();
    let again = twice["keys"].as_array().unwrap().last().unwrap().clone();
    twice["keys"].as_array_mut().unwrap().push(again);
    let cases = [
        ("200 OK", "<html>".to_owned(), "not one JSON object"),
        ("200 OK", json!({ "keys": [] }).to_string(), "no authority"),
        (
            "200 OK",
            older.to_string(),
            "`spiffe_sequence` is 1, the last one's was 2",
        ),
        ("200 OK", twice.to_string(), "same `kid`"),
        ("200 OK", " ".repeat(1024 * 1024 + 1), "longer than"),
        ("404 Not Found", good.to_string(), "404"),
        ("302 Found", good.to_string(), "302"),
    ];
    for (status, document, problem) in cases {
        endpoint.says(|said| (said.status, said.document) = (status, document));
        consumer
            .until(problem, |consumer| {
                let told = consumer.status("partner.example").problem;
                told.is_some_and(|told| told.contains(problem))
            })
            .await;
        assert_eq!(consumer.kids("partner.example"), known, "{problem}");
    }
    endpoint.says(|said| (said.status, said.document) = ("200 OK", good.to_string()));
    consumer
        .until("good again", |consumer| {
            consumer.status("partner.example").problem.is_none()
        })
        .await;
}
