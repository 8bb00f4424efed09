//! Policies are reloaded and tokens come and go while others ask.

#![expect(clippy::arithmetic_side_effects, reason = "sums of a few questions")]

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Directories that say different things of the same calls.
const EDITS: [&str; 3] = [
    "@id(\"etc\") forbid (principal is User, action in Action::\"tools/call\", resource) when { context.arguments has path && context.arguments.path like \"/etc/*\" };\n",
    "@id(\"srv\") forbid (principal is User, action in Action::\"tools/call\", resource) when { context.arguments has path && context.arguments.path like \"/srv/*\" };\n",
    "@id(\"viewers\") forbid (principal in Role::\"mcp-viewer\", action, resource) when { context has session };\n",
];

#[test]
fn answers_are_those_of_the_set_that_gave_them_while_others_take_its_place() {
    let place = tempfile::TempDir::new().unwrap();
    for (path, bytes) in only(ALL).iter() {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let edit = |text: &str| {
        let new = place.path().join(".new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, place.path().join("edit.cedar")).unwrap();
    };
    edit(EDITS[0]);
    let settings = Settings {
        directory: place.path().to_owned(),
        ..Settings::default()
    };
    let store = PolicyStore::open(&settings, Vec::new(), now())
        .unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    // What each version says without remembering.
    let mut truth = HashMap::new();
    for text in EDITS {
        edit(text);
        let files = Files::read(place.path()).unwrap();
        let set = PolicySet::load(&files, &[]).unwrap();
        truth.insert(
            set.version().to_owned(),
            set.remembering(DecisionCache::Off, Arc::default()),
        );
    }
    let done = AtomicBool::new(false);
    let asked: usize = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3)
            .map(|seed| {
                scope.spawn({
                    let (store, truth, done) = (&store, &truth, &done);
                    move || ask_until(store, truth, done, seed)
                })
            })
            .collect();
        for round in 0..24 {
            edit(EDITS[round % EDITS.len()]);
            store.reload(now());
        }
        done.store(true, Ordering::Relaxed);
        askers.into_iter().map(|asker| asker.join().unwrap()).sum()
    });
    assert!(asked > 0 && store.status().loads > 12, "{asked}");
    let counted: u64 = store
        .current()
        .decisions()
        .lookups
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert_eq!(counted, asked as u64, "sets that are gone are counted, too");
}

/// Asks as tokens come and go, and holds each answer against that of the same set without a memory.
fn ask_until(
    store: &PolicyStore,
    truth: &HashMap<String, PolicySet>,
    done: &AtomicBool,
    seed: usize,
) -> usize {
    let server = default_server("workbench").unwrap();
    let calls = [
        tool("fs_read", r#"{"path":"/srv/a"}"#),
        tool("fs_read", r#"{"path":"/etc/a"}"#),
        tool("fs_list", r#"{"path":"/srv/a"}"#),
        tool("shell_list", "{}"),
    ];
    let fresh = |turn: usize| {
        let role = ["mcp-admin", "mcp-viewer"][turn % 2];
        caller(user("ada", &[role]), "/agent/trusted/1")
    };
    let mut callers = [fresh(0), fresh(1), fresh(0)];
    let mut asked = 0;
    while asked < 50 || !done.load(Ordering::Relaxed) {
        // A token expires or is revoked, and another takes its place: perhaps where its user lay.
        if asked % 7 == 0 {
            let gone = (asked / 7) % callers.len();
            callers[gone] = Caller::default();
            callers[gone] = fresh(asked / 7 + seed);
        }
        let set = store.current();
        let question = Question {
            session: (asked % 3 == 0).then_some("session-1"),
            ..question(
                &server,
                &callers[asked % callers.len()],
                &calls[asked % calls.len()],
            )
        };
        // Between the two answers the store may have gone on: the set is the same.
        assert_eq!(
            set.ask(&question),
            truth[set.version()].ask(&question),
            "{question:?}"
        );
        asked += 1;
    }
    asked
}
