//! The shipped `envoy/envoy.yaml` with other ports and paths, and where to find Envoy.

use std::path::{Path, PathBuf};

/// Which Envoy the configuration is written for.
pub const VERSION: &str = "1.40";

/// What differs from one machine to the next.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    /// The port of the TLS listener.
    pub listener: u16,
    /// The port of the administration interface.
    pub admin: u16,
    /// The port of mcp-authz.
    pub authz: u16,
    /// The port of the MCP server `workbench`.
    pub workbench: u16,
    /// The port of the MCP server `info`.
    pub info: u16,
    /// The directory of the certificates.
    pub pki: &'a Path,
}

/// A text that the shipped configuration was expected to have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("envoy.yaml has `{text}` {found} times instead of {expected}")]
pub struct Unexpected {
    text: &'static str,
    found: usize,
    expected: usize,
}

/// The shipped configuration at these places. Everything else stays as it is.
///
/// # Errors
/// [`Unexpected`] if the configuration isn't the shipped one: nothing is replaced by guess.
pub fn configuration(shipped: &str, places: &Places<'_>) -> Result<String, Unexpected> {
    let listener = places.listener;
    let port = |port: u16| format!("port_value: {port} ");
    let replacements = [
        ("port_value: 8443 ", 1, port(listener)),
        ("port_value: 9901 ", 1, port(places.admin)),
        ("port_value: 50051 ", 1, port(places.authz)),
        ("port_value: 9101 ", 1, port(places.workbench)),
        ("port_value: 9102 ", 1, port(places.info)),
        (
            "\"localhost:8443\", \"127.0.0.1:8443\"",
            1,
            format!("\"localhost:{listener}\", \"127.0.0.1:{listener}\""),
        ),
        (
            "filename: /etc/mcp-authz/pki/",
            6,
            format!("filename: {}/", places.pki.display()),
        ),
    ];
    let mut text = shipped.to_owned();
    for (old, expected, new) in replacements {
        let found = text.matches(old).count();
        if found != expected {
            return Err(Unexpected {
                text: old,
                found,
                expected,
            });
        }
        text = text.replace(old, &new);
    }
    Ok(text)
}

/// Envoy's program: of the tools beside the sources, else on the `PATH`.
#[must_use]
pub fn find(tools: &Path, path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let in_path = path
        .into_iter()
        .flat_map(std::env::split_paths)
        .map(|directory| directory.join("envoy"));
    std::iter::once(tools.join("venv/bin/envoy"))
        .chain(in_path)
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../envoy/envoy.yaml");

    fn places() -> Places<'static> {
        Places {
            listener: 1,
            admin: 2,
            authz: 3,
            workbench: 4,
            info: 5,
            pki: Path::new("/tmp/pki"),
        }
    }

    #[test]
    fn the_shipped_configuration_can_be_moved_to_other_ports() {
        let moved = configuration(SHIPPED, &places()).unwrap();
        for left in ["8443", "9901", "50051", "9101", "9102"] {
            let line = moved
                .lines()
                .find(|line| !line.trim_start().starts_with('#') && line.contains(left));
            assert_eq!(line, None);
        }
    }

    #[test]
    fn another_configuration_is_not_edited_by_guess() {
        let error = configuration("admin: {}", &places()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "envoy.yaml has `port_value: 8443 ` 0 times instead of 1"
        );
    }
}
