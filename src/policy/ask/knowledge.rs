//! What a caller may know of: the tools that it could be permitted with some arguments.

use cedar_policy::Effect;

use super::entities::StepUp;
use crate::mcp::call::Operation;
use crate::policy::{PolicySet, Question};

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
        // Scopes don't look at the context.
        let target = self.call_of(tool);
        let Ok(standing) = self.standing(question, &target, &StepUp::default()) else {
            return false;
        };
        standing.principals.iter().all(|standpoint| {
            let candidates = self.engine.ruling(std::iter::once(&*standpoint.candidates));
            candidates
                .iter()
                .any(|rule| rule.policy.effect() == Effect::Permit)
        })
    }
}
