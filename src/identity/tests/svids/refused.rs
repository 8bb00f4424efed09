//! JWT-SVIDs that are none, each with its reason.

use super::*;

#[rustfmt::skip]
const BAD: &[(&str, Change, E)] = &[
    ("alg none", |h, _| h["alg"] = json!("none"), E::Svid(S::AlgorithmNotAllowed)),
    ("alg HS256", |h, _| h["alg"] = json!("HS256"), E::Svid(S::AlgorithmNotAllowed)),
    ("alg HS256 with a symmetric key", |h, _| { h["alg"] = json!("HS256"); h["kid"] = json!("oct"); }, E::Svid(S::AlgorithmNotAllowed)),
    ("alg EdDSA", |h, _| h["alg"] = json!("EdDSA"), E::Svid(S::AlgorithmNotAllowed)),
    ("alg ES512", |h, _| h["alg"] = json!("ES512"), E::Svid(S::AlgorithmNotAllowed)),
    ("an alg that the key is not for", |h, _| h["alg"] = json!("RS256"), E::Svid(S::AlgorithmNotAllowed)),
    ("no alg", |h, _| without(h, "alg"), E::Svid(S::Malformed(Malformed::Header))),
    ("no kid", |h, _| without(h, "kid"), E::Svid(S::KidMissing)),
    ("an unknown kid", |h, _| h["kid"] = json!("other"), E::Svid(S::KeyUnknown)),
    ("kid of a key for other signatures", |h, _| h["kid"] = json!("sig"), E::Svid(S::KeyUnknown)),
    ("kid of a key for another kind of SVID", |h, _| h["kid"] = json!("wit"), E::Svid(S::KeyUnknown)),
    ("kid of a symmetric key", |h, _| h["kid"] = json!("oct"), E::Svid(S::KeyUnknown)),
    ("kid of another key", |h, _| { h["kid"] = json!("rsa"); h["alg"] = json!("PS512"); }, E::Svid(S::SignatureInvalid)),
    ("typ of an access token", |h, _| h["typ"] = json!("at+jwt"), E::Svid(S::WrongType)),
    ("typ in lower case", |h, _| h["typ"] = json!("jwt"), E::Svid(S::WrongType)),
    ("typ of a proof", |h, _| h["typ"] = json!("dpop+jwt"), E::Svid(S::WrongType)),
    ("crit", |h, _| h["crit"] = json!(["exp"]), E::Svid(S::Header)),
    ("a key of its own", |h, _| h["jwk"] = json!({}), E::Svid(S::Header)),
    ("a key at a URL", |h, _| h["jku"] = json!("https://evil.example"), E::Svid(S::Header)),
    ("another audience", |_, c| c["aud"] = json!(["https://mcp.example/other"]), E::Svid(S::WrongAudience)),
    ("an audience more", |_, c| c["aud"] = json!([RESOURCE, "https://mcp.example/other"]), E::Svid(S::WrongAudience)),
    ("an audience that begins like ours", |_, c| c["aud"] = json!([format!("{RESOURCE}/x")]), E::Svid(S::WrongAudience)),
    ("no audience", |_, c| without(c, "aud"), E::Svid(S::WrongAudience)),
    ("an empty list of audiences", |_, c| c["aud"] = json!([]), E::Svid(S::WrongAudience)),
    ("an audience that is no text", |_, c| c["aud"] = json!([1]), E::Svid(S::WrongAudience)),
    ("no sub", |_, c| without(c, "sub"), E::Svid(S::NoSubject)),
    ("no exp", |_, c| without(c, "exp"), E::Svid(S::NoExpiry)),
    ("exp as text", |_, c| c["exp"] = json!("soon"), E::Svid(S::ClaimMalformed(Claim::Exp))),
    ("expired", |_, c| c["exp"] = json!(NOW - 31), E::Svid(S::Expired)),
    ("expired, with the skew just now", |_, c| c["exp"] = json!(NOW - 30), E::Svid(S::Expired)),
    ("not valid yet", |_, c| c["nbf"] = json!(NOW + 31), E::Svid(S::NotYetValid)),
    ("issued in the future", |_, c| c["iat"] = json!(NOW + 31), E::Svid(S::IssuedInFuture)),
    ("a login in the future", |_, c| c["auth_time"] = json!(NOW + 31), E::Svid(S::ClaimMalformed(Claim::AuthTime))),
    ("a life of a day", |_, c| c["exp"] = json!(NOW + 86_400), E::Svid(S::LivesTooLong)),
    ("a life of a day, iat absent", |_, c| { c["exp"] = json!(NOW + 86_400); without(c, "iat"); }, E::Svid(S::LivesTooLong)),
    ("bound to a key", |_, c| c["cnf"] = json!({ "jkt": URL_SAFE_NO_PAD.encode([7; 32]) }), E::BoundTokenWithoutProof),
    ("bound to a certificate", |_, c| c["cnf"] = json!({ "x5t#S256": URL_SAFE_NO_PAD.encode([7; 32]) }), E::Bound(BoundError::CertificateMissing)),
    ("bound to who knows what", |_, c| c["cnf"] = json!({ "kid": "x" }), E::Bound(BoundError::ConfirmationUnknown)),
    ("a foreign trust domain", |_, c| c["sub"] = json!("spiffe://evil.example/a"), E::WorkloadForeignTrustDomain),
    ("a trust domain that ends like ours", |_, c| c["sub"] = json!("spiffe://evil-mcp-identity.local/a"), E::WorkloadForeignTrustDomain),
    ("a trust domain within ours", |_, c| c["sub"] = json!("spiffe://x.mcp-identity.local/a"), E::WorkloadForeignTrustDomain),
    ("a trust domain that begins like ours", |_, c| c["sub"] = json!("spiffe://mcp-identity.local.evil.example/a"), E::WorkloadForeignTrustDomain),
    ("a federated trust domain, signed by us", |_, c| c["sub"] = json!("spiffe://partner.example/a"), E::Svid(S::SignatureInvalid)),
    ("a trust domain without a bundle", |_, c| c["sub"] = json!("spiffe://certificates.example/a"), E::Svid(S::NotTaken)),
    ("a trust domain whose bundle never came", |_, c| c["sub"] = json!("spiffe://late.example/a"), E::Svid(S::BundleUnavailable)),
    ("scheme in capitals", |_, c| c["sub"] = json!("SPIFFE://mcp-identity.local/a"), E::WorkloadMalformed(Id::Scheme)),
    ("trust domain in capitals", |_, c| c["sub"] = json!("spiffe://MCP-identity.local/a"), E::WorkloadMalformed(Id::TrustDomain)),
    ("a port", |_, c| c["sub"] = json!("spiffe://mcp-identity.local:443/a"), E::WorkloadMalformed(Id::TrustDomain)),
    ("a user", |_, c| c["sub"] = json!("spiffe://me@mcp-identity.local/a"), E::WorkloadMalformed(Id::TrustDomain)),
    ("no path", |_, c| c["sub"] = json!("spiffe://mcp-identity.local"), E::WorkloadMalformed(Id::NoPath)),
    ("an empty path", |_, c| c["sub"] = json!("spiffe://mcp-identity.local/"), E::WorkloadMalformed(Id::EmptySegment)),
    ("an empty segment", |_, c| c["sub"] = json!("spiffe://mcp-identity.local/a//b"), E::WorkloadMalformed(Id::EmptySegment)),
    ("a dot segment", |_, c| c["sub"] = json!("spiffe://mcp-identity.local/a/../b"), E::WorkloadMalformed(Id::DotSegment)),
    ("percent-encoding", |_, c| c["sub"] = json!("spiffe://mcp-identity.local/%61"), E::WorkloadMalformed(Id::Path)),
    ("a query", |_, c| c["sub"] = json!("spiffe://mcp-identity.local/a?b"), E::WorkloadMalformed(Id::Path)),
    ("a fragment", |_, c| c["sub"] = json!("spiffe://mcp-identity.local/a#b"), E::WorkloadMalformed(Id::Path)),
];

#[tokio::test]
async fn refuses_each_bad_jwt_svid_for_its_own_reason_in_a_header_and_as_a_token() {
    let world = world().await;
    for (name, change, reason) in BAD {
        let (mut header, mut claims) = good();
        change(&mut header, &mut claims);
        let svid = world.ours.sign(&header, &claims);
        assert_eq!(world.ask(&in_header(&svid)).await, Err(*reason), "{name}");
        // Again: what was refused isn't remembered as good.
        assert_eq!(world.ask(&in_header(&svid)).await, Err(*reason), "{name}");
        // As a token it is one and the same, but for what makes a text no JWT at all.
        let expected = match reason {
            E::Svid(S::Malformed(how)) => E::MalformedToken(*how),
            E::Svid(S::Header) => as_token(&svid),
            reason => *reason,
        };
        assert_eq!(world.ask(&bearer(&svid)).await, Err(expected), "{name}");
    }
}

/// What the access token's own check says of it.
fn as_token(svid: &str) -> E {
    Unverified::parse(svid).map(drop).unwrap_err()
}

#[tokio::test]
async fn only_in_a_header_a_subject_that_is_no_spiffe_id_or_no_jwt_is_told_of_a_jwt_svid() {
    let world = world().await;
    let of = |change: Change| {
        let (mut header, mut claims) = good();
        change(&mut header, &mut claims);
        world.ours.sign(&header, &claims)
    };
    let cases = [
        (
            of(|_, c| c["sub"] = json!("alice")),
            E::WorkloadMalformed(Id::Scheme),
            E::IssuerUnknown,
        ),
        (
            of(|_, c| c["sub"] = json!("https://mcp-identity.local/a")),
            E::WorkloadMalformed(Id::Scheme),
            E::IssuerUnknown,
        ),
        (
            of(|_, c| c["sub"] = json!("")),
            E::Svid(S::NoSubject),
            E::IssuerUnknown,
        ),
        (
            of(|_, c| c["sub"] = json!([AGENT])),
            E::Svid(S::Malformed(Malformed::Claims)),
            E::IssuerUnknown,
        ),
        (
            "a.b".to_owned(),
            E::Svid(S::Malformed(Malformed::Parts)),
            E::MalformedToken(Malformed::Parts),
        ),
        ("a.b.c.d.e".to_owned(), E::Svid(S::Header), E::EncryptedToken),
        (
            String::new(),
            E::Svid(S::Malformed(Malformed::Parts)),
            E::MalformedToken(Malformed::Credentials),
        ),
        (
            "a".repeat(8193),
            E::Svid(S::TooLarge),
            E::MalformedToken(Malformed::Parts),
        ),
    ];
    for (svid, reason, token) in cases {
        assert_eq!(world.ask(&in_header(&svid)).await, Err(reason), "{svid}");
        assert_eq!(world.ask(&bearer(&svid)).await, Err(token), "{svid}");
    }
    let svid = world.ours.svid(AGENT);
    for two in [
        vec![&*svid, &*svid],
        vec![&*format!("{svid},{svid}")],
        vec![&*format!("{svid}, {svid}")],
    ] {
        let headers: Vec<_> = two.iter().map(|svid| (HEADER, *svid)).collect();
        assert_eq!(world.ask(&exchange(&headers)).await, Err(E::WorkloadAmbiguous));
    }
}
