//! One call of gRPC with one message each way: the message out of the request's body, the answer into the response's.
//!
//! tonic would do both, for streams of messages too: what it brings along for those was a sixth of the time of a check.
//! What it refuses is refused here, with the same codes; a second message, which it drops, is refused too.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;

/// gRPC over HTTP/2: a byte that says whether the message is compressed, and four with its length.
pub(super) const PREFIX: usize = 5;

/// The one message of a request, without its prefix.
///
/// # Errors
/// [`tonic::Code::OutOfRange`] if it is longer than `longest`, known before it is read; [`tonic::Code::Internal`] or
/// [`tonic::Code::Unimplemented`] if it doesn't come to its end, is compressed, or is not the only one.
pub(super) async fn message(headers: &HeaderMap, body: Body, longest: usize) -> Result<Bytes, Status> {
    let plain = |encoding: &HeaderValue| encoding == "identity";
    if !headers.get_all("grpc-encoding").iter().all(plain) {
        return Err(Status::unimplemented("the message is compressed"));
    }
    let mut body = pin!(body);
    let mut read = Bytes::new();
    let mut whole = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::internal(error.to_string()))?;
        // Trailers of a request say nothing that is for us.
        let Ok(bytes) = frame.into_data() else { continue };
        read = joined(read, bytes);
        if whole.is_none() {
            whole = length(&read, longest)?;
        }
        if whole.is_some_and(|whole| read.len() > whole) {
            return Err(Status::internal("more than one message"));
        }
        if body.is_end_stream() {
            break;
        }
    }
    if whole != Some(read.len()) {
        return Err(Status::internal("the message did not come to its end"));
    }
    read.advance(PREFIX);
    Ok(read)
}

/// Most messages come in one piece, and are copied nowhere.
fn joined(before: Bytes, more: Bytes) -> Bytes {
    if before.is_empty() {
        return more;
    }
    // Alone, it grows where it is.
    let mut joined = before
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&*shared));
    joined.put(more);
    joined.freeze()
}

/// How long the message is with its prefix, once that is there.
fn length(read: &Bytes, longest: usize) -> Result<Option<usize>, Status> {
    let Some((compressed, mut length)) = read.get(..PREFIX).and_then(<[u8]>::split_first) else {
        return Ok(None);
    };
    if *compressed != 0 {
        return Err(Status::internal("the message is compressed"));
    }
    let length = usize::try_from(length.get_u32()).unwrap_or(usize::MAX);
    if length > longest {
        return Err(Status::out_of_range("the message is too long"));
    }
    Ok(Some(length.saturating_add(PREFIX)))
}

/// A response with one message, which has its prefix already.
pub(super) fn response(framed: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(Answer::Message(framed)));
    let content_type = HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, content_type);
    response
}

/// What is left to send: a message, then `grpc-status: 0`.
enum Answer {
    Message(Bytes),
    Status,
    Nothing,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, left) = match std::mem::replace(&mut *self, Self::Nothing) {
            Self::Message(bytes) => (Frame::data(bytes), Self::Status),
            Self::Status => {
                let ok = (Status::GRPC_STATUS, HeaderValue::from_static("0"));
                (Frame::trailers(HeaderMap::from_iter([ok])), Self::Nothing)
            }
            Self::Nothing => return Poll::Ready(None),
        };
        *self = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

#[cfg(test)]
mod tests;
