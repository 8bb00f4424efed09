//! What a file and the environment come to, and what is told of mistakes in them.

mod contradictions;
mod example;
mod identities;
mod variables;

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
fn a_key_that_stands_twice_is_an_error() {
    let problems = read(&format!("{SOUND}servers: []\n"), &[]).unwrap_err();
    assert!(problems[0].starts_with("mcp-authz.yaml:9:"), "{problems:?}");
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
fn a_section_of_which_everything_is_commented_out_has_its_defaults() {
    let config = read(&format!("{SOUND}grpc:\naudit:\nhttp:\n  hosts:\n"), &[]).unwrap();
    assert_eq!(config.grpc, wire::Settings::default());
    assert_eq!(config.audit, AuditSettings::default());
    assert!(config.http.hosts.is_empty());
}
