//! A directory of Cedar files to [`Verdict`]s: one for each principal on the call.
//!
//! In: a [`Question`]. Out: what the policies say of the user and of the workload, each asked separately on the same
//! action, resource and context. Refused: a tool that isn't in the inventory, arguments that don't fit it, a value that Cedar
//! can't hold and a policy reads.

mod ask;
pub mod code;
pub mod diff;
mod explain;
mod lint;
mod load;
pub mod matrix;
pub mod question;
mod reaching;
pub mod recorded;
pub mod settings;
mod shadow;
pub mod store;
mod suite;
#[cfg(test)]
mod tests;
pub mod verdict;
mod written;

pub use ask::decisions::{DecisionStatus, Lookups};
pub use ask::entities::{BuildError, StepUp};
pub use ask::{AskError, PolicySet};
pub use cedar_policy::Effect;
pub use explain::conditions::{Compared, Condition, Relation, Said, Subject, Value};
pub use explain::step_up::Missing;
pub use explain::trace::{Applied, Looked, Met, OfPrincipal, OfTarget, Trace, Truth};
pub use explain::{Beside, Explanation, Remedy};
pub use load::aside::apart;
pub use load::changes::{Changes, Told};
pub use load::kept::{Kept, Work};
pub use load::schema::text as schema_text;
pub use question::Question;
pub use reaching::Reaching;
pub use recorded::{Answer, Line, NoLine, Recorded, Unasked};
pub use settings::{DecisionCache, Settings};
pub use shadow::{Opinion, Shadow, ShadowStatus, Whose, Would};
pub use store::{PolicyStore, Reload, Status};
pub use suite::case::Expected;
pub use suite::coverage::{Coverage, OfCondition, OfPolicy, OfTool, Share};
pub use suite::{Look, Report, TestFailure, Tested};
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
