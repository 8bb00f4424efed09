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
