//! What a condition that is known in part can come to.
//!
//! In: an expression that partial evaluation left. Out: [`Outcomes`], a bound from above: what isn't in it can't come out. Two
//! conditions that exclude each other are not seen as such, so that a cell may say `depends` too often, never too seldom.

use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp};

use super::rewrite::{CALL, is_call, mapped};

/// What is filled for every call: of the context, and of the entities that a call brings. An optional attribute is read behind
/// `has` only, which strict validation asks for.
const FILLED: [(&str, &[&str]); 8] = [
    (
        CALL,
        &[
            "user",
            "workload",
            "agent",
            "actingWorkload",
            "session",
            "arguments",
            "request",
            "now",
        ],
    ),
    ("request", &["version", "address"]),
    (
        "User",
        &[
            "issuer",
            "subject",
            "username",
            "email",
            "tenants",
            "scopes",
            "acr",
            "clientId",
            "authenticated",
        ],
    ),
    ("Workload", &["spiffeId", "trustDomain", "path"]),
    ("Agent", &["issuer", "subject", "clientId"]),
    ("Tool", &["pinned", "destructive", "openWorld"]),
    ("Resource", &["uri"]),
    ("Prompt", &["name"]),
];

/// Which of its three ends an evaluation can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub(super) holds: bool,
    pub(super) fails_to_hold: bool,
    /// Its evaluation ends in an error.
    pub(super) errs: bool,
}

impl Outcomes {
    pub(super) const ALWAYS: Self = Self {
        holds: true,
        fails_to_hold: false,
        errs: false,
    };
    const NEVER: Self = Self {
        holds: false,
        fails_to_hold: true,
        errs: false,
    };
    const ERROR: Self = Self {
        holds: false,
        fails_to_hold: false,
        errs: true,
    };
    pub(super) const ANY: Self = Self {
        holds: true,
        fails_to_hold: true,
        errs: true,
    };

    /// Of an expression.
    pub(super) fn of(expr: &Expr) -> Self {
        match expr {
            Expr::Literal(Literal::Bool(true)) => Self::ALWAYS,
            Expr::Literal(Literal::Bool(false)) => Self::NEVER,
            Expr::Literal(_) | Expr::Var(_) => Self::either(false),
            Expr::ResidualError => Self::ERROR,
            Expr::UnaryOp {
                op: UnaryOp::Not,
                expr,
            } => Self::of(expr).not(),
            Expr::UnaryOp { op, expr } => Self::either(unary_errs(*op) || Self::of(expr).errs),
            Expr::BinaryOp {
                op: BinaryOp::And,
                left,
                right,
            } => Self::of(left).and(Self::of(right)),
            Expr::BinaryOp {
                op: BinaryOp::Or,
                left,
                right,
            } => Self::of(left).not().and(Self::of(right).not()).not(),
            Expr::BinaryOp { op, left, right } => {
                Self::either(binary_errs(*op) || Self::of(left).errs || Self::of(right).errs)
            }
            Expr::GetAttr { expr, attr } => Self::either(!is_there(expr, attr) || Self::of(expr).errs),
            Expr::HasAttr { expr, .. } | Expr::Like { expr, .. } => Self::either(Self::of(expr).errs),
            Expr::Is { expr, in_expr, .. } => {
                let within = in_expr.as_ref().is_some_and(|within| Self::of(within).errs);
                Self::either(within || Self::of(expr).errs)
            }
            Expr::IfThenElse {
                cond,
                then_expr,
                else_expr,
            } => Self::of(cond).branch(Self::of(then_expr), Self::of(else_expr)),
            Expr::Set(parts) => Self::either(parts.iter().any(|part| Self::of(part).errs)),
            Expr::Record(members) => Self::either(members.values().any(|member| Self::of(member).errs)),
            // Slots, unknowns, and whatever a later Cedar adds.
            _ => Self::ANY,
        }
    }

    /// True or false, and perhaps an error.
    const fn either(errs: bool) -> Self {
        Self {
            holds: true,
            fails_to_hold: true,
            errs,
        }
    }

    const fn not(self) -> Self {
        Self {
            holds: self.fails_to_hold,
            fails_to_hold: self.holds,
            errs: self.errs,
        }
    }

    /// `&&`: the right side is looked at only where the left one holds.
    const fn and(self, right: Self) -> Self {
        Self {
            holds: self.holds && right.holds,
            fails_to_hold: self.fails_to_hold || (self.holds && right.fails_to_hold),
            errs: self.errs || (self.holds && right.errs),
        }
    }

    /// `if`: one branch is looked at, or none where the condition errs.
    const fn branch(self, then: Self, or_else: Self) -> Self {
        Self {
            holds: self.holds && then.holds || self.fails_to_hold && or_else.holds,
            fails_to_hold: self.holds && then.fails_to_hold || self.fails_to_hold && or_else.fails_to_hold,
            errs: self.errs || self.holds && then.errs || self.fails_to_hold && or_else.errs,
        }
    }
}

/// Whether an attribute is sure to be there: one that is filled for every call, or an argument.
fn is_there(expr: &Expr, attr: &str) -> bool {
    if is_below_arguments(expr) {
        return true;
    }
    let kind = match expr {
        _ if is_call(expr) => CALL,
        Expr::GetAttr { expr, attr } if is_call(expr) => match attr.as_str() {
            "user" => "User",
            "workload" | "actingWorkload" => "Workload",
            "agent" => "Agent",
            "request" => "request",
            _ => return false,
        },
        Expr::Literal(Literal::EntityUID(uid)) => uid.ty.0.id.as_str(),
        _ => return false,
    };
    let filled = FILLED.iter().find(|(filled, _)| *filled == kind);
    filled.is_some_and(|(_, attributes)| attributes.contains(&attr))
}

fn is_below_arguments(expr: &Expr) -> bool {
    match expr {
        Expr::GetAttr { expr, attr } => (attr == "arguments" && is_call(expr)) || is_below_arguments(expr),
        _ => false,
    }
}

/// Negation may overflow, and so may what reckons with times.
const fn unary_errs(op: UnaryOp) -> bool {
    !matches!(
        op,
        UnaryOp::Not
            | UnaryOp::IsEmpty
            | UnaryOp::IsIPv4
            | UnaryOp::IsIPV6
            | UnaryOp::IsLoopback
            | UnaryOp::IsMulticast
            | UnaryOp::ToTime
            | UnaryOp::ToMilliseconds
            | UnaryOp::ToSeconds
            | UnaryOp::ToMinutes
            | UnaryOp::ToHours
            | UnaryOp::ToDays
    )
}

const fn binary_errs(op: BinaryOp) -> bool {
    !matches!(
        op,
        BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::Less
            | BinaryOp::LessEq
            | BinaryOp::Greater
            | BinaryOp::GreaterEq
            | BinaryOp::In
            | BinaryOp::Contains
            | BinaryOp::ContainsAll
            | BinaryOp::ContainsAny
            | BinaryOp::IsInRange
            | BinaryOp::DecimalLessThan
            | BinaryOp::DecimalLessEq
            | BinaryOp::DecimalGreater
            | BinaryOp::DecimalGreaterEq
    )
}

/// The expression without what is settled in it.
pub(super) fn simplified(expr: &Expr) -> Expr {
    match Outcomes::of(expr) {
        Outcomes::ALWAYS => return Expr::Literal(Literal::Bool(true)),
        Outcomes::NEVER => return Expr::Literal(Literal::Bool(false)),
        _ => {}
    }
    let always = |side: &Expr| Outcomes::of(side) == Outcomes::ALWAYS;
    let never = |side: &Expr| Outcomes::of(side) == Outcomes::NEVER;
    match expr {
        Expr::BinaryOp {
            op: BinaryOp::And,
            left,
            right,
        } if always(left) => simplified(right),
        Expr::BinaryOp {
            op: BinaryOp::And,
            left,
            right,
        } if always(right) => simplified(left),
        Expr::BinaryOp {
            op: BinaryOp::Or,
            left,
            right,
        } if never(left) => simplified(right),
        Expr::BinaryOp {
            op: BinaryOp::Or,
            left,
            right,
        } if never(right) => simplified(left),
        _ => mapped(expr, &mut |part| Some(Arc::new(simplified(part)))).unwrap_or_else(|| expr.clone()),
    }
}
