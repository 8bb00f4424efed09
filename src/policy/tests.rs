//! The policy stage as a whole.

mod actions;
mod asking;
mod differential;
mod explaining;
mod findings;
#[path = "../../examples/bench/grown.rs"]
mod grown;
mod hostile;
mod linking;
mod loading;
mod many;
mod peering;
mod plain;
mod reloading;
mod remembering;
mod scopes;
mod traces;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::identity::{Caller, User, Workload};
use crate::inventory::{Files, Inventory, Problem};
use crate::mcp::call::Reference;
use crate::mcp::{Call, Id, Operation, Version, json};
use crate::spiffe::SpiffeId;

pub(super) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// The default directory without its tests, with these files changed, added or (empty) removed.
pub(super) fn files(changes: &[(&str, &str)]) -> Files {
    let default = Files::read(&directory()).unwrap();
    let kept = default
        .iter()
        .filter(|(path, _)| {
            !path.starts_with("tests/") && !changes.iter().any(|(changed, _)| changed == path)
        })
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    let added = changes
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    kept.chain(added.filter(|(_, bytes)| !bytes.is_empty())).collect()
}

/// Only these policies, with the default directory's tools and entities.
pub(super) fn only(policies: &str) -> Files {
    let default = Files::read(&directory()).unwrap();
    let kept = default
        .iter()
        .filter(|(path, _)| {
            !path.starts_with("tests/") && Path::new(path).extension().is_none_or(|ending| ending != "cedar")
        })
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    kept.chain([("own.cedar".to_owned(), policies.as_bytes().to_vec())])
        .collect()
}

pub(super) fn load(files: &Files) -> PolicySet {
    PolicySet::load(files, &[]).unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}

fn shown(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| match &problem.help {
            Some(help) => format!("{problem} ({help})\n"),
            None => format!("{problem}\n"),
        })
        .collect()
}

pub(super) fn user(name: &str, roles: &[&str]) -> User {
    User {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..User::named("https://issuer.example", name)
    }
}

pub(super) fn caller(user: User, path: &str) -> Caller {
    let spiffe_id = SpiffeId::parse(&format!("spiffe://mcp-identity.local{path}")).unwrap();
    Caller {
        user: Some(Arc::new(user)),
        workload: Some(Arc::new(Workload { spiffe_id })),
        actor: None,
        nonce: None,
    }
}

fn admin() -> Caller {
    caller(user("ada", &["mcp-admin"]), "/agent/trusted/1")
}

pub(super) fn arguments(text: &str) -> json::Object {
    json::read(text.as_bytes(), 64)
        .unwrap()
        .as_object()
        .unwrap()
        .clone()
}

pub(super) fn tool(name: &str, given: &str) -> Call {
    let operation = Operation::ToolsCall {
        tool: name.to_owned(),
        arguments: arguments(given),
    };
    Call {
        id: Some(Id::Number(1)),
        operation,
    }
}

/// Asks the server `workbench`.
fn ask(set: &PolicySet, caller: &Caller, call: &Call) -> Result<Vec<Verdict>, AskError> {
    let server = default_server("workbench").unwrap();
    set.ask(&question(&server, caller, call))
}

pub(super) fn question<'a>(
    server: &'a crate::inventory::Server,
    caller: &'a Caller,
    call: &'a Call,
) -> Question<'a> {
    Question {
        server,
        call,
        caller,
        session: Some("session-1"),
        address: Some("::ffff:192.0.2.7".parse().unwrap()),
        version: Version::V2025_11_25,
        now: now(),
    }
}

pub(super) fn now() -> Timestamp {
    "2026-03-01T10:00:00Z".parse().unwrap()
}

/// The outcome for the user and the ids that it comes from.
fn for_user(set: &PolicySet, caller: &Caller, call: &Call) -> (Outcome, Vec<String>) {
    let verdicts = ask(set, caller, call).unwrap();
    let ids = verdicts[0].fired.iter().map(|fired| fired.id.clone()).collect();
    (verdicts[0].outcome, ids)
}
