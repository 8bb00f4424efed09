//! The tables of what gets tried: each case is refused for its own reason, and the MCP servers hear nothing of it.

use std::collections::BTreeSet;
use std::time::Duration;

use mcp_authz::dev::client;
use mcp_authz::dev::stack::Stack;
use serde::Deserialize;
use serde_json::Value;

use crate::parts::caller::{Caller, TRUSTED};
use crate::parts::table::{self, Case, Expected, Good};
use crate::parts::{audit, raw, repository, with_own_stack};
use crate::{bound, jwt_svid, tokens, workloads};

const BYTES: &str = include_str!("cases/bytes.yaml");
const PATHS: &str = include_str!("cases/paths.yaml");
const NAMES: &str = include_str!("cases/names.yaml");

/// What every case says, whichever table it is in.
#[derive(Deserialize)]
struct Tried {
    threat: String,
    /// A text, though some look like numbers that nobody can hold.
    #[serde(default, rename = "name")]
    _name: String,
}

/// Heading in docs/threat-model.md, the table, the test that runs it.
const PARTS: [(&str, &str, &str); 7] = [
    (
        "Bytes that two parsers read differently",
        BYTES,
        "each_body_of_the_table_is_refused_for_its_own_reason",
    ),
    (
        "Ways around the path",
        PATHS,
        "each_way_around_the_path_ends_at_the_gateway_or_at_the_same_decision",
    ),
    (
        "Names that look alike",
        NAMES,
        "each_name_that_looks_like_another_is_another",
    ),
    (
        "Tokens",
        bound::CASES,
        "each_bound_token_of_the_table_is_taken_from_its_owner_alone",
    ),
    (
        "Tokens",
        tokens::CASES,
        "each_token_of_the_table_is_refused_for_its_own_reason",
    ),
    (
        "Workloads",
        workloads::CASES,
        "each_certificate_of_the_table_names_the_workload_or_nobody",
    ),
    (
        "Workloads",
        jwt_svid::CASES,
        "each_jwt_svid_of_the_table_is_taken_or_refused_for_its_own_reason",
    ),
];

#[test]
fn each_body_of_the_table_is_refused_for_its_own_reason() {
    run("threats-bytes", BYTES, Good::Permitted);
}

#[test]
fn each_way_around_the_path_ends_at_the_gateway_or_at_the_same_decision() {
    run("threats-paths", PATHS, Good::Denied);
}

#[test]
fn each_name_that_looks_like_another_is_another() {
    run("threats-names", NAMES, Good::Permitted);
}

/// Every case on a stack of its own, one after the other, so that what the gateway counts and logs is theirs.
fn run(name: &str, text: &str, good: Good) {
    with_own_stack(name, Value::Null, async |stack, _| {
        let (caller, agent) = (Caller::developer(&stack), raw::agent_of(&stack, TRUSTED));
        let http = client::http(&stack.authority, None).unwrap();
        let (cases, mut before) = (table::cases(text), reached(&stack, &http).await);
        let (mut wrong, mut by_the_gateway) = (Vec::new(), Vec::new());
        for case in &cases {
            let answer = raw::exchange_with(&stack, agent.clone(), &case.request(&stack, &caller, good));
            let after = reached(&stack, &http).await;
            let (status, passed) = (raw::status(&answer), after.saturating_sub(before));
            before = after;
            let found = match case.expected() {
                Expected::Allowed => passed == 1,
                Expected::Gateway(details) => {
                    by_the_gateway.push(details);
                    passed == 0
                }
                Expected::Denied(code, reason, told) => {
                    passed == 0 && is_denied(&stack, case, &answer, (code, reason, told)).await
                }
            };
            if status != case.status() || !found {
                wrong.push(format!(
                    "{} ({}): {case:?}\n{passed} reached a server:\n{answer}\n",
                    case.threat, case.name
                ));
            }
        }
        table::assert_none(&wrong, cases.len());
        said_by_the_gateway(&stack, by_the_gateway).await;
        stack
    });
}

/// Whether we denied it for that reason: told, and recorded once.
async fn is_denied(
    stack: &Stack,
    case: &Case,
    answer: &str,
    (code, reason, told): (i64, &str, &str),
) -> bool {
    if case.is_head() {
        return !audit::records(stack, |record| record["reason"] == reason)
            .await
            .is_empty();
    }
    // A batch is told call by call; the first stands for it.
    let message = match table::message(answer) {
        Value::Array(answers) => answers[0].clone(),
        message => message,
    };
    let error = &message["error"];
    let Some(decision) = error["data"]["decision_id"].as_str() else {
        return false;
    };
    let records = audit::records(stack, |record| record["decision_id"] == decision).await;
    let calls = records[0]["batch"]["size"].as_u64().unwrap_or(1);
    error["code"] == code
        && error["data"]["reason"] == told
        && records[0]["reason"] == reason
        && records.iter().all(|record| record["outcome"] == "denied")
        && u64::try_from(records.len()).unwrap() == calls
}

/// How many requests went on to an MCP server so far.
async fn reached(stack: &Stack, http: &reqwest::Client) -> u64 {
    let url = format!(
        "http://127.0.0.1:{}/stats?filter=^cluster\\.(workbench|info)\\.upstream_rq_total$",
        stack.ports.admin
    );
    let text = http.get(url).send().await.unwrap().text().await.unwrap();
    let counts = text
        .lines()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

/// What the gateway refuses by itself, its access log names: these words, as often as expected.
async fn said_by_the_gateway(stack: &Stack, mut expected: Vec<&str>) {
    expected.sort_unstable();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut said = Vec::new();
    for _ in 0..200 {
        ticks.tick().await;
        let log = std::fs::read_to_string(stack.directory.join("envoy.log")).unwrap();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let details = lines.filter_map(|line| line["details"].as_str().map(str::to_owned));
        said = details
            .filter(|word| !["ext_authz_denied", "via_upstream"].contains(&word.as_str()))
            .collect();
        said.sort_unstable();
        if said == expected {
            return;
        }
    }
    panic!("the gateway said {said:?} instead of {expected:?}");
}

/// The attempts below a heading of the threat model, and the tests named beside each.
fn attempts(heading: &str) -> Vec<(String, BTreeSet<String>)> {
    let page = std::fs::read_to_string(repository().join("docs/threat-model.md")).unwrap();
    let section = page.split("\n### ").find(|section| section.starts_with(heading));
    let rows = section
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| "));
    rows.filter(|row| !row.starts_with("attempt") && !row.starts_with("---"))
        .map(|row| {
            let (attempt, tests) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
            let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned);
            (attempt.to_owned(), tests.collect())
        })
        .collect()
}

#[test]
fn every_attempt_of_the_threat_model_has_its_cases_and_every_case_its_attempt() {
    for (heading, text, test) in PARTS {
        let attempts = attempts(heading);
        let cases: Vec<Tried> = serde_saphyr::from_str(text).unwrap();
        let tried: BTreeSet<String> = cases.into_iter().map(|case| case.threat).collect();
        let listed: BTreeSet<String> = attempts
            .into_iter()
            .filter(|(_, tests)| tests.contains(test))
            .map(|(attempt, _)| attempt)
            .collect();
        assert_eq!(tried, listed, "{heading}");
    }
}
