//! A server's list held against the approved one: what changed, and which policies and tests that touches.

use std::path::Path;

use miette::IntoDiagnostic as _;
use serde::Serialize;
use serde_json::Value;

use super::Directory;
use super::source::{Listed, Source};
use crate::cli::configured::ConfigFile;
use crate::cli::{Output, Terminal};
use crate::inventory::changes::{self, Fate, List, ToolChange};
use crate::inventory::{Files, Inventory, Problem, Server, ServerName};
use crate::mcp::Operation;
use crate::policy::{PolicySet, Reaching};

/// Whose list, where it comes from, and what it is held against
#[derive(Debug, clap::Args)]
pub(super) struct Compared {
    /// The server's name, as in the configuration
    server: ServerName,

    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    pub(super) directory: Directory,

    #[command(flatten)]
    config: ConfigFile,
}

impl Compared {
    /// The directory without and with the list, and the configuration's servers.
    ///
    /// # Errors
    /// What can't be read, or asked.
    pub(super) async fn read(&self, terminal: Terminal) -> miette::Result<(Sides, Vec<Server>)> {
        let servers = self.config.servers(terminal)?;
        let listed = self.source.list(&self.server).await?;
        let sides = Sides::read(&self.directory.policies, &self.server, listed)
            .map_err(|problems| terminal.last(problems))?;
        Ok((sides, servers))
    }
}

/// What changed in a server's list.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) server: String,
    pub(super) changes: Vec<Touching>,
    /// Whether policies and tests could be looked at: the directory as it is may rule.
    pub(super) policies_known: bool,
}

/// What became of a tool, and what rests on it.
#[derive(Debug, Serialize)]
pub(super) struct Touching {
    #[serde(flatten)]
    pub(super) change: ToolChange,
    /// In whose scope calls of it are.
    policies: Vec<Reaching>,
    /// Which call it.
    tests: Vec<Test>,
}

/// A test of the directory.
#[derive(Debug, Clone, Serialize)]
struct Test {
    name: String,
    file: String,
    line: usize,
}

/// A policy directory, and the same with another list of one server.
pub(super) struct Sides {
    pub(super) server: ServerName,
    pub(super) path: String,
    pub(super) old: Files,
    pub(super) new: Files,
    approved: Vec<Value>,
    listed: Vec<Value>,
    /// The list as a file.
    pub(super) text: String,
}

impl Sides {
    /// Reads the directory, and puts the list in it.
    ///
    /// # Errors
    /// What of the directory can't be read.
    fn read(directory: &Path, server: &ServerName, listed: Listed) -> Result<Self, Vec<Problem>> {
        let old = Files::read(directory)?;
        let path = format!("tools/{server}.json");
        let approved = changes::definitions(&old, server).map_err(|problem| vec![problem])?;
        Ok(Self {
            new: old.clone().with(&path, listed.text.as_bytes()),
            server: server.clone(),
            path,
            old,
            approved,
            listed: listed.definitions,
            text: listed.text,
        })
    }

    /// The definitions that are there now.
    pub(super) fn listed(&self) -> &[Value] {
        &self.listed
    }

    /// What changed, and what that touches.
    ///
    /// # Errors
    /// Why the server's list is none: nothing that policies could rest on.
    pub(super) fn difference(&self, servers: &[Server]) -> Result<Difference, Vec<Problem>> {
        let inventory = |files: &Files| {
            let own = [self.path.clone(), format!("tools/{}.overrides.yaml", self.server)];
            let own = own
                .into_iter()
                .filter_map(|path| Some((files.get(&path)?.to_vec(), path)));
            Inventory::from_files(&own.map(|(bytes, path)| (path, bytes)).collect::<Files>())
        };
        // Of the approved list, the overrides may name a tool that is only in the new one.
        let (before, after) = (inventory(&self.old).ok(), inventory(&self.new)?);
        let tools = before
            .as_ref()
            .and_then(|inventory| inventory.server(&self.server));
        let found = changes::between(
            List::new(&self.approved, tools),
            List::new(&self.listed, after.server(&self.server)),
        );
        let ruling = [&self.old, &self.new].map(|files| PolicySet::load_and_test(files, servers).ok());
        let tests = [&self.old, &self.new]
            .into_iter()
            .zip(&ruling)
            .find_map(|(files, set)| Some(calls(set.as_ref()?, files, servers)))
            .unwrap_or_default();
        Ok(Difference {
            server: self.server.to_string(),
            policies_known: ruling.iter().any(Option::is_some),
            changes: found
                .into_iter()
                .map(|change| self.touching(change, &ruling, &tests))
                .collect(),
        })
    }

    fn touching(
        &self,
        change: ToolChange,
        ruling: &[Option<PolicySet>; 2],
        tests: &[(String, Test)],
    ) -> Touching {
        let action = format!("{}/{}", self.server, change.tool);
        let arguments: Vec<(&str, &[String])> = change
            .changes
            .iter()
            .filter_map(|change| Some((change.argument.as_deref()?, change.path.as_slice())))
            .collect();
        let mut policies: Vec<Reaching> = Vec::new();
        for found in ruling
            .iter()
            .flatten()
            .flat_map(|set| set.reaching(&action, &arguments))
        {
            if policies.iter().all(|known| known.id != found.id) {
                policies.push(found);
            }
        }
        policies.sort_by(|a, b| a.id.cmp(&b.id));
        let of_tool = tests.iter().filter(|(called, _)| *called == action);
        Touching {
            policies,
            tests: of_tool.map(|(_, test)| test.clone()).collect(),
            change,
        }
    }
}

/// The tests of a directory, each with the tool that it calls.
fn calls(set: &PolicySet, files: &Files, servers: &[Server]) -> Vec<(String, Test)> {
    let mut called = Vec::new();
    let report = set.test(files, servers, None, &mut |question, _| {
        called.push(match &question.call.operation {
            Operation::ToolsCall { tool, .. } => format!("{}/{tool}", question.server.name),
            _ => String::new(),
        });
    });
    let tested = report.map(|report| report.tested).unwrap_or_default();
    let tests = tested.into_iter().map(|tested| Test {
        name: tested.name,
        file: tested.file,
        line: tested.line,
    });
    called.into_iter().zip(tests).collect()
}

impl Difference {
    pub(super) fn print(&self, terminal: Terminal) -> miette::Result<()> {
        match terminal.output() {
            Output::Json => terminal.print(serde_json::to_string_pretty(self).into_diagnostic()?),
            Output::Table => terminal.print(self.words()),
        }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        if self.changes.is_empty() {
            return format!("the tools of `{}` are as approved", self.server);
        }
        let count = |fate: Fate| {
            self.changes
                .iter()
                .filter(|touching| touching.change.fate == fate)
                .count()
        };
        let mut text = format!(
            "tools of `{}`: {} added, {} removed, {} changed\n",
            self.server,
            count(Fate::Added),
            count(Fate::Removed),
            count(Fate::Changed)
        );
        for touching in &self.changes {
            text.push('\n');
            text.push_str(&touching.words());
        }
        if !self.policies_known {
            text.push_str("\nWhich policies and tests this touches can't be told: the directory may not rule (`mcp-authz policy validate`).\n");
        }
        text.trim_end().to_owned()
    }

    /// A line for each tool, for the record of an approval.
    pub(super) fn summary(&self) -> Vec<String> {
        let line = |touching: &Touching| {
            let ToolChange { tool, fate, changes } = &touching.change;
            let words: Vec<&str> = changes.iter().map(|change| change.words.as_str()).collect();
            let detail = match fate {
                Fate::Changed => format!(": {}", words.join("; ")),
                Fate::Added | Fate::Removed => String::new(),
            };
            format!("{} {}{detail}", tool.escape_debug(), fate.as_str())
        };
        self.changes.iter().map(line).collect()
    }
}

impl Touching {
    fn words(&self) -> String {
        let mut lines = vec![format!(
            "{} {}",
            self.change.tool.escape_debug(),
            self.change.fate.as_str()
        )];
        for change in &self.change.changes {
            lines.push(format!("  {}", change.words));
            lines.extend(change.lines.iter().map(|line| format!("    {line}")));
        }
        let policies = self.policies.iter().map(|policy| {
            let reads = match policy.reads.as_slice() {
                [] => String::new(),
                reads => format!(", reads {}", reads.join(", ")),
            };
            let shadow = if policy.shadow { ", shadow" } else { "" };
            format!(
                "    {} ({}:{}{shadow}{reads})",
                policy.id, policy.file, policy.line
            )
        });
        let tests = self
            .tests
            .iter()
            .map(|test| format!("    {} ({}:{})", test.name, test.file, test.line));
        for (head, mut each) in [
            ("  policies:", policies.collect::<Vec<_>>()),
            ("  tests:", tests.collect()),
        ] {
            if !each.is_empty() {
                lines.push(head.to_owned());
                lines.append(&mut each);
            }
        }
        lines.join("\n") + "\n"
    }
}
