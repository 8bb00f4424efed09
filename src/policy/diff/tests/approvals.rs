//! Approvals that come, go or change, and what can be called that nobody approved.

use super::*;
use crate::inventory::approvals::{self, Approval};
use crate::inventory::changes;

const POLICIES: &str = r#"@id("people")
@reason("People may use these")
permit (principal is User, action in [Action::"read", Action::"k8s/drain"], resource in Server::"k8s");

@id("tried")
@reason("Decides nothing")
@shadow
permit (principal, action == Action::"k8s/reset", resource);

@id("never")
@reason("Nobody may")
forbid (principal, action in [Action::"k8s/wipe", Action::"k8s/get"], resource);
"#;

fn tool(name: &str, description: &str, reads: bool) -> Value {
    json!({ "name": name, "description": description, "annotations": { "readOnlyHint": reads } })
}

/// A directory with this list.
fn of(tools: &[Value]) -> Files {
    [
        ("base.cedarschema", text("base.cedarschema")),
        (
            "entities.json",
            r#"[{ "uid": { "type": "ToolGroup", "id": "all" }, "attrs": {}, "parents": [] }]"#.to_owned(),
        ),
        ("k8s.cedar", POLICIES.to_owned()),
        ("tools/k8s.json", json!({ "tools": tools }).to_string()),
    ]
    .into_iter()
    .collect()
}

/// The list that was approved.
fn first() -> Files {
    of(&[
        tool("get", "Gets.", true),
        tool("list", "Lists.", true),
        tool("drain", "Drains.", false),
        tool("wipe", "Wipes.", false),
        tool("reset", "Resets.", false),
    ])
}

/// One in which much is otherwise.
fn second() -> Files {
    of(&[
        tool("get", "Gets whatever you like.", true),
        tool("list", "Lists.", true),
        tool("drain", "Drains, or else.", false),
        tool("wipe", "Wipes all.", false),
        tool("reset", "Resets all.", false),
        tool("watch", "Watches.", true),
    ])
}

fn approval(files: &Files, by: &str, changed: &[&str]) -> Approval {
    let definitions = changes::definitions(files, &"k8s".parse().unwrap()).unwrap();
    Approval {
        when: "2026-03-01T12:00:00Z".parse().unwrap(),
        by: by.to_owned(),
        why: format!("{by} looked at it"),
        digest: approvals::digest_of(&definitions),
        changes: changed.iter().map(|&text| text.to_owned()).collect(),
    }
}

/// The files with these approvals.
fn approved(files: &Files, given: &[&Approval]) -> Files {
    let (last, earlier) = given.split_last().unwrap();
    let earlier = earlier.iter().map(|&one| one.clone()).collect();
    let text = approvals::with(earlier, (*last).clone()).unwrap();
    files.clone().with("tools/k8s.approvals.yaml", text.as_bytes())
}

fn between(old: &Files, new: &Files) -> Changes {
    let (was, is) = (
        PolicySet::load(old, &[]).unwrap(),
        PolicySet::load(new, &[]).unwrap(),
    );
    let side = |set, files| Side { set, files };
    Changes::between(side(&was, old), side(&is, new)).unwrap()
}

fn change(old: &Files, new: &Files) -> ApprovalChange {
    let mut found = between(old, new).approvals;
    assert_eq!(found.len(), 1, "{found:#?}");
    let mut change = found.remove(0);
    for (name, files) in [("the first list", first()), ("the second list", second())] {
        let digest = &approval(&files, "", &[]).digest[..12];
        for words in &mut change.words {
            *words = words.replace(digest, name);
        }
    }
    change
}

#[test]
fn approvals_that_are_gone_are_told_with_what_policies_let_through_unapproved() {
    let old = approved(
        &first(),
        &[&approval(&first(), "ada", &["drain added", "get added"])],
    );
    let found = change(&old, &second());
    assert_eq!(found.fate, Fate::Removed);
    assert_eq!(
        found.words,
        [
            "went: by ada, 2026-03-01T12:00:00Z, of the first list: ada looked at it (drain added; get added)",
            "no approval binds the list of tools any more",
        ]
    );
    // `list` is as it was, of `wipe` there is a forbid alone, and `reset` is permitted by what decides nothing.
    assert_eq!(found.unapproved, ["k8s/drain", "k8s/get", "k8s/watch"]);
    // With the list that was approved, nothing opens; nor where nobody ever approved one.
    let kept = change(&old, &first());
    assert_eq!((kept.fate, &kept.unapproved[..]), (Fate::Removed, &[][..]));
    assert_eq!(between(&first(), &second()).approvals, []);
}

#[test]
fn approvals_that_come_or_are_written_anew_are_told_one_by_one() {
    let (ada, bob) = (
        approval(&first(), "ada", &[]),
        approval(&second(), "bob", &["watch added"]),
    );
    let once = approved(&first(), &[&ada]);
    let added = change(&first(), &once);
    assert_eq!(
        (added.fate, added.words),
        (
            Fate::Added,
            vec!["came: by ada, 2026-03-01T12:00:00Z, of the first list: ada looked at it".to_owned()]
        )
    );
    let of_bob = "came: by bob, 2026-03-01T12:00:00Z, of the second list: bob looked at it (watch added)";
    let appended = change(&once, &approved(&second(), &[&ada, &bob]));
    assert_eq!((appended.fate, appended.unapproved.len()), (Fate::Changed, 0));
    assert_eq!(appended.words, [of_bob]);
    // What is approved once stays in the record: that it went is told.
    let replaced = change(&once, &approved(&second(), &[&bob]));
    assert_eq!(
        replaced.words,
        [
            "went: by ada, 2026-03-01T12:00:00Z, of the first list: ada looked at it",
            of_bob
        ]
    );
    let twice = change(&once, &approved(&first(), &[&ada, &ada]));
    assert_eq!(
        twice.words,
        ["the same approvals, in another order or another number of times"]
    );
    assert_eq!(between(&once, &once).approvals, []);
}

#[test]
fn overrides_that_change_beside_an_approved_list_are_told_with_the_tools() {
    let approved = approved(&first(), &[&approval(&first(), "ada", &[])]);
    let overrides = "defaults: { groups: [all] }\n\
                     tools: { wipe: { operation: read, destructive: false, open_world: false, undeclared_arguments: allow } }\n";
    let with = |text: &str| approved.clone().with("tools/k8s.overrides.yaml", text.as_bytes());
    let told = |old: &Files, new: &Files| {
        let found = between(old, new);
        assert_eq!(found.approvals, []);
        let wipe = found.servers[0].tools.iter().find(|tool| tool.tool == "wipe");
        let words: Vec<String> = wipe
            .unwrap()
            .changes
            .iter()
            .map(|change| change.words.clone())
            .collect();
        assert_eq!(found.servers[0].tools.len(), 5);
        words
    };
    assert_eq!(
        told(&approved, &with(overrides)),
        [
            "operation `write` → `read`, by the overrides",
            "groups none → all",
            "no longer counts as destructive",
            "no longer counts as reaching beyond its own world",
            "undeclared arguments: as the server's configuration says → allowed",
        ]
    );
    assert_eq!(
        told(&with(overrides), &approved),
        [
            "operation `read` → `write`, by the overrides",
            "groups all → none",
            "counts as destructive",
            "counts as reaching beyond its own world",
            "undeclared arguments: allowed → as the server's configuration says",
        ]
    );
}
