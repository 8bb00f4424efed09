//! Small policy directories for the tests of these commands.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Color, Output, Terminal};
use crate::inventory::{Files, Problem};

/// The policies that are shipped.
pub(super) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// The shipped tools, entities and base schema, with these files and no other policies and tests.
pub(super) fn directory(own: &[(&str, &str)]) -> TempDir {
    let place = TempDir::new().unwrap();
    let default = Files::read(&shipped()).unwrap();
    let kept = default.iter().filter(|(path, _)| {
        !path.starts_with("tests/") && Path::new(path).extension().is_none_or(|end| end != "cedar")
    });
    let own = own.iter().map(|(path, text)| (*path, text.as_bytes()));
    for (path, bytes) in kept.chain(own) {
        let path = place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    place
}

/// As a person sees it, without colours.
pub(super) fn plain() -> Terminal {
    Terminal::new(Output::Table, Color::Never)
}

/// Problems as a person sees them.
pub(super) fn rendered<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> String {
    let each = problems
        .into_iter()
        .map(|problem| plain().rendered(&problem.clone().into()));
    each.collect::<Vec<_>>().join("\n")
}
