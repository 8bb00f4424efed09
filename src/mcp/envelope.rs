//! The JSON-RPC 2.0 envelope: which sort of message it is, its id, its method, its params.

use super::json::{Object, Value};
use super::{Id, Limits, Refusal, Refused, lookalike};

/// A message, its method not yet looked up.
#[derive(Debug)]
pub(super) enum Envelope {
    /// `method`: a request with an id, or a notification without.
    Call {
        id: Option<Id>,
        method: String,
        /// Absent params are `None`, not an empty object.
        params: Option<Object>,
    },
    /// `result` or `error`: the client answers the server.
    Response { id: Option<Id> },
}

impl Envelope {
    /// The id, of whichever side's request.
    pub(super) fn id(&self) -> Option<&Id> {
        match self {
            Self::Call { id, .. } | Self::Response { id } => id.as_ref(),
        }
    }

    /// The id of the client's own request, which an answer may echo. That of a response is the server's: echoed, it
    /// would pass for the answer to another request of the client.
    pub(super) fn request_id(&self) -> Option<&Id> {
        match self {
            Self::Call { id, .. } => id.as_ref(),
            Self::Response { .. } => None,
        }
    }
}

/// ±(2^53 − 1): what JavaScript holds exactly, so the answer's id is the request's.
const SAFE: i64 = (1 << 53) - 1;

/// Reads one message.
pub(super) fn read(value: Value, limits: &Limits) -> Result<Envelope, Refused> {
    let Value::Object(mut message) = value else {
        return Err(Refusal::NotAMessage.into());
    };
    lookalike::check(&message, &[lookalike::ENVELOPE])?;
    let id = message.take("id").map(|id| read_id(id, limits)).transpose()?;
    let answers = message.get("result").is_some() || message.get("error").is_some();
    let echoed = id.clone().filter(|_| !answers);
    body(message, id, answers, limits).map_err(|why| Refused { id: echoed, why })
}

fn body(mut message: Object, id: Option<Id>, answers: bool, limits: &Limits) -> Result<Envelope, Refusal> {
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(Refusal::JsonrpcVersion);
    }
    let Some(method) = message.take("method") else {
        return if answers {
            response(&message, id)
        } else {
            Err(Refusal::NotAMessage)
        };
    };
    if answers {
        return Err(Refusal::MethodAndResult);
    }
    only(&message, &["jsonrpc", "id", "method", "params"])?;
    let Value::String(method) = method else {
        return Err(Refusal::BadMethod);
    };
    if method.is_empty() || method.len() > limits.max_name_bytes {
        return Err(Refusal::BadMethod);
    }
    let params = match message.take("params") {
        None => None,
        Some(Value::Object(params)) => Some(params),
        Some(_) => {
            return Err(Refusal::BadParams {
                place: "`params`",
                expected: "an object",
            });
        }
    };
    Ok(Envelope::Call { id, method, params })
}

fn only(message: &Object, members: &[&str]) -> Result<(), Refusal> {
    let known = message.iter().all(|(key, _)| members.contains(&key));
    if known {
        Ok(())
    } else {
        Err(Refusal::UnknownMember)
    }
}

/// A response has either `result` or `error`; only an error to a request whose id could not be read has no id.
fn response(message: &Object, id: Option<Id>) -> Result<Envelope, Refusal> {
    only(message, &["jsonrpc", "id", "result", "error"])?;
    let good = match (message.get("result"), message.get("error")) {
        (Some(Value::Object(_)), None) if id.is_none() => return Err(Refusal::IdMissing),
        (Some(Value::Object(_)), None) => true,
        (None, Some(Value::Object(error))) => is_error(error),
        _ => false,
    };
    if good {
        Ok(Envelope::Response { id })
    } else {
        Err(Refusal::BadResponse)
    }
}

fn is_error(error: &Object) -> bool {
    let code = matches!(error.get("code"), Some(Value::Number(code)) if code.as_i64().is_some());
    code && matches!(error.get("message"), Some(Value::String(_)))
}

/// A string or an integer. `-0` and `1.0` are refused: the answer would spell them otherwise.
fn read_id(value: Value, limits: &Limits) -> Result<Id, Refusal> {
    match value {
        Value::String(text) if text.len() <= limits.max_id_bytes => Ok(Id::String(text)),
        Value::Number(number) => {
            let integer = number.as_i64().filter(|integer| (-SAFE..=SAFE).contains(integer));
            integer
                .filter(|_| number.as_str() != "-0")
                .map(Id::Number)
                .ok_or(Refusal::BadId)
        }
        _ => Err(Refusal::BadId),
    }
}
