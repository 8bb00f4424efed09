//! What is said of one principal, or of several at once, before one thing.

use std::fmt;

use cedar_policy::Effect;
use cedar_policy::pst::Expr;

use super::super::code;
use super::super::verdict::Principal;
use super::outcomes::Outcomes;

/// Whether a call is allowed, whatever its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Every call is, by these permits.
    Allow(Vec<String>),
    /// None is.
    Deny(Because),
    /// Some may be.
    Depends(Vec<Condition>),
}

/// Why no call is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// `no_permit`, `forbidden` or `policy_error`.
    pub code: &'static str,
    /// The policies that forbid it.
    pub by: Vec<String>,
}

/// What a cell depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// Who is asked.
    pub principal: Principal,
    /// The id of the policy whose condition it is.
    pub policy: String,
    /// Whether it allows or forbids.
    pub permits: bool,
    /// What is left of its condition, in Cedar; `None` where it can't be worked out.
    pub left: Option<String>,
}

/// What a policy can come to.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) policy: String,
    pub(super) effect: Effect,
    pub(super) outcomes: Outcomes,
    /// What is left of it; `None` where nothing is known.
    pub(super) left: Option<Expr>,
}

impl Default for Cell {
    fn default() -> Self {
        Self::Depends(Vec::new())
    }
}

impl Cell {
    /// `allow`, `deny` or `depends`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Deny(_) => "deny",
            Self::Depends(_) => "depends",
        }
    }

    /// What it depends on.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::Depends(conditions) => conditions,
            _ => &[],
        }
    }

    /// What all the policies come to together, as [`Engine::evaluate`](crate::policy::ask::evaluate::Engine) has it: a forbid counts
    /// that holds or errs, a permit that holds.
    pub(super) fn of(principal: Principal, said: &[Said], shown: &dyn Fn(&Expr) -> String) -> Self {
        let (permits, forbids): (Vec<&Said>, Vec<&Said>) =
            said.iter().partition(|said| said.effect == Effect::Permit);
        let ids = |said: &[&Said]| -> Vec<String> { said.iter().map(|said| said.policy.clone()).collect() };
        let surely: Vec<&Said> = forbids
            .iter()
            .copied()
            .filter(|said| !said.outcomes.fails_to_hold)
            .collect();
        if !surely.is_empty() {
            let holds = surely.iter().any(|said| said.outcomes.holds);
            let code = if holds {
                code::FORBIDDEN
            } else {
                code::POLICY_ERROR
            };
            return Self::Deny(Because {
                code,
                by: ids(&surely),
            });
        }
        let possibly: Vec<&Said> = permits.into_iter().filter(|said| said.outcomes.holds).collect();
        if possibly.is_empty() {
            return Self::Deny(Because {
                code: code::NO_PERMIT,
                by: Vec::new(),
            });
        }
        let always: Vec<&Said> = possibly
            .iter()
            .copied()
            .filter(|said| said.outcomes == Outcomes::ALWAYS)
            .collect();
        let may_forbid = forbids
            .into_iter()
            .filter(|said| said.outcomes.holds || said.outcomes.errs);
        let may_forbid: Vec<&Said> = may_forbid.collect();
        if may_forbid.is_empty() && !always.is_empty() {
            return Self::Allow(ids(&always));
        }
        let open = if always.is_empty() { possibly } else { Vec::new() };
        let conditions = open.into_iter().chain(may_forbid).map(|said| Condition {
            principal,
            policy: said.policy.clone(),
            permits: said.effect == Effect::Permit,
            left: said.left.as_ref().map(shown),
        });
        Self::Depends(conditions.collect())
    }

    /// What is said of principals who are all asked: each must be allowed. After one who is denied nobody is asked.
    pub(super) fn all(cells: impl IntoIterator<Item = Self>) -> Self {
        let mut sofar: Option<Self> = None;
        for cell in cells {
            sofar = Some(match (sofar, cell) {
                (_, deny @ Self::Deny(_)) => return deny,
                (None, cell) => cell,
                (Some(Self::Allow(mut by)), Self::Allow(others)) => {
                    by.extend(others);
                    Self::Allow(by)
                }
                (Some(Self::Depends(mut left)), Self::Depends(others)) => {
                    left.extend(others);
                    Self::Depends(left)
                }
                (Some(sofar), Self::Allow(_)) => sofar,
                (Some(_), depends) => depends,
            });
        }
        sofar.unwrap_or_default()
    }

    /// What is said of things of which any may be meant. `named` says which of them a policy names.
    pub(super) fn any(cells: Vec<(Self, Option<String>)>) -> Self {
        let same = |kind: &str| cells.iter().all(|(cell, _)| cell.as_str() == kind);
        if same("allow") || same("deny") {
            return cells.into_iter().next().map(|(cell, _)| cell).unwrap_or_default();
        }
        let mut conditions: Vec<Condition> = Vec::new();
        for (cell, named) in cells {
            conditions.extend(match (cell, named) {
                (Self::Depends(left), _) => left,
                (Self::Allow(by), Some(name)) => which(by, true, &name),
                (Self::Deny(because), Some(name)) => which(because.by, false, &name),
                _ => Vec::new(),
            });
        }
        conditions.sort();
        conditions.dedup();
        Self::Depends(conditions)
    }
}

/// These policies are about one thing.
fn which(policies: Vec<String>, permits: bool, name: &str) -> Vec<Condition> {
    let condition = |policy| Condition {
        principal: Principal::User,
        policy,
        permits,
        left: Some(format!("resource == {name}")),
    };
    policies.into_iter().map(condition).collect()
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.permits { "if" } else { "unless" };
        match &self.left {
            Some(left) => write!(out, "{word} {left} ({})", self.policy),
            None => write!(out, "{word} {} applies, which only a call can tell", self.policy),
        }
    }
}
