//! The call that a test describes.

use serde_json::{Map, Value};

use super::{Case, People, Said};
use crate::mcp::call::{Operation, Reference};
use crate::mcp::json;

/// Methods that say no more than their name.
const PLAIN: [&str; 14] = [
    "ping",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "tasks/list",
    "logging/setLevel",
    "server/discover",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "initialize",
];
/// Methods with a URI.
const RESOURCE: [&str; 3] = ["resources/read", "resources/subscribe", "resources/unsubscribe"];
/// Methods with a task.
const TASK: [&str; 4] = ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update"];
impl Case {
    /// What is called.
    pub(super) fn operation(&self, people: &People) -> Result<Operation, Said> {
        let arguments = |action: &str| {
            let given = self.arguments.as_ref().or_else(|| people.arguments.get(action));
            object(given.cloned().unwrap_or_default())
        };
        if let Some(tool) = &self.tool {
            let arguments = arguments(&format!("{}/{tool}", self.server));
            return Ok(Operation::ToolsCall {
                tool: tool.clone(),
                arguments,
            });
        }
        let uri = || self.uri.clone().ok_or_else(|| Said::new("`uri` is missing"));
        let method = self
            .method
            .as_deref()
            .unwrap_or(if self.prompt.is_some() { "prompts/get" } else { "" });
        let named = |list: &[&'static str]| list.iter().copied().find(|known| *known == method);
        Ok(match method {
            "" => {
                return Err(Said::new(
                    "what is called? give a `tool`, a `prompt` or a `method`",
                ));
            }
            "prompts/get" => Operation::PromptsGet {
                prompt: self
                    .prompt
                    .clone()
                    .ok_or_else(|| Said::new("`prompt` is missing"))?,
                arguments: arguments(""),
            },
            "completion/complete" => Operation::Complete {
                reference: match &self.prompt {
                    Some(prompt) => Reference::Prompt(prompt.clone()),
                    None => Reference::Resource(uri()?),
                },
            },
            "subscriptions/listen" => Operation::Listen {
                uris: self.uri.iter().cloned().collect(),
            },
            "response" => Operation::Response,
            "stream/open" => Operation::OpenStream { last_event: None },
            "session/end" => Operation::EndSession,
            _ => {
                if let Some(method) = named(&RESOURCE) {
                    Operation::Resource { method, uri: uri()? }
                } else if let Some(method) = named(&TASK) {
                    Operation::Task {
                        method,
                        task: "task".to_owned(),
                    }
                } else if let Some(method) = named(&PLAIN) {
                    Operation::Plain { method }
                } else {
                    Operation::Unknown {
                        method: method.to_owned(),
                    }
                }
            }
        })
    }
}

fn object(members: Map<String, Value>) -> json::Object {
    json::Object(
        members
            .into_iter()
            .map(|(name, value)| (name, json(value)))
            .collect(),
    )
}

fn json(value: Value) -> json::Value {
    match value {
        Value::Null => json::Value::Null,
        Value::Bool(value) => json::Value::Bool(value),
        Value::Number(number) => json::Value::Number(json::Number::new(&number.to_string())),
        Value::String(text) => json::Value::String(text),
        Value::Array(items) => json::Value::Array(items.into_iter().map(json).collect()),
        Value::Object(members) => json::Value::Object(object(members)),
    }
}
