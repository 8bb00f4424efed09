//! Whatever bytes come, they are read as envoy-types' own `CheckRequest` reads them, or refused as it refuses them.

use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, Pipe, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{self, TlsSession};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use prost_types::FileDescriptorSet;

use envoy_types::pb::google::protobuf::Struct;

use super::super::metadata;
use super::*;
use crate::wire::listen::EXT_AUTHZ_DESCRIPTORS;

/// The same messages with the fields that are read, and prost to read them.
mod reference {
    use std::collections::{BTreeMap, HashMap};

    use super::{HeaderMap, Metadata};

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Check {
        #[prost(message, optional, tag = "1")]
        pub(super) attributes: Option<Attributes>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Attributes {
        #[prost(message, optional, tag = "1")]
        pub(super) source: Option<Peer>,
        #[prost(message, optional, tag = "4")]
        pub(super) request: Option<Request>,
        #[prost(map = "string, string", tag = "10")]
        pub(super) context_extensions: HashMap<String, String>,
        #[prost(message, optional, tag = "11")]
        pub(super) metadata_context: Option<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Peer {
        #[prost(message, optional, tag = "1")]
        pub(super) address: Option<Address>,
        #[prost(string, tag = "4")]
        pub(super) principal: String,
        #[prost(string, tag = "5")]
        pub(super) certificate: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Address {
        #[prost(oneof = "Kind", tags = "1, 2, 3")]
        pub(super) kind: Option<Kind>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Kind {
        #[prost(message, tag = "1")]
        Socket(Socket),
        // Nobody looks into these.
        #[prost(bytes, tag = "2")]
        Pipe(Vec<u8>),
        #[prost(bytes, tag = "3")]
        Internal(Vec<u8>),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Socket {
        #[prost(string, tag = "2")]
        pub(super) address: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(message, optional, tag = "2")]
        pub(super) http: Option<Http>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Http {
        #[prost(string, tag = "1")]
        pub(super) id: String,
        #[prost(string, tag = "2")]
        pub(super) method: String,
        #[prost(btree_map = "string, string", tag = "3")]
        pub(super) headers: BTreeMap<String, String>,
        #[prost(string, tag = "4")]
        pub(super) path: String,
        #[prost(string, tag = "5")]
        pub(super) host: String,
        #[prost(string, tag = "6")]
        pub(super) scheme: String,
        #[prost(int64, tag = "9")]
        pub(super) size: i64,
        #[prost(string, tag = "11")]
        pub(super) body: String,
        #[prost(bytes = "vec", tag = "12")]
        pub(super) raw_body: Vec<u8>,
        #[prost(message, optional, tag = "13")]
        pub(super) header_map: Option<HeaderMap>,
    }
}

/// What is read of it.
fn of_reference(check: &reference::Check) -> Asked<'_> {
    let Some(attributes) = &check.attributes else {
        return Asked::default();
    };
    let http = attributes
        .request
        .as_ref()
        .and_then(|request| request.http.as_ref());
    let source = attributes.source.as_ref();
    let kind = source.and_then(|peer| peer.address.as_ref()?.kind.as_ref());
    Asked {
        http: http.map(|http| Http {
            id: &http.id,
            method: &http.method,
            joined: http
                .headers
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .collect(),
            headers: http.header_map.as_ref().map(headers).unwrap_or_default(),
            path: &http.path,
            host: &http.host,
            scheme: &http.scheme,
            size: http.size,
            text: &http.body,
            raw: &http.raw_body,
        }),
        principal: source.map_or("", |peer| &peer.principal),
        certificate: source.map_or("", |peer| &peer.certificate),
        address: match kind {
            Some(reference::Kind::Socket(socket)) => &socket.address,
            _ => "",
        },
        context: attributes.context_extensions.clone(),
        metadata: attributes.metadata_context.clone().unwrap_or_default(),
    }
}

fn headers(map: &HeaderMap) -> Headers {
    let mut headers = Headers::default();
    for field in &map.headers {
        let text_differs = !field.value.is_empty()
            && !field.raw_value.is_empty()
            && field.value.as_bytes() != field.raw_value;
        if text_differs {
            headers.push(&field.key, &field.value);
            headers.push(&field.key, &field.raw_value);
        } else if field.raw_value.is_empty() {
            headers.push(&field.key, &field.value);
        } else {
            headers.push(&field.key, &field.raw_value);
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

fn address() -> impl Strategy<Value = Address> {
    let socket = ("[0-9.:]{0,9}", "[a-z]{0,3}").prop_map(|(address, resolver_name)| SocketAddress {
        address,
        resolver_name,
        ..SocketAddress::default()
    });
    let kind = prop_oneof![
        3 => socket.prop_map(|socket| Some(address::Address::SocketAddress(socket))),
        1 => Just(Some(address::Address::Pipe(Pipe::default()))),
        1 => Just(None),
    ];
    kind.prop_map(|address| Address { address })
}

fn peer() -> impl Strategy<Value = Peer> {
    let labels = hash_map("[a-z]{0,3}", "[a-z]{0,3}", 0..3);
    let texts = ("[a-z/:]{0,12}", "[a-zA-Z%0-9]{0,20}", labels);
    (prop::option::of(address()), texts).prop_map(|(address, (principal, certificate, labels))| Peer {
        address,
        principal,
        certificate,
        labels,
        ..Peer::default()
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let text = |text: String| Struct {
        fields: [("text".to_owned(), metadata::text(&text))].into(),
    };
    hash_map("[a-z.]{0,5}", "[a-z]{0,5}".prop_map(text), 0..2).prop_map(|filter_metadata| Metadata {
        filter_metadata,
        ..Metadata::default()
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
    let found = prop::option::of(metadata());
    let all = (maps, map, bodies, peers, request, found);
    all.prop_map(|(maps, header_map, bodies, peers, (method, path, size), found)| {
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
                metadata_context: found,
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
        let mut bytes: Vec<u8> = checks.iter().flat_map(prost::Message::encode_to_vec).collect();
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
        let generated = CheckRequest::decode(&*bytes);
        let plain = generated.as_ref().map(Asked::plain).ok();
        let reference = reference::Check::decode(&*bytes);
        let swift = Asked::swift(&bytes).ok();
        if let Some(asked) = &swift {
            prop_assert_eq!(asked, &of_reference(reference.as_ref().unwrap()));
            // What nobody decides on is not looked into, and may be no message.
            prop_assert_eq!(asked, plain.as_ref().unwrap_or(asked));
        }
        let expected = swift.or(plain);
        let read = read(&bytes, |asked| Some(&asked) == expected.as_ref());
        prop_assert_eq!(read.ok(), expected.is_some().then_some(true));
    }

    #[test]
    fn a_usual_check_is_read_swiftly(check in checks()) {
        let bytes = check.encode_to_vec();
        prop_assert_eq!(Asked::swift(&bytes), Ok(Asked::plain(&check)));
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
