use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, Pipe, SocketAddress, address,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::Message as _;
use serde_json::json;

use super::*;
use crate::clock;
use crate::exchange::Peer as GatewayPeer;

fn read(attributes: AttributeContext) -> Result<Exchange, Failure> {
    let started = clock::instant();
    let frame = Frame {
        gateway: Gateway {
            peer: GatewayPeer::Unix,
            certificate_names: vec!["spiffe://a/gw".to_owned()],
        },
        received: Timestamp::UNIX_EPOCH,
        started,
        deadline: started,
        fate: Fate::default(),
    };
    let check = CheckRequest {
        attributes: Some(attributes),
    };
    exchange(&check.encode_to_vec(), frame)
}

fn with_http(http: HttpRequest) -> AttributeContext {
    AttributeContext {
        request: Some(Request {
            http: Some(http),
            ..Request::default()
        }),
        ..AttributeContext::default()
    }
}

fn with_source(source: Peer) -> AttributeContext {
    AttributeContext {
        source: Some(source),
        ..with_http(HttpRequest::default())
    }
}

fn raw(key: &str, value: &str, raw_value: &[u8]) -> HeaderValue {
    HeaderValue {
        key: key.to_owned(),
        value: value.to_owned(),
        raw_value: raw_value.to_vec(),
    }
}

#[test]
fn takes_over_what_the_gateway_says_of_the_request() {
    let http = HttpRequest {
        id: "17".to_owned(),
        method: "POST".to_owned(),
        path: "/mcp?x=1".to_owned(),
        host: "mcp.example:8443".to_owned(),
        scheme: "https".to_owned(),
        ..HttpRequest::default()
    };
    let mut attributes = with_http(http);
    attributes.context_extensions = [("server".to_owned(), "kubernetes".to_owned())].into();
    let exchange = read(attributes).unwrap();
    assert_eq!(exchange.request_id, "17");
    assert_eq!(exchange.method, "POST");
    assert_eq!(exchange.path, "/mcp?x=1");
    assert_eq!(exchange.host, "mcp.example:8443");
    assert_eq!(exchange.scheme, "https");
    assert_eq!(exchange.context["server"], "kubernetes");
    assert_eq!(exchange.gateway.label(), "spiffe://a/gw");
    assert_eq!(exchange.source, Source::default());
    assert_eq!(exchange.body, Body::Absent);
}

#[test]
fn refuses_a_check_without_an_http_request() {
    let started = clock::instant();
    let frame = Frame {
        gateway: Gateway::default(),
        received: Timestamp::UNIX_EPOCH,
        started,
        deadline: started,
        fate: Fate::default(),
    };
    let nothing = CheckRequest { attributes: None };
    assert_eq!(
        exchange(&nothing.encode_to_vec(), frame).unwrap_err(),
        Failure::NoHttpRequest
    );
    assert_eq!(
        read(AttributeContext::default()).unwrap_err(),
        Failure::NoHttpRequest
    );
    let no_http = AttributeContext {
        request: Some(Request::default()),
        ..AttributeContext::default()
    };
    assert_eq!(read(no_http).unwrap_err(), Failure::NoHttpRequest);
}

#[test]
fn reads_headers_from_the_map_and_from_the_raw_list() {
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        Vec<HeaderValue>,
        Vec<&'static [u8]>,
    );
    let cases: [Case; 9] = [
        ("map", &[("a", "1")], vec![], vec![b"1"]),
        ("raw", &[], vec![raw("a", "", b"1")], vec![b"1"]),
        (
            "raw bytes that are not text",
            &[],
            vec![raw("a", "", b"\xff")],
            vec![b"\xff"],
        ),
        (
            "raw, twice",
            &[],
            vec![raw("a", "", b"1"), raw("A", "", b"1")],
            vec![b"1", b"1"],
        ),
        ("raw with value only", &[], vec![raw("a", "1", b"")], vec![b"1"]),
        ("empty", &[], vec![raw("a", "", b"")], vec![b""]),
        ("both fields, same", &[], vec![raw("a", "1", b"1")], vec![b"1"]),
        (
            "both fields, different",
            &[],
            vec![raw("a", "1", b"2")],
            vec![b"1", b"2"],
        ),
        (
            "both lists, same",
            &[("A", "1")],
            vec![raw("a", "", b"1")],
            vec![b"1"],
        ),
    ];
    for (case, map, list, expected) in cases {
        let http = HttpRequest {
            headers: map
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            header_map: Some(HeaderMap { headers: list }),
            ..HttpRequest::default()
        };
        let exchange = read(with_http(http)).unwrap();
        assert_eq!(
            exchange.headers.values("a").collect::<Vec<_>>(),
            expected,
            "{case}"
        );
    }
}

#[test]
fn lists_of_headers_that_disagree_leave_no_single_value() {
    let http = HttpRequest {
        headers: [("authorization".to_owned(), "Bearer b".to_owned())].into(),
        header_map: Some(HeaderMap {
            headers: vec![raw("authorization", "", b"Bearer a")],
        }),
        ..HttpRequest::default()
    };
    let exchange = read(with_http(http)).unwrap();
    assert!(exchange.headers.single("authorization").is_err());
}

#[test]
fn says_of_each_body_whether_it_is_whole() {
    let whole = |bytes: &'static [u8]| Body::Whole(Bytes::from_static(bytes));
    let none: &[&str] = &[];
    let cases = [
        ("none", "", b"".as_slice(), 0, none, Body::Absent),
        ("text", "{}", b"", 2, none, whole(b"{}")),
        ("raw", "", b"\xff{}", 3, none, whole(b"\xff{}")),
        ("both", "{}", b"{}", 2, none, Body::Ambiguous),
        ("both and cut", "{}", b"{}", -1, &["true"], Body::Ambiguous),
        ("agentgateway cut", "{", b"", -1, none, Body::Cut),
        ("agentgateway cut to nothing", "", b"", -1, none, Body::Cut),
        ("Envoy cut", "", b"{", 1, &["true"], Body::Cut),
        ("Envoy whole", "", b"{}", 2, &["false"], whole(b"{}")),
        ("forged over Envoy's", "", b"{}", 2, &["false", "true"], Body::Cut),
        ("joined", "", b"{}", 2, &["false,true"], Body::Cut),
        ("other spelling", "", b"{}", 2, &["TRUE"], Body::Cut),
    ];
    for (case, text, raw_body, size, partial, expected) in cases {
        let list = partial
            .iter()
            .map(|value| raw(PARTIAL_BODY, "", value.as_bytes()))
            .collect();
        let http = HttpRequest {
            body: text.to_owned(),
            raw_body: raw_body.to_vec(),
            size,
            header_map: Some(HeaderMap { headers: list }),
            ..HttpRequest::default()
        };
        assert_eq!(read(with_http(http)).unwrap().body, expected, "{case}");
    }
}

#[test]
fn the_partial_body_header_also_counts_in_the_plain_map() {
    let http = HttpRequest {
        headers: [(PARTIAL_BODY.to_owned(), "true".to_owned())].into(),
        body: "{}".to_owned(),
        ..HttpRequest::default()
    };
    assert_eq!(read(with_http(http)).unwrap().body, Body::Cut);
}

#[test]
fn decodes_the_certificate_of_the_client() {
    let cases = [
        ("", Ok(None)),
        (
            "-----BEGIN%20CERTIFICATE-----%0AMIIB%2Bw%3D%3D%0A",
            Ok(Some("-----BEGIN CERTIFICATE-----\nMIIB+w==\n".to_owned())),
        ),
        ("MIIB+w", Ok(Some("MIIB+w".to_owned()))),
        ("%ff%fe", Err(Failure::Certificate)),
        ("%C3%A9", Err(Failure::Certificate)),
        ("%4", Err(Failure::Certificate)),
        ("%+f", Err(Failure::Certificate)),
        ("%é", Err(Failure::Certificate)),
    ];
    for (encoded, expected) in cases {
        let peer = Peer {
            certificate: encoded.to_owned(),
            ..Peer::default()
        };
        let certificate = read(with_source(peer)).map(|exchange| exchange.source.certificate);
        assert_eq!(certificate, expected, "{encoded}");
    }
}

#[test]
fn reads_principal_and_address_of_the_client() {
    let socket = |address: &str| {
        let address = address.to_owned();
        address::Address::SocketAddress(SocketAddress {
            address,
            ..SocketAddress::default()
        })
    };
    let cases = [
        (socket("10.1.2.3"), Some("10.1.2.3")),
        (socket("2001:db8::1"), Some("2001:db8::1")),
        (socket("::ffff:10.1.2.3"), Some("10.1.2.3")),
        (socket("client.example"), None),
        (
            address::Address::Pipe(Pipe {
                path: "/run/s".to_owned(),
                mode: 0,
            }),
            None,
        ),
    ];
    for (address, expected) in cases {
        let peer = Peer {
            principal: "spiffe://example.org/agent".to_owned(),
            address: Some(Address {
                address: Some(address),
            }),
            ..Peer::default()
        };
        let source = read(with_source(peer)).unwrap().source;
        assert_eq!(source.principal.as_deref(), Some("spiffe://example.org/agent"));
        assert_eq!(source.address, expected.map(|text| text.parse().unwrap()));
    }
}

#[test]
fn takes_over_what_other_filters_found() {
    let payload = json!({"jwt_payload": {"sub": "alice", "exp": 1_790_000_000, "aud": ["a", "b"]}});
    let Value::Object(found) = payload.clone() else {
        unreachable!()
    };
    let mut attributes = with_http(HttpRequest::default());
    attributes.metadata_context = Some(Metadata {
        filter_metadata: [(
            "envoy.filters.http.jwt_authn".to_owned(),
            metadata::from_json(found).unwrap(),
        )]
        .into(),
        ..Metadata::default()
    });
    let exchange = read(attributes).unwrap();
    assert_eq!(exchange.filter_metadata["envoy.filters.http.jwt_authn"], payload);
}

#[test]
fn refuses_filter_metadata_that_is_not_json() {
    use envoy_types::pb::google::protobuf::{Struct, Value as ProtoValue};
    let mut attributes = with_http(HttpRequest::default());
    let found = Struct {
        fields: [("a".to_owned(), ProtoValue { kind: None })].into(),
    };
    attributes.metadata_context = Some(Metadata {
        filter_metadata: [("f".to_owned(), found)].into(),
        ..Metadata::default()
    });
    let refused = read(attributes).unwrap_err();
    assert_eq!(refused, Failure::Metadata(metadata::NotJson::NoKind));
}
