//! The HTTP request around a message: method, and a body that is whole, plain JSON.

use super::{Limits, Refusal};
use crate::exchange::{Body, Exchange, Headers};

/// The HTTP methods of MCP's transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Get,
    Delete,
}

/// Frameworks that heed these run another method than the gateway saw.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// How the headers begin that the gateway writes, and those that are held against the body.
const OURS: [&str; 2] = ["x-mcp-", "mcp-"];

/// CGI's naming (RFC 3875 §4.1.18), which WSGI and others took over, makes one header of `x_mcp_user` and `x-mcp-user`; some
/// servers make it of `x.mcp.user` too. Not every gateway keeps those out, and the one with dashes is what was decided on.
fn looks_like_ours(name: &str) -> bool {
    let strange = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'-';
    let read = |byte: &u8| if strange(byte) { b'-' } else { *byte };
    let name = name.as_bytes();
    // Most names begin with another letter.
    name.first()
        .is_some_and(|first| OURS.iter().any(|prefix| prefix.as_bytes().first() == Some(first)))
        && name.iter().any(strange)
        && OURS.iter().any(|prefix| {
            let beginning = name.iter().take(prefix.len()).map(read);
            beginning.eq(prefix.bytes())
        })
}

/// The method, spelt exactly (RFC 9110 §9.1: it is case-sensitive).
pub(super) fn verb(exchange: &Exchange) -> Result<Verb, Refusal> {
    if OVERRIDES.iter().any(|name| exchange.headers.contains(name)) {
        return Err(Refusal::MethodOverride);
    }
    if exchange.headers.iter().any(|(name, _)| looks_like_ours(name)) {
        return Err(Refusal::HeaderLookalike);
    }
    match exchange.method.as_str() {
        "POST" => Ok(Verb::Post),
        "GET" => Ok(Verb::Get),
        "DELETE" => Ok(Verb::Delete),
        _ => Err(Refusal::HttpMethod),
    }
}

/// Refuses a body where there must be none, also one that the gateway didn't pass on.
pub(super) fn no_body(exchange: &Exchange) -> Result<(), Refusal> {
    let none = match &exchange.body {
        Body::Absent => true,
        Body::Whole(bytes) => bytes.is_empty(),
        Body::Cut | Body::Ambiguous => false,
    };
    let announced = exchange.headers.contains("transfer-encoding")
        || !matches!(exchange.headers.single("content-length"), Ok(None | Some("0")));
    if none && !announced {
        Ok(())
    } else {
        Err(Refusal::BodyWithGet)
    }
}

/// A GET opens a stream of events: it must say that it takes them.
pub(super) fn accepts_events(headers: &Headers) -> Result<(), Refusal> {
    let taken = headers
        .values("accept")
        .filter_map(|value| std::str::from_utf8(value).ok())
        .any(|value| {
            value.split(',').any(|range| {
                let range = range.split(';').next().unwrap_or_default().trim();
                ["text/event-stream", "text/*", "*/*"]
                    .iter()
                    .any(|known| range.eq_ignore_ascii_case(known))
            })
        });
    if taken {
        Ok(())
    } else {
        Err(Refusal::NotAcceptable)
    }
}

/// The bytes of a POST's body.
pub(super) fn body<'a>(exchange: &'a Exchange, limits: &Limits) -> Result<&'a [u8], Refusal> {
    let bytes = match &exchange.body {
        Body::Absent => return Err(Refusal::BodyAbsent),
        Body::Cut => return Err(Refusal::BodyCut),
        Body::Ambiguous => return Err(Refusal::BodyAmbiguous),
        Body::Whole(bytes) => bytes.as_ref(),
    };
    content_type(&exchange.headers)?;
    if !is_plain(&exchange.headers) {
        return Err(Refusal::BodyCompressed);
    }
    content_length(&exchange.headers, bytes.len())?;
    if bytes.is_empty() {
        return Err(Refusal::BodyAbsent);
    }
    if bytes.len() > limits.max_body_bytes {
        return Err(Refusal::TooLarge {
            limit: limits.max_body_bytes,
        });
    }
    // Envoy asks as soon as it holds its maximum, and calls that whole though more is to come: of a body that was
    // sent slowly, the rest would reach the server unread. Only a length says that there is none.
    if bytes.len() == limits.max_body_bytes && !exchange.headers.contains("content-length") {
        return Err(Refusal::BodyCut);
    }
    Ok(bytes)
}

/// `application/json`, with no parameter but `charset=utf-8`.
fn content_type(headers: &Headers) -> Result<(), Refusal> {
    let Ok(Some(value)) = headers.single("content-type") else {
        return Err(Refusal::ContentType);
    };
    let mut parts = value.split(';').map(str::trim);
    if !parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
    {
        return Err(Refusal::ContentType);
    }
    let mut charsets = 0_u8;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').ok_or(Refusal::ContentType)?;
        if !name.eq_ignore_ascii_case("charset") {
            return Err(Refusal::ContentType);
        }
        charsets = charsets.saturating_add(1);
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if charsets > 1 || !quoted.unwrap_or(value).eq_ignore_ascii_case("utf-8") {
            return Err(Refusal::Charset);
        }
    }
    Ok(())
}

fn is_plain(headers: &Headers) -> bool {
    match headers.single("content-encoding") {
        Ok(None) => true,
        Ok(Some(encoding)) => encoding.eq_ignore_ascii_case("identity"),
        Err(_) => false,
    }
}

/// HTTP/2 and chunked bodies need none; where there is one, it must be that of the body.
fn content_length(headers: &Headers, found: usize) -> Result<(), Refusal> {
    let Some(value) = headers
        .single("content-length")
        .map_err(|_| Refusal::ContentLength)?
    else {
        return Ok(());
    };
    // `parse` alone would take `+1`.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let declared = value
        .parse::<usize>()
        .ok()
        .filter(|_| digits)
        .ok_or(Refusal::ContentLength)?;
    match declared.cmp(&found) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Refusal::BodyIncomplete),
        std::cmp::Ordering::Less => Err(Refusal::ContentLength),
    }
}
