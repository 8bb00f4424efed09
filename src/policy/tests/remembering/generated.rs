//! Whatever the policies, the callers and the calls, one after another: what is remembered is what Cedar would say.
//!
//! `DIFFERENTIAL_CASES=1000000 cargo test --lib remembering::generated` takes as many questions as you like.

#![expect(clippy::arithmetic_side_effects, reason = "sums of a few questions")]

use proptest::prelude::*;
use proptest::sample::select;

use super::hostile::{HOSTILE, MANY, both_about_put};
use super::*;
use crate::identity::{Acting, Actor, Agent};
use crate::inventory::Requirement;

/// Questions that are asked if nobody says how many.
const CASES: usize = 3840;
/// Those of them that go to one set of policies, one after another.
const TURNS: usize = 80;

const SCOPES: [&str; 6] = [
    "principal, action, resource",
    "principal is User, action, resource",
    "principal in Role::\"mcp-viewer\", action == Action::\"workbench/put\", resource",
    "principal is Workload, action in Action::\"tools/call\", resource",
    "principal in TrustTier::\"trusted\", action, resource in Server::\"workbench\"",
    "principal == Agent::\"https://issuer.example#client:reporter\", action, resource",
];
/// What policies read: of the caller, of the call, the time. The ones on arguments stand behind the tool's own scope.
const READ: [&str; 8] = [
    "true",
    "context has session && context.session == Session::\"s1\"",
    "context has session",
    "context.request.version == \"2025-11-25\"",
    "context.request has address && context.request.address.isInRange(ip(\"192.0.2.0/24\"))",
    "context.now < datetime(\"2026-03-01T10:00:02Z\")",
    "context has agent && context has workload && context.workload in TrustTier::\"trusted\"",
    "principal has authenticated && context.now.durationSince(principal.authenticated) < duration(\"5s\")",
];

fn policies() -> impl Strategy<Value = String> {
    let put = "principal, action == Action::\"workbench/put\", resource";
    let plain = (select(&SCOPES), select(&READ[..7]))
        .prop_map(|(scope, read)| format!("({scope}) when {{ {read} }}"));
    let login = Just(format!(
        "(principal is User, action, resource) when {{ {} }}",
        READ[7]
    ));
    let arguments =
        select(&HOSTILE).prop_map(move |(condition, _)| format!("({put}) when {{ {condition} }}"));
    let body = prop_oneof![4 => plain, 1 => login, 6 => arguments];
    let effect = select(&["permit", "permit", "forbid", "@shadow forbid", "@shadow permit"]);
    prop::collection::vec((effect, body), 1..6).prop_map(|policies| {
        let lines: Vec<String> = policies
            .iter()
            .enumerate()
            .map(|(number, (effect, body))| format!("@id(\"p{number}\") {effect} {body};\n"))
            .collect();
        lines.concat()
    })
}

/// What one call brings.
#[derive(Debug, Clone)]
struct Turn {
    arguments: &'static str,
    session: Option<&'static str>,
    address: Option<&'static str>,
    version: Version,
    seconds: i64,
    caller: usize,
    /// The caller's token is gone, and another one of this role is there.
    renewed: Option<&'static str>,
}

fn turn() -> impl Strategy<Value = Turn> {
    let texts: Vec<&str> = HOSTILE
        .iter()
        .flat_map(|(_, texts)| texts.iter().copied())
        .filter(|text| *text != MANY)
        .collect();
    (
        select(texts),
        select(&[None, Some("s1"), Some("s2")]),
        select(&[
            None,
            Some("192.0.2.7"),
            Some("::ffff:192.0.2.7"),
            Some("198.51.100.1"),
        ]),
        select(&[Version::V2025_06_18, Version::V2025_11_25]),
        0..4_i64,
        0..4_usize,
        prop::option::weighted(0.2, select(&["mcp-admin", "mcp-viewer"])),
    )
        .prop_map(
            |(arguments, session, address, version, seconds, caller, renewed)| Turn {
                arguments,
                session,
                address,
                version,
                seconds,
                caller,
                renewed,
            },
        )
}

fn somebody(place: usize, role: &str) -> Caller {
    let mut caller = caller(
        user("ada", &[role]),
        ["/agent/trusted/1", "/agent/untrusted"][place % 2],
    );
    if let Some(user) = caller.user.as_mut().and_then(Arc::get_mut) {
        user.authenticated = (role == "mcp-admin").then(now);
    }
    caller.actor = (place > 1).then(|| {
        Arc::new(Actor {
            current: Acting::Agent(Agent::client("https://issuer.example", "reporter")),
            earlier: Vec::new(),
        })
    });
    caller
}

fn config() -> ProptestConfig {
    let cases = std::env::var("DIFFERENTIAL_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    ProptestConfig {
        cases: u32::try_from(cases.div_ceil(TURNS)).unwrap(),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_remembered_is_what_would_be_said(
        policies in policies(),
        turns in prop::collection::vec(turn(), TURNS),
    ) {
        let (set, off) = both_about_put(&policies);
        let mut server = default_server("workbench").unwrap();
        server.undeclared_arguments = true;
        let mut asking = server.clone();
        asking.require.push(Requirement::Actor);
        let mut callers: Vec<Caller> = (0..4).map(|place| somebody(place, "mcp-admin")).collect();
        let mut looked = 0;
        for turn in turns {
            if let Some(role) = turn.renewed {
                callers[turn.caller] = Caller::default();
                callers[turn.caller] = somebody(turn.caller, role);
            }
            let caller = &callers[turn.caller];
            let call = tool("put", turn.arguments);
            let server = if caller.actor.is_some() && turn.seconds % 2 == 0 { &asking } else { &server };
            let question = Question {
                session: turn.session,
                address: turn.address.map(|address| address.parse().unwrap()),
                version: turn.version,
                now: now().checked_add(jiff::SignedDuration::from_secs(turn.seconds)).unwrap(),
                ..question(server, caller, &call)
            };
            let asked = set.ask(&question);
            prop_assert_eq!(&asked, &off.ask(&question), "{:?} {}", turn, policies);
            looked += u64::from(!matches!(asked, Err(AskError::Arguments(_))));
        }
        prop_assert_eq!(lookups(&set).iter().sum::<u64>(), looked);
    }
}
