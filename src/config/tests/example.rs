//! The example that is shipped: sound, complete, and the defaults.

use super::*;

const EXAMPLE: &str = include_str!("../../../mcp-authz.example.yaml");

/// Every map in a value, by the path to it.
fn maps(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            found.push(path.to_owned());
            for (name, member) in members {
                maps(member, &format!("{path}/{name}"), found);
            }
        }
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                maps(item, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_example_is_sound_and_holds_the_defaults() {
    let config = read(EXAMPLE, &[]).unwrap();
    assert_eq!(config.policies, policy::Settings::default());
    assert_eq!(config.messages, mcp::Limits::default());
    assert_eq!(config.state, state::Settings::default());
    assert_eq!(config.revocation, revocation::Settings::default());
    assert_eq!(config.log, LogSettings::default());
    assert_eq!(config.http, HttpSettings::default());
    let mut grpc = config.grpc.clone();
    (grpc.unix, grpc.tls) = (None, None);
    assert_eq!(grpc, wire::Settings::default());
    let mut audit = config.audit.clone();
    (audit.file, audit.key_file) = (None, None);
    assert_eq!(audit, AuditSettings::default());
    let spiffe = &config.identity.spiffe;
    assert_eq!(spiffe.bundles, crate::spiffe::settings::Refresh::default());
    let mut svid = spiffe.jwt_svid.clone();
    (svid.header, svid.audiences) = (None, Vec::new());
    assert_eq!(svid, identity::settings::JwtSvids::default());
    let mut issuer = config.identity.issuers[0].clone();
    (issuer.ca_file, issuer.algorithms) = (None, Vec::new());
    issuer.clients.clear();
    issuer.actor_issuers.clear();
    let mut asked = issuer.introspection.take().unwrap();
    (asked.endpoint, asked.prefix) = (None, None);
    let default = identity::settings::Introspection::new(&asked.client_id, asked.auth.clone());
    assert_eq!(asked, default);
    assert_eq!(
        issuer,
        identity::settings::Issuer::new("keycloak", "https://id.example/realms/mcp")
    );
}

/// A key that nobody knows is put into each map of the example; what the error says is known there must all stand there.
#[test]
fn the_example_names_every_key() {
    let example: serde_json::Value = serde_saphyr::from_str(EXAMPLE).unwrap();
    let mut paths = Vec::new();
    maps(&example, "", &mut paths);
    let mut probed = 0;
    // The keys of `clients` are names of one's own.
    for path in paths.into_iter().filter(|path| !path.ends_with("/clients")) {
        let mut changed = example.clone();
        let map = changed.pointer_mut(&path).unwrap().as_object_mut().unwrap();
        map.insert("zzzzzz".to_owned(), serde_json::Value::Null);
        let problems = read(&changed.to_string(), &[]).unwrap_err();
        let Some(known) = problems
            .iter()
            .find_map(|told| told.split("(known here: ").nth(1))
        else {
            continue;
        };
        probed += 1;
        for key in known.trim_end_matches(')').split(", ") {
            // Of several items in a list it is enough if one shows the key.
            let shown = (0..9).any(|item| {
                let sibling = path
                    .rsplit_once('/')
                    .filter(|(_, last)| last.parse::<usize>().is_ok());
                let sibling = sibling.map_or_else(|| path.clone(), |(list, _)| format!("{list}/{item}"));
                example.pointer(&format!("{sibling}/{key}")).is_some()
            });
            assert!(shown, "mcp-authz.example.yaml lacks `{key}` in `{path}`");
        }
    }
    assert!(probed >= 16, "only {probed} maps could be probed");
}
