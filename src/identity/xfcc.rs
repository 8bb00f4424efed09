//! `x-forwarded-client-cert`, as Envoy writes it: elements separated by `,`, each of `Key=Value` separated by `;`,
//! values in double quotes where they hold `,`, `;` or `=`.

use std::borrow::Cow;

use super::IdentityError;

/// Keys that Envoy writes.
const KEYS: [&str; 7] = ["By", "Hash", "Cert", "Chain", "Subject", "URI", "DNS"];

/// Longer values are no certificate details (a chain in PEM may be long, a header rarely is).
const MAX_BYTES: usize = 64 * 1024;

/// The URI SAN of the one client certificate, `None` where it has none.
///
/// Two elements mean that another proxy's is there, or a client's own; two URIs that nothing says which one is meant
/// (SPIFFE X.509-SVID §2: exactly one). Both are refused.
pub(super) fn uri(header: &str) -> Result<Option<Cow<'_, str>>, IdentityError> {
    value_of("URI", header)
}

/// The SHA-256 of the one client certificate in hexadecimal, `None` where it isn't named.
pub(super) fn hash(header: &str) -> Result<Option<Cow<'_, str>>, IdentityError> {
    value_of("Hash", header)
}

/// The one value of a key that isn't empty.
fn value_of<'a>(wanted: &str, header: &'a str) -> Result<Option<Cow<'a, str>>, IdentityError> {
    if header.len() > MAX_BYTES {
        return Err(IdentityError::ForwardedCertMalformed);
    }
    let mut elements = Split::new(header, b',');
    let element = elements.next().ok_or(IdentityError::ForwardedCertMalformed)??;
    if elements.next().is_some() {
        return Err(IdentityError::WorkloadAmbiguous);
    }
    let mut found = None;
    for pair in Split::new(element, b';') {
        let (key, value) = pair?
            .split_once('=')
            .ok_or(IdentityError::ForwardedCertMalformed)?;
        if !KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            return Err(IdentityError::ForwardedCertMalformed);
        }
        let value = unquote(value)?;
        if key.eq_ignore_ascii_case(wanted) && !value.is_empty() && found.replace(value).is_some() {
            return Err(IdentityError::WorkloadAmbiguous);
        }
    }
    Ok(found)
}

/// Pieces between separators that stand outside quotes; an open quote at the end is an error.
struct Split<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Split<'a> {
    fn new(text: &'a str, separator: u8) -> Self {
        Self {
            rest: Some(text),
            separator,
        }
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = Result<&'a str, IdentityError>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.take()?;
        let mut quoted = false;
        let mut looked_at = 0_usize;
        // Only these bytes mean anything; all are ASCII, and no byte of another character is.
        loop {
            let rest = text.as_bytes().get(looked_at..).unwrap_or_default();
            let means = if quoted { b'\\' } else { self.separator };
            let Some(at) = memchr::memchr2(means, b'"', rest) else {
                break;
            };
            let byte = rest.get(at).copied();
            let at = looked_at.saturating_add(at);
            looked_at = at.saturating_add(1);
            if byte == Some(b'"') {
                quoted = !quoted;
            } else if quoted {
                // What is escaped stands for itself.
                looked_at = looked_at.saturating_add(1);
            } else {
                let (piece, rest) = text.split_at(at);
                self.rest = rest.get(1..);
                return Some(Ok(piece));
            }
        }
        Some(if quoted {
            Err(IdentityError::ForwardedCertMalformed)
        } else {
            Ok(text)
        })
    }
}

/// A value without its quotes and escapes; a quote anywhere else is an error.
fn unquote(value: &str) -> Result<Cow<'_, str>, IdentityError> {
    let Some(inner) = value.strip_prefix('"') else {
        return if value.contains('"') {
            Err(IdentityError::ForwardedCertMalformed)
        } else {
            Ok(value.into())
        };
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' if chars.as_str().is_empty() => return Ok(text.into()),
            '"' => break,
            '\\' => text.extend(chars.next()),
            _ => text.push(char),
        }
    }
    Err(IdentityError::ForwardedCertMalformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_one_uri_and_refuses_everything_ambiguous() {
        use IdentityError::{ForwardedCertMalformed as Malformed, WorkloadAmbiguous as Ambiguous};
        let id = || Ok(Some("spiffe://td/a".into()));
        let cases = [
            ("URI=spiffe://td/a", id()),
            ("uri=spiffe://td/a", id()),
            (
                r#"By=spiffe://td/gw;Hash=ab12;Subject="CN=x,O=y;z=\"q\"";URI=spiffe://td/a;DNS=a.b;DNS=c"#,
                id(),
            ),
            (r#"URI="spiffe://td/a""#, id()),
            (r#"Subject="URI=spiffe://td/evil";URI=spiffe://td/a"#, id()),
            (r#"Subject="x;URI=spiffe://td/evil,y";URI=spiffe://td/a"#, id()),
            (r#"Hash=ab;Subject="URI=spiffe://td/evil""#, Ok(None)),
            ("Hash=ab;URI=", Ok(None)),
            ("Hash=ab;URI=;URI=spiffe://td/a", id()),
            ("URI=spiffe://td/a;URI=spiffe://td/b", Err(Ambiguous)),
            ("URI=spiffe://td/a;URI=spiffe://td/a", Err(Ambiguous)),
            ("URI=spiffe://td/a,URI=spiffe://td/b", Err(Ambiguous)),
            ("URI=spiffe://td/a,", Err(Ambiguous)),
            (",URI=spiffe://td/a", Err(Ambiguous)),
            ("", Err(Malformed)),
            ("spiffe://td/a", Err(Malformed)),
            ("URI=spiffe://td/a;", Err(Malformed)),
            ("Evil=1;URI=spiffe://td/a", Err(Malformed)),
            (" URI=spiffe://td/a", Err(Malformed)),
            (r#"URI="spiffe://td/a"#, Err(Malformed)),
            (r#"URI="spiffe://td/a"x"#, Err(Malformed)),
            (r#"URI=spiffe://td/a"""#, Err(Malformed)),
            (r#"Subject="CN=\";URI=spiffe://td/a"#, Err(Malformed)),
            (r#"Subject="\\";URI=spiffe://td/a"#, id()),
            (r#"Subject="CN=\"#, Err(Malformed)),
            (r#"Subject="\ö";URI=spiffe://td/a"#, id()),
        ];
        for (header, expected) in cases {
            assert_eq!(uri(header), expected, "{header}");
        }
    }
}
