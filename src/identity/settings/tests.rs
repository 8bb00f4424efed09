//! Settings of identities as they are written, and what is left out.

use super::*;

const EVERYTHING: &str = r"
issuers:
  - name: keycloak
    issuer: https://login.example/realms/demo
  - name: partner
    issuer: https://partner.example
    keys:
      jwks_url: https://partner.example/keys
    algorithms: [ES256, EdDSA]
    types: [at+jwt]
    untyped: true
    audience: contains
    tolerated_audiences: []
    clock_skew: 5s
    max_lifetime: 600s
    max_token_bytes: 4096
    refresh_interval: 1m
    unknown_kid_interval: 30s
    fetch_timeout: 500ms
    max_key_age: 1h
    ca_file: /etc/ca.pem
    claims:
      roles: [realm_access.roles, [resource_access, 'https://a.b/', roles]]
      tenants:
        - claim: org
        - claim: groups
          prefix: /orgs/
      email: contact.email
gateways:
  - name: envoy
    certificate: spiffe://mcp-identity.local/gateway
    trusted_for: [principal, xfcc, jwt_claims]
  - name: local
    unix: true
    trusted_for: [principal]
spiffe:
  trust_domains: [mcp-identity.local, {name: partner.example, bundle: {file: partner.json}}]
  bundles: {min_interval: 10s, max_age: 2h}
  jwt_svid: {header: x-jwt-svid, algorithms: [ES256], max_lifetime: 10m}
verified_tokens: 500
";

#[test]
fn reads_every_setting_from_yaml_and_knows_the_defaults() {
    let settings: Settings = serde_saphyr::from_str(EVERYTHING).unwrap();
    assert_eq!(
        settings.issuers[0],
        Issuer::new("keycloak", "https://login.example/realms/demo")
    );
    let partner = &settings.issuers[1];
    assert_eq!(
        partner.keys,
        Keys::JwksUrl("https://partner.example/keys".to_owned())
    );
    assert_eq!(partner.algorithms, [Algorithm::ES256, Algorithm::EdDSA]);
    assert_eq!(
        partner.claims.roles[1],
        ClaimPath::new(["resource_access", "https://a.b/", "roles"])
    );
    assert_eq!(partner.claims.groups, Claims::default().groups);
    assert_eq!(
        settings.gateways[0].trusted_for,
        [Trust::Principal, Trust::Xfcc, Trust::JwtClaims]
    );
    assert_eq!(
        (settings.verified_tokens, settings.spiffe.trust_domains.len()),
        (500, 2)
    );
    let svid = &settings.spiffe.jwt_svid;
    assert_eq!(
        (svid.header.as_deref(), svid.max_bytes),
        (Some("x-jwt-svid"), JwtSvids::default().max_bytes)
    );
    let again: Settings = serde_saphyr::from_str(&serde_saphyr::to_string(&settings).unwrap()).unwrap();
    assert_eq!(again, settings);
    assert_eq!(
        serde_saphyr::from_str::<Settings>("{}").unwrap(),
        Settings::default()
    );
}

#[test]
fn reads_each_place_of_keys() {
    let cases = [
        ("discovery", Keys::Discovery),
        (
            "{jwks_url: 'https://a.b/c'}",
            Keys::JwksUrl("https://a.b/c".to_owned()),
        ),
        ("{file: keys.json}", Keys::File("keys.json".into())),
        ("{secret_file: secret}", Keys::SecretFile("secret".into())),
        ("none", Keys::Absent),
    ];
    for (yaml, keys) in cases {
        assert_eq!(serde_saphyr::from_str::<Keys>(yaml).unwrap(), keys, "{yaml}");
    }
    for yaml in ["{url: x}", "jwks", "{file: a, secret_file: b}"] {
        assert!(serde_saphyr::from_str::<Keys>(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn refuses_what_it_does_not_know() {
    for yaml in [
        "{issuer: []}",
        "issuers: [{name: a, issuer: 'https://a', audiences: contains}]",
        "issuers: [{name: a, issuer: 'https://a', algorithms: [none]}]",
        "gateways: [{name: a, unix: true}]",
        "gateways: [{name: a, unix: true, trusted_for: [everything]}]",
    ] {
        assert!(serde_saphyr::from_str::<Settings>(yaml).is_err(), "{yaml}");
    }
}
