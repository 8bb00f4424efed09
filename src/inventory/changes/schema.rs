//! What became of a JSON Schema, argument by argument.

use serde_json::{Map, Value};

use super::text::{description, shown, value};
use super::{Aspect, Change, keys};
use crate::inventory::Place;

/// As deep as schemas are compared in words; below, as values.
const MAX_DEPTH: usize = 24;
/// Stands for the items of an array.
const ITEMS: &str = "[]";
/// Where schemas are kept that others refer to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// What changed between two schemas of a tool.
pub(super) fn changes(old: Option<&Value>, new: Option<&Value>, aspect: Aspect) -> Vec<Change> {
    let none = Value::Object(Map::new());
    let mut comparison = Comparison {
        aspect,
        path: Vec::new(),
        found: Vec::new(),
    };
    comparison.schema(old.unwrap_or(&none), new.unwrap_or(&none));
    comparison.found
}

struct Comparison {
    aspect: Aspect,
    /// Names of members; `[]` for the items of an array, `$defs` and a name for a definition.
    path: Vec<String>,
    found: Vec<Change>,
}

impl Comparison {
    fn schema(&mut self, old: &Value, new: &Value) {
        if old == new {
            return;
        }
        if !old.is_object() || !new.is_object() || self.path.len() > MAX_DEPTH {
            self.say(format!("{} → {}", shown(old), shown(new)));
            return;
        }
        for key in keys(old, new) {
            let (was, is) = (old.get(key), new.get(key));
            if was == is {
                continue;
            }
            match key {
                "properties" => self.properties(old, new),
                // Told beside the properties, whose words say it of those that came.
                "required" => self.required(old, new),
                "type" => self.type_of(was, is),
                "enum" => self.values(was, is),
                "description" if self.path.is_empty() => self.texts("description of the arguments", was, is),
                "description" => self.texts("its description", was, is),
                "items" => self.below(ITEMS, was, is),
                "$defs" | "definitions" => self.definitions(key, was, is),
                _ => {
                    let words = value(key, was, is, self.aspect).words;
                    self.say(words);
                }
            }
        }
    }

    fn say(&mut self, words: impl Into<String>) {
        let change = Change::new(self.aspect, words);
        self.found.push(self.placed(change));
    }

    /// The change with the place that it is about.
    fn placed(&self, change: Change) -> Change {
        let Some(place) = self.place() else { return change };
        let path = self
            .path
            .iter()
            .take_while(|name| *name != ITEMS && !DEFINITIONS.contains(&name.as_str()));
        Change {
            words: format!("{} `{place}`: {}", self.noun(), change.words),
            argument: Some(place),
            path: path.cloned().collect(),
            ..change
        }
    }

    fn noun(&self) -> &'static str {
        match self.aspect {
            Aspect::Output => "output",
            _ => "argument",
        }
    }

    /// As policies write it.
    fn place(&self) -> Option<String> {
        let (first, rest) = self.path.split_first()?;
        let mut place = Place::at([first.as_str()]).to_string();
        for name in rest {
            if name == ITEMS {
                place.push_str(ITEMS);
            } else {
                let name = Place::at([name.as_str()]).to_string();
                place.push_str(if name.starts_with('[') { "" } else { "." });
                place.push_str(&name);
            }
        }
        Some(place)
    }

    fn below(&mut self, name: &str, was: Option<&Value>, is: Option<&Value>) {
        let any = Value::Object(Map::new());
        self.path.push(name.to_owned());
        self.schema(was.unwrap_or(&any), is.unwrap_or(&any));
        self.path.pop();
    }

    fn properties(&mut self, old: &Value, new: &Value) {
        let none = Value::Object(Map::new());
        let (was, is) = (
            old.get("properties").unwrap_or(&none),
            new.get("properties").unwrap_or(&none),
        );
        for name in keys(was, is) {
            match (was.get(name), is.get(name)) {
                (Some(before), Some(after)) => self.below(name, Some(before), Some(after)),
                (None, Some(after)) => self.added(name, after, requires(new, name)),
                (Some(_), None) => {
                    self.path.push(name.to_owned());
                    self.say("removed");
                    self.path.pop();
                }
                (None, None) => {}
            }
        }
    }

    fn added(&mut self, name: &str, schema: &Value, required: bool) {
        self.path.push(name.to_owned());
        let kind = schema.get("type").map_or_else(|| "of any type".to_owned(), kind);
        let required = if required { ", required" } else { "" };
        let values = schema
            .get("enum")
            .map(|values| format!(", one of {}", shown(values)))
            .unwrap_or_default();
        self.say(format!("added: {kind}{required}{values}"));
        self.texts("its description", None, schema.get("description"));
        self.path.pop();
    }

    fn required(&mut self, old: &Value, new: &Value) {
        let listed = |schema: &Value| -> Vec<String> {
            let list = schema.get("required").and_then(Value::as_array);
            let names = list.into_iter().flatten().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        };
        let there = |schema: &Value, name: &str| {
            schema
                .pointer("/properties")
                .is_some_and(|all| all.get(name).is_some())
        };
        for name in listed(new) {
            // A new argument says itself that it is required.
            let is_new = there(new, &name) && !there(old, &name);
            if !requires(old, &name) && !is_new {
                self.path.push(name);
                self.say("now required");
                self.path.pop();
            }
        }
        for name in listed(old) {
            let is_gone = there(old, &name) && !there(new, &name);
            if !requires(new, &name) && !is_gone {
                self.path.push(name);
                self.say("no longer required");
                self.path.pop();
            }
        }
    }

    fn type_of(&mut self, was: Option<&Value>, is: Option<&Value>) {
        let words = |value: Option<&Value>| value.map_or_else(|| "any type".to_owned(), kind);
        self.say(format!("{} → {}", words(was), words(is)));
    }

    fn values(&mut self, was: Option<&Value>, is: Option<&Value>) {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
        match (list(was), list(is)) {
            (Some(before), Some(after)) => {
                let came: Vec<Value> = after
                    .iter()
                    .filter(|value| !before.contains(value))
                    .cloned()
                    .collect();
                let went: Vec<Value> = before
                    .iter()
                    .filter(|value| !after.contains(value))
                    .cloned()
                    .collect();
                if !came.is_empty() {
                    self.say(format!("also takes {}", several(&came)));
                }
                if !went.is_empty() {
                    self.say(format!("no longer takes {}", several(&went)));
                }
                if came.is_empty() && went.is_empty() {
                    self.say("takes the same values in another order");
                }
            }
            (Some(before), None) => self.say(format!("takes any value, not only {}", several(&before))),
            (None, Some(after)) => self.say(format!("takes only {}", several(&after))),
            (None, None) => {
                let words = value("enum", was, is, self.aspect).words;
                self.say(words);
            }
        }
    }

    fn texts(&mut self, name: &str, was: Option<&Value>, is: Option<&Value>) {
        for change in description(was, is, self.aspect, name) {
            let change = self.placed(change);
            self.found.push(change);
        }
    }

    fn definitions(&mut self, key: &str, was: Option<&Value>, is: Option<&Value>) {
        let none = Value::Object(Map::new());
        let (was, is) = (was.unwrap_or(&none), is.unwrap_or(&none));
        self.path.push(key.to_owned());
        for name in keys(was, is) {
            self.below(name, was.get(name), is.get(name));
        }
        self.path.pop();
    }
}

fn requires(schema: &Value, name: &str) -> bool {
    let list = schema.get("required").and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|required| required == name))
}

/// A type as JSON Schema names it, several with `or` between.
fn kind(value: &Value) -> String {
    match value {
        Value::String(one) => one.clone(),
        Value::Array(several) => {
            let names: Vec<&str> = several.iter().filter_map(Value::as_str).collect();
            names.join(" or ")
        }
        other => shown(other),
    }
}

fn several(values: &[Value]) -> String {
    let each: Vec<String> = values.iter().map(shown).collect();
    each.join(", ")
}
