//! What doesn't rule is told and decides nothing.

use std::fs;

use super::super::default_server;
use super::super::tests::{caller, load, now, only, question, tool, user};
use super::*;
use crate::identity::Caller;
use crate::mcp::Call;

const EVERYBODY: &str = "@id(\"everybody\") permit (principal, action, resource);";

fn viewer() -> Caller {
    caller(user("vera", &["mcp-viewer"]), "/agent/trusted/1")
}

fn db_read(limit: u64) -> Call {
    tool(
        "db_read",
        &format!("{{\"sql\": \"select 1\", \"limit\": {limit}}}"),
    )
}

/// What the ruling policies say, and the opinions on it.
fn asked(ruling: &str, shadow: Option<&Shadow>, call: &Call, in_time: bool) -> (Answer, Vec<Opinion>) {
    let set = load(&only(ruling));
    let (server, caller) = (default_server("workbench").unwrap(), viewer());
    let question = question(&server, &caller, call);
    let answer = set.ask(&question);
    let other = shadow.and_then(|shadow| shadow.ask(&question, &answer, in_time));
    let opinions = Opinion::annotated(&answer).into_iter().chain(other).collect();
    (answer, opinions)
}

fn shadow(policies: &str) -> Shadow {
    Shadow::of(load(&only(policies)), now())
}

fn fired(opinion: &Opinion) -> Vec<(String, bool)> {
    let fired = opinion.verdicts.iter();
    fired
        .flat_map(|verdict| {
            verdict
                .fired
                .iter()
                .map(|fired| (fired.id.clone(), verdict.allows()))
        })
        .collect()
}

#[test]
fn shadow_annotated_policies_say_what_they_would_change_and_change_nothing() {
    let forbid =
        "@id(\"f\") @shadow forbid (principal is User, action == Action::\"workbench/db_read\", resource)";
    let permit = "@id(\"p\") @shadow permit (principal, action, resource);";
    let large = "when { context.arguments has limit && context.arguments.limit > 100 }";
    let errs = "when { 9223372036854775807 + 1 == 0 }";
    let cases = [
        (EVERYBODY.to_owned(), None),
        (
            format!("{EVERYBODY}{forbid};"),
            Some((Would::Deny("forbidden"), Some("would_deny"))),
        ),
        (format!("{EVERYBODY}{forbid} {large};"), None),
        (
            format!("{EVERYBODY}{forbid} {errs};"),
            Some((Would::Deny("policy_error"), Some("would_deny"))),
        ),
        (permit.to_owned(), Some((Would::Allow, Some("would_allow")))),
        (
            format!("{permit}{forbid};"),
            Some((Would::Deny("forbidden"), None)),
        ),
        (format!("{EVERYBODY}{permit}"), Some((Would::Allow, None))),
        // Only the workload would be permitted, and both must be.
        (
            "@id(\"w\") @shadow permit (principal is Workload, action, resource);".to_owned(),
            Some((Would::Deny("no_permit"), None)),
        ),
    ];
    for (policies, expected) in cases {
        let (answer, opinions) = asked(&policies, None, &db_read(5), true);
        let allowed = policies.contains(EVERYBODY);
        assert!(
            answer.unwrap().iter().all(|verdict| verdict.allows() == allowed),
            "{policies}"
        );
        let found = opinions.first().map(|opinion| (opinion.would, opinion.code()));
        assert_eq!(found, expected, "{policies}");
        assert!(
            opinions
                .iter()
                .all(|opinion| opinion.from == Whose::Annotated && opinion.ruling == allowed)
        );
    }
}

#[test]
fn a_shadow_directory_is_asked_beside_the_ruling_one() {
    let limited = shadow(
        "@id(\"all\") permit (principal, action, resource);\n\
         @id(\"small\") forbid (principal is User, action == Action::\"workbench/db_read\", resource)\n\
         when { context.arguments has limit && context.arguments.limit > 10 };",
    );
    let fired_by = |limit| {
        let (answer, opinions) = asked(EVERYBODY, Some(&limited), &db_read(limit), true);
        assert!(answer.unwrap().iter().all(Verdict::allows));
        let [opinion] = opinions.try_into().unwrap();
        assert_eq!(opinion.from, Whose::Directory);
        assert_eq!(opinion.version.as_deref(), limited.status().version.as_deref());
        (opinion.would, opinion.code(), fired(&opinion))
    };
    let all = |allowed| ("all".to_owned(), allowed);
    assert_eq!(fired_by(10), (Would::Allow, None, vec![all(true), all(true)]));
    assert_eq!(
        fired_by(11),
        (
            Would::Deny("forbidden"),
            Some("would_deny"),
            vec![("small".to_owned(), false), all(true)]
        )
    );
    let (answer, opinions) = asked("", Some(&limited), &db_read(1), true);
    assert!(!answer.unwrap().iter().any(Verdict::allows));
    assert_eq!(opinions[0].code(), Some("would_allow"));
}

#[test]
fn a_tool_that_the_shadow_directory_lacks_would_be_denied_and_what_rules_is_untouched() {
    let mut files = only(EVERYBODY);
    files = files
        .iter()
        .filter(|(path, _)| !path.starts_with("tools/workbench"))
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
        .collect();
    let shadow = Shadow::of(load(&files), now());
    let (answer, opinions) = asked(EVERYBODY, Some(&shadow), &db_read(1), true);
    assert!(answer.unwrap().iter().all(Verdict::allows));
    assert_eq!(
        (opinions[0].would, opinions[0].code()),
        (Would::Deny("unknown_tool"), Some("would_deny"))
    );
}

#[test]
fn where_time_is_short_nobody_asks_and_that_is_told() {
    let shadow = shadow("");
    let (_, opinions) = asked(EVERYBODY, Some(&shadow), &db_read(1), false);
    assert_eq!((opinions[0].would, opinions[0].code()), (Would::Skip, None));
    assert_eq!(opinions[0].would.as_str(), "skipped");
}

#[test]
fn a_panic_is_a_failed_opinion() {
    assert_eq!(caught(|| 1), Some(1));
    assert_eq!(caught(|| -> i32 { panic!("on purpose") }), None);
    assert_eq!(Would::Fail.as_str(), "failed");
}

fn write(directory: &Path, files: &Files) {
    for (path, bytes) in files.iter() {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_directory_that_cannot_be_loaded_has_no_opinion_until_it_can() {
    let place = tempfile::TempDir::new().unwrap();
    write(place.path(), &only("@id(\"broken\") permit (principal"));
    let shadow = Shadow::new(place.path(), &Settings::default(), Vec::new());
    shadow.load(now());
    let status = shadow.status();
    assert_eq!(status.version, None);
    assert!(
        status.problem.unwrap().contains("own.cedar"),
        "what is wrong is told"
    );
    let (answer, opinions) = asked(EVERYBODY, Some(&shadow), &db_read(1), true);
    assert!(answer.unwrap().iter().all(Verdict::allows));
    assert_eq!(opinions, []);
    // Put right, it is asked.
    write(place.path(), &only(EVERYBODY));
    shadow.load(now());
    assert_eq!(shadow.status().problem, None);
    let (_, opinions) = asked("", Some(&shadow), &db_read(1), true);
    assert_eq!(opinions[0].code(), Some("would_allow"));
    // Broken again, the last good one goes on, and the status says so.
    write(place.path(), &only("@id(\"broken\") permit (principal"));
    shadow.store.get().unwrap().reload(now());
    assert!(shadow.status().problem.is_some());
    let (_, opinions) = asked("", Some(&shadow), &db_read(1), true);
    assert_eq!(opinions[0].code(), Some("would_allow"));
}

#[test]
fn the_tests_of_a_shadow_directory_must_pass() {
    let place = tempfile::TempDir::new().unwrap();
    let files = only(EVERYBODY);
    write(place.path(), &files);
    let tests = "users: { ada: {} }\nworkloads: { build: \"spiffe://mcp-identity.local/agent/trusted/b\" }\n\
                 cases: [{ server: workbench, user: ada, workload: build, method: ping, expect: deny }]";
    fs::create_dir(place.path().join("tests")).unwrap();
    fs::write(place.path().join("tests/a.yaml"), tests).unwrap();
    let shadow = Shadow::new(place.path(), &Settings::default(), Vec::new());
    shadow.load(now());
    assert!(
        shadow.status().problem.unwrap().contains("expected deny"),
        "its test is told"
    );
}
