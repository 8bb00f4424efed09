//! `policy validate`: everything that is wrong with a policy directory, and what an author should look at.

use comfy_table::Cell;
use serde_json::{Value, json};

use super::{Directory, counted, list, refused};
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::{Files, Problem, Server};
use crate::policy::PolicySet;

/// Check a policy directory as `serve` would before it rules: policies, tools, entities and tests
///
/// Beyond that, it warns of what rules but may not say what is meant: policies that no call can reach, that say the same as
/// another or less, that are always overridden, and that stop callers without a reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz policy validate
  mcp-authz policy validate policies --deny-warnings
  mcp-authz policy validate policies --output json")]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,

    /// Exit with 1 on warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

/// A directory that was loaded, with all that should be looked at.
struct Valid {
    set: PolicySet,
    warnings: Vec<Problem>,
}

pub(super) fn run(args: &Args, servers: &[Server], terminal: Terminal) -> miette::Result<Outcome> {
    let files = match Files::read(&args.directory.directory) {
        Ok(files) => files,
        Err(problems) => return Err(terminal.last(problems)),
    };
    let found = check(&files, servers);
    match terminal.output() {
        Output::Json => terminal.json(&to_json(&found, args.deny_warnings))?,
        Output::Table => say(&found, args.deny_warnings, terminal)?,
    }
    Ok(Outcome::from(
        found.is_ok_and(|found| found.holds(args.deny_warnings)),
    ))
}

fn check(files: &Files, servers: &[Server]) -> Result<Valid, Vec<Problem>> {
    let set = PolicySet::load_and_test(files, servers)?;
    let mut warnings = set.warnings().to_vec();
    warnings.extend(set.lint(files, servers)?);
    Ok(Valid { set, warnings })
}

impl Valid {
    /// What is to be shown.
    fn all(&self) -> impl Iterator<Item = &Problem> {
        let failures = self.set.tests().failures.iter();
        failures.map(|failure| &failure.problem).chain(&self.warnings)
    }

    fn holds(&self, deny_warnings: bool) -> bool {
        self.set.tests().failures.is_empty() && (self.warnings.is_empty() || !deny_warnings)
    }
}

fn say(found: &Result<Valid, Vec<Problem>>, deny_warnings: bool, terminal: Terminal) -> miette::Result<()> {
    let found = match found {
        Ok(found) => found,
        Err(problems) => return refused(problems, terminal),
    };
    for problem in found.all() {
        terminal.failure(&problem.clone().into());
    }
    terminal.print(text(found, deny_warnings, terminal))
}

/// What is printed when all problems were shown.
fn text(found: &Valid, deny_warnings: bool, terminal: Terminal) -> String {
    format!(
        "{}\n{}",
        table(&found.set, terminal),
        verdict(found, deny_warnings)
    )
}

fn table(set: &PolicySet, terminal: Terminal) -> comfy_table::Table {
    let mut table = terminal.table(["policies", "servers", "tools", "tests", "version"]);
    let tools: usize = set.inventory().iter().map(|server| server.iter().count()).sum();
    table.add_row([
        Cell::new(set.len()),
        Cell::new(set.inventory().iter().count()),
        Cell::new(tools),
        Cell::new(counted(set.tests())),
        Cell::new(set.short_version()),
    ]);
    table
}

fn verdict(found: &Valid, deny_warnings: bool) -> String {
    let warnings = match found.warnings.len() {
        1 => "1 warning".to_owned(),
        several => format!("{several} warnings"),
    };
    if !found.set.tests().failures.is_empty() {
        "not valid: its own tests fail".to_owned()
    } else if found.warnings.is_empty() {
        "valid: this directory may rule".to_owned()
    } else if deny_warnings {
        format!("not valid: {warnings}, and --deny-warnings")
    } else {
        format!("valid: this directory may rule, with {warnings}")
    }
}

fn to_json(found: &Result<Valid, Vec<Problem>>, deny_warnings: bool) -> Value {
    match found {
        Err(problems) => json!({ "valid": false, "problems": list(problems) }),
        Ok(found) => {
            let set = &found.set;
            let failures = &set.tests().failures;
            json!({
                "valid": found.holds(deny_warnings),
                "version": set.version(),
                "policies": set.len(),
                "tests": set.tests().cases(),
                "failed": failures.len(),
                "problems": list(failures.iter().map(|failure| &failure.problem)),
                "warnings": list(&found.warnings),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::{directory, plain, rendered, shipped};
    use super::*;
    use crate::cli::Color;

    fn found(place: &Path) -> Result<Valid, Vec<Problem>> {
        check(&Files::read(place).unwrap(), &[])
    }

    fn validate(place: &Path, deny_warnings: bool, output: Output) -> miette::Result<Outcome> {
        let args = Args {
            directory: Directory {
                directory: place.to_owned(),
            },
            deny_warnings,
        };
        run(&args, &[], Terminal::new(output, Color::Never))
    }

    #[test]
    fn yes_no_and_could_not_tell_are_told_apart() {
        let place = tempfile::TempDir::new().unwrap();
        for output in [Output::Table, Output::Json] {
            assert_eq!(validate(&shipped(), true, output).unwrap(), Outcome::Yes);
            assert_eq!(validate(place.path(), false, output).unwrap(), Outcome::No);
            assert!(validate(&place.path().join("nowhere"), false, output).is_err());
        }
    }

    #[test]
    fn warnings_deny_where_that_is_wanted() {
        let tool = r#"{ "tools": [{ "name": "t", "inputSchema": { "type": "object" } }] }"#;
        let place = directory(&[("tools/own.json", tool)]);
        for output in [Output::Table, Output::Json] {
            assert_eq!(validate(place.path(), false, output).unwrap(), Outcome::Yes);
            assert_eq!(validate(place.path(), true, output).unwrap(), Outcome::No);
        }
        let found = found(place.path()).unwrap();
        let said = to_json(&Ok(found), true);
        assert_eq!((&said["valid"], &said["problems"]), (&json!(false), &json!([])));
        assert_eq!(
            (&said["warnings"][0]["severity"], &said["warnings"][0]["code"]),
            (&json!("warning"), &json!("unclassified_tool"))
        );
    }

    const ODD: &str = "\
@id(\"viewers\")
permit (principal in Role::\"mcp-viewer\", action in Action::\"read\", resource in Server::\"workbench\");

@id(\"viewers-of-databases\")
@reason(\"Viewers may read databases\")
permit (principal in Role::\"mcp-viewer\", action == Action::\"workbench/db_read\", resource)
when { context.arguments has limit };

@id(\"nowhere\")
permit (principal, action in Action::\"admin\", resource in Server::\"info\");

@id(\"no-shells\")
forbid (principal is User, action in Action::\"tools/call\", resource in ToolGroup::\"shell\");
";

    #[test]
    fn a_person_sees_what_to_look_at_with_its_line_and_what_to_do() {
        let failing =
            "users: { ada: {} }\ncases:\n  - { server: workbench, user: ada, method: ping, expect: allow }\n";
        let place = directory(&[("own.cedar", ODD), ("tests/own.yaml", failing)]);
        let found = found(place.path()).unwrap();
        let text = text(&found, false, plain()).replace(found.set.short_version(), "0123456789ab");
        insta::assert_snapshot!(format!("{}\n{text}", rendered(found.all())));
    }

    #[test]
    fn a_script_gets_every_warning_with_its_code() {
        let place = directory(&[("own.cedar", ODD)]);
        let mut said = to_json(&found(place.path()), false);
        said["version"] = "0".repeat(64).into();
        insta::assert_snapshot!(serde_json::to_string_pretty(&said).unwrap());
    }

    #[test]
    fn a_script_gets_severity_code_file_line_and_advice() {
        let wrong = "@id(\"x\")\npermit (principal in Role::\"mcp-admim\", action, resource);\n";
        let place = directory(&[("x.cedar", wrong)]);
        assert_eq!(
            to_json(&found(place.path()), false),
            json!({ "valid": false, "problems": [{
                "severity": "error",
                "code": "unknown_name",
                "file": "x.cedar",
                "line": 2,
                "column": 22,
                "message": "Role::\"mcp-admim\" is not declared in entities.json",
                "help": "did you mean `mcp-admin`?",
            }] })
        );
        assert_eq!(validate(place.path(), false, Output::Table).unwrap(), Outcome::No);
    }
}
