//! Thousands of policies: what is done again when one of them changes, and what a load takes.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use super::*;
use crate::clock;
use crate::policy::load::kept::{Kept, Work};

fn grown_files(policies: usize, tools: usize) -> Files {
    grown::grown(&directory(), policies, tools)
        .unwrap()
        .into_iter()
        .collect()
}

/// The files with one of them edited.
fn edited(files: &Files, path: &str, from: &str, to: &str) -> Files {
    let edit = |(name, bytes): (&str, &[u8])| {
        let text = std::str::from_utf8(bytes).unwrap();
        let text = if name == path {
            assert!(text.contains(from), "{path} has no {from}");
            text.replacen(from, to, 1)
        } else {
            text.to_owned()
        };
        (name.to_owned(), text)
    };
    files.iter().map(edit).collect()
}

fn work(files: &Files, kept: &mut Kept) -> Work {
    let set = PolicySet::reload(files, &[], kept);
    set.unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    kept.work
}

#[test]
fn a_reload_reads_and_validates_only_what_changed() {
    let files = grown_files(1100, 100);
    let mut kept = Kept::default();
    let first = work(&files, &mut kept);
    let policy_files = files.under("", ".cedar").count();
    // 1,100 and a template, and the shipped ones.
    assert_eq!(first.files, policy_files);
    assert!(first.validated > 1101, "{first:?}");
    assert_eq!(work(&files, &mut kept), Work::default(), "nothing changed");

    // One policy of one file: the file is read, the policy validated.
    let one = edited(&files, "grown-01.cedar", "/srv/500/", "/srv/5/");
    assert_eq!(
        work(&one, &mut kept),
        Work {
            files: 1,
            validated: 1
        }
    );
    assert_eq!(
        work(&files, &mut kept),
        Work {
            files: 1,
            validated: 1
        },
        "and back"
    );

    // A link: no file of policies changed, the link is validated.
    let link = edited(&files, "links.json", "grown-00039", "grown-other");
    assert_eq!(
        work(&link, &mut kept),
        Work {
            files: 0,
            validated: 0
        },
        "the text is the same"
    );
    let link = edited(
        &files,
        "links.json",
        r#"Role::\"grown-"#,
        r#"Role::\"mcp-viewer\"","x":"#,
    );
    assert!(PolicySet::reload(&link, &[], &mut kept).is_err());
    let link = edited(&files, "links.json", r#"Tool::\"s0"#, r#"Tool::\"s1"#);
    assert!(PolicySet::reload(&link, &[], &mut kept).is_err(), "no such tool");
    assert_eq!(
        work(&files, &mut kept),
        Work::default(),
        "a refused edit that is taken back"
    );
}

#[test]
fn a_changed_tool_has_those_policies_validated_again_that_reach_it() {
    let files = grown_files(400, 60);
    let mut kept = Kept::default();
    let all = work(&files, &mut kept).validated;
    // An argument of one tool that every policy about it alone reads, and none about many.
    let changed = edited(
        &files,
        "tools/s01.json",
        r#""field_03":{"type":"boolean"}"#,
        r#""field_03":{"type":"boolean","description":"x"}"#,
    );
    assert_eq!(
        work(&changed, &mut kept),
        Work::default(),
        "its type is as it was"
    );
    let changed = edited(
        &files,
        "tools/s01.json",
        r#""field_03":{"type":"boolean"}"#,
        r#""field_03":{"type":"boolean"},"more":{"type":"string"}"#,
    );
    let again = work(&changed, &mut kept);
    let set = load(&changed);
    let naming = set.engine.rules().filter(|rule| {
        let text = rule.policy.to_string();
        text.contains(r#"Action::"s01/tool_03""#)
    });
    let naming = naming.count();
    assert!(naming > 3, "{naming}");
    assert!(
        again.validated >= naming && again.validated < all / 4,
        "{again:?} of {all}, {naming} name it"
    );
    // A change that is a mistake now is found, though no policy changed.
    let broken = edited(
        &files,
        "tools/s01.json",
        r#""limit":{"type":"integer","minimum":0}"#,
        r#""limit":{"type":"string"}"#,
    );
    let problems = PolicySet::reload(&broken, &[], &mut kept).unwrap_err();
    assert!(
        problems.iter().all(|problem| problem.message.contains("Long")),
        "{}",
        shown(&problems)
    );
}

/// So many permits for viewers, each with a head of that kind.
fn alike(policies: usize, head: impl Fn(usize) -> String) -> PolicySet {
    let policies = (0..policies).map(|number| {
        let head = head(number);
        format!("@id(\"p{number:04}\") permit ({head})\nwhen {{ context has user && context.user.username == \"{number}\" }};\n")
    });
    load(&only(&policies.collect::<String>()))
}

#[test]
fn heads_that_select_badly_are_a_warning_that_names_them() {
    let head =
        r#"principal in Role::"mcp-viewer", action in Action::"read", resource in Server::"workbench""#;
    let set = alike(1001, |_| head.to_owned());
    let warnings = shown(set.warnings());
    assert_eq!(
        warnings.split_once(": ").unwrap().1,
        format!(
            "a call of `workbench/fs_read` may meet 1001 policies, 1001 of them with the head `({head})`: each is evaluated \
             (name the tool, the group or the role in the head rather than in conditions, or make one policy of many)\n"
        )
    );
    assert_eq!(set.warnings()[0].line_column(), Some((1, 1)));
    // As many for principals that nobody is at once, and as many as are taken.
    let user =
        |number: usize| format!("principal == User::\"https://issuer.example#{number}\", action, resource");
    assert_eq!(shown(alike(1001, user).warnings()), "");
    let half = |number: usize| {
        if number.is_multiple_of(2) {
            head.to_owned()
        } else {
            "principal is User, action, resource".to_owned()
        }
    };
    assert_eq!(shown(alike(1000, half).warnings()), "");
    let set = alike(1002, half);
    assert!(
        shown(set.warnings()).contains("may meet 1002 policies, 501 of them"),
        "{}",
        shown(set.warnings())
    );
}

/// `GROWN="10000 500" cargo test --lib many::figures -- --ignored --nocapture`
#[test]
#[ignore = "prints what a load takes"]
fn figures() {
    let sizes = std::env::var("GROWN").unwrap_or_else(|_| "10000 500".to_owned());
    let (policies, tools) = sizes.split_once(' ').unwrap();
    let files = grown_files(policies.parse().unwrap(), tools.parse().unwrap());
    let mut kept = Kept::default();
    let edited = edited(&files, "grown-00.cedar", "/srv/0/", "/srv/x/");
    for (name, files) in [
        ("first", &files),
        ("unchanged", &files),
        ("one policy edited", &edited),
    ] {
        let started = clock::instant();
        let set = PolicySet::reload(files, &[], &mut kept)
            .unwrap_or_else(|problems| panic!("{}", shown(&problems)));
        println!(
            "{name}: {} policies, {} tests in {:?}, {:?}",
            set.len(),
            set.tests().cases(),
            started.elapsed(),
            kept.work
        );
    }
}

/// What calls take, in microseconds, while `what` is done: the middle and the ninety-ninth of a hundred, of two threads that ask.
fn calls_beside(set: &PolicySet, what: impl FnOnce() + Send) -> (usize, u128, u128) {
    let done = std::sync::atomic::AtomicBool::new(false);
    let mut times: Vec<u128> = std::thread::scope(|scope| {
        let ask = || {
            let mut times = Vec::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let caller = caller(user("ada", &["mcp-developer"]), "/agent/trusted/1");
                let call = tool("fs_read", r#"{"path": "/srv/a"}"#);
                let started = clock::instant();
                assert!(ask(set, &caller, &call).unwrap().iter().all(Verdict::allows));
                times.push(started.elapsed().as_micros());
                std::thread::park_timeout(std::time::Duration::from_micros(500));
            }
            times
        };
        let asking = [scope.spawn(ask), scope.spawn(ask)];
        what();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        asking
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    (times.len(), at(50), at(99))
}

/// `GROWN="10000 500" cargo test --lib many::calls_while -- --ignored --nocapture`
#[test]
#[expect(clippy::disallowed_methods, reason = "a pause to measure in")]
#[ignore = "prints what calls take while a directory is loaded"]
fn calls_while_a_directory_is_loaded() {
    let sizes = std::env::var("GROWN").unwrap_or_else(|_| "10000 500".to_owned());
    let (policies, tools) = sizes.split_once(' ').unwrap();
    let files = grown_files(policies.parse().unwrap(), tools.parse().unwrap());
    let set = load(&files);
    let second = std::time::Duration::from_secs(1);
    for _ in 0..3 {
        let quiet = calls_beside(&set, || std::thread::sleep(4 * second));
        let loading = calls_beside(&set, || drop(load(&files)));
        println!("(calls, p50, p99) in µs: {quiet:?}, while {policies} policies are loaded {loading:?}");
    }
}
