//! What the environment says over the file, or without one.

use super::*;

#[test]
fn the_environment_comes_over_the_file() {
    let variables = [
        ("MCP_AUTHZ__SERVERS__0__REQUIRE", "[user]"),
        ("MCP_AUTHZ__SERVERS__0__RESOURCE", "https://other.example/mcp"),
        ("MCP_AUTHZ__AUDIT__QUEUE", "12"),
        ("MCP_AUTHZ__GRPC__UNIX", "{path: /run/authz.sock, mode: '0600'}"),
        ("MCP_AUTHZ__GRPC__UNIX__MODE", "0660"),
        ("MCP_AUTHZ_SERVICE_HOST", "10.0.0.1"),
    ];
    let config = read(SOUND, &variables).unwrap();
    assert_eq!(config.servers[0].resource, "https://other.example/mcp");
    assert_eq!(config.audit.queue, 12);
    assert!(config.grpc.unix.is_some());
}

#[test]
fn an_unknown_variable_is_an_error_that_names_it() {
    let problems = read(SOUND, &[("MCP_AUTHZ__AUDIT__QUEU", "12")]).unwrap_err();
    assert_eq!(
        problems,
        ["MCP_AUTHZ__AUDIT__QUEU: unknown key `queu` in `audit` (did you mean `queue`?)"]
    );
}

#[test]
fn what_a_variable_holds_is_read_as_the_type_that_asks_for_it() {
    let variables = [
        ("MCP_AUTHZ__SERVERS__0__NAME", "123"),
        ("MCP_AUTHZ__AUDIT__FILE", "/var/log/a #1: x"),
        ("MCP_AUTHZ__HTTP__LISTEN", "null"),
        ("MCP_AUTHZ__GRPC__LISTEN", "[::1]:7"),
        ("MCP_AUTHZ__GRPC__UNIX__PATH", "/run/authz.sock"),
        ("MCP_AUTHZ__GRPC__UNIX__MODE", "0600"),
        ("MCP_AUTHZ__GRPC__MAX_DEADLINE", "2s"),
        ("MCP_AUTHZ__POLICIES__RELOAD", "false"),
        ("MCP_AUTHZ__LOG__FORMAT", "text"),
        ("MCP_AUTHZ__IDENTITY__ISSUERS__0__KEYS", "{file: keys.json}"),
        ("MCP_AUTHZ__IDENTITY__ISSUERS__0__ALGORITHMS__0", "ES256"),
    ];
    let config = read(SOUND, &variables).unwrap();
    assert_eq!(config.servers[0].name.as_str(), "123");
    assert_eq!(config.audit.file, Some("/var/log/a #1: x".into()));
    assert_eq!(config.http.listen, None);
    assert_eq!(config.grpc.listen, Some("[::1]:7".parse().unwrap()));
    assert_eq!(config.grpc.unix.map(|unix| unix.mode.bits()), Some(0o600));
    assert_eq!(config.grpc.max_deadline, std::time::Duration::from_secs(2));
    assert!(!config.policies.reload);
    let issuer = &config.identity.issuers[0];
    assert_eq!(issuer.keys, identity::settings::Keys::File("keys.json".into()));
    assert_eq!(issuer.algorithms.len(), 1);
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    let variables = [
        ("MCP_AUTHZ__", "x"),
        ("MCP_AUTHZ__GRPC__LISTEN", "foo"),
        ("MCP_AUTHZ__GRPC__UNIX", "{path: /x, mode: 0660}"),
        ("MCP_AUTHZ__HTTP__HOSTS", "[a"),
        ("MCP_AUTHZ__LOG__FILTER__X", "1"),
        ("MCP_AUTHZ__SERVERS__5__NAME", "x"),
        ("MCP_AUTHZ__SERVERS__X__NAME", "x"),
        ("MCP_AUTHZ__SERVRS__0__NAME", "x"),
    ];
    insta::assert_snapshot!(read(SOUND, &variables).unwrap_err().join("\n"));
}

#[test]
fn the_environment_alone_will_do_but_not_nothing() {
    let alone = |variables: &[(&str, &str)]| {
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Config::load(None, environment).map_err(|problems| problems.iter().map(told).collect::<Vec<_>>())
    };
    let servers = r#"[{"name": "one", "resource": "https://mcp.example/mcp", "require": ["user"]}]"#;
    let issuers = r#"[{"name": "k", "issuer": "https://id.example"}]"#;
    let variables = [
        ("MCP_AUTHZ__SERVERS", servers),
        ("MCP_AUTHZ__IDENTITY__ISSUERS", issuers),
    ];
    assert_eq!(alone(&variables).unwrap().servers.len(), 1);
    let problems = alone(&[("PATH", "/bin"), ("MCP_AUTHZ_SERVICE_HOST", "10.0.0.1")]).unwrap_err();
    assert!(problems[0].starts_with("no configuration:"), "{problems:?}");
}
