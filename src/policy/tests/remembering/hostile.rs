//! Arguments that are nearly the same.

use std::sync::LazyLock;

use super::*;

/// A tool that takes nearly anything.
const PUT: &str = r#"{"tools":[{"name":"put","inputSchema":{"type":"object","properties":{
    "name":{"type":"string"},"count":{"type":"integer"},"amount":{"type":"number"},
    "tags":{"type":"array","items":{"type":"string"}},"numbers":{"type":"array","items":{"type":"integer"}},
    "inner":{"type":["object","null"],"properties":{"name":{"type":"string"},"kind":{"type":"string"}}}}}}]}"#;

fn both_of_put(condition: &str) -> (PolicySet, PolicySet) {
    both_about_put(&format!("{ALL}{}", forbid("put", condition)))
}

/// Policies about that tool, with what they said remembered and not.
pub(super) fn both_about_put(policies: &str) -> (PolicySet, PolicySet) {
    let files: Files = only(policies)
        .iter()
        .filter(|(path, _)| !path.starts_with("tools/"))
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
        .chain([("tools/workbench.json".to_owned(), PUT.as_bytes().to_vec())])
        .collect();
    let off = load(&files).remembering(DecisionCache::Off, Arc::default());
    (load(&files), off)
}

/// Asks of a server that lets undeclared arguments through.
fn put(set: &PolicySet, arguments: &str) -> Result<Vec<Verdict>, AskError> {
    let mut server = default_server("workbench").unwrap();
    server.undeclared_arguments = true;
    set.ask(&question(&server, &CALLER, &tool("put", arguments)))
}

/// One token for all: what differs is the call.
static CALLER: LazyLock<Caller> = LazyLock::new(admin);

/// Conditions, and arguments that are nearly the same.
pub(super) const HOSTILE: [(&str, &[&str]); 11] = [
    (
        "context.arguments has amount && context.arguments.amount == decimal(\"1.0\")",
        &[
            r#"{"amount":1}"#,
            r#"{"amount":1.0}"#,
            r#"{"amount":1e0}"#,
            r#"{"amount":10e-1}"#,
            r#"{"amount":1.0001}"#,
            r#"{"amount":1.00001}"#,
            r#"{"amount":1.00000}"#,
            r#"{"amount":-1.0}"#,
            "{}",
        ],
    ),
    (
        "context.arguments has amount && context.arguments.amount == decimal(\"0.0\")",
        &[
            r#"{"amount":0}"#,
            r#"{"amount":-0}"#,
            r#"{"amount":-0.0}"#,
            r#"{"amount":0e5}"#,
            r#"{"amount":0.0001}"#,
            r#"{"amount":0.00001}"#,
        ],
    ),
    (
        "context.arguments has amount",
        &[
            "{}",
            r#"{"amount":1}"#,
            r#"{"amount":1e300}"#,
            r#"{"name":"amount"}"#,
        ],
    ),
    (
        "context.arguments has count && context.arguments.count == 1",
        &[
            r#"{"count":1}"#,
            r#"{"count":1.0}"#,
            r#"{"count":1e0}"#,
            r#"{"count":-1}"#,
            r#"{"count":9007199254740993}"#,
            r#"{"count":9007199254740992}"#,
            "{}",
        ],
    ),
    (
        "context.arguments has name && context.arguments.name == \"1\"",
        &[
            r#"{"name":"1"}"#,
            r#"{"name":"1 "}"#,
            r#"{"name":"\u0031"}"#,
            r#"{"name":"null"}"#,
            r#"{"name":""}"#,
            r#"{"inner":{"name":"1"}}"#,
            "{}",
        ],
    ),
    (
        "context.arguments has tags && context.arguments.tags == [\"a\", \"b\"]",
        &[
            r#"{"tags":["a","b"]}"#,
            r#"{"tags":["b","a"]}"#,
            r#"{"tags":["a","b","a"]}"#,
            r#"{"tags":["a,b"]}"#,
            r#"{"tags":["ab"]}"#,
            r#"{"tags":[]}"#,
            "{}",
        ],
    ),
    (
        // Each of these is the same to Cedar, up to the one that has it.
        "context.arguments has inner.name",
        &[
            "{}",
            r#"{"inner":null}"#,
            r#"{"inner":{}}"#,
            r#"{"inner":{"name":null}}"#,
            r#"{"inner":{"kind":"x"}}"#,
            r#"{"inner":{"name":"x"}}"#,
            r#"{"inner":{"name":"x","more":[1.00001]}}"#,
        ],
    ),
    (
        "context.arguments has inner && {all: context.arguments.inner}.all has kind",
        &[
            "{}",
            r#"{"inner":{}}"#,
            r#"{"inner":{"name":"x"}}"#,
            r#"{"inner":{"name":"x","kind":"y"}}"#,
            r#"{"inner":{"name":"x","more":1}}"#,
        ],
    ),
    (
        // All sets of a call share their room.
        "context.arguments has tags && context.arguments.tags.contains(\"a\")",
        &[r#"{"tags":["a"]}"#, MANY, r#"{"tags":["b"]}"#],
    ),
    (
        // Who reads all of it reads what no schema declares.
        "{all: context.arguments}.all has name",
        &[
            "{}",
            r#"{"name":"x"}"#,
            r#"{"more":1}"#,
            r#"{"name":"x","more":1}"#,
        ],
    ),
    (
        "context.arguments has name && context.arguments.name like \"*z\"",
        &[r#"{"name":"xz"}"#, r#"{"name":"xy"}"#],
    ),
];

/// More numbers than Cedar is given, before a tag.
pub(super) const MANY: &str = "many";

#[test]
fn values_that_are_nearly_the_same_are_each_decided_for_themselves() {
    let many = format!(r#"{{"numbers":[{}1],"tags":["a"]}}"#, "1,".repeat(10_000));
    for (condition, texts) in HOSTILE {
        let (set, off) = both_of_put(condition);
        let texts: Vec<&str> = texts
            .iter()
            .map(|text| if *text == MANY { &many } else { *text })
            .collect();
        // Each after each, so that whatever was remembered last is there to be mistaken for it.
        for first in &texts {
            for second in &texts {
                for text in [first, second] {
                    let shown = &text[..text.len().min(80)];
                    assert_eq!(put(&set, text), put(&off, text), "{condition} {shown}");
                }
            }
        }
        let [hits, misses, _] = lookups(&set);
        assert!(hits > 0 && misses > 1, "{condition}: {hits} {misses}");
    }
}

#[test]
fn why_there_is_no_verdict_is_not_remembered() {
    let (set, off) =
        both_of_put("context.arguments has amount && context.arguments.amount == decimal(\"1.0\")");
    for amount in ["2", "0.00001", "2", "0.00001"] {
        let text = format!(r#"{{"amount":{amount}}}"#);
        let asked = put(&set, &text);
        assert_eq!(asked, put(&off, &text));
        let place = "amount".to_owned();
        let refused = AskError::UnrepresentableArgument { place };
        assert_eq!(asked.err(), (amount != "2").then_some(refused));
    }
    assert_eq!(lookups(&set), [1, 3, 0]);
    assert_eq!(set.decisions().known, 1);
}

#[test]
fn ten_thousand_numbers_that_nobody_reads_take_no_room_from_what_is_read() {
    let (set, _) = both_of_put("context.arguments has tags && context.arguments.tags.contains(\"a\")");
    let many = format!(r#"{{"numbers":[{}1],"tags":["a"]}}"#, "1,".repeat(10_000));
    let verdicts = put(&set, &many).unwrap();
    assert_eq!(
        (verdicts[0].outcome, verdicts[0].fired[0].id.as_str()),
        (Outcome::Forbidden, "no")
    );
    assert_eq!(lookups(&set), [0, 1, 0]);
}
