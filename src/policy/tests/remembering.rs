//! What was decided before is decided again, and whatever a policy can tell apart is decided anew.

mod generated;
mod hostile;
mod reloads;

use std::collections::HashMap;

use super::*;
use crate::policy::ask::values::MAX_BYTES;

const ALL: &str = "@id(\"all\") permit (principal, action, resource);\n";

/// The same policies, with what they said remembered and not.
fn both(policies: &str) -> (PolicySet, PolicySet) {
    let files = only(&format!("{ALL}{policies}"));
    let off = load(&files).remembering(DecisionCache::Off, Arc::default());
    (load(&files), off)
}

/// How often each came of looking: hit, miss, not cacheable.
fn lookups(set: &PolicySet) -> [u64; 3] {
    let found: HashMap<_, _> = set.decisions().lookups.into_iter().collect();
    ["hit", "miss", "not_cacheable"].map(|outcome| found[outcome])
}

fn forbid(tool: &str, condition: &str) -> String {
    format!(
        "@id(\"no\") forbid (principal is User, action == Action::\"workbench/{tool}\", resource) when {{ {condition} }};"
    )
}

#[test]
fn a_call_whose_read_values_were_seen_is_not_asked_about_again() {
    let (set, off) = both(&forbid("fs_write", "context.arguments.path like \"/etc/*\""));
    let caller = admin();
    let cases = [
        (r#"{"path":"/srv/a","content":"x"}"#, [0, 1, 0]),
        (r#"{"path":"/srv/a","content":"y","create":true}"#, [1, 1, 0]),
        (r#"{"content":"z","path":"/srv/a"}"#, [2, 1, 0]),
        (r#"{"path":"/etc/a","content":"x"}"#, [2, 2, 0]),
        (r#"{"path":"/etc/a","content":"z"}"#, [3, 2, 0]),
    ];
    for (arguments, expected) in cases {
        let call = tool("fs_write", arguments);
        assert_eq!(ask(&set, &caller, &call), ask(&off, &caller, &call));
        assert_eq!(lookups(&set), expected, "{arguments}");
    }
    assert_eq!(lookups(&off), [0; 3]);
    assert_eq!((set.decisions().known, off.decisions().known), (2, 0));
    assert_eq!(off.decisions().capacity, 0);
}

#[test]
fn where_no_value_is_read_there_is_one_answer() {
    let (set, _) = both("");
    let caller = admin();
    for (index, arguments) in [r#"{"path":"/a"}"#, r#"{"path":"/b"}"#].iter().enumerate() {
        ask(&set, &caller, &tool("fs_read", arguments)).unwrap();
        assert_eq!(lookups(&set), [index as u64, 1, 0]);
    }
    assert_eq!(set.decisions().known, 0, "it stands with its caller");
}

#[test]
fn what_reads_the_time_is_asked_each_time_and_what_reads_too_much_likewise() {
    let caller = admin();
    let (timed, _) = both(&forbid("fs_read", "context.now > datetime(\"2026-03-01\")"));
    let (long, _) = both(&forbid("fs_read", "context.arguments.path like \"*z\""));
    let path = |last: char| format!(r#"{{"path":"/{}{last}"}}"#, "x".repeat(MAX_BYTES));
    for round in 1..=2 {
        assert_eq!(
            for_user(&timed, &caller, &tool("fs_read", r#"{"path":"/a"}"#)).0,
            Outcome::Forbidden
        );
        assert_eq!(lookups(&timed), [0, 0, round]);
        for (last, expected) in [('y', Outcome::Allowed), ('z', Outcome::Forbidden)] {
            assert_eq!(
                for_user(&long, &caller, &tool("fs_read", &path(last))).0,
                expected
            );
        }
        assert_eq!(lookups(&long), [0, 0, 2 * round]);
    }
    // The same tool a moment later.
    let server = default_server("workbench").unwrap();
    let call = tool("fs_read", r#"{"path":"/a"}"#);
    let earlier = Question {
        now: "2026-02-01T00:00:00Z".parse().unwrap(),
        ..question(&server, &caller, &call)
    };
    assert_eq!(timed.ask(&earlier).unwrap()[0].outcome, Outcome::Allowed);
}

#[test]
fn session_version_and_address_are_values_like_any_other() {
    let server = default_server("workbench").unwrap();
    let (caller, call) = (admin(), tool("fs_read", r#"{"path":"/a"}"#));
    let asked = question(&server, &caller, &call);
    let conditions: [(&str, [Question<'_>; 3]); 3] = [
        (
            "context has session",
            [
                asked,
                Question {
                    session: None,
                    ..asked
                },
                Question {
                    session: Some(""),
                    ..asked
                },
            ],
        ),
        (
            "context.request.version == \"2025-11-25\"",
            [
                asked,
                Question {
                    version: Version::V2026_07_28,
                    ..asked
                },
                Question {
                    version: Version::V2025_06_18,
                    ..asked
                },
            ],
        ),
        (
            "context.request has address && context.request.address.isInRange(ip(\"192.0.2.0/24\"))",
            [
                asked,
                Question {
                    address: None,
                    ..asked
                },
                Question {
                    address: Some("2001:db8::1".parse().unwrap()),
                    ..asked
                },
            ],
        ),
    ];
    for (condition, questions) in conditions {
        let (set, off) = both(&forbid("fs_read", condition));
        for round in 0..2 {
            for question in &questions {
                assert_eq!(set.ask(question), off.ask(question), "{condition}");
            }
            assert_eq!(lookups(&set), [3 * round, 3, 0], "{condition}");
        }
    }
}

#[test]
fn the_same_address_in_two_notations_is_one() {
    let (set, off) = both(&forbid(
        "fs_read",
        "context.request has address && context.request.address.isIpv4()",
    ));
    let server = default_server("workbench").unwrap();
    let (caller, call) = (admin(), tool("fs_read", r#"{"path":"/a"}"#));
    for address in ["::ffff:192.0.2.7", "192.0.2.7"] {
        let asked = Question {
            address: Some(address.parse().unwrap()),
            ..question(&server, &caller, &call)
        };
        assert_eq!(set.ask(&asked), off.ask(&asked), "{address}");
        assert_eq!(set.ask(&asked).unwrap()[0].outcome, Outcome::Forbidden);
    }
    assert_eq!(lookups(&set), [3, 1, 0]);
}

#[test]
fn who_asks_is_part_of_what_is_remembered() {
    let (set, off) = both(&forbid(
        "fs_read",
        "context.arguments.path == \"/a\" && !(principal in Role::\"mcp-admin\") && context.workload in TrustTier::\"trusted\"",
    ));
    let call = tool("fs_read", r#"{"path":"/a"}"#);
    let mut denied = 0;
    // Callers are dropped after each question: a later user may lie where an earlier one lay.
    for _ in 0..8 {
        for role in ["mcp-admin", "mcp-viewer"] {
            for path in ["/agent/trusted/1", "/agent/untrusted"] {
                let caller = caller(user("same", &[role]), path);
                let asked = ask(&set, &caller, &call);
                assert_eq!(asked, ask(&off, &caller, &call), "{role} {path}");
                denied += usize::from(asked.unwrap()[0].outcome == Outcome::Forbidden);
            }
        }
    }
    assert_eq!(denied, 8);
}

#[test]
fn what_clients_name_is_remembered_by_its_kind_and_its_name_if_that_is_short() {
    let policies = "@id(\"no\") forbid (principal is User, action, resource == Resource::\"workbench/x\");";
    let (set, off) = both(policies);
    let server = default_server("workbench").unwrap();
    let caller = admin();
    let complete = |reference| Call {
        id: None,
        operation: Operation::Complete { reference },
    };
    let long = "x".repeat(1000);
    let calls = [
        complete(Reference::Prompt("x".to_owned())),
        complete(Reference::Resource("workbench/x".to_owned())),
        complete(Reference::Resource("workbench/y".to_owned())),
        complete(Reference::Resource(long.clone())),
    ];
    for round in 0..2 {
        for call in &calls {
            let asked = question(&server, &caller, call);
            assert_eq!(set.ask(&asked), off.ask(&asked), "{call:?}");
        }
        assert_eq!(lookups(&set), [3 * round, 3, 1 + round]);
    }
}

#[test]
fn values_without_end_take_no_more_room_than_configured() {
    let files = only(&format!(
        "{ALL}{}",
        forbid("fs_read", "context.arguments.path == \"/a\"")
    ));
    let room = DecisionCache::Kilobytes(16.try_into().unwrap());
    let set = load(&files).remembering(room, Arc::default());
    let caller = admin();
    for number in 0..500 {
        let call = tool("fs_read", &format!(r#"{{"path":"/{number:0>200}"}}"#));
        ask(&set, &caller, &call).unwrap();
    }
    let status = set.decisions();
    assert_eq!(lookups(&set), [0, 500, 0]);
    assert!(
        status.bytes <= status.capacity && status.capacity <= 16 * 1024,
        "{status:?}"
    );
    assert!((1..80).contains(&status.known), "{status:?}");
}

#[test]
fn names_without_end_push_out_nobodys_standing_before_a_tool() {
    let (set, _) = both("");
    let (server, somebody, flood) = (default_server("workbench").unwrap(), admin(), admin());
    let known = tool("fs_read", r#"{"path":"/a"}"#);
    ask(&set, &somebody, &known).unwrap();
    for number in 0..1200 {
        let reference = Reference::Resource(format!("file:///{number}"));
        let call = Call {
            id: None,
            operation: Operation::Complete { reference },
        };
        set.ask(&question(&server, &flood, &call)).unwrap();
    }
    ask(&set, &somebody, &known).unwrap();
    assert_eq!(lookups(&set), [1, 1201, 0]);
}
