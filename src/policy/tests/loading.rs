//! What a directory is refused for, with the place and the advice.

use super::*;

/// A mistake of an author, and what is said to it.
#[derive(serde::Deserialize)]
struct Mistake {
    policies: String,
    place: String,
    message: String,
    #[serde(default)]
    help: String,
}

fn problems(files: &Files) -> Vec<Problem> {
    PolicySet::load(files, &[]).err().unwrap_or_default()
}

#[test]
fn the_default_directory_loads_and_passes_its_own_tests() {
    let set = load(&Files::read(&directory()).unwrap());
    assert!(set.tests().cases() > 350, "{}", set.tests().cases());
    assert_eq!(set.warnings(), []);
    assert_eq!(set.version().len(), 64);
}

#[test]
fn authors_mistakes_are_errors_with_their_line_and_a_suggestion() {
    let cases: Vec<Mistake> = serde_saphyr::from_str(include_str!("mistakes.yaml")).unwrap();
    let mut unmet = Vec::new();
    for Mistake {
        policies,
        place,
        message,
        help,
    } in &cases
    {
        let found = problems(&only(policies));
        let matching = found.iter().find(|problem| {
            problem.to_string().starts_with(place.as_str())
                && problem.message.contains(message)
                && problem.help.as_deref().unwrap_or_default().contains(help)
        });
        if matching.is_none() {
            unmet.push(format!("{policies}\n  found: {}", shown(&found)));
        }
    }
    assert!(unmet.is_empty(), "{}", unmet.join("\n"));
}

#[test]
fn every_mistake_is_told_at_once() {
    let found = problems(&only(
        "@id(\"a\") permit (principal in Role::\"x\", action, resource);\n\
         @id(\"b\") permit (principal in Role::\"y\", action, resource);",
    ));
    assert_eq!(found.len(), 2, "{}", shown(&found));
}

#[test]
fn entities_that_could_not_mean_what_they_say_are_refused() {
    let cases = [
        (
            r#"[{"uid":{"type":"Rol","id":"a"},"attrs":{},"parents":[]}]"#,
            "`Rol` can't be declared",
            "declare Role",
        ),
        (
            r#"[{"uid":{"type":"User","id":"a"},"attrs":{},"parents":[]}]"#,
            "`User` can't be declared",
            "declare Role",
        ),
        (
            r#"[{"uid":{"type":"WorkloadPath","id":"spiffe://a/b/"},"attrs":{},"parents":[]}]"#,
            "no prefix",
            "spiffe://",
        ),
        (
            r#"[{"uid":{"type":"TrustTier","id":"trusted"},"attrs":{},"parents":[]},
                {"uid":{"type":"WorkloadPath","id":"spiffe://a/b"},"attrs":{},"parents":[{"type":"TrustTier","id":"trustd"}]}]"#,
            "the parent TrustTier::\"trustd\" is not declared",
            "did you mean `trusted`?",
        ),
        (
            r#"[{"uid":{"type":"Role","id":"a"},"attrs":{"x":1},"parents":[]}]"#,
            "attribute `x`",
            "",
        ),
        (r#"{"a":1}"#, "not a list", ""),
        ("[", "EOF", ""),
    ];
    for (text, message, help) in cases {
        let files: Files = only("@id(\"a\") permit (principal, action, resource);")
            .iter()
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .chain([("entities.json".to_owned(), text.as_bytes().to_vec())])
            .filter(|(path, _)| !path.starts_with("tools/"))
            .collect();
        let found = problems(&files);
        let matching = found.iter().find(|problem| {
            problem.message.contains(message) && problem.help.as_deref().unwrap_or_default().contains(help)
        });
        assert!(matching.is_some(), "{text}\n  found: {}", shown(&found));
    }
}

#[test]
fn a_group_that_tools_are_in_must_be_declared() {
    let overrides = "tools:\n  get_public_info: { groups: [infos] }\n";
    let found = problems(&files(&[("tools/info.overrides.yaml", overrides)]));
    assert_eq!(found.len(), 1, "{}", shown(&found));
    assert!(
        found[0]
            .message
            .contains("`info/get_public_info` is in the group `infos`"),
        "{}",
        found[0]
    );
}

#[test]
fn policies_in_folders_are_refused_instead_of_ignored() {
    let found = problems(&files(&[(
        "team/x.cedar",
        "@id(\"x\") permit (principal, action, resource);",
    )]));
    assert_eq!(
        shown(&found),
        "team/x.cedar: policies in folders are not read (move the file into the policy directory itself)\n"
    );
}

#[test]
fn a_directory_without_its_base_schema_is_refused() {
    let found = problems(&files(&[("base.cedarschema", "")]));
    assert!(
        found[0]
            .to_string()
            .starts_with("base.cedarschema: there is no such file"),
        "{}",
        shown(&found)
    );
    let found = problems(&files(&[("base.cedarschema", "entity User\nentity")]));
    assert!(
        found[0].to_string().starts_with("base.cedarschema:2:"),
        "{}",
        shown(&found)
    );
}

#[test]
fn a_failing_test_keeps_a_directory_from_ruling_and_is_shown_at_its_line() {
    let head = "users: { ada: { roles: [mcp-viewer] } }\nworkloads: { agent: spiffe://mcp-identity.local/agent/trusted }\n";
    let cases = [
        (
            "cases:\n  - { server: workbench, user: ada, workload: agent, tool: shell_list, expect: allow }\n",
            "tests/own.yaml:4:5: ada through agent calls workbench/shell_list: expected allow, but it is denied",
            "user: allowed by viewers-on-workbench; workload: no_permit",
        ),
        (
            "cases:\n  - { server: workbench, user: ada, workload: agent, tool: shell_list, expect: deny, because: forbidden }\n",
            "expected because of `forbidden`, but it is `no_permit`",
            "",
        ),
        (
            "cases:\n  - { server: workbench, user: ada, workload: agent, tool: shell_list, expect: deny, because: no_permitt }\n",
            "tests/own.yaml:4:5: no reason `no_permitt`",
            "did you mean `no_permit`?",
        ),
        (
            "cases:\n  - { server: info, user: ada, workload: agent, method: ping, expect: allow, by: [other] }\n",
            "expected by `other`, which didn't decide",
            "",
        ),
        (
            "matrices:\n  - server: workbench\n    user: ada\n    columns: workload\n    table: |\n      tool        agent\n      shell_list  deny\n      net_list    allow\n",
            "tests/own.yaml:10:1: ada through agent calls workbench/net_list: expected allow, but it is denied",
            "",
        ),
        (
            "cases:\n  - { server: info, user: adda, method: ping, expect: allow }\n",
            "no user `adda` in this file",
            "did you mean `ada`?",
        ),
        (
            "cases:\n  - { server: info, user: ada, method: ping, expct: allow }\n",
            "tests/own.yaml:4:",
            "",
        ),
        (
            "matrices:\n  - { server: info, columns: tool, table: \"user ping\\nada maybe\" }\n",
            "`maybe` is neither `allow` nor `deny`",
            "",
        ),
        ("workloads: { x: spiffe://UPPER/a }\n", "tests/own.yaml:3:", ""),
    ];
    for (text, message, help) in cases {
        let found = problems(&files(&[("tests/own.yaml", &format!("{head}{text}"))]));
        let matching = found.iter().find(|problem| {
            problem.to_string().contains(message)
                && problem.help.as_deref().unwrap_or_default().contains(help)
        });
        assert!(matching.is_some(), "{text}\n  found: {}", shown(&found));
    }
}

#[test]
fn a_version_is_of_names_and_contents() {
    let a = load(&files(&[]));
    assert_eq!(a.version(), load(&files(&[])).version());
    let b = load(&files(&[("info.cedar", "")]));
    assert_ne!(a.version(), b.version());
}

#[test]
fn an_argument_that_no_policy_can_see_is_told_with_its_reason() {
    let tools = r#"{ "tools": [{ "name": "t", "inputSchema": { "type": "object", "properties": {
        "labels": { "type": "object" }, "either": { "type": ["string", "integer"] } } } }] }"#;
    for (place, help) in [
        (
            "labels",
            "its schema allows an object with keys of the caller's own choosing, for which Cedar has no type",
        ),
        (
            "either",
            "its schema allows values of several types, for which Cedar has no type",
        ),
    ] {
        let policy = format!(
            "@id(\"a\") permit (principal, action == Action::\"own/t\", resource) when {{ context.arguments has {place} }};"
        );
        let own = only(&policy);
        let all = own.iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
        let found = problems(
            &all.chain([("tools/own.json".to_owned(), tools.as_bytes().to_vec())])
                .collect(),
        );
        let told = found.iter().find(|problem| {
            problem.message == format!("no policy can see the argument `{place}` of `own/t`")
                && problem.help.as_deref().is_some_and(|said| said.starts_with(help))
        });
        assert!(told.is_some(), "{}", shown(&found));
    }
}

#[test]
fn tests_that_say_nothing_of_an_actor_are_of_a_workload_that_acts_itself() {
    let servers = ["workbench", "info"].map(|name| {
        let mut server = default_server(name).unwrap();
        server.require.push(Requirement::Actor);
        server
    });
    let shipped = Files::read(&directory()).unwrap();
    let set = PolicySet::load(&shipped, &servers).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert!(set.report.cases() > 100, "{:?}", set.report);

    let own = "users: { ada: { roles: [mcp-admin] } }
workloads: { trusted: spiffe://mcp-identity.local/agent/trusted/a }
actors: { crawler: spiffe://mcp-identity.local/agent/untrusted/b }
cases:
  - { server: workbench, user: ada, workload: trusted, tool: fs_read, arguments: { path: /srv/work/a }, expect: allow }
  - { server: workbench, user: ada, workload: trusted, actor: crawler, tool: db_read, arguments: { sql: select 1 },
      expect: deny, because: no_permit }
  - { server: workbench, user: ada, workload: trusted, actor: '-', tool: fs_read, expect: deny, because: missing_identity }
";
    let files = files(&[("tests/own.yaml", own)]);
    let set = PolicySet::load(&files, &servers).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert_eq!(set.report.cases(), 3);
}
