//! Policies as the second schema reads them: what is unknown of a call is an attribute of one entity, which nobody has.
//!
//! Cedar's partial requests know all of the context or nothing of it. So `context.arguments.limit` becomes
//! `context["mcp-authz call"].arguments.limit`: of an entity whose attributes are unknown, while the rest of the context is
//! known. A policy that uses the context as a whole can't be rewritten.

use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Policy as Tree, StaticPolicy, UnaryOp, Var};
use cedar_policy::{EntityUid, Policy};

/// The attribute of the second schema's contexts that holds what is unknown.
pub(super) const UNKNOWN: &str = "mcp-authz call";
/// What the types of such entities begin with.
pub(super) const CALL: &str = "McpAuthzCall";

/// A policy that asks the unknown entity for everything of the context but these attributes; `None` where that can't be said.
pub(super) fn rewritten(policy: &Policy, known: &[&str]) -> Option<Policy> {
    let policy = match policy.to_pst().ok()? {
        Tree::Static(policy) => policy,
        Tree::Linked(policy) => policy.into_static_policy().ok()?,
    };
    let clauses: Option<Vec<Clause>> = policy
        .body()
        .clauses()
        .iter()
        .map(|clause| {
            Some(match clause {
                Clause::When(expr) => Clause::When(Arc::new(asking(expr, known)?)),
                Clause::Unless(expr) => Clause::Unless(Arc::new(asking(expr, known)?)),
            })
        })
        .collect();
    let body = policy.body().clone().try_with_clauses(clauses?).ok()?;
    let policy: StaticPolicy = body.try_into().ok()?;
    Policy::from_pst(Tree::Static(policy)).ok()
}

fn asking(expr: &Expr, known: &[&str]) -> Option<Expr> {
    let unknown = || {
        Arc::new(Expr::GetAttr {
            expr: Arc::new(Expr::Var(Var::Context)),
            attr: UNKNOWN.into(),
        })
    };
    match expr {
        Expr::Var(Var::Context) => None,
        Expr::GetAttr { expr: of, attr } if **of == Expr::Var(Var::Context) => {
            if known.contains(&attr.as_str()) {
                return Some(expr.clone());
            }
            Some(Expr::GetAttr {
                expr: unknown(),
                attr: attr.clone(),
            })
        }
        Expr::HasAttr { expr: of, attrs } if **of == Expr::Var(Var::Context) => {
            if known.contains(&attrs.head.as_str()) {
                return Some(expr.clone());
            }
            Some(Expr::HasAttr {
                expr: unknown(),
                attrs: attrs.clone(),
            })
        }
        _ => mapped(expr, &mut |part| asking(part, known).map(Arc::new)),
    }
}

/// Whether an expression is the entity that holds what is unknown.
pub(super) fn is_call(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(Literal::EntityUID(uid)) => uid.ty.0.id.as_str().starts_with(CALL),
        _ => false,
    }
}

/// An expression as its author would have written it: `context` for the unknown entity, and names for entities that have one.
pub(super) fn told(expr: &Expr, names: &[(EntityUid, Expr)]) -> Expr {
    if is_call(expr) {
        return Expr::Var(Var::Context);
    }
    if let Expr::Literal(Literal::EntityUID(uid)) = expr {
        let named = names.iter().find(|(known, _)| {
            *known.id().unescaped() == *uid.eid && known.type_name().to_string() == uid.ty.to_string()
        });
        return named.map_or_else(|| expr.clone(), |(_, name)| name.clone());
    }
    if let Some(time) = time_as_written(expr) {
        return time;
    }
    let told = mapped(expr, &mut |part| Some(Arc::new(told(part, names))));
    unturned(told.unwrap_or_else(|| expr.clone()))
}

/// A time as people write it: evaluated, it is so many milliseconds after 1970.
fn time_as_written(expr: &Expr) -> Option<Expr> {
    let literal = |expr: &Expr, function: UnaryOp| match expr {
        Expr::UnaryOp { op, expr } if *op == function => match &**expr {
            Expr::Literal(Literal::String(text)) => Some(text.to_string()),
            _ => None,
        },
        _ => None,
    };
    let milliseconds = |expr: &Expr| -> Option<i64> {
        let text = literal(expr, UnaryOp::Duration)?;
        text.strip_suffix("ms")?.parse().ok()
    };
    let (op, text) = match expr {
        Expr::BinaryOp {
            op: BinaryOp::Offset,
            left,
            right,
        } if literal(left, UnaryOp::Datetime).as_deref() == Some("1970-01-01") => milliseconds(right)
            .and_then(|since| jiff::Timestamp::from_millisecond(since).ok())
            .map(|at| {
                (
                    UnaryOp::Datetime,
                    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
                        .to_string()
                        .replace(".000Z", "Z"),
                )
            }),
        _ => milliseconds(expr).map(|length| (UnaryOp::Duration, in_units(length))),
    }?;
    Some(Expr::UnaryOp {
        op,
        expr: Arc::new(Expr::Literal(Literal::String(text.into()))),
    })
}

/// Milliseconds in the largest unit that takes no fraction.
fn in_units(milliseconds: i64) -> String {
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let fits = units
        .into_iter()
        .find(|(_, unit)| milliseconds.checked_rem(*unit) == Some(0) && milliseconds != 0);
    let (name, unit) = fits.unwrap_or(("ms", 1));
    format!("{}{name}", milliseconds.checked_div(unit).unwrap_or(milliseconds))
}

/// An expression in Cedar, without the brackets that a chain of `&&` or `||` doesn't need.
pub(super) fn text(expr: &Expr) -> String {
    let side = |side: &Expr, op: BinaryOp| match side {
        Expr::BinaryOp { op: own, .. } if *own == op => text(side),
        Expr::BinaryOp {
            op: BinaryOp::And | BinaryOp::Or,
            ..
        }
        | Expr::IfThenElse { .. } => format!("({})", text(side)),
        _ => text(side),
    };
    match expr {
        Expr::BinaryOp {
            op: op @ BinaryOp::And,
            left,
            right,
        } => format!("{} && {}", side(left, *op), side(right, *op)),
        Expr::BinaryOp {
            op: op @ BinaryOp::Or,
            left,
            right,
        } => format!("{} || {}", side(left, *op), side(right, *op)),
        _ => expr.to_string(),
    }
}

/// `!(a <= b)`, as Cedar reads `a > b`, the way it was written.
fn unturned(expr: Expr) -> Expr {
    let Expr::UnaryOp {
        op: UnaryOp::Not,
        expr: inner,
    } = &expr
    else {
        return expr;
    };
    let Expr::BinaryOp { op, left, right } = &**inner else {
        return expr;
    };
    let op = match op {
        BinaryOp::LessEq => BinaryOp::Greater,
        BinaryOp::Less => BinaryOp::GreaterEq,
        BinaryOp::Eq => BinaryOp::NotEq,
        _ => return expr,
    };
    Expr::BinaryOp {
        op,
        left: Arc::clone(left),
        right: Arc::clone(right),
    }
}

/// An expression with each of its parts changed; `None` if one can't be, or isn't known to have parts.
pub(super) fn mapped(expr: &Expr, change: &mut dyn FnMut(&Expr) -> Option<Arc<Expr>>) -> Option<Expr> {
    Some(match expr {
        Expr::Literal(_) | Expr::Var(_) | Expr::ResidualError => expr.clone(),
        Expr::UnaryOp { op, expr } => Expr::UnaryOp {
            op: *op,
            expr: change(expr)?,
        },
        Expr::BinaryOp { op, left, right } => Expr::BinaryOp {
            op: *op,
            left: change(left)?,
            right: change(right)?,
        },
        Expr::GetAttr { expr, attr } => Expr::GetAttr {
            expr: change(expr)?,
            attr: attr.clone(),
        },
        Expr::HasAttr { expr, attrs } => Expr::HasAttr {
            expr: change(expr)?,
            attrs: attrs.clone(),
        },
        Expr::Like { expr, pattern } => Expr::Like {
            expr: change(expr)?,
            pattern: pattern.clone(),
        },
        Expr::Is {
            expr,
            entity_type,
            in_expr,
        } => Expr::Is {
            expr: change(expr)?,
            entity_type: entity_type.clone(),
            in_expr: match in_expr {
                Some(within) => Some(change(within)?),
                None => None,
            },
        },
        Expr::IfThenElse {
            cond,
            then_expr,
            else_expr,
        } => Expr::IfThenElse {
            cond: change(cond)?,
            then_expr: change(then_expr)?,
            else_expr: change(else_expr)?,
        },
        Expr::Set(parts) => Expr::Set(parts.iter().map(|part| change(part)).collect::<Option<_>>()?),
        Expr::Record(members) => Expr::Record(
            members
                .iter()
                .map(|(name, member)| Some((name.clone(), change(member)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}
