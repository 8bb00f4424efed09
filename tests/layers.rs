//! A module imports only from the modules that a message has met before it: no arrow goes back.

#![expect(clippy::unwrap_used, reason = "a test may fail on the spot")]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in the order of the message, and what each may know.
const ORDER: [&str; 20] = [
    "clock",
    "fetch",
    "exchange",
    "spiffe",
    "state",
    "mcp",
    "inventory",
    "identity",
    "policy",
    "decide",
    "respond",
    "audit",
    "telemetry",
    "pipeline",
    "wire",
    "revocation",
    "config",
    "app",
    "dev",
    "cli",
];

/// What a wire may know: no stage, so that each decision is the same whichever wire it came by.
const WIRE_KNOWS: [&str; 3] = ["wire", "exchange", "clock"];

/// What a stage that only writes down may know of the stages: shared types, no decisions.
const TELEMETRY_KNOWS: [&str; 3] = ["telemetry", "exchange", "clock"];

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(source_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

fn is_test(file: &Path) -> bool {
    file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests")
}

/// The top-level module that a file belongs to; `None` for lib.rs and main.rs.
fn room(file: &Path) -> Option<String> {
    let below = file.strip_prefix("src").ok()?;
    let first = below
        .components()
        .next()?
        .as_os_str()
        .to_str()?
        .trim_end_matches(".rs")
        .to_owned();
    (first != "lib" && first != "main").then_some(first)
}

/// Every module named after `crate::`, in code and not in comments.
fn known(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| {
        line.split("crate::")
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    })
    .flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => list.split(',').map(first_word).collect(),
        None => vec![first_word(&rest)],
    })
    .filter(|word| ORDER.contains(&word.as_str()))
    .collect()
}

fn first_word(text: &str) -> String {
    text.trim()
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

fn may_know(room: &str, other: &str) -> bool {
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    match room {
        "wire" => WIRE_KNOWS.contains(&other),
        "telemetry" => TELEMETRY_KNOWS.contains(&other),
        _ => place(other) <= place(room),
    }
}

#[test]
fn no_import_goes_against_the_arrows() {
    let mut wrong = Vec::new();
    for file in source_files(Path::new("src")) {
        let Some(room) = room(&file) else { continue };
        assert!(
            ORDER.contains(&room.as_str()),
            "{} is in no known room: name it in ORDER",
            file.display()
        );
        let text = fs::read_to_string(&file).unwrap();
        for other in known(&text) {
            if !may_know(&room, &other) {
                wrong.push(format!("{}: {room} imports {other}", file.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the arrows:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_check_sees_an_import_against_the_arrows() {
    assert_eq!(
        known("use crate::{decide, mcp::Call};\n// use crate::cli;\nlet x = crate::wire::y();"),
        ["decide", "mcp", "wire"]
    );
    assert!(!may_know("mcp", "decide") && !may_know("wire", "pipeline") && may_know("decide", "mcp"));
}

/// Where a version of MCP may be named: the properties in which versions differ, and the table of methods.
const NAMES_VERSIONS: [&str; 2] = ["src/mcp/version.rs", "src/mcp/methods.rs"];

/// The lines of a file that name one version of MCP, without comments and without its tests.
fn names_a_version(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//") && line.contains("V20"))
        .collect()
}

#[test]
fn what_depends_on_a_version_asks_for_a_property() {
    let mut wrong = Vec::new();
    for file in source_files(Path::new("src"))
        .into_iter()
        .filter(|file| !is_test(file))
    {
        if NAMES_VERSIONS.iter().any(|name| file == Path::new(name)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for line in names_a_version(&text) {
            wrong.push(format!("{}: {}", file.display(), line.trim()));
        }
    }
    assert!(
        wrong.is_empty(),
        "ask a property of src/mcp/version.rs, which every version has to answer:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_check_sees_a_version_that_is_named() {
    let text = "use Version::V2025_03_26 as FIRST;\n// V2025_03_26\nif version == Version::V2026_07_28 {}\n\
                #[cfg(test)]\nmod tests { V2026_07_28 }";
    assert_eq!(
        names_a_version(text),
        [
            "use Version::V2025_03_26 as FIRST;",
            "if version == Version::V2026_07_28 {}"
        ]
    );
}

#[test]
fn folders_have_a_sibling_file_and_no_mod_rs() {
    for file in source_files(Path::new("src")) {
        assert_ne!(
            file.file_name().unwrap(),
            "mod.rs",
            "{}: use a sibling file",
            file.display()
        );
    }
}

#[test]
fn every_file_says_in_its_head_what_it_is_about() {
    for file in source_files(Path::new("src"))
        .into_iter()
        .filter(|file| !is_test(file))
    {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("//!"),
            "{}: begin with a `//!` line",
            file.display()
        );
    }
}
