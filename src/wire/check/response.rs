//! [`Reply`] to `CheckResponse`, in the one form that Envoy and agentgateway read alike.
//!
//! A reply that a gateway might read otherwise than meant is no reply: [`Unfit`], and the caller denies.

use std::collections::HashSet;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy_types::pb::envoy::r#type::v3::{HttpStatus, StatusCode};
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::rpc;
use serde_json::{Map, Value, json};
use tonic::Code;

use super::Failure;
use super::metadata::{self, NotJson};
use crate::exchange::{Answer, Forward, Reply};

/// The longest header value that is sent.
const MAX_VALUE: usize = 8192;

/// Why a reply can't be put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not a lower-case field name.
    #[error("a header's name is not a lower-case field name")]
    Name,
    /// CR, LF, another control character, or anything beyond ASCII.
    #[error("the value of `{0}` is not visible ASCII")]
    Value(&'static str),
    /// Longer than gateways take.
    #[error("the value of `{0}` is longer than {MAX_VALUE} bytes")]
    Long(&'static str),
    /// Set twice, or both set and removed: the gateways apply the two lists in opposite orders.
    #[error("`{0}` is changed twice")]
    Twice(&'static str),
    /// Not a final status that Envoy knows: it would send another.
    #[error("{0} is not a status that gateways can send")]
    Status(u16),
    /// Metadata that a `Struct` can't hold.
    #[error("the metadata can't be sent: {0}")]
    Metadata(NotJson),
}

/// The answer to the gateway.
///
/// # Errors
/// [`Unfit`] if the reply could be read otherwise than it was meant.
pub fn of_reply(reply: Reply) -> Result<CheckResponse, Unfit> {
    match reply {
        Reply::Forward(forward) => allowed(forward),
        Reply::Answer(answer) => denied(answer),
    }
}

/// The denial for a failure on the wire itself, of the decision with that id if one was made.
#[must_use]
pub fn of_failure(failure: Failure, decision_id: Option<&str>) -> CheckResponse {
    let mut data = Map::from_iter([("reason".to_owned(), Value::from(failure.reason()))]);
    let mut metadata = data.clone();
    metadata.insert("outcome".to_owned(), Value::from("denied"));
    if let Some(id) = decision_id {
        for told in [&mut data, &mut metadata] {
            told.insert("decision_id".to_owned(), Value::from(id));
        }
    }
    let body = json!({
        "jsonrpc": "2.0",
        "id": null,
        "error": {
            "code": failure.status(),
            // An unfit reply's details are ours to know, not the client's.
            "message": "the call was not decided and did not go through",
            "data": data,
        },
    });
    let mut headers = vec![overwrite("content-type", "application/json".to_owned())];
    if failure.status() == 503 {
        headers.push(overwrite("retry-after", "1".to_owned()));
    }
    let status = i32::from(failure.status());
    denial(
        status,
        headers,
        body.to_string(),
        metadata::from_json(metadata).ok(),
    )
}

fn allowed(forward: Forward) -> Result<CheckResponse, Unfit> {
    let mut changed = Vec::with_capacity(forward.set.len().saturating_add(forward.remove.len()));
    let mut headers = Vec::with_capacity(forward.set.len());
    let mut headers_to_remove = Vec::with_capacity(forward.remove.len());
    for (name, value) in forward.set {
        once(&mut changed, name)?;
        if value.is_empty() {
            // Envoy skips a header with an empty value, and the client's own would stay.
            headers_to_remove.push(name.to_owned());
        } else {
            fit_value(name, &value)?;
            headers.push(overwrite(name, value));
        }
    }
    // Another list than those above: what the server answers.
    let response_headers_to_add = answer_headers(forward.answer)?;
    for name in forward.remove {
        once(&mut changed, name)?;
        headers_to_remove.push(name.to_owned());
    }
    if let Some(name) = forward.withheld {
        if !is_name(&name) || changed.contains(&&*name) {
            return Err(Unfit::Name);
        }
        headers_to_remove.push(name.as_ref().to_owned());
    }
    Ok(CheckResponse {
        status: Some(status(Code::Ok)),
        dynamic_metadata: dynamic(forward.metadata)?,
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers,
            headers_to_remove,
            response_headers_to_add,
            ..OkHttpResponse::default()
        })),
    })
}

fn denied(answer: Answer) -> Result<CheckResponse, Unfit> {
    let code = i32::from(answer.status);
    if !(200..=599).contains(&answer.status) || StatusCode::try_from(code).is_err() {
        return Err(Unfit::Status(answer.status));
    }
    let metadata = dynamic(answer.metadata)?;
    let headers = answer_headers(answer.headers)?;
    Ok(denial(code, headers, answer.body, metadata))
}

/// A name that occurs once overwrites; one that occurs again is appended throughout, in the order given.
fn answer_headers(fields: Vec<(&'static str, String)>) -> Result<Vec<HeaderValueOption>, Unfit> {
    let mut seen = HashSet::new();
    let again: HashSet<_> = fields
        .iter()
        .filter_map(|(name, _)| (!seen.insert(*name)).then_some(*name))
        .collect();
    fields
        .into_iter()
        .map(|(name, value)| {
            fit_name(name)?;
            fit_value(name, &value)?;
            Ok(if again.contains(name) {
                option(name, value, HeaderAppendAction::AppendIfExistsOrAdd)
            } else {
                overwrite(name, value)
            })
        })
        .collect()
}

fn denial(
    code: i32,
    headers: Vec<HeaderValueOption>,
    body: String,
    dynamic_metadata: Option<Struct>,
) -> CheckResponse {
    CheckResponse {
        status: Some(status(match code {
            401 => Code::Unauthenticated,
            503 => Code::Unavailable,
            // Never Ok, whatever the HTTP status: 0 lets the call through even beside a denied response.
            _ => Code::PermissionDenied,
        })),
        dynamic_metadata,
        // Never `error_response`: what comes of it is up to `failure_mode_allow`.
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code }),
            headers,
            body,
        })),
    }
}

fn status(code: Code) -> rpc::Status {
    rpc::Status {
        code: code.into(),
        ..rpc::Status::default()
    }
}

fn overwrite(name: &str, value: String) -> HeaderValueOption {
    option(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd)
}

// `append` stays unset: where it is set, Envoy doesn't look at `append_action`.
fn option(name: &str, value: String, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value,
            ..HeaderValue::default()
        }),
        append_action: action.into(),
        ..HeaderValueOption::default()
    }
}

fn dynamic(object: Map<String, Value>) -> Result<Option<Struct>, Unfit> {
    if object.is_empty() {
        return Ok(None);
    }
    metadata::from_json(object).map(Some).map_err(Unfit::Metadata)
}

fn once(changed: &mut Vec<&'static str>, name: &'static str) -> Result<(), Unfit> {
    fit_name(name)?;
    // There are seven: no set finds one faster.
    if changed.contains(&name) {
        return Err(Unfit::Twice(name));
    }
    changed.push(name);
    Ok(())
}

// HTTP/2 names (RFC 9113 §8.2.1) without the rarer token characters, which some servers fold together.
fn fit_name(name: &'static str) -> Result<(), Unfit> {
    is_name(name).then_some(()).ok_or(Unfit::Name)
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(fits)
}

// RFC 9110 §5.5: visible ASCII and inner spaces; gateways differ on everything else.
fn fit_value(name: &'static str, value: &str) -> Result<(), Unfit> {
    let visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !visible || value.is_empty() || value.starts_with(' ') || value.ends_with(' ') {
        return Err(Unfit::Value(name));
    }
    if value.len() > MAX_VALUE {
        Err(Unfit::Long(name))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
