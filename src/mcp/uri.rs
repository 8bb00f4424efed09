//! URIs of resources that servers take for another: policies compare them byte by byte, servers normalise them first.

/// Schemes whose authority is a host, which servers lower-case (WHATWG URL §3.1: special schemes).
const HOSTED: [&str; 6] = ["http", "https", "ws", "wss", "ftp", "file"];

/// Whether no server reads the URI as one that is spelt otherwise (RFC 3986 §6.2.2): `docs://a/../secret`,
/// `docs://%73ecret` and `DOCS://secret` are all `docs://secret` to a server. What isn't ASCII, and spaces, are left to
/// the server: clients send both as they were listed.
pub(super) fn is_normal(uri: &str) -> bool {
    // URL parsers take white space at the ends and line ends in between away, and `\` for `/`.
    let untouched = uri.trim() == uri && !uri.chars().any(|char| char.is_control() || char == '\\');
    let (scheme, rest) = split_scheme(uri);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    untouched
        && !scheme.bytes().any(|byte| byte.is_ascii_uppercase())
        && escapes_are_normal(rest)
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
        && (!HOSTED.contains(&scheme) || host_is_lower(rest))
}

/// The scheme (RFC 3986 §3.1), empty where there is none, and what follows its colon.
fn split_scheme(uri: &str) -> (&str, &str) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    match uri.split_once(':') {
        Some((scheme, rest)) if scheme.bytes().all(allowed) => (scheme, rest),
        _ => ("", uri),
    }
}

/// `%41` is `A`, and `%2f` is `%2F`: an unreserved character is never escaped, and digits are upper-case (§6.2.2.1–2).
/// With that, an escaped dot can't hide a segment.
fn escapes_are_normal(text: &str) -> bool {
    let mut pieces = text.split('%');
    // What stands before the first `%` is no escape.
    pieces.next();
    pieces.all(|piece| {
        let digits = piece
            .get(..2)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            // A lone `%` stands for itself everywhere.
            return true;
        };
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !unreserved && digits.is_some_and(|digits| !digits.bytes().any(|byte| byte.is_ascii_lowercase()))
    })
}

fn host_is_lower(rest: &str) -> bool {
    let authority = rest
        .strip_prefix("//")
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    !host.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_spelling_of_a_resource_is_no_normal_one() {
        for uri in [
            "DOCS://secret",
            "docs://%73ecret",
            "docs://a/../secret",
            "docs://a/./secret",
            "docs://a/%2e%2e/secret",
            "docs://a/.%2E/secret",
            "docs://a/..",
            "docs://a/..?x",
            "docs://a/..#x",
            "docs://a%2fsecret",
            "docs://sec\nret",
            "docs://sec\tret",
            "docs://secret\0",
            " docs://secret",
            "docs://secret ",
            "docs://secret\u{a0}",
            "file:///srv\\work\\..\\secret",
            "https://Docs.example/secret",
            "https://ada@DOCS.example:443/secret",
            "../secret",
        ] {
            assert!(!is_normal(uri), "{uri:?}");
        }
    }

    #[test]
    fn what_servers_list_is_normal() {
        for uri in [
            "file:///projects/my app/ü,config.json",
            "file:///C:/Users/ada/a%20b.txt",
            "docs://a",
            "ui://MyWidget/index.html",
            "urn:isbn:0451450523",
            "postgres://ada@db.example:5432/orders/schema",
            "https://docs.example/a?q=../b&r=%2F#Top",
            "docs://a/.../b",
            "docs://a/.hidden",
            "docs://100%",
            "docs://100%zz",
            "mailto:Ada@example.com",
            "u",
            "",
        ] {
            assert!(is_normal(uri), "{uri:?}");
        }
    }
}
