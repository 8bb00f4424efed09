//! Params to a typed [`Operation`]: only what a decision rests on is read, and that strictly.

use super::json::{Object, Value};
use super::methods::{Method, Needs};
use super::{Limits, Operation, Reference, Refusal, Version, lookalike, uri};

/// Reads what the method needs. An absent `params` is an empty object.
pub(super) fn read(
    method: &'static Method,
    mut params: Object,
    version: Version,
    limits: &Limits,
) -> Result<Operation, Refusal> {
    check_extras(method, &params, version)?;
    let name = method.name;
    Ok(match method.needs {
        Needs::Anything => Operation::Plain { method: name },
        Needs::Tool => Operation::ToolsCall {
            tool: params_name(&mut params, limits)?,
            arguments: arguments(&mut params)?,
        },
        Needs::Prompt => Operation::PromptsGet {
            prompt: params_name(&mut params, limits)?,
            arguments: arguments(&mut params)?,
        },
        Needs::Resource => Operation::Resource {
            method: name,
            uri: resource(params.take("uri"), "`params.uri`", limits)?,
        },
        Needs::Task => Operation::Task {
            method: name,
            task: text(params.take("taskId"), "`params.taskId`", limits.max_name_bytes)?,
        },
        Needs::Initialize => Operation::Initialize {
            offered: text(
                params.take("protocolVersion"),
                "`params.protocolVersion`",
                limits.max_name_bytes,
            )?,
        },
        Needs::Listen => Operation::Listen {
            uris: subscriptions(&mut params, limits)?,
        },
        Needs::Completion => Operation::Complete {
            reference: reference(&mut params, limits)?,
        },
    })
}

/// What rides on a call: `task` (2025-11-25), `inputResponses` and `requestState` (2026-07-28).
fn check_extras(method: &Method, params: &Object, version: Version) -> Result<(), Refusal> {
    let tool = method.needs == Needs::Tool;
    if version.has_task_params() && tool {
        object_if_any(params.get("task"), "`params.task`")?;
    }
    let retried = tool || method.needs == Needs::Prompt || method.name == "resources/read";
    if version.has_retried_requests() && retried {
        object_if_any(params.get("inputResponses"), "`params.inputResponses`")?;
        if !matches!(params.get("requestState"), None | Some(Value::String(_))) {
            return Err(Refusal::BadParams {
                place: "`params.requestState`",
                expected: "a string",
            });
        }
    }
    Ok(())
}

pub(super) fn object_if_any(value: Option<&Value>, place: &'static str) -> Result<(), Refusal> {
    match value {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(Refusal::BadParams {
            place,
            expected: "an object",
        }),
    }
}

fn params_name(params: &mut Object, limits: &Limits) -> Result<String, Refusal> {
    text(params.take("name"), "`params.name`", limits.max_name_bytes)
}

fn text(value: Option<Value>, place: &'static str, limit: usize) -> Result<String, Refusal> {
    match value {
        Some(Value::String(text)) if text.len() > limit => Err(Refusal::NameTooLong { place, limit }),
        Some(Value::String(text)) => Ok(text),
        _ => Err(Refusal::BadParams {
            place,
            expected: "a string",
        }),
    }
}

fn resource(value: Option<Value>, place: &'static str, limits: &Limits) -> Result<String, Refusal> {
    let uri = text(value, place, limits.max_uri_bytes)?;
    if uri::is_normal(&uri) {
        Ok(uri)
    } else {
        Err(Refusal::UriNotNormal { place })
    }
}

fn arguments(params: &mut Object) -> Result<Object, Refusal> {
    match params.take("arguments") {
        None => Ok(Object::default()),
        Some(Value::Object(arguments)) => Ok(arguments),
        Some(_) => Err(Refusal::BadParams {
            place: "`params.arguments`",
            expected: "an object",
        }),
    }
}

fn subscriptions(params: &mut Object, limits: &Limits) -> Result<Vec<String>, Refusal> {
    let Some(Value::Object(mut filter)) = params.take("notifications") else {
        return Err(Refusal::BadParams {
            place: "`params.notifications`",
            expected: "an object",
        });
    };
    lookalike::check(&filter, &[&["resourceSubscriptions"]])?;
    let place = "`params.notifications.resourceSubscriptions`";
    let uris = match filter.take("resourceSubscriptions") {
        None => return Ok(Vec::new()),
        Some(Value::Array(uris)) => uris,
        Some(_) => {
            return Err(Refusal::BadParams {
                place,
                expected: "an array of strings",
            });
        }
    };
    if uris.len() > limits.max_subscriptions {
        return Err(Refusal::TooManySubscriptions {
            limit: limits.max_subscriptions,
        });
    }
    uris.into_iter()
        .map(|uri| resource(Some(uri), place, limits))
        .collect()
}

fn reference(params: &mut Object, limits: &Limits) -> Result<Reference, Refusal> {
    let Some(Value::Object(mut reference)) = params.take("ref") else {
        return Err(Refusal::BadParams {
            place: "`params.ref`",
            expected: "an object",
        });
    };
    lookalike::check(&reference, &[&["type", "name", "uri"]])?;
    match reference.get("type").and_then(Value::as_str) {
        Some("ref/prompt") => {
            text(reference.take("name"), "`params.ref.name`", limits.max_name_bytes).map(Reference::Prompt)
        }
        Some("ref/resource") => {
            resource(reference.take("uri"), "`params.ref.uri`", limits).map(Reference::Resource)
        }
        _ => Err(Refusal::BadParams {
            place: "`params.ref.type`",
            expected: "`ref/prompt` or `ref/resource`",
        }),
    }
}
