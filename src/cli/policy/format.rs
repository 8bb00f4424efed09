//! `policy format`: policies in Cedar's own layout. Comments stay; what a policy says does.

use std::fs;
use std::path::Path;

use cedar_policy_formatter::{Config, policies_str_to_pretty};
use comfy_table::Cell;
use serde_json::json;

use super::Directory;
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::{Files, Problem};

/// Columns, as far as the layout can keep to it.
const WIDTH: usize = 100;

/// Lay out the policies of a directory as Cedar's formatter does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz policy format
  mcp-authz policy format policies --check")]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,

    /// Change nothing; exit with 1 if anything would be
    #[arg(long)]
    check: bool,
}

/// A file that is laid out otherwise.
struct Change {
    path: String,
    text: String,
}

pub(super) fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    let directory = &args.directory.directory;
    let changes = match Files::read(directory).and_then(|files| changes(&files)) {
        Ok(changes) => changes,
        Err(problems) => return Err(terminal.last(problems)),
    };
    if !args.check {
        for change in &changes {
            write(&directory.join(&change.path), &change.text)?;
        }
    }
    let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    match terminal.output() {
        Output::Json => terminal.json(&json!({ "changed": paths, "written": !args.check }))?,
        Output::Table if paths.is_empty() => terminal.print("all policies are laid out already")?,
        Output::Table => {
            let title = if args.check { "would change" } else { "changed" };
            let mut table = terminal.table([title]);
            for path in &paths {
                table.add_row([Cell::new(path)]);
            }
            terminal.print(table)?;
        }
    }
    Ok(Outcome::from(!args.check || paths.is_empty()))
}

/// All files first: of a directory with a file that can't be read as policies, none is written.
fn changes(files: &Files) -> Result<Vec<Change>, Vec<Problem>> {
    let (mut changes, mut problems) = (Vec::new(), Vec::new());
    for path in files.under("", ".cedar") {
        let formatted = files.text(path).and_then(|source| {
            let source = source.unwrap_or_default();
            let text = laid_out(&source).map_err(|error| Problem::new(path, error))?;
            Ok((text != *source).then_some(text))
        });
        match formatted {
            Ok(Some(text)) => changes.push(Change {
                path: path.to_owned(),
                text,
            }),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(changes)
    } else {
        Err(problems)
    }
}

fn laid_out(source: &str) -> Result<String, String> {
    let (head, policies) = source.split_at(head(source));
    if policies.trim().is_empty() {
        return Ok(source.to_owned());
    }
    let config = Config {
        line_width: WIDTH,
        ..Config::default()
    };
    let policies = policies_str_to_pretty(policies, &config).map_err(|error| error.to_string())?;
    Ok(format!("{head}{policies}"))
}

/// Where the comment ends that stands over the whole file, and the blank line below it: Cedar's formatter would put it on the
/// first policy.
fn head(source: &str) -> usize {
    let (mut end, mut read) = (0, 0_usize);
    for line in source.split_inclusive('\n') {
        read = read.saturating_add(line.len());
        match line.trim() {
            "" => end = read,
            comment if comment.starts_with("//") => {}
            _ => return end,
        }
    }
    read
}

/// At once or not at all: a service that reloads the directory never sees half a file.
fn write(path: &Path, text: &str) -> miette::Result<()> {
    let beside = path.with_extension("cedar.new");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| miette::miette!("`{}` can't be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Color;

    const ODD: &str = "// Who may.\n@id(\"x\") permit(principal,\n action , resource);\n";

    fn format(directory: &Path, check: bool) -> miette::Result<Outcome> {
        let args = Args {
            directory: Directory {
                directory: directory.to_owned(),
            },
            check,
        };
        run(&args, Terminal::new(Output::Table, Color::Never))
    }

    #[test]
    fn what_is_laid_out_otherwise_is_told_then_changed_once_and_keeps_its_comments() {
        let place = tempfile::TempDir::new().unwrap();
        let path = place.path().join("x.cedar");
        fs::write(&path, ODD).unwrap();
        assert_eq!(format(place.path(), true).unwrap(), Outcome::No);
        assert_eq!(fs::read_to_string(&path).unwrap(), ODD);
        assert_eq!(format(place.path(), false).unwrap(), Outcome::Yes);
        let changed = fs::read_to_string(&path).unwrap();
        assert!(
            changed.starts_with("// Who may.\n@id(\"x\")\npermit"),
            "{changed}"
        );
        assert_eq!(format(place.path(), true).unwrap(), Outcome::Yes);
    }

    #[test]
    fn what_stands_over_a_whole_file_stays_apart_from_its_first_policy() {
        let policy = "@id(\"x\") permit(principal, action, resource);\n";
        let cases = [
            ("// A file.\n\n", "// A file.\n\n@id"),
            (
                "// A file.\n\n// Its first policy.\n",
                "// A file.\n\n// Its first policy.\n@id",
            ),
            ("// Its first policy.\n", "// Its first policy.\n@id"),
            ("\n", "\n@id"),
        ];
        for (head, expected) in cases {
            let text = laid_out(&format!("{head}{policy}")).unwrap();
            assert!(text.starts_with(expected), "{head:?}: {text}");
            assert_eq!(laid_out(&text).unwrap(), text);
        }
        let comments = "// Nothing yet.\n\n//   Not one.\n";
        assert_eq!(laid_out(comments).unwrap(), comments);
    }

    #[test]
    fn of_a_directory_with_a_broken_file_none_is_written() {
        let place = tempfile::TempDir::new().unwrap();
        fs::write(place.path().join("a.cedar"), ODD).unwrap();
        fs::write(place.path().join("b.cedar"), "permit (").unwrap();
        assert!(format(place.path(), false).is_err());
        assert_eq!(fs::read_to_string(place.path().join("a.cedar")).unwrap(), ODD);
    }
}
