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
pub const PRINCIPALS: [&str; 3] = ["User", "Workload", "Agent"];
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
    let actions = Value::Object(actions);
    json!({ "": { "entityTypes": {}, "actions": actions } })
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use cedar_policy::{PolicySet, Schema, SchemaFragment, ValidationMode, Validator};

    use super::super::testing::cases;
    use super::*;

    const BASE: &str = r#"
        entity User, Workload, Agent;
        entity Tool;
        type RequestInfo = { version: String };
        action "tools/call";
        action "read", "list", "write", "execute", "admin";
    "#;

    const TOOLS: &str = r#"{ "tools": [
      { "name": "scale_deployment", "annotations": { "destructiveHint": false }, "inputSchema": {
          "type": "object",
          "properties": {
            "namespace": { "type": "string" },
            "replicas": { "type": "integer" },
            "ratio": { "type": "number" },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } },
            "where": { "type": "object", "properties": { "zones": { "type": "array", "items": { "type": "string" } } } },
            "__extn": { "type": "string" },
            "": { "type": "boolean" }
          },
          "required": ["namespace", "replicas", "ratio"] } },
      { "name": "read \"file\"\\.é/x", "annotations": { "readOnlyHint": true }, "inputSchema": { "type": "object" } }
    ] }"#;

    fn generated() -> Value {
        let files = [("tools/kubernetes.json", TOOLS)].into_iter().collect();
        let inventory = Inventory::from_files(&files).unwrap();
        inventory.schema_fragment(|_| {
            let context = json!({
                "user": { "type": "EntityOrCommon", "name": "User" },
                "workload": { "type": "EntityOrCommon", "name": "Workload", "required": false },
                "request": { "type": "EntityOrCommon", "name": "RequestInfo" },
                "now": { "type": "Extension", "name": "datetime", "required": false },
            });
            context.as_object().unwrap().clone()
        })
    }

    fn schema() -> Schema {
        let (base, _) = SchemaFragment::from_cedarschema_str(BASE).unwrap();
        let tools = SchemaFragment::from_json_value(generated()).unwrap();
        Schema::from_schema_fragments([base, tools]).unwrap()
    }

    #[test]
    fn the_generated_schema_is_as_reviewed() {
        insta::assert_snapshot!(
            SchemaFragment::from_json_value(generated())
                .unwrap()
                .to_cedarschema()
                .unwrap()
        );
    }

    /// Whether a policy over tools passes strict validation.
    fn valid(scope: &str, condition: &str) -> bool {
        let text = format!("permit (principal, {scope}, resource) when {{ {condition} }};");
        let policies = PolicySet::from_str(&text).unwrap();
        Validator::new(schema())
            .validate(&policies, ValidationMode::Strict)
            .validation_passed()
    }

    #[test]
    fn policies_are_checked_against_the_tools_real_argument_types() {
        let cases: Vec<(String, String, bool)> = cases(include_str!("cases/policies.yaml"));
        for (scope, condition, expected) in cases {
            let action = match scope.as_str() {
                "scale" => r#"action == Action::"kubernetes/scale_deployment""#,
                "odd" => r#"action == Action::"kubernetes/read \"file\"\\.é/x""#,
                "calls" => r#"action in Action::"tools/call""#,
                _ => r#"action in [Action::"read", Action::"write"]"#,
            };
            assert_eq!(valid(action, &condition), expected, "{scope}: {condition}");
        }
    }
}
