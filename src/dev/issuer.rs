//! An issuer of access tokens that looks like Keycloak, for demos, tests and `token mint`. Never for production: whoever
//! reads its directory can be anybody.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use p256::SecretKey;
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use url::Url;

/// An issuer with one ES256 key, kept in a directory so that several processes share it.
pub struct DevIssuer {
    url: Url,
    signing: EncodingKey,
    jwk: Value,
    kid: String,
}

/// Why there is no issuer.
#[derive(Debug, thiserror::Error)]
pub enum DevIssuerError {
    /// A file of its directory can't be read or written.
    #[error("`{}`: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The key's file holds no P-256 key.
    #[error("`{}` holds no P-256 private key in PKCS#8; remove it to have a new one made", .0.display())]
    Key(PathBuf),
    /// Others than its owner may read the key.
    #[error("`{}` can be read by others; `chmod 600` it", .0.display())]
    Exposed(PathBuf),
    /// The issuer isn't a URL.
    #[error("`{0}` is no issuer: write a URL such as `http://127.0.0.1:8099/realms/demo`")]
    Issuer(String),
    /// No issuer was named, and the directory remembers none.
    #[error("`{}` doesn't say which issuer it is: name one with `--issuer`", .0.display())]
    Unnamed(PathBuf),
    /// Signing failed.
    #[error("the token could not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

const KEY: &str = "dev-issuer.pem";
const NAME: &str = "dev-issuer.url";
const KEYS: &str = "jwks.json";

impl DevIssuer {
    /// The issuer whose key lies in this directory, made where there is none yet. Its URL and its public keys
    /// (`jwks.json`) are written there too.
    ///
    /// # Errors
    /// [`DevIssuerError`] if the directory can't be used or the URL isn't one.
    pub fn create(directory: &Path, issuer: &str) -> Result<Self, DevIssuerError> {
        make_private_directory(directory)?;
        let this = Self::load(directory, issuer)?;
        write(&directory.join(NAME), issuer.as_bytes())?;
        write(&directory.join(KEYS), this.jwks().to_string().as_bytes())?;
        Ok(this)
    }

    /// The issuer of a directory that [`DevIssuer::create`] made, under the URL that it had then.
    ///
    /// # Errors
    /// [`DevIssuerError`] if nobody made it or it can't be read.
    pub fn open(directory: &Path) -> Result<Self, DevIssuerError> {
        let path = directory.join(NAME);
        let issuer = match fs::read_to_string(&path) {
            Ok(issuer) => issuer,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(DevIssuerError::Unnamed(directory.to_owned()));
            }
            Err(error) => return Err(DevIssuerError::File { path, error }),
        };
        Self::load(directory, issuer.trim_end())
    }

    fn load(directory: &Path, issuer: &str) -> Result<Self, DevIssuerError> {
        let url = Url::parse(issuer)
            .ok()
            .filter(|url| url.has_host() && url.fragment().is_none());
        let url = url.ok_or_else(|| DevIssuerError::Issuer(issuer.to_owned()))?;
        let path = directory.join(KEY);
        let secret = secret_key(&path)?;
        let der = secret.to_pkcs8_der().map_err(|_| DevIssuerError::Key(path))?;
        let (mut jwk, kid) = public_jwk(&secret);
        if let Some(members) = jwk.as_object_mut() {
            let ours = [("kid", kid.as_str()), ("use", "sig"), ("alg", "ES256")];
            members.extend(ours.map(|(name, value)| (name.to_owned(), value.into())));
        }
        Ok(Self {
            url,
            signing: EncodingKey::from_ec_der(der.as_bytes()),
            jwk,
            kid,
        })
    }

    /// What its tokens say as `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        // `Url` writes a bare host with a slash at the end; an issuer's `iss` has none.
        if self.url.path() == "/" {
            self.url.as_str().trim_end_matches('/')
        } else {
            self.url.as_str()
        }
    }

    /// Its key's id: the thumbprint of RFC 7638.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Where its keys are served.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}/protocol/openid-connect/certs", self.issuer())
    }

    /// Its public keys.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }

    /// Its discovery document.
    #[must_use]
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer(),
            "jwks_uri": self.jwks_uri(),
            "authorization_endpoint": format!("{}/protocol/openid-connect/auth", self.issuer()),
            "token_endpoint": format!("{}/protocol/openid-connect/token", self.issuer()),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
        })
    }

    /// Serves discovery and keys at the paths that its URL says.
    pub fn router(&self) -> Router {
        let base = self.url.path().trim_end_matches('/');
        let (discovery, jwks) = (self.discovery(), self.jwks());
        Router::new()
            .route(
                &format!("{base}/.well-known/openid-configuration"),
                get(async || Json(discovery)),
            )
            .route(
                &format!("{base}/protocol/openid-connect/certs"),
                get(async || Json(jwks)),
            )
    }

    /// Signs a header and claims as they are: also what no issuer would.
    ///
    /// # Errors
    /// [`DevIssuerError::Sign`] if they can't be signed.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, DevIssuerError> {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.signing, Algorithm::ES256)?;
        Ok(format!("{signed}.{signature}"))
    }
}

/// The public key as `kty`, `crv`, `x` and `y`, and its thumbprint (RFC 7638).
pub(super) fn public_jwk(secret: &SecretKey) -> (Value, String) {
    let point = secret.public_key().to_sec1_bytes();
    // RFC 5480 §2.2: 04, x, y; a public key is never the point at infinity.
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at_checked(32).unwrap_or_default();
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    // RFC 7638 §3: the required members, in this order, without spaces.
    let required = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, required.as_bytes()));
    (json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }), thumbprint)
}

/// The directory's key; made, readable by its owner only, where there is none.
fn secret_key(path: &Path) -> Result<SecretKey, DevIssuerError> {
    let failed = |error: io::Error| DevIssuerError::File {
        path: path.to_owned(),
        error,
    };
    if !path.try_exists().map_err(failed)? {
        let pem = SecretKey::generate().to_pkcs8_pem(LineEnding::LF);
        let pem = pem.map_err(|_| DevIssuerError::Key(path.to_owned()))?;
        publish_once(path, pem.as_bytes()).map_err(failed)?;
    }
    if is_exposed(path).map_err(failed)? {
        return Err(DevIssuerError::Exposed(path.to_owned()));
    }
    let pem = fs::read_to_string(path).map_err(failed)?;
    SecretKey::from_pkcs8_pem(&pem).map_err(|_| DevIssuerError::Key(path.to_owned()))
}

/// Writes a file whole or not at all, and never over another process's: whoever is first wins.
fn publish_once(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let written = private_file(&draft).and_then(|mut file| file.write_all(content));
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&draft).and(linked)
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_private_directory(path: &Path) -> Result<(), DevIssuerError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| DevIssuerError::File {
        path: path.to_owned(),
        error,
    })
}

#[cfg(unix)]
fn is_exposed(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> io::Result<bool> {
    Ok(false)
}

fn write(path: &Path, content: &[u8]) -> Result<(), DevIssuerError> {
    fs::write(path, content).map_err(|error| DevIssuerError::File {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_key_private_and_for_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("dev");
        assert!(matches!(DevIssuer::open(&home), Err(DevIssuerError::Unnamed(_))));
        let first = DevIssuer::create(&home, "http://127.0.0.1:8099/realms/demo").unwrap();
        let second = DevIssuer::open(&home).unwrap();
        assert_eq!((first.kid(), first.issuer()), (second.kid(), second.issuer()));
        assert_eq!(first.issuer(), "http://127.0.0.1:8099/realms/demo");
        assert_eq!(
            DevIssuer::create(&home, "http://localhost:1").unwrap().issuer(),
            "http://localhost:1"
        );
        assert!(!is_exposed(&home.join(KEY)).unwrap());
        assert_eq!(fs::read_dir(&home).unwrap().count(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn refuses_a_key_that_others_can_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        DevIssuer::create(directory.path(), "http://127.0.0.1:1").unwrap();
        let key = directory.path().join(KEY);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            DevIssuer::open(directory.path()),
            Err(DevIssuerError::Exposed(_))
        ));
    }
}
