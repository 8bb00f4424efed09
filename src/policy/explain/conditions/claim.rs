//! What a condition compares with what, in a form that can be told in words.
//!
//! In: the syntax tree of a condition, and whether it must be true or false. Out: a [`Claim`], which with a request becomes a
//! [`Said`]: the values met and needed. What has no such form is told by its text alone.

use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Expr, Literal, PatternElem, UnaryOp};
use cedar_policy::{Entities, EvalResult, Request};

use super::Probe;
use super::said::{Compared, Relation, Said};
use super::subject::Subject;
use super::value::Value;

/// What must hold.
#[derive(Debug)]
pub(super) enum Claim {
    Compares(Box<Comparison>),
    /// One of them.
    Any(Vec<Claim>),
    /// Each of them.
    All(Vec<Claim>),
    Opaque,
}

#[derive(Debug)]
pub(super) struct Comparison {
    subject: Subject,
    of: Probe,
    relation: Relation,
    needed: Needed,
    /// The whole comparison, and what it must be.
    whole: Probe,
    wanted: bool,
}

/// What the subject is compared with.
#[derive(Debug)]
enum Needed {
    /// As the policy writes it: no entity, nothing that the request brings.
    Written(Value),
    Found(Probe),
}

impl Claim {
    /// That an expression is what it must be.
    pub(super) fn of(expr: &Arc<Expr>, wanted: bool) -> Self {
        match &**expr {
            Expr::UnaryOp {
                op: UnaryOp::Not,
                expr,
            } => Self::of(expr, !wanted),
            Expr::BinaryOp {
                op: op @ (BinaryOp::And | BinaryOp::Or),
                left,
                right,
            } => {
                let both = vec![Self::of(left, wanted), Self::of(right, wanted)];
                // Not (a and b) is: not a, or not b.
                if (*op == BinaryOp::And) == wanted {
                    Self::All(both)
                } else {
                    Self::Any(both)
                }
            }
            _ => match compared(expr) {
                Some((on, relation, needed)) => Self::Compares(Box::new(Comparison {
                    subject: Subject::of(&on),
                    of: Probe::new(&on),
                    relation: if wanted { relation } else { relation.inverse() },
                    needed,
                    whole: Probe::new(expr),
                    wanted,
                })),
                None => Self::Opaque,
            },
        }
    }

    /// How many evaluations the values of a request take at most, by the expression: told before anything is made of it.
    pub(super) fn weight(expr: &Arc<Expr>) -> usize {
        match &**expr {
            Expr::UnaryOp {
                op: UnaryOp::Not,
                expr,
            } => Self::weight(expr),
            Expr::BinaryOp {
                op: BinaryOp::And | BinaryOp::Or,
                left,
                right,
            } => Self::weight(left).saturating_add(Self::weight(right)),
            _ => Comparison::EVALUATIONS,
        }
    }

    /// The values that a request brings.
    pub(super) fn said(&self, request: &Request, entities: &Entities) -> Said {
        let each = |claims: &[Self]| claims.iter().map(|claim| claim.said(request, entities)).collect();
        match self {
            Self::Compares(comparison) => comparison.said(request, entities),
            Self::Any(claims) => Said::Any(each(claims)),
            Self::All(claims) => Said::All(each(claims)),
            Self::Opaque => Said::Opaque,
        }
    }
}

impl Comparison {
    /// What is needed, what is met, and whether it holds.
    const EVALUATIONS: usize = 3;

    fn said(&self, request: &Request, entities: &Entities) -> Said {
        let needed = match &self.needed {
            Needed::Written(value) => value.clone(),
            Needed::Found(probe) => match probe.value(request, entities) {
                Ok(value) => Value::of(&value),
                Err(_) => return Said::Opaque,
            },
        };
        let found = self.of.value(request, entities).ok();
        let met = match (&found, self.relation) {
            // What an entity is in, rather than which it is.
            (Some(EvalResult::EntityUid(uid)), Relation::Within | Relation::Outside) => {
                let kinds: Vec<&String> = needed.members().iter().filter_map(kind).collect();
                let ancestors = entities.ancestors(uid).into_iter().flatten().map(Value::entity);
                let mut alike: Vec<Value> = ancestors
                    .filter(|ancestor| kind(ancestor).is_some_and(|kind| kinds.contains(&kind)))
                    .collect();
                alike.sort_by_key(ToString::to_string);
                Some(Value::Set(alike))
            }
            (found, _) => found.as_ref().map(Value::of),
        };
        let holds = match self.whole.value(request, entities) {
            Ok(EvalResult::Bool(is)) => Some(is == self.wanted),
            _ => None,
        };
        Said::One(Compared {
            subject: self.subject.clone(),
            relation: self.relation,
            met,
            needed,
            written: matches!(self.needed, Needed::Written(_)),
            holds,
        })
    }
}

impl Needed {
    fn of(expr: &Expr) -> Self {
        match written(expr) {
            Some(value) => Self::Written(value),
            None => Self::Found(Probe::new(expr)),
        }
    }
}

/// What a comparison compares, how, and with what.
fn compared(expr: &Arc<Expr>) -> Option<(Arc<Expr>, Relation, Needed)> {
    Some(match &**expr {
        Expr::BinaryOp { op, left, right } => {
            let (on, relation, other) = sides(*op, Relation::of(*op)?, left, right);
            (Arc::clone(on), relation, Needed::of(other))
        }
        Expr::Like { expr, pattern } => {
            let pattern = Value::Text(text(pattern));
            (Arc::clone(expr), Relation::Like, Needed::Written(pattern))
        }
        Expr::Is {
            expr,
            entity_type,
            in_expr: None,
        } => {
            let kind = Value::Other(entity_type.to_string());
            (Arc::clone(expr), Relation::OfType, Needed::Written(kind))
        }
        Expr::HasAttr { expr, attrs } => {
            let attribute = attrs.iter().fold(Arc::clone(expr), |expr, attr| {
                let attr = attr.clone();
                Arc::new(Expr::GetAttr { expr, attr })
            });
            (attribute, Relation::Present, Needed::Written(Value::Bool(true)))
        }
        Expr::GetAttr { .. } => (
            Arc::clone(expr),
            Relation::Equal,
            Needed::Written(Value::Bool(true)),
        ),
        _ => return None,
    })
}

/// What is compared, and with what: the side that a caller brings comes first.
fn sides<'a>(
    op: BinaryOp,
    relation: Relation,
    left: &'a Arc<Expr>,
    right: &'a Arc<Expr>,
) -> (&'a Arc<Expr>, Relation, &'a Arc<Expr>) {
    // `["a", "b"].contains(x)`: what is asked for is one of them. `x.contains("a")`: it has that.
    let turned = match op {
        BinaryOp::Contains => written(left).is_some() || Subject::of(right).is_argument(),
        _ => written(left).is_some(),
    };
    if turned {
        (right, relation.turned(), left)
    } else {
        (left, relation, right)
    }
}

/// A value that the policy itself writes: no entity, nothing that a request brings.
fn written(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Literal(Literal::Bool(value)) => Some(Value::Bool(*value)),
        Expr::Literal(Literal::Long(value)) => Some(Value::Number(*value)),
        Expr::Literal(Literal::String(text)) => Some(Value::Text(text.to_string())),
        Expr::Set(members) => {
            let members: Option<Vec<Value>> = members.iter().map(|member| written(member)).collect();
            members.map(Value::Set)
        }
        Expr::UnaryOp {
            op: UnaryOp::Datetime | UnaryOp::Decimal | UnaryOp::Duration | UnaryOp::Ip,
            expr,
        } => match written(expr)? {
            Value::Text(text) => Some(Value::Other(text)),
            _ => None,
        },
        Expr::UnaryOp {
            op: UnaryOp::Neg,
            expr,
        } => match written(expr)? {
            Value::Number(value) => value.checked_neg().map(Value::Number),
            _ => None,
        },
        _ => None,
    }
}

fn text(pattern: &[PatternElem]) -> String {
    let character = |element: &PatternElem| match element {
        PatternElem::Char(one) => *one,
        PatternElem::Wildcard => '*',
    };
    pattern.iter().map(character).collect()
}

fn kind(value: &Value) -> Option<&String> {
    match value {
        Value::Entity(kind, _) => Some(kind),
        _ => None,
    }
}
