//! docs/reasons.md is the table of all reasons, as the code has them.
//! `UPDATE_DOCS=1 cargo test --test reasons` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test may fail on the spot")]

use std::fmt::Write as _;
use std::fs;

use mcp_authz::decide::Reason;
use mcp_authz::mcp::Refusal;
use mcp_authz::policy::code;
use mcp_authz::respond::shape;
use mcp_authz::wire::check::Failure;

const PAGE: &str = "docs/reasons.md";

fn page() -> String {
    let mut page = reasons();
    page.push_str(&failures());
    page
}

/// Where the check itself fails, before any stage or after the last.
fn failures() -> String {
    let mut table = String::from(
        "\n## Checks that were not decided\n\n\
         These are denied on the wire itself: the check never reached a stage, or its decision could not be sent. The\n\
         metric counts them with `server=\"none\"` and `method=\"unread\"`. A record names the gateway and nothing of the\n\
         request; with a full audit queue only the log and the metric tell of it. A decision that was cut off or ended in a\n\
         fault is recorded with all that was known; one that could not be sent has a second record with the same id.\n\n\
         | code | HTTP | JSON-RPC | meaning |\n| --- | --- | --- | --- |\n",
    );
    for failure in Failure::ALL {
        let told = failure.to_string();
        // What follows is the case's own detail.
        let meaning = told.split(": ").next().unwrap();
        let (first, rest) = meaning.split_at(1);
        let status = failure.status();
        let (code, first) = (failure.reason(), first.to_uppercase());
        writeln!(table, "| `{code}` | {status} | {status} | {first}{rest} |").unwrap();
    }
    table
}

fn reasons() -> String {
    let mut page = String::from(
        "# Reasons\n\n\
         Every decision has exactly one. The code stands in the audit (`reason`), in the metric\n\
         `mcp_authz_decisions_total{reason=\"…\"}`, in the gateway's dynamic metadata, and in the answer's\n\
         `error.data.reason`, but for those marked «told as», which would tell a caller what it may not know.\n\
         Where a policy denies, the HTTP status is that of the server's `denials` setting.\n\n\
         | code | HTTP | JSON-RPC | meaning |\n| --- | --- | --- | --- |\n",
    );
    for reason in Reason::ALL {
        let shape = shape::of(*reason);
        let status = if shape.by_policy {
            "200, 403".to_owned()
        } else {
            shape.status.to_string()
        };
        let code = if shape.status == 200 {
            "—".to_owned()
        } else {
            shape.code.to_string()
        };
        let told = match reason.told() {
            told if told == *reason => String::new(),
            told => format!(" (told as `{}`)", told.code()),
        };
        writeln!(
            page,
            "| `{}` | {status} | {code} | {}{told} |",
            reason.code(),
            reason.meaning()
        )
        .unwrap();
    }
    page
}

#[test]
fn the_table_of_reasons_is_the_one_in_the_code() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, page()).unwrap();
    }
    let written = fs::read_to_string(PAGE).unwrap_or_default();
    assert_eq!(
        written,
        page(),
        "run `UPDATE_DOCS=1 cargo test --test reasons` and review the change"
    );
}

#[test]
fn no_two_reasons_share_a_code() {
    let decided = Reason::ALL.iter().map(|reason| reason.code());
    let mut codes: Vec<_> = decided.chain(Failure::ALL.iter().map(|it| it.reason())).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
}

/// A code of one list is the code of the other: nobody has to learn two names for one thing.
#[test]
fn what_policies_and_messages_are_refused_for_are_reasons_of_the_same_name() {
    let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    for code in code::ALL.iter().chain(Refusal::CODES) {
        assert!(reasons.contains(code), "`{code}` is no reason");
    }
}

#[test]
fn every_failure_of_the_wire_is_listed() {
    // Without `_`: another failure does not compile until it has its place here and in the list.
    let place = |failure: &Failure| match failure {
        Failure::NoHttpRequest => 0,
        Failure::Certificate => 1,
        Failure::Metadata(_) => 2,
        Failure::TooLarge => 3,
        Failure::Unreadable => 4,
        Failure::Abandoned => 5,
        Failure::Overloaded => 6,
        Failure::DeadlinePassed => 7,
        Failure::Panicked => 8,
        Failure::UnfitReply(_) => 9,
    };
    let places: Vec<usize> = Failure::ALL.iter().map(place).collect();
    assert_eq!(places, (0..10).collect::<Vec<_>>());
}
