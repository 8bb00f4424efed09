//! The actions that calls of MCP are asked with, beside those of tools.
//!
//! In: a schema. Out: which of them it doesn't declare. Nothing can be asked about such a call, so it is denied as a fault of
//! ours: whoever keeps a base schema of their own is told what to add when it is loaded.

use std::collections::HashSet;

use cedar_policy::Schema;

use crate::inventory::Problem;
use crate::inventory::problem::code;
use crate::mcp::Operation;
use crate::mcp::methods::{self, Needs};
use crate::policy::load::schema::BASE;

/// Whom a call is asked about.
const PRINCIPALS: [&str; 3] = ["User", "Workload", "Agent"];

/// An action and the types of resource that it is asked about.
pub(in crate::policy) type Asked = (&'static str, &'static [&'static str]);

/// Every action that is asked, but for `tools/call`, which each tool's own action stands for.
pub(in crate::policy) fn asked() -> impl Iterator<Item = Asked> {
    let nameless: [Asked; 4] = [
        (Operation::RESPONSE, &["Server"]),
        (Operation::OPEN_STREAM, &["Session", "Server"]),
        (Operation::END_SESSION, &["Session", "Server"]),
        (Operation::UNKNOWN, &["Server"]),
    ];
    let of_methods = methods::all().iter().filter_map(|method| {
        let resources: &[&str] = match method.needs {
            Needs::Tool => return None,
            Needs::Prompt => &["Prompt"],
            Needs::Resource => &["Resource"],
            Needs::Completion => &["Prompt", "Resource"],
            Needs::Anything | Needs::Listen | Needs::Initialize | Needs::Task => &["Server"],
        };
        Some((method.name, resources))
    });
    of_methods.chain(nameless)
}

/// A warning for each action that the schema lacks.
pub(in crate::policy) fn undeclared(schema: &Schema) -> Vec<Problem> {
    let declared: HashSet<&str> = schema.actions().map(|action| action.id().unescaped()).collect();
    asked()
        .filter(|(action, _)| !declared.contains(action))
        .map(|(action, resources)| warning(action, resources))
        .collect()
}

fn warning(action: &str, resources: &[&str]) -> Problem {
    let (principals, resources) = (PRINCIPALS.join(", "), resources.join(", "));
    let message = format!("the action `{action}` is not declared: such a call is denied as `internal`");
    let declaration = format!(
        "action \"{action}\" appliesTo {{ principal: [{principals}], resource: [{resources}], context: CallContext }};"
    );
    Problem::warning(BASE, code::UNDECLARED_ACTION, message).help(format!(
        "add `{declaration}`, `in` the group whose policies are to be about it"
    ))
}
