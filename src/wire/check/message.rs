//! What a gateway asks, as it stands in the bytes in which it asks.
//!
//! In: a `CheckRequest` of `envoy.service.auth.v3`, as gRPC brought it. Out: [`Asked`], which borrows whatever is long. Of the message only
//! that is read which somebody decides on; the rest is passed over like a field that nobody knows.
//!
//! Two ways lead there. The usual message is walked through once ([`Asked::swift`]): there, prost would make a hundred texts of it.
//! Whatever is unusual (a field that is said twice, a group, bytes that are no such message) is left to prost and the types
//! of envoy-types ([`Asked::plain`]), who say what it means, or that it means nothing.

use std::collections::{BTreeMap, HashMap};

use envoy_types::pb::envoy::config::core::v3::{Metadata, address};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::encoding::{WireType, decode_key, decode_varint};
use prost::{DecodeError, Message as _};

use crate::exchange::Headers;

/// What is read of a check. A text that isn't there is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked<'a> {
    /// The request, where it is one of HTTP.
    pub http: Option<Http<'a>>,
    /// `source.principal`
    pub principal: &'a str,
    /// `source.certificate`: PEM, URL-encoded.
    pub certificate: &'a str,
    /// `source.address.socket_address.address`
    pub address: &'a str,
    /// What the gateway's configuration says of the route.
    pub context: HashMap<String, String>,
    /// What other filters found.
    pub metadata: Metadata,
}

/// `AttributeContext.HttpRequest`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Http<'a> {
    /// Numbers the stream in the gateway.
    pub id: &'a str,
    /// The method.
    pub method: &'a str,
    /// The header fields, where they are sent as texts.
    pub joined: BTreeMap<&'a str, &'a str>,
    /// The header fields, where they are sent as bytes. Of one with two values that differ, both: nobody may choose between them.
    pub headers: Headers,
    /// The target: path and query.
    pub path: &'a str,
    /// The authority.
    pub host: &'a str,
    /// `http` or `https`
    pub scheme: &'a str,
    /// The body's length as far as it is known.
    pub size: i64,
    /// The body, where it is sent as a text.
    pub text: &'a str,
    /// The body as bytes.
    pub raw: &'a [u8],
}

/// Reads a check, and makes something of it.
///
/// # Errors
/// [`DecodeError`] if the bytes are no `CheckRequest`.
pub fn read<T>(bytes: &[u8], make: impl FnOnce(Asked<'_>) -> T) -> Result<T, DecodeError> {
    match Asked::swift(bytes) {
        Ok(asked) => Ok(make(asked)),
        Err(Unusual) => Ok(make(Asked::plain(&CheckRequest::decode(bytes)?))),
    }
}

impl<'a> Asked<'a> {
    /// What a message of envoy-types says.
    #[must_use]
    pub fn plain(check: &'a CheckRequest) -> Self {
        let Some(attributes) = &check.attributes else {
            return Self::default();
        };
        let http = attributes
            .request
            .as_ref()
            .and_then(|request| request.http.as_ref());
        let mut asked = Self {
            http: http.map(Http::plain),
            context: attributes.context_extensions.clone(),
            metadata: attributes.metadata_context.clone().unwrap_or_default(),
            ..Self::default()
        };
        if let AttributeContext {
            source: Some(peer), ..
        } = attributes
        {
            asked.principal = &peer.principal;
            asked.certificate = &peer.certificate;
            asked.address = socket(peer);
        }
        asked
    }
}

impl<'a> Http<'a> {
    fn plain(http: &'a HttpRequest) -> Self {
        let mut headers = Headers::default();
        for field in http.header_map.iter().flat_map(|map| &map.headers) {
            push(&mut headers, &field.key, &field.value, &field.raw_value);
        }
        let joined = http.headers.iter();
        Self {
            id: &http.id,
            method: &http.method,
            joined: joined.map(|(name, value)| (&**name, &**value)).collect(),
            headers,
            path: &http.path,
            host: &http.host,
            scheme: &http.scheme,
            size: http.size,
            text: &http.body,
            raw: &http.raw_body,
        }
    }
}

fn socket(peer: &Peer) -> &str {
    let kind = peer.address.as_ref().and_then(|address| address.address.as_ref());
    match kind {
        Some(address::Address::SocketAddress(socket)) => &socket.address,
        Some(address::Address::Pipe(_) | address::Address::EnvoyInternalAddress(_)) | None => "",
    }
}

/// A field of a header map says its value as a text, as bytes, or as both.
fn push(headers: &mut Headers, name: &str, text: &str, bytes: &[u8]) {
    if bytes.is_empty() || (!text.is_empty() && text.as_bytes() != bytes) {
        headers.push(name, text);
    }
    if !bytes.is_empty() {
        headers.push(name, bytes);
    }
}

/// Left to prost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusual;

/// The fields of a message, one after the other.
struct Fields<'a>(&'a [u8]);

/// The value of a field, as it goes over the wire.
#[derive(Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Fields<'a> {
    /// The next field: its number and its value.
    fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Unusual> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = decode_key(&mut self.0).map_err(|_| Unusual)?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(self.varint()?),
            WireType::LengthDelimited => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Unusual)?)?)
            }
            WireType::SixtyFourBit => self.take(8).map(|_| Value::Fixed)?,
            WireType::ThirtyTwoBit => self.take(4).map(|_| Value::Fixed)?,
            WireType::StartGroup | WireType::EndGroup => return Err(Unusual),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, Unusual> {
        decode_varint(&mut self.0).map_err(|_| Unusual)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Unusual> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unusual)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Value<'a> {
    fn bytes(self) -> Result<&'a [u8], Unusual> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(Unusual),
        }
    }

    fn text(self) -> Result<&'a str, Unusual> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Unusual)
    }

    /// `int64` goes as the 64 bits that it has.
    const fn int64(self) -> Result<i64, Unusual> {
        match self {
            Self::Varint(bits) => Ok(bits.cast_signed()),
            Self::Bytes(_) | Self::Fixed => Err(Unusual),
        }
    }
}

/// The field of that number, of a message of which no other is read.
fn only(bytes: &[u8], wanted: u32) -> Result<Option<Value<'_>>, Unusual> {
    let (mut fields, mut found) = (Fields(bytes), None);
    while let Some((number, value)) = fields.next()? {
        if number == wanted {
            once(&mut found, value)?;
        }
    }
    Ok(found)
}

/// A field that is said once. Of one that is said twice, the last counts, or both are merged.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Unusual> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Unusual),
    }
}

impl<'a> Asked<'a> {
    /// What the bytes of a usual message say.
    ///
    /// # Errors
    /// [`Unusual`] if they say anything that takes more than one look.
    pub fn swift(bytes: &'a [u8]) -> Result<Self, Unusual> {
        let mut asked = Self::default();
        if let Some(attributes) = only(bytes, 1)? {
            asked.attributes(attributes.bytes()?)?;
        }
        Ok(asked)
    }

    /// `AttributeContext`
    fn attributes(&mut self, bytes: &'a [u8]) -> Result<(), Unusual> {
        let (mut fields, mut source, mut request, mut metadata) = (Fields(bytes), None, None, None);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => once(&mut source, value.bytes()?)?,
                4 => once(&mut request, value.bytes()?)?,
                10 => {
                    let (name, value) = entry(value.bytes()?)?;
                    self.context.insert(name.to_owned(), value.to_owned());
                }
                11 => once(&mut metadata, value.bytes()?)?,
                _ => {}
            }
        }
        if let Some(bytes) = metadata {
            self.metadata = Metadata::decode(bytes).map_err(|_| Unusual)?;
        }
        source.map_or(Ok(()), |bytes| self.peer(bytes))?;
        request.map_or(Ok(()), |bytes| self.request(bytes))
    }

    /// `AttributeContext.Peer`
    fn peer(&mut self, bytes: &'a [u8]) -> Result<(), Unusual> {
        let (mut fields, mut address, mut principal, mut certificate) = (Fields(bytes), None, None, None);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => once(&mut address, value.bytes()?)?,
                4 => once(&mut principal, value.text()?)?,
                5 => once(&mut certificate, value.text()?)?,
                _ => {}
            }
        }
        self.principal = principal.unwrap_or_default();
        self.certificate = certificate.unwrap_or_default();
        self.address = address.map_or(Ok(""), socket_address)?;
        Ok(())
    }

    /// `AttributeContext.Request`
    fn request(&mut self, bytes: &'a [u8]) -> Result<(), Unusual> {
        let http = only(bytes, 2)?;
        self.http = http.map(|http| Http::swift(http.bytes()?)).transpose()?;
        Ok(())
    }
}

impl<'a> Http<'a> {
    fn swift(bytes: &'a [u8]) -> Result<Self, Unusual> {
        let (mut fields, mut size, mut raw, mut map) = (Fields(bytes), None, None, None);
        let mut http = Self::default();
        let [mut id, mut method, mut path, mut host, mut scheme, mut text] = [None; 6];
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => once(&mut id, value.text()?)?,
                2 => once(&mut method, value.text()?)?,
                3 => {
                    let (name, value) = entry(value.bytes()?)?;
                    http.joined.insert(name, value);
                }
                4 => once(&mut path, value.text()?)?,
                5 => once(&mut host, value.text()?)?,
                6 => once(&mut scheme, value.text()?)?,
                9 => once(&mut size, value.int64()?)?,
                11 => once(&mut text, value.text()?)?,
                12 => once(&mut raw, value.bytes()?)?,
                13 => once(&mut map, value.bytes()?)?,
                _ => {}
            }
        }
        map.map_or(Ok(()), |bytes| header_map(&mut http.headers, bytes))?;
        Ok(Self {
            id: id.unwrap_or_default(),
            method: method.unwrap_or_default(),
            path: path.unwrap_or_default(),
            host: host.unwrap_or_default(),
            scheme: scheme.unwrap_or_default(),
            size: size.unwrap_or_default(),
            text: text.unwrap_or_default(),
            raw: raw.unwrap_or_default(),
            ..http
        })
    }
}

/// `envoy.config.core.v3.HeaderMap`
fn header_map(headers: &mut Headers, bytes: &[u8]) -> Result<(), Unusual> {
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            header(headers, value.bytes()?)?;
        }
    }
    Ok(())
}

/// `envoy.config.core.v3.HeaderValue`
fn header(headers: &mut Headers, bytes: &[u8]) -> Result<(), Unusual> {
    let (mut fields, mut name, mut text, mut raw) = (Fields(bytes), None, None, None);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => once(&mut name, value.text()?)?,
            2 => once(&mut text, value.text()?)?,
            3 => once(&mut raw, value.bytes()?)?,
            _ => {}
        }
    }
    push(
        headers,
        name.unwrap_or_default(),
        text.unwrap_or_default(),
        raw.unwrap_or_default(),
    );
    Ok(())
}

/// The text of `envoy.config.core.v3.Address`, where it is a socket's.
fn socket_address(bytes: &[u8]) -> Result<&str, Unusual> {
    let (mut fields, mut kind) = (Fields(bytes), None);
    while let Some((number, value)) = fields.next()? {
        // One of three, of which the last counts.
        if matches!(number, 1..=3) {
            once(&mut kind, (number, value.bytes()?))?;
        }
    }
    let Some((1, bytes)) = kind else {
        return Ok("");
    };
    only(bytes, 2)?.map_or(Ok(""), Value::text)
}

/// An entry of a map from texts to texts.
fn entry(bytes: &[u8]) -> Result<(&str, &str), Unusual> {
    let (mut fields, mut name, mut text) = (Fields(bytes), None, None);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => once(&mut name, value.text()?)?,
            2 => once(&mut text, value.text()?)?,
            _ => {}
        }
    }
    Ok((name.unwrap_or_default(), text.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
