//! `tools/<server>.json` and `tools/<server>.overrides.yaml` to an [`Inventory`]: all of it, or every problem.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::approvals::{self, APPROVALS};
use super::overrides::Overrides;
use super::problem::code;
use super::tool::Tool;
use super::{Files, Inventory, Problem, ServerName, ServerTools};
use crate::mcp::json::{self, FaultKind};

/// The folder of the policy directory that holds them.
const FOLDER: &str = "tools";
const OVERRIDES: &str = ".overrides.yaml";
/// Tools of one server.
const MAX_TOOLS: usize = 10_000;
/// The keys of a tool's definition in all versions of MCP.
const TOOL_KEYS: [&str; 9] = [
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
    "icons",
    "execution",
    "_meta",
];

/// Loads from a policy directory on disk.
pub(super) fn from_directory(directory: &Path) -> Result<Inventory, Vec<Problem>> {
    from_files(&Files::read(directory)?)
}

/// Loads from files that have been read.
pub(super) fn from_files(files: &Files) -> Result<Inventory, Vec<Problem>> {
    let mut servers = HashMap::new();
    let mut problems = Vec::new();
    for path in files.under(FOLDER, ".json") {
        match server(files, path) {
            Ok(tools) => {
                servers.insert(tools.name.clone(), tools);
            }
            Err(found) => problems.extend(found),
        }
    }
    for path in files.under(FOLDER, "") {
        problems.extend(stray(files, path));
    }
    if problems.is_empty() {
        Ok(Inventory::of(servers))
    } else {
        problems.sort_by(|left, right| left.file.cmp(&right.file));
        Err(Problem::coded(problems, code::TOOLS))
    }
}

/// The definitions of a server's tools as its file has them; none where there is no file.
pub(super) fn listed(files: &Files, server: &ServerName) -> Result<Vec<Value>, Problem> {
    let path = format!("{FOLDER}/{server}.json");
    match files.text(&path)? {
        Some(source) => definitions(&path, &source),
        None => Ok(Vec::new()),
    }
}

/// A file of the folder that belongs to no server.
fn stray(files: &Files, path: &str) -> Option<Problem> {
    if path.strip_suffix(".json").is_some() {
        return None;
    }
    let Some((server, verb)) = [(OVERRIDES, "override"), (APPROVALS, "approve")]
        .into_iter()
        .find_map(|(end, verb)| Some((path.strip_suffix(end)?, verb)))
    else {
        return Some(
            Problem::new(path, "neither tools nor overrides nor approvals").help(
                "name it `<server>.json` (a tools/list result), `<server>.overrides.yaml` or `<server>.approvals.yaml`",
            ),
        );
    };
    let tools = format!("{server}.json");
    files.get(&tools).is_none().then(|| {
        let servers = files
            .under(FOLDER, ".json")
            .filter_map(|path| path.strip_suffix(".json"));
        Problem::new(path, format!("there is no `{tools}` to {verb}")).suggest(server, servers)
    })
}

fn server(files: &Files, path: &str) -> Result<ServerTools, Vec<Problem>> {
    let one = |problem: Problem| vec![problem];
    let stem = path
        .trim_start_matches(FOLDER)
        .trim_start_matches('/')
        .trim_end_matches(".json");
    let name: ServerName = stem
        .parse()
        .map_err(|error| one(Problem::new(path, format!("{error}"))))?;
    let source = files.text(path).map_err(one)?.unwrap_or_default();
    let definitions = definitions(path, &source).map_err(one)?;
    let approvals_path = format!("{FOLDER}/{stem}{APPROVALS}");
    if let Some(source) = files.text(&approvals_path).map_err(one)? {
        approvals::check(&approvals_path, &source, &definitions).map_err(one)?;
    }
    let overrides_path = format!("{FOLDER}/{stem}{OVERRIDES}");
    let overrides_source = files.text(&overrides_path).map_err(one)?;
    let overrides = match &overrides_source {
        Some(source) => Overrides::parse(&overrides_path, source).map_err(one)?,
        None => Overrides::default(),
    };
    let mut building = Building {
        path,
        source: &source,
        problems: Vec::new(),
        tools: Vec::new(),
        by_name: HashMap::new(),
    };
    for definition in &definitions {
        building.tool(&name, definition, &overrides);
    }
    if let Some(source) = &overrides_source {
        building.check_overrides(&overrides_path, source, &overrides);
    }
    if building.problems.is_empty() {
        Ok(ServerTools::of(name, building.tools, building.by_name))
    } else {
        Err(building.problems)
    }
}

/// The tools of a `tools/list` result.
fn definitions(path: &str, source: &Arc<str>) -> Result<Vec<Value>, Problem> {
    let result = json::read(source.as_bytes(), json::NESTING_CEILING)
        .map_err(|fault| Problem::new(path, told(fault.kind)).at(source, fault.at, 1))?
        .to_serde();
    if result.get("nextCursor").is_some_and(|cursor| !cursor.is_null()) {
        return Err(
            Problem::new(path, "`nextCursor`: there are more tools than in this file")
                .at_text(source, "\"nextCursor\"")
                .help("put all pages into one: `mcp-authz tools pull` does"),
        );
    }
    match result {
        Value::Object(mut members) => match members.remove("tools") {
            Some(Value::Array(tools)) if tools.len() <= MAX_TOOLS => Ok(tools),
            Some(Value::Array(_)) => Err(Problem::new(path, format!("more than {MAX_TOOLS} tools"))),
            _ => Err(Problem::new(path, "no list of `tools`")
                .help("write a tools/list result: { \"tools\": [ … ] }")),
        },
        _ => {
            Err(Problem::new(path, "no JSON object").help("write a tools/list result: { \"tools\": [ … ] }"))
        }
    }
}

/// What is wrong with a file's JSON.
fn told(kind: FaultKind) -> String {
    match kind {
        FaultKind::Syntax(expected) => format!("no JSON here: expected {expected}"),
        FaultKind::DuplicateKey => "a key stands twice in the object that begins here".to_owned(),
        FaultKind::TrailingBytes => "something follows the JSON".to_owned(),
        FaultKind::ByteOrderMark => "begins with a byte order mark".to_owned(),
        FaultKind::NotUtf8 => "not UTF-8 here".to_owned(),
        FaultKind::NulByte => "a raw NUL byte".to_owned(),
        FaultKind::LoneSurrogate => "half of a surrogate pair".to_owned(),
        FaultKind::Nesting => "nested too deep".to_owned(),
        FaultKind::NumberRange => "a number that no double holds".to_owned(),
    }
}

struct Building<'a> {
    path: &'a str,
    source: &'a Arc<str>,
    problems: Vec<Problem>,
    tools: Vec<Tool>,
    by_name: HashMap<String, usize>,
}

impl Building<'_> {
    fn tool(&mut self, server: &ServerName, definition: &Value, overrides: &Overrides) {
        let name = definition.get("name").and_then(Value::as_str).unwrap_or_default();
        let place = format!("{}", Value::from(name));
        let problem = |message: String| {
            Problem::new(self.path, format!("tool `{}`: {message}", name.escape_debug()))
                .at_text(self.source, &place)
        };
        if let Some(found) = misspelt(definition) {
            self.problems.push(
                problem(format!("unknown key `{}`", found.0)).help(format!("did you mean `{}`?", found.1)),
            );
            return;
        }
        match Tool::new(server, definition, overrides.of(name)) {
            Err(message) => self.problems.push(problem(message)),
            Ok(tool) if self.by_name.contains_key(&tool.name) => {
                self.problems.push(problem("is there twice".to_owned()));
            }
            Ok(tool) => {
                self.by_name.insert(tool.name.clone(), self.tools.len());
                self.tools.push(tool);
            }
        }
    }

    /// An override of a tool that isn't there decides nothing: a misspelling would go unseen.
    fn check_overrides(&mut self, path: &str, source: &Arc<str>, overrides: &Overrides) {
        for (name, said) in &overrides.tools {
            if !self.by_name.contains_key(name) && self.problems.is_empty() {
                let known = self.tools.iter().map(|tool| tool.name.as_str());
                let problem = Problem::new(path, format!("the server has no tool `{}`", name.escape_debug()));
                self.problems
                    .push(problem.at_text(source, name).suggest(name, known));
            }
            self.check_groups(path, source, said.groups.iter().flatten());
        }
        self.check_groups(path, source, overrides.defaults.groups.iter().flatten());
    }

    fn check_groups<'b>(&mut self, path: &str, source: &Arc<str>, groups: impl Iterator<Item = &'b String>) {
        for group in groups {
            if group.is_empty() || group.len() > 128 || group.chars().any(char::is_control) {
                let message = format!("`{}` is no name of a group", group.escape_debug());
                self.problems
                    .push(Problem::new(path, message).at_text(source, group));
            }
        }
    }
}

/// A key of a definition that is nearly one that MCP knows. Other keys are a newer version's.
fn misspelt(definition: &Value) -> Option<(&str, &'static str)> {
    definition
        .as_object()?
        .keys()
        .map(String::as_str)
        .find_map(|key| {
            let known = TOOL_KEYS.into_iter().find(|known| {
                key != *known
                    && (key.eq_ignore_ascii_case(known) || strsim::damerau_levenshtein(key, known) <= 2)
            })?;
            (!TOOL_KEYS.contains(&key)).then_some((key, known))
        })
}

#[cfg(test)]
mod tests;
