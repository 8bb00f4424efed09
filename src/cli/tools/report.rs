//! What policies see of a server's tools, in words for people and as JSON for scripts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::{Output, Terminal};
use crate::inventory::shape::{Record, Shape};
use crate::inventory::{Place, ServerTools, Tool, Unseen, Why};

/// The tools of a server.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    server: String,
    file: PathBuf,
    tools: Vec<Line>,
}

/// One tool of it.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    operation: &'static str,
    classified: bool,
    groups: Vec<String>,
    /// The schema says nothing of any argument: all pass, none is seen.
    any_arguments: bool,
    unseen_arguments: Vec<Hidden>,
    inexact_arguments: Vec<Inexact>,
    bounded_patterns: Vec<String>,
    unchecked_patterns: Vec<String>,
    digest: String,
}

/// An argument that policies can't see.
#[derive(Debug, Serialize)]
struct Hidden {
    argument: String,
    why: &'static str,
    allows: &'static str,
    instead: &'static str,
    #[serde(skip)]
    cause: Why,
}

/// An argument that policies see where Cedar holds its value exactly.
#[derive(Debug, Serialize)]
struct Inexact {
    argument: String,
    seen: &'static str,
}

const FRACTIONS: &str = "numbers of up to four decimal places";
const TEXTS: &str = "texts of up to 1,024 characters, for their pattern, which looks around or back, isn't checked on longer ones";
const OBJECTS: &str = "arrays whose objects hold nothing that can't be seen";

impl Line {
    fn of(tool: &Tool) -> Self {
        let mut inexact = Vec::new();
        collect(tool.shape(), &mut Vec::new(), &mut inexact);
        Self {
            name: tool.name.clone(),
            operation: tool.operation.as_str(),
            classified: tool.classified,
            groups: tool.groups.clone(),
            any_arguments: tool.is_silent(),
            unseen_arguments: tool.unseen().iter().map(Hidden::of).collect(),
            inexact_arguments: inexact,
            bounded_patterns: tool.bounded_patterns().to_vec(),
            unchecked_patterns: tool.unchecked_patterns().to_vec(),
            digest: tool.digest.clone(),
        }
    }

    /// The name as a terminal may show it.
    fn shown(&self) -> String {
        self.name.escape_debug().to_string()
    }
}

impl Hidden {
    fn of(unseen: &Unseen) -> Self {
        Self {
            argument: unseen.place.to_string(),
            why: unseen.why.code(),
            allows: unseen.why.cause(),
            instead: unseen.why.instead(),
            cause: unseen.why,
        }
    }
}

/// The places of a record that hold some of the values that the schema allows.
fn collect(record: &Record, path: &mut Vec<String>, found: &mut Vec<Inexact>) {
    for (name, attribute) in record.iter() {
        path.push(name.to_owned());
        let seen = match &attribute.shape {
            Shape::Record(inner) => {
                collect(inner, path, found);
                None
            }
            shape => inexact(shape),
        };
        if let Some(seen) = seen {
            let argument = Place::at(path.iter().map(String::as_str)).to_string();
            found.push(Inexact { argument, seen });
        }
        path.pop();
    }
}

fn inexact(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::Decimal => Some(FRACTIONS),
        Shape::ShortString => Some(TEXTS),
        Shape::Record(_) => Some(OBJECTS),
        Shape::Set(element) => inexact(element),
        Shape::Bool | Shape::Long | Shape::String => None,
    }
}

impl Report {
    pub(super) fn of(tools: &ServerTools, file: &Path) -> Self {
        Self {
            server: tools.name.to_string(),
            file: file.to_owned(),
            tools: tools.iter().map(Line::of).collect(),
        }
    }

    pub(super) fn print(&self, terminal: Terminal) -> miette::Result<()> {
        match terminal.output() {
            Output::Json => terminal.json(self),
            Output::Table => terminal.print(self.words(terminal)),
        }
    }

    /// For people: one paragraph for each thing that there is to say.
    pub(super) fn words(&self, terminal: Terminal) -> String {
        let head = format!(
            "{} of `{}` → {}",
            match self.tools.len() {
                1 => "1 tool".to_owned(),
                many => format!("{many} tools"),
            },
            self.server,
            self.file.display()
        );
        let paragraphs = [
            Some(head),
            self.unseen(terminal),
            self.inexact(),
            self.silent(),
            self.unchecked(),
            self.unclassified(),
        ];
        paragraphs.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }

    fn unseen(&self, terminal: Terminal) -> Option<String> {
        let hiding: Vec<&Line> = self
            .tools
            .iter()
            .filter(|tool| !tool.unseen_arguments.is_empty())
            .collect();
        if hiding.is_empty() {
            return None;
        }
        let mut table = terminal.table(["tool", "argument", "its schema allows"]);
        for tool in &hiding {
            for (index, hidden) in tool.unseen_arguments.iter().enumerate() {
                let name = if index == 0 { tool.shown() } else { String::new() };
                table.add_row([name, hidden.argument.clone(), hidden.allows.to_owned()]);
            }
        }
        let causes: BTreeSet<Why> = hiding
            .iter()
            .flat_map(|tool| tool.unseen_arguments.iter().map(|hidden| hidden.cause))
            .collect();
        let instead: Vec<String> = causes
            .into_iter()
            .map(|why| format!("  {}: {}", why.cause(), why.instead()))
            .collect();
        Some(format!(
            "Policies can't see these arguments, for Cedar has no type for what may stand there:\n{table}\n\
             Calls may carry them and are decided without them. A policy that names one is refused when it is loaded; one\n\
             that uses all of a record (`context.arguments == …`) denies the calls that carry one in it. Who may call the tool at\n\
             all is decided as ever, and beyond that:\n{}",
            instead.join("\n")
        ))
    }

    fn inexact(&self) -> Option<String> {
        let lines: Vec<String> = [FRACTIONS, TEXTS, OBJECTS]
            .into_iter()
            .filter_map(|seen| {
                let of = move |tool: &Line| {
                    let arguments: Vec<String> = tool
                        .inexact_arguments
                        .iter()
                        .filter(|argument| argument.seen == seen)
                        .map(|argument| argument.argument.clone())
                        .collect();
                    (!arguments.is_empty()).then(|| format!("    {}: {}", tool.shown(), arguments.join(", ")))
                };
                let tools: Vec<String> = self.tools.iter().filter_map(of).collect();
                (!tools.is_empty()).then(|| format!("  {seen}:\n{}", tools.join("\n")))
            })
            .collect();
        (!lines.is_empty()).then(|| {
            format!(
                "Policies see these where Cedar holds the value exactly. They read them (numbers and arrays after `has`), and\n\
                 deny a call with another value there; where no policy reads them, every value passes.\n{}",
                lines.join("\n")
            )
        })
    }

    fn silent(&self) -> Option<String> {
        let (names, first) = self.names(|tool| tool.any_arguments)?;
        Some(format!(
            "The schemas of these say nothing of any argument: all pass, and policies see none.\n  {names}\n\
             To refuse them, in tools/{}.overrides.yaml: tools: {{ {first}: {{ undeclared_arguments: refuse }} }}",
            self.server
        ))
    }

    fn unchecked(&self) -> Option<String> {
        let (names, _) = self.names(|tool| !tool.unchecked_patterns.is_empty())?;
        Some(format!(
            "Patterns of these can't be run here: what they ask for isn't checked.\n  {names}"
        ))
    }

    fn unclassified(&self) -> Option<String> {
        let (names, first) = self.names(|tool| !tool.classified)?;
        Some(format!(
            "Neither annotations nor overrides say what these do, so they count as `execute`:\n  {names}\n\
             Say it in tools/{}.overrides.yaml: tools: {{ {first}: {{ operation: read }} }}",
            self.server
        ))
    }

    /// The tools of which something holds, and the first of them.
    fn names(&self, holds: impl Fn(&Line) -> bool) -> Option<(String, String)> {
        let names: Vec<String> = self
            .tools
            .iter()
            .filter(|tool| holds(tool))
            .map(Line::shown)
            .collect();
        let first = names.first()?.clone();
        Some((names.join(", "), first))
    }
}

#[cfg(test)]
mod tests;
