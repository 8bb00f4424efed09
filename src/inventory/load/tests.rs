use super::super::OperationKind;
use super::super::testing::cases;
use super::*;

/// An inventory of one server `k`, with overrides.
fn load(tools: &str, overrides: &str) -> Result<Inventory, Vec<Problem>> {
    from_files(
        &[("tools/k.json", tools), ("tools/k.overrides.yaml", overrides)]
            .into_iter()
            .collect(),
    )
}

/// Each problem with its help.
fn problems(tools: &str, overrides: &str) -> Vec<String> {
    let found = load(tools, overrides).unwrap_err();
    let told = |problem: &Problem| match &problem.help {
        Some(help) => format!("{problem} ({help})"),
        None => problem.to_string(),
    };
    found.iter().map(told).collect()
}

const TWO: &str = r#"{ "tools": [
      { "name": "get", "inputSchema": { "type": "object" }, "annotations": { "readOnlyHint": true } },
      { "name": "set", "inputSchema": { "type": "object" } }
    ] }"#;

#[test]
fn operations_and_groups_come_from_overrides_then_defaults_then_annotations() {
    for (overrides, get, set) in [
        (
            "",
            (OperationKind::Read, true, 0),
            (OperationKind::Execute, false, 0),
        ),
        (
            "# nothing\n",
            (OperationKind::Read, true, 0),
            (OperationKind::Execute, false, 0),
        ),
        (
            "defaults: { groups: [a] }",
            (OperationKind::Read, true, 1),
            (OperationKind::Execute, false, 1),
        ),
        (
            "tools: { set: { operation: write, groups: [a, b, a] } }",
            (OperationKind::Read, true, 0),
            (OperationKind::Write, true, 2),
        ),
        (
            "defaults: { operation: admin, groups: [a] }\ntools: { get: { groups: [] } }",
            (OperationKind::Admin, true, 0),
            (OperationKind::Admin, true, 1),
        ),
    ] {
        let inventory = load(TWO, overrides).unwrap();
        let server = inventory.server(&"k".parse().unwrap()).unwrap();
        for (name, expected) in [("get", get), ("set", set)] {
            let tool = server.tool(name).unwrap();
            assert_eq!(
                (tool.operation, tool.classified, tool.groups.len()),
                expected,
                "{name} {overrides}"
            );
        }
    }
}

#[test]
fn annotations_say_what_a_tool_does_as_far_as_they_say_it() {
    for (annotations, operation, destructive, open_world) in [
        ("{}", "execute", true, true),
        (r#"{"readOnlyHint":true}"#, "read", false, true),
        (
            r#"{"readOnlyHint":true,"destructiveHint":false,"openWorldHint":false}"#,
            "read",
            false,
            false,
        ),
        (
            r#"{"readOnlyHint":true,"destructiveHint":true}"#,
            "execute",
            true,
            true,
        ),
        (r#"{"readOnlyHint":false}"#, "write", true, true),
        (r#"{"destructiveHint":false}"#, "write", false, true),
        (
            r#"{"openWorldHint":true,"idempotentHint":true}"#,
            "execute",
            true,
            true,
        ),
    ] {
        let tools = format!(r#"{{"tools":[{{"name":"t","inputSchema":{{}},"annotations":{annotations}}}]}}"#);
        let inventory = load(&tools, "").unwrap();
        let tool = inventory
            .iter()
            .next()
            .and_then(|server| server.tool("t"))
            .unwrap();
        assert_eq!(
            (tool.operation.as_str(), tool.destructive, tool.open_world),
            (operation, destructive, open_world),
            "{annotations}"
        );
    }
}

#[test]
fn each_mistake_of_an_author_is_told_with_its_line_and_a_suggestion() {
    let cases: Vec<(Option<String>, String, String)> = cases(include_str!("../cases/mistakes.yaml"));
    for (tools, overrides, expected) in cases {
        let found = problems(tools.as_deref().unwrap_or(TWO), &overrides);
        assert!(
            found.iter().any(|problem| problem.contains(&expected)),
            "{expected}: {found:?}"
        );
    }
}

#[test]
fn every_file_of_the_folder_belongs_to_a_server() {
    let files = [
        ("tools/k.json", TWO),
        ("tools/kk.overrides.yaml", ""),
        ("tools/tools.json", TWO),
        ("tools/notes.yaml", ""),
    ];
    let found = from_files(&files.into_iter().collect()).unwrap_err();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "tools/kk.overrides.yaml: there is no `tools/kk.json` to override",
            "tools/notes.yaml: neither tools nor overrides nor approvals",
            "tools/tools.json: `tools` is not a server name: MCP methods begin with it, choose another",
        ]
    );
}

#[test]
fn names_are_compared_byte_for_byte() {
    let inventory = load(TWO, "").unwrap();
    let server = inventory.server(&"k".parse().unwrap()).unwrap();
    for name in [
        "get ",
        "Get",
        "ge\u{200b}t",
        "g\u{435}t",
        "k/get",
        "k__get",
        "",
        "ｇｅｔ",
    ] {
        assert!(server.tool(name).is_none(), "{name:?}");
    }
    assert_eq!(server.tool("get").unwrap().action, "k/get");
    assert!(inventory.server(&"kk".parse().unwrap()).is_none());
    let order: Vec<&str> = server.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(order, ["get", "set"]);
}

#[test]
fn the_digest_is_of_what_is_said_not_of_how_it_is_written() {
    let digest = |text: &str| {
        let inventory = load(&format!(r#"{{"tools":[{text}]}}"#), "").unwrap();
        inventory.iter().next().unwrap().tool("a").unwrap().digest.clone()
    };
    let first = digest(r#"{"name":"a","inputSchema":{"type":"object","title":"x"}}"#);
    assert_eq!(
        first,
        digest(r#"{ "inputSchema": {"title":"x", "type":"object"}, "name": "a" }"#)
    );
    assert_ne!(
        first,
        digest(r#"{"name":"a","inputSchema":{"type":"object","title":"y"}}"#)
    );
    assert_eq!(first.len(), 64);
}

#[test]
fn the_default_policies_tools_load_and_are_all_seen() {
    let inventory =
        Inventory::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").as_path()).unwrap();
    let tools: Vec<&Tool> = inventory.iter().flat_map(ServerTools::iter).collect();
    assert!(tools.len() >= 27);
    assert!(
        tools
            .iter()
            .all(|tool| tool.classified && tool.unseen().is_empty())
    );
}
