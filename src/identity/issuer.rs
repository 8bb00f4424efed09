//! One issuer: its settings, checked, and its keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use tokio::task::JoinHandle;

use super::claims::{self, Token};
use super::fetch::Source;
use super::introspect::{self, Introspector};
use super::jwk::{self, Key};
use super::jwt::Unverified;
use super::keyring::{Keyring, Pace};
use super::settings::{self, Keys};
use super::verification::Verification;
use super::{IdentityError, IdentitySetupError};
use crate::clock;

/// An issuer whose tokens are taken.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) settings: settings::Issuer,
    pub(super) keyring: Arc<Keyring>,
    /// Asks it about tokens.
    pub(super) introspector: Option<Arc<Introspector>>,
    algorithms: Vec<Algorithm>,
    background: Option<JoinHandle<()>>,
}

/// RFC 7518 §3.2: as long as the hash.
const MIN_SECRET: usize = 32;

impl Issuer {
    /// Checks the settings of the issuer at this place among all, and starts to fetch keys.
    pub(super) fn start(place: usize, settings: settings::Issuer) -> Result<Self, IdentitySetupError> {
        check(&settings)?;
        let introspector = Introspector::new(place, &settings)?;
        let algorithms = settings.effective_algorithms();
        let source = Source::new(&settings)?;
        let max_age = source.is_some().then_some(settings.max_key_age);
        let keyring = Arc::new(Keyring::new(Pace {
            refresh: settings.refresh_interval,
            unknown_kid: settings.unknown_kid_interval,
            max_age,
        }));
        if let Some(keys) = local_keys(&settings, &algorithms)? {
            keyring.replace(keys, clock::instant());
        }
        let background = source.map(|source| {
            let ring = Arc::clone(&keyring);
            tokio::spawn(ring.keep_fresh(source, settings.name.clone(), algorithms.clone()))
        });
        Ok(Self {
            settings,
            keyring,
            introspector,
            algorithms,
            background,
        })
    }

    /// Whether none of its tokens is taken without its word: it is asked about JWTs too, or nothing else can tell.
    pub(super) fn is_asked_about_all(&self) -> bool {
        let asked = self.introspector.as_ref();
        self.settings.keys == Keys::Absent || asked.is_some_and(|asked| asked.asks_about_jwts())
    }

    /// Waits until its keys have been asked for once.
    pub(super) async fn asked_once(&self) {
        if self.background.is_some() {
            self.keyring.first_round().await;
        }
    }

    /// Verifies a token that says that it is this issuer's. The keys' generation comes with it.
    pub(super) async fn verify(
        &self,
        token: &Unverified<'_>,
        verification: &Verification,
        now: Instant,
        deadline: Instant,
    ) -> Result<(Token, u64), IdentityError> {
        let generation = self.authenticate(token, verification, now, deadline).await?;
        Ok((claims::read(&token.claims, &self.settings)?, generation))
    }

    /// Whether a token is one of this issuer's, whatever it says: the generation of the keys that its signature verifies
    /// with.
    pub(super) async fn authenticate(
        &self,
        token: &Unverified<'_>,
        verification: &Verification,
        now: Instant,
        deadline: Instant,
    ) -> Result<u64, IdentityError> {
        if !self.settings.takes_type(token.header.typ.as_deref()) {
            return Err(IdentityError::WrongType);
        }
        self.verify_signature(token, verification, now, deadline).await
    }

    /// The generation of the keys that the token's signature verifies with.
    pub(super) async fn verify_signature(
        &self,
        token: &Unverified<'_>,
        verification: &Verification,
        now: Instant,
        deadline: Instant,
    ) -> Result<u64, IdentityError> {
        let algorithm = token
            .header
            .algorithm
            .filter(|algorithm| self.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(IdentityError::AlgorithmNotAllowed)?;
        // A shared secret is one key, whatever name the issuer has for it.
        let kid = token.header.kid.as_deref().filter(|_| self.background.is_some());
        let (keys, generation) = self.keyring.find(kid, algorithm, now, deadline).await?;
        let turn = verification.turn(deadline).await?;
        if turn.verifies(token, &keys, algorithm) {
            Ok(generation)
        } else {
            Err(IdentityError::SignatureInvalid)
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(task) = &self.background {
            task.abort();
        }
    }
}

fn refused(settings: &settings::Issuer, problem: &'static str) -> IdentitySetupError {
    IdentitySetupError::Issuer {
        issuer: settings.name.clone(),
        problem,
    }
}

/// Whether its settings are sound, as far as they themselves tell.
pub(super) fn check(settings: &settings::Issuer) -> Result<(), IdentitySetupError> {
    check_names(settings)?;
    check_algorithms(settings)?;
    introspect::check(settings)
}

/// Whether it is another issuer than those before it, in our words and in its tokens'.
pub(super) fn unique(
    settings: &settings::Issuer,
    earlier: &[settings::Issuer],
) -> Result<(), IdentitySetupError> {
    let same = |other: &settings::Issuer| other.name == settings.name || other.issuer == settings.issuer;
    if earlier.iter().any(same) {
        return Err(refused(settings, "its `name` and its `issuer` must be its own"));
    }
    Ok(())
}

fn check_names(settings: &settings::Issuer) -> Result<(), IdentitySetupError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if settings.name.is_empty() || settings.name.len() > 63 || !settings.name.bytes().all(allowed) {
        return Err(refused(
            settings,
            "its `name` must be 1 to 63 of a-z, 0-9 and `-`",
        ));
    }
    // OIDC Discovery §2: no query, no fragment; so `<issuer>#<subject>` names one person.
    if settings.issuer.is_empty() || settings.issuer.contains(['#', '?']) {
        return Err(refused(
            settings,
            "`issuer` must be exactly what its tokens say as `iss`, without `?` and `#`",
        ));
    }
    let times = [
        settings.fetch_timeout,
        settings.refresh_interval,
        settings.unknown_kid_interval,
    ];
    if times.contains(&Duration::ZERO) {
        return Err(refused(settings, "fetching needs times of at least 1"));
    }
    Ok(())
}

/// A secret and public keys are never mixed: that is how a public key gets used as a secret.
fn check_algorithms(settings: &settings::Issuer) -> Result<(), IdentitySetupError> {
    let symmetric = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    let configured = &settings.algorithms;
    match matches!(settings.keys, Keys::SecretFile(_)) {
        true if configured.iter().any(|algorithm| *algorithm != Algorithm::HS256) => Err(refused(
            settings,
            "with `secret_file` the only algorithm is HS256",
        )),
        false if configured.iter().any(|algorithm| symmetric.contains(algorithm)) => Err(refused(
            settings,
            "HS256 is only taken with `secret_file`, HS384 and HS512 not at all",
        )),
        _ => Ok(()),
    }
}

/// Keys that lie in a file must be usable at once: a mistake there is a mistake in the settings.
fn local_keys(
    settings: &settings::Issuer,
    algorithms: &[Algorithm],
) -> Result<Option<Vec<Key>>, IdentitySetupError> {
    let (Keys::File(path) | Keys::SecretFile(path)) = &settings.keys else {
        return Ok(None);
    };
    let unusable = |problem: String| IdentitySetupError::File {
        issuer: settings.name.clone(),
        path: path.clone(),
        problem,
    };
    let content = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    if matches!(settings.keys, Keys::SecretFile(_)) {
        let secret = content.strip_suffix(b"\n").unwrap_or(&content);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.len() < MIN_SECRET {
            return Err(unusable(format!("a secret needs at least {MIN_SECRET} bytes")));
        }
        return Ok(Some(vec![Key::secret(secret)]));
    }
    let keys = jwk::read_set(&content, algorithms).ok_or_else(|| unusable("not a JWK set".to_owned()))?;
    if keys.is_empty() {
        return Err(unusable("no key in it fits the issuer's algorithms".to_owned()));
    }
    Ok(Some(keys))
}
