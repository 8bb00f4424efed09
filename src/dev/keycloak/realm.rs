//! The shipped `compose/keycloak/realm-mcp.json` at other places.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

/// The realm as it is shipped, for the URLs of `compose/`.
pub const SHIPPED: &str = include_str!("../../../compose/keycloak/realm-mcp.json");

/// Where a user has the password.
const PASSWORD: &str = "/credentials/0/value";

/// The client of [`Places::passwords`]. Of its users' logouts mcp-authz is told as the shipped clients have it.
pub const PASSWORDS: &str = "passwords";

/// Another that wants to know which session ended, and is told of that one alone.
pub const PASSWORDS_BY_SESSION: &str = "passwords-by-session";

/// What differs from one machine to the next.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The realm's name. In the one that is called as the shipped one is, the users have the ids of the file; Keycloak
    /// takes an id once, so that in any other they get new ones.
    pub realm: String,
    /// The resource identifier of the MCP server `workbench`.
    pub workbench: String,
    /// The resource identifier of the MCP server `info`.
    pub info: String,
    /// mcp-authz's HTTP listener, told of logouts: `http://127.0.0.1:9192`.
    pub authz: String,
    /// Where the trust domain's bundle is.
    pub bundle: String,
    /// Whether there are two clients that trade a name and a password for tokens: for tests, where nobody looks at a login
    /// page.
    pub passwords: bool,
    /// Whether people and clients get new passwords and secrets, instead of those of the file that anybody can read.
    pub fresh: bool,
}

/// What proves who people and clients are, as a realm was made with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Credentials {
    pub(super) passwords: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, String>,
}

impl Credentials {
    /// Those that a realm's configuration says.
    pub(super) fn of(realm: &Value) -> Self {
        let list = |name: &str| realm.get(name).and_then(Value::as_array).into_iter().flatten();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let password = |user: &Value| Some((text(user.get("username"))?, text(user.pointer(PASSWORD))?));
        let secret = |client: &Value| Some((text(client.get("clientId"))?, text(client.get("secret"))?));
        Self {
            passwords: list("users").filter_map(password).collect(),
            secrets: list("clients").filter_map(secret).collect(),
        }
    }
}

/// A text that the shipped realm was expected to have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("realm-mcp.json has `{0}` nowhere, or isn't JSON")]
pub struct Unexpected(&'static str);

/// The shipped realm at these places. Everything else stays as it is.
///
/// # Errors
/// [`Unexpected`] if the file isn't the shipped one: nothing is replaced by guess.
pub fn configuration(places: &Places) -> Result<Value, Unexpected> {
    moved(SHIPPED, places)
}

fn moved(shipped: &str, places: &Places) -> Result<Value, Unexpected> {
    let replacements = [
        ("https://localhost:8443/workbench/mcp", &places.workbench),
        ("https://localhost:8443/info/mcp", &places.info),
        ("http://mcp-authz:9192", &places.authz),
        ("https://spire-server:8443/", &places.bundle),
    ];
    let mut text = shipped.to_owned();
    for (old, new) in replacements {
        if !text.contains(old) {
            return Err(Unexpected(old));
        }
        text = text.replace(old, new);
    }
    let mut realm: Value = serde_json::from_str(&text).map_err(|_| Unexpected("{"))?;
    let scopes = realm.get("defaultOptionalClientScopes").cloned();
    let always = realm.get("defaultDefaultClientScopes").cloned();
    let clients = realm.get_mut("clients").and_then(Value::as_array_mut);
    let (Some(scopes), Some(always), Some(clients)) = (scopes, always, clients) else {
        return Err(Unexpected("clients"));
    };
    if places.passwords {
        for (id, by_session) in [(PASSWORDS_BY_SESSION, "true"), (PASSWORDS, "false")] {
            clients.push(json!({
                "clientId": id, "publicClient": true, "standardFlowEnabled": false,
                "directAccessGrantsEnabled": true, "defaultClientScopes": always, "optionalClientScopes": scopes,
                "attributes": {
                    "backchannel.logout.url": format!("{}/revocation/keycloak/backchannel-logout", places.authz),
                    "backchannel.logout.session.required": by_session,
                },
            }));
        }
    }
    let shipped_name = realm.get("realm").and_then(Value::as_str) == Some(&places.realm);
    let users = realm.get_mut("users").and_then(Value::as_array_mut);
    for user in users.into_iter().flatten().filter_map(Value::as_object_mut) {
        if !shipped_name {
            user.remove("id");
        }
    }
    if places.fresh {
        refresh(&mut realm);
    }
    if let Some(members) = realm.as_object_mut() {
        members.insert("realm".to_owned(), json!(places.realm));
    }
    Ok(realm)
}

/// Gives everybody who has a password or a secret another one.
fn refresh(realm: &mut Value) {
    for (list, place) in [("users", PASSWORD), ("clients", "/secret")] {
        let list = realm.get_mut(list).and_then(Value::as_array_mut);
        for one in list.into_iter().flatten() {
            if let Some(value) = one.pointer_mut(place) {
                *value = Uuid::now_v7().to_string().into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            realm: "other".to_owned(),
            workbench: "https://localhost:1/workbench/mcp".to_owned(),
            info: "https://localhost:1/info/mcp".to_owned(),
            authz: "http://127.0.0.1:2".to_owned(),
            bundle: "http://127.0.0.1:3/bundle".to_owned(),
            passwords: true,
            fresh: false,
        }
    }

    #[test]
    fn a_fresh_realm_has_nothing_of_what_is_secret_in_the_shipped_one() {
        let fresh = Places {
            fresh: true,
            ..places()
        };
        let configuration = configuration(&fresh).unwrap();
        assert!(!configuration.to_string().contains("only-for-the-demo"));
        let (new, old) = (
            Credentials::of(&configuration),
            Credentials::of(&moved(SHIPPED, &places()).unwrap()),
        );
        assert_eq!(old.passwords["alice"], "alice-only-for-the-demo");
        assert!(new.passwords.keys().eq(old.passwords.keys()));
        assert!(new.secrets.len() > 2 && new.secrets.keys().eq(old.secrets.keys()));
    }

    #[test]
    fn the_shipped_realm_can_be_moved_to_other_places() {
        let moved = configuration(&places()).unwrap();
        assert_eq!(moved["realm"], "other");
        let text = moved.to_string();
        for left in ["8443", "9192", "spire-server"] {
            assert!(!text.contains(left), "{left}");
        }
        assert_eq!(
            moved["clients"].as_array().unwrap().last().unwrap()["clientId"],
            PASSWORDS
        );
    }

    #[test]
    fn users_have_the_ids_of_the_file_in_the_realm_of_its_name_alone() {
        let other = configuration(&places()).unwrap();
        let same = Places {
            realm: "mcp".to_owned(),
            ..places()
        };
        let same = configuration(&same).unwrap();
        let ids = |realm: &Value| {
            let users = realm["users"].as_array().unwrap();
            users.iter().filter(|user| user["id"].is_string()).count()
        };
        assert_eq!(
            (ids(&other), ids(&same)),
            (0, same["users"].as_array().unwrap().len())
        );
    }

    #[test]
    fn the_shipped_realm_takes_no_passwords_from_clients() {
        let shipped: Value = serde_json::from_str(SHIPPED).unwrap();
        for client in shipped["clients"].as_array().unwrap() {
            assert_eq!(client["directAccessGrantsEnabled"], false, "{client}");
        }
    }

    #[test]
    fn another_realm_is_not_edited_by_guess() {
        assert_eq!(
            moved("{}", &places()),
            Err(Unexpected("https://localhost:8443/workbench/mcp"))
        );
    }
}
