//! `policy matrix`: who may call what, from the policies alone.

mod html;
mod selection;
mod sheet;

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use self::selection::{Selection, Things};
use self::sheet::Sheet;
use super::Directory;
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::{Files, Server};
use crate::policy::PolicySet;
use crate::policy::matrix::{Cell, Condition, Matrix, What, Who, people};

/// Show who may call what, and on what that depends: worked out from the policies, before there is a call
///
/// A cell is `allow` if every call is allowed whose arguments fit the tool and can be held exactly, `deny` if none is, and `depends` with
/// what is left of the policies' conditions otherwise. People and workloads are asked apart; of a person with a workload both
/// must be allowed. A role stands for somebody who has it and no other, whose token is unknown and whom no policy names; a tier, a
/// domain, a path and a client likewise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a choice, everybody is shown whom entities.json declares. In names, `*` stands for anything.

Examples:
  mcp-authz policy matrix
  mcp-authz policy matrix --role '*' --server workbench --format markdown
  mcp-authz policy matrix --role mcp-viewer --tier trusted --tool 'workbench/db_*'
  mcp-authz policy matrix --user '*' --workload '*' --format html --out matrix.html
  mcp-authz policy matrix --protocol --tool 'resources/*' --output json")]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,

    #[command(flatten)]
    who: Selection,

    #[command(flatten)]
    what: Things,

    /// How it is written; `--output json` for scripts
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Write it to this file instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table with notes, for the terminal
    Table,
    /// A table with notes, for documents and pull requests
    Markdown,
    /// A line for each tool, for spreadsheets
    Csv,
    /// A page that stands alone
    Html,
}

pub(super) fn run(args: &Args, servers: &[Server], terminal: Terminal) -> miette::Result<Outcome> {
    let files = match Files::read(&args.directory.directory) {
        Ok(files) => files,
        Err(problems) => return Err(terminal.last(problems)),
    };
    let loaded = PolicySet::load_and_test(&files, servers).and_then(|set| Ok((set, people(&files)?)));
    let (set, people) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => return Err(terminal.last(problems)),
    };
    let who = args.who.who(set.declared_subjects(), people)?;
    let what = args.what.of(&set)?;
    let matrix = match set.survey(&files, servers) {
        Ok(survey) => survey.matrix(who, what),
        Err(problem) => return Err(terminal.last(vec![problem])),
    };
    let text = match (terminal.output(), args.format) {
        (Output::Json, _) => {
            serde_json::to_string_pretty(&to_json(&matrix)).map_err(|error| miette::miette!("{error}"))?
        }
        (_, Format::Table) => Sheet::of(&matrix).table(terminal, args.out.is_none()),
        (_, Format::Markdown) => Sheet::of(&matrix).markdown(),
        (_, Format::Csv) => sheet::csv(&matrix)?,
        (_, Format::Html) => html::page(&matrix, set.short_version()),
    };
    match &args.out {
        None => terminal.print(text.trim_end())?,
        Some(path) => std::fs::write(path, format!("{}\n", text.trim_end()))
            .map_err(|error| miette::miette!("`{}` can't be written: {error}", path.display()))?,
    }
    Ok(Outcome::Yes)
}

fn to_json(matrix: &Matrix) -> Value {
    let who = |who: &Who| {
        let subjects = who.subjects.iter();
        let subjects = subjects.map(|subject| json!({ "kind": subject.kind(), "name": subject.name() }));
        json!({ "title": who.title(), "subjects": subjects.collect::<Vec<_>>() })
    };
    let row = |(what, cells): &(What, Vec<Cell>)| {
        json!({
            "server": what.server,
            "tool": what.tool,
            "action": what.action,
            "cells": cells.iter().map(cell_json).collect::<Vec<_>>(),
        })
    };
    json!({
        "who": matrix.who.iter().map(who).collect::<Vec<_>>(),
        "rows": matrix.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn cell_json(cell: &Cell) -> Value {
    let condition = |condition: &Condition| {
        json!({
            "principal": condition.principal.as_str(),
            "policy": condition.policy,
            "effect": if condition.permits { "permit" } else { "forbid" },
            "condition": condition.left,
        })
    };
    let decision = cell.as_str();
    match cell {
        Cell::Allow(by) => json!({ "decision": decision, "by": by }),
        Cell::Deny(because) => json!({ "decision": decision, "because": because.code, "by": because.by }),
        Cell::Depends(conditions) => {
            json!({ "decision": decision, "on": conditions.iter().map(condition).collect::<Vec<_>>() })
        }
    }
}

#[cfg(test)]
mod tests;
