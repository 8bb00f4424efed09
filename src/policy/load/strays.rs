//! Files of the directory that nothing reads: silence about them would be taken for consent.

use crate::inventory::problem::code;
use crate::inventory::{Files, Problem};

/// What stands in the directory itself, beside the policies.
const KNOWN: [&str; 3] = ["base.cedarschema", "entities.json", "links.json"];
const FOLDERS: [&str; 3] = ["tools", "tests", "invariants"];

/// Every file that rules nothing, tests nothing and describes nothing.
pub(in crate::policy) fn check(files: &Files) -> Vec<Problem> {
    let found = files.iter().filter_map(|(path, _)| stray(path));
    found.map(|problem| problem.code(code::STRAY_FILE)).collect()
}

fn stray(path: &str) -> Option<Problem> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let problem = match (folder, ending) {
        ("", "cedar") | ("tests", "yaml" | "yml") => return None,
        ("", _) if KNOWN.contains(&name) => return None,
        // What is wrong in there, the inventory says; what must hold is proved elsewhere.
        ("tools" | "invariants", _) => return None,
        ("", _) => Problem::new(path, "nothing reads this file").suggest(name, KNOWN),
        (_, "cedar") => Problem::new(path, "policies in folders are not read")
            .help("move the file into the policy directory itself"),
        _ if folder.starts_with("tests") => {
            Problem::new(path, "nothing reads this file").help("tests are files `tests/<name>.yaml`")
        }
        _ => Problem::new(path, "nothing reads this file").suggest(folder, FOLDERS),
    };
    Some(match problem.help {
        Some(_) => problem,
        None => problem.help("see docs/policy-reference.md for what a policy directory holds"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_nothing_reads_are_refused_with_what_was_perhaps_meant() {
        for (path, help) in [
            ("a.cedar", None),
            ("base.cedarschema", None),
            ("entities.json", None),
            ("tests/a.yaml", None),
            ("tools/a.json", None),
            ("invariants/a.cedar", None),
            ("entites.json", Some("did you mean `entities.json`?")),
            ("base.cedarshema.json", Some("did you mean `base.cedarschema`?")),
            ("test/a.yaml", Some("did you mean `tests`?")),
            ("tests/more/a.yaml", Some("tests are files `tests/<name>.yaml`")),
            ("tests/a.json", Some("tests are files `tests/<name>.yaml`")),
            (
                "team/a.cedar",
                Some("move the file into the policy directory itself"),
            ),
            (
                "notes.yaml",
                Some("see docs/policy-reference.md for what a policy directory holds"),
            ),
        ] {
            let found = stray(path);
            assert_eq!(found.and_then(|problem| problem.help).as_deref(), help, "{path}");
        }
    }
}
