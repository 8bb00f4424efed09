//! Templates and their links: each link is a policy like any other.

use super::*;

const TEMPLATES: &str = r#"
@id("team-reads") @reason("Teams read what is theirs") @advice("Ask your team")
permit (principal is User in ?principal, action in Action::"read", resource in ?resource);
@id("never-for") @shadow
forbid (principal == ?principal, action, resource);
@id("limited") @scope("bulk")
permit (principal in ?principal, action == Action::"workbench/db_read", resource)
when { principal is User && principal.scopes.contains("bulk") && context.arguments has limit && context.arguments.limit < 10 };
"#;

/// The default directory's tools and entities with these templates and links.
fn linked(templates: &str, links: &str) -> Files {
    let files = only(templates);
    let kept = files
        .iter()
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    kept.chain([("links.json".to_owned(), links.as_bytes().to_vec())])
        .collect()
}

fn link(template: &str, id: &str, slots: &[(&str, &str)]) -> serde_json::Value {
    let args: serde_json::Map<_, _> = slots
        .iter()
        .map(|(slot, entity)| ((*slot).to_owned(), (*entity).into()))
        .collect();
    serde_json::json!({ "template_id": template, "link_id": id, "args": args })
}

fn links(links: &[serde_json::Value]) -> String {
    serde_json::to_string_pretty(links).unwrap()
}

#[test]
fn a_link_decides_under_its_own_id_with_the_annotations_of_its_template() {
    let team = [
        ("?principal", r#"Role::"mcp-viewer""#),
        ("?resource", r#"ToolGroup::"filesystem""#),
    ];
    let links = links(&[
        link("team-reads", "viewers-read-files", &team),
        link(
            "never-for",
            "never-for-eve",
            &[("?principal", r#"User::"https://issuer.example#eve""#)],
        ),
        link(
            "limited",
            "admins-in-bulk",
            &[("?principal", r#"Role::"mcp-admin""#)],
        ),
    ]);
    let set = load(&linked(TEMPLATES, &links));
    assert_eq!((set.len(), set.warnings()), (3, [].as_slice()));

    let viewer = caller(user("eve", &["mcp-viewer"]), "/agent/trusted/1");
    let verdicts = ask(&set, &viewer, &tool("fs_read", r#"{"path": "/srv/a"}"#)).unwrap();
    let [fired] = verdicts[0].fired.as_slice() else {
        panic!("{verdicts:?}")
    };
    assert_eq!(
        (verdicts[0].outcome, &*fired.id),
        (Outcome::Allowed, "viewers-read-files")
    );
    assert_eq!(
        (fired.reason.as_deref(), fired.advice.as_deref()),
        (Some("Teams read what is theirs"), Some("Ask your team"))
    );
    assert_eq!(verdicts[0].shadow[0].id, "never-for-eve");
    // Another group's tool, another operation, somebody without the role.
    for (caller, call) in [
        (&viewer, tool("db_read", r#"{"sql": "select 1"}"#)),
        (&viewer, tool("fs_list", r#"{"path": "/srv/a"}"#)),
        (
            &caller(user("ada", &["mcp-admin"]), "/agent/trusted/1"),
            tool("fs_read", r#"{"path": "/srv/a"}"#),
        ),
    ] {
        assert_eq!(
            for_user(&set, caller, &call),
            (Outcome::NoPermit, vec![]),
            "{call:?}"
        );
    }
}

#[test]
fn the_scope_that_a_link_asks_for_is_that_of_its_template_and_what_it_reads_is_known() {
    let links = links(&[link(
        "limited",
        "admins-in-bulk",
        &[("?principal", r#"Role::"mcp-admin""#)],
    )]);
    let set = load(&linked(TEMPLATES, &links));
    let server = crate::inventory::Server {
        require: vec![crate::inventory::Requirement::User],
        ..default_server("workbench").unwrap()
    };
    let caller = Caller {
        workload: None,
        ..admin()
    };
    let call = tool("db_read", r#"{"sql": "select 1", "limit": 9}"#);
    let missing = set.missing(&question(&server, &caller, &call)).unwrap();
    assert_eq!(missing.step.scopes.iter().collect::<Vec<_>>(), ["bulk"]);
    let over = tool("db_read", r#"{"sql": "select 1", "limit": 10}"#);
    assert_eq!(set.missing(&question(&server, &caller, &over)), None);
}

#[test]
fn a_template_that_nothing_links_rules_nothing_and_is_a_warning() {
    let set = load(&only(TEMPLATES));
    assert_eq!(set.len(), 0);
    let warnings = shown(set.warnings());
    let first = warnings.lines().next().unwrap();
    assert_eq!(
        first,
        "own.cedar:6:1: nothing links the template `limited`: it rules nothing (link it in links.json, or remove it)"
    );
    assert_eq!(set.warnings().len(), 3, "{warnings}");
}

/// A mistake in links.json, and what is said to it.
#[derive(serde::Deserialize)]
struct Mistake {
    links: String,
    place: String,
    message: String,
    #[serde(default)]
    help: String,
}

#[test]
fn mistakes_in_links_are_told_with_their_place_and_what_was_meant() {
    let cases: Vec<Mistake> = serde_saphyr::from_str(include_str!("links.yaml")).unwrap();
    assert!(cases.len() > 15);
    let templates =
        format!("{TEMPLATES}\n@id(\"own\") permit (principal, action in Action::\"lifecycle\", resource);");
    for mistake in cases {
        let found = PolicySet::load(&linked(&templates, &mistake.links), &[]);
        let found = found.err().unwrap_or_default();
        let told = found.iter().find(|problem| {
            problem.to_string().starts_with(&mistake.place)
                && problem.message.contains(&mistake.message)
                && problem
                    .help
                    .as_deref()
                    .unwrap_or_default()
                    .contains(&mistake.help)
        });
        assert!(
            told.is_some(),
            "{}\n  {} found: {}",
            mistake.links,
            mistake.message,
            shown(&found)
        );
    }
}

#[test]
fn a_mistake_of_a_template_is_told_once_however_many_links_it_has() {
    let templates = r#"@id("t") permit (principal in ?principal, action == Action::"workbench/db_read", resource)
when { context.arguments has limt };"#;
    let three = ["mcp-admin", "mcp-developer", "mcp-viewer"]
        .map(|role| link("t", role, &[("?principal", &format!("Role::{role:?}"))]));
    let found = PolicySet::load(&linked(templates, &links(&three)), &[]).unwrap_err();
    assert_eq!(
        shown(&found),
        "own.cedar:2:30: no tool in this policy's scope has the argument `limt` (did you mean `limit`?)\n"
    );
}

#[test]
fn what_a_link_lacks_is_told_as_of_any_policy() {
    let links = links(&[link(
        "limited",
        "viewers-in-bulk",
        &[("?principal", r#"Role::"mcp-viewer""#)],
    )]);
    let set = load(&linked(TEMPLATES, &links));
    let server = default_server("workbench").unwrap();
    let viewer = caller(user("eve", &["mcp-viewer"]), "/agent/trusted/1");
    let call = tool("db_read", r#"{"sql": "select 1", "limit": 10}"#);
    let trace = set.trace(&question(&server, &viewer, &call)).unwrap();
    let near = trace.targets[0].principals[0].near();
    let told: Vec<String> = near[0].lacking().iter().map(|looked| looked.in_words()).collect();
    assert_eq!(near[0].policy.id, "viewers-in-bulk");
    assert_eq!(
        told,
        [
            "scopes is nothing, \"bulk\" must be in it",
            "limit is 10, less than 10 is allowed"
        ]
    );
    assert_eq!(set.conditions("viewers-in-bulk").len(), 4);
}
