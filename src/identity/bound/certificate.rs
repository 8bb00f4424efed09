//! The client's certificate that a gateway vouches for, against the one that a token is bound to (RFC 8705 §3).

use x509_parser::pem::Pem;

use super::confirmation::Hash;
use super::error::BoundError;
use crate::exchange::{Exchange, NotSingle};
use crate::identity::gateway::Gateways;
use crate::identity::settings::Trust;
use crate::identity::workload::XFCC;
use crate::identity::{IdentityError, xfcc};

/// Whether the call came over a connection with this certificate.
pub(super) fn check(expected: &Hash, exchange: &Exchange, gateways: &Gateways) -> Result<(), IdentityError> {
    if presented(exchange, gateways)?.is(expected) {
        Ok(())
    } else {
        Err(BoundError::CertificateOther.into())
    }
}

/// The hash of the certificate that gateways trusted for it say that the client has. Where two say so, they must agree.
fn presented(exchange: &Exchange, gateways: &Gateways) -> Result<Hash, IdentityError> {
    let trusts = |about| gateways.trusts(&exchange.gateway, about);
    let connection = exchange
        .source
        .certificate
        .as_deref()
        .filter(|pem| !pem.is_empty());
    let of_connection = match connection.filter(|_| trusts(Trust::Principal)) {
        Some(pem) => Some(of_pem(pem).ok_or(BoundError::CertificateMalformed)?),
        None => None,
    };
    let of_header = if trusts(Trust::Xfcc) {
        forwarded(exchange)?
    } else {
        None
    };
    match (of_connection, of_header) {
        (Some(one), Some(other)) if !one.is(&other) => Err(BoundError::CertificatesDisagree.into()),
        (Some(hash), _) | (None, Some(hash)) => Ok(hash),
        (None, None) => {
            let header = exchange.headers.contains(XFCC) && !trusts(Trust::Xfcc);
            let unvouched = header || (connection.is_some() && !trusts(Trust::Principal));
            Err(if unvouched {
                BoundError::CertificateNotVouchedFor.into()
            } else {
                BoundError::CertificateMissing.into()
            })
        }
    }
}

fn forwarded(exchange: &Exchange) -> Result<Option<Hash>, IdentityError> {
    let header = match exchange.headers.single(XFCC) {
        Ok(Some(header)) => header,
        Ok(None) => return Ok(None),
        Err(NotSingle::Repeated) => return Err(BoundError::CertificatesDisagree.into()),
        Err(NotSingle::NotText) => return Err(IdentityError::ForwardedCertMalformed),
    };
    let Some(text) = xfcc::hash(header)? else {
        return Ok(None);
    };
    let bytes = hex(&text).and_then(|bytes| Hash::from_bytes(&bytes));
    bytes.map(Some).ok_or(BoundError::CertificateMalformed.into())
}

/// Bytes in pairs of hexadecimal digits, as Envoy writes `Hash`.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|char| char.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let pair = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high.saturating_mul(16).saturating_add(*low)).ok(),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

/// The SHA-256 of the DER of the one certificate that a PEM text holds.
fn of_pem(text: &str) -> Option<Hash> {
    let mut found = Pem::iter_from_buffer(text.as_bytes());
    let one = found.next()?.ok()?;
    let certificate = one.label == "CERTIFICATE" && one.parse_x509().is_ok();
    (certificate && found.next().is_none()).then(|| Hash::of(&one.contents))
}
