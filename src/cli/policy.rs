//! `policy`: whether a policy directory may rule and what is wrong with it, and what helps to write one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use comfy_table::Cell;
use serde_json::{Value, json};

use super::{Outcome, Output, Terminal};
use crate::inventory::{Files, Problem, Server};
use crate::policy::{PolicySet, Report};

mod format;
mod schema;

/// Policies: whether a directory may rule, and whether it allows and denies what its tests say
#[derive(Debug, clap::Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a policy directory as `serve` would before it rules: policies, tools, entities and tests
    #[command(after_help = "\
Examples:
  mcp-authz policy validate
  mcp-authz policy validate policies --output json")]
    Validate(Directory),
    /// Run the tests of a policy directory
    #[command(after_help = "\
Examples:
  mcp-authz policy test
  mcp-authz policy test policies --output json")]
    Test(Directory),
    Format(format::Args),
    Schema(schema::Args),
}

#[derive(Debug, clap::Args)]
struct Directory {
    /// The policy directory
    #[arg(value_name = "DIR", default_value = "policies")]
    directory: PathBuf,
}

/// Runs a command on a policy directory. `servers` are those of the configuration; a server that it doesn't name is
/// taken with the configuration's defaults.
///
/// # Errors
/// The directory can't be read.
pub fn run(args: &PolicyArgs, servers: &[Server], terminal: Terminal) -> miette::Result<Outcome> {
    match &args.command {
        Command::Validate(directory) => checked(directory, servers, terminal, validated),
        Command::Test(directory) => checked(directory, servers, terminal, tested),
        Command::Format(args) => format::run(args, terminal),
        Command::Schema(args) => schema::run(args, servers, terminal),
    }
}

/// What there is to say of a directory that was loaded, or of why it wasn't.
type Said = fn(&Result<PolicySet, Vec<Problem>>, Terminal) -> miette::Result<()>;

/// Loads a directory and runs its tests.
fn checked(
    directory: &Directory,
    servers: &[Server],
    terminal: Terminal,
    say: Said,
) -> miette::Result<Outcome> {
    let files = match Files::read(&directory.directory) {
        Ok(files) => files,
        Err(problems) => return unreadable(problems, terminal),
    };
    let loaded = PolicySet::load_and_test(&files, servers);
    match terminal.output() {
        Output::Json => terminal.json(&to_json(&loaded))?,
        Output::Table => say(&loaded, terminal)?,
    }
    let passed = loaded.is_ok_and(|set| set.tests().failures.is_empty());
    Ok(Outcome::from(passed))
}

/// The first problem is the command's error; the others are shown before it.
fn unreadable(problems: Vec<Problem>, terminal: Terminal) -> miette::Result<Outcome> {
    let mut problems = problems.into_iter();
    let first = problems
        .next()
        .unwrap_or_else(|| Problem::new(".", "can't be read"));
    problems.for_each(|problem| terminal.failure(&problem.into()));
    Err(first.into())
}

fn validated(loaded: &Result<PolicySet, Vec<Problem>>, terminal: Terminal) -> miette::Result<()> {
    let set = match loaded {
        Ok(set) => set,
        Err(problems) => return refused(problems, terminal),
    };
    let failures = &set.tests().failures;
    for failure in failures {
        terminal.failure(&failure.problem.clone().into());
    }
    for warning in set.warnings() {
        let advice = warning
            .help
            .as_deref()
            .map(|help| format!(" ({help})"))
            .unwrap_or_default();
        terminal.print(format!("warning: {warning}{advice}"))?;
    }
    let mut table = terminal.table(["policies", "servers", "tools", "tests", "version"]);
    let tools: usize = set.inventory().iter().map(|server| server.iter().count()).sum();
    table.add_row([
        Cell::new(set.len()),
        Cell::new(set.inventory().iter().count()),
        Cell::new(tools),
        Cell::new(counted(set.tests())),
        Cell::new(set.short_version()),
    ]);
    terminal.print(table)?;
    terminal.print(if failures.is_empty() {
        "valid: this directory may rule"
    } else {
        "not valid: its own tests fail"
    })
}

fn tested(loaded: &Result<PolicySet, Vec<Problem>>, terminal: Terminal) -> miette::Result<()> {
    let set = match loaded {
        Ok(set) => set,
        Err(problems) => return refused(problems, terminal),
    };
    let report = set.tests();
    for failure in &report.failures {
        terminal.failure(&failure.problem.clone().into());
    }
    let mut table = terminal.table(["tests", "passed", "failed"]);
    for (file, cases) in &report.files {
        let failed = report
            .failures
            .iter()
            .filter(|failure| failure.problem.file == Path::new(file))
            .count();
        table.add_row([
            Cell::new(file),
            Cell::new(cases.saturating_sub(failed)),
            Cell::new(failed),
        ]);
    }
    terminal.print(table)?;
    terminal.print(counted(report))
}

fn refused(problems: &[Problem], terminal: Terminal) -> miette::Result<()> {
    for problem in problems {
        terminal.failure(&problem.clone().into());
    }
    let things = if problems.len() == 1 { "thing" } else { "things" };
    terminal.print(format!("not valid: {} {things} to put right", problems.len()))
}

fn counted(report: &Report) -> String {
    match report.failures.len() {
        0 => format!("{} passed", report.cases()),
        failed => format!("{failed} of {} failed", report.cases()),
    }
}

fn to_json(loaded: &Result<PolicySet, Vec<Problem>>) -> Value {
    match loaded {
        Err(problems) => json!({ "valid": false, "problems": list(problems.iter()) }),
        Ok(set) => {
            let failures = &set.tests().failures;
            json!({
                "valid": failures.is_empty(),
                "version": set.version(),
                "policies": set.len(),
                "tests": set.tests().cases(),
                "failed": failures.len(),
                "problems": list(failures.iter().map(|failure| &failure.problem)),
                "warnings": list(set.warnings().iter()),
            })
        }
    }
}

fn list<'a>(problems: impl Iterator<Item = &'a Problem>) -> Vec<Value> {
    let one = |problem: &Problem| {
        let (line, column) = problem.line_column().unzip();
        json!({
            "file": problem.file,
            "line": line,
            "column": column,
            "message": problem.message,
            "help": problem.help,
        })
    };
    problems.map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Color;
    use super::*;

    fn validate(directory: &Path, output: Output) -> miette::Result<Outcome> {
        let args = PolicyArgs {
            command: Command::Validate(Directory {
                directory: directory.to_owned(),
            }),
        };
        run(&args, &[], Terminal::new(output, Color::Never))
    }

    fn default() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
    }

    #[test]
    fn yes_no_and_could_not_tell_are_told_apart() {
        let place = tempfile::TempDir::new().unwrap();
        for output in [Output::Table, Output::Json] {
            assert_eq!(validate(&default(), output).unwrap(), Outcome::Yes);
            assert_eq!(validate(place.path(), output).unwrap(), Outcome::No);
            assert!(validate(&place.path().join("nowhere"), output).is_err());
        }
        let args = PolicyArgs {
            command: Command::Test(Directory { directory: default() }),
        };
        assert_eq!(
            run(&args, &[], Terminal::new(Output::Table, Color::Never)).unwrap(),
            Outcome::Yes
        );
    }

    #[test]
    fn a_script_gets_file_line_and_advice() {
        let place = tempfile::TempDir::new().unwrap();
        for (path, bytes) in Files::read(&default()).unwrap().iter() {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let wrong = "@id(\"x\")\npermit (principal in Role::\"mcp-admim\", action, resource);\n";
        fs::write(place.path().join("x.cedar"), wrong).unwrap();
        let loaded = PolicySet::load_and_test(&Files::read(place.path()).unwrap(), &[]);
        let said = to_json(&loaded);
        assert_eq!(
            said,
            json!({ "valid": false, "problems": [{
                "file": "x.cedar",
                "line": 2,
                "column": 22,
                "message": "Role::\"mcp-admim\" is not declared in entities.json",
                "help": "did you mean `mcp-admin`?",
            }] })
        );
        assert_eq!(validate(place.path(), Output::Table).unwrap(), Outcome::No);
    }
}
