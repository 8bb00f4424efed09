//! `tools/<server>.approvals.yaml`: who approved which list of tools, when and why. Written by `tools approve`, read in reviews.
//!
//! ```yaml
//! - when: 2026-03-01T12:00:00Z
//!   by: ada
//!   why: the new version can drain a node
//!   digest: 3f0c…
//!   changes: [drain added]
//! ```
//!
//! The newest stands last, and is about the list that is there: a list that somebody changed by hand isn't taken for approved.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tool::digest;
use super::{Files, Problem, ServerName};

/// What the file's name ends in.
pub(super) const APPROVALS: &str = ".approvals.yaml";
/// The most bytes of a name, and of a reason.
const MAX_TEXT: usize = 4096;

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// When it was given.
    pub when: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
    /// SHA-256 of the list in canonical JSON, in hexadecimal.
    pub digest: String,
    /// What changed with it, a line for each tool.
    #[serde(default)]
    pub changes: Vec<String>,
}

/// The digest of a list of definitions: of what they say, not of how the file is laid out.
#[must_use]
pub fn digest_of(definitions: &[Value]) -> String {
    digest(&Value::Array(definitions.to_vec()))
}

/// The approvals of a server's list, the newest last; none where there is no file.
///
/// # Errors
/// The file can't be read as approvals.
pub fn of(files: &Files, server: &ServerName) -> Result<Vec<Approval>, Problem> {
    let path = format!("tools/{server}{APPROVALS}");
    match files.text(&path)? {
        Some(source) => parse(&path, &source),
        None => Ok(Vec::new()),
    }
}

/// Refuses a file that can't be read as approvals, and a list that isn't the last that was approved.
pub(super) fn check(path: &str, source: &Arc<str>, definitions: &[Value]) -> Result<(), Problem> {
    let approvals = parse(path, source)?;
    let tools = path.replace(APPROVALS, ".json");
    match approvals.last() {
        Some(last) if last.digest == digest_of(definitions) => Ok(()),
        Some(last) => Err(
            Problem::new(path, format!("`{tools}` is not the list that was approved last"))
                .at_text(source, &last.digest)
                .help("approve what is there: `mcp-authz tools approve`, or take the change back"),
        ),
        None => Err(Problem::new(path, "holds no approval").help("remove the file, or approve the list")),
    }
}

fn parse(path: &str, source: &Arc<str>) -> Result<Vec<Approval>, Problem> {
    let approvals: Vec<Approval> = serde_saphyr::from_str(source).map_err(|error| {
        let problem = Problem::new(path, error.without_snippet().to_string());
        match error.location() {
            Some(location) => {
                let line = usize::try_from(location.line()).unwrap_or(1);
                let column = usize::try_from(location.column()).unwrap_or(1);
                problem.at_line(source, line, column)
            }
            None => problem,
        }
    })?;
    for approval in &approvals {
        for (name, text) in [("by", &approval.by), ("why", &approval.why)] {
            if text.trim().is_empty() || text.len() > MAX_TEXT {
                let message = format!("`{name}` has 1 to {MAX_TEXT} bytes: an approval says who and why");
                return Err(Problem::new(path, message));
            }
        }
    }
    Ok(approvals)
}

/// The file with one more approval.
///
/// # Errors
/// It can't be written as YAML.
pub fn with(mut approvals: Vec<Approval>, approval: Approval) -> Result<String, serde_saphyr::ser::Error> {
    approvals.push(approval);
    serde_saphyr::to_string(&approvals)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::inventory::Inventory;

    fn approval(definitions: &[Value]) -> Approval {
        Approval {
            when: Timestamp::UNIX_EPOCH,
            by: "ada".to_owned(),
            why: "it: says \"why\"\n# in two lines".to_owned(),
            digest: digest_of(definitions),
            changes: vec!["a added".to_owned()],
        }
    }

    fn load(tools: &Value, approvals: &str) -> Result<Inventory, Vec<Problem>> {
        let files: Files = [
            ("tools/k.json", json!({ "tools": tools }).to_string()),
            ("tools/k.approvals.yaml", approvals.to_owned()),
        ]
        .into_iter()
        .collect();
        Inventory::from_files(&files)
    }

    #[test]
    fn the_last_approval_is_of_the_list_that_is_there() {
        let one = json!([{ "name": "a", "inputSchema": { "type": "object" } }]);
        let two = json!([{ "name": "b", "inputSchema": { "type": "object" } }]);
        let of = |list: &Value| approval(list.as_array().unwrap());
        let first = with(Vec::new(), of(&one)).unwrap();
        assert!(load(&one, &first).is_ok());
        let message = |found: Result<Inventory, Vec<Problem>>| found.unwrap_err()[0].message.clone();
        assert_eq!(
            message(load(&two, &first)),
            "`tools/k.json` is not the list that was approved last"
        );
        let second = with(vec![of(&one)], of(&two)).unwrap();
        assert!(load(&two, &second).is_ok());
        assert!(load(&one, &second).is_err());
        // How the file is laid out is no part of it.
        let laid_out = json!([{ "inputSchema": { "type": "object" }, "name": "a" }]);
        assert!(load(&laid_out, &first).is_ok());
    }

    #[test]
    fn an_approval_that_says_nothing_is_none() {
        let list = json!([]);
        let digest = digest_of(&[]);
        let line = |by: &str, more: &str| {
            format!("- {{when: 2026-03-01T12:00:00Z, by: {by}, why: y, digest: {digest}{more}}}\n")
        };
        assert!(load(&list, &line("ada", "")).is_ok());
        for (text, expected) in [
            ("[]".to_owned(), "holds no approval"),
            (
                line("''", ""),
                "`by` has 1 to 4096 bytes: an approval says who and why",
            ),
            (line("ada", ", who: bob"), "unknown field `who`"),
        ] {
            let problems = load(&list, &text).unwrap_err();
            assert!(problems[0].message.contains(expected), "{}", problems[0].message);
        }
        let alone: Files = [("tools/k.approvals.yaml", line("ada", ""))]
            .into_iter()
            .collect();
        assert!(Inventory::from_files(&alone).is_err());
    }
}
