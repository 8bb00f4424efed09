//! What `policy diff` found, for people and for scripts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Loaded;
use crate::cli::Terminal;
use crate::exchange::printable;
use crate::inventory::changes::Fate;
use crate::policy::diff::{Cases, Changes, Replay, Said};

/// Everything that was found.
#[derive(Serialize)]
pub(super) struct Report {
    old: Version,
    new: Version,
    changes: Changes,
    cases: Cases,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Replay>,
    /// What was denied and is allowed, and nobody accepts.
    opened: Vec<String>,
    /// What nobody approved any more as it is now and a policy lets through, and nobody accepts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unapproved: Vec<String>,
    /// What was denied or approved otherwise and is allowed, and somebody accepts.
    accepted: Vec<String>,
}

#[derive(Serialize)]
struct Version {
    name: String,
    version: String,
}

impl Report {
    pub(super) fn new(
        [old, new]: [&Loaded; 2],
        changes: Changes,
        cases: Cases,
        log: Option<Replay>,
        accepts: impl Fn(&str, &str) -> bool,
    ) -> Self {
        let version = |side: &Loaded| Version {
            name: side.name.clone(),
            version: side.set.version().to_owned(),
        };
        let by_case = cases.flips.iter().map(|case| &case.flip);
        let by_log = log
            .iter()
            .flat_map(|log| log.flips.iter().map(|group| &group.flip));
        let opening = by_case.chain(by_log).filter(|flip| flip.opens());
        let flips = opening.map(|flip| (flip.who.as_str(), flip.what.as_str()));
        // Whoever calls them: the one who changes a list is not the one who is let through.
        let gone = changes.approvals.iter().flat_map(|change| &change.unapproved);
        let gone = gone.map(|what| ("*", what.as_str()));
        let (opened, mut accepted) = held_against(flips, &accepts);
        let (unapproved, too) = held_against(gone, &accepts);
        accepted.extend(too);
        Self {
            old: version(old),
            new: version(new),
            opened,
            unapproved,
            accepted,
            changes,
            cases,
            log,
        }
    }

    /// Whether nothing opens that nobody accepts.
    pub(super) fn is_accepted(&self) -> bool {
        self.opened.is_empty() && self.unapproved.is_empty()
    }

    /// Calls the sides otherwise: a test's directories have names of their own each time.
    #[cfg(test)]
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        for (side, name) in [(&mut self.old, old), (&mut self.new, new)] {
            name.clone_into(&mut side.name);
            // It changes with the shipped schema.
            side.version = "0".repeat(64);
        }
    }

    /// For people.
    pub(super) fn words(&self, terminal: Terminal) -> String {
        let mut parts = vec![self.head()];
        parts.extend(self.changed());
        parts.push(self.cases(terminal));
        parts.extend(self.log.as_ref().map(|log| replayed(log, terminal)));
        parts.push(self.verdict());
        parts.join("\n\n")
    }

    fn head(&self) -> String {
        let short = |version: &Version| version.version.chars().take(12).collect::<String>();
        format!(
            "{} ({}) → {} ({})",
            printable::escape(&self.old.name),
            short(&self.old),
            printable::escape(&self.new.name),
            short(&self.new)
        )
    }

    fn changed(&self) -> Vec<String> {
        let changes = &self.changes;
        if changes.is_empty() && self.cases.tests.is_empty() {
            return vec!["no policy, entity, tool, approval or test changed".to_owned()];
        }
        let mut parts = Vec::new();
        let mut part = |head: &str, items: Vec<String>| {
            if !items.is_empty() {
                parts.push(format!("{head}\n{}", items.join("\n")));
            }
        };
        let policies = changes.policies.iter().map(|policy| {
            let place = format!("{}:{}", policy.file, policy.line);
            item(policy.fate, &format!("{} ({place})", policy.id), &policy.words)
        });
        part("policies", policies.collect());
        let entities = changes
            .entities
            .iter()
            .map(|entity| item(entity.fate, &entity.entity, &entity.words));
        part("entities", entities.collect());
        let tools = changes.servers.iter().flat_map(|server| {
            server.tools.iter().map(|tool| {
                let mut words = Vec::new();
                for change in &tool.changes {
                    words.push(change.words.clone());
                    words.extend(change.lines.iter().map(|line| format!("  {line}")));
                }
                item(tool.fate, &format!("{}/{}", server.server, tool.tool), &words)
            })
        });
        part("tools", tools.collect());
        let approvals = changes
            .approvals
            .iter()
            .map(|change| item(change.fate, &change.server, &change.words));
        part("approvals", approvals.collect());
        let tests = self.cases.tests.iter().map(|test| {
            let name = format!("{} ({}:{})", test.name, test.file, test.line);
            item(test.fate, &name, std::slice::from_ref(&test.words))
        });
        part("tests", tests.collect());
        if changes.schema {
            part("schema", vec!["  changed  base.cedarschema".to_owned()]);
        }
        parts
    }

    fn cases(&self, terminal: Terminal) -> String {
        let cases = &self.cases;
        let mut lines = vec![format!(
            "tests of both: {} asked, {} allowed or denied otherwise, {} the same for another reason",
            cases.asked,
            cases.flips.len(),
            cases.otherwise
        )];
        if !cases.flips.is_empty() {
            let mut table = terminal.table(["who", "what", "was", "is", "test"]);
            for case in &cases.flips {
                let place = format!("{} ({}:{})", case.name, case.file, case.line);
                let removed = if case.removed { ", removed" } else { "" };
                table.add_row([
                    shown(&case.flip.who),
                    shown(&case.flip.what),
                    said(&case.flip.old),
                    said(&case.flip.new),
                    format!("{place}{removed}"),
                ]);
            }
            lines.push(table.to_string());
        }
        if cases.failing > 0 {
            let name = printable::escape(&self.new.name);
            lines.push(format!(
                "{name} fails {} of its own tests: it would not rule",
                cases.failing
            ));
        }
        lines.join("\n")
    }

    fn verdict(&self) -> String {
        let list = |names: &[String]| {
            let each: Vec<String> = names.iter().map(|name| format!("  {}", shown(name))).collect();
            each.join("\n")
        };
        let mut parts = Vec::new();
        if !self.accepted.is_empty() {
            parts.push(format!(
                "denied or approved otherwise before, allowed now, and accepted:\n{}",
                list(&self.accepted)
            ));
        }
        if !self.unapproved.is_empty() {
            parts.push(format!(
                "approved by nobody as it is now, and let through by policies (accept with --accept):\n{}",
                list(&self.unapproved)
            ));
        }
        parts.push(if self.opened.is_empty() {
            let more = if self.accepted.is_empty() { "" } else { " else" };
            format!("nothing{more} that was denied is allowed, as far as was asked")
        } else {
            format!(
                "denied before, allowed now (accept with --accept):\n{}",
                list(&self.opened)
            )
        });
        parts.join("\n")
    }
}

/// Each as `WHO:WHAT`, once: those that nobody accepts, and those that somebody does.
fn held_against<'a>(
    opening: impl Iterator<Item = (&'a str, &'a str)>,
    accepts: impl Fn(&str, &str) -> bool,
) -> (Vec<String>, Vec<String>) {
    let found: BTreeMap<String, bool> = opening
        .map(|(who, what)| (format!("{who}:{what}"), accepts(who, what)))
        .collect();
    let (accepted, open): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, accepted)| *accepted);
    let names = |found: Vec<(String, bool)>| found.into_iter().map(|(name, _)| name).collect();
    (names(open), names(accepted))
}

fn item(fate: Fate, name: &str, words: &[String]) -> String {
    let mut lines = vec![format!("  {:8} {}", fate.as_str(), shown(name))];
    lines.extend(words.iter().map(|words| format!("           {}", shown(words))));
    lines.join("\n")
}

fn shown(text: &str) -> String {
    printable::escape(text).into_owned()
}

fn said(said: &Said) -> String {
    let word = if said.allowed { "allowed" } else { "denied" };
    let by = said.by.join(", ");
    match (said.allowed, by.is_empty()) {
        (true, true) => word.to_owned(),
        (true, false) => format!("{word} by {by}"),
        (false, true) => format!("{word}: {}", said.reason),
        (false, false) => format!("{word}: {} by {by}", said.reason),
    }
}

fn replayed(log: &Replay, terminal: Terminal) -> String {
    let mut lines = vec![format!(
        "log: {} calls in {} lines, {} asked again: {} allowed or denied otherwise, {} the same for another reason",
        log.calls,
        log.lines,
        log.asked,
        log.flips
            .iter()
            .map(|group| group.calls)
            .fold(0, usize::saturating_add),
        log.otherwise
    )];
    if !log.flips.is_empty() {
        let mut table = terminal.table(["who", "what", "calls", "was", "is", "for instance"]);
        for group in &log.flips {
            table.add_row([
                shown(&group.flip.who),
                shown(&group.flip.what),
                group.calls.to_string(),
                said(&group.flip.old),
                said(&group.flip.new),
                shown(&group.example),
            ]);
        }
        lines.push(table.to_string());
    }
    if log.unlike > 0 {
        lines.push(format!("{} calls were decided otherwise then than the old directory does: under another version, or another configuration",
            log.unlike
        ));
    }
    if !log.not_asked.is_empty() {
        let mut table = terminal.table(["calls", "not asked again because", "for instance"]);
        for one in &log.not_asked {
            table.add_row([one.calls.to_string(), shown(&one.why), shown(&one.example)]);
        }
        lines.push(table.to_string());
    }
    lines.join("\n")
}
