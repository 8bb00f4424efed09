//! Our own credential at an issuer: what is added to a question so that it knows who asks. What lies in a file is read
//! for each question: it may have been replaced.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use super::settings::{ClientAuth, Introspection, JwtSvid, PrivateKey};
use crate::clock;
use crate::identity::IdentitySetupError;
use crate::identity::settings::Issuer;

/// No secret, key or SVID is longer.
const MAX_BYTES: u64 = 64 * 1024;
/// How long an assertion of ours holds: long enough for clocks that differ, too short to be kept for later.
const ASSERTION_LIVES: Duration = Duration::from_mins(1);
/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// draft-ietf-oauth-spiffe-client-auth §4, as Keycloak takes it.
const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// Who mcp-authz is at an issuer, and how it proves that.
#[derive(Debug)]
pub(super) struct Credential {
    client_id: String,
    auth: ClientAuth,
    issuer: String,
}

/// What a question says of who asks. It is secret: nothing shows it.
pub(super) enum Proof {
    /// User and password of the `Authorization` header.
    Basic(String, String),
    /// Members of the form.
    Form([(&'static str, String); 2]),
}

/// Why there is no credential.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialError {
    #[error("`{}` can't be read: {problem}", path.display())]
    File {
        path: PathBuf,
        #[source]
        problem: std::io::Error,
    },
    #[error("`{}` is empty, not text or longer than {MAX_BYTES} bytes", .0.display())]
    Content(PathBuf),
    #[error("`{}` is no PKCS#8 key of P-256 or RSA in PEM", .0.display())]
    Key(PathBuf),
    #[error("no assertion could be signed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

impl Credential {
    /// A mistake in a file that is there is a mistake in the settings. An SVID may come later: somebody else writes it.
    pub(super) fn new(settings: &Issuer, asked: &Introspection) -> Result<Self, IdentitySetupError> {
        let unusable = |path: &Path, error: CredentialError| IdentitySetupError::File {
            issuer: settings.name.clone(),
            path: path.to_owned(),
            problem: error.to_string(),
        };
        match &asked.auth {
            ClientAuth::SecretFile(path) => content(path, std::fs::read(path))
                .map(drop)
                .map_err(|error| unusable(path, error))?,
            ClientAuth::PrivateKeyJwt(key) => content(&key.file, std::fs::read(&key.file))
                .and_then(|pem| signing_key(&key.file, &pem))
                .map(drop)
                .map_err(|error| unusable(&key.file, error))?,
            ClientAuth::JwtSvid(JwtSvid::File(_)) => {}
        }
        Ok(Self {
            client_id: asked.client_id.clone(),
            auth: asked.auth.clone(),
            issuer: settings.issuer.clone(),
        })
    }

    /// What to add to a question.
    pub(super) async fn prove(&self) -> Result<Proof, CredentialError> {
        // RFC 7521 §4.2: the assertion says which client it is; an SVID's subject is another name for it, and Keycloak wants
        // no second one beside it.
        let (kind, assertion) = match &self.auth {
            ClientAuth::SecretFile(path) => {
                let secret = read(path).await?;
                // RFC 6749 §2.3.1: both are form-encoded first.
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                return Ok(Proof::Basic(encode(&self.client_id), encode(&secret)));
            }
            ClientAuth::PrivateKeyJwt(key) => (JWT_BEARER, self.assertion(key).await?),
            ClientAuth::JwtSvid(JwtSvid::File(path)) => (JWT_SPIFFE, read(path).await?),
        };
        Ok(Proof::Form([
            ("client_assertion_type", kind.to_owned()),
            ("client_assertion", assertion),
        ]))
    }

    /// RFC 7523 §3: who we are, for this issuer alone, once, and not for long.
    async fn assertion(&self, key: &PrivateKey) -> Result<String, CredentialError> {
        let (algorithm, signing) = signing_key(&key.file, &read(&key.file).await?)?;
        let now = clock::now().as_second();
        let lives = i64::try_from(ASSERTION_LIVES.as_secs()).unwrap_or(i64::MAX);
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": key.audience.as_ref().unwrap_or(&self.issuer),
            "jti": Uuid::now_v7().to_string(),
            "iat": now,
            "exp": now.saturating_add(lives),
        });
        let header = Header {
            kid: key.key_id.clone(),
            ..Header::new(algorithm)
        };
        Ok(jsonwebtoken::encode(&header, &claims, &signing)?)
    }
}

fn signing_key(path: &Path, pem: &str) -> Result<(Algorithm, EncodingKey), CredentialError> {
    let ec = EncodingKey::from_ec_pem(pem.as_bytes()).map(|key| (Algorithm::ES256, key));
    let key = ec.or_else(|_| EncodingKey::from_rsa_pem(pem.as_bytes()).map(|key| (Algorithm::RS256, key)));
    let key = key.map_err(|_| CredentialError::Key(path.to_owned()))?;
    // The PEM doesn't tell P-256 from P-384; a signature does.
    jsonwebtoken::crypto::sign(b"", &key.1, key.0).map_err(|_| CredentialError::Key(path.to_owned()))?;
    Ok(key)
}

async fn read(path: &Path) -> Result<String, CredentialError> {
    let bounded = async {
        let mut bytes = Vec::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(MAX_BYTES.saturating_add(1))
            .read_to_end(&mut bytes)
            .await?;
        Ok(bytes)
    };
    content(path, bounded.await)
}

/// A file's text, without a line end at its end.
fn content(path: &Path, read: std::io::Result<Vec<u8>>) -> Result<String, CredentialError> {
    let bytes = read.map_err(|problem| CredentialError::File {
        path: path.to_owned(),
        problem,
    })?;
    let fits = bytes.len() as u64 <= MAX_BYTES;
    let text = String::from_utf8(bytes).ok().filter(|_| fits);
    let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| CredentialError::Content(path.to_owned()))
}
