//! What the program is built from: one version of each direct dependency, and none of the crates that we keep out.

#![expect(clippy::unwrap_used, reason = "a test may fail on the spot")]

use std::collections::BTreeMap;
use std::fs;

/// Crates that must not be in the tree, and why.
const KEPT_OUT: [(&str, &str); 5] = [
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    (
        "rsa",
        "timing side channel (RUSTSEC-2023-0071): RSA is verified by aws-lc",
    ),
    ("serde_yaml", "no longer maintained: YAML is serde-saphyr"),
];

/// Every package of Cargo.lock with its versions.
fn locked() -> BTreeMap<String, Vec<String>> {
    let lock = fs::read_to_string("Cargo.lock").unwrap();
    let field = |package: &str, name: &str| {
        let line = package
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} = \"")))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let (name, version) = (
            field(package, "name").unwrap(),
            field(package, "version").unwrap(),
        );
        versions.entry(name).or_default().push(version);
    }
    versions
}

/// The names in `[dependencies]` and `[dev-dependencies]`.
fn direct() -> Vec<String> {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let mut names = Vec::new();
    let mut within = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            within = matches!(line, "[dependencies]" | "[dev-dependencies]");
        } else if let (true, Some((name, _))) = (within, line.split_once(" = ")) {
            names.push(name.to_owned());
        }
    }
    names
}

#[test]
fn each_direct_dependency_is_there_in_one_version() {
    let (locked, direct) = (locked(), direct());
    assert!(direct.len() > 30, "the manifest was not understood: {direct:?}");
    // Others bring an older one of these; what we ask for ourselves is the newest.
    let known = ["base64"];
    let twice: Vec<_> = direct
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .filter(|name| locked.get(*name).is_none_or(|versions| versions.len() != 1))
        .map(|name| format!("{name}: {:?}", locked.get(name)))
        .collect();
    assert!(twice.is_empty(), "not exactly one version:\n{}", twice.join("\n"));
}

#[test]
fn what_is_kept_out_is_out() {
    let locked = locked();
    for (name, why) in KEPT_OUT {
        assert!(!locked.contains_key(name), "{name} is in the tree: {why}");
    }
}
