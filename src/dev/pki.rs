//! A certificate authority of its own, for one machine and some days: servers, SPIFFE workloads, gateways.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};

const DAY: Duration = Duration::from_hours(24);
/// How long what it issues is valid, unless told otherwise: a demo may stay up over a week-end, not for ever.
const VALID: Duration = Duration::from_hours(14 * 24);
/// By how much SVIDs are valid before they were made: clocks differ.
const BACKDATED: Duration = Duration::from_secs(10);

/// Why a certificate couldn't be made, written or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The certificate can't be made.
    #[error("can't make the certificate of `{subject}`: {source}")]
    Issue {
        /// Whose.
        subject: String,
        /// Why.
        source: rcgen::Error,
    },
    /// The time is outside what certificates can say.
    #[error("can't make certificates for the time {0}")]
    Time(Timestamp),
    /// A file can't be written.
    #[error("can't write `{path}`: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The certificates don't make a TLS configuration.
    #[error("can't use the certificate for TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// What was made isn't PEM.
    #[error("can't read the certificate again: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
}

/// The authority of a trust domain.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    der: Vec<u8>,
    now: Timestamp,
}

/// A certificate of a workload with its private key, as the Workload API hands them out.
#[derive(Debug, Clone)]
pub struct Svid {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The private key, PKCS #8 in DER.
    pub key: Vec<u8>,
}

/// A certificate with its private key, both as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// A new authority; what it issues is valid from a day before `now`.
    ///
    /// # Errors
    /// [`PkiError`] if the key or the certificate can't be made.
    pub fn new(now: Timestamp) -> Result<Self, PkiError> {
        Self::make(
            "mcp-authz development CA",
            Vec::new(),
            around(now, DAY, VALID)?,
            now,
        )
    }

    /// A new authority of a trust domain, which its certificate names (X509-SVID §3.2).
    ///
    /// # Errors
    /// [`PkiError`] if the key or the certificate can't be made.
    pub fn of_trust_domain(name: &str, lifetime: Duration, now: Timestamp) -> Result<Self, PkiError> {
        let id = format!("spiffe://{name}");
        Self::make(&id, vec![uri(&id)?], around(now, DAY, lifetime)?, now)
    }

    fn make(
        name: &str,
        names: Vec<SanType>,
        valid: Range<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, PkiError> {
        let failed = |source| PkiError::Issue {
            subject: name.to_owned(),
            source,
        };
        let mut params = params(name, names, &valid)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            certificate: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
            now,
        })
    }

    /// The authority's own certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's own certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// A server on this machine: `localhost`, `127.0.0.1`, and the SPIFFE ID by which its clients know it, if any.
    ///
    /// # Errors
    /// [`PkiError`] if the certificate can't be made.
    pub fn server(&self, spiffe_id: Option<&str>) -> Result<Identity, PkiError> {
        let name = spiffe_id.unwrap_or("localhost");
        let mut names = match spiffe_id {
            Some(id) => vec![uri(id)?],
            None => Vec::new(),
        };
        names.push(SanType::DnsName(text("localhost")?));
        names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let (certificate, key) =
            self.issue(name, names, &[ExtendedKeyUsagePurpose::ServerAuth], self.valid()?)?;
        Ok(Identity::new(&certificate, &key))
    }

    /// An X.509-SVID: the one URI in it is the SPIFFE ID (X509-SVID §2).
    ///
    /// # Errors
    /// [`PkiError`] if the certificate can't be made.
    pub fn workload(&self, spiffe_id: &str) -> Result<Identity, PkiError> {
        self.named(spiffe_id, &[spiffe_id])
    }

    /// A client with this common name and these URIs in its certificate: also what no trust domain would issue.
    ///
    /// # Errors
    /// [`PkiError`] if the certificate can't be made.
    pub fn named(&self, subject: &str, uris: &[&str]) -> Result<Identity, PkiError> {
        let names = uris.iter().map(|id| uri(id)).collect::<Result<_, _>>()?;
        let usages = [ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = self.issue(subject, names, &usages, self.valid()?)?;
        Ok(Identity::new(&certificate, &key))
    }

    /// An X.509-SVID for both ends of a connection, valid for `lifetime` from `now`, as a Workload API hands it out.
    ///
    /// # Errors
    /// [`PkiError`] if the certificate can't be made.
    pub fn svid(&self, spiffe_id: &str, lifetime: Duration, now: Timestamp) -> Result<Svid, PkiError> {
        // X509-SVID §4.4: both, or neither.
        let usages = [
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let valid = around(now, BACKDATED, lifetime)?;
        let (certificate, key) = self.issue(spiffe_id, vec![uri(spiffe_id)?], &usages, valid)?;
        Ok(Svid {
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
        })
    }

    fn valid(&self) -> Result<Range<Timestamp>, PkiError> {
        around(self.now, DAY, VALID)
    }

    fn issue(
        &self,
        name: &str,
        names: Vec<SanType>,
        usages: &[ExtendedKeyUsagePurpose],
        valid: Range<Timestamp>,
    ) -> Result<(Certificate, KeyPair), PkiError> {
        let failed = |source| PkiError::Issue {
            subject: name.to_owned(),
            source,
        };
        let mut params = params(name, names, &valid)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok((certificate, key))
    }

    /// Writes `ca.pem` into a directory.
    ///
    /// # Errors
    /// [`PkiError::Write`].
    pub fn write(&self, directory: &Path) -> Result<(), PkiError> {
        write(&directory.join("ca.pem"), &self.certificate, 0o644)
    }

    /// How a client with this identity speaks to servers of this authority.
    ///
    /// # Errors
    /// [`PkiError`] if the identity isn't one.
    pub fn client_config(&self, identity: Option<&Identity>) -> Result<ClientConfig, PkiError> {
        let read = |identity: &Identity| -> Result<_, PkiError> {
            let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
            Ok((
                certificate,
                PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?,
            ))
        };
        self.client(identity.map(read).transpose()?)
    }

    /// How a workload with this SVID, of whatever trust domain, speaks to servers of this authority.
    ///
    /// # Errors
    /// [`PkiError`] if the SVID isn't one.
    pub fn workload_config(&self, svid: &Svid) -> Result<ClientConfig, PkiError> {
        let key = PrivatePkcs8KeyDer::from(svid.key.clone()).into();
        self.client(Some((svid.certificate.clone().into(), key)))
    }

    fn client(
        &self,
        identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Result<ClientConfig, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.der.clone()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        Ok(match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key)?,
        })
    }
}

impl Svid {
    /// The same as PEM, for parts that take files.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let block = |label: &str, der: &[u8]| {
            // RFC 7468 §2: lines of 64 characters.
            let text = STANDARD.encode(der);
            let mut pem = format!("-----BEGIN {label}-----\n");
            for line in text.as_bytes().chunks(64) {
                pem.push_str(&String::from_utf8_lossy(line));
                pem.push('\n');
            }
            format!("{pem}-----END {label}-----\n")
        };
        Identity {
            certificate: block("CERTIFICATE", &self.certificate),
            key: block("PRIVATE KEY", &self.key),
        }
    }
}

impl Identity {
    fn new(certificate: &Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes `<name>.pem` and, for its owner's eyes, `<name>-key.pem`.
    ///
    /// # Errors
    /// [`PkiError::Write`].
    pub fn write(&self, directory: &Path, name: &str) -> Result<(), PkiError> {
        write(&directory.join(format!("{name}.pem")), &self.certificate, 0o644)?;
        write(&directory.join(format!("{name}-key.pem")), &self.key, 0o600)
    }
}

fn params(name: &str, names: Vec<SanType>, valid: &Range<Timestamp>) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names;
    params.use_authority_key_identifier_extension = true;
    for (field, time) in [
        (&mut params.not_before, valid.start),
        (&mut params.not_after, valid.end),
    ] {
        let since_epoch = Duration::try_from(time.as_duration()).ok();
        *field = since_epoch
            .and_then(|span| rcgen::date_time_ymd(1970, 1, 1).checked_add(span.try_into().ok()?))
            .ok_or(PkiError::Time(time))?;
    }
    Ok(params)
}

fn around(now: Timestamp, before: Duration, after: Duration) -> Result<Range<Timestamp>, PkiError> {
    match (now.checked_sub(before), now.checked_add(after)) {
        (Ok(start), Ok(end)) => Ok(start..end),
        _ => Err(PkiError::Time(now)),
    }
}

fn uri(id: &str) -> Result<SanType, PkiError> {
    Ok(SanType::URI(text(id)?))
}

fn text(value: &str) -> Result<rcgen::string::Ia5String, PkiError> {
    value.try_into().map_err(|source| PkiError::Issue {
        subject: value.to_owned(),
        source,
    })
}

/// Writes a file that never had wider permissions than these.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let failed = |source| PkiError::Write {
        path: path.to_owned(),
        source,
    };
    // An older file would keep its own permissions.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::*;

    use super::*;

    #[test]
    fn a_workload_certificate_names_its_spiffe_id_alone_and_is_signed_by_the_authority() {
        let authority = Authority::new(crate::clock::now()).unwrap();
        let id = "spiffe://mcp-identity.local/agent/trusted/claude";
        let identity = authority.workload(id).unwrap();

        let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names, vec![GeneralName::URI(id)]);
        assert!(!certificate.is_ca());
        assert!(certificate.validity().is_valid());

        let der = CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap();
        let (_, ca) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.issuer(), ca.subject());
        assert!(ca.is_ca());
    }

    #[test]
    fn private_keys_are_written_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(crate::clock::now()).unwrap();
        let identity = authority.server(None).unwrap();
        identity.write(directory.path(), "server").unwrap();
        identity.write(directory.path(), "server").unwrap();
        let mode = |name: &str| {
            let metadata = std::fs::metadata(directory.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode("server-key.pem"), 0o600);
        assert_eq!(mode("server.pem") & 0o444, 0o444);
    }
}
