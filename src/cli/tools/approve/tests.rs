use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::cli::Color;
use crate::cli::tools::testing::{directory, get, list, scale};
use crate::inventory::Files;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// Approves a list in a directory.
async fn approve(policies: &Path, tools: &[Value], why: &str) -> miette::Result<Outcome> {
    let (_listed, args) = args(policies, tools, why)?;
    run(&args, terminal()).await
}

fn terminal() -> Terminal {
    Terminal::new(Output::Json, Color::Never)
}

/// The arguments of an approval, and the place of the list that they name.
fn args(policies: &Path, tools: &[Value], why: &str) -> miette::Result<(TempDir, Args)> {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = list(elsewhere.path(), "new.json", tools);
    let argv = [
        "approve",
        "k8s",
        "--file",
        file.to_str().unwrap(),
        "--policies",
        policies.to_str().unwrap(),
        "--by",
        "ada",
        "--why",
        why,
    ];
    let line = Line::try_parse_from(argv).map_err(|error| miette!("{error}"))?;
    Ok((elsewhere, line.args))
}

fn approvals(policies: &Path) -> Vec<Approval> {
    let files = Files::read(policies).unwrap();
    approvals::of(&files, &"k8s".parse().unwrap()).unwrap()
}

fn tools(policies: &Path) -> Vec<String> {
    let inventory = crate::inventory::Inventory::load(policies).unwrap();
    let tools = inventory.server(&"k8s".parse().unwrap()).unwrap();
    tools.iter().map(|tool| tool.name.clone()).collect()
}

fn drain() -> Value {
    json!({ "name": "drain", "inputSchema": { "type": "object" } })
}

#[tokio::test]
async fn what_breaks_nothing_is_written_with_who_and_why() {
    let place = directory();
    let policies = place.path();
    let new = [scale(&json!({})), get(), drain()];
    assert_eq!(
        approve(policies, &new, "drain is new").await.unwrap(),
        Outcome::Yes
    );
    assert_eq!(tools(policies), ["drain", "get", "scale"]);
    let first = approvals(policies);
    assert_eq!(first.len(), 1);
    assert_eq!(
        (first[0].by.as_str(), first[0].why.as_str()),
        ("ada", "drain is new")
    );
    assert_eq!(first[0].changes, ["drain added"]);
    // The directory still rules, and the same again is nothing to approve.
    PolicySet::load(&Files::read(policies).unwrap(), &[]).unwrap();
    assert_eq!(approve(policies, &new, "again").await.unwrap(), Outcome::Yes);
    assert_eq!(approvals(policies), first);

    let changed = scale(&json!({ "/description": "Scales." }));
    assert_eq!(
        approve(policies, &[changed, get(), drain()], "words")
            .await
            .unwrap(),
        Outcome::Yes
    );
    let second = approvals(policies);
    assert_eq!(second[..1], first);
    assert_eq!(second[1].changes, ["scale changed: description changed"]);
    // Nothing else is left in the folder.
    assert_eq!(std::fs::read_dir(policies.join("tools")).unwrap().count(), 2);
}

#[tokio::test]
async fn what_a_policy_or_a_test_needs_is_not_taken_away() {
    let cases = [
        // The policy reads it.
        (
            json!({ "/inputSchema/properties": { "name": { "type": "string" } }, "/inputSchema/required": ["name"] }),
            "no-more-than-five",
        ),
        // The test of `writers` gives none.
        (
            json!({ "/inputSchema/properties/force": { "type": "boolean" }, "/inputSchema/required": ["name", "replicas", "force"] }),
            "tests/k8s.yaml",
        ),
        // It would count as `execute`.
        (json!({ "/annotations": {} }), "tests/k8s.yaml"),
    ];
    for (changes, named) in cases {
        let place = directory();
        let before = Files::read(place.path()).unwrap();
        let new = [scale(&changes), get()];
        assert_eq!(
            approve(place.path(), &new, "because").await.unwrap(),
            Outcome::No,
            "{changes}"
        );
        assert_eq!(Files::read(place.path()).unwrap(), before, "{changes}");
        let list = json!({ "tools": new }).to_string();
        let broken = broken(&before.with("tools/k8s.json", list.as_bytes()), &[]);
        assert!(!broken.is_empty());
        assert!(
            broken.iter().all(|problem| problem.to_string().contains(named)),
            "{broken:?}"
        );
    }
}

#[tokio::test]
async fn a_list_that_was_changed_by_hand_rules_nothing_until_it_is_approved() {
    let place = directory();
    let policies = place.path();
    approve(policies, &[scale(&json!({})), get()], "the first")
        .await
        .unwrap();
    assert_eq!(
        approvals(policies).len(),
        1,
        "the list was there, but nobody had approved it"
    );
    let changed = [scale(&json!({ "/description": "Scales." })), get()];
    list(&policies.join("tools"), "k8s.json", &changed);
    let problems = PolicySet::load(&Files::read(policies).unwrap(), &[]).unwrap_err();
    assert_eq!(
        problems[0].message,
        "`tools/k8s.json` is not the list that was approved last"
    );
    assert_eq!(
        approve(policies, &changed, "by hand").await.unwrap(),
        Outcome::Yes
    );
    PolicySet::load(&Files::read(policies).unwrap(), &[]).unwrap();
}

#[tokio::test]
async fn nobody_approves_without_saying_why() {
    let place = directory();
    for why in ["", "  ", &"x".repeat(5000)] {
        assert!(approve(place.path(), &[get()], why).await.is_err());
    }
}

#[tokio::test]
async fn scripts_are_told_what_was_approved_and_what_would_break() {
    let place = directory();
    let told = async |tools: &[Value]| {
        let (_listed, args) = args(place.path(), tools, "as reviewed").unwrap();
        let report = super::approve(&args, terminal()).await.unwrap();
        serde_json::to_string_pretty(&report).unwrap()
    };
    let fewer = scale(&json!({ "/inputSchema/properties/replicas": { "type": "string" } }));
    insta::assert_snapshot!("refused", told(&[fewer, get()]).await);
    let described = [scale(&json!({ "/description": "Scales." })), get(), drain()];
    insta::assert_snapshot!("approved", told(&described).await);
    insta::assert_snapshot!("as_before", told(&described).await);
    // What is no list at all.
    insta::assert_snapshot!("no_list", told(&[json!({ "name": "" })]).await);
}
