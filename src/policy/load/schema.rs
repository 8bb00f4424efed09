//! The Cedar schema: the base that authors see, and the actions made from the servers' tools.

use std::sync::Arc;

use cedar_policy::{Schema, SchemaFragment};
use serde_json::Value;

use super::bounds;
use super::part::Parts;
use crate::inventory::schema::Attributes;
use crate::inventory::{Files, Inventory, Problem, Requirement, Server, ServerName};

/// Where the base schema is.
pub(in crate::policy) const BASE: &str = "base.cedarschema";
/// The common type of the base schema that says what is known of every call.
pub(in crate::policy) const CONTEXT: &str = "CallContext";

/// Joins the base schema with the tools' actions. Also gives it in parts, where it can be had so.
pub(in crate::policy) fn join(
    files: &Files,
    inventory: &Inventory,
    servers: &[Server],
) -> Result<(Schema, Option<Parts>), Problem> {
    let pieces = pieces(files, inventory, servers)?;
    let schema = Schema::from_schema_fragments([pieces.base, pieces.tools])
        .map_err(|error| diagnostic(BASE, &pieces.source, &error))?;
    Ok((schema, Parts::of(pieces.base_json, pieces.tools_json)))
}

/// The whole schema as Cedar writes schemas: the base as it stands, and the actions made from the tools of a policy directory.
/// For editors, which check policies while they are written.
///
/// # Errors
/// What is wrong with the base schema or the tools.
pub fn text(files: &Files, servers: &[Server]) -> Result<String, Vec<Problem>> {
    let inventory = Inventory::from_files(files)?;
    let Pieces {
        source, base, tools, ..
    } = pieces(files, &inventory, servers).map_err(|problem| vec![problem])?;
    let tools_text = tools
        .to_cedarschema()
        .map_err(|error| vec![Problem::new("tools", error.to_string())])?;
    Schema::from_schema_fragments([base, tools]).map_err(|error| vec![diagnostic(BASE, &source, &error)])?;
    Ok(format!(
        "{}\n\n// Made from tools/*.json by `mcp-authz policy schema`: the tools, each an action.\n\n{}\n",
        source.trim_end(),
        tools_text.trim()
    ))
}

/// The base, its text, and the actions of the tools.
pub(in crate::policy) struct Pieces {
    pub(in crate::policy) source: Arc<str>,
    base: SchemaFragment,
    pub(in crate::policy) base_json: Value,
    tools: SchemaFragment,
    pub(in crate::policy) tools_json: Value,
}

pub(in crate::policy) fn pieces(
    files: &Files,
    inventory: &Inventory,
    servers: &[Server],
) -> Result<Pieces, Problem> {
    let source = files.text(BASE)?.ok_or_else(|| {
        Problem::new(
            BASE,
            "there is no such file: it declares the entity types and the actions of MCP itself",
        )
    })?;
    bounds::check(BASE, &source)?;
    let (base, _) =
        SchemaFragment::from_cedarschema_str(&source).map_err(|error| diagnostic(BASE, &source, &error))?;
    let declared = base
        .to_json_value()
        .map_err(|error| Problem::new(BASE, error.to_string()))?;
    let (base, _) =
        SchemaFragment::from_cedarschema_str(&source).map_err(|error| diagnostic(BASE, &source, &error))?;
    let known = attributes(&declared).ok_or_else(|| {
        Problem::new(BASE, format!("there is no record type `{CONTEXT}`"))
            .help("it says what `context` holds for every call, and the tools' actions add `arguments` to it")
    })?;
    let tools_json = inventory.schema_fragment(|server| required(known, server, servers));
    let tools = SchemaFragment::from_json_value(tools_json.clone())
        .map_err(|error| Problem::new("tools", error.to_string()))?;
    Ok(Pieces {
        source,
        base,
        base_json: declared,
        tools,
        tools_json,
    })
}

/// The attributes of the type that contexts are of.
fn attributes(declared: &Value) -> Option<&Attributes> {
    declared
        .get("")?
        .get("commonTypes")?
        .get(CONTEXT)?
        .get("attributes")?
        .as_object()
}

/// What the context of a server's calls holds: the identities that it requires are always there. An actor comes as one of
/// two attributes, so that neither always is.
fn required(known: &Attributes, server: &ServerName, servers: &[Server]) -> Attributes {
    let mut attributes = known.clone();
    let configured = servers.iter().find(|candidate| candidate.name == *server);
    for (requirement, name) in [(Requirement::User, "user"), (Requirement::Workload, "workload")] {
        // A server that isn't configured is taken as the configuration's default: both.
        let required = configured.is_none_or(|server| server.require.contains(&requirement));
        if required && let Some(Value::Object(attribute)) = attributes.get_mut(name) {
            attribute.insert("required".to_owned(), Value::Bool(true));
        }
    }
    attributes
}

/// What Cedar says of a file, with its place there and its advice.
pub(in crate::policy) fn diagnostic(
    file: &str,
    source: &Arc<str>,
    error: &dyn miette::Diagnostic,
) -> Problem {
    let mut problem = Problem::new(file, error.to_string());
    if let Some(label) = error.labels().and_then(|mut labels| labels.next()) {
        problem = problem.at(source, label.offset(), label.len());
    }
    match error.help() {
        Some(help) => problem.help(help.to_string()),
        None => problem,
    }
}
