//! Which people, workloads and tools a matrix is about.

use crate::inventory::problem::closest;
use crate::policy::PolicySet;
use crate::policy::matrix::{Subject, What, Who};

/// Who is asked.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Who")]
pub(super) struct Selection {
    /// A person of this role of entities.json
    #[arg(long, value_name = "NAME")]
    pub(super) role: Vec<String>,

    /// A person of this group
    #[arg(long, value_name = "NAME")]
    pub(super) group: Vec<String>,

    /// A person of this tenant
    #[arg(long, value_name = "NAME")]
    pub(super) tenant: Vec<String>,

    /// A person whom the tests name
    #[arg(long, value_name = "NAME")]
    pub(super) user: Vec<String>,

    /// A workload of this trust tier
    #[arg(long, value_name = "NAME")]
    pub(super) tier: Vec<String>,

    /// A workload of this trust domain
    #[arg(long, value_name = "NAME")]
    pub(super) domain: Vec<String>,

    /// A workload below this path: the beginning of a SPIFFE ID that entities.json declares
    #[arg(long, value_name = "PATH")]
    pub(super) path: Vec<String>,

    /// A workload whom the tests name, by its name or its SPIFFE ID
    #[arg(long, value_name = "NAME")]
    pub(super) workload: Vec<String>,

    /// An agent that is this OAuth client: `<issuer>#<client id>`
    #[arg(long, value_name = "NAME")]
    pub(super) client: Vec<String>,
}

/// What they call.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What")]
pub(super) struct Things {
    /// Only these servers
    #[arg(long, value_name = "NAME")]
    pub(super) server: Vec<String>,

    /// Only these tools, as `<server>/<tool>` or by their names alone; of MCP's own actions, these
    #[arg(long, value_name = "NAME")]
    pub(super) tool: Vec<String>,

    /// Also what MCP itself asks a server for: lists, resources, prompts, sessions
    #[arg(long)]
    pub(super) protocol: bool,
}

impl Selection {
    /// Each one chosen; each person with each workload where both are.
    pub(super) fn who(&self, declared: Vec<Subject>, people: Vec<Subject>) -> miette::Result<Vec<Who>> {
        let chosen = self.chosen();
        if chosen.iter().all(|(_, names)| names.is_empty()) {
            return Ok(declared.into_iter().map(single).collect());
        }
        let known: Vec<Subject> = declared.into_iter().chain(people).collect();
        let mut found: Vec<Subject> = Vec::new();
        for (kind, names) in chosen {
            for name in names {
                let of_kind = || known.iter().filter(|subject| subject.kind() == kind);
                let matching: Vec<&Subject> = of_kind().filter(|subject| meant(subject, name)).collect();
                if matching.is_empty() {
                    return Err(unknown(kind, name, of_kind().map(Subject::name)));
                }
                let new: Vec<Subject> = matching
                    .into_iter()
                    .filter(|one| !found.contains(one))
                    .cloned()
                    .collect();
                found.extend(new);
            }
        }
        let (people, others): (Vec<Subject>, Vec<Subject>) = found.into_iter().partition(Subject::is_person);
        if people.is_empty() || others.is_empty() {
            return Ok(people.into_iter().chain(others).map(single).collect());
        }
        let pairs = people.iter().flat_map(|person| {
            others.iter().map(|other| Who {
                subjects: vec![person.clone(), other.clone()],
            })
        });
        Ok(pairs.collect())
    }

    fn chosen(&self) -> [(&'static str, &[String]); 9] {
        [
            ("role", &self.role),
            ("group", &self.group),
            ("tenant", &self.tenant),
            ("user", &self.user),
            ("tier", &self.tier),
            ("domain", &self.domain),
            ("path", &self.path),
            ("workload", &self.workload),
            ("client", &self.client),
        ]
    }
}

impl Things {
    pub(super) fn of(&self, set: &PolicySet) -> miette::Result<Vec<What>> {
        let servers: Vec<&str> = set
            .inventory()
            .iter()
            .map(|server| server.name.as_str())
            .collect();
        if let Some(name) = self
            .server
            .iter()
            .find(|name| !servers.iter().any(|server| matches(name, server)))
        {
            return Err(unknown("server", name, servers.into_iter()));
        }
        let mut all = set.callable(self.protocol);
        all.retain(|what| {
            self.server.is_empty() || self.server.iter().any(|name| matches(name, &what.server))
        });
        let names = |what: &What, name: &str| {
            let tool = what.tool.as_deref().unwrap_or_default();
            matches(name, &what.action) || matches(name, tool)
        };
        if let Some(name) = self
            .tool
            .iter()
            .find(|name| !all.iter().any(|what| names(what, name)))
        {
            return Err(unknown("tool", name, all.iter().map(|what| what.action.as_str())));
        }
        all.retain(|what| self.tool.is_empty() || self.tool.iter().any(|name| names(what, name)));
        Ok(all)
    }
}

fn single(subject: Subject) -> Who {
    Who {
        subjects: vec![subject],
    }
}

fn meant(subject: &Subject, name: &str) -> bool {
    let id = match subject {
        Subject::Workload(_, workload) => Some(workload.spiffe_id.as_str()),
        _ => None,
    };
    matches(name, subject.name()) || id.is_some_and(|id| matches(name, id))
}

fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> miette::Report {
    let help = match closest(name, known.clone()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => match known.take(12).collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => format!("there is no {kind} in this directory"),
            some => format!("there is {some}"),
        },
    };
    miette::miette!(help = help, "no {kind} `{name}`")
}

/// Whether a text is what a pattern means, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("workbench/db_*", "workbench/db_read", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
