//! What the documents show of a terminal is what a terminal shows: each session is replayed, from its page's first to its
//! last, in a folder that holds the shipped `policies/` and an `audit.jsonl` of one call. With `UPDATE_DOCS=1` the page is rewritten with what came out.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::policies::copy;
use super::{Page, root};

/// The language of a snippet that shows commands with what they print.
pub(crate) const LANGUAGE: &str = "shell-session";
/// Stands in what the shell prints before and after each command.
const MARK: char = '\u{1}';

/// A page cut at its sessions' fences: text and sessions in turns.
fn parts(text: &str) -> Vec<String> {
    let fence = format!("```{LANGUAGE}");
    let mut parts = vec![String::new()];
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let ends = inside && line.starts_with("```");
        if ends {
            parts.push(String::new());
            inside = false;
        }
        parts.last_mut().unwrap().push_str(line);
        if !inside && !ends && line.trim_end() == fence {
            parts.push(String::new());
            inside = true;
        }
    }
    parts
}

/// The commands of a session: `$ ` before the first line of each, `> ` before the others.
fn commands(session: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut open = false;
    for line in session.lines() {
        match (line.strip_prefix("$ "), line.strip_prefix("> ")) {
            (Some(command), _) => {
                commands.push(command.to_owned());
                open = true;
            }
            (None, Some(more)) if open => write!(commands.last_mut().unwrap(), "\n{more}").unwrap(),
            _ => open = false,
        }
    }
    commands
}

/// What each command prints, in one shell, one after the other.
fn replay(place: &Path, commands: &[String]) -> Vec<String> {
    let mut script = String::new();
    for command in commands {
        // The exit code goes on to the next command, as it does at a prompt.
        writeln!(script, "{command}\n{{ code=$?; printf '\\001'; (exit $code); }}").unwrap();
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_mcp-authz")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(place)
        .env("PATH", path)
        .env("HOME", place)
        .env_remove("MCP_AUTHZ_CONFIG")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut printed: Vec<String> = printed.split(MARK).map(str::to_owned).collect();
    assert_eq!(printed.pop().as_deref(), Some(""), "the shell ended early");
    printed
}

/// The session as it really goes.
fn told(commands: &[String], printed: &[String]) -> String {
    let mut session = String::new();
    for (command, printed) in commands.iter().zip(printed) {
        writeln!(session, "$ {}", command.replace('\n', "\n> ")).unwrap();
        session.push_str(printed);
    }
    session
}

/// Replays a page's sessions; how many commands they have.
pub(crate) fn hold(page: &Page) -> usize {
    let mut parts = parts(&page.text);
    let sessions: Vec<Vec<String>> = parts
        .iter()
        .skip(1)
        .step_by(2)
        .map(|text| commands(text))
        .collect();
    let all: Vec<String> = sessions.concat();
    if all.is_empty() {
        return 0;
    }
    let place = tempfile::tempdir().unwrap();
    copy(&root().join("policies"), &place.path().join("policies"));
    fs::copy(
        root().join("tests/documents/audit.jsonl"),
        place.path().join("audit.jsonl"),
    )
    .unwrap();
    let printed = replay(place.path(), &all);
    assert_eq!(printed.len(), all.len(), "{}", page.path.display());
    let mut rest = printed.as_slice();
    for (part, session) in parts.iter_mut().skip(1).step_by(2).zip(&sessions) {
        let (own, others) = rest.split_at(session.len());
        *part = told(session, own);
        rest = others;
    }
    let text = parts.concat();
    if text != page.text && std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page.path, text).unwrap();
    } else {
        let advice = "it goes otherwise now: read it, then UPDATE_DOCS=1 cargo test --test documents";
        pretty_assert(&text, &page.text, &format!("{}: {advice}", page.path.display()));
    }
    all.len()
}

/// The first line that is another, rather than two pages.
fn pretty_assert(found: &str, written: &str, advice: &str) {
    let mut lines = found.lines().zip(written.lines()).enumerate();
    if let Some((number, (found, written))) = lines.find(|(_, (found, written))| found != written) {
        let number = number.saturating_add(1);
        panic!("{advice}\nline {number} is\n  {written}\nand would be\n  {found}");
    }
    assert_eq!(found.len(), written.len(), "{advice}");
}
