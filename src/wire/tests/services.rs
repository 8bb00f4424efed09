use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::transport::Channel;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::harness::{settings, start};
use crate::wire::listen::EXT_AUTHZ_DESCRIPTORS;

async fn reflect(client: &mut ServerReflectionClient<Channel>, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let stream = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    stream
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap()
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_check() {
    let server = start(&settings()).await;
    let mut client = ServerReflectionClient::new(server.endpoint().connect().await.unwrap());
    let listed = reflect(&mut client, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(listed) = listed else {
        panic!("{listed:?}")
    };
    let mut names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "envoy.service.auth.v3.Authorization",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection"
        ]
    );
    let symbol = "envoy.service.auth.v3.CheckRequest".to_owned();
    let found = reflect(&mut client, MessageRequest::FileContainingSymbol(symbol)).await;
    let MessageResponse::FileDescriptorResponse(found) = found else {
        panic!("{found:?}")
    };
    let file = FileDescriptorProto::decode(found.file_descriptor_proto[0].as_slice()).unwrap();
    assert_eq!(file.name(), "envoy/service/auth/v3/external_auth.proto");
}

#[test]
fn every_import_of_the_descriptors_is_among_them() {
    let set = FileDescriptorSet::decode(EXT_AUTHZ_DESCRIPTORS).unwrap();
    let names: Vec<_> = set.file.iter().map(FileDescriptorProto::name).collect();
    for file in &set.file {
        for import in &file.dependency {
            assert!(names.contains(&import.as_str()), "{import}");
        }
    }
}

/// The descriptors are those of the types that are served: `proto/update-descriptors.sh` after every update.
#[test]
fn the_descriptors_name_the_fields_that_the_types_have() {
    let set = FileDescriptorSet::decode(EXT_AUTHZ_DESCRIPTORS).unwrap();
    let messages = set.file.iter().flat_map(|file| &file.message_type);
    let fields = |name: &str| {
        let message = messages.clone().find(|message| message.name() == name).unwrap();
        let mut fields: Vec<_> = message
            .field
            .iter()
            .map(|field| (field.number(), field.name().to_owned()))
            .collect();
        fields.sort();
        fields
    };
    let cases: [(&str, &[(i32, &str)]); 4] = [
        ("CheckRequest", &[(1, "attributes")]),
        (
            "CheckResponse",
            &[
                (1, "status"),
                (2, "denied_response"),
                (3, "ok_response"),
                (4, "dynamic_metadata"),
                (5, "error_response"),
            ],
        ),
        (
            "DeniedHttpResponse",
            &[(1, "status"), (2, "headers"), (3, "body")],
        ),
        (
            "AttributeContext",
            &[
                (1, "source"),
                (2, "destination"),
                (4, "request"),
                (10, "context_extensions"),
                (11, "metadata_context"),
                (12, "tls_session"),
                (13, "route_metadata_context"),
            ],
        ),
    ];
    for (message, expected) in cases {
        let expected: Vec<_> = expected
            .iter()
            .map(|(number, name)| (*number, (*name).to_owned()))
            .collect();
        assert_eq!(fields(message), expected, "{message}");
    }
}
