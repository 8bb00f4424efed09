use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use super::harness::{PATIENCE, Running, check, is_allowed, settings, start};
use crate::wire::settings::Tls;
use crate::wire::{Listeners, Settings, WireError};

/// A certificate authority of the test's own.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// Certificate and key.
    fn issue(&self, names: Vec<SanType>) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = names;
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn issue_server(&self) -> (String, String) {
        self.issue(vec![dns("authz.example")])
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

struct Files(TempDir);

impl Files {
    fn new((certificate, key): &(String, String), client_ca: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("tls.crt", certificate);
        files.write("tls.key", key);
        files.write("ca.crt", client_ca);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn settings(&self, client_ca: bool) -> Settings {
        let tls = Tls {
            certificate: Some(self.path("tls.crt")),
            key: Some(self.path("tls.key")),
            client_ca: client_ca.then(|| self.path("ca.crt")),
            reload_interval: Duration::from_millis(20),
            workload_api: None,
        };
        Settings {
            tls: Some(tls),
            ..settings()
        }
    }
}

/// One check over a connection of its own.
async fn ask(server: &Running, ca: &str, identity: Option<&(String, String)>) -> Result<bool, String> {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca))
        .domain_name("authz.example");
    if let Some((certificate, key)) = identity {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let url = server.url.clone().unwrap().replace("http:", "https:");
    let endpoint = Channel::from_shared(url).unwrap().tls_config(tls).unwrap();
    let asked = async {
        let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
        let answer = AuthorizationClient::new(channel).check(check("/allow")).await;
        answer
            .map(|answer| is_allowed(answer.get_ref()))
            .map_err(|error| format!("{error:?}"))
    };
    timeout(PATIENCE, asked)
        .await
        .expect("an answer or an error in time")
}

#[tokio::test]
async fn a_gateway_is_known_by_the_names_of_its_verified_certificate() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue_server(), &authority.pem);
    let server = start(&files.settings(true)).await;
    let gateway = authority.issue(vec![dns("gateway.example"), uri("spiffe://example.org/gateway")]);
    assert_eq!(ask(&server, &authority.pem, Some(&gateway)).await, Ok(true));
    let seen = server.last_seen().gateway;
    assert_eq!(
        seen.certificate_names,
        ["spiffe://example.org/gateway", "gateway.example"]
    );
    assert_eq!(seen.label(), "spiffe://example.org/gateway");
}

#[tokio::test]
async fn refuses_gateways_without_a_certificate_or_with_a_strangers() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue_server(), &authority.pem);
    let server = start(&files.settings(true)).await;
    assert!(ask(&server, &authority.pem, None).await.is_err());
    let stranger = Authority::new().issue(vec![uri("spiffe://example.org/gateway")]);
    assert!(ask(&server, &authority.pem, Some(&stranger)).await.is_err());
    assert!(server.decider.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn does_not_answer_plain_text_where_tls_is_set() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue_server(), &authority.pem);
    let server = start(&files.settings(false)).await;
    let plain = async {
        let channel = server.endpoint().connect().await.map_err(drop)?;
        AuthorizationClient::new(channel)
            .check(check("/allow"))
            .await
            .map_err(drop)
    };
    assert!(timeout(PATIENCE, plain).await.unwrap().is_err());
    assert!(server.decider.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_client_ca_nobody_is_known_by_name() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue_server(), &authority.pem);
    let server = start(&files.settings(false)).await;
    let claimed = authority.issue(vec![uri("spiffe://example.org/gateway")]);
    assert_eq!(ask(&server, &authority.pem, Some(&claimed)).await, Ok(true));
    assert!(server.last_seen().gateway.certificate_names.is_empty());
}

#[tokio::test]
async fn new_certificates_are_taken_up_and_broken_ones_are_not() {
    let first = Authority::new();
    let files = Files::new(&first.issue_server(), &first.pem);
    let server = start(&files.settings(true)).await;
    let gateway = first.issue(vec![uri("spiffe://example.org/gateway")]);
    assert_eq!(ask(&server, &first.pem, Some(&gateway)).await, Ok(true));

    files.write("tls.crt", "half a certifi");
    let _reloads = timeout(Duration::from_millis(100), std::future::pending::<()>()).await;
    assert_eq!(ask(&server, &first.pem, Some(&gateway)).await, Ok(true));

    let second = Authority::new();
    let (certificate, key) = second.issue_server();
    files.write("ca.crt", &second.pem);
    files.write("tls.key", &key);
    files.write("tls.crt", &certificate);
    let successor = second.issue(vec![uri("spiffe://example.org/gateway")]);
    let taken_up = async { while ask(&server, &second.pem, Some(&successor)).await.is_err() {} };
    timeout(PATIENCE, taken_up)
        .await
        .expect("the new certificate is taken up");
    assert!(
        ask(&server, &second.pem, Some(&gateway)).await.is_err(),
        "the old authority is gone"
    );
}

type Fault = fn(&WireError) -> bool;

#[tokio::test]
async fn refuses_to_start_with_files_that_are_missing_or_do_not_fit() {
    let authority = Authority::new();
    let server = authority.issue_server();
    let (_, other_key) = authority.issue_server();
    let cases: [(&str, &str, Fault); 5] = [
        ("tls.crt", "", |error| {
            matches!(
                error,
                WireError::TlsPem {
                    expected: "certificate",
                    ..
                }
            )
        }),
        ("tls.key", "x", |error| {
            matches!(
                error,
                WireError::TlsPem {
                    expected: "private key",
                    ..
                }
            )
        }),
        ("ca.crt", "", |error| matches!(error, WireError::TlsPem { .. })),
        ("tls.key", &other_key, |error| matches!(error, WireError::Tls(_))),
        ("", "", |error| matches!(error, WireError::TlsFile { .. })),
    ];
    for (file, text, fault) in cases {
        let files = Files::new(&server, &authority.pem);
        if file.is_empty() {
            fs::remove_file(files.path("tls.key")).unwrap();
        } else {
            files.write(file, text);
        }
        let refused = Listeners::bind(&files.settings(true)).await.err().unwrap();
        assert!(fault(&refused), "{file} {refused:?}");
    }
}
