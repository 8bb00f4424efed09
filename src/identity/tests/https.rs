//! Keys over https: only from an authority that is believed.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Serves one JWK set over TLS, on a thread of its own, to whoever comes.
fn serve(authority: &CertifiedIssuer<'static, KeyPair>, set: String) -> u16 {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            let mut request = [0; 4096];
            // A client that doesn't believe us hangs up here.
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let length = set.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                let _ = stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(set.as_bytes()));
                let _ = stream.flush();
            }
        }
    });
    port
}

#[tokio::test]
async fn keys_come_only_from_a_server_that_the_configured_authority_vouches_for() {
    let (ours, other) = (authority(), authority());
    let key = Signer::ec();
    let port = serve(&ours, json!({ "keys": [key.jwk("k1")] }).to_string());
    let directory = tempfile::tempdir().unwrap();
    let token = key.token(
        &json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }),
        &claims("https://issuer.example"),
    );
    for (host, authority, outcome) in [
        ("localhost", &ours, Ok(())),
        ("localhost", &other, Err(IdentityError::KeysUnavailable)),
        ("127.0.0.1", &ours, Err(IdentityError::KeysUnavailable)),
    ] {
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, authority.pem()).unwrap();
        let mut settings = settings::Issuer::new("demo", "https://issuer.example");
        settings.keys = Keys::JwksUrl(format!("https://{host}:{port}/keys"));
        settings.ca_file = Some(file);
        let verifier = start(vec![settings]).await;
        assert_eq!(user(&verifier, &token).await.map(|_| ()), outcome, "{host}");
    }
}
