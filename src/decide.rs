//! Verdicts and facts to one [`Decision`], with a [`Reason`].
//!
//! In: what the stages before found out about one HTTP request. Out: a [`Permit`], which only this module can
//! make, or a [`Denial`]. A request with several calls (a batch) is allowed only if each of them is.

use std::sync::Arc;

use crate::identity::{Caller, IdentityError, Nonce};
use crate::inventory::{HeaderError, RouteError, Server};
use crate::mcp;
use crate::policy::{AskError, Fired, Missing, Outcome, Remedy, Verdict};

pub mod reason;
mod reasons_of;

pub use reason::Reason;

/// What is decided about one HTTP request.
#[derive(Debug)]
pub enum Decision {
    /// It may go on.
    Permit(Permit),
    /// It may not.
    Denial(Box<Denial>),
}

/// The proof that every principal on every call of a request was permitted. Only [`decide`] makes one.
#[derive(Debug)]
pub struct Permit {
    verdicts: Vec<Vec<Verdict>>,
}

impl Permit {
    /// What the policies said of each call, in order.
    #[must_use]
    pub fn verdicts(&self) -> &[Vec<Verdict>] {
        &self.verdicts
    }

    /// The permits that applied, for all calls and principals; sorted by id, each once.
    #[must_use]
    pub fn fired(&self) -> Vec<&Fired> {
        let verdicts = self.verdicts.iter().flatten();
        let mut fired: Vec<&Fired> = verdicts
            .flat_map(|verdict| &verdict.fired)
            .map(Arc::as_ref)
            .collect();
        fired.sort_by(|one, other| one.id.cmp(&other.id));
        fired.dedup_by(|one, other| one.id == other.id);
        fired
    }
}

/// Why a request may not go on.
#[derive(Debug)]
pub enum Denial {
    /// No configured server is meant.
    Route(RouteError),
    /// A browser page of an origin that the server doesn't list.
    ForeignOrigin,
    /// The protected-resource metadata was asked for in a way that RFC 9728 doesn't know.
    Metadata(Reason),
    /// The message can't be read as MCP.
    Message(mcp::Refused),
    /// An identity is missing or doesn't hold.
    Identity(IdentityError),
    /// Something between reading and policy: an unknown tool, arguments that don't fit.
    Ask {
        /// Which call of the request, counted from 0.
        call: usize,
        /// What was wrong with it.
        error: AskError,
        /// Whether the caller may know what is asked of.
        may_know: bool,
    },
    /// Policies deny a call.
    Policy {
        /// Which call of the request, counted from 0.
        call: usize,
        /// What they said of each principal.
        verdicts: Vec<Verdict>,
        /// The scopes or the stronger login with which they would have allowed it; `None` if neither would do.
        missing: Option<Missing>,
        /// What else the caller could change, as far as they may know it.
        remedies: Vec<Remedy>,
    },
    /// A method that the message's version doesn't know, and no policy allows.
    UnknownMethod {
        /// Which call of the request, counted from 0.
        call: usize,
        /// What the policies said.
        verdicts: Vec<Verdict>,
    },
    /// Permitted, but an `Mcp-Param` header says another thing than the argument that was decided on.
    ArgumentHeader {
        /// Which call of the request, counted from 0.
        call: usize,
        /// In what way.
        error: HeaderError,
    },
    /// The decision could not be recorded, made in time, or made at all.
    Unavailable(Reason),
}

/// What the policies say of one call.
#[derive(Debug)]
pub struct Asked {
    /// A verdict for each principal, or why they could not be asked.
    pub verdicts: Result<Vec<Verdict>, AskError>,
    /// Whether the caller may know what is asked of: else it isn't told what was wrong.
    pub may_know: bool,
    /// The scopes or the stronger login with which they would have allowed it.
    pub missing: Option<Missing>,
    /// What else the caller could change, as far as they may know it.
    pub remedies: Vec<Remedy>,
}

/// Decides on a request from what the policies say of each of its calls, in order.
///
/// No calls, no principals or any principal not allowed: denied. The first call that is denied is the one
/// that the denial names.
#[must_use]
pub fn decide(server: &Server, calls: &[mcp::Call], caller: &Caller, asked: Vec<Asked>) -> Decision {
    // A count that doesn't add up means that something was not asked about.
    if calls.is_empty() || calls.len() != asked.len() {
        return Denial::Unavailable(Reason::Internal).into();
    }
    let principals = caller.principals(server);
    let mut permitted_calls = Vec::with_capacity(calls.len());
    for (index, (call, asked)) in calls.iter().zip(asked).enumerate() {
        match permitted(asked, principals) {
            Ok(verdicts) => permitted_calls.push(verdicts),
            Err(refused) => return refused.denial(index, call).into(),
        }
    }
    Decision::Permit(Permit {
        verdicts: permitted_calls,
    })
}

/// Why one call isn't permitted.
enum Refused {
    Unasked {
        error: AskError,
        may_know: bool,
    },
    Denied {
        verdicts: Vec<Verdict>,
        missing: Option<Missing>,
        remedies: Vec<Remedy>,
    },
}

fn permitted(asked: Asked, principals: usize) -> Result<Vec<Verdict>, Refused> {
    let may_know = asked.may_know;
    let verdicts = asked
        .verdicts
        .map_err(|error| Refused::Unasked { error, may_know })?;
    let everyone = principals > 0 && verdicts.len() == principals;
    if everyone && verdicts.iter().all(|verdict| verdict.outcome == Outcome::Allowed) {
        return Ok(verdicts);
    }
    Err(Refused::Denied {
        verdicts,
        missing: asked.missing,
        remedies: asked.remedies,
    })
}

impl Refused {
    fn denial(self, index: usize, call: &mcp::Call) -> Denial {
        match self {
            Self::Unasked { error, may_know } => Denial::Ask {
                call: index,
                error,
                may_know,
            },
            Self::Denied { verdicts, .. } if matches!(call.operation, mcp::Operation::Unknown { .. }) => {
                Denial::UnknownMethod {
                    call: index,
                    verdicts,
                }
            }
            Self::Denied {
                verdicts,
                missing,
                remedies,
            } => Denial::Policy {
                call: index,
                verdicts,
                missing,
                remedies,
            },
        }
    }
}

impl From<Denial> for Decision {
    fn from(denial: Denial) -> Self {
        Self::Denial(Box::new(denial))
    }
}

impl Denial {
    /// Which call of the request is to blame, where one is.
    #[must_use]
    pub fn call(&self) -> Option<usize> {
        match self {
            Self::Ask { call, .. }
            | Self::Policy { call, .. }
            | Self::UnknownMethod { call, .. }
            | Self::ArgumentHeader { call, .. } => Some(*call),
            _ => None,
        }
    }

    /// The reason that the caller is told: never one that gives away what exists to somebody who may not know.
    #[must_use]
    pub fn told(&self) -> Reason {
        match self {
            Self::Ask { may_know: false, .. } => Reason::NoPermit,
            _ => self.reason().told(),
        }
    }

    /// What would have been allowed, had the token more scopes or the login been stronger.
    #[must_use]
    pub fn missing(&self) -> Option<&Missing> {
        match self {
            Self::Policy { missing, .. } => missing.as_ref(),
            _ => None,
        }
    }

    /// What else the caller could change; one of several is enough.
    #[must_use]
    pub fn remedies(&self) -> &[Remedy] {
        match self {
            Self::Policy { remedies, .. } => remedies,
            _ => &[],
        }
    }

    /// The nonce that the client's next proof should have, where its last one had none that holds.
    #[must_use]
    pub const fn nonce(&self) -> Option<Nonce> {
        match self {
            Self::Identity(IdentityError::Bound(error)) => error.nonce(),
            _ => None,
        }
    }

    /// What was wrong in more words than the reason has, where a caller may know it. Never a value that was sent.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Message(refused) => Some(refused.why.to_string()),
            Self::Identity(error) => Some(error.to_string()),
            Self::Ask {
                error: error @ AskError::Arguments(_),
                may_know: true,
                ..
            } => Some(error.to_string()),
            Self::ArgumentHeader { error, .. } => Some(error.to_string()),
            _ => None,
        }
    }

    /// The argument to blame, as a JSON pointer.
    #[must_use]
    pub fn argument(&self) -> Option<&str> {
        match self {
            Self::Ask {
                error: AskError::Arguments(argument),
                may_know: true,
                ..
            } => Some(&argument.path),
            _ => None,
        }
    }

    /// The protocol version that was asked for and isn't known.
    #[must_use]
    pub fn requested_version(&self) -> Option<&str> {
        match self {
            Self::Message(mcp::Refused {
                why: mcp::Refusal::VersionUnknown { requested },
                ..
            }) => Some(requested),
            _ => None,
        }
    }

    /// The policies that took part in the denial.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        match self {
            Self::Policy { verdicts, .. } | Self::UnknownMethod { verdicts, .. } => verdicts,
            _ => &[],
        }
    }
}
