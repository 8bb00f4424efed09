//! Every value of the configuration by environment variable, too.
//!
//! `MCP_AUTHZ__GRPC__LISTEN` is `grpc.listen`; list items go by index (`MCP_AUTHZ__SERVERS__0__RESOURCE`), and a
//! list or map can be given whole as YAML or JSON text (`MCP_AUTHZ__SERVERS='[{"name": "k8s", …}]'`).

use std::ffi::OsString;
use std::sync::Arc;

use super::problem::Problem;
use super::tree::{Key, Node, Place, Value};

/// What every variable of ours begins with. Two underscores: Kubernetes itself sets `MCP_AUTHZ_SERVICE_HOST` and the
/// like in every pod of a namespace that has a Service `mcp-authz`.
pub(super) const PREFIX: &str = "MCP_AUTHZ__";

/// Between the steps of a path.
const SEPARATOR: &str = "__";

/// Puts what the environment says over what the file says.
pub(super) fn merge(
    root: &mut Node,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Vec<Problem>,
) {
    let mut ours: Vec<(String, OsString)> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    // A whole list comes before changes to its items, and item 2 before item 10.
    ours.sort_by_cached_key(|(name, _)| {
        let order = |step: &str| (step.parse::<usize>().ok(), step.to_owned());
        name.split(SEPARATOR).map(order).collect::<Vec<_>>()
    });
    for (name, value) in ours {
        let variable: Arc<str> = name.as_str().into();
        let set = value
            .into_string()
            .map_err(|_| "its value is not UTF-8".to_owned())
            .and_then(|value| set(root, &variable, value));
        if let Err(message) = set {
            problems.push(Problem::at(Place::Variable(variable), message));
        }
    }
}

/// Puts one variable's value where its name says.
fn set(root: &mut Node, variable: &Arc<str>, value: String) -> Result<(), String> {
    let path = variable
        .strip_prefix(PREFIX)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let mut node = root;
    for step in path.split(SEPARATOR) {
        if step.is_empty() {
            return Err("its name has an empty part: write `MCP_AUTHZ__SECTION__KEY`".to_owned());
        }
        open(node, variable, step)?;
        node = match &mut node.value {
            Value::List(items) => item(items, variable, step)?,
            Value::Map(entries) => entry(entries, variable, step)?,
            _ => return Err(format!("nothing can be set below `{step}`")),
        };
    }
    *node = Node {
        value: Value::Raw(value),
        place: Place::Variable(Arc::clone(variable)),
    };
    Ok(())
}

/// Makes a node into something that has parts: what a variable gave as text is read, anything else is replaced.
fn open(node: &mut Node, variable: &Arc<str>, step: &str) -> Result<(), String> {
    if let (Value::Raw(text), Place::Variable(name)) = (&node.value, &node.place) {
        let read = Node::from_variable(text, name);
        *node =
            read.map_err(|cause| format!("`{name}`, which it changes, is not readable as YAML: {cause}"))?;
    }
    if !matches!(node.value, Value::List(_) | Value::Map(_)) {
        let value = if step.parse::<usize>().is_ok() {
            Value::List(Vec::new())
        } else {
            Value::Map(Vec::new())
        };
        *node = Node {
            value,
            place: Place::Variable(Arc::clone(variable)),
        };
    }
    Ok(())
}

fn item<'a>(items: &'a mut Vec<Node>, variable: &Arc<str>, step: &str) -> Result<&'a mut Node, String> {
    let count = items.len();
    let index: usize = step
        .parse()
        .map_err(|_| format!("`{step}` is no index, and the value is a list: count from 0"))?;
    if index > count {
        return Err(format!(
            "index {index} leaves a gap: the list has {count} items so far, count from 0"
        ));
    }
    if index == count {
        items.push(Node {
            value: Value::Null,
            place: Place::Variable(Arc::clone(variable)),
        });
    }
    items.get_mut(index).ok_or_else(|| format!("no item {index}"))
}

fn entry<'a>(
    entries: &'a mut Vec<(Key, Node)>,
    variable: &Arc<str>,
    step: &str,
) -> Result<&'a mut Node, String> {
    // Environment variables are upper case; keys of the file needn't be lower case (names in a map).
    let found = entries
        .iter()
        .position(|(key, _)| key.name.eq_ignore_ascii_case(step));
    let index = found.unwrap_or(entries.len());
    if found.is_none() {
        let place = Place::Variable(Arc::clone(variable));
        let key = Key {
            name: step.to_owned(),
            place: place.clone(),
        };
        entries.push((
            key,
            Node {
                value: Value::Null,
                place,
            },
        ));
    }
    entries
        .get_mut(index)
        .map(|(_, node)| node)
        .ok_or_else(|| format!("no key `{step}`"))
}
