//! What it costs to show a caller a list of 500 tools without those that nothing permits it: while nobody knows which these are, and
//! once that is known.

use std::collections::HashSet;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use mcp_authz::clock;
use mcp_authz::identity::{User, Workload};
use mcp_authz::inventory::Files;
use mcp_authz::mcp::list::ToolList;
use mcp_authz::policy::matrix::{Subject, Survey, What, Who};
use mcp_authz::policy::{PolicySet, default_server};
use mcp_authz::spiffe::SpiffeId;
use serde_json::{Value, json};

use crate::grown::grown;
use crate::policies::{dan, median};
use crate::{Failure, NESTING};

/// Policies and tools besides the shipped ones.
const MANY: (usize, usize) = (1_000, 500);
const ROUNDS: usize = 25;
const ROLES: usize = 10;

/// Milliseconds, the medians of 25: with the caller's set worked out, and with it known.
pub(crate) fn measure() -> Result<[(&'static str, f64); 2], Failure> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let files: Files = grown(&shipped, MANY.0, MANY.1)?.into_iter().collect();
    let server = default_server("workbench")?;
    let servers = std::slice::from_ref(&server);
    let set = PolicySet::load(&files, servers).map_err(|problems| format!("{problems:?}"))?;
    let survey = set
        .survey(&files, servers)
        .map_err(|problem| format!("{problem:?}"))?;
    let tools = set.callable(false);
    let message = list(&tools)?;
    let (mut cold, mut known) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let caller = caller(round)?;
        let started = clock::instant();
        let callable = callable(&survey, &caller, &tools);
        cut(&message, &callable)?;
        cold.push(started.elapsed().as_secs_f64() * 1e3);
        let started = clock::instant();
        cut(&message, &callable)?;
        known.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok([
        ("list_500_tools_cold_ms", median(cold)?),
        ("list_500_tools_known_ms", median(known)?),
    ])
}

/// The tools that some call of this caller's could be allowed.
fn callable(survey: &Survey<'_>, caller: &Who, tools: &[What]) -> HashSet<String> {
    let could = survey.could_call(caller, tools);
    let tools = tools.iter().zip(could).filter(|(_, could)| *could);
    tools.map(|(tool, _)| tool.title()).collect()
}

/// Takes the others off the list, and fails if none or all of them stay.
fn cut(message: &[u8], callable: &HashSet<String>) -> Result<(), Failure> {
    let list = ToolList::read(black_box(message), NESTING).map_err(|error| error.to_string())?;
    let shown = list.keeping(|name| callable.contains(name));
    let stays = list.names().filter(|name| callable.contains(*name)).count();
    if (1..MANY.1).contains(&stays) && shown.len() < message.len() {
        black_box(shown);
        Ok(())
    } else {
        Err(format!("{stays} of the tools stay on the list").into())
    }
}

/// A person who has ten roles, through a workload that may call the tools of one server.
fn caller(number: usize) -> Result<Who, Failure> {
    let roles = (number..).take(ROLES).map(|role| format!("grown-{role:03}"));
    let user = User {
        subject: format!("dan-{number}"),
        roles: roles.collect(),
        ..dan()
    };
    let spiffe_id = SpiffeId::parse("spiffe://mcp-identity.local/grown/16/assistant")?;
    Ok(Who {
        subjects: vec![
            Subject::User("dan".to_owned(), Arc::new(user)),
            Subject::Workload("assistant".to_owned(), Arc::new(Workload { spiffe_id })),
        ],
    })
}

/// The 500 tools as one server might list them: half a kilobyte for each.
fn list(tools: &[What]) -> Result<Vec<u8>, Failure> {
    let tools = tools.iter().filter(|what| what.server != "workbench");
    let tools: Vec<Value> = tools.map(|what| {
        json!({
            "name": what.title(),
            "title": "Read what is there",
            "description": "Reads one of the many things that are there, below the path that is given.\nIt never writes. Give a limit \
                where there may be much; what is beyond it is told with a cursor, as `nextCursor` in the result.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "path": { "type": "string", "maxLength": 4096, "description": "Where to begin" },
                    "limit": { "type": "integer", "minimum": 0 },
                },
                "required": ["path"],
            },
            "annotations": { "readOnlyHint": true },
        })
    })
    .collect();
    let message = json!({ "jsonrpc": "2.0", "id": 7, "result": { "tools": tools } });
    Ok(serde_json::to_vec(&message)?)
}
