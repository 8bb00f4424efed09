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
            let permitted = of(&permitted, |place| place.0 == *revision);
            let mut outcome = Outcome::of(revision, directly, through);
            for scenario in outcome.doubtful(&permitted) {
                outcome.differences.retain(|place, _| place.1 != scenario);
                outcome.unsound.retain(|place| place.1 != scenario);
                let again = again(ground, revision, &scenario, &permitted);
                outcome.differences.extend(again.differences);
                outcome.unsound.extend(again.unsound);
            }
            assert!(outcome.unsound.is_empty(), "directly: {:?}", outcome.unsound);
            assert_eq!(outcome.differences, permitted, "left: found, right: permitted");
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

/// What a run in both ways came to.
#[derive(Default)]
struct Outcome {
    differences: Differences,
    /// A server that fails a check directly would hide what the gateway does to it. Of what the suite knows, the SDK
    /// lacks the extension for tasks only.
    unsound: BTreeSet<Place>,
}

impl Outcome {
    fn of(revision: &str, directly: &Results, through: &Results) -> Self {
        let named =
            |(scenario, check): &(String, String)| (revision.to_owned(), scenario.clone(), check.clone());
        let statuses = |results: &Results, place| results.get(place).cloned().unwrap_or_default();
        let places: BTreeSet<_> = directly.keys().chain(through.keys()).collect();
        let differing = places
            .into_iter()
            .filter(|place| directly.get(*place) != through.get(*place));
        let unsound = directly.iter().filter(|((scenario, _), statuses)| {
            let failed = statuses
                .iter()
                .any(|status| status == "FAILURE" || status == "WARNING");
            failed && !scenario.starts_with("tasks-")
        });
        Self {
            differences: differing
                .map(|place| {
                    (
                        named(place),
                        (statuses(directly, place), statuses(through, place)),
                    )
                })
                .collect(),
            unsound: unsound.map(|(place, _)| named(place)).collect(),
        }
    }

    /// The scenarios that came out otherwise than they may.
    fn doubtful(&self, permitted: &Differences) -> BTreeSet<String> {
        let places = self.differences.keys().chain(permitted.keys());
        let other = places.filter(|place| self.differences.get(*place) != permitted.get(*place));
        let doubtful = other.chain(&self.unsound);
        doubtful.map(|(_, scenario, _)| scenario.clone()).collect()
    }
}

/// Some checks give a server half a second: what comes out otherwise on a busy machine is asked again, alone. What the
/// gateway changes, it changes each time.
fn again(ground: &Ground, revision: &str, scenario: &str, permitted: &Differences) -> Outcome {
    let permitted = of(permitted, |place| place.1 == scenario);
    let mut outcome = Outcome::default();
    for _ in 0..3 {
        let [directly, through] =
            [&ground.directly, &ground.through].map(|url| ground.run(url, revision, Some(scenario)));
        outcome = Outcome::of(revision, &directly, &through);
        if outcome.doubtful(&permitted).is_empty() {
            break;
        }
    }
    outcome
}
