//! What policies read of a user, as the audit writes it: enough to ask the policies again.
//!
//! In: a [`User`]. Out: one JSON object. Who asks for it at each call keeps it. Left out is the e-mail address; and
//! what would make a line long: such a claim is named in `omitted`, and nothing of it is there.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::User;
use crate::exchange::printable;

/// The most bytes of all claims together.
const MAX_BYTES: usize = 4096;
/// The most bytes of one text.
const MAX_TEXT: usize = 1024;

impl User {
    /// What policies read of this user besides who it is: one JSON object of printable characters, at most 4 kB and the names of
    /// what was left out.
    #[must_use]
    pub fn facts(&self) -> Arc<RawValue> {
        write(self)
    }
}

fn write(user: &User) -> Arc<RawValue> {
    let mut facts = Object::default();
    facts.text("acr", user.acr.as_deref());
    facts.text("client_id", user.client_id.as_deref());
    let authenticated = user.authenticated.map(|at| at.to_string());
    facts.text("authenticated", authenticated.as_deref());
    facts.list("roles", &user.roles);
    facts.list("tenants", &user.tenants);
    facts.list("scopes", &user.scopes);
    facts.list("groups", &user.groups);
    facts.end()
}

/// An object on its way.
#[derive(Default)]
struct Object {
    members: String,
    omitted: Vec<String>,
}

impl Object {
    fn text(&mut self, name: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        let mut value = String::new();
        printable::push_quoted(&mut value, text);
        self.member(name, &value, text.len() <= MAX_TEXT);
    }

    fn list(&mut self, name: &str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        let fits = texts.iter().all(|text| text.len() <= MAX_TEXT);
        let mut value = String::from("[");
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                value.push(',');
            }
            printable::push_quoted(&mut value, text);
            if value.len() > MAX_BYTES {
                break;
            }
        }
        value.push(']');
        self.member(name, &value, fits);
    }

    fn member(&mut self, name: &str, value: &str, fits: bool) {
        let length = [self.members.len(), name.len(), value.len(), 4];
        if !fits || length.into_iter().fold(0, usize::saturating_add) > MAX_BYTES {
            self.omitted.push(name.to_owned());
            return;
        }
        if !self.members.is_empty() {
            self.members.push(',');
        }
        printable::push_quoted(&mut self.members, name);
        self.members.push(':');
        self.members.push_str(value);
    }

    fn end(mut self) -> Arc<RawValue> {
        if !self.omitted.is_empty() {
            let names = std::mem::take(&mut self.omitted);
            let mut value = String::from("[");
            for (index, name) in names.iter().enumerate() {
                if index > 0 {
                    value.push(',');
                }
                printable::push_quoted(&mut value, name);
            }
            value.push(']');
            if !self.members.is_empty() {
                self.members.push(',');
            }
            self.members.push_str("\"omitted\":");
            self.members.push_str(&value);
        }
        let text = format!("{{{}}}", self.members).into_boxed_str().into_string();
        // Only text that was written above, as JSON: it always parses.
        RawValue::from_string(text).map_or_else(|_| Arc::from(RawValue::NULL.to_owned()), Arc::from)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn user() -> User {
        User {
            issuer: "https://idp".to_owned(),
            subject: "42".to_owned(),
            username: "alice".to_owned(),
            email: Some("alice@example.com".to_owned()),
            roles: vec!["admin".to_owned()],
            groups: vec!["/staff".to_owned()],
            tenants: vec!["acme".to_owned()],
            scopes: vec!["a:read".to_owned(), "b".to_owned()],
            acr: Some("2".to_owned()),
            client_id: Some("cli".to_owned()),
            token_id: Some("j".to_owned()),
            login_session: Some("s".to_owned()),
            expires: Timestamp::MAX,
            authenticated: Some(Timestamp::UNIX_EPOCH),
        }
    }

    fn read(user: &User) -> Value {
        serde_json::from_str(user.facts().get()).unwrap()
    }

    #[test]
    fn what_policies_read_is_written_without_the_address() {
        let user = user();
        assert_eq!(
            read(&user),
            json!({ "acr": "2", "client_id": "cli", "authenticated": "1970-01-01T00:00:00Z", "roles": ["admin"],
                "tenants": ["acme"], "scopes": ["a:read", "b"], "groups": ["/staff"] })
        );
    }

    #[test]
    fn what_has_no_room_is_named_and_nothing_of_it_is_there() {
        let mut many = user();
        many.groups = (0..1000).map(|number| format!("/group/{number}")).collect();
        many.acr = Some("x".repeat(1025));
        let facts = read(&many);
        assert_eq!(facts["omitted"], json!(["acr", "groups"]));
        assert!(facts.get("groups").is_none() && facts.get("acr").is_none());
        assert_eq!(facts["roles"], json!(["admin"]));
        assert!(many.facts().get().len() <= MAX_BYTES + 192);
    }

    #[test]
    fn a_hostile_role_neither_ends_the_line_nor_the_object() {
        let mut hostile = user();
        hostile.roles = vec!["a\n\"]},\"outcome\":\"allowed\u{202e}".to_owned()];
        assert!(printable::is_plain(hostile.facts().get()));
        assert_eq!(read(&hostile)["roles"], json!(hostile.roles));
        assert!(read(&hostile).get("outcome").is_none());
    }
}
