//! A call of MCP as Cedar's action and resource.

use cedar_policy::{Entity, EntityUid};

use super::entities::uid;
use crate::inventory::Tool;
use crate::mcp::call::{Operation, Reference};
use crate::mcp::{Limits, json};
use crate::policy::{AskError, PolicySet, Question};

/// URIs that one `subscriptions/listen` may name: each is asked about.
pub(in crate::policy) const MAX_LISTENED: usize = Limits::MOST_SUBSCRIPTIONS;

/// What is asked for, in Cedar's words.
pub(in crate::policy) struct Target<'a> {
    pub(in crate::policy) action: String,
    pub(in crate::policy) resource: EntityUid,
    /// Unless the action's store has it: a tool.
    pub(in crate::policy) entity: Option<Entity>,
    /// The tool that is called, and with what.
    pub(in crate::policy) arguments: Option<(&'a Tool, &'a json::Object)>,
}

impl PolicySet {
    /// What a call asks for: one thing, but for `subscriptions/listen`, which also reads each resource that it names.
    pub(in crate::policy) fn targets<'a>(
        &'a self,
        question: &Question<'a>,
    ) -> Result<Vec<Target<'a>>, AskError> {
        let operation = &question.call.operation;
        let method = operation.method();
        let target = match operation {
            Operation::ToolsCall { tool, arguments } => self.tool(question, tool, arguments)?,
            Operation::PromptsGet { prompt, .. } => self.prompt(question, method, prompt)?,
            Operation::Resource { uri, .. } => self.resource(question, method, uri)?,
            Operation::Complete {
                reference: Reference::Prompt(prompt),
            } => self.prompt(question, method, prompt)?,
            Operation::Complete {
                reference: Reference::Resource(uri),
            } => self.resource(question, method, uri)?,
            Operation::Listen { uris } => return self.listen(question, uris),
            Operation::OpenStream { .. } | Operation::EndSession => match question.session {
                Some(session) => self.session(question, method, session)?,
                None => self.server(question, method),
            },
            Operation::Initialize { .. }
            | Operation::Task { .. }
            | Operation::Plain { .. }
            | Operation::Response
            | Operation::Unknown { .. } => self.server(question, method),
        };
        Ok(vec![target])
    }

    fn listen<'a>(&self, question: &Question<'_>, uris: &[String]) -> Result<Vec<Target<'a>>, AskError> {
        if uris.len() > MAX_LISTENED {
            return Err(AskError::TooManyResources);
        }
        let mut targets = vec![self.server(question, "subscriptions/listen")];
        for uri in uris {
            targets.push(self.resource(question, "resources/subscribe", uri)?);
        }
        Ok(targets)
    }

    /// A tool: its action, with arguments that fit it.
    fn tool<'a>(
        &'a self,
        question: &Question<'_>,
        tool: &str,
        arguments: &'a json::Object,
    ) -> Result<Target<'a>, AskError> {
        let server = self.inventory.server(&question.server.name);
        let tool = server
            .and_then(|server| server.tool(tool))
            .ok_or(AskError::UnknownTool)?;
        tool.accept(arguments, question.server.undeclared_arguments)?;
        Ok(Target {
            arguments: Some((tool, arguments)),
            ..self.call_of(tool)
        })
    }

    /// A tool, called with whatever arguments.
    pub(in crate::policy) fn call_of<'a>(&self, tool: &Tool) -> Target<'a> {
        plain(&tool.action, uid(&self.fixed.types.tool, &tool.action), None)
    }

    fn server(&self, question: &Question<'_>, method: &str) -> Target<'static> {
        plain(
            method,
            uid(&self.fixed.types.server, question.server.name.as_str()),
            None,
        )
    }

    fn resource(
        &self,
        question: &Question<'_>,
        method: &str,
        uri: &str,
    ) -> Result<Target<'static>, AskError> {
        let id = uid(&self.fixed.types.resource, uri);
        let server = question.server.name.as_str();
        let entity = self.fixed.below_server(id.clone(), Some(("uri", uri)), server)?;
        Ok(plain(method, id, Some(entity)))
    }

    fn session(
        &self,
        question: &Question<'_>,
        method: &str,
        session: &str,
    ) -> Result<Target<'static>, AskError> {
        let id = uid(&self.fixed.types.session, session);
        let server = question.server.name.as_str();
        let entity = self.fixed.below_server(id.clone(), None, server)?;
        Ok(plain(method, id, Some(entity)))
    }

    fn prompt(
        &self,
        question: &Question<'_>,
        method: &str,
        prompt: &str,
    ) -> Result<Target<'static>, AskError> {
        let server = question.server.name.as_str();
        let id = uid(&self.fixed.types.prompt, &format!("{server}/{prompt}"));
        let entity = self
            .fixed
            .below_server(id.clone(), Some(("name", prompt)), server)?;
        Ok(plain(method, id, Some(entity)))
    }
}

fn plain(method: &str, resource: EntityUid, entity: Option<Entity>) -> Target<'static> {
    Target {
        action: method.to_owned(),
        resource,
        entity,
        arguments: None,
    }
}
