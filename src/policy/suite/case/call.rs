//! The call that a test describes.

use serde_json::{Map, Value};

use super::{Case, People, Said};
use crate::mcp::call::{Operation, Reference};
use crate::mcp::json;
use crate::mcp::methods::{self, Method, Needs};

impl Case {
    /// What is called.
    pub(in crate::policy) fn operation(&self, people: &People) -> Result<Operation, Said> {
        if let Some(tool) = &self.tool {
            let arguments = self.given(people, &format!("{}/{tool}", self.server));
            return Ok(Operation::ToolsCall {
                tool: tool.clone(),
                arguments,
            });
        }
        let prompt = self.prompt.as_ref().map(|_| "prompts/get");
        let Some(method) = self.method.as_deref().or(prompt) else {
            return Err(Said::new(
                "what is called? give a `tool`, a `prompt` or a `method`",
            ));
        };
        match method {
            Operation::RESPONSE => Ok(Operation::Response),
            Operation::OPEN_STREAM => Ok(Operation::OpenStream { last_event: None }),
            Operation::END_SESSION => Ok(Operation::EndSession),
            _ => match methods::named(method) {
                Some(known) => self.of_method(known, people),
                None => Ok(Operation::Unknown {
                    method: method.to_owned(),
                }),
            },
        }
    }

    fn of_method(&self, known: &'static Method, people: &People) -> Result<Operation, Said> {
        let missing = |what: &str| Said::new(format!("`{what}` is missing"));
        let uri = || self.uri.clone().ok_or_else(|| missing("uri"));
        let method = known.name;
        Ok(match known.needs {
            Needs::Tool => return Err(missing("tool")),
            Needs::Prompt => Operation::PromptsGet {
                prompt: self.prompt.clone().ok_or_else(|| missing("prompt"))?,
                arguments: self.given(people, ""),
            },
            Needs::Resource => Operation::Resource { method, uri: uri()? },
            Needs::Listen => Operation::Listen {
                uris: self.uri.iter().cloned().collect(),
            },
            Needs::Completion => Operation::Complete {
                reference: match &self.prompt {
                    Some(prompt) => Reference::Prompt(prompt.clone()),
                    None => Reference::Resource(uri()?),
                },
            },
            Needs::Initialize => Operation::Initialize {
                offered: self.version()?.to_string(),
            },
            Needs::Task => Operation::Task {
                method,
                task: "task".to_owned(),
            },
            Needs::Anything => Operation::Plain { method },
        })
    }

    /// The arguments of the case, or those that the file gives for the action.
    fn given(&self, people: &People, action: &str) -> json::Object {
        let given = self.arguments.as_ref().or_else(|| people.arguments.get(action));
        object(given.cloned().unwrap_or_default())
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
