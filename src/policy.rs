//! A directory of Cedar files to [`Verdict`]s: one for each principal on the call.
//!
//! In: a [`Question`]. Out: what the policies say of the user and of the workload, each asked separately on the same
//! action, resource and context. Refused: a tool that isn't in the inventory, arguments that don't fit it, a value that Cedar
//! can't hold and a policy reads.

mod actions;
mod annotations;
mod arguments;
mod aside;
mod ask;
mod bounds;
mod case;
mod changes;
pub mod code;
mod conditions;
mod context;
mod coverage;
mod crowd;
mod decisions;
mod declared;
pub mod diff;
mod entities;
mod evaluate;
mod explain;
mod index;
mod kept;
mod knowledge;
mod links;
mod lint;
mod load;
pub mod matrix;
mod part;
mod peers;
pub mod question;
mod reach;
mod reaching;
mod reads;
pub mod recorded;
mod rules;
mod schema;
mod scope;
pub mod settings;
mod shadow;
mod standing;
mod step_up;
pub mod store;
mod strays;
mod suite;
mod table;
mod target;
mod telling;
#[cfg(test)]
mod tests;
mod trace;
mod validate;
mod values;
pub mod verdict;
mod written;

pub use aside::apart;
pub use ask::{AskError, PolicySet};
pub use case::Expected;
pub use cedar_policy::Effect;
pub use changes::{Changes, Told};
pub use conditions::{Compared, Condition, Relation, Said, Subject, Value};
pub use coverage::{Coverage, OfCondition, OfPolicy, OfTool, Share};
pub use decisions::{DecisionStatus, Lookups};
pub use entities::{BuildError, StepUp};
pub use explain::{Beside, Explanation, Remedy};
pub use kept::{Kept, Work};
pub use question::Question;
pub use reaching::Reaching;
pub use recorded::{Answer, Line, NoLine, Recorded, Unasked};
pub use schema::text as schema_text;
pub use settings::{DecisionCache, Settings};
pub use shadow::{Opinion, Shadow, ShadowStatus, Whose, Would};
pub use step_up::Missing;
pub use store::{PolicyStore, Reload, Status};
pub use suite::{Look, Report, TestFailure, Tested};
pub use trace::{Applied, Looked, Met, OfPrincipal, OfTarget, Trace, Truth};
pub use verdict::{Fired, Outcome, Principal, Verdict};
pub use written::Location;

use crate::inventory::name::NameError;
use crate::inventory::{Denials, Disclosure, Dpop, Requirement, SenderConstraint, Server, ServerName};

/// A server as the configuration's defaults would have it: for directories that are looked at without a configuration.
///
/// # Errors
/// The text is no name of a server.
pub fn default_server(name: &str) -> Result<Server, NameError> {
    let name: ServerName = name.parse()?;
    Ok(Server {
        sender_constraint: SenderConstraint::None,
        dpop: Dpop::default(),
        resource: format!("https://{name}.invalid/mcp"),
        name,
        require: vec![Requirement::User, Requirement::Workload],
        issuers: Vec::new(),
        proxied_actors: false,
        denials: Denials::default(),
        disclosure: Disclosure::default(),
        scopes: Vec::new(),
        origins: Vec::new(),
        undeclared_arguments: false,
        route: None,
    })
}
