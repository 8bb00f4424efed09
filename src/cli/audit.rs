//! `audit`: whether the journal is as it was written, and what is in it.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use miette::{IntoDiagnostic as _, WrapErr as _};

use crate::audit::place::Place;
use crate::audit::read::{self, Source};

use super::configured::ConfigFile;
use super::{Outcome, Terminal};

mod show;
mod verify;

/// The audit: whether it is as it was written, and what is in it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Args),
    Show(Box<show::Args>),
}

/// Runs the command.
pub(super) async fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    match args.command {
        Command::Verify(args) => verify::run(&args, terminal),
        Command::Show(args) => show::run(*args, terminal).await,
    }
}

/// Which files are read.
#[derive(Debug, clap::Args)]
struct Files {
    /// A journal: its folder, or the file that is written to; or some of its files. Default: `audit.file` of the
    /// configuration
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Files of a journal.
enum Chosen {
    /// All of them.
    Journal(Place),
    /// These.
    Some(Vec<PathBuf>),
}

impl Files {
    fn choose(&self, terminal: Terminal) -> miette::Result<Chosen> {
        match self.paths.as_slice() {
            [] => {
                let file = self.config.load(terminal)?.audit.file;
                let file = file.ok_or_else(|| {
                    miette::miette!(
                        help = "name a file that it was kept in",
                        "the configuration sends the audit to standard output"
                    )
                })?;
                Ok(Chosen::Journal(Place::new(&file)))
            }
            [folder] if folder.is_dir() => journal_in(folder).map(Chosen::Journal),
            [file] if Place::new(file).checkpoint().exists() => Ok(Chosen::Journal(Place::new(file))),
            some => Ok(Chosen::Some(some.to_vec())),
        }
    }
}

impl Chosen {
    fn open(&self) -> miette::Result<Vec<Source>> {
        match self {
            Self::Journal(place) => read::journal(place)
                .into_diagnostic()
                .wrap_err_with(|| format!("`{}`", place.current().display())),
            Self::Some(paths) => paths
                .iter()
                .map(|path| {
                    Source::open(path)
                        .into_diagnostic()
                        .wrap_err_with(|| format!("`{}`", path.display()))
                })
                .collect(),
        }
    }
}

/// The one journal in a folder: it has a checkpoint.
fn journal_in(folder: &Path) -> miette::Result<Place> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_diagnostic()? {
        let path = entry.into_diagnostic()?.path();
        if path.extension().is_some_and(|end| end == "checkpoint") {
            found.push(Place::new(&path.with_extension("")));
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(place), true) => Ok(place),
        (Some(_), false) => Err(miette::miette!(
            help = "name the file that is written to",
            "`{}` holds more than one journal",
            folder.display()
        )),
        (None, _) => Err(miette::miette!(
            help = "a journal has a file that ends in `.checkpoint`; without it, name its files",
            "`{}` holds no journal",
            folder.display()
        )),
    }
}
