//! `policy test --watch`: the tests again and again, as the directory changes, until ctrl-c.

use std::time::Duration;

use miette::IntoDiagnostic as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{Args, once};
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::{Files, Problem, Server};
use crate::policy::{Changes, Settings, Told};

/// How often a directory is looked at of which the file system tells nothing.
const POLL: Duration = Duration::from_secs(2);

/// The directory as it was read, or why it could not be.
type Reading = Result<Files, Vec<Problem>>;

/// Runs until ctrl-c. The outcome is that of the last run.
pub(super) async fn run(args: &Args, servers: &[Server], terminal: Terminal) -> miette::Result<Outcome> {
    let mut interrupted = signal(SignalKind::interrupt()).into_diagnostic()?;
    let directory = &args.directory.directory;
    let settings = Settings {
        poll_interval: POLL,
        ..Settings::default()
    };
    let mut changes = Changes::of(directory, settings);
    let mut reading = Files::read(directory);
    loop {
        let told = tokio::task::block_in_place(|| one(args, &reading, servers, terminal))?;
        let next = tokio::select! {
            next = next(args, &mut changes, &reading) => next,
            _ = interrupted.recv() => {
                return told.ok_or_else(|| miette::miette!("the last run could not tell: see above"));
            }
        };
        if terminal.output() == Output::Table {
            terminal.print(format!("\nchanged: {}", changed(&reading, &next).join(", ")))?;
        }
        reading = next;
    }
}

/// One run, shown. `None`: it could not tell.
fn one(
    args: &Args,
    reading: &Reading,
    servers: &[Server],
    terminal: Terminal,
) -> miette::Result<Option<Outcome>> {
    let ran = match reading {
        Ok(files) => once(args, files, servers, terminal),
        Err(problems) => Err(terminal.last(problems.clone())),
    };
    let (outcome, took) = match ran {
        Ok((outcome, took)) => (Some(outcome), format!("took {} ms; ", took.as_millis())),
        Err(report) => {
            terminal.failure(&report);
            (None, String::new())
        }
    };
    if terminal.output() == Output::Table {
        terminal.print(format!("{took}waits for a change, ctrl-c ends"))?;
    }
    Ok(outcome)
}

/// The directory once it is otherwise than it was.
async fn next(args: &Args, changes: &mut Changes, last: &Reading) -> Reading {
    loop {
        let told = changes.next().await;
        let reading = Files::read(&args.directory.directory);
        if reading == *last {
            continue;
        }
        if told == Told::Nothing {
            changes.renew();
        }
        return reading;
    }
}

/// The files in which two readings differ.
fn changed(last: &Reading, next: &Reading) -> Vec<String> {
    let (Ok(last), Ok(next)) = (last, next) else {
        return vec!["the directory".to_owned()];
    };
    let mut paths: Vec<String> = [(last, next), (next, last)]
        .into_iter()
        .flat_map(|(one, other)| one.iter().filter(|(path, bytes)| other.get(path) != Some(bytes)))
        .map(|(path, _)| path.to_owned())
        .collect();
    paths.sort();
    paths.dedup();
    paths
}
