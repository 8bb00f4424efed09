//! [`Reply`] to `CheckResponse`, in the one form that Envoy and agentgateway read alike.
//!
//! A reply that a gateway might read otherwise than meant is no reply: [`Unfit`], and the caller denies.

use bytes::{BufMut as _, Bytes, BytesMut};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy_types::pb::envoy::r#type::v3::{HttpStatus, StatusCode};
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::rpc;
use prost::Message as _;
use serde_json::{Map, Value, json};
use tonic::Code;

use super::metadata::{self, NotJson};
use super::unary::PREFIX;
use super::{Failure, encode};
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

/// The answer to the gateway, as gRPC sends it.
///
/// # Errors
/// [`Unfit`] if the reply could be read otherwise than it was meant.
pub fn frame_of(reply: Reply) -> Result<Bytes, Unfit> {
    match reply {
        Reply::Forward(forward) => Ok(encode::allow(&fit(&forward)?)),
        Reply::Answer(answer) => Ok(framed(&denied(answer)?)),
    }
}

/// The answer to the gateway.
///
/// # Errors
/// [`Unfit`] if the reply could be read otherwise than it was meant.
pub fn of_reply(reply: Reply) -> Result<CheckResponse, Unfit> {
    match reply {
        Reply::Forward(forward) => Ok(allowed(&fit(&forward)?)),
        Reply::Answer(answer) => denied(answer),
    }
}

/// A message of gRPC: not compressed, its length, itself.
pub(super) fn framed(message: &CheckResponse) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(length.saturating_add(PREFIX));
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // It grows as needed, so this doesn't fail.
    let _ = message.encode(&mut frame);
    frame.freeze()
}

/// A forward that every gateway reads alike.
pub(super) struct Fit<'a> {
    /// Headers to write over those of the request.
    pub(super) set: Vec<(&'static str, &'a str)>,
    /// Headers to take off the request.
    pub(super) remove: Vec<&'a str>,
    /// Headers to write on the server's answer.
    pub(super) answer: Vec<Field<'a>>,
    /// For access logs and later filters.
    pub(super) metadata: &'a [(&'static str, String)],
}

/// A header of an answer, and how it is written.
pub(super) type Field<'a> = (&'static str, &'a str, HeaderAppendAction);

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
    let mut headers = vec![overwrite("content-type", "application/json")];
    if failure.status() == 503 {
        headers.push(overwrite("retry-after", "1"));
    }
    let status = i32::from(failure.status());
    denial(
        status,
        headers,
        body.to_string(),
        metadata::from_json(metadata).ok(),
    )
}

/// What [`encode::allow`] writes, by way of the types of envoy-types: this is what it is held against.
fn allowed(fit: &Fit<'_>) -> CheckResponse {
    let set = |&(name, value): &(&str, &str)| option(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd);
    let field = |&(name, value, action): &Field<'_>| option(name, value, action);
    let text = |(name, text): &(&'static str, String)| ((*name).to_owned(), metadata::text(text));
    let dynamic_metadata = (!fit.metadata.is_empty()).then(|| Struct {
        fields: fit.metadata.iter().map(text).collect(),
    });
    CheckResponse {
        status: Some(status(Code::Ok)),
        dynamic_metadata,
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: fit.set.iter().map(set).collect(),
            headers_to_remove: fit.remove.iter().map(|&name| name.to_owned()).collect(),
            response_headers_to_add: fit.answer.iter().map(field).collect(),
            ..OkHttpResponse::default()
        })),
    }
}

fn fit(forward: &Forward) -> Result<Fit<'_>, Unfit> {
    let mut changed = Vec::with_capacity(forward.set.len().saturating_add(forward.remove.len()));
    let mut set = Vec::with_capacity(forward.set.len());
    let mut remove: Vec<&str> = Vec::with_capacity(changed.capacity());
    for (name, value) in &forward.set {
        once(&mut changed, name)?;
        if value.is_empty() {
            // Envoy skips a header with an empty value, and the client's own would stay.
            remove.push(name);
        } else {
            fit_value(name, value)?;
            set.push((*name, value.as_str()));
        }
    }
    for name in &forward.remove {
        once(&mut changed, name)?;
        remove.push(name);
    }
    if let Some(name) = &forward.withheld {
        if !is_name(name) || changed.contains(&&**name) {
            return Err(Unfit::Name);
        }
        remove.push(name);
    }
    Ok(Fit {
        set,
        remove,
        // Another list than those above: what the server answers.
        answer: answer_headers(&forward.answer)?,
        metadata: &forward.metadata,
    })
}

fn denied(answer: Answer) -> Result<CheckResponse, Unfit> {
    let code = i32::from(answer.status);
    if !(200..=599).contains(&answer.status) || StatusCode::try_from(code).is_err() {
        return Err(Unfit::Status(answer.status));
    }
    let headers = answer_headers(&answer.headers)?;
    let headers = headers
        .iter()
        .map(|&(name, value, action)| option(name, value, action));
    let headers = headers.collect();
    Ok(denial(code, headers, answer.body, dynamic(answer.metadata)?))
}

/// A name that occurs once overwrites; one that occurs again is appended throughout, in the order given.
fn answer_headers<'a>(fields: &'a [(&'static str, String)]) -> Result<Vec<Field<'a>>, Unfit> {
    for (name, value) in fields {
        fit_name(name)?;
        fit_value(name, value)?;
    }
    let times = |name: &str| fields.iter().filter(|(other, _)| *other == name).count();
    let action = |name: &str| match times(name) {
        1 => HeaderAppendAction::OverwriteIfExistsOrAdd,
        _ => HeaderAppendAction::AppendIfExistsOrAdd,
    };
    let fields = fields.iter();
    Ok(fields
        .map(|(name, value)| (*name, value.as_str(), action(name)))
        .collect())
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

fn overwrite(name: &str, value: &str) -> HeaderValueOption {
    option(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd)
}

// `append` stays unset: where it is set, Envoy doesn't look at `append_action`.
fn option(name: &str, value: &str, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
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
    !name.is_empty() && name.bytes().fold(true, |all, byte| all & fits(byte))
}

// RFC 9110 §5.5: visible ASCII and inner spaces; gateways differ on everything else.
fn fit_value(name: &'static str, value: &str) -> Result<(), Unfit> {
    let visible = |byte: u8| matches!(byte, b' '..=b'~');
    // Without a way out in the middle, many bytes are looked at at once.
    let visible = value.bytes().fold(true, |all, byte| all & visible(byte));
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
