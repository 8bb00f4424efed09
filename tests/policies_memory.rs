//! What a policy directory takes once it rules, by the kernel's account: with the binary's allocator, in a process of its own.

#![expect(clippy::unwrap_used, reason = "a test may fail on the spot")]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]
#![cfg(target_os = "linux")]

use std::path::Path;

use mcp_authz::clock;
use mcp_authz::policy::{PolicyStore, Settings};

use resident::resident;

#[path = "../examples/bench/grown.rs"]
mod grown;
#[path = "memory/resident.rs"]
mod resident;

/// A store of so many policies over so many tools besides the shipped ones, and what it takes.
fn opened(policies: usize, tools: usize) -> (PolicyStore, u64) {
    let directory = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for (path, text) in grown::grown(&shipped, policies, tools).unwrap() {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let settings = Settings {
        directory: directory.path().to_owned(),
        ..Settings::default()
    };
    let before = resident();
    let store = PolicyStore::open(&settings, Vec::new(), clock::now()).unwrap();
    (store, resident().saturating_sub(before))
}

#[test]
fn a_thousand_policies_take_so_little_that_ten_thousand_tokens_go_beside_them() {
    const MEGABYTE: u64 = 1 << 20;
    // What is there once, whatever follows: Cedar's tables, the shipped directory.
    let (shipped, once) = opened(0, 0);
    let (thousand, took) = opened(1_000, 100);
    println!(
        "the first load takes {} kB, {} policies over {} servers {} kB",
        once / 1024,
        thousand.current().len(),
        thousand.current().inventory().iter().count(),
        took / 1024
    );
    assert_eq!(thousand.current().len(), shipped.current().len() + 1_000);
    // 60 MB with 10,000 tokens, which take 22.
    assert!(took < 30 * MEGABYTE, "{took}");
}

/// `cargo test --test policies_memory -- --ignored --nocapture`
#[test]
#[ignore = "prints what ten thousand take"]
fn ten_thousand_policies() {
    let (_shipped, once) = opened(0, 0);
    let (many, took) = opened(10_000, 500);
    println!(
        "the first load takes {} kB, {} policies {} kB",
        once / 1024,
        many.current().len(),
        took / 1024
    );
}
