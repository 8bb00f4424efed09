//! `envoy/agentgateway.yaml` itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ground::shipped;
use crate::parts::agentgateway::{AgentGateway, switched};

/// The keys that this file may have, from agentgateway 1.4: what it doesn't know it doesn't start with.
const KEYS: [&str; 34] = [
    "port",
    "listeners.name",
    "listeners.protocol",
    "listeners.tls.cert",
    "listeners.tls.key",
    "listeners.tls.root",
    "routes.name",
    "routes.hostnames",
    "routes.matches.path.exact",
    "policies.jwtAuth.mode",
    "policies.jwtAuth.issuer",
    "policies.jwtAuth.audiences",
    "policies.jwtAuth.jwks.url",
    "policies.jwtAuth.jwks.file",
    "policies.requestHeaderModifier.remove",
    "policies.extAuthz.host",
    "policies.extAuthz.policies.backendTLS.cert",
    "policies.extAuthz.policies.backendTLS.key",
    "policies.extAuthz.policies.backendTLS.root",
    "policies.extAuthz.policies.backendTLS.hostname",
    "policies.extAuthz.failureMode",
    "policies.extAuthz.protocol.grpc.context.server",
    "policies.extAuthz.protocol.grpc.metadata",
    "policies.extAuthz.includeRequestHeaders",
    "policies.extAuthz.includeRequestBody.maxRequestBytes",
    "policies.extAuthz.includeRequestBody.allowPartialMessage",
    "policies.extAuthz.includeRequestBody.packAsBytes",
    "policies.extAuthz.cache.key",
    "policies.extAuthz.cache.ttl",
    "policies.extAuthz.cache.maxEntries",
    "backends.mcp.targets.name",
    "backends.mcp.targets.mcp.host",
    "backends.mcp.targets.mcp.port",
    "backends.mcp.targets.mcp.path",
];

/// Every value that is neither a mapping nor a list of them, by the path of its keys.
fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                leaves(value, &format!("{path}.{key}"), found);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for item in items {
                leaves(item, path, found);
            }
        }
        leaf => drop(found.insert(path.to_owned(), leaf.clone())),
    }
}

#[test]
fn the_shipped_configuration_says_what_agentgateway_knows() {
    for jwt in [false, true] {
        let text = switched(&shipped("agentgateway.yaml"), jwt);
        let mut gateway = AgentGateway::new(&text);
        let mut found = BTreeMap::new();
        leaves(&gateway.configuration, "", &mut found);
        for path in found.keys() {
            let shown = path.strip_prefix(".binds.").unwrap();
            let shown = shown.trim_start_matches("listeners.routes.");
            let shown = ["name", "hostnames", "matches"]
                .iter()
                .find(|key| shown.starts_with(**key))
                .map_or(shown.to_owned(), |_| format!("routes.{shown}"));
            assert!(KEYS.contains(&shown.as_str()), "agentgateway has no `{path}`");
        }
        let routes = gateway.routes();
        assert_eq!(routes.len(), 2);
        for route in routes {
            let policies = &route["policies"];
            assert_eq!(policies["jwtAuth"].is_object(), jwt);
            let authz = &policies["extAuthz"];
            assert_eq!(authz["failureMode"], "deny");
            assert_eq!(authz["protocol"]["grpc"]["context"]["server"], route["name"]);
            let limit = mcp_authz::config::Config::default().messages.max_body_bytes;
            let body = json!({ "maxRequestBytes": limit, "allowPartialMessage": true, "packAsBytes": true });
            assert_eq!(authz["includeRequestBody"], body);
            // What isn't shown can't be refused; what is remembered isn't decided.
            assert_eq!(
                (&authz["includeRequestHeaders"], &authz["cache"]),
                (&Value::Null, &Value::Null)
            );
            assert_eq!(
                route["backends"][0]["mcp"]["targets"].as_array().unwrap().len(),
                1
            );
        }
    }
}
