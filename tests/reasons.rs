//! docs/reasons.md is the table of all reasons, as the code has them.
//! `UPDATE_DOCS=1 cargo test --test reasons` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test may fail on the spot")]

use std::fmt::Write as _;
use std::fs;

use mcp_authz::decide::Reason;
use mcp_authz::respond::shape;

const PAGE: &str = "docs/reasons.md";

fn page() -> String {
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
    let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Reason::ALL.len());
}
