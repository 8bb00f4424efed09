//! Whether what the configuration says of JWT-SVIDs makes sense.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::identity::IdentitySetupError;
use crate::identity::settings::JwtSvids;
use crate::spiffe::settings::Refresh;

/// Headers that are somebody else's.
const TAKEN: [&str; 9] = [
    "authorization",
    "host",
    "dpop",
    "cookie",
    "accept",
    "content-type",
    "content-length",
    "origin",
    "x-forwarded-client-cert",
];

/// Whether the times of bundles are sound.
pub(in crate::identity) fn check_refresh(refresh: Refresh) -> Result<(), IdentitySetupError> {
    refresh
        .unsound()
        .map_or(Ok(()), |problem| Err(IdentitySetupError::Bundles(problem)))
}

/// Whether the settings are sound.
pub(in crate::identity) fn check(settings: &JwtSvids) -> Result<(), IdentitySetupError> {
    let refused = |problem| Err(IdentitySetupError::Svid(problem));
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if let Some(header) = &settings.header {
        if header.is_empty() || !header.bytes().all(fits) {
            return refused("`header` must be a lower-case field name, for instance `x-jwt-svid`");
        }
        if TAKEN.contains(&header.as_str()) || header.starts_with("mcp-") || header.starts_with("x-mcp-") {
            return refused("`header` is one that means something else: use `x-jwt-svid`");
        }
    }
    let symmetric = [
        Algorithm::HS256,
        Algorithm::HS384,
        Algorithm::HS512,
        Algorithm::EdDSA,
    ];
    if settings.algorithms.is_empty() || settings.algorithms.iter().any(|alg| symmetric.contains(alg)) {
        return refused("`algorithms` must be some of RS256 to RS512, PS256 to PS512, ES256 and ES384");
    }
    if settings.audiences.iter().any(String::is_empty) {
        return refused("an audience must not be empty");
    }
    if settings.max_lifetime == Duration::ZERO || settings.max_bytes == 0 {
        return refused("`max_lifetime` and `max_bytes` must be more than 0");
    }
    Ok(())
}
