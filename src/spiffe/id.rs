//! SPIFFE IDs in canonical form.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A SPIFFE ID in canonical form: `spiffe://<trust domain>/<path>` (SPIFFE-ID §2).
///
/// Nothing is normalised: an ID that isn't canonical is refused, so that two spellings never name one workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: String,
    /// Where the path begins in `text`.
    path_start: usize,
}

/// The name of a trust domain, for instance `mcp-identity.local` (SPIFFE-ID §2.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

/// Why a text is no SPIFFE ID of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SpiffeIdError {
    /// Longer than 2048 bytes (SPIFFE-ID §2.3).
    #[error("longer than 2048 bytes")]
    TooLong,
    /// Doesn't begin with `spiffe://`, in lower case.
    #[error("the scheme is not `spiffe://`")]
    Scheme,
    /// Empty, longer than 255 bytes, or with a character that isn't a-z, 0-9, `.`, `-` or `_` (so neither a port
    /// nor user information).
    #[error("the trust domain is not canonical")]
    TrustDomain,
    /// No path: a trust domain is no workload (SPIFFE-ID §2.2).
    #[error("the path is missing")]
    NoPath,
    /// An empty segment: `//`, or a slash at the end.
    #[error("a path segment is empty")]
    EmptySegment,
    /// `.` or `..`
    #[error("a path segment is `.` or `..`")]
    DotSegment,
    /// A character that isn't a letter, digit, `.`, `-` or `_` (so no query, fragment or percent-encoding).
    #[error("the path is not canonical")]
    Path,
}

const SCHEME: &str = "spiffe://";
const MAX_ID: usize = 2048;
const MAX_TRUST_DOMAIN: usize = 255;

impl SpiffeId {
    /// Reads the ID of a workload.
    ///
    /// # Errors
    /// [`SpiffeIdError`] unless it is in canonical form and has a path.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        if text.len() > MAX_ID {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (trust_domain, path) = match rest.split_once('/') {
            Some((trust_domain, path)) => (trust_domain, Some(path)),
            None => (rest, None),
        };
        if !is_trust_domain(trust_domain) {
            return Err(SpiffeIdError::TrustDomain);
        }
        check_path(path.ok_or(SpiffeIdError::NoPath)?)?;
        Ok(Self {
            text: text.to_owned(),
            path_start: SCHEME.len().saturating_add(trust_domain.len()),
        })
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain, for instance `mcp-identity.local`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.path_start).unwrap_or_default()
    }

    /// The path with its leading slash, for instance `/agent/trusted/1`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.path_start..).unwrap_or_default()
    }
}

impl TrustDomain {
    /// Reads a bare name.
    ///
    /// # Errors
    /// [`SpiffeIdError::TrustDomain`] unless it is canonical.
    pub fn parse(name: &str) -> Result<Self, SpiffeIdError> {
        if is_trust_domain(name) {
            Ok(Self(name.into()))
        } else {
            Err(SpiffeIdError::TrustDomain)
        }
    }

    /// Reads the SPIFFE ID of a trust domain itself, `spiffe://<name>`: what the Workload API names bundles by.
    ///
    /// # Errors
    /// [`SpiffeIdError`] unless it is canonical and without a path.
    pub fn parse_id(id: &str) -> Result<Self, SpiffeIdError> {
        Self::parse(id.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?)
    }

    /// The bare name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is the name of a trust domain (SPIFFE-ID §2.1).
#[must_use]
pub fn is_trust_domain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    !name.is_empty() && name.len() <= MAX_TRUST_DOMAIN && name.bytes().all(allowed)
}

/// Whether a text claims to be a SPIFFE ID, in whatever spelling: then it must be a canonical one.
#[must_use]
pub fn claims_to_be(text: &str) -> bool {
    text.get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
}

fn check_path(path: &str) -> Result<(), SpiffeIdError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if path.is_empty() {
        return Err(SpiffeIdError::EmptySegment);
    }
    for segment in path.split('/') {
        match segment {
            "" => return Err(SpiffeIdError::EmptySegment),
            "." | ".." => return Err(SpiffeIdError::DotSegment),
            _ if !segment.bytes().all(allowed) => return Err(SpiffeIdError::Path),
            _ => {}
        }
    }
    Ok(())
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_canonical_ids_apart() {
        let id = SpiffeId::parse("spiffe://mcp-identity.local/agent/Trusted_1/v1.2").unwrap();
        assert_eq!(id.trust_domain(), "mcp-identity.local");
        assert_eq!(id.path(), "/agent/Trusted_1/v1.2");
        assert_eq!(id.to_string(), "spiffe://mcp-identity.local/agent/Trusted_1/v1.2");
    }

    #[test]
    fn a_trust_domain_is_a_bare_name_or_an_id_without_a_path() {
        assert_eq!(TrustDomain::parse("td.example").unwrap().as_str(), "td.example");
        assert_eq!(
            TrustDomain::parse_id("spiffe://td.example").unwrap().to_string(),
            "td.example"
        );
        let wrong = ["", "spiffe://td.example", "TD", "td/", "td:1"];
        for name in wrong {
            assert_eq!(
                TrustDomain::parse(name),
                Err(SpiffeIdError::TrustDomain),
                "{name}"
            );
        }
        for id in ["spiffe://", "spiffe://td/", "spiffe://td/a", "spiffe://Td"] {
            assert_eq!(TrustDomain::parse_id(id), Err(SpiffeIdError::TrustDomain), "{id}");
        }
        assert_eq!(TrustDomain::parse_id("td"), Err(SpiffeIdError::Scheme));
    }

    #[test]
    fn refuses_every_other_spelling() {
        use SpiffeIdError::{DotSegment, EmptySegment, NoPath, Path, Scheme, TooLong, TrustDomain};
        let cases = [
            ("", Scheme),
            ("https://td/a", Scheme),
            ("SPIFFE://td/a", Scheme),
            ("spiffe:/td/a", Scheme),
            (" spiffe://td/a", Scheme),
            ("spiffe:///a", TrustDomain),
            ("spiffe://TD/a", TrustDomain),
            ("spiffe://td:8080/a", TrustDomain),
            ("spiffe://user@td/a", TrustDomain),
            ("spiffe://t%64/a", TrustDomain),
            ("spiffe://td?x=/a", TrustDomain),
            ("spiffe://tｄ/a", TrustDomain),
            ("spiffe://td", NoPath),
            ("spiffe://td/", EmptySegment),
            ("spiffe://td//a", EmptySegment),
            ("spiffe://td/a/", EmptySegment),
            ("spiffe://td/./a", DotSegment),
            ("spiffe://td/a/..", DotSegment),
            ("spiffe://td/a?x=1", Path),
            ("spiffe://td/a#x", Path),
            ("spiffe://td/%61", Path),
            ("spiffe://td/а", Path),
            ("spiffe://td/a b", Path),
            ("spiffe://td/a;x", Path),
            ("spiffe://td/a\n", Path),
        ];
        for (text, reason) in cases {
            assert_eq!(SpiffeId::parse(text), Err(reason), "{text}");
        }
        let long = |path: usize| format!("spiffe://td/{}", "a".repeat(path));
        assert!(SpiffeId::parse(&long(2036)).is_ok());
        assert_eq!(SpiffeId::parse(&long(2037)), Err(TooLong));
        let domain = format!("spiffe://{}/a", "d".repeat(256));
        assert_eq!(SpiffeId::parse(&domain), Err(TrustDomain));
    }
}
