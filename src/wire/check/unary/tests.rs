use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use http::Request;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use prost::Message as _;
use tonic::Code;
use tower::Service as _;

use super::*;
use crate::wire::tests::harness::check;

const LONGEST: usize = 64;

/// A body that comes in these pieces.
struct Pieces(VecDeque<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

fn body(pieces: &[&[u8]]) -> Body {
    let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece));
    Body::new(Pieces(pieces.collect()))
}

fn encoded(encoding: &[&'static str]) -> HeaderMap {
    let name = || http::HeaderName::from_static("grpc-encoding");
    let headers = encoding
        .iter()
        .map(|value| (name(), HeaderValue::from_static(value)));
    headers.collect()
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Code> {
    message(headers, body, LONGEST)
        .await
        .map_err(|status| status.code())
}

/// Tells the message that tonic read.
#[derive(Clone, Default)]
struct Plain(Arc<Mutex<Option<CheckRequest>>>);

#[tonic::async_trait]
impl Authorization for Plain {
    async fn check(
        &self,
        asked: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, Status> {
        *self.0.lock().unwrap() = Some(asked.into_inner());
        Ok(tonic::Response::new(CheckResponse::default()))
    }
}

/// What tonic makes of the same request.
async fn by_tonic(body: Body) -> Result<CheckRequest, Code> {
    let plain = Plain::default();
    let mut service = AuthorizationServer::new(plain.clone()).max_decoding_message_size(LONGEST);
    let request = Request::post(super::super::PATH).body(body).unwrap();
    let answer = service.call(request).await.unwrap();
    match Status::from_header_map(answer.headers()) {
        Some(status) => Err(status.code()),
        None => Ok(plain.0.lock().unwrap().take().unwrap()),
    }
}

#[tokio::test]
async fn a_message_is_read_in_whatever_pieces_it_comes() {
    let none = HeaderMap::new();
    let cases: [&[&[u8]]; 5] = [
        &[b"\0\0\0\0\x03abc"],
        &[b"\0\0", b"\0\0\x03ab", b"c"],
        &[b"", b"\0", b"\0", b"\0", b"\0", b"\x03", b"a", b"b", b"c", b""],
        &[b"\0\0\0\0\x03", b"abc"],
        &[b"\0\0\0\0\x03a", b"bc"],
    ];
    for pieces in cases {
        let found = read(&none, body(pieces)).await;
        assert_eq!(found.as_deref(), Ok(&b"abc"[..]), "{pieces:?}");
    }
    assert_eq!(read(&none, body(&[b"\0\0\0\0\0"])).await.as_deref(), Ok(&b""[..]));
}

#[tokio::test]
async fn what_is_not_one_whole_plain_message_is_refused() {
    let none = HeaderMap::new();
    let cases: [(&[&[u8]], Code); 9] = [
        (&[], Code::Internal),
        (&[b""], Code::Internal),
        (&[b"\0\0\0\0"], Code::Internal),
        (&[b"\0\0\0\0\x03ab"], Code::Internal),
        (&[b"\0\0\0\0\x03abcd"], Code::Internal),
        (&[b"\0\0\0\0\x03abc", b"\0\0\0\0\0"], Code::Internal),
        (&[b"\x01\0\0\0\x03abc"], Code::Internal),
        // Known before it is there.
        (&[b"\0\0\0\0\x41"], Code::OutOfRange),
        (&[b"\0\xff\xff\xff\xff", b"abc"], Code::OutOfRange),
    ];
    for (pieces, code) in cases {
        assert_eq!(read(&none, body(pieces)).await, Err(code), "{pieces:?}");
    }
    let whole: &[&[u8]] = &[b"\0\0\0\0\x03abc"];
    for (encoding, expected) in [
        (&["gzip"][..], Err(Code::Unimplemented)),
        (&["identity", "gzip"], Err(Code::Unimplemented)),
        (&["identity"], Ok(())),
    ] {
        let found = read(&encoded(encoding), body(whole)).await;
        assert_eq!(found.map(drop), expected, "{encoding:?}");
    }
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // A whole check, its prefix and its bytes damaged here and there, cut anywhere.
    let damage = (any::<prop::sample::Index>(), any::<u8>());
    let damages = prop::collection::vec(damage, 0..3);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    ("/[a-z]{0,30}", damages, cuts).prop_map(|(path, damages, cuts)| {
        let message = check(&path).encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        for (index, byte) in damages {
            let at = index.index(frame.len());
            frame[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(frame.len())).collect();
        cuts.extend([0, frame.len()]);
        cuts.sort_unstable();
        cuts.windows(2)
            .map(|ends| frame[ends[0]..ends[1]].to_vec())
            .collect()
    })
}

proptest! {
    #[test]
    fn reads_what_tonic_reads_or_refuses(pieces in pieces()) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ours = runtime.block_on(read(&HeaderMap::new(), body(&pieces)));
        let ours = ours.and_then(|bytes| CheckRequest::decode(bytes).map_err(|_| Code::Internal));
        let tonics = runtime.block_on(by_tonic(body(&pieces)));
        match (ours, tonics) {
            (Ok(ours), tonics) => prop_assert_eq!(Ok(ours), tonics),
            (Err(Code::OutOfRange), tonics) => prop_assert_eq!(tonics, Err(Code::OutOfRange)),
            // A second message, or the beginning of one, is dropped by tonic.
            (Err(_), _) => {}
        }
    }
}

#[tokio::test]
async fn an_answer_is_its_message_and_then_the_status_of_grpc() {
    let answer = response(Bytes::from_static(b"\0\0\0\0\x01a"));
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let collected = answer.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), &b"\0\0\0\0\x01a"[..]);
}
