//! What a caller may know of: the tools that it could be permitted with some arguments.

use cedar_policy::{Context, Effect, Request};

use super::entities::{StepUp, uid};
use super::target::Target;
use super::{PolicySet, Question};
use crate::mcp::call::Operation;

impl PolicySet {
    /// Whether some permit is about each principal on the call, this tool and this server, whatever its conditions say.
    /// Who isn't so much as in the scope of a permit is not told what the tool takes, nor that it is there.
    #[must_use]
    pub fn may_know(&self, question: &Question<'_>) -> bool {
        let Operation::ToolsCall { tool, .. } = &question.call.operation else {
            return true;
        };
        let tools = self.inventory.server(&question.server.name);
        let Some(tool) = tools.and_then(|tools| tools.tool(tool)) else {
            return false;
        };
        let Ok((principals, entities)) = self.principals(question, &StepUp::default()) else {
            return false;
        };
        let target = Target {
            action: tool.action.clone(),
            resource: uid(&self.fixed.types.tool, &tool.action),
            entity: None,
            arguments: None,
            omitted: Vec::new(),
        };
        let Ok(store) = self.store(&target, &entities) else {
            return false;
        };
        let action = uid(&self.fixed.types.action, &target.action);
        principals.iter().all(|(_, principal)| {
            // Scopes don't look at the context.
            Request::new(
                principal.clone(),
                action.clone(),
                target.resource.clone(),
                Context::empty(),
                None,
            )
            .is_ok_and(|request| {
                let mut candidates = self.engine.candidates(&request, &store).into_iter();
                candidates.any(|rule| rule.policy.effect() == Effect::Permit)
            })
        })
    }
}
