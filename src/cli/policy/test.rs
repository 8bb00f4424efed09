//! `policy test`: what a policy directory must allow and deny, asked; once, or whenever it changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use comfy_table::Cell;
use serde_json::{Value, json};

use super::{Directory, counted, list, refused};
use crate::cli::{Outcome, Output, Terminal};
use crate::clock;
use crate::inventory::{Files, Problem, Server};
use crate::policy::{Coverage, PolicySet, Report, Tested};

mod coverage;
mod junit;
mod watch;

/// Run the tests of a policy directory
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz policy test
  mcp-authz policy test --watch
  mcp-authz policy test --only db_read
  mcp-authz policy test --coverage
  mcp-authz policy test --only tests/workbench.yaml:14
  mcp-authz policy test policies --junit target/policies.xml
  mcp-authz policy test policies --output json")]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,

    /// Run only the tests in whose `<file>:<line>: <name>` this text stands
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Also write the results to this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Also say what the tests never showed: policies that never decided, conditions that were never true or never false,
    /// tools that were never decided
    #[arg(long)]
    coverage: bool,

    /// As `--coverage`, and exit with 1 if the tests left something out
    #[arg(long, conflicts_with = "only")]
    require_coverage: bool,

    /// Run again whenever the directory changes, until ctrl-c; the exit code is that of the last run
    #[arg(long)]
    watch: bool,
}

/// One run of the tests.
struct Run {
    set: PolicySet,
    report: Report,
    /// Where it was asked for.
    coverage: Option<Coverage>,
    /// Whether it must be whole.
    required: bool,
}

pub(super) async fn run(args: &Args, servers: &[Server], terminal: Terminal) -> miette::Result<Outcome> {
    if args.watch {
        return watch::run(args, servers, terminal).await;
    }
    match Files::read(&args.directory.directory) {
        Ok(files) => once(args, &files, servers, terminal).map(|(outcome, _)| outcome),
        Err(problems) => Err(terminal.last(problems)),
    }
}

/// One run: what came of it, and how long it took.
fn once(
    args: &Args,
    files: &Files,
    servers: &[Server],
    terminal: Terminal,
) -> miette::Result<(Outcome, Duration)> {
    let began = clock::instant();
    let run = Run::of(args, files, servers);
    let took = clock::instant().saturating_duration_since(began);
    if let Some(path) = &args.junit {
        write(path, &junit::xml(&run, took)?)?;
    }
    if let (Ok(run), Some(only)) = (&run, &args.only)
        && run.report.tested.is_empty()
    {
        return Err(miette::miette!(
            help = "it is looked for in `<file>:<line>: <name>` of each test, for instance `tests/info.yaml:7: ada calls info/search`",
            "no test has `{only}` in it"
        ));
    }
    match terminal.output() {
        Output::Json => {
            let mut said = to_json(&run);
            if let (true, Some(said)) = (args.watch, said.as_object_mut()) {
                said.insert(
                    "took_ms".to_owned(),
                    u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into(),
                );
            }
            terminal.json(&said)?;
        }
        Output::Table => say(&run, terminal)?,
    }
    Ok((Outcome::from(run.is_ok_and(|run| run.passed())), took))
}

impl Run {
    fn of(args: &Args, files: &Files, servers: &[Server]) -> Result<Self, Vec<Problem>> {
        let set = PolicySet::load_untested(files, servers)?;
        let wanted = args.coverage || args.require_coverage;
        let mut coverage = wanted.then(|| Coverage::none(&set, files, servers)).transpose()?;
        let report = set.test(files, servers, args.only.as_deref(), &mut |question, said| {
            if let Some(coverage) = &mut coverage {
                coverage.add(&set, question, said);
            }
        })?;
        Ok(Self {
            set,
            report,
            coverage,
            required: args.require_coverage,
        })
    }

    fn passed(&self) -> bool {
        let covered = self.coverage.as_ref().is_none_or(Coverage::is_whole);
        self.report.failures.is_empty() && (covered || !self.required)
    }
}

fn write(path: &Path, text: &str) -> miette::Result<()> {
    std::fs::write(path, text)
        .map_err(|error| miette::miette!("`{}` can't be written: {error}", path.display()))
}

fn say(run: &Result<Run, Vec<Problem>>, terminal: Terminal) -> miette::Result<()> {
    let run = match run {
        Ok(run) => run,
        Err(problems) => return refused(problems, terminal),
    };
    for failure in &run.report.failures {
        terminal.failure(&failure.problem.clone().into());
    }
    terminal.print(text(run, terminal))
}

/// What is printed when all failures were shown.
fn text(run: &Run, terminal: Terminal) -> String {
    let mut text = format!("{}\n{}", table(&run.report, terminal), sum(&run.report));
    if let Some(coverage) = &run.coverage {
        text = format!("{text}\n{}", coverage::text(coverage, terminal));
    }
    text
}

fn table(report: &Report, terminal: Terminal) -> comfy_table::Table {
    let mut table = terminal.table(["tests", "passed", "failed"]);
    for (file, cases) in &report.files {
        let failures = report.failures.iter();
        let failed = failures
            .filter(|failure| failure.problem.file == Path::new(file))
            .count();
        table.add_row([
            Cell::new(file),
            Cell::new(cases.saturating_sub(failed)),
            Cell::new(failed),
        ]);
    }
    table
}

fn sum(report: &Report) -> String {
    match report.left_out {
        0 => counted(report),
        others => format!("{}; {others} others were not asked", counted(report)),
    }
}

fn to_json(run: &Result<Run, Vec<Problem>>) -> Value {
    let run = match run {
        Err(problems) => return json!({ "valid": false, "problems": list(problems) }),
        Ok(run) => run,
    };
    let failures = &run.report.failures;
    let mut said = json!({
        "valid": run.passed(),
        "version": run.set.version(),
        "policies": run.set.len(),
        "tests": run.report.cases(),
        "failed": failures.len(),
        "left_out": run.report.left_out,
        "problems": list(failures.iter().map(|failure| &failure.problem)),
        "warnings": list(run.set.warnings()),
        "cases": run.report.tested.iter().map(case).collect::<Vec<_>>(),
    });
    if let (Some(coverage), Some(said)) = (&run.coverage, said.as_object_mut()) {
        said.insert("coverage".to_owned(), coverage::to_json(coverage));
    }
    said
}

fn case(tested: &Tested) -> Value {
    json!({
        "name": tested.name,
        "file": tested.file,
        "line": tested.line,
        "expected": tested.expected.as_str(),
        "found": tested.found.as_str(),
        "reason": tested.reason,
        "by": tested.by,
        "passed": tested.problem.is_none(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{directory, plain, rendered, shipped};
    use super::*;
    use crate::cli::Color;

    const POLICIES: &str = "\
@id(\"viewers\")
permit (principal in Role::\"mcp-viewer\", action in Action::\"read\", resource in Server::\"workbench\");

@id(\"trusted\")
permit (principal in TrustTier::\"trusted\", action in Action::\"tools/call\", resource);

@id(\"few-rows\")
@reason(\"At most 100 rows\")
forbid (principal is User, action == Action::\"workbench/db_read\", resource)
when { context.arguments has limit && context.arguments.limit > 100 };

@id(\"dry-runs\")
@reason(\"Viewers may see what a statement would do\")
permit (principal in Role::\"mcp-viewer\", action == Action::\"workbench/db_write\", resource)
when { context.arguments has dry_run && context.arguments.dry_run };
";
    const TESTS: &str = "\
users: { ada: { roles: [mcp-viewer] } }
workloads: { build: spiffe://mcp-identity.local/agent/trusted/build }
cases:
  - { server: workbench, user: ada, workload: build, tool: db_read, arguments: { sql: a }, expect: allow, by: [viewers, trusted] }
  - { server: workbench, user: ada, workload: build, tool: db_read, arguments: { sql: a, limit: 101 }, expect: allow }
  - { name: deleting is not reading, server: workbench, user: ada, workload: build, tool: db_write, arguments: { sql: a }, expect: deny, because: forbidden }
matrices:
  - server: workbench
    user: ada
    arguments: { path: /srv/work/a }
    columns: workload
    table: |
      tool     build  -
      fs_read  allow  deny
";

    fn small() -> tempfile::TempDir {
        directory(&[("own.cedar", POLICIES), ("tests/own.yaml", TESTS)])
    }

    fn args(place: &Path) -> Args {
        Args {
            directory: Directory {
                directory: place.to_owned(),
            },
            only: None,
            junit: None,
            coverage: false,
            require_coverage: false,
            watch: false,
        }
    }

    fn ran(args: &Args) -> Result<Run, Vec<Problem>> {
        Run::of(args, &Files::read(&args.directory.directory).unwrap(), &[])
    }

    #[tokio::test]
    async fn yes_no_and_could_not_tell_are_told_apart() {
        let (place, empty) = (small(), tempfile::TempDir::new().unwrap());
        for output in [Output::Table, Output::Json] {
            let run = async |args: &Args| run(args, &[], Terminal::new(output, Color::Never)).await;
            assert_eq!(run(&args(&shipped())).await.unwrap(), Outcome::Yes);
            assert_eq!(run(&args(place.path())).await.unwrap(), Outcome::No);
            assert_eq!(run(&args(empty.path())).await.unwrap(), Outcome::No);
            assert!(run(&args(&place.path().join("nowhere"))).await.is_err());
            let unmatched = Args {
                only: Some("nothing of this kind".to_owned()),
                ..args(place.path())
            };
            assert!(run(&unmatched).await.is_err());
        }
    }

    #[test]
    fn a_person_sees_failures_with_their_lines_and_a_table() {
        let place = small();
        let run = ran(&args(place.path())).unwrap();
        let problems = run.report.failures.iter().map(|failure| &failure.problem);
        insta::assert_snapshot!(format!("{}\n{}", rendered(problems), text(&run, plain())));
    }

    #[test]
    fn a_script_gets_every_case() {
        let place = small();
        let mut said = to_json(&ran(&args(place.path())));
        said["version"] = "0".repeat(64).into();
        insta::assert_snapshot!(serde_json::to_string_pretty(&said).unwrap());
    }

    #[test]
    fn ci_gets_suites_and_cases_with_their_places() {
        let place = small();
        let run = ran(&args(place.path()));
        insta::assert_snapshot!(junit::xml(&run, Duration::from_millis(20)).unwrap());
        let broken = directory(&[("own.cedar", "@id(\"a\") permit (principal, action, resource")]);
        let run = ran(&args(broken.path()));
        insta::assert_snapshot!(
            "junit_of_a_broken_directory",
            junit::xml(&run, Duration::ZERO).unwrap()
        );
    }

    #[test]
    fn what_no_test_showed_is_told_and_can_be_required() {
        let place = small();
        let args = Args {
            coverage: true,
            ..args(place.path())
        };
        let run = ran(&args).unwrap();
        let coverage = run.coverage.as_ref().unwrap();
        let text = coverage::text(coverage, plain());
        // Of the tools, the two that the tests call will do.
        let of_tools =
            |line: &&str| !line.contains("workbench/") || line.contains("db_") || line.contains("fs_read");
        let shown: Vec<&str> = text
            .lines()
            .filter(of_tools)
            .filter(|line| !line.contains("info/"))
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
        let mut said = coverage::to_json(coverage);
        let tools = said["by_tool"].as_array_mut().unwrap();
        tools.retain(|tool| {
            ["workbench/db_read", "workbench/fs_write"].contains(&tool["action"].as_str().unwrap())
        });
        insta::assert_snapshot!(
            "coverage_for_scripts",
            serde_json::to_string_pretty(&said).unwrap()
        );
    }

    #[tokio::test]
    async fn a_gap_is_a_no_only_where_coverage_is_required() {
        let tools = r#"{ "tools": [{ "name": "t", "inputSchema": { "type": "object" }, "annotations": { "readOnlyHint": true } }] }"#;
        let whole = directory(&[]);
        for entry in std::fs::read_dir(whole.path().join("tools")).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let put = |path: &str, text: &str| {
            let path = whole.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("tools/own.json", tools);
        let cases = |more: &str| {
            format!(
                "users: {{ ada: {{}} }}\nworkloads: {{ a: spiffe://a/b }}\ncases:\n  - {{ server: own, user: ada, workload: a, method: ping, expect: allow }}\n{more}"
            )
        };
        put(
            "a.cedar",
            "@id(\"anyone\") permit (principal, action == Action::\"ping\", resource);\n",
        );
        put("tests/a.yaml", &cases(""));
        let required = Args {
            require_coverage: true,
            ..args(whole.path())
        };
        assert_eq!(
            run(&args(whole.path()), &[], plain()).await.unwrap(),
            Outcome::Yes
        );
        // The tool was never decided.
        assert_eq!(run(&required, &[], plain()).await.unwrap(), Outcome::No);
        put(
            "tests/a.yaml",
            &cases("  - { server: own, user: ada, workload: a, tool: t, expect: deny }\n"),
        );
        assert_eq!(run(&required, &[], plain()).await.unwrap(), Outcome::Yes);
        // A policy that never decides.
        put(
            "b.cedar",
            "@id(\"other\") permit (principal, action == Action::\"tools/list\", resource);\n",
        );
        assert_eq!(run(&required, &[], plain()).await.unwrap(), Outcome::No);
    }

    #[test]
    fn one_test_can_be_chosen_by_its_words_or_its_place() {
        let place = small();
        for (only, lines) in [
            ("DB_WRITE", vec![]),
            ("deleting", vec![6]),
            ("own.yaml:14", vec![14, 14]),
            ("through build calls workbench/db_read", vec![4, 5]),
        ] {
            let args = Args {
                only: Some(only.to_owned()),
                ..args(place.path())
            };
            let report = ran(&args).unwrap().report;
            let found: Vec<usize> = report.tested.iter().map(|tested| tested.line).collect();
            assert_eq!(found, lines, "{only}");
            assert_eq!(report.cases() + report.left_out, 5, "{only}");
        }
    }
}
