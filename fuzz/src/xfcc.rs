//! `x-forwarded-client-cert`: whom it names is the only one that anybody could find in it, in canonical form.

use mcp_authz::exchange::Headers;
use mcp_authz::spiffe::SpiffeId;
use url::Url;

use super::{http, world};

/// Takes the bytes for the header's value, and for a SPIFFE ID.
///
/// # Panics
/// If somebody is found who isn't the only one there, or has another name elsewhere.
pub fn check(bytes: &[u8]) {
    let id = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| SpiffeId::parse(text).ok());
    if let Some(id) = id {
        canonical(&id);
        // Alone in the header, it is found.
        assert_eq!(
            found(format!("URI={id}").as_bytes()),
            in_domain(&id).then(|| id.to_string())
        );
    }
    if let Some(found) = found(bytes) {
        let header = std::str::from_utf8(bytes).expect("text");
        let id = SpiffeId::parse(&found).expect("a SPIFFE ID");
        canonical(&id);
        assert!(in_domain(&id));
        assert_eq!(named(header), [found.as_str()], "{header}");
    }
}

fn in_domain(id: &SpiffeId) -> bool {
    id.trust_domain() == world::TRUST_DOMAIN
}

fn found(value: &[u8]) -> Option<String> {
    let mut exchange = http::empty();
    exchange.headers = Headers::default();
    exchange.headers.push("x-forwarded-client-cert", value);
    let caller = world::identify(&exchange).ok()?;
    caller.workload.map(|workload| workload.key().to_owned())
}

/// A URL parser finds the same parts, and none that an ID hasn't.
///
/// # Panics
/// If it finds others.
pub fn canonical(id: &SpiffeId) {
    let url = Url::parse(id.as_str()).expect("a URL");
    assert_eq!(url.as_str(), id.as_str());
    assert_eq!(
        (url.scheme(), url.host_str(), url.path()),
        ("spiffe", Some(id.trust_domain()), id.path())
    );
    let more = (
        url.port(),
        url.username(),
        url.password(),
        url.query(),
        url.fragment(),
    );
    assert_eq!(more, (None, "", None, None, None));
    assert_eq!(
        SpiffeId::parse(&format!("spiffe://{}{}", id.trust_domain(), id.path())).as_ref(),
        Ok(id)
    );
}

/// Everyone whom a reader could find that splits without heed of quotes as well as one that heeds them: every `URI=`
/// outside quotes. More than one element is everyone's.
fn named(header: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for char in header.chars() {
        let last = pieces.last_mut().expect("one piece");
        match char {
            _ if escaped => {
                last.push(char);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => panic!("two elements: {header}"),
            ';' if !quoted => pieces.push(String::new()),
            _ => last.push(char),
        }
    }
    assert!(!quoted, "an open quote: {header}");
    let uri = |piece: &String| {
        let (key, value) = piece.split_once('=')?;
        (key.eq_ignore_ascii_case("uri") && !value.is_empty()).then(|| value.to_owned())
    };
    pieces.iter().filter_map(uri).collect()
}
