use std::collections::BTreeMap;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::*;
use crate::spiffe::X509Authority;
use crate::spiffe::bundles::{Freshness, Kind, Source};

const GATEWAY: &str = "spiffe://own.test/gateway";
const DAY: Duration = Duration::from_hours(24);

type Change = fn(&mut CertificateParams);

/// What signs, with its certificate.
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn params(id: &str, usages: &[KeyUsagePurpose]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(id)];
    params.key_usages = usages.to_vec();
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

fn authority(usages: &[KeyUsagePurpose]) -> CertificateParams {
    let mut params = params("spiffe://own.test", usages);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn leaf() -> CertificateParams {
    params(GATEWAY, &[KeyUsagePurpose::DigitalSignature])
}

fn root(params: CertificateParams) -> Signer {
    let key = KeyPair::generate().unwrap();
    Signer {
        der: params.self_signed(&key).unwrap().der().clone(),
        issuer: Issuer::new(params, key),
    }
}

impl Signer {
    fn sign(&self, params: CertificateParams) -> Signer {
        let key = KeyPair::generate().unwrap();
        Signer {
            der: params.signed_by(&key, &self.issuer).unwrap().der().clone(),
            issuer: Issuer::new(params, key),
        }
    }
}

fn peers(authorities: &[&Signer], max_age: Duration, refusals: &Arc<Refusals>) -> Peers {
    let own = TrustDomain::parse("own.test").unwrap();
    let bundles = Arc::new(Bundles::new([], max_age));
    let authorities = authorities
        .iter()
        .map(|signer| X509Authority::parse(&signer.der).unwrap());
    let all = BTreeMap::from([(own.clone(), authorities.collect())]);
    bundles.replace_x509(&all, Source::WorkloadApi, Freshness::Live);
    Peers::new(bundles, HashSet::from([own]), Arc::clone(refusals))
}

/// What is counted of one handshake with this chain.
fn refused(authorities: &[&Signer], leaf: &Signer, signers: &[&Signer]) -> Option<&'static str> {
    let refusals = Arc::default();
    let peers = peers(authorities, DAY, &refusals);
    let signers: Vec<_> = signers.iter().map(|signer| signer.der.clone()).collect();
    let verified = peers.verify_client_cert(&leaf.der, &signers, UnixTime::now());
    let counted: Vec<_> = refusals.counted().filter(|(_, count)| *count > 0).collect();
    assert_eq!(
        counted.iter().map(|(_, count)| count).sum::<u64>(),
        u64::from(verified.is_err())
    );
    counted.first().map(|(reason, _)| *reason)
}

fn year(params: &mut CertificateParams, first: i32, last: i32) {
    params.not_before = rcgen::date_time_ymd(first, 1, 1);
    params.not_after = rcgen::date_time_ymd(last, 1, 1);
}

#[test]
fn a_chain_leads_by_signers_that_may_sign_to_an_authority_that_is_valid_now() {
    let signs = [KeyUsagePurpose::KeyCertSign];
    let own = root(authority(&signs));
    let between = own.sign(authority(&signs));
    assert_eq!(refused(&[&own], &own.sign(leaf()), &[]), None);
    assert_eq!(refused(&[&own], &between.sign(leaf()), &[&between]), None);
    assert_eq!(refused(&[&own], &between.sign(leaf()), &[]), Some("untrusted"));
    let stranger = root(authority(&signs));
    assert_eq!(
        refused(&[&own], &stranger.sign(leaf()), &[&stranger]),
        Some("untrusted")
    );

    // An authority by its constraints, and not by its key usage: path validation alone would take it.
    for usages in [&[][..], &[KeyUsagePurpose::DigitalSignature]] {
        let between = own.sign(authority(usages));
        assert_eq!(
            refused(&[&own], &between.sign(leaf()), &[&between]),
            Some("untrusted"),
            "{usages:?}"
        );
    }
    let workload = own.sign(leaf());
    assert_eq!(
        refused(&[&own], &workload.sign(leaf()), &[&workload]),
        Some("untrusted")
    );

    let mut expired = authority(&signs);
    year(&mut expired, 2001, 2002);
    let expired = root(expired);
    assert_eq!(
        refused(&[&expired], &expired.sign(leaf()), &[]),
        Some("untrusted")
    );
    assert_eq!(refused(&[&expired, &own], &own.sign(leaf()), &[]), None);
}

#[test]
fn a_leaf_is_an_svid_of_a_listed_domain_that_is_valid_now_and_for_clients() {
    let own = root(authority(&[KeyUsagePurpose::KeyCertSign]));
    let cases: [(&str, Change, Option<&str>); 9] = [
        ("sound", |_| {}, None),
        ("expired", |params| year(params, 2001, 2002), Some("untrusted")),
        ("too early", |params| year(params, 4000, 4001), Some("untrusted")),
        (
            "for servers alone",
            |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
            Some("untrusted"),
        ),
        (
            "two URIs",
            |params| params.subject_alt_names.push(uri("spiffe://own.test/b")),
            Some("not_an_svid"),
        ),
        (
            "no URI",
            |params| params.subject_alt_names.clear(),
            Some("not_an_svid"),
        ),
        (
            "an authority",
            |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            Some("not_an_svid"),
        ),
        (
            "signs certificates",
            |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign),
            Some("not_an_svid"),
        ),
        (
            "another domain",
            |params| params.subject_alt_names = vec![uri("spiffe://own.test.example/a")],
            Some("trust_domain"),
        ),
    ];
    for (name, change, reason) in cases {
        let mut params = leaf();
        change(&mut params);
        assert_eq!(refused(&[&own], &own.sign(params), &[]), reason, "{name}");
    }
}

#[test]
fn a_bundle_without_a_word_for_too_long_verifies_nobody() {
    let refusals = Arc::default();
    let own = root(authority(&[KeyUsagePurpose::KeyCertSign]));
    let peers = peers(&[&own], Duration::ZERO, &refusals);
    let leaf = own.sign(leaf());
    let verify = || peers.verify_client_cert(&leaf.der, &[], UnixTime::now()).is_ok();
    assert!(verify());
    peers
        .bundles
        .no_longer_live(Source::WorkloadApi, Kind::X509, clock::instant());
    assert!(!verify());
    let counted = refusals.counted().find(|(reason, _)| *reason == "no_bundle");
    assert_eq!(counted, Some(("no_bundle", 1)));
}
