//! The whole way through real parts: MCP clients, Envoy, mcp-authz, MCP servers. `make tools` installs them.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail on the spot"
)]

mod parts;

mod agentgateway;
mod agents;
mod audit;
mod bodies;
mod bound;
mod browsers;
mod calls;
mod challenges;
mod conformance;
mod delegation;
mod demo;
mod disclosure;
mod envoy_config;
mod faults;
mod inspector;
mod jwt_authn;
mod jwt_svid;
mod keycloak;
mod nonces;
mod paths;
mod recipe;
mod reload;
mod replicas;
mod revocation;
mod sdks;
mod shadow;
mod streams;
mod threats;
mod tokens;
mod tools;
mod workload_api;
mod workloads;
