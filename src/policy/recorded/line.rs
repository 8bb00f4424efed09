//! The text of a line to a call, and what of it is missing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Arguments, Gaps, Line, NoLine, Principal, Recorded, Unasked};
use crate::identity::{Acting, Actor, Agent, Caller, User, Workload};
use crate::mcp::call::{Operation, Reference};
use crate::mcp::methods::{self, Needs};
use crate::mcp::{Call, Version, json};
use crate::spiffe::SpiffeId;

/// A record, as far as it takes part in a question.
#[derive(Deserialize)]
struct Text {
    time: Option<Timestamp>,
    #[serde(default)]
    decision_id: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    reason: String,
    server: Option<String>,
    #[serde(default)]
    method: String,
    protocol_version: Option<String>,
    target: Option<String>,
    target_kind: Option<String>,
    user: Option<Person>,
    workload: Option<String>,
    actor: Option<String>,
    actor_client: Option<String>,
    session: Option<String>,
    #[serde(default)]
    policies: Vec<Part>,
    policy_version: Option<String>,
    client: Option<IpAddr>,
    arguments: Option<Box<RawValue>>,
    #[serde(default)]
    arguments_omitted: usize,
    arguments_as: Option<String>,
    event: Option<String>,
    corrects: Option<String>,
}

#[derive(Deserialize)]
struct Person {
    issuer: String,
    subject: String,
    username: String,
    claims: Option<Claims>,
}

/// What `identity::facts` writes.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Claims {
    roles: Vec<String>,
    groups: Vec<String>,
    tenants: Vec<String>,
    scopes: Vec<String>,
    acr: Option<String>,
    client_id: Option<String>,
    authenticated: Option<Timestamp>,
    omitted: Vec<String>,
}

/// Of an entry in `policies`, and of the one that counts those left out.
#[derive(Deserialize)]
struct Part {
    principal: Option<String>,
}

/// The claims that a record may lack. An e-mail address is in none.
const CLAIMS: [&str; 7] = [
    "roles",
    "groups",
    "tenants",
    "scopes",
    "acr",
    "client_id",
    "authenticated",
];
const EMAIL: &str = "email";

pub(super) fn read(text: &[u8]) -> Result<Line, NoLine> {
    let text: Text = serde_json::from_slice(text).map_err(NoLine)?;
    if text.event.is_some() || text.corrects.is_some() || text.decision_id.is_empty() {
        return Ok(Line::Other);
    }
    let id = text.decision_id.clone();
    Ok(match recorded(text) {
        Ok(recorded) => Line::Call(Box::new(recorded)),
        Err(why) => Line::Unasked(id, why),
    })
}

fn recorded(text: Text) -> Result<Recorded, Unasked> {
    // A record has the version of the policies as soon as they were asked.
    let Some(policy_version) = text.policy_version.clone() else {
        return Err(Unasked::NoPolicy(text.reason));
    };
    let mut gaps = Gaps::default();
    let server = whole("server", text.server.as_deref())?.ok_or(Unasked::Malformed("server"))?;
    let server = server.parse().map_err(|_| Unasked::Malformed("server"))?;
    let named = text.protocol_version.as_deref().and_then(Version::from_name);
    gaps.version = named.is_none();
    let session = whole("session", text.session.as_deref())?.map(str::to_owned);
    gaps.session = session.as_deref().is_some_and(may_be_fingerprint);
    let caller = caller(&text, &mut gaps)?;
    let operation = operation(&text, &mut gaps)?;
    let actor_was_asked = text
        .policies
        .iter()
        .any(|part| part.principal.as_deref() == Some(Principal::Actor.as_str()));
    Ok(Recorded {
        time: text.time.ok_or(Unasked::Malformed("time"))?,
        decision_id: text.decision_id,
        outcome: text.outcome,
        reason: text.reason,
        policy_version,
        server,
        call: Call { id: None, operation },
        caller,
        session,
        address: text.client,
        version: named.unwrap_or(Version::NEWEST_WITH_SESSIONS),
        actor_was_asked,
        gaps,
    })
}

fn caller(text: &Text, gaps: &mut Gaps) -> Result<Caller, Unasked> {
    let user = text.user.as_ref().map(|user| person(user, gaps)).transpose()?;
    let workload = whole("workload", text.workload.as_deref())?
        .map(|id| workload(id).ok_or(Unasked::Malformed("workload")))
        .transpose()?;
    let actor = whole("actor", text.actor.as_deref())?
        .map(|key| {
            let client = whole("actor_client", text.actor_client.as_deref())?;
            acting(key, client).ok_or(Unasked::Malformed("actor"))
        })
        .transpose()?;
    Ok(Caller {
        user: user.map(Arc::new),
        workload: workload.map(Arc::new),
        actor: actor.map(|current| {
            Arc::new(Actor {
                current,
                earlier: Vec::new(),
            })
        }),
        nonce: None,
    })
}

fn person(user: &Person, gaps: &mut Gaps) -> Result<User, Unasked> {
    for (name, text) in [
        ("user.issuer", &user.issuer),
        ("user.subject", &user.subject),
        ("user.username", &user.username),
    ] {
        whole(name, Some(text))?;
    }
    let missing = |name: &&str| match &user.claims {
        None => true,
        Some(claims) => claims.omitted.iter().any(|omitted| omitted == name),
    };
    gaps.claims = CLAIMS.into_iter().filter(missing).chain([EMAIL]).collect();
    let none = Claims::default();
    let claims = user.claims.as_ref().unwrap_or(&none);
    Ok(User {
        issuer: user.issuer.clone(),
        subject: user.subject.clone(),
        username: user.username.clone(),
        email: None,
        roles: claims.roles.clone(),
        groups: claims.groups.clone(),
        tenants: claims.tenants.clone(),
        scopes: claims.scopes.clone(),
        acr: claims.acr.clone(),
        client_id: claims.client_id.clone(),
        token_id: None,
        login_session: None,
        expires: Timestamp::MAX,
        authenticated: claims.authenticated,
    })
}

fn workload(id: &str) -> Option<Workload> {
    let spiffe_id = SpiffeId::parse(id).ok()?;
    Some(Workload { spiffe_id })
}

/// An actor by its key: see [`Agent::key`].
fn acting(key: &str, client: Option<&str>) -> Option<Acting> {
    if let Some(workload) = workload(key) {
        return Some(Acting::Workload(workload));
    }
    let (issuer, name) = key.split_once('#')?;
    let agent = match (name.strip_prefix("client:"), name.strip_prefix("subject:")) {
        (Some(id), _) => Agent::client(issuer, id),
        (None, Some(subject)) => Agent::subject(issuer, subject, client),
        (None, None) => return None,
    };
    Some(Acting::Agent(agent))
}

fn operation(text: &Text, gaps: &mut Gaps) -> Result<Operation, Unasked> {
    let target = || {
        let target = whole("target", text.target.as_deref())?;
        target.map(str::to_owned).ok_or(Unasked::Malformed("target"))
    };
    let method = match text.method.as_str() {
        Operation::RESPONSE => return Ok(Operation::Response),
        Operation::OPEN_STREAM => return Ok(Operation::OpenStream { last_event: None }),
        Operation::END_SESSION => return Ok(Operation::EndSession),
        Operation::UNKNOWN => return Ok(Operation::Unknown { method: target()? }),
        method => methods::named(method).ok_or(Unasked::Malformed("method"))?,
    };
    Ok(match method.needs {
        Needs::Tool => Operation::ToolsCall {
            tool: target()?,
            arguments: arguments(text, gaps)?,
        },
        // Policies don't see them.
        Needs::Prompt => Operation::PromptsGet {
            prompt: target()?,
            arguments: json::Object::default(),
        },
        Needs::Resource => Operation::Resource {
            method: method.name,
            uri: target()?,
        },
        Needs::Listen => Operation::Listen {
            uris: target()?.split_terminator(' ').map(str::to_owned).collect(),
        },
        Needs::Completion => Operation::Complete {
            reference: match text.target_kind.as_deref() {
                Some("prompt") => Reference::Prompt(target()?),
                Some("resource") => Reference::Resource(target()?),
                _ => return Err(Unasked::CompletionOf),
            },
        },
        Needs::Initialize => Operation::Initialize {
            // Policies don't see it.
            offered: text.target.clone().unwrap_or_default(),
        },
        Needs::Task => Operation::Task {
            method: method.name,
            task: text.target.clone().unwrap_or_default(),
        },
        Needs::Anything => Operation::Plain { method: method.name },
    })
}

/// The arguments whose values are in the line; notes which aren't.
fn arguments(text: &Text, gaps: &mut Gaps) -> Result<json::Object, Unasked> {
    let Some(raw) = &text.arguments else {
        gaps.arguments = Arguments::Without {
            names: BTreeSet::new(),
            others: true,
        };
        return Ok(json::Object::default());
    };
    let read = json::read(raw.get().as_bytes(), json::NESTING_CEILING);
    let Ok(json::Value::Object(members)) = read else {
        return Err(Unasked::Malformed("arguments"));
    };
    let values = text.arguments_as.as_deref() == Some("all");
    let (kept, lost): (Vec<_>, Vec<_>) = members
        .0
        .into_iter()
        .partition(|(_, value)| values && is_as_sent(value));
    let others = text.arguments_omitted > 0;
    if !lost.is_empty() || others {
        gaps.arguments = Arguments::Without {
            names: lost.into_iter().map(|(name, _)| name).collect(),
            others,
        };
    }
    Ok(json::Object(kept))
}

/// Whether nothing of a value was cut or written otherwise than it was sent.
fn is_as_sent(value: &json::Value) -> bool {
    match value {
        json::Value::Null | json::Value::Bool(_) | json::Value::Number(_) => true,
        json::Value::String(text) => !was_cut(text) && !may_be_number(text),
        json::Value::Array(items) => items.iter().all(is_as_sent),
        json::Value::Object(members) => members.iter().all(|(_, value)| is_as_sent(value)),
    }
}

/// Whether a text may stand for a number beyond what readers of lines can hold (`1e400`).
fn may_be_number(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// Whether a text ends as the audit marks what it cut. One that was sent so is taken for cut.
fn was_cut(text: &str) -> bool {
    let count = text
        .strip_suffix(" bytes)")
        .and_then(|text| text.rsplit_once("…(+"));
    count.is_some_and(|(_, count)| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A text that names something: all of it, or nothing can be said.
fn whole<'a>(name: &'static str, text: Option<&'a str>) -> Result<Option<&'a str>, Unasked> {
    match text {
        Some(text) if was_cut(text) => Err(Unasked::Cut(name)),
        text => Ok(text),
    }
}

/// Whether a session's id may be the 16 hex digits that stand for one.
fn may_be_fingerprint(session: &str) -> bool {
    session.len() == 16 && session.bytes().all(|byte| byte.is_ascii_hexdigit())
}
