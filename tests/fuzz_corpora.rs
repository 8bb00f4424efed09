//! Every input that a fuzzer kept, and every one that ever broke a check, on the stable toolchain.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may fail on the spot; the checks are a library to the fuzz targets"
)]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod checks;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Replays one target's files; says how many there were.
fn replay(target: &str) -> usize {
    let (_, check) = checks::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let mut broken = Vec::new();
    let mut count = 0;
    for kept in ["corpora", "regressions"] {
        for file in files(&Path::new("fuzz").join(kept).join(target)) {
            let bytes = fs::read(&file).unwrap();
            count += 1;
            if catch_unwind(|| check(&bytes)).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "cargo fuzz run {target} … {broken:?}");
    count
}

#[test]
fn the_readers_corpus_is_read_as_serde_json_reads_it() {
    assert!(replay("reader") > 20);
}

#[test]
fn the_messages_corpus_is_read_as_the_laxest_parser_reads_it() {
    assert!(replay("message") > 20);
}

#[test]
fn the_headers_corpus_loses_no_field_and_chooses_none() {
    assert!(replay("headers") > 20);
}

#[test]
fn the_certificates_corpus_names_nobody_but_the_only_one() {
    assert!(replay("xfcc") > 10);
}

#[test]
fn the_spiffe_ids_corpus_names_a_workload_in_one_spelling_wherever_it_stands() {
    assert!(replay("spiffe_ids") > 40);
    // Else the check of those that are taken would check nothing.
    let ids = files(Path::new("fuzz/corpora/spiffe_ids"));
    let taken = ids
        .iter()
        .filter(|file| checks::spiffe_ids::is_taken(&fs::read(file).unwrap()));
    assert!(taken.count() > 5);
}

#[test]
fn the_tokens_corpus_holds_no_forgery_that_is_believed() {
    assert!(replay("tokens") > 10);
}

#[test]
fn the_proofs_corpus_holds_none_that_is_taken_and_says_the_wrong_thing() {
    assert!(replay("proofs") > 10);
    // Else the check of those that are taken would check nothing.
    let taken = files(Path::new("fuzz/corpora/proofs"));
    let taken = taken
        .iter()
        .filter(|file| checks::proofs::is_taken(&fs::read(file).unwrap()));
    assert!(taken.count() > 5);
}

#[test]
fn the_checks_corpus_is_answered_and_allowed_only_with_proof() {
    assert!(replay("check_request") > 20);
}

#[test]
fn the_corpora_hold_calls_that_are_allowed() {
    // Else the check that a yes has its proof would check nothing.
    let allowed = files(Path::new("fuzz/corpora/check_request"));
    let allowed = allowed
        .iter()
        .filter(|file| checks::check_request::allows(&fs::read(file).unwrap()));
    assert!(allowed.count() > 2);
}

#[test]
fn every_target_is_built_and_replayed() {
    let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
    let built = manifest.matches("path = \"targets/").count();
    assert_eq!(built, checks::TARGETS.len());
    for (name, _) in checks::TARGETS {
        assert!(
            Path::new("fuzz/targets").join(name).with_extension("rs").exists(),
            "{name}"
        );
        assert!(
            include_str!("fuzz_corpora.rs").contains(&format!("replay(\"{name}\")")),
            "{name}"
        );
    }
}
