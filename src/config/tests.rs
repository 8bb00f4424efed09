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
        problems[0].contains("`audit.queue`: invalid type: string"),
        "{problems:?}"
    );
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
    assert_eq!(config.log, LogSettings::default());
    assert_eq!(config.http, HttpSettings::default());
    let mut grpc = config.grpc.clone();
    (grpc.unix, grpc.tls) = (None, None);
    assert_eq!(grpc, wire::Settings::default());
    let mut audit = config.audit.clone();
    (audit.file, audit.key_file) = (None, None);
    assert_eq!(audit, AuditSettings::default());
    let mut issuer = config.identity.issuers[0].clone();
    (issuer.ca_file, issuer.algorithms) = (None, Vec::new());
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
    for path in paths {
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
