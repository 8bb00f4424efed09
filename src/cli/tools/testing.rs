//! A small policy directory for tests, and lists of tools to hold against it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

const POLICIES: &str = r#"@id("people")
@reason("Everybody may use the cluster")
permit (principal is User, action in Action::"tools/call", resource in Server::"k8s");

@id("no-more-than-five")
@reason("Only five at once")
forbid (principal is User, action == Action::"k8s/scale", resource)
when { context.arguments.replicas > 5 };

@id("writers")
permit (principal is Workload, action in [Action::"write", Action::"read"], resource in Server::"k8s");
"#;

const TESTS: &str = r#"users: { ada: {} }
workloads: { bot: "spiffe://example.org/bot" }
cases:
  - { server: k8s, user: ada, workload: bot, tool: scale, arguments: { name: a, replicas: 3 }, expect: allow }
  - { name: too many, server: k8s, user: ada, workload: bot, tool: scale, arguments: { name: a, replicas: 6 }, expect: deny,
      by: [no-more-than-five] }
  - { server: k8s, user: ada, workload: bot, tool: get, expect: allow }
"#;

/// A tool with these members changed.
pub(in crate::cli) fn scale(changes: &Value) -> Value {
    let mut tool = json!({ "name": "scale", "description": "Scales a deployment.", "inputSchema": {
        "type": "object",
        "properties": { "name": { "type": "string" }, "replicas": { "type": "integer", "maximum": 10 } },
        "required": ["name", "replicas"] }, "annotations": { "readOnlyHint": false } });
    for (pointer, value) in changes.as_object().unwrap() {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        tool.pointer_mut(parent).unwrap()[name] = value.clone();
    }
    tool
}

/// A tool that only reads.
pub(in crate::cli) fn get() -> Value {
    json!({ "name": "get", "inputSchema": { "type": "object" }, "annotations": { "readOnlyHint": true } })
}

/// A directory with the policies, tests and tools.
pub(in crate::cli) fn directory() -> TempDir {
    let place = TempDir::new().unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/base.cedarschema");
    std::fs::copy(schema, place.path().join("base.cedarschema")).unwrap();
    std::fs::create_dir_all(place.path().join("tools")).unwrap();
    std::fs::create_dir_all(place.path().join("tests")).unwrap();
    std::fs::write(place.path().join("entities.json"), "[]").unwrap();
    std::fs::write(place.path().join("k8s.cedar"), POLICIES).unwrap();
    std::fs::write(place.path().join("tests/k8s.yaml"), TESTS).unwrap();
    list(
        &place.path().join("tools"),
        "k8s.json",
        &[scale(&json!({})), get()],
    );
    place
}

/// A list of tools in a file.
pub(in crate::cli) fn list(folder: &Path, name: &str, tools: &[Value]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, json!({ "tools": tools }).to_string()).unwrap();
    path
}
