//! One side of a comparison: a directory, or the same in a git revision.
//!
//! Git is asked for objects by their ids: nothing is checked out, no hook, filter or pager runs, and no shell sees what was typed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use miette::{IntoDiagnostic as _, WrapErr as _, miette};

use crate::inventory::files::{Limits, is_read};
use crate::inventory::{Files, Problem};

/// Where policies are if nobody says.
const USUAL: &str = "policies";

/// A side as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    /// A directory.
    Directory(PathBuf),
    /// What git calls a tree (`main:policies`), as seen from a directory.
    Revision { from: PathBuf, tree: String },
}

impl Side {
    /// What is meant: a directory if there is one of that name, else a revision. A revision without a path means the path of the
    /// other side, where that is a directory, else `policies`.
    ///
    /// # Errors
    /// It may be either: whoever adds a folder `main` to a repository must not choose what a change is compared with.
    pub(super) fn of(text: &str, other: &str) -> miette::Result<Self> {
        Self::seen_from(Path::new(""), text, other)
    }

    pub(super) fn seen_from(top: &Path, text: &str, other: &str) -> miette::Result<Self> {
        let here = top.join(text);
        if here.is_dir() {
            if !is_plainly_a_path(text) && (Git { from: top }).has(text)? {
                return Err(miette!(
                    help = "write `./{text}` for the folder, `{text}:policies` for the revision",
                    "`{text}` is a folder and a git revision"
                ));
            }
            return Ok(Self::Directory(here));
        }
        if text.contains(':') {
            return Ok(Self::Revision {
                from: top.to_owned(),
                tree: text.to_owned(),
            });
        }
        let other = top.join(other);
        let (from, path) = if other.is_dir() {
            (other, "./".to_owned())
        } else {
            (top.to_owned(), format!("./{USUAL}"))
        };
        Ok(Self::Revision {
            from,
            tree: format!("{text}:{path}"),
        })
    }

    /// Its files.
    ///
    /// # Errors
    /// Everything that can't be read.
    pub(super) fn read(&self) -> miette::Result<Result<Files, Vec<Problem>>> {
        match self {
            Self::Directory(directory) => Ok(Files::read(directory)),
            Self::Revision { from, tree } => Git { from }.files(tree).map(Ok),
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(directory) => write!(f, "{}", directory.display()),
            Self::Revision { tree, .. } => f.write_str(tree),
        }
    }
}

/// Whether nobody can take it for a revision.
fn is_plainly_a_path(text: &str) -> bool {
    Path::new(text).is_absolute()
        || ["./", "../"].iter().any(|start| text.starts_with(start))
        || [".", ".."].contains(&text)
}

/// The first version of git that can be told not to take a folder's own files for a repository.
const OLDEST_GIT: (u32, u32) = (2, 38);

/// The repository around a directory.
struct Git<'a> {
    from: &'a Path,
}

/// A file of a tree.
struct Blob {
    id: String,
    path: String,
}

impl Git<'_> {
    /// What git is to look up by this name.
    fn resolving(&self, name: &str) -> Command {
        let mut command = self.command(&["rev-parse", "--verify", "--quiet", "--end-of-options"]);
        command.arg(name);
        command
    }

    /// Whether there is a revision of this name; without git or a repository there is none.
    fn has(&self, name: &str) -> miette::Result<bool> {
        match self.resolving(name).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            output => Ok(output.into_diagnostic()?.status.success()),
        }
    }

    /// Refuses a git that would take a folder with a `HEAD` and a `config` for a repository, and do what that says.
    fn is_new_enough(&self) -> miette::Result<()> {
        let said = output(&mut self.command(&["version"]))?.unwrap_or_default();
        let number = said.split(' ').nth(2).unwrap_or_default();
        let mut parts = number
            .split('.')
            .map_while(|part| part.trim().parse::<u32>().ok());
        if (parts.next(), parts.next()) >= (Some(OLDEST_GIT.0), Some(OLDEST_GIT.1)) {
            return Ok(());
        }
        let (major, minor) = OLDEST_GIT;
        Err(miette!(
            "git {major}.{minor} or newer is needed, this is `{}`",
            said.trim().escape_debug()
        ))
    }

    fn files(&self, tree: &str) -> miette::Result<Files> {
        self.is_new_enough()?;
        let id = self.tree(tree)?;
        let blobs = self
            .blobs(&id)
            .wrap_err_with(|| format!("can't read `{}`", tree.escape_debug()))?;
        let mut reader = Reader::start(&mut self.command(&["cat-file", "--batch"]))?;
        let mut total = 0_u64;
        let mut files = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let bytes = reader.read(&blob.id, Limits::default().file)?;
            total = total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            if total > Limits::default().total {
                return Err(miette!("the files of `{tree}` are larger than 64 MiB together"));
            }
            files.push((blob.path, bytes));
        }
        reader.end()?;
        Ok(files.into_iter().collect())
    }

    /// The id of a tree.
    fn tree(&self, name: &str) -> miette::Result<String> {
        let found = output(&mut self.resolving(name))?;
        let id = found.as_deref().map(str::trim).unwrap_or_default().to_owned();
        let kind = match id.as_str() {
            "" => None,
            id => output(&mut self.command(&["cat-file", "-t", id]))?,
        };
        if kind.as_deref().map(str::trim) == Some("tree") {
            return Ok(id);
        }
        let shown = name.escape_debug().to_string();
        Err(miette!(
            help = "give a directory, a git revision (`main`, `HEAD~1`), or one with a path from the top of the repository (`main:policies`)",
            "`{shown}` is neither a directory nor one of a git revision"
        ))
    }

    /// The files below a tree that a policy directory reads.
    fn blobs(&self, id: &str) -> miette::Result<Vec<Blob>> {
        let listed = output(&mut self.command(&["ls-tree", "-r", "-z", "--full-tree", id]))?
            .ok_or_else(|| miette!("git can't list the tree"))?;
        let mut blobs = Vec::new();
        for entry in listed.split_terminator('\0') {
            let (about, path) = entry
                .split_once('\t')
                .ok_or_else(|| miette!("git lists a tree in another way"))?;
            if !is_read(path) {
                continue;
            }
            let mut words = about.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("100644" | "100755"), Some("blob"), Some(id)) => blobs.push(Blob {
                    id: id.to_owned(),
                    path: path.to_owned(),
                }),
                _ => return Err(miette!("`{}` is no regular file", path.escape_debug())),
            }
        }
        if blobs.len() > Limits::default().count {
            return Err(miette!("more than {} files", Limits::default().count));
        }
        Ok(blobs)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(self.from)
            .args(["--no-pager", "--no-replace-objects", "--no-optional-locks"])
            // Files of a change must not pass for a repository of their own, nor have anything fetched.
            .args(["-c", "safe.bareRepository=explicit", "-c", "protocol.allow=never"])
            .args(arguments)
            // What isn't there is told, not fetched from somewhere, and nobody is asked for a password.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// What git says; `None` if it says no.
fn output(command: &mut Command) -> miette::Result<Option<String>> {
    let output = command
        .output()
        .into_diagnostic()
        .wrap_err("can't run `git`, which knows revisions")?;
    let text = String::from_utf8(output.stdout)
        .into_diagnostic()
        .wrap_err("git names a file that isn't UTF-8")?;
    Ok(output.status.success().then_some(text))
}

/// `git cat-file --batch`: an object for each id, one after the other.
struct Reader {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Reader {
    fn start(command: &mut Command) -> miette::Result<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.into_diagnostic().wrap_err("can't run `git`")?;
        let stdout = process.stdout.take().ok_or_else(|| miette!("git says nothing"))?;
        Ok(Self {
            process,
            answers: BufReader::new(stdout),
        })
    }

    fn read(&mut self, id: &str, limit: u64) -> miette::Result<Vec<u8>> {
        let stdin = self
            .process
            .stdin
            .as_mut()
            .ok_or_else(|| miette!("git hears nothing"))?;
        stdin.write_all(format!("{id}\n").as_bytes()).into_diagnostic()?;
        let mut head = String::new();
        self.answers.read_line(&mut head).into_diagnostic()?;
        let size = head
            .trim_end()
            .strip_prefix(id)
            .and_then(|rest| rest.strip_prefix(" blob "));
        let size: u64 = size
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| miette!("git has no object `{id}`"))?;
        if size > limit {
            return Err(miette!("a file of the revision is larger than {limit} bytes"));
        }
        // With the newline behind it.
        let mut bytes = Vec::new();
        let mut whole = (&mut self.answers).take(size.saturating_add(1));
        whole.read_to_end(&mut bytes).into_diagnostic()?;
        if bytes.pop() != Some(b'\n') || u64::try_from(bytes.len()).ok() != Some(size) {
            return Err(miette!("git ended in the middle of an object"));
        }
        Ok(bytes)
    }

    fn end(mut self) -> miette::Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().into_diagnostic()?;
        Ok(())
    }
}
