//! The part of the Cedar schema that is made from the tools: one action for each.
//!
//! This is the agreement with the policy stage, which owns `base.cedarschema`:
//! - every action `"<server>/<tool>"` is a member of [`CALL_GROUP`] and of its operation's group (`"read"`, `"list"`,
//!   `"write"`, `"execute"`, `"admin"`); the base schema declares these groups, without `appliesTo`;
//! - it applies to the principal types [`PRINCIPALS`] and the resource type [`RESOURCE`], declared by the base schema;
//! - its context is a record of `arguments`, typed by the tool's [`shape`](super::shape), and of the attributes that
//!   the policy stage hands in for the server (`user`, `workload`, `session`, `request`, `now` …): they are defined there
//!   once, and may name common types of the base schema.
//!
//! Everything is in the empty namespace. The text of a tool's name reaches Cedar as an entity id only.

use serde_json::{Map, Value, json};

use super::{Inventory, ServerName, ServerTools, Tool};

/// The action group of every tool.
pub const CALL_GROUP: &str = "tools/call";
/// The entity types of principals.
pub const PRINCIPALS: [&str; 2] = ["User", "Workload"];
/// The entity type of tools.
pub const RESOURCE: &str = "Tool";
/// The attribute of the context that holds the arguments.
pub const ARGUMENTS: &str = "arguments";

/// The attributes of a context type in Cedar's JSON schema format, by name.
pub type Attributes = Map<String, Value>;

impl Tool {
    /// The declaration of the tool's action in Cedar's JSON schema format. `context` is what the context holds beside
    /// `arguments`.
    #[must_use]
    pub fn declaration(&self, context: &Attributes) -> Value {
        let mut attributes = context.clone();
        attributes.insert(ARGUMENTS.to_owned(), self.shape().to_schema());
        json!({
            "memberOf": [{ "id": CALL_GROUP }, { "id": self.operation.as_str() }],
            "appliesTo": {
                "principalTypes": PRINCIPALS,
                "resourceTypes": [RESOURCE],
                "context": { "type": "Record", "attributes": attributes },
            },
        })
    }
}

impl ServerTools {
    /// The schema fragment of this server's tools in Cedar's JSON schema format.
    #[must_use]
    pub fn schema_fragment(&self, context: &Attributes) -> Value {
        let actions: Map<String, Value> = self
            .iter()
            .map(|tool| (tool.action.clone(), tool.declaration(context)))
            .collect();
        fragment(actions)
    }
}

impl Inventory {
    /// The schema fragment of all tools in Cedar's JSON schema format, to be joined with the base schema. `context` says
    /// for each server what the context of its calls holds beside `arguments`.
    pub fn schema_fragment(&self, context: impl Fn(&ServerName) -> Attributes) -> Value {
        let mut actions = Map::new();
        for server in self.iter() {
            let context = context(&server.name);
            actions.extend(
                server
                    .iter()
                    .map(|tool| (tool.action.clone(), tool.declaration(&context))),
            );
        }
        fragment(actions)
    }
}

fn fragment(actions: Map<String, Value>) -> Value {
    json!({ "": { "entityTypes": {}, "actions": actions } })
}
