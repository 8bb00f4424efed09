//! The conditions of a policy, one by one.
//!
//! In: a policy. Out: [`Conditions`]: the operands of the top-level `&&` of each `when` and of the top-level `||` of each `unless`, in
//! the order in which Cedar looks at them, as they are written, with their lines, ready to be evaluated. The policy applies where its scope
//! does and all of them hold. Made on demand: nothing of it is there while calls are only decided.

use std::ops::Range;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Clause, Expr};
use cedar_policy::{Entities, EvalResult, Expression, Policy, Request, eval_expression};

use self::source::Joined;
use super::written::Location;

mod source;

/// The conditions of one policy.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) parts: Vec<Part>,
}

/// One condition.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) written: Arc<Condition>,
    probe: Probe,
}

/// A condition as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its Cedar text, on one line.
    pub text: String,
    /// Whether it stands in an `unless`: then it holds if the text is false.
    pub unless: bool,
    /// Its line in the policy's file, from 1.
    pub line: usize,
}

/// An expression that can be evaluated, or can't.
#[derive(Debug)]
pub(super) struct Probe(Option<Expression>);

impl Conditions {
    /// The conditions of a policy that stands there. Of one that can't be analysed there are none.
    pub(super) fn of(policy: &Policy, at: &Location) -> Self {
        let Ok(tree) = policy.to_pst() else {
            return Self::default();
        };
        let text = policy.to_cedar().unwrap_or_default();
        let places = source::clauses(&text);
        let clauses = tree.body().clauses();
        // What can't be found in the text is shown as Cedar writes it.
        let found = places.len() == clauses.len();
        let mut parts = Vec::new();
        for (number, clause) in clauses.iter().enumerate() {
            let place = places.get(number).filter(|_| found);
            parts.extend(of_clause(clause, &text, place, at.line));
        }
        Self { parts }
    }
}

fn of_clause(clause: &Clause, text: &str, place: Option<&Range<usize>>, line: usize) -> Vec<Part> {
    let (whole, unless) = match clause {
        Clause::When(expr) => (expr, false),
        Clause::Unless(expr) => (expr, true),
    };
    let mut operands = Vec::new();
    cut(whole, unless, &mut operands);
    let joined = if unless { Joined::Or } else { Joined::And };
    let written = place.map(|place| source::operands(text, place, joined));
    let written = written.filter(|written| written.len() == operands.len());
    let line_of = |offset: usize| {
        let before = text.get(..offset).unwrap_or_default();
        line.saturating_add(before.matches('\n').count())
    };
    let parts = operands.into_iter().enumerate().map(|(number, expr)| {
        let range = written.as_ref().and_then(|written| written.get(number));
        let shown = range.and_then(|range| text.get(range.clone()));
        let start = range.or(place).map_or(0, |range| range.start);
        Part {
            written: Arc::new(Condition {
                text: shown.map_or_else(|| expr.to_string(), source::on_one_line),
                unless,
                line: line_of(start),
            }),
            probe: Probe::new(&expr),
        }
    });
    parts.collect()
}

/// `unless { a || b }` holds where neither does.
fn cut(expr: &Arc<Expr>, unless: bool, operands: &mut Vec<Arc<Expr>>) {
    match (&**expr, unless) {
        (
            Expr::BinaryOp {
                op: BinaryOp::And,
                left,
                right,
            },
            false,
        )
        | (
            Expr::BinaryOp {
                op: BinaryOp::Or,
                left,
                right,
            },
            true,
        ) => {
            cut(left, unless, operands);
            cut(right, unless, operands);
        }
        _ => operands.push(Arc::clone(expr)),
    }
}

impl Part {
    /// Whether the condition holds.
    ///
    /// # Errors
    /// Why Cedar can't tell.
    pub(super) fn holds(&self, request: &Request, entities: &Entities) -> Result<bool, String> {
        match self.probe.value(request, entities)? {
            EvalResult::Bool(is) => Ok(is != self.written.unless),
            _ => Err("it is neither true nor false".to_owned()),
        }
    }
}

impl Probe {
    /// Our own text of a syntax tree that Cedar made is parsed, never a client's.
    pub(super) fn new(expr: &Expr) -> Self {
        Self(Expression::from_str(&expr.to_string()).ok())
    }

    /// What the expression is.
    ///
    /// # Errors
    /// Why Cedar can't tell.
    pub(super) fn value(&self, request: &Request, entities: &Entities) -> Result<EvalResult, String> {
        let expression = self.0.as_ref().ok_or("it can't be looked at by itself")?;
        eval_expression(request, entities, expression).map_err(|error| error.to_string())
    }
}
