//! Everything that stands in for the real surroundings on one machine: a certificate authority, an issuer of
//! tokens, Envoy, MCP servers. The demo and the tests run on these; nothing that serves knows of them.

pub mod agents;
pub mod client;
pub mod demo;
pub mod dpop;
pub mod envoy;
pub mod issuer;
pub mod keycloak;
pub mod mint;
pub mod part;
pub mod pki;
pub mod served;
pub mod stack;
pub mod trust_domain;
pub mod workload_api;

pub use issuer::{DevIssuer, DevIssuerError};
pub use mint::{Mint, TokenKind};
pub use trust_domain::DevTrustDomain;
