//! What the configuration says of tokens that only their owner may use.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};

/// What the tokens of a server must be bound to. A token that is bound must be proved everywhere, also where none has
/// to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderConstraint {
    /// Nothing.
    #[default]
    None,
    /// A key that each request proves (RFC 9449).
    Dpop,
    /// The client's certificate, as the gateway vouches for it (RFC 8705).
    Mtls,
    /// One of both.
    Any,
}

impl SenderConstraint {
    /// Whether a token that is bound to a key will do.
    #[must_use]
    pub const fn takes_proofs(self) -> bool {
        matches!(self, Self::Dpop | Self::Any)
    }

    /// Whether a token that is bound to a certificate will do.
    #[must_use]
    pub const fn takes_certificates(self) -> bool {
        matches!(self, Self::Mtls | Self::Any)
    }
}

/// Which proofs of a key are taken (RFC 9449 §4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dpop {
    /// The signature algorithms taken, of those that issuers' tokens may have; never a symmetric one.
    /// Default: ES256, ES384, `EdDSA`.
    pub algorithms: Vec<Algorithm>,
    /// How old a proof may be. Default: `60s`.
    #[serde(with = "required")]
    pub max_age: Duration,
    /// How far a client's clock may be ahead. Default: `5s`.
    #[serde(with = "required")]
    pub max_ahead: Duration,
    /// Whether proofs must have a nonce of this server (RFC 9449 §9). Default: off.
    pub nonces: Nonces,
    /// How long a nonce is handed out; it is taken for as long again. Default: `5m`.
    #[serde(with = "required")]
    pub nonce_lifetime: Duration,
}

/// Whether proofs must have a nonce that the server handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nonces {
    /// No.
    #[default]
    Off,
    /// Every one.
    Required,
}

impl Default for Dpop {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA],
            max_age: Duration::from_mins(1),
            max_ahead: Duration::from_secs(5),
            nonces: Nonces::Off,
            nonce_lifetime: Duration::from_mins(5),
        }
    }
}

impl Dpop {
    /// The longest that any proof may live: each is remembered for so long.
    const LONGEST: Duration = Duration::from_hours(1);

    /// What can't be used in these settings, and what to write instead.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        let symmetric = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        if self.algorithms.is_empty() {
            return Some((
                "no algorithm is left that a proof could have",
                "name at least ES256",
            ));
        }
        if self
            .algorithms
            .iter()
            .any(|algorithm| symmetric.contains(algorithm))
        {
            return Some((
                "a proof can't be signed with a shared secret (RFC 9449 §4.3)",
                "name asymmetric algorithms only",
            ));
        }
        if self.max_age < Duration::from_secs(1) || self.max_age > Self::LONGEST {
            return Some(("`max_age` must be 1s to 1h", "the default is 60s"));
        }
        if self.max_ahead > self.max_age {
            return Some(("`max_ahead` must not be more than `max_age`", "the default is 5s"));
        }
        let nonces = self.nonce_lifetime;
        let whole = nonces.subsec_nanos() == 0 && nonces >= Duration::from_secs(1);
        (!whole || nonces > Self::LONGEST).then_some((
            "`nonce_lifetime` must be 1s to 1h, in whole seconds",
            "the default is 5m",
        ))
    }

    /// The algorithms as challenges and metadata name them.
    #[must_use]
    pub fn algorithm_names(&self) -> Vec<String> {
        // The enum's names are those of JWA (RFC 7518 §3.1, RFC 8037 §3.1).
        self.algorithms
            .iter()
            .map(|algorithm| format!("{algorithm:?}"))
            .collect()
    }
}
