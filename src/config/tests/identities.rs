//! Settings by which nobody could prove who they are.

use super::*;

#[test]
fn a_server_that_could_not_tell_whose_an_opaque_token_is_is_refused() {
    let with = |one: &str, other: &str, taken: &str| {
        let issuer = |name: &str, prefix: &str| {
            format!(
                "  - {{name: {name}, issuer: 'https://{name}.example', introspection: {{client_id: a, auth: {{secret_file: s}}{prefix}}}}}\n"
            )
        };
        let issuers = [issuer("one", one), issuer("other", other)].concat();
        let server = format!(
            "{{name: workbench, resource: 'https://mcp.example/mcp', require: [user], issuers: {taken}}}"
        );
        read(
            &format!("servers:\n  - {server}\nidentity:\n  issuers:\n{issuers}"),
            &[],
        )
    };
    for (one, other, taken) in [
        ("", ", prefix: a", "[]"),
        (", prefix: a", ", prefix: b", "[]"),
        ("", "", "[other]"),
    ] {
        assert_eq!(with(one, other, taken).map(drop), Ok(()));
    }
    for (one, other) in [("", ""), (", prefix: a", ", prefix: ab")] {
        let told = with(one, other, "[]").unwrap_err();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("can't tell opaque tokens of `one` and of `other` apart"),
            "{told:?}"
        );
    }
}

#[test]
fn nonces_that_would_not_be_demanded_of_everybody_or_never_hold_are_told() {
    let told = |server: &str| {
        let text = SOUND.replace("require: [user]", &format!("require: [user]\n    {server}"));
        read(&text, &[]).err().unwrap_or_default().join(" ")
    };
    for constraint in ["dpop", "any"] {
        let nonces = "dpop: {nonces: required, nonce_lifetime: 1h}";
        assert_eq!(
            told(&format!("sender_constraint: {constraint}\n    {nonces}")),
            ""
        );
    }
    for constraint in ["none", "mtls"] {
        let problem = told(&format!(
            "sender_constraint: {constraint}\n    dpop: {{nonces: required}}"
        ));
        assert!(
            problem.contains("demands nonces in proofs, but takes tokens that come without"),
            "{problem}"
        );
    }
    for lifetime in ["0s", "1500ms", "2h"] {
        let problem = told(&format!("dpop: {{nonce_lifetime: {lifetime}}}"));
        assert!(problem.contains("`nonce_lifetime` must be 1s to 1h"), "{problem}");
    }
}

#[test]
fn identities_that_could_prove_nothing_are_told_before_anything_starts() {
    let text = "\
servers: [{name: one, resource: https://mcp.example/mcp}]
identity:
  issuers:
    - {name: Key Cloak, issuer: https://id.example}
    - {name: far, issuer: http://id.example}
    - {name: far, issuer: https://other.example, algorithms: [HS256]}
  gateways:
    - {name: any, trusted_for: [principal]}
    - {name: odd, address: nowhere, trusted_for: [principal]}
  spiffe:
    trust_domains: [mcp-identity.local, 'spiffe://Elsewhere']
";
    insta::assert_snapshot!(read(text, &[]).unwrap_err().join("\n"));
}

#[test]
fn trust_domains_and_jwt_svids_that_could_prove_nothing_are_told_where_they_stand() {
    let text = "\
servers: [{name: one, resource: https://mcp.example/mcp, require: [workload]}]
identity:
  spiffe:
    trust_domains:
      - name: one.example
      - {name: one.example, bundle: {file: one.json}}
      - {name: Two, bundle: {https_web: {url: http://two.example/bundle}}}
      - {name: three.example, bundle: {https_spiffe: {url: https://three.example, endpoint_id: spiffe://three.example}}}
      - {name: four.example, bundle: {https_spiffe: {url: https://four.example, endpoint_id: spiffe://four.example/server}}}
    bundles: {min_interval: 2h}
    jwt_svid: {header: authorization}
";
    insta::assert_snapshot!(read(text, &[]).unwrap_err().join("\n"));
    let header_alone = "\
servers: [{name: one, resource: https://mcp.example/mcp}]
identity:
  issuers: [{name: id, issuer: https://id.example}]
  spiffe: {trust_domains: [{name: one.example, bundle: {file: one.json}}]}
";
    let told = read(header_alone, &[]).unwrap_err();
    assert!(told[0].contains("no JWT-SVID could prove one"), "{told:?}");
    let with_header = header_alone.replace("spiffe: {", "spiffe: {jwt_svid: {header: x-jwt-svid}, ");
    assert!(read(&with_header, &[]).is_ok());
}

#[test]
fn tls_by_the_workload_api_is_whole_and_its_gateways_can_be_known() {
    let text = "\
servers: [{name: one, resource: https://mcp.example/mcp}]
grpc:
  tls:
    workload_api:
      trust_domains: [own.example, 'spiffe://Partner']
      spiffe_id: authz
identity:
  gateways:
    - {name: known, certificate: spiffe://own.example/envoy, trusted_for: [principal]}
    - {name: host, certificate: envoy.own.example, trusted_for: [principal]}
    - {name: elsewhere, certificate: spiffe://other.example/envoy, trusted_for: [principal]}
";
    let two =
        format!("{SOUND}grpc: {{tls: {{certificate: c, key: k, workload_api: {{trust_domains: [a]}}}}}}\n");
    let socket = "MCP_AUTHZ__WORKLOAD_API__SOCKET";
    let told = [
        read(text, &[]).unwrap_err(),
        read(&two, &[(socket, "unix:///run/agent.sock")]).unwrap_err(),
        read(&two, &[(socket, "/run/agent.sock")]).unwrap_err(),
        read(&two, &[("SPIFFE_ENDPOINT_SOCKET", "tcp://10.0.0.1:80")]).unwrap_err(),
    ];
    insta::assert_snapshot!(told.map(|told| told.join("\n")).join("\n\n"));
}

#[test]
fn the_workload_api_is_where_the_environment_says_and_asked_only_if_needed() {
    let agent = [("SPIFFE_ENDPOINT_SOCKET", "unix:///run/agent.sock")];
    let unneeded = read(SOUND, &agent).unwrap();
    assert_eq!(
        (unneeded.wanted_of_workload_api(), unneeded.workload_api.socket),
        (None, None)
    );
    // What nothing needs may be anything.
    assert!(read(SOUND, &[("SPIFFE_ENDPOINT_SOCKET", "elsewhere")]).is_ok());

    let by_svid = format!("{SOUND}grpc: {{tls: {{workload_api: {{trust_domains: [own.example]}}}}}}\n");
    let config = read(&by_svid, &agent).unwrap();
    let socket = config.workload_api.socket.as_ref().unwrap().to_string();
    assert_eq!(socket, "unix:///run/agent.sock");
    assert!(config.wanted_of_workload_api().unwrap().x509.is_some());
    let bundle = format!(
        "{SOUND}  spiffe: {{trust_domains: [own.example, {{name: b.example, bundle: workload_api}}]}}\n"
    );
    let wanted = read(&bundle, &agent).unwrap().wanted_of_workload_api().unwrap();
    assert_eq!((wanted.x509, wanted.jwt), (None, true));
    let told = read(&bundle, &[]).unwrap_err();
    assert!(
        told[0].starts_with("mcp-authz.yaml:9:41: nothing says where the Workload API is"),
        "{told:?}"
    );
    let configured = format!("{by_svid}workload_api: {{socket: unix:///run/other.sock}}\n");
    let socket = read(&configured, &agent).unwrap().workload_api.socket.unwrap();
    assert_eq!(socket.to_string(), "unix:///run/other.sock");
}
