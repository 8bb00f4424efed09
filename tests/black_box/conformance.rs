//! The MCP conformance suite at a server, directly and through Envoy and mcp-authz: the same results, but for the
//! differences that `tests/clients/conformance/differences.yaml` permits.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::parts::conformance::{Ground, Results};
use crate::parts::{self, repository};

const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// A check may come out differently through the gateway.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permitted {
    revision: String,
    scenario: String,
    check: String,
    directly: Vec<String>,
    through: Vec<String>,
    reason: String,
}

/// Revision, scenario, check.
type Place = (String, String, String);

/// What came out directly, and what through the gateway.
type Differences = BTreeMap<Place, (Vec<String>, Vec<String>)>;

#[test]
fn the_conformance_suite_finds_the_same_server_behind_the_gateway() {
    parts::run(async {
        let permitted = permitted();
        let ground = &Ground::prepare().await;
        let ways = [&ground.directly, &ground.through];
        let runs = std::thread::scope(|scope| {
            let run = |revision| ways.map(|url| scope.spawn(move || ground.run(url, revision, None)));
            REVISIONS.map(run).map(|ways| ways.map(|way| way.join().unwrap()))
        });
        for (revision, [directly, through]) in REVISIONS.iter().zip(&runs) {
            assert_sound(revision, directly);
            let permitted = of(&permitted, |place| place.0 == *revision);
            let mut found = differences(revision, directly, through);
            for scenario in otherwise(&found, &permitted) {
                found.retain(|place, _| place.1 != scenario);
                let permitted = of(&permitted, |place| place.1 == scenario);
                found.extend(again(ground, revision, &scenario, &permitted));
            }
            assert_eq!(found, permitted, "left: found, right: permitted");
        }
        let decided = std::fs::read_to_string(ground.audit()).unwrap().lines().count();
        assert!(decided > 200, "only {decided} decisions");
    });
}

fn permitted() -> Differences {
    let path = repository().join("tests/clients/conformance/differences.yaml");
    let listed: Vec<Permitted> = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let known = listed
        .iter()
        .all(|one| REVISIONS.contains(&one.revision.as_str()));
    assert!(known, "a revision that nobody runs: {listed:?}");
    assert!(listed.iter().all(|one| one.reason.contains(' ')), "{listed:?}");
    let entry = |one: Permitted| {
        (
            (one.revision, one.scenario, one.check),
            (one.directly, one.through),
        )
    };
    listed.into_iter().map(entry).collect()
}

fn of(differences: &Differences, which: impl Fn(&Place) -> bool) -> Differences {
    let chosen = differences.iter().filter(|(place, _)| which(place));
    chosen
        .map(|(place, both)| (place.clone(), both.clone()))
        .collect()
}

/// A server that fails a check directly would hide what the gateway does to it. Of what the suite knows, the SDK lacks
/// the extension for tasks only.
fn assert_sound(revision: &str, directly: &Results) {
    for ((scenario, check), statuses) in directly {
        let failed = statuses
            .iter()
            .any(|status| status == "FAILURE" || status == "WARNING");
        assert!(
            !failed || scenario.starts_with("tasks-"),
            "{revision} {scenario} {check}: {statuses:?}"
        );
    }
}

fn differences(revision: &str, directly: &Results, through: &Results) -> Differences {
    let places = directly.keys().chain(through.keys());
    let differing = places.filter(|place| directly.get(*place) != through.get(*place));
    let difference = |place: &(String, String)| {
        let of = |results: &Results| results.get(place).cloned().unwrap_or_default();
        let (scenario, check) = place.clone();
        (
            (revision.to_owned(), scenario, check),
            (of(directly), of(through)),
        )
    };
    differing.map(difference).collect()
}

/// The scenarios with other differences than are permitted.
fn otherwise(found: &Differences, permitted: &Differences) -> BTreeSet<String> {
    let places = found.keys().chain(permitted.keys());
    let other = places.filter(|place| found.get(*place) != permitted.get(*place));
    other.map(|(_, scenario, _)| scenario.clone()).collect()
}

/// Some checks give a server half a second: what comes out otherwise on a busy machine is asked again, alone. What the
/// gateway changes, it changes each time.
fn again(ground: &Ground, revision: &str, scenario: &str, permitted: &Differences) -> Differences {
    let mut found = Differences::new();
    for _ in 0..3 {
        let [directly, through] =
            [&ground.directly, &ground.through].map(|url| ground.run(url, revision, Some(scenario)));
        found = differences(revision, &directly, &through);
        if found == *permitted {
            break;
        }
    }
    found
}
