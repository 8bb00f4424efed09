//! The tests as JUnit XML, which CI systems show: each file a suite, each test a case with its place.

use std::time::Duration;

use miette::IntoDiagnostic as _;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Run;
use crate::inventory::Problem;
use crate::policy::Tested;

/// The whole document.
pub(super) fn xml(run: &Result<Run, Vec<Problem>>, took: Duration) -> miette::Result<String> {
    let mut document = Report::new("policy test");
    document.set_time(took);
    match run {
        Ok(run) => {
            for (file, _) in &run.report.files {
                document.add_test_suite(suite(file, &run.report.tested));
            }
        }
        Err(problems) => {
            document.add_test_suite(unloaded(problems));
        }
    }
    document.to_string().into_diagnostic()
}

fn suite(file: &str, tested: &[Tested]) -> TestSuite {
    let mut suite = TestSuite::new(file);
    for test in tested.iter().filter(|test| test.file == file) {
        let status = match &test.problem {
            None => TestCaseStatus::success(),
            Some(problem) => unmet(NonSuccessKind::Failure, problem),
        };
        // Cells of a matrix and cases of the same people have the same names: the line tells them apart.
        let mut case = TestCase::new(format!("{} (line {})", test.name, test.line), status);
        case.set_classname(file);
        place(&mut case, file, Some(test.line));
        suite.add_test_case(case);
    }
    suite
}

/// A directory whose tests could not be asked: each problem is an error.
fn unloaded(problems: &[Problem]) -> TestSuite {
    let mut suite = TestSuite::new("policy directory");
    for problem in problems {
        let file = problem.file.display().to_string();
        let mut case = TestCase::new(problem.code, unmet(NonSuccessKind::Error, problem));
        case.set_classname(file.as_str());
        place(&mut case, &file, problem.line_column().map(|(line, _)| line));
        suite.add_test_case(case);
    }
    suite
}

fn unmet(kind: NonSuccessKind, problem: &Problem) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    let help = problem.help.as_deref().unwrap_or_default();
    status
        .set_type(problem.code)
        .set_message(problem.message.as_str())
        .set_description(format!("{problem}\n{help}").trim_end());
    status
}

fn place(case: &mut TestCase, file: &str, line: Option<usize>) {
    case.extra.insert("file".into(), file.into());
    if let Some(line) = line {
        case.extra.insert("line".into(), line.to_string().into());
    }
}
