//! What a JWT-SVID says, once its trust domain is seen to have signed it (JWT-SVID §2, §3, §4).

use std::sync::Arc;

use jsonwebtoken::Algorithm;

use super::{SvidError, Svids, Verified};
use crate::exchange::Exchange;
use crate::identity::claims::{self, Times};
use crate::identity::error::{Claim, Malformed};
use crate::identity::jwk::{self, Key};
use crate::identity::jwt::Unverified;
use crate::identity::verification::Verification;
use crate::identity::{IdentityError, Workload, bound};
use crate::spiffe::SpiffeId;

/// JWT-SVID §2.3: in these letters.
const TYPES: [&str; 2] = ["JWT", "JOSE"];

impl Svids {
    /// Reads one; what depends on the server and the time is not looked at.
    pub(super) async fn read(
        &self,
        svid: &Unverified<'_>,
        exchange: &Exchange,
        verification: &Verification,
    ) -> Result<Verified, IdentityError> {
        let typ = svid.header.typ.as_deref();
        if typ.is_some_and(|typ| !TYPES.contains(&typ)) {
            return Err(SvidError::WrongType.into());
        }
        let algorithm = svid.header.algorithm.ok_or(SvidError::AlgorithmNotAllowed)?;
        if !self.settings.algorithms.contains(&algorithm) {
            return Err(SvidError::AlgorithmNotAllowed.into());
        }
        let id = subject(svid)?;
        match self.domains.get(id.trust_domain()) {
            None => return Err(IdentityError::WorkloadForeignTrustDomain),
            Some(false) => return Err(SvidError::NotTaken.into()),
            Some(true) => {}
        }
        // Before the bundle is looked at: if it changes in between, nobody remembers what it said.
        let generation = self.bundles.generation();
        let key = self.key(svid, algorithm, id.trust_domain(), exchange)?;
        let turn = verification.turn(exchange.deadline).await?;
        if !turn.verifies(svid, &[key], algorithm) {
            return Err(SvidError::SignatureInvalid.into());
        }
        // After the signature: who can't sign learns nothing of what we ask of claims.
        Ok(Verified {
            times: Times::read(&svid.claims).map_err(of_svid)?,
            audiences: claims::audiences(&svid.claims).map_err(of_svid)?,
            bound: bound::read(&svid.claims)?,
            workload: Arc::new(Workload { spiffe_id: id }),
            generation,
        })
    }

    /// The one key that may have signed it: of its own trust domain, with the name that it says.
    fn key(
        &self,
        svid: &Unverified<'_>,
        algorithm: Algorithm,
        trust_domain: &str,
        exchange: &Exchange,
    ) -> Result<Key, SvidError> {
        let kid = svid.header.kid.as_deref().ok_or(SvidError::KidMissing)?;
        let authorities = self.bundles.jwt(trust_domain, exchange.started);
        let authorities = authorities.map_err(|_| SvidError::BundleUnavailable)?;
        let key = authorities
            .iter()
            .find(|authority| authority.kid() == kid)
            .and_then(|named| jwk::read_authority(named.jwk(), &self.settings.algorithms))
            .ok_or(SvidError::KeyUnknown)?;
        if key.algorithms.contains(&algorithm) {
            Ok(key)
        } else {
            Err(SvidError::AlgorithmNotAllowed)
        }
    }
}

/// JWT-SVID §3.1
fn subject(svid: &Unverified<'_>) -> Result<SpiffeId, IdentityError> {
    let subject = svid.claims.get("sub").ok_or(SvidError::NoSubject)?;
    let subject = subject.as_str().ok_or(SvidError::Malformed(Malformed::Claims))?;
    if subject.is_empty() {
        return Err(SvidError::NoSubject.into());
    }
    SpiffeId::parse(subject).map_err(IdentityError::WorkloadMalformed)
}

/// A token's defect, told of a JWT-SVID.
pub(super) fn of_svid(error: IdentityError) -> IdentityError {
    use IdentityError as Token;
    let svid = match error {
        Token::MalformedToken(how) => SvidError::Malformed(how),
        Token::EncryptedToken | Token::CriticalHeader | Token::KeyInHeader => SvidError::Header,
        Token::NoExpiry => SvidError::NoExpiry,
        Token::Expired => SvidError::Expired,
        Token::NotYetValid => SvidError::NotYetValid,
        Token::IssuedInFuture => SvidError::IssuedInFuture,
        Token::AuthenticatedInFuture => SvidError::ClaimMalformed(Claim::AuthTime),
        Token::LivesTooLong => SvidError::LivesTooLong,
        Token::WrongAudience => SvidError::WrongAudience,
        Token::ClaimMalformed(claim) => SvidError::ClaimMalformed(claim),
        other => return other,
    };
    svid.into()
}
