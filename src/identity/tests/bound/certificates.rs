//! Tokens bound to a certificate, and who says which one the client has.

use super::*;

#[tokio::test]
async fn a_token_bound_to_a_certificate_needs_that_one_from_a_gateway_that_may_say_so() {
    let certificate = |name: &str| {
        rcgen::generate_simple_self_signed([name.to_owned()])
            .unwrap()
            .cert
    };
    let (ours, other) = (certificate("a"), certificate("b"));
    let hash = Hash::of(ours.der());
    let hex = |hash: &Hash| {
        let bytes = hash.as_bytes().iter();
        bytes.fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let (our_hash, other_hash) = (hex(&hash), hex(&Hash::of(other.der())));
    let world = world(TestStore::since(0)).await;
    let token = world.token(&json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(hash.as_bytes()) }));
    let (our_pem, other_pem) = (ours.pem(), other.pem());
    let element = |hash: &str| Some(format!("Hash={hash};URI=spiffe://td/a"));
    let refused = |reason| Err(E::Bound(reason));
    let cases = [
        ("edge", Some(our_pem.clone()), None, Ok(())),
        ("edge", None, element(&our_hash), Ok(())),
        ("edge", Some(our_pem.clone()), element(&our_hash), Ok(())),
        (
            "edge",
            Some(other_pem.clone()),
            None,
            refused(B::CertificateOther),
        ),
        ("edge", None, element(&other_hash), refused(B::CertificateOther)),
        (
            "edge",
            Some(our_pem.clone()),
            element(&other_hash),
            refused(B::CertificatesDisagree),
        ),
        (
            "edge",
            Some(other_pem),
            element(&our_hash),
            refused(B::CertificatesDisagree),
        ),
        ("edge", None, None, refused(B::CertificateMissing)),
        (
            "edge",
            Some(String::new()),
            Some("URI=spiffe://td/a".to_owned()),
            refused(B::CertificateMissing),
        ),
        (
            "edge",
            Some(our_pem.repeat(2)),
            None,
            refused(B::CertificateMalformed),
        ),
        (
            "edge",
            Some("x".to_owned()),
            element(&our_hash),
            refused(B::CertificateMalformed),
        ),
        ("edge", None, element("abc"), refused(B::CertificateMalformed)),
        (
            "edge",
            None,
            Some(format!("Hash={our_hash};Hash={our_hash}")),
            Err(E::WorkloadAmbiguous),
        ),
        (
            "stranger",
            Some(our_pem),
            None,
            refused(B::CertificateNotVouchedFor),
        ),
        (
            "stranger",
            None,
            element(&our_hash),
            refused(B::CertificateNotVouchedFor),
        ),
    ];
    for (gateway, pem, header, expected) in cases {
        let mut sent = bearer(&token);
        if let Some(header) = &header {
            sent = exchange(&[
                ("authorization", &format!("Bearer {token}")),
                ("x-forwarded-client-cert", header),
            ]);
        }
        sent.gateway.certificate_names = vec![gateway.to_owned()];
        sent.source.certificate.clone_from(&pem);
        let what = format!("{gateway} {pem:?} {header:?}");
        // Whatever else the call says of its workload, no trust domain is configured.
        let identified = world
            .verifier
            .token(&sent, &server(&["user"]), now())
            .await
            .map(drop);
        assert_eq!(identified, expected, "{what}");
    }
}
