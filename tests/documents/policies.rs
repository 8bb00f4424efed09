//! The policies of the documents, with the entities and the tests that stand beside them in the same section.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{Snippet, mcp_authz, page, root};

/// The languages in which a section says policies, the entities that they name, and what they do.
const LANGUAGES: [&str; 3] = ["cedar", "json", "yaml"];
/// With what tests of policies begin.
const TESTS: [&str; 5] = ["users", "workloads", "arguments", "cases", "matrices"];

/// Whether a piece of YAML holds tests of policies.
pub(crate) fn are_tests(parsed: &Value) -> bool {
    let first = parsed.as_object().and_then(|map| map.keys().next());
    first.is_some_and(|first| TESTS.contains(&first.as_str()))
}

/// The shipped policy directory with more files.
pub(crate) fn policies_with(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(&root().join("policies"), directory.path());
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = entry.map(|it| (it.path(), to.join(it.file_name()))).unwrap();
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The entities of the shipped directory, and those of a snippet.
fn entities(snippet: &Snippet) -> String {
    let parse = |text: &str| serde_json::from_str::<Vec<Value>>(text).unwrap();
    let mut all = parse(&page("policies/entities.json"));
    all.extend(parse(&snippet.text));
    serde_json::to_string(&all).unwrap()
}

/// What one section says may rule beside the shipped policies, whose tests go on passing, and does what its tests say.
fn section(snippets: &[&Snippet]) {
    let mut files: Vec<(String, String)> = Vec::new();
    for (number, snippet) in snippets.iter().enumerate() {
        files.push(match snippet.language.as_str() {
            "cedar" => (format!("snippet-{number}.cedar"), snippet.text.clone()),
            "json" if snippet.text.contains("\"template_id\"") => {
                ("links.json".to_owned(), snippet.text.clone())
            }
            "json" => ("entities.json".to_owned(), entities(snippet)),
            _ => (format!("tests/snippet-{number}.yaml"), snippet.text.clone()),
        });
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
    let directory = policies_with(&files);
    let path = directory.path().to_str().unwrap();
    mcp_authz(&snippets[0].place, &["policy", "test", path]);
    mcp_authz(&snippets[0].place, &["policy", "validate", path]);
}

/// Runs each section that says a policy or tests one.
pub(crate) fn hold(snippets: &[Snippet]) -> usize {
    let mut sections: BTreeMap<&str, Vec<&Snippet>> = BTreeMap::new();
    for snippet in snippets {
        let tests = || are_tests(&super::yaml(&snippet.place, &snippet.text));
        if LANGUAGES.contains(&&*snippet.language) && (snippet.language != "yaml" || tests()) {
            sections.entry(&snippet.section).or_default().push(snippet);
        }
    }
    for snippets in sections.values() {
        section(snippets);
    }
    sections.len()
}
