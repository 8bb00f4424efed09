use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::json;

use super::*;

fn certificate(ca: bool) -> Vec<u8> {
    let mut params = CertificateParams::new([]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn x509(der: &[u8]) -> Value {
    json!({"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "x5c": [STANDARD.encode(der)]})
}

fn jwt(kid: &str) -> Value {
    json!({"use": "jwt-svid", "kty": "EC", "crv": "P-256", "kid": kid, "x": "x", "y": "y"})
}

fn parse(document: &Value) -> Result<Bundle, BundleError> {
    Bundle::parse(document.to_string().as_bytes())
}

#[test]
fn reads_both_kinds_of_authority_and_ignores_keys_of_other_uses() {
    let der = certificate(true);
    let mut chained = x509(&der);
    chained["x5c"].as_array_mut().unwrap().push(json!("ignored"));
    let bundle = parse(&json!({
        "spiffe_sequence": 7,
        "spiffe_refresh_hint": 300,
        "anything": true,
        "keys": [
            chained,
            jwt("a"),
            {"use": "x509-svid", "kty": "EC"},
            {"use": "x509-svid", "kty": "EC", "x5c": []},
            {"use": "jwt-svid", "kty": "EC"},
            {"use": "jwt-svid", "kty": "EC", "kid": ""},
            {"use": "JWT-SVID", "kty": "EC", "kid": "b"},
            {"use": "wit-svid", "kty": "EC", "kid": "c"},
            {"kty": "EC", "kid": "d"},
        ],
    }))
    .unwrap();
    assert_eq!(
        bundle.x509.iter().map(|x| x.der().to_vec()).collect::<Vec<_>>(),
        [der]
    );
    assert_eq!(
        bundle.jwt.iter().map(JwtAuthority::kid).collect::<Vec<_>>(),
        ["a"]
    );
    assert_eq!(bundle.jwt[0].jwk()["crv"], "P-256");
    assert_eq!(
        (bundle.sequence, bundle.refresh_hint),
        (Some(7), Some(Duration::from_mins(5)))
    );
}

#[test]
fn refuses_what_is_no_bundle_as_a_whole() {
    let leaf = x509(&certificate(false));
    let long: Vec<Value> = (0..257).map(|kid| jwt(&kid.to_string())).collect();
    let cases = [
        (json!([]), BundleError::Json),
        (json!({}), BundleError::Keys),
        (json!({"keys": {}}), BundleError::Keys),
        (json!({"keys": ["x"]}), BundleError::Keys),
        (json!({"keys": long}), BundleError::Keys),
        (json!({"keys": [], "spiffe_sequence": "1"}), BundleError::Number),
        (
            json!({"keys": [], "spiffe_refresh_hint": -1}),
            BundleError::Number,
        ),
        (
            json!({"keys": [x509(b"no certificate")]}),
            BundleError::Certificate,
        ),
        (
            json!({"keys": [x509(&[certificate(true), vec![0]].concat())]}),
            BundleError::Certificate,
        ),
        (
            json!({"keys": [{"use": "x509-svid", "x5c": [1]}]}),
            BundleError::Certificate,
        ),
        (json!({"keys": [leaf]}), BundleError::NoAuthority),
        (
            json!({"keys": [jwt("a"), jwt("b"), jwt("a")]}),
            BundleError::SameKid,
        ),
    ];
    for (document, error) in cases {
        assert_eq!(parse(&document), Err(error), "{document}");
    }
    assert_eq!(Bundle::parse(br#"{"keys":[],"keys":[]}"#), Err(BundleError::Json));
    assert_eq!(
        Bundle::parse(&vec![b' '; MAX_BYTES + 1]),
        Err(BundleError::TooLarge)
    );
}

#[test]
fn takes_jwt_bundles_of_the_workload_api_whether_or_not_they_name_the_use() {
    let mut silent = jwt("silent");
    silent.as_object_mut().unwrap().remove("use");
    let document = json!({"keys": [silent, jwt("told"), x509(&certificate(true))]}).to_string();
    let authorities = jwt_authorities(document.as_bytes()).unwrap();
    assert_eq!(
        authorities.iter().map(JwtAuthority::kid).collect::<Vec<_>>(),
        ["silent", "told"]
    );
    assert_eq!(jwt_authorities(b"{}"), Err(BundleError::Keys));
}

#[test]
fn takes_concatenated_certificates_apart() {
    let (one, two) = (certificate(true), certificate(true));
    let both = x509_authorities(&[one.clone(), two.clone()].concat()).unwrap();
    assert_eq!(
        both.iter().map(|x| x.der().to_vec()).collect::<Vec<_>>(),
        [one.clone(), two]
    );
    assert_eq!(x509_authorities(b""), Ok(Vec::new()));
    let rubbish = [one.clone(), b"rubbish".to_vec()].concat();
    assert_eq!(x509_authorities(&rubbish), Err(BundleError::Certificate));
    let leaf = [one, certificate(false)].concat();
    assert_eq!(x509_authorities(&leaf), Err(BundleError::NoAuthority));
}

#[test]
fn an_authority_is_valid_between_its_dates_alone() {
    let authority = X509Authority::parse(&certificate(true)).unwrap();
    let valid = |time: &str| authority.is_valid_at(time.parse().unwrap());
    assert!(!valid("2025-12-31T23:59:59Z"));
    assert!(valid("2026-01-01T00:00:00Z") && valid("2027-01-01T00:00:00Z"));
    assert!(!valid("2027-01-01T00:00:01Z"));
    assert_eq!(authority.not_after(), "2027-01-01T00:00:00Z".parse().ok());
}
