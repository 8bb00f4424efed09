//! The reader beside the parsers that servers use: thousands of texts, one process for each parser.

use std::path::PathBuf;
use std::process::Command;

use mcp_authz::mcp::json::{Value, read};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};

use super::canonical::{self, Numbers};
use super::texts;

/// How many texts, for each case of proptest's (`PROPTEST_CASES`, 256 by default).
const TEXTS_A_CASE: u32 = 12;

/// Texts that are read, and what was read: some as the profile allows them, some damaged.
fn read_texts() -> Vec<(Vec<u8>, Value)> {
    let mut runner = TestRunner::new(Config::default());
    let mut new = |strategy: &dyn Fn(&mut TestRunner) -> Vec<u8>| strategy(&mut runner);
    let whole = |runner: &mut TestRunner| texts::text().new_tree(runner).unwrap().current().into_bytes();
    let damaged = |runner: &mut TestRunner| texts::damaged().new_tree(runner).unwrap().current();
    let mut kept = Vec::new();
    let mut survivors = 0;
    let count = Config::default().cases * TEXTS_A_CASE;
    for place in 0..count {
        let is_damaged = place % 3 != 0;
        let bytes = if is_damaged { new(&damaged) } else { new(&whole) };
        match read(&bytes, texts::MAX_NESTING) {
            Ok(value) => {
                survivors += u32::from(is_damaged);
                kept.push((bytes, value));
            }
            Err(fault) => assert!(is_damaged, "{fault:?}: {}", String::from_utf8_lossy(&bytes)),
        }
    }
    // Else the damage would only ever be refused, and nothing compared.
    assert!(survivors > count / 50, "{survivors} of {count}");
    kept
}

/// What a parser of another language reads of the same texts.
fn compare(command: &mut Command, numbers: Numbers) {
    let kept = read_texts();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("texts");
    let mut lines = String::new();
    for (bytes, _) in &kept {
        lines.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
        lines.push('\n');
    }
    std::fs::write(&file, lines).unwrap();
    let output = command.arg(&file).output().expect("the parser starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.lines().count(), kept.len());
    for ((bytes, value), theirs) in kept.iter().zip(theirs.lines()) {
        let ours = canonical::of(value, numbers);
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(bytes));
    }
}

fn beside(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/differential")
        .join(file)
}

#[test]
fn what_is_read_pythons_json_reads_alike() {
    compare(
        Command::new("python3").arg(beside("read.py")).arg("json"),
        Numbers::Exact,
    );
}

#[test]
fn what_is_read_the_python_sdks_parser_reads_alike() {
    let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/python");
    compare(
        Command::new(python).arg(beside("read.py")).arg("pydantic"),
        Numbers::Exact,
    );
}

#[test]
fn what_is_read_javascripts_json_parse_reads_alike() {
    compare(Command::new("node").arg(beside("read.mjs")), Numbers::Doubles);
}
