//! The policy stage as a whole.

use std::path::{Path, PathBuf};

use super::*;
use crate::inventory::{Files, Problem};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn shown(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem} [{}]\n", problem.help.as_deref().unwrap_or("")))
        .collect()
}

#[test]
fn the_default_directory_loads_and_passes_its_own_tests() {
    let files = Files::read(&directory()).unwrap();
    let set = PolicySet::load(&files, &[]).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert!(set.tests().cases() > 250, "{}", set.tests().cases());
    assert_eq!(set.warnings(), []);
}
