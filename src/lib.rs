//! Decides, for every Model Context Protocol message that passes a gateway, whether this person, through this
//! workload, may do this.
//!
//! The modules, in the order of what they may know: a module imports from those before it and from none of those
//! after. `wire` and `telemetry` know no stage, only `exchange` and `clock`. `pipeline` takes a message through the
//! stages (`tests/layers.rs` fails on an import against the arrows).

pub mod clock;
pub mod fetch;

pub mod exchange;

pub mod spiffe;
pub mod state;

pub mod mcp;

pub mod inventory;

pub mod identity;

pub mod policy;

pub mod decide;
pub mod respond;

pub mod audit;
pub mod telemetry;

pub mod pipeline;

pub mod wire;

pub mod revocation;

pub mod config;

pub mod app;

pub mod dev;

pub mod cli;
