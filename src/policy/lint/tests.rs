//! Each lint, on policies that it is about and on ones beside it.

use serde::Deserialize;

use crate::inventory::{Files, Problem};
use crate::policy::PolicySet;
use crate::policy::tests::{directory, only};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Linted {
    policies: String,
    /// Code, line, and what is said in the message or the help.
    finds: Vec<(String, usize, String)>,
}

fn lint(files: &Files) -> Vec<Problem> {
    PolicySet::load_untested(files, &[])
        .and_then(|set| set.lint(files, &[]))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn authors_are_told_what_may_not_be_meant_and_nothing_else() {
    let cases: Vec<Linted> = serde_saphyr::from_str(include_str!("cases.yaml")).unwrap();
    let mut unmet = Vec::new();
    for Linted { policies, finds } in &cases {
        let found = lint(&only(policies));
        let as_expected = found.len() == finds.len()
            && found.iter().zip(finds).all(|(problem, (code, line, said))| {
                let help = problem.help.as_deref().unwrap_or_default();
                problem.warning
                    && problem.code == code
                    && problem.line_column() == Some((*line, 1))
                    && format!("{}\n{help}", problem.message).contains(said)
            });
        if !as_expected {
            let found: Vec<String> = found
                .iter()
                .map(|problem| format!("{}: {problem} ({:?})", problem.code, problem.help))
                .collect();
            unmet.push(format!("{policies}\n  found: {}", found.join("\n         ")));
        }
    }
    assert!(unmet.is_empty(), "{}", unmet.join("\n"));
}

#[test]
fn the_shipped_policies_say_what_they_mean() {
    let found = lint(&Files::read(&directory()).unwrap());
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_tier_that_nothing_is_in_is_for_nobody() {
    let entities = r#"[
        { "uid": { "type": "TrustTier", "id": "inner" }, "attrs": {}, "parents": [{ "type": "TrustTier", "id": "outer" }] },
        { "uid": { "type": "TrustTier", "id": "outer" }, "attrs": {}, "parents": [] },
        { "uid": { "type": "TrustTier", "id": "empty" }, "attrs": {}, "parents": [] },
        { "uid": { "type": "TrustDomain", "id": "example.org" }, "attrs": {}, "parents": [{ "type": "TrustTier", "id": "inner" }] }
    ]"#;
    let policies = "\
@id(\"inner\") permit (principal in TrustTier::\"inner\", action == Action::\"ping\", resource);
@id(\"outer\") permit (principal in TrustTier::\"outer\", action == Action::\"initialize\", resource);
@id(\"empty\") permit (principal in TrustTier::\"empty\", action == Action::\"server/discover\", resource);
";
    let own = only(policies);
    let kept = own
        .iter()
        .filter(|(path, _)| *path != "entities.json" && !path.starts_with("tools/"));
    let kept = kept.map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    let files = kept
        .chain([("entities.json".to_owned(), entities.as_bytes().to_vec())])
        .collect();
    let found: Vec<String> = lint(&files)
        .iter()
        .map(|problem| format!("{}: {problem}", problem.code))
        .collect();
    assert_eq!(
        found,
        ["unreachable: own.cedar:3:1: `empty` is for nobody: nothing is in TrustTier::\"empty\""]
    );
}
