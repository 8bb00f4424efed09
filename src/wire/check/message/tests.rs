//! Whatever bytes come, they are read as envoy-types' own `CheckRequest` reads them, or refused as it refuses them.

use envoy_types::pb::envoy::config::core::v3::HeaderMap;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, attribute_context};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use prost_types::FileDescriptorSet;

use super::*;
use crate::wire::listen::EXT_AUTHZ_DESCRIPTORS;

/// The plain way: one field after the other.
fn plain(check: CheckRequest) -> Check {
    Check {
        attributes: check.attributes.map(|attributes| Attributes {
            source: attributes.source,
            destination: attributes.destination,
            request: attributes.request.map(|request| Request {
                time: request.time.map(|time| prost_types::Timestamp {
                    seconds: time.seconds,
                    nanos: time.nanos,
                }),
                http: request.http.map(http),
            }),
            context_extensions: attributes.context_extensions,
            metadata_context: attributes.metadata_context,
            tls_session: attributes.tls_session,
            route_metadata_context: attributes.route_metadata_context,
        }),
    }
}

fn http(http: attribute_context::HttpRequest) -> Http {
    Http {
        id: http.id,
        method: http.method,
        headers: http.headers.into_iter().collect(),
        path: http.path,
        host: http.host,
        scheme: http.scheme,
        query: http.query,
        fragment: http.fragment,
        size: http.size,
        protocol: http.protocol,
        body: http.body,
        raw_body: http.raw_body,
        header_map: http.header_map.map(|map| Fields {
            headers: headers(map),
            field: HeaderValue::default(),
        }),
    }
}

fn headers(map: HeaderMap) -> Headers {
    let mut headers = Headers::default();
    for field in map.headers {
        let text_differs = !field.value.is_empty()
            && !field.raw_value.is_empty()
            && field.value.as_bytes() != field.raw_value;
        if text_differs {
            headers.push(&field.key, field.value);
            headers.push(&field.key, field.raw_value);
        } else if field.raw_value.is_empty() {
            headers.push(field.key, field.value);
        } else {
            headers.push(field.key, field.raw_value);
        }
    }
    headers
}

fn field() -> impl Strategy<Value = HeaderValue> {
    let value = prop_oneof![Just(String::new()), "\\PC{0,12}"];
    let raw = prop_oneof![Just(Vec::new()), vec(any::<u8>(), 0..12)];
    ("[A-Za-z:-]{0,8}", value, raw, any::<bool>()).prop_map(|(key, value, raw, alike)| HeaderValue {
        key,
        raw_value: if alike { value.clone().into_bytes() } else { raw },
        value,
    })
}

fn peer() -> impl Strategy<Value = Peer> {
    let labels = hash_map("[a-z]{0,3}", "[a-z]{0,3}", 0..3);
    ("[a-z/:]{0,12}", "[a-zA-Z%0-9]{0,20}", labels).prop_map(|(principal, certificate, labels)| Peer {
        principal,
        certificate,
        labels,
        ..Peer::default()
    })
}

fn checks() -> impl Strategy<Value = CheckRequest> {
    let maps = (
        hash_map("[a-z-]{0,4}", "\\PC{0,8}", 0..3),
        hash_map("[a-z]{0,4}", "[a-z]{0,4}", 0..3),
    );
    let map = prop::option::of(vec(field(), 0..4).prop_map(|headers| HeaderMap { headers }));
    let bodies = ("\\PC{0,8}", vec(any::<u8>(), 0..12));
    let peers = (prop::option::of(peer()), prop::option::of(peer()));
    let request = ("[A-Z]{0,4}", "[a-z/]{0,8}", any::<i64>());
    (maps, map, bodies, peers, request).prop_map(|(maps, header_map, bodies, peers, (method, path, size))| {
        let http = attribute_context::HttpRequest {
            method,
            path,
            size,
            headers: maps.0,
            header_map,
            body: bodies.0,
            raw_body: bodies.1,
            ..attribute_context::HttpRequest::default()
        };
        let request = attribute_context::Request {
            http: Some(http),
            time: None,
        };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: peers.0,
                destination: peers.1,
                request: Some(request),
                context_extensions: maps.1,
                tls_session: Some(TlsSession { sni: "a".to_owned() }),
                ..AttributeContext::default()
            }),
        }
    })
}

/// One message, or two that are merged, a byte of them replaced here and there, a piece of them taken away or said again.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let unknown = prop::sample::select(vec![
        &b""[..],
        b"\xfa\x01\x03abc", // A field that nobody knows.
        b"\xf8\x01\x07",
        b"\xf3\x01\xf8\x01\x07\xf4\x01", // A group, and one without its end.
        b"\xf3\x01\xf8\x01\x07",
        b"\xf5\x01abcd",
        b"\x0e",
    ]);
    let damages = vec((any::<Index>(), any::<u8>()), 0..3);
    let piece = prop::option::of((any::<Index>(), any::<Index>(), any::<bool>()));
    (vec(checks(), 1..3), unknown, damages, piece).prop_map(|(checks, unknown, damages, piece)| {
        let mut bytes: Vec<u8> = checks.iter().flat_map(Message::encode_to_vec).collect();
        for (index, byte) in damages {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if let Some((one, other, again)) = piece {
            let places = bytes.len().saturating_add(1);
            let (one, other) = (one.index(places), other.index(places));
            let range = one.min(other)..one.max(other);
            let piece = if again {
                bytes[range.clone()].repeat(2)
            } else {
                Vec::new()
            };
            drop(bytes.splice(range, piece));
        }
        bytes.extend(unknown);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn reads_and_refuses_what_the_generated_types_do(bytes in bytes()) {
        let expected = CheckRequest::decode(&*bytes).map(plain);
        let found = Check::decode(&*bytes);
        prop_assert_eq!(found.map_err(drop), expected.map_err(drop));
    }
}

/// Another field of theirs would be read by them and skipped here.
#[test]
fn has_every_field_that_the_descriptors_name() {
    let set = FileDescriptorSet::decode(EXT_AUTHZ_DESCRIPTORS).unwrap();
    let messages: Vec<_> = set.file.iter().flat_map(|file| &file.message_type).collect();
    let nested = messages.iter().flat_map(|message| &message.nested_type);
    let all: Vec<_> = messages.iter().copied().chain(nested).collect();
    let numbers = |name: &str| {
        let message = all.iter().find(|message| message.name() == name).unwrap();
        let mut numbers: Vec<_> = message
            .field
            .iter()
            .map(prost_types::FieldDescriptorProto::number)
            .collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers("CheckRequest"), [1]);
    assert_eq!(numbers("AttributeContext"), [1, 2, 4, 10, 11, 12, 13]);
    assert_eq!(numbers("Request"), [1, 2]);
    assert_eq!(numbers("HttpRequest"), (1..=13).collect::<Vec<_>>());
    assert_eq!(numbers("HeaderMap"), [1]);
    assert_eq!(numbers("HeaderValue"), [1, 2, 3]);
}
