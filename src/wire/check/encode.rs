//! An allow as the bytes of a `CheckResponse`, written once and in their place.
//!
//! By way of the generated types each text is copied twice more, and each message measured as often as it is nested: that
//! was a tenth of the time of a check. Those types are still what this is held against: [`super::response::of_reply`].

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::response::{Field, Fit};
use super::unary::PREFIX;

/// The numbers of the fields, as `external_auth.proto`, `base.proto` and `struct.proto` give them.
mod field {
    pub(super) const STATUS: u32 = 1;
    pub(super) const OK_RESPONSE: u32 = 3;
    pub(super) const DYNAMIC_METADATA: u32 = 4;
    pub(super) const HEADERS: u32 = 2;
    pub(super) const HEADERS_TO_REMOVE: u32 = 5;
    pub(super) const RESPONSE_HEADERS_TO_ADD: u32 = 6;
    pub(super) const HEADER: u32 = 1;
    pub(super) const APPEND_ACTION: u32 = 3;
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    pub(super) const STRING_VALUE: u32 = 3;
    pub(super) const FIELDS: u32 = 1;
}

/// The allow as gRPC sends it: not compressed, its length, itself.
pub(super) fn allow(fit: &Fit<'_>) -> Bytes {
    let lengths = Lengths::of(fit);
    let metadata = lengths
        .metadata
        .map_or(0, |length| nested(field::DYNAMIC_METADATA, length));
    let length = sum([
        nested(field::STATUS, 0),
        nested(field::OK_RESPONSE, lengths.ok),
        metadata,
    ]);
    let mut out = Vec::with_capacity(length.saturating_add(PREFIX));
    out.push(0);
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    // google.rpc.Code.OK is 0: a status that says nothing.
    begin(&mut out, field::STATUS, 0);
    begin(&mut out, field::OK_RESPONSE, lengths.ok);
    for &(name, value) in &fit.set {
        put_option(
            &mut out,
            field::HEADERS,
            (name, value, HeaderAppendAction::OverwriteIfExistsOrAdd),
        );
    }
    for name in &fit.remove {
        put_text(&mut out, field::HEADERS_TO_REMOVE, name);
    }
    for &answer in &fit.answer {
        put_option(&mut out, field::RESPONSE_HEADERS_TO_ADD, answer);
    }
    if let Some(length) = lengths.metadata {
        begin(&mut out, field::DYNAMIC_METADATA, length);
        for (name, value) in fit.metadata {
            begin(&mut out, field::FIELDS, entry_len(name, value));
            put_text(&mut out, field::KEY, name);
            begin(&mut out, field::VALUE, text_len(field::STRING_VALUE, value));
            put_text(&mut out, field::STRING_VALUE, value);
        }
    }
    out.into()
}

/// A message's length stands before it.
struct Lengths {
    ok: usize,
    metadata: Option<usize>,
}

impl Lengths {
    fn of(fit: &Fit<'_>) -> Self {
        let overwrite = HeaderAppendAction::OverwriteIfExistsOrAdd;
        let set = fit.set.iter();
        let set = set.map(|&(name, value)| nested(field::HEADERS, option_len((name, value, overwrite))));
        let remove = fit.remove.iter();
        let remove = remove.map(|name| text_len(field::HEADERS_TO_REMOVE, name));
        let answer = fit.answer.iter();
        let answer = answer.map(|&answer| nested(field::RESPONSE_HEADERS_TO_ADD, option_len(answer)));
        let metadata = fit.metadata.iter();
        let metadata = metadata.map(|(name, value)| nested(field::FIELDS, entry_len(name, value)));
        Self {
            ok: sum(set.chain(remove).chain(answer)),
            metadata: (!fit.metadata.is_empty()).then(|| sum(metadata)),
        }
    }
}

/// A `HeaderValueOption`. Neither a name nor a value of a header is ever empty here, so both are written.
fn put_option(out: &mut Vec<u8>, number: u32, option: Field<'_>) {
    let (name, value, action) = option;
    begin(out, number, option_len(option));
    begin(out, field::HEADER, header_len(name, value));
    put_text(out, field::KEY, name);
    put_text(out, field::VALUE, value);
    if action_number(action) != 0 {
        encode_key(field::APPEND_ACTION, WireType::Varint, out);
        encode_varint(action_number(action), out);
    }
}

fn option_len((name, value, action): Field<'_>) -> usize {
    let action = match action_number(action) {
        0 => 0,
        action => sum([key_len(field::APPEND_ACTION), encoded_len_varint(action)]),
    };
    sum([nested(field::HEADER, header_len(name, value)), action])
}

fn action_number(action: HeaderAppendAction) -> u64 {
    u64::try_from(i32::from(action)).unwrap_or_default()
}

fn header_len(name: &str, value: &str) -> usize {
    sum([text_len(field::KEY, name), text_len(field::VALUE, value)])
}

/// An entry of the map in a `Struct`, whose value is a text.
fn entry_len(name: &str, value: &str) -> usize {
    let value = nested(field::VALUE, text_len(field::STRING_VALUE, value));
    sum([text_len(field::KEY, name), value])
}

fn put_text(out: &mut Vec<u8>, number: u32, text: &str) {
    begin(out, number, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn text_len(number: u32, text: &str) -> usize {
    nested(number, text.len())
}

/// The beginning of what is so long.
fn begin(out: &mut Vec<u8>, number: u32, length: usize) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(wide(length), out);
}

/// What is so long, with its beginning.
fn nested(number: u32, length: usize) -> usize {
    sum([key_len(number), encoded_len_varint(wide(length)), length])
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn sum(lengths: impl IntoIterator<Item = usize>) -> usize {
    lengths.into_iter().fold(0, usize::saturating_add)
}
