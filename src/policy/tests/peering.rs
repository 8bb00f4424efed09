//! Users whom no policy tells apart are asked about once; whomever a policy tells apart is asked about alone.

use std::sync::LazyLock;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;

use super::differential::{plain, said};
use super::*;
use crate::policy::ask::telling::Telling;
use crate::policy::load::schema::pieces;

const SCOPES: [&str; 6] = [
    "principal, action, resource",
    "principal is User, action == Action::\"workbench/fs_read\", resource",
    "principal in Role::\"mcp-admin\", action in Action::\"tools/call\", resource",
    "principal == User::\"https://a.example#ada\", action, resource",
    "principal in User::\"https://a.example#bob\", action, resource",
    "principal is Workload, action in [Action::\"read\", Action::\"write\"], resource",
];
/// Every way to look at a user, by the principal and by the context.
const CONDITIONS: [&str; 39] = [
    "true",
    "principal is User",
    "principal is User in Role::\"mcp-admin\"",
    "principal in [Role::\"mcp-viewer\", Role::\"mcp-admin\"]",
    "principal in [Role::\"mcp-viewer\", Role::\"mcp-developer\"]",
    "principal == User::\"https://a.example#ada\"",
    "[User::\"https://a.example#ada\", User::\"https://b.example#bob\"].contains(principal)",
    "principal.username == \"ada\"",
    "principal[\"username\"] like \"a*\"",
    "principal.issuer == \"https://a.example\"",
    "principal.subject == \"bob\"",
    "principal.tenants.contains(\"acme\")",
    "principal.tenants.containsAny([\"acme\", \"evil\"])",
    "principal.scopes.contains(\"read\")",
    "principal has email",
    "principal has email && principal.email like \"*@a.example\"",
    "principal has acr && principal.acr == \"2\"",
    "principal has clientId && principal.clientId == \"cli\"",
    "principal has authenticated && context.now.durationSince(principal.authenticated) < duration(\"15m\")",
    "(if context has session then principal else principal).username == \"ada\"",
    "{who: principal}.who.subject == \"ada\"",
    "context has user",
    "context has user && context.user in Role::\"mcp-admin\"",
    "context has user && context.user is User in Role::\"mcp-viewer\"",
    "context has user && context.user == User::\"https://b.example#ada\"",
    "context has user && [User::\"https://a.example#bob\"].contains(context.user)",
    "context has user && context.user.username == \"bob\"",
    "context has user && context.user.scopes.contains(\"write\")",
    "context has user.email",
    "context has user && context.user has clientId && context.user.clientId == \"web\"",
    "context has user && (if context has session then context.user else context.user).tenants.isEmpty()",
    "context has user && context.user == principal",
    "Group::\"ops\" has lead && principal in Group::\"ops\".lead",
    "Group::\"ops\" has lead && Group::\"ops\".lead has email && Group::\"ops\".lead.email like \"*@a.example\"",
    "Group::\"ops\" has lead && Group::\"ops\".lead in Role::\"mcp-admin\"",
    "Group::\"ops\".hasTag(\"oncall\") && principal in Group::\"ops\".getTag(\"oncall\")",
    "Group::\"ops\".hasTag(\"oncall\") && Group::\"ops\".getTag(\"oncall\").contains(principal)",
    "context has user && Group::\"ops\".hasTag(\"oncall\") && context.user in Group::\"ops\".getTag(\"oncall\")",
    "User::\"https://a.example#ada\" has username && User::\"https://a.example#ada\".username == \"bob\"",
];

/// These policies where a group has a user for an attribute, and users in a tag.
fn with_users_in_groups(policies: &str) -> Files {
    let user = |id: &str| json!({"__entity": {"type": "User", "id": id}});
    let group = json!({
        "uid": {"type": "Group", "id": "ops"}, "parents": [],
        "attrs": {"lead": user("https://a.example#ada")}, "tags": {"oncall": [user("https://b.example#bob")]},
    });
    let files = only(policies);
    let changed = files.iter().map(|(path, bytes)| {
        let text = std::str::from_utf8(bytes).unwrap();
        let text = match path {
            "base.cedarschema" => text.replace(
                "entity Group in [Group, Role];",
                "entity Group in [Group, Role] = { lead?: User } tags Set<User>;",
            ),
            "entities.json" => text.replacen('[', &format!("[{group},"), 1),
            _ => text.to_owned(),
        };
        (path.to_owned(), text.into_bytes())
    });
    changed.collect()
}

/// What the validator takes of all scopes with all conditions.
static SOUND: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = SCOPES.iter().flat_map(|scope| {
        CONDITIONS
            .iter()
            .map(move |condition| format!("({scope}) when {{ {condition} }};"))
    });
    let is_sound = |body: &String| {
        PolicySet::load(&with_users_in_groups(&format!("@id(\"p\") permit {body}")), &[]).is_ok()
    };
    let sound: Vec<String> = all.filter(is_sound).collect();
    for condition in CONDITIONS {
        assert!(sound.iter().any(|body| body.contains(condition)), "{condition}");
    }
    sound
});

fn policies() -> impl Strategy<Value = String> {
    let effect = select(&["permit", "permit", "forbid", "@shadow forbid"]);
    let policy = (effect, select(SOUND.clone()));
    prop::collection::vec(policy, 1..5).prop_map(|policies| {
        let lines = policies.iter().enumerate();
        let lines = lines.map(|(number, (effect, body))| format!("@id(\"p{number}\") {effect} {body}\n"));
        lines.collect::<Vec<_>>().concat()
    })
}

/// A person of few, so that many are alike in much.
fn person() -> impl Strategy<Value = User> {
    let who = (
        select(&["https://a.example", "https://b.example"]),
        select(&["ada", "bob", "eve"]),
        select(&["ada", "bob"]),
        prop::option::of(select(&["x@a.example", "x@b.example"])),
    );
    let what = (
        subsequence(&["mcp-admin", "mcp-viewer"], 0..=2),
        subsequence(&["acme", "evil"], 0..=1),
        subsequence(&["read", "write"], 0..=2),
        prop::option::of(select(&["1", "2"])),
        prop::option::of(select(&["cli", "web"])),
        prop::option::of(select(&[60_i64, 3600])),
    );
    (who, what).prop_map(
        |((issuer, subject, username, email), (roles, tenants, scopes, acr, client, ago))| {
            let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
            let login = |ago| now().checked_sub(SignedDuration::from_secs(ago)).unwrap();
            User {
                username: username.to_owned(),
                email: email.map(str::to_owned),
                roles: texts(roles),
                tenants: texts(tenants),
                scopes: texts(scopes),
                acr: acr.map(str::to_owned),
                client_id: client.map(str::to_owned),
                authenticated: ago.map(login),
                ..User::named(issuer, subject)
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_peer_gets_the_verdict_that_plain_cedar_gives_to_this_very_user(
        policies in policies(),
        people in prop::collection::vec(person(), 60),
        path in select(&["/agent/trusted/1", "/other"]),
    ) {
        let set = load(&with_users_in_groups(&policies));
        let server = default_server("workbench").unwrap();
        let call = tool("fs_read", r#"{"path":"/a"}"#);
        for person in people {
            let caller = caller(person, path);
            let question = question(&server, &caller, &call);
            let ours: Vec<_> = set.ask(&question).unwrap().iter().map(said).collect();
            prop_assert_eq!(ours, plain(&set, &question), "{:?}\n{}", caller.user, policies);
        }
    }
}

/// How many standings there are after this condition was asked about for ada and bob, who differ in all but their roles.
fn standings(scope: &str, condition: &str) -> usize {
    let set = load(&only(&format!(
        "@id(\"p\") permit ({scope}) when {{ {condition} }};"
    )));
    let call = tool("fs_read", r#"{"path":"/a"}"#);
    for (issuer, name, scopes) in [
        ("https://a.example", "ada", "read"),
        ("https://b.example", "bob", "write"),
    ] {
        let person = User {
            roles: vec!["mcp-admin".to_owned()],
            email: Some(format!("{name}@example.com")),
            scopes: vec![scopes.to_owned()],
            acr: Some(name.to_owned()),
            client_id: Some(name.to_owned()),
            ..User::named(issuer, name)
        };
        ask(&set, &caller(person, "/agent/trusted/1"), &call).unwrap();
    }
    set.standings.len()
}

#[test]
fn those_whom_nobody_tells_apart_stand_together() {
    let any = "principal, action, resource";
    let alone = [
        "principal == User::\"https://a.example#ada\"",
        "principal.username == \"ada\"",
        "principal has email && principal.email == \"\"",
        "principal.scopes.contains(\"x\")",
        "context has user && context.user == principal",
        "context has user && context.user.subject == \"x\"",
    ];
    for condition in alone {
        assert_eq!(
            standings("principal is User, action, resource", condition),
            2,
            "{condition}"
        );
    }
    let together = [
        "principal in Role::\"mcp-admin\"",
        "principal is User",
        "context has user && context.user in Role::\"mcp-viewer\"",
        "context has user && context.user.tenants.contains(\"acme\")",
        "context has workload && context.workload.path like \"/agent/*\"",
        "context.arguments has email",
    ];
    for condition in together {
        let scope = if condition.contains("arguments") {
            "principal, action == Action::\"workbench/fs_read\", resource"
        } else {
            any
        };
        let condition = condition.replace("has email", "has path");
        assert_eq!(standings(scope, &condition), 1, "{condition}");
    }
    // About another action.
    let other = "principal is User, action == Action::\"workbench/fs_write\", resource";
    assert_eq!(standings(other, "principal.username == \"ada\""), 1);
    // One of them is named.
    assert_eq!(
        standings(
            "principal == User::\"https://b.example#bob\", action, resource",
            "true"
        ),
        2
    );
    // Somebody else is.
    assert_eq!(
        standings(
            "principal == User::\"https://b.example#ada\", action, resource",
            "true"
        ),
        1
    );
}

#[test]
fn every_attribute_of_a_user_is_one_that_peers_are_compared_by() {
    let files = only("");
    let inventory = Inventory::from_files(&files).unwrap();
    let base = pieces(&files, &inventory, &[]).unwrap().base_json;
    let attributes = base[""]["entityTypes"]["User"]["shape"]["attributes"]
        .as_object()
        .unwrap();
    assert!(attributes.len() > 8, "{attributes:?}");
    for attribute in attributes.keys() {
        let mut telling = Telling::default();
        telling.read(attribute);
        assert!(!telling.identity, "{attribute}");
        assert_eq!(
            telling == Telling::default(),
            attribute == "tenants",
            "{attribute}"
        );
    }
    // What is added and not known here keeps everybody apart.
    let mut telling = Telling::default();
    telling.read("shoeSize");
    assert!(telling.identity);
}
