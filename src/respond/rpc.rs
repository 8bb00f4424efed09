//! Bodies: JSON-RPC errors, and tool results that say no.

use serde_json::{Map, Value, json};

use crate::decide::{Denial, Reason};
use crate::inventory::{Denials, Disclosure};
use crate::mcp::{Call, Id, Operation, Payload, Version};
use crate::policy::{Outcome, Remedy};

use super::shape::Shape;
use super::{About, echoed};

/// JSON-RPC's own codes end at −32000, MCP's begin at −32020: an application's are outside (JSON-RPC 2.0 §5.1).
const DENIED: i64 = 403;

/// The HTTP status and the body of a denial.
pub(super) fn body(denial: &Denial, shape: Shape, about: &About<'_>) -> (u16, String) {
    let id = echoed(denial, about);
    if !shape.by_policy {
        return (shape.status, error(id, shape.code, denial, about).to_string());
    }
    let denials = about.server.map(|server| server.denials).unwrap_or_default();
    if let Some(calls) = batch(about) {
        return batch_body(calls, denial, denials, about);
    }
    // Without an id there is nobody to tell a JSON-RPC error to: a notification, a response, GET, DELETE.
    if id.is_none() {
        return (403, error(None, shape.code, denial, about).to_string());
    }
    match denials {
        Denials::Jsonrpc => (200, error(id, shape.code, denial, about).to_string()),
        Denials::Http => (403, error(id, shape.code, denial, about).to_string()),
        Denials::ToolResult => match blamed(denial, about) {
            Some(call) if matches!(call.operation, Operation::ToolsCall { .. }) => {
                (200, tool_result(id, denial, about).to_string())
            }
            _ => (200, error(id, shape.code, denial, about).to_string()),
        },
    }
}

fn batch<'a>(about: &About<'a>) -> Option<&'a [Call]> {
    match about.message.map(|message| &message.payload) {
        Some(Payload::Batch(calls)) => Some(calls),
        _ => None,
    }
}

/// All or nothing: every request of the batch gets an error, the one to blame with its reason.
fn batch_body(calls: &[Call], denial: &Denial, denials: Denials, about: &About<'_>) -> (u16, String) {
    let answers: Vec<Value> = calls
        .iter()
        .enumerate()
        .filter_map(|(index, call)| Some((index, call.id.as_ref()?)))
        .map(|(index, id)| {
            if denial.call() == Some(index) {
                error(Some(id), DENIED, denial, about)
            } else {
                innocent(id, about)
            }
        })
        .collect();
    let status = if answers.is_empty() || denials == Denials::Http {
        403
    } else {
        200
    };
    if answers.is_empty() {
        return (status, error(None, DENIED, denial, about).to_string());
    }
    (status, Value::Array(answers).to_string())
}

fn innocent(id: &Id, about: &About<'_>) -> Value {
    let reason = Reason::DeniedWithBatch;
    let data = json!({ "reason": reason.code(), "decision_id": about.decision_id });
    json!({ "jsonrpc": "2.0", "id": id_value(Some(id)),
            "error": { "code": DENIED, "message": reason.meaning(), "data": data } })
}

fn blamed<'a>(denial: &Denial, about: &About<'a>) -> Option<&'a Call> {
    let calls = about.message?.calls();
    calls.get(denial.call()?)
}

fn error(id: Option<&Id>, code: i64, denial: &Denial, about: &About<'_>) -> Value {
    json!({ "jsonrpc": "2.0", "id": id_value(id),
            "error": { "code": code, "message": message(denial, about), "data": data(denial, about) } })
}

fn tool_result(id: Option<&Id>, denial: &Denial, about: &About<'_>) -> Value {
    let text = format!("{} (decision {})", message(denial, about), about.decision_id);
    let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
    if about
        .message
        .is_some_and(|message| message.version.has_result_type())
        && let Some(members) = result.as_object_mut()
    {
        members.insert("resultType".to_owned(), json!("complete"));
    }
    json!({ "jsonrpc": "2.0", "id": id_value(id), "result": result })
}

fn id_value(id: Option<&Id>) -> Value {
    match id {
        Some(Id::String(text)) => Value::String(text.clone()),
        Some(Id::Number(number)) => Value::from(*number),
        None => Value::Null,
    }
}

/// One sentence for people and models.
fn message(denial: &Denial, about: &About<'_>) -> String {
    let told = denial
        .detail()
        .unwrap_or_else(|| denial.told().meaning().to_owned());
    let told = match reasons(denial, about).first() {
        Some(reason) => format!("{told}: {reason}"),
        None => told,
    };
    match remedies(denial, about).first() {
        Some(remedy) => format!("{told} ({})", remedy.0.join("; ")),
        None => told,
    }
}

fn data(denial: &Denial, about: &About<'_>) -> Value {
    let mut data = Map::new();
    data.insert("reason".to_owned(), json!(denial.told().code()));
    data.insert("decision_id".to_owned(), json!(about.decision_id));
    let reasons = reasons(denial, about);
    if !reasons.is_empty() {
        data.insert("reasons".to_owned(), json!(reasons));
    }
    let remedies = remedies(denial, about);
    if !remedies.is_empty() {
        let remedies: Vec<&[String]> = remedies.iter().map(|remedy| remedy.0.as_slice()).collect();
        data.insert("remedies".to_owned(), json!(remedies));
    }
    if let Some(argument) = denial.argument() {
        data.insert("argument".to_owned(), json!(argument));
    }
    if denial.reason() == Reason::VersionUnknown {
        let supported: Vec<&str> = Version::ALL
            .iter()
            .rev()
            .map(|version| version.as_str())
            .collect();
        data.insert("supported".to_owned(), json!(supported));
        if let Some(requested) = denial.requested_version() {
            data.insert("requested".to_owned(), json!(requested));
        }
    }
    Value::Object(data)
}

/// The `@reason`s of the policies that forbade the call, as far as the server discloses them.
fn reasons<'a>(denial: &'a Denial, about: &About<'_>) -> Vec<&'a str> {
    if !discloses(about, Disclosure::Reasons) {
        return Vec::new();
    }
    let forbidding = denial
        .verdicts()
        .iter()
        .filter(|verdict| verdict.outcome == Outcome::Forbidden);
    let mut reasons = Vec::new();
    // One policy may forbid it to the user and to the agent: told once.
    for reason in forbidding
        .flat_map(|verdict| &verdict.fired)
        .filter_map(|policy| policy.reason.as_deref())
    {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// What the caller could change, as far as the server discloses it; one of several is enough.
fn remedies<'a>(denial: &'a Denial, about: &About<'_>) -> &'a [Remedy] {
    if discloses(about, Disclosure::Conditions) {
        denial.remedies()
    } else {
        &[]
    }
}

fn discloses(about: &About<'_>, level: Disclosure) -> bool {
    about.server.is_some_and(|server| server.disclosure >= level)
}
