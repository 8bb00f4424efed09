//! `CheckRequest` as it is read: the same message as envoy-types', but that its headers are gathered in one place.
//!
//! prost reads both, so both take and refuse the same bytes. There each of twenty header fields is a message of three texts; here
//! they pass through one that is used again, into [`Headers`]. Whatever else of a check is rare or small is of envoy-types' types.

use std::collections::{BTreeMap, HashMap};

use bytes::{Buf, BufMut};
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, Metadata};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{Peer, TlsSession};
use prost::encoding::{DecodeContext, WireType, message, skip_field};
use prost::{DecodeError, Message};

use crate::exchange::Headers;

/// `envoy.service.auth.v3.CheckRequest`
#[derive(Clone, PartialEq, Message)]
pub struct Check {
    /// What is asked about.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<Attributes>,
}

/// `AttributeContext`
#[derive(Clone, PartialEq, Message)]
pub struct Attributes {
    /// Who opened the connection to the gateway.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The gateway's own end of it.
    #[prost(message, optional, tag = "2")]
    pub destination: Option<Peer>,
    /// The request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// What the gateway's configuration says of the route.
    #[prost(map = "string, string", tag = "10")]
    pub context_extensions: HashMap<String, String>,
    /// What other filters found.
    #[prost(message, optional, tag = "11")]
    pub metadata_context: Option<Metadata>,
    /// Of the connection's TLS.
    #[prost(message, optional, tag = "12")]
    pub tls_session: Option<TlsSession>,
    /// Of the route.
    #[prost(message, optional, tag = "13")]
    pub route_metadata_context: Option<Metadata>,
}

/// `AttributeContext.Request`
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// When the gateway saw it.
    #[prost(message, optional, tag = "1")]
    pub time: Option<prost_types::Timestamp>,
    /// It, where it is one of HTTP.
    #[prost(message, optional, tag = "2")]
    pub http: Option<Http>,
}

/// `AttributeContext.HttpRequest`
#[derive(Clone, PartialEq, Message)]
pub struct Http {
    /// Numbers the stream in the gateway.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The header fields, where they are sent as texts.
    #[prost(btree_map = "string, string", tag = "3")]
    pub headers: BTreeMap<String, String>,
    /// The target: path and query.
    #[prost(string, tag = "4")]
    pub path: String,
    /// The authority.
    #[prost(string, tag = "5")]
    pub host: String,
    /// `http` or `https`
    #[prost(string, tag = "6")]
    pub scheme: String,
    /// Always empty: see `path`.
    #[prost(string, tag = "7")]
    pub query: String,
    /// Always empty.
    #[prost(string, tag = "8")]
    pub fragment: String,
    /// The body's length as far as it is known.
    #[prost(int64, tag = "9")]
    pub size: i64,
    /// For instance `HTTP/1.1`.
    #[prost(string, tag = "10")]
    pub protocol: String,
    /// The body, where it is sent as a text.
    #[prost(string, tag = "11")]
    pub body: String,
    /// The body as bytes.
    #[prost(bytes = "vec", tag = "12")]
    pub raw_body: Vec<u8>,
    /// The header fields, where they are sent as bytes.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<Fields>,
}

/// `envoy.config.core.v3.HeaderMap`
#[derive(Debug, Clone, Default)]
pub struct Fields {
    headers: Headers,
    /// The one that is being read.
    field: HeaderValue,
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.headers == other.headers
    }
}

/// The number of `HeaderMap.headers`.
const FIELD: u32 = 1;

impl Fields {
    /// The fields, in their order. Of one with two values that differ, both stay: nobody may choose between them.
    #[must_use]
    pub fn into_headers(self) -> Headers {
        self.headers
    }

    fn take(&mut self) {
        let HeaderValue {
            key,
            value,
            raw_value,
        } = &self.field;
        if raw_value.is_empty() || (!value.is_empty() && value.as_bytes() != raw_value) {
            self.headers.push(key, value);
        }
        if !raw_value.is_empty() {
            self.headers.push(key, raw_value);
        }
    }
}

impl Message for Fields {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        if tag != FIELD {
            return skip_field(wire_type, tag, buf, context);
        }
        self.field.clear();
        message::merge(wire_type, &mut self.field, buf, context)?;
        self.take();
        Ok(())
    }

    /// What was read is never written.
    fn encode_raw(&self, _: &mut impl BufMut) {}

    fn encoded_len(&self) -> usize {
        0
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
