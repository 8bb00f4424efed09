//! A recorded call, asked again of a set of policies: if the policies in reach read nothing that the record lacks.

use std::collections::BTreeSet;

use cedar_policy::pst::{Clause, Expr};

use super::{Arguments, Recorded, Unasked};
use crate::inventory::Server;
use crate::mcp::Operation;
use crate::mcp::json::Object;
use crate::policy::ask::context::Needs;
use crate::policy::ask::entities::StepUp;
use crate::policy::ask::evaluate::Rule;
use crate::policy::ask::target::Target;
use crate::policy::{AskError, Explanation, PolicySet, Question, Verdict, code};

/// What a question comes to.
pub type Answer = Result<Vec<Verdict>, AskError>;

/// A claim's name in a record, and as an attribute of `User`. The others are what a user is in.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("scopes", "scopes"),
    ("acr", "acr"),
    ("client_id", "clientId"),
    ("authenticated", "authenticated"),
    ("email", "email"),
];

impl PolicySet {
    /// What these policies say of a recorded call.
    ///
    /// # Errors
    /// The record doesn't hold what they read.
    pub fn ask_again(&self, recorded: &Recorded, server: &Server) -> Result<Answer, Unasked> {
        let question = recorded.question(server);
        let targets = self.targets_again(recorded, &question);
        said(targets.and_then(|targets| Ok(self.ask_of(&question, &targets, &StepUp::default())?)))
    }

    /// Why these policies say so of a recorded call. Shadow policies are left out: they may read what the record doesn't hold.
    ///
    /// # Errors
    /// The record doesn't hold what they read.
    pub fn explain_again(
        &self,
        recorded: &Recorded,
        server: &Server,
    ) -> Result<Result<Explanation, AskError>, Unasked> {
        let question = recorded.question(server);
        let targets = self.targets_again(recorded, &question);
        let explained = targets.and_then(|targets| Ok(self.explain_of(&question, &targets)?));
        said(explained.map(Explanation::without_shadows))
    }

    /// What is asked for, if the record holds all that the policies in reach read.
    fn targets_again<'a>(
        &'a self,
        recorded: &'a Recorded,
        question: &Question<'a>,
    ) -> Result<Vec<Target<'a>>, No> {
        Self::identified(question)?;
        let targets = match &question.call.operation {
            Operation::ToolsCall { tool, arguments } if !recorded.has_arguments() => {
                vec![self.incomplete(recorded, question, tool, arguments)?]
            }
            _ => self.targets(question)?,
        };
        for target in &targets {
            let standing = self.own_standing(question, target)?;
            let candidates = standing
                .principals
                .iter()
                .map(|standpoint| &*standpoint.candidates);
            recorded.suffices(&self.engine.ruling(candidates))?;
        }
        Ok(targets)
    }

    /// A tool with those arguments that are in the record: the call was let through with all of them, so they fit.
    fn incomplete<'a>(
        &'a self,
        recorded: &Recorded,
        question: &Question<'_>,
        tool: &str,
        arguments: &'a Object,
    ) -> Result<Target<'a>, No> {
        let server = self.inventory.server(&question.server.name);
        let tool = server
            .and_then(|server| server.tool(tool))
            .ok_or(AskError::UnknownTool)?;
        let refused = [
            code::ARGUMENTS_DONT_FIT,
            code::UNDECLARED_ARGUMENT,
            code::UNKNOWN_TOOL,
        ];
        if refused.contains(&recorded.reason.as_str()) {
            return Err(Unasked::RefusedArguments.into());
        }
        Ok(Target {
            arguments: Some((tool, arguments)),
            ..self.call_of(tool)
        })
    }
}

fn said<T>(found: Result<T, No>) -> Result<Result<T, AskError>, Unasked> {
    match found {
        Ok(answer) => Ok(Ok(answer)),
        Err(No::Answer(error)) => Ok(Err(error)),
        Err(No::Question(why)) => Err(why),
    }
}

/// Why there is no verdict.
enum No {
    Answer(AskError),
    Question(Unasked),
}

impl From<AskError> for No {
    fn from(error: AskError) -> Self {
        Self::Answer(error)
    }
}

impl From<crate::policy::BuildError> for No {
    fn from(error: crate::policy::BuildError) -> Self {
        Self::Answer(error.into())
    }
}

impl From<Unasked> for No {
    fn from(why: Unasked) -> Self {
        Self::Question(why)
    }
}

impl Recorded {
    /// Whether the record holds all that these policies read.
    fn suffices(&self, rules: &[&Rule]) -> Result<(), Unasked> {
        let needs = Needs::of(&rules.iter().map(|rule| &rule.reads));
        if needs.session && self.gaps.session {
            return Err(Unasked::Session);
        }
        if needs.version && self.gaps.version {
            return Err(Unasked::Version);
        }
        // What a user is in decides which policies are in reach at all.
        if let Some(name) = ["roles", "groups", "tenants"]
            .into_iter()
            .find(|name| self.gaps.claims.contains(name))
        {
            return Err(Unasked::Claim(name));
        }
        for (claim, attribute) in ATTRIBUTES {
            if self.gaps.claims.contains(claim) && rules.iter().any(|rule| reads(rule, attribute)) {
                return Err(Unasked::Claim(claim));
            }
        }
        let Arguments::Without { names, others } = &self.gaps.arguments else {
            return Ok(());
        };
        let Operation::ToolsCall { arguments, .. } = &self.call.operation else {
            return Ok(());
        };
        let lost = |read: &[String]| match read.first() {
            None => true,
            Some(name) => names.contains(name) || (*others && arguments.get(name).is_none()),
        };
        let mut read = rules.iter().flat_map(|rule| rule.reads.arguments());
        if read.any(lost) {
            return Err(Unasked::Argument);
        }
        Ok(())
    }
}

/// Whether a policy's conditions read an attribute of that name of anything but the context.
fn reads(rule: &Rule, attribute: &str) -> bool {
    let Ok(tree) = rule.policy.to_pst() else {
        return true;
    };
    let mut found = BTreeSet::new();
    let understood = tree.body().clauses().iter().all(|clause| {
        let (Clause::When(condition) | Clause::Unless(condition)) = clause;
        attributes(condition, &mut found)
    });
    !understood || found.contains(attribute)
}

/// Collects the attributes that an expression reads of entities; false if it can't be told.
fn attributes(expr: &Expr, found: &mut BTreeSet<String>) -> bool {
    match expr {
        Expr::Literal(_) | Expr::Var(_) => true,
        Expr::GetAttr { expr, attr } => {
            found.insert(attr.to_string());
            attributes(expr, found)
        }
        Expr::HasAttr { expr, attrs } => {
            found.extend(attrs.iter().map(ToString::to_string));
            attributes(expr, found)
        }
        Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => attributes(expr, found),
        Expr::BinaryOp { left, right, .. } => attributes(left, found) && attributes(right, found),
        Expr::Is { expr, in_expr, .. } => {
            attributes(expr, found) && in_expr.as_ref().is_none_or(|within| attributes(within, found))
        }
        Expr::IfThenElse {
            cond,
            then_expr,
            else_expr,
        } => [cond, then_expr, else_expr]
            .into_iter()
            .all(|part| attributes(part, found)),
        Expr::Set(parts) => parts.iter().all(|part| attributes(part, found)),
        Expr::Record(members) => members.values().all(|part| attributes(part, found)),
        // Slots, unknowns, and whatever a later Cedar adds.
        _ => false,
    }
}
