//! Which records of a journal somebody wants to see: decisions, and revocations.

use jiff::Timestamp;
use serde::Deserialize;

/// A record, as far as it is looked for and shown.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When the question came in.
    pub time: Option<Timestamp>,
    /// The decision's id.
    pub decision_id: String,
    /// `allowed`, `denied` or `gateway_gone`.
    pub outcome: String,
    /// The reason's code.
    pub reason: String,
    /// The server that was asked.
    pub server: String,
    /// The MCP method.
    pub method: String,
    /// The tool, prompt, URI …
    pub target: String,
    /// The person.
    pub user: Person,
    /// The workload's SPIFFE ID.
    pub workload: String,
    /// Who acts for the person.
    pub actor: String,
    /// What policies would have said that don't rule.
    pub shadow: Vec<Shadow>,
    /// The outcome that an earlier record has wrongly.
    pub corrects: Option<String>,
    /// `revoked` of a revocation; other lines with an event are about the journal itself.
    event: String,
    /// Whose tokens were revoked.
    issuer: String,
    /// Who said so.
    source: String,
    /// By user id.
    operator: Option<u32>,
    /// What was revoked.
    revoked: Vec<Revoked>,
}

/// What was revoked.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Revoked {
    kind: String,
    value: String,
}

/// What policies would have said that don't rule.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Shadow {
    /// `annotation` or `directory`.
    pub from: String,
    /// `would_allow` or `would_deny`, where it would have come out otherwise.
    pub code: String,
}

/// The person in a record.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Person {
    /// `sub`
    pub subject: String,
    /// The name for people.
    pub username: String,
}

/// What all must hold for a record to be shown. What is `None` always does.
#[derive(Debug, Default, Clone)]
pub struct Filter {
    /// The name or the subject.
    pub user: Option<String>,
    /// The SPIFFE ID, or what it begins with, up to a `/`.
    pub workload: Option<String>,
    /// Who acts for the person: all of it, or what it begins with, up to a `/`.
    pub actor: Option<String>,
    /// The tool of a `tools/call`.
    pub tool: Option<String>,
    /// `<server>/<tool>`, or a method.
    pub action: Option<String>,
    /// The server.
    pub server: Option<String>,
    /// The reason's code.
    pub reason: Option<String>,
    /// The outcome.
    pub outcome: Option<String>,
    /// The decision's id.
    pub decision: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Entry {
    /// The record in a line; `None` for a line about the journal itself, or none at all.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let mut entry: Self = serde_json::from_slice(line).ok()?;
        if entry.event == "revoked" {
            entry.show_revocation();
            return Some(entry);
        }
        (!entry.decision_id.is_empty()).then_some(entry)
    }

    /// A revocation in a decision's words.
    fn show_revocation(&mut self) {
        self.outcome = self.event.clone();
        self.reason = match self.operator {
            Some(uid) => format!("{} (uid {uid})", self.source),
            None => self.source.clone(),
        };
        let of_user = self.revoked.iter().find(|revoked| revoked.kind == "subject");
        self.user.subject = of_user.map(|user| user.value.clone()).unwrap_or_default();
        self.user.username = self.user.subject.clone();
        let shown = |revoked: &Revoked| {
            format!("{} {}", revoked.kind, revoked.value)
                .trim_end()
                .to_owned()
        };
        let shown: Vec<String> = self.revoked.iter().map(shown).collect();
        self.method = format!("{} of {}", shown.join(", "), self.issuer);
    }

    /// `<server>/<tool>` for a call of a tool, else the method.
    #[must_use]
    pub fn action(&self) -> String {
        if self.method == "tools/call" {
            format!("{}/{}", self.server, self.target)
        } else {
            self.method.clone()
        }
    }
}

impl Filter {
    /// Whether a record is wanted.
    #[must_use]
    pub fn wants(&self, entry: &Entry) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let tool = if entry.method == "tools/call" {
            entry.target.as_str()
        } else {
            ""
        };
        let user = self.user.as_deref();
        is(&self.tool, tool)
            && is(&self.server, &entry.server)
            && is(&self.reason, &entry.reason)
            && is(&self.outcome, &entry.outcome)
            && is(&self.decision, &entry.decision_id)
            && user.is_none_or(|user| user == entry.user.username || user == entry.user.subject)
            && self
                .action
                .as_deref()
                .is_none_or(|action| action == entry.action())
            && self
                .workload
                .as_deref()
                .is_none_or(|workload| is_below(workload, &entry.workload))
            && self
                .actor
                .as_deref()
                .is_none_or(|actor| is_below(actor, &entry.actor))
            && self
                .since
                .is_none_or(|since| entry.time.is_some_and(|time| time >= since))
            && self
                .until
                .is_none_or(|until| entry.time.is_some_and(|time| time < until))
    }
}

/// Whether an id is this one, or in this path.
fn is_below(path: &str, id: &str) -> bool {
    let path = path.trim_end_matches('/');
    id.strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry::read(
            br#"{"time":"2026-11-21T09:00:00Z","decision_id":"d1","outcome":"denied","reason":"no_permit","server":"workbench",
                "method":"tools/call","target":"fs_read","user":{"subject":"u-1","username":"alice","issuer":"i"},
                "workload":"spiffe://a/agent/1","durations_us":{"total":1},"gateway":"g","seq":1}"#,
        )
        .unwrap()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn each_filter_takes_what_it_names_and_nothing_else() {
        let text = |text: &str| Some(text.to_owned());
        let time = |text: &str| Some(text.parse().unwrap());
        let cases = [
            (
                Filter {
                    user: text("alice"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    user: text("u-1"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    user: text("bob"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    workload: text("spiffe://a/agent"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    workload: text("spiffe://a/agent/1"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    workload: text("spiffe://a/age"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    tool: text("fs_read"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    tool: text("fs_write"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    action: text("workbench/fs_read"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    action: text("tools/call"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    server: text("workbench"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    server: text("other"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    reason: text("no_permit"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    reason: text("expired"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    outcome: text("denied"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    outcome: text("allowed"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    decision: text("d1"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    decision: text("d"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    since: time("2026-11-21T09:00:00Z"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    since: time("2026-11-21T09:00:01Z"),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    until: time("2026-11-21T09:00:01Z"),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    until: time("2026-11-21T09:00:00Z"),
                    ..Filter::default()
                },
                false,
            ),
        ];
        for (filter, expected) in cases {
            assert_eq!(filter.wants(&entry()), expected, "{filter:?}");
        }
    }

    #[test]
    fn a_revocation_is_found_by_its_outcome_its_time_and_its_user() {
        let revoked = Entry::read(
            br#"{"event":"revoked","time":"2026-11-21T09:00:00Z","issuer":"keycloak","source":"logout_token",
                 "revoked":[{"kind":"subject","value":"u-1"}],"seq":2}"#,
        );
        let revoked = revoked.unwrap();
        let by = |outcome: &str, user: &str| Filter {
            outcome: Some(outcome.to_owned()),
            user: Some(user.to_owned()),
            since: Some("2026-11-21T09:00:00Z".parse().unwrap()),
            ..Filter::default()
        };
        assert!(by("revoked", "u-1").wants(&revoked));
        assert!(!by("revoked", "u-2").wants(&revoked));
        assert!(!by("denied", "u-1").wants(&revoked));
        assert_eq!(revoked.reason, "logout_token");
        assert_eq!(revoked.action(), "subject u-1 of keycloak");
    }

    #[test]
    fn a_line_about_the_journal_is_no_record() {
        assert_eq!(
            Entry::read(br#"{"time":"2026-11-21T09:00:00Z","event":"opened","seq":1}"#),
            None
        );
        assert_eq!(Entry::read(b"{"), None);
    }
}
