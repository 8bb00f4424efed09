//! `htu`, the URL that a proof is for, against the request's (RFC 9449 §4.3 number 9).
//!
//! Both are brought to the normal form of RFC 3986 §6.2.2 and §6.2.3, but for dot segments, which are left as they are:
//! what a gateway routes by is the path as it was sent.

use std::fmt::Write as _;

/// Whether a proof's URL is that of a request for this path at the origin of this resource. `Host` says nothing: it is
/// the client's own.
pub(super) fn is_of_request(proved: &str, resource: &str, path: &str) -> bool {
    let requested = origin(resource).and_then(|(origin, _)| Some(origin + &normal_path(path)?));
    let proved = origin(proved).and_then(|(origin, path)| Some(origin + &normal_path(path)?));
    requested.is_some() && proved == requested
}

/// The normal form of a URL's scheme and authority, and what follows them.
fn origin(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = split_port(authority)?;
    // Neither userinfo nor an escape is any part of a host's name.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:".contains(&byte);
    if host.is_empty() || !host.bytes().all(allowed) {
        return None;
    }
    let mut origin = format!("{scheme}://{}", host.to_ascii_lowercase());
    if !port.is_empty() && port != default_port {
        let _infallible = write!(origin, ":{port}");
    }
    Some((origin, path))
}

/// A host, and its port without leading zeros, empty where there is none.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    let after_host = match authority.find(']') {
        Some(end) => end.saturating_add(1),
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(after_host)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if !bracketed && host.contains(['[', ']', ':']) {
        return None;
    }
    let Some(port) = port.strip_prefix(':') else {
        return port.is_empty().then_some((host, ""));
    };
    if port.is_empty() {
        return Some((host, ""));
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    (digits && port.parse::<u16>().is_ok()).then(|| (host, port.trim_start_matches('0')))
}

/// A path without query and fragment, which are no part of `htu` (RFC 9449 §4.2): unreserved characters unescaped, the
/// digits of other escapes in upper case.
fn normal_path(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() {
        return Some("/".to_owned());
    }
    if !path.starts_with('/') {
        return None;
    }
    let mut pieces = path.split('%');
    let mut normal = String::with_capacity(path.len());
    normal.push_str(pieces.next().filter(|piece| is_plain(piece))?);
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) || !is_plain(rest) {
            return None;
        }
        match u8::from_str_radix(digits, 16).ok()? {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => normal.push(byte.into()),
            byte => {
                let _infallible = write!(normal, "%{byte:02X}");
            }
        }
        normal.push_str(rest);
    }
    Some(normal)
}

/// Visible ASCII but for `\`, which some take for `/`.
fn is_plain(piece: &str) -> bool {
    piece.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_url_in_every_spelling_and_no_other() {
        let (resource, path) = ("https://mcp.example/kubernetes", "/a/mcp?x=1");
        for same in [
            "https://mcp.example/a/mcp",
            "HTTPS://MCP.Example/a/mcp",
            "https://mcp.example:443/a/mcp",
            "https://mcp.example:0443/a/mcp",
            "https://mcp.example:/a/mcp",
            "https://mcp.example/a/mcp?y=2",
            "https://mcp.example/a/mcp#z",
            "https://mcp.example/%61/m%63p",
        ] {
            assert!(is_of_request(same, resource, path), "{same}");
        }
        for other in [
            "",
            "/a/mcp",
            "mcp.example/a/mcp",
            "//mcp.example/a/mcp",
            "http://mcp.example/a/mcp",
            "ftp://mcp.example/a/mcp",
            "https://mcp.example",
            "https://mcp.example/A/mcp",
            "https://mcp.example/a/mcp/",
            "https://mcp.example//a/mcp",
            "https://mcp.example/a/./mcp",
            "https://mcp.example/b/../a/mcp",
            "https://mcp.example/a%2Fmcp",
            "https://mcp.example/a/mcp%",
            "https://mcp.example/a/mcp%4",
            "https://mcp.example/a/mcp%zz",
            "https://mcp.example/a/mcp ",
            " https://mcp.example/a/mcp",
            "https://mcp.example\\a\\mcp",
            "https://mcp.example/a\\mcp",
            "https://mcp.example.evil/a/mcp",
            "https://mcp.example./a/mcp",
            "https://mcp.example@evil/a/mcp",
            "https://evil@mcp.example/a/mcp",
            "https://mcp%2Eexample/a/mcp",
            "https://mcp.example:80/a/mcp",
            "https://mcp.example:443x/a/mcp",
            "https://mcp.example:65979/a/mcp",
            "https://mcp.example:443:443/a/mcp",
            "https://[mcp.example/a/mcp",
            "https://mcp.example]/a/mcp",
            "https:///a/mcp",
        ] {
            assert!(!is_of_request(other, resource, path), "{other}");
        }
    }

    #[test]
    fn ports_and_addresses_are_parts_of_an_origin() {
        assert!(is_of_request("http://[::1]:8080/m", "http://[::1]:8080/", "/m"));
        assert!(is_of_request("http://127.0.0.1:80", "http://127.0.0.1/x", "/"));
        assert!(is_of_request("https://h/a%2fb", "https://h/", "/a%2Fb"));
        assert!(!is_of_request("http://[::1]/m", "http://[::1]:8080/", "/m"));
        assert!(!is_of_request("https://h/m", "https://h/", "m"));
        assert!(!is_of_request("https://h/\u{e4}", "https://h/", "/\u{e4}"));
    }
}
