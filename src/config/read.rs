//! The tree to typed settings, and every problem on the way with its place.

use serde_json::{Map, Number, Value as Json};

use crate::inventory::problem::closest;

use super::Config;
use super::problem::Problem;
use super::tree::{Key, Node, Place, Step, Value, written};

/// After so many problems there is no use in finding more.
const MAX_PROBLEMS: usize = 50;

/// Reads the tree. Goes on after a problem as far as that makes sense: `None` if it never came to an end.
pub(super) fn read(root: &mut Node, problems: &mut Vec<Problem>) -> Option<Config> {
    if matches!(root.value, Value::Null) {
        root.value = Value::Map(Vec::new());
    }
    while problems.len() < MAX_PROBLEMS {
        let error = match serde_path_to_error::deserialize::<_, Config>(json(root)) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let path = steps(error.path());
        let message = error.inner().to_string();
        if as_text(root, &path, &message) {
            continue;
        }
        let (problem, culprit) = explain(root, &path, &message);
        problems.push(problem);
        if !drop_value(root, &culprit) {
            return None;
        }
    }
    None
}

/// The tree as JSON; what an environment variable holds is read as YAML where it is that.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Dropped => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Unsigned(number) => Json::from(*number),
        Value::Signed(number) => Json::from(*number),
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Text(text) => Json::String(text.clone()),
        Value::Raw(text) => raw(text, &node.place),
        Value::List(items) => items.iter().filter(|item| !dropped(item)).map(json).collect(),
        Value::Map(entries) => {
            let kept = entries.iter().filter(|(_, value)| !dropped(value));
            Json::Object(
                kept.map(|(key, value)| (key.name.clone(), json(value)))
                    .collect::<Map<_, _>>(),
            )
        }
    }
}

fn dropped(node: &Node) -> bool {
    matches!(node.value, Value::Dropped)
}

fn raw(text: &str, place: &Place) -> Json {
    let Place::Variable(name) = place else {
        return Json::String(text.to_owned());
    };
    Node::from_variable(text, name).map_or_else(|_| Json::String(text.to_owned()), |node| json(&node))
}

fn steps(path: &serde_path_to_error::Path) -> Vec<Step> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { variant } => Some(Step::Key(variant.clone())),
            Segment::Unknown => None,
        })
        .collect()
}

/// `MCP_AUTHZ__GRPC__UNIX__MODE=0660` is a text though YAML would read a number: the type that asks decides.
fn as_text(root: &mut Node, path: &[Step], message: &str) -> bool {
    let Some(node) = root.get_mut(path) else {
        return false;
    };
    let Value::Raw(text) = &node.value else {
        return false;
    };
    let text = text.clone();
    let wants_text = message.starts_with("invalid type") && message.contains("string");
    if wants_text {
        node.value = Value::Text(text);
    }
    wants_text
}

/// What is wrong, in words, and the value to go on without.
fn explain(root: &Node, path: &[Step], message: &str) -> (Problem, Vec<Step>) {
    if let Some((unknown, known)) = unknown_field(message) {
        let mut culprit = path.to_vec();
        if culprit.last() != Some(&Step::Key(unknown.clone())) {
            culprit.push(Step::Key(unknown.clone()));
        }
        let parent = written(culprit.split_last().map(|(_, parent)| parent).unwrap_or_default());
        let place = place_of_key(root, &culprit);
        let within = if parent.is_empty() {
            "at the top".to_owned()
        } else {
            format!("in `{parent}`")
        };
        let problem = Problem::at(place, format!("unknown key `{unknown}` {within}"));
        return (problem.help(suggestion(&unknown, &known)), culprit);
    }
    let at = written(path);
    let told = if at.is_empty() {
        message.to_owned()
    } else {
        format!("`{at}`: {message}")
    };
    (Problem::at(root.place_of(path), told), path.to_vec())
}

/// Takes apart serde's words for a key that nobody reads.
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((unknown.to_owned(), known))
}

fn suggestion(unknown: &str, known: &[String]) -> String {
    match closest(unknown, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// Where a key is written, rather than its value.
fn place_of_key(root: &Node, path: &[Step]) -> Place {
    let Some((Step::Key(last), parent)) = path.split_last() else {
        return root.place_of(path);
    };
    let found = root.get(parent).and_then(|node| match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.name == *last),
        _ => None,
    });
    match found {
        Some((Key { place, .. }, _)) => place.clone(),
        None => root.place_of(path),
    }
}

/// Goes on without a value. Only one that is there can be left out, and never a whole section.
fn drop_value(root: &mut Node, path: &[Step]) -> bool {
    if path.is_empty() {
        return false;
    }
    match root.get_mut(path) {
        Some(node) if !dropped(node) => {
            node.value = Value::Dropped;
            true
        }
        _ => false,
    }
}
