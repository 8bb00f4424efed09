use std::ffi::OsString;

use super::*;

const SOUND: &str = "\
servers:
  - name: workbench
    resource: https://mcp.example/workbench/mcp
    require: [user]
identity:
  issuers:
    - name: keycloak
      issuer: https://id.example/realms/mcp
";

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let environment = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::read(Some("mcp-authz.yaml".into()), text, environment)
        .map_err(|problems| problems.iter().map(told).collect())
}

fn told(problem: &ConfigProblem) -> String {
    match &problem.help {
        Some(help) => format!("{problem} ({help})"),
        None => problem.to_string(),
    }
}

#[test]
fn reads_a_sound_configuration_with_the_defaults_of_the_rest() {
    let config = read(SOUND, &[]).unwrap();
    assert_eq!(config.servers[0].name.as_str(), "workbench");
    assert_eq!(config.policies, policy::Settings::default());
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_what_was_meant() {
    let problems = read(
        &format!("{SOUND}polices: {{}}\ngrpc: {{lisen: null, bogus: 1}}\n"),
        &[],
    )
    .unwrap_err();
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn a_value_of_another_type_is_an_error_with_its_line() {
    let problems = read(&format!("{SOUND}audit: {{queue: many}}\n"), &[]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("mcp-authz.yaml:9:"), "{problems:?}");
    assert!(
        problems[0].contains("`audit.queue`: expected a whole number"),
        "{problems:?}"
    );
}

#[test]
fn answers_cannot_wait_for_a_disk_that_is_a_stream() {
    let strict = format!("{SOUND}audit: {{durability: disk}}\n");
    assert_eq!(
        read(&strict, &[]).unwrap_err(),
        [
            "mcp-authz.yaml:9:21: records on standard output are never known to be on disk \
             (set `audit.file`, or `audit.durability: queued`)"
        ]
    );
    assert!(read(&strict, &[("MCP_AUTHZ__AUDIT__FILE", "audit.jsonl")]).is_ok());
}

#[test]
fn a_shadow_directory_that_rules_is_refused_whatever_it_is_called() {
    let place = tempfile::TempDir::new().unwrap();
    let [ruling, other] = ["ruling", "other"].map(|name| place.path().join(name));
    for directory in [&ruling, &other] {
        std::fs::create_dir(directory).unwrap();
    }
    std::os::unix::fs::symlink(&ruling, place.path().join("link")).unwrap();
    let with = |directory: &str, shadow: &str| {
        let text = format!("{SOUND}policies:\n  directory: {directory}\n  shadow: {shadow}\n");
        read(&text, &[]).err().unwrap_or_default().join("\n")
    };
    let ruling = ruling.to_str().unwrap();
    for same in [
        "ruling",
        "ruling/",
        "./ruling/.",
        "other/../ruling",
        "link",
        "link/../ruling",
    ] {
        let same = place.path().join(same);
        let same = same.to_str().unwrap();
        assert_eq!(
            with(ruling, same),
            format!(
                "mcp-authz.yaml:11:11: `{same}` is the directory that rules, expected another one, to be asked beside it \
                 (name the directory to try, leave `policies.shadow` out, or write `@shadow` over single policies of the ruling one)"
            )
        );
    }
    // Neither is there yet: what they are called is all that can be compared.
    assert!(with("nowhere/policies", "./nowhere/policies/").contains("is the directory that rules"));
    assert_eq!(with("nowhere/policies", "nowhere/tried"), "");
    assert_eq!(with(ruling, other.to_str().unwrap()), "");
    assert_eq!(with(ruling, "null"), "");
}

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
fn settings_that_contradict_each_other_are_all_told() {
    let text = "\
servers:
  - {name: one, resource: http://mcp.example/mcp, issuers: [nobody]}
  - {name: one, resource: https://mcp.example/mcp, require: []}
grpc: {listen: null}
";
    insta::assert_snapshot!(read(text, &[]).unwrap_err().join("\n"));
}

#[test]
fn a_bound_that_would_have_no_effect_is_refused() {
    let with = |messages: &str| format!("{SOUND}messages:\n{messages}");
    assert!(read(&with("  max_batch: 1\n  max_subscriptions: 256\n"), &[]).is_ok());
    let told = read(&with("  max_batch: 0\n  max_subscriptions: 257\n"), &[]).unwrap_err();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("a batch holds at least one message"), "{told:?}");
    assert!(
        told[1].contains("257 resources are more than the 256"),
        "{told:?}"
    );
}

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
fn a_redis_that_could_not_work_is_refused_where_it_stands() {
    let with = |redis: &str| format!("{SOUND}state:\n  redis: {redis}\n");
    assert!(read(&with("{url: 'rediss://redis.example/0', propagation: 2s}"), &[]).is_ok());
    let told = read(&with("{url: 'redis://:secret@redis.example'}"), &[]).unwrap_err();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("a password is no part of it"), "{told:?}");
    let told = read(&with("{url: 'redis://redis.example', propagation: 1s}"), &[]).unwrap_err();
    assert!(told[0].contains("shorter than four times `timeout`"), "{told:?}");
}

#[test]
fn a_configuration_without_servers_is_none() {
    let problems = read("", &[]).unwrap_err();
    assert!(
        problems[0].contains("no MCP server is configured"),
        "{problems:?}"
    );
}

#[test]
fn a_key_that_stands_twice_is_an_error() {
    let problems = read(&format!("{SOUND}servers: []\n"), &[]).unwrap_err();
    assert!(problems[0].starts_with("mcp-authz.yaml:9:"), "{problems:?}");
}

const EXAMPLE: &str = include_str!("../../mcp-authz.example.yaml");

/// Every map in a value, by the path to it.
fn maps(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            found.push(path.to_owned());
            for (name, member) in members {
                maps(member, &format!("{path}/{name}"), found);
            }
        }
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                maps(item, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_example_is_sound_and_holds_the_defaults() {
    let config = read(EXAMPLE, &[]).unwrap();
    assert_eq!(config.policies, policy::Settings::default());
    assert_eq!(config.messages, mcp::Limits::default());
    assert_eq!(config.state, state::Settings::default());
    assert_eq!(config.revocation, revocation::Settings::default());
    assert_eq!(config.log, LogSettings::default());
    assert_eq!(config.http, HttpSettings::default());
    let mut grpc = config.grpc.clone();
    (grpc.unix, grpc.tls) = (None, None);
    assert_eq!(grpc, wire::Settings::default());
    let mut audit = config.audit.clone();
    (audit.file, audit.key_file) = (None, None);
    assert_eq!(audit, AuditSettings::default());
    let spiffe = &config.identity.spiffe;
    assert_eq!(spiffe.bundles, crate::spiffe::settings::Refresh::default());
    let mut svid = spiffe.jwt_svid.clone();
    (svid.header, svid.audiences) = (None, Vec::new());
    assert_eq!(svid, identity::settings::JwtSvids::default());
    let mut issuer = config.identity.issuers[0].clone();
    (issuer.ca_file, issuer.algorithms) = (None, Vec::new());
    issuer.clients.clear();
    issuer.actor_issuers.clear();
    let mut asked = issuer.introspection.take().unwrap();
    (asked.endpoint, asked.prefix) = (None, None);
    let default = identity::settings::Introspection::new(&asked.client_id, asked.auth.clone());
    assert_eq!(asked, default);
    assert_eq!(
        issuer,
        identity::settings::Issuer::new("keycloak", "https://id.example/realms/mcp")
    );
}

/// A key that nobody knows is put into each map of the example; what the error says is known there must all stand there.
#[test]
fn the_example_names_every_key() {
    let example: serde_json::Value = serde_saphyr::from_str(EXAMPLE).unwrap();
    let mut paths = Vec::new();
    maps(&example, "", &mut paths);
    let mut probed = 0;
    // The keys of `clients` are names of one's own.
    for path in paths.into_iter().filter(|path| !path.ends_with("/clients")) {
        let mut changed = example.clone();
        let map = changed.pointer_mut(&path).unwrap().as_object_mut().unwrap();
        map.insert("zzzzzz".to_owned(), serde_json::Value::Null);
        let problems = read(&changed.to_string(), &[]).unwrap_err();
        let Some(known) = problems
            .iter()
            .find_map(|told| told.split("(known here: ").nth(1))
        else {
            continue;
        };
        probed += 1;
        for key in known.trim_end_matches(')').split(", ") {
            // Of several items in a list it is enough if one shows the key.
            let shown = (0..9).any(|item| {
                let sibling = path
                    .rsplit_once('/')
                    .filter(|(_, last)| last.parse::<usize>().is_ok());
                let sibling = sibling.map_or_else(|| path.clone(), |(list, _)| format!("{list}/{item}"));
                example.pointer(&format!("{sibling}/{key}")).is_some()
            });
            assert!(shown, "mcp-authz.example.yaml lacks `{key}` in `{path}`");
        }
    }
    assert!(probed >= 16, "only {probed} maps could be probed");
}

/// What is wrong, by what is added to a sound configuration.
#[test]
fn each_mistake_is_told_once_where_it_stands() {
    let cases = [
        "audit: {queue: many, file: 7}",
        "grpc: {max_connections: -5, max_concurrent_streams: 99999999999, handshake_timeout: 5}",
        "http: {hosts: mcp-authz.example}",
        "log: {format: jsn}",
        "log: [json, info]",
        "audit: {arguments: hash}",
        "audit: {queue: 0}",
        "policies: nowhere",
        "policies: {reload: yes}",
    ];
    let told = cases.map(|added| {
        format!(
            "{added}\n  {}",
            read(&format!("{SOUND}{added}\n"), &[]).unwrap_err().join("\n  ")
        )
    });
    insta::assert_snapshot!(told.join("\n"));
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
fn each_item_of_a_list_has_its_own_problems() {
    let text = "\
servers:
  - name: 7
  - resource: https://mcp.example/one
  - {name: tools, resource: https://mcp.example/two, require: user}
  - {name: sound, resource: https://mcp.example/three}
identity:
  issuers:
    - {name: a, keys: {url: x}, claims: {roles: [a..b]}}
";
    insta::assert_snapshot!(read(text, &[]).unwrap_err().join("\n"));
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
fn a_section_of_which_everything_is_commented_out_has_its_defaults() {
    let config = read(&format!("{SOUND}grpc:\naudit:\nhttp:\n  hosts:\n"), &[]).unwrap();
    assert_eq!(config.grpc, wire::Settings::default());
    assert_eq!(config.audit, AuditSettings::default());
    assert!(config.http.hosts.is_empty());
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

#[test]
fn ways_in_of_revocations_that_nobody_should_use_are_refused() {
    let listen = "revocation: {listen: 127.0.0.1:9193, socket: /run/revoke.sock}\n";
    assert!(read(&format!("{SOUND}{listen}"), &[]).is_ok());
    let no_issuer = "servers: [{name: a, resource: 'https://a.example/mcp', require: [workload]}]\n\
                     identity: {gateways: [{name: e, unix: true, trusted_for: [xfcc]}], spiffe: {trust_domains: [a.example]}}\n";
    let told = read(&format!("{no_issuer}{listen}"), &[]).unwrap_err();
    assert!(
        told[0].contains("no issuer that could tell of logouts"),
        "{told:?}"
    );
    let same = "grpc: {unix: {path: /run/revoke.sock}}\n";
    let told = read(&format!("{SOUND}{listen}{same}"), &[]).unwrap_err();
    assert!(told[0].contains("gateways ask at that socket"), "{told:?}");
}
