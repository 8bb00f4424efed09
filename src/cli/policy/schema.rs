//! `policy schema`: the whole Cedar schema of a policy directory, for editors.

use std::path::PathBuf;

use serde_json::json;

use super::Directory;
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::{Files, Server};
use crate::policy;

/// Print the whole Cedar schema: the base schema, and each tool as an action with its arguments
///
/// An editor that is shown it (Cedar's extension for VS Code: `cedar.schemaFile`) finds a misspelt argument while it is
/// written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz policy schema
  mcp-authz policy schema policies --out .cedar/all.cedarschema")]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,

    /// Write it to this file instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, servers: &[Server], terminal: Terminal) -> miette::Result<Outcome> {
    let files = match Files::read(&args.directory.directory) {
        Ok(files) => files,
        Err(problems) => return Err(terminal.last(problems)),
    };
    let text = match policy::schema_text(&files, servers) {
        Ok(text) => text,
        Err(problems) => return Err(terminal.last(problems)),
    };
    if let Some(path) = &args.out {
        std::fs::write(path, &text)
            .map_err(|error| miette::miette!("`{}` can't be written: {error}", path.display()))?;
        return Ok(Outcome::Yes);
    }
    match terminal.output() {
        Output::Json => terminal.json(&json!({ "schema": text }))?,
        Output::Table => terminal.print(text.trim_end())?,
    }
    Ok(Outcome::Yes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cedar_policy::Schema;

    use super::*;

    #[test]
    fn the_schema_of_the_shipped_directory_is_whole_and_stands_alone() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let text = policy::schema_text(&Files::read(&directory).unwrap(), &[]).unwrap();
        let (schema, _) = Schema::from_cedarschema_str(&text).unwrap();
        let actions: Vec<String> = schema.actions().map(ToString::to_string).collect();
        for action in ["Action::\"workbench/fs_read\"", "Action::\"tools/list\""] {
            assert!(actions.iter().any(|known| known == action), "{actions:?}");
        }
    }

    #[test]
    fn a_directory_without_a_base_schema_has_none() {
        let place = tempfile::TempDir::new().unwrap();
        let problems = policy::schema_text(&Files::read(place.path()).unwrap(), &[]).unwrap_err();
        assert_eq!(problems[0].file, Path::new("base.cedarschema"));
    }
}
