//! Calls that the audit tells of.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic as _, WrapErr as _};

use super::{Earlier, Explained, Unexplained, said};
use crate::audit::place::Place;
use crate::audit::query::Entry;
use crate::audit::read::{self, Source};
use crate::cli::Terminal;
use crate::cli::configured::ConfigFile;
use crate::inventory::Server;
use crate::policy::{Line, PolicySet, Recorded};

/// The lines that are to be explained: all of these files, or those of one decision.
pub(super) fn lines(
    files: &[PathBuf],
    decision: Option<&str>,
    config: &ConfigFile,
    terminal: Terminal,
) -> miette::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    let mut keep = |line: Vec<u8>| {
        let wanted = decision
            .is_none_or(|decision| Entry::read(&line).is_some_and(|entry| entry.decision_id == decision));
        if wanted && !line.iter().all(u8::is_ascii_whitespace) {
            lines.push(line);
        }
    };
    if files.is_empty() {
        let file = config.load(terminal)?.audit.file.ok_or_else(|| {
            miette::miette!(
                help = "name a file that it was kept in with `--audit`",
                "the configuration sends the audit to standard output"
            )
        })?;
        let place = Place::new(&file);
        let sources = read::journal(&place)
            .into_diagnostic()
            .wrap_err_with(|| format!("`{}`", place.current().display()))?;
        for source in sources {
            each(source, &mut keep)?;
        }
    }
    for file in files {
        if file == Path::new("-") {
            for line in BufReader::new(std::io::stdin()).split(b'\n') {
                keep(line.into_diagnostic()?);
            }
        } else {
            let source = Source::open(file)
                .into_diagnostic()
                .wrap_err_with(|| format!("`{}`", file.display()))?;
            each(source, &mut keep)?;
        }
    }
    match decision {
        Some(decision) if lines.is_empty() => Err(miette::miette!("no decision `{decision}` in the audit")),
        _ => Ok(lines),
    }
}

fn each(mut source: Source, keep: &mut impl FnMut(Vec<u8>)) -> miette::Result<()> {
    let path = source.path.clone();
    let mut begun = Vec::new();
    loop {
        let line = source.next_line().into_diagnostic();
        let line = line.wrap_err_with(|| format!("`{}`", path.display()))?;
        let Some(line) = line else {
            return Ok(());
        };
        begun.extend(line.text);
        if line.ended {
            keep(std::mem::take(&mut begun));
        }
    }
}

/// Each call, as the policies decide it now; those of which the record holds too little apart.
pub(super) fn explained(
    lines: Vec<Vec<u8>>,
    set: &PolicySet,
    servers: &[Server],
) -> miette::Result<(Vec<Explained>, Unexplained)> {
    let (mut explained, mut unexplained) = (Vec::new(), Vec::new());
    for line in lines {
        match Line::read(&line).into_diagnostic()? {
            Line::Call(recorded) => match call(&recorded, set, servers) {
                Ok(one) => explained.push(one),
                Err(why) => unexplained.push((recorded.decision_id.clone(), why)),
            },
            Line::Unasked(decision, why) => unexplained.push((decision, why.to_string())),
            Line::Other => {}
        }
    }
    if explained.is_empty() && unexplained.is_empty() {
        return Err(miette::miette!("no line tells of a call"));
    }
    Ok((explained, unexplained))
}

fn call(recorded: &Recorded, set: &PolicySet, servers: &[Server]) -> Result<Explained, String> {
    let server = recorded.server(servers);
    let server = server.ok_or_else(|| format!("there is no server `{}`", recorded.server))?;
    let why = set.explain_again(recorded, &server);
    Ok(Explained {
        title: recorded.decision_id.clone(),
        call: said(&recorded.question(&server)),
        recorded: Some(Earlier {
            time: recorded.time,
            outcome: recorded.outcome.clone(),
            reason: recorded.reason.clone(),
            policy_version: recorded.policy_version.clone(),
        }),
        why: why.map_err(|why| why.to_string())?,
    })
}
