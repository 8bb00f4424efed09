//! The conditions of a policy, one by one.
//!
//! In: a policy. Out: [`Conditions`]: the operands of the top-level `&&` of each `when` and of the top-level `||` of each `unless`, in
//! the order in which Cedar looks at them, as they are written, with their lines, ready to be evaluated. The policy applies where its scope
//! does and all of them hold. Made on demand: nothing of it is there while calls are only decided.

use std::collections::HashSet;
use std::ops::Range;
use std::str::FromStr as _;
use std::sync::{Arc, OnceLock};

use cedar_policy::pst::{BinaryOp, Clause, Expr};
use cedar_policy::{Entities, EvalResult, Expression, Policy, PolicyId, Request, eval_expression};
use quick_cache::sync::Cache;

use self::claim::Claim;
use self::source::Joined;
use crate::policy::ask::evaluate::Rule;
use crate::policy::written::Location;

mod claim;
mod said;
mod source;
mod subject;
mod value;

pub use said::{Compared, Relation, Said};
pub use subject::Subject;
pub use value::Value;

/// Conditions of policies that were asked for, by the policies' ids.
pub(in crate::policy) type Known = Cache<PolicyId, Arc<Conditions>>;

/// So many policies' conditions are kept: each takes some kilobytes.
const KEPT: usize = 256;

/// None is known yet.
pub(in crate::policy) fn none() -> Known {
    Cache::new(KEPT)
}

/// The conditions of one policy.
#[derive(Debug, Default)]
pub(in crate::policy) struct Conditions {
    pub(in crate::policy) parts: Vec<Part>,
}

/// One condition.
#[derive(Debug)]
pub(in crate::policy) struct Part {
    pub(in crate::policy) written: Arc<Condition>,
    /// What is written there; `None` if it can't be looked at.
    expr: Option<Arc<Expr>>,
    /// How many evaluations it takes at most to tell what it needs, or what would lift it.
    pub(in crate::policy) telling: usize,
    probe: OnceLock<Probe>,
    /// What it needs to hold.
    needs: OnceLock<Claim>,
    /// What it would take for it not to.
    lifts: OnceLock<Claim>,
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
pub(in crate::policy) struct Probe(Option<Expression>);

impl Conditions {
    /// Those of a rule: kept, because whoever is denied once is denied again.
    pub(in crate::policy) fn known(known: &Known, rule: &Rule) -> Arc<Self> {
        let id = rule.policy.id();
        if let Some(conditions) = known.get(id) {
            return conditions;
        }
        let conditions = Arc::new(Self::of(&rule.policy, &rule.location));
        known.insert(id.clone(), Arc::clone(&conditions));
        conditions
    }

    /// The conditions of a policy that stands there. One that can't be analysed has a single one, of which nothing can be told.
    pub(in crate::policy) fn of(policy: &Policy, at: &Location) -> Self {
        let Ok(tree) = policy.to_pst() else {
            let parts = vec![Part::opaque(at.line)];
            return Self { parts };
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

/// The conditions of a policy as Cedar writes them: the same text is the same condition. `None`: it can't be analysed.
pub(in crate::policy) fn texts(policy: &Policy) -> Option<HashSet<String>> {
    let tree = policy.to_pst().ok()?;
    let mut texts = HashSet::new();
    for clause in tree.body().clauses() {
        let (whole, unless) = match clause {
            Clause::When(expr) => (expr, false),
            Clause::Unless(expr) => (expr, true),
        };
        let mut operands = Vec::new();
        cut(whole, unless, &mut operands);
        texts.extend(operands.iter().map(|expr| format!("{unless} {expr}")));
    }
    Some(texts)
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
        let text = shown.map_or_else(|| expr.to_string(), source::on_one_line);
        Part::new(text, unless, line_of(start), Some(expr))
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
    fn new(text: String, unless: bool, line: usize, expr: Option<Arc<Expr>>) -> Self {
        Self {
            written: Arc::new(Condition { text, unless, line }),
            telling: expr.as_ref().map_or(0, Claim::weight),
            expr,
            probe: OnceLock::new(),
            needs: OnceLock::new(),
            lifts: OnceLock::new(),
        }
    }

    fn opaque(line: usize) -> Self {
        let text = "conditions that can't be looked at one by one".to_owned();
        Self::new(text, false, line, None)
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// Why Cedar can't tell.
    pub(in crate::policy) fn holds(&self, request: &Request, entities: &Entities) -> Result<bool, String> {
        let probe = self
            .probe
            .get_or_init(|| self.expr.as_deref().map_or(Probe(None), Probe::new));
        match probe.value(request, entities)? {
            EvalResult::Bool(is) => Ok(is != self.written.unless),
            _ => Err("it is neither true nor false".to_owned()),
        }
    }
}

impl Part {
    /// What it needs to hold, with the values that a request brings.
    pub(in crate::policy) fn needs(&self, request: &Request, entities: &Entities) -> Said {
        let needs = self.needs.get_or_init(|| self.claim(!self.written.unless));
        needs.said(request, entities)
    }

    /// What it would take for it not to hold.
    pub(in crate::policy) fn lifts(&self, request: &Request, entities: &Entities) -> Said {
        let lifts = self.lifts.get_or_init(|| self.claim(self.written.unless));
        lifts.said(request, entities)
    }

    fn claim(&self, wanted: bool) -> Claim {
        let expr = self.expr.as_ref();
        expr.map_or(Claim::Opaque, |expr| Claim::of(expr, wanted))
    }
}

impl Probe {
    /// Our own text of a syntax tree that Cedar made is parsed, never a client's.
    pub(in crate::policy) fn new(expr: &Expr) -> Self {
        Self(Expression::from_str(&expr.to_string()).ok())
    }

    /// What the expression is.
    ///
    /// # Errors
    /// Why Cedar can't tell.
    pub(in crate::policy) fn value(
        &self,
        request: &Request,
        entities: &Entities,
    ) -> Result<EvalResult, String> {
        #[cfg(test)]
        EVALUATIONS.with(|done| done.set(done.get().saturating_add(1)));
        let expression = self.0.as_ref().ok_or("it can't be looked at by itself")?;
        eval_expression(request, entities, expression).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
thread_local! {
    /// How many evaluations of conditions and of parts of them this thread has made.
    pub(in crate::policy) static EVALUATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
