//! A table of calls with a JWT-SVID in `x-jwt-svid`: one line of YAML each.
//!
//! `threat` is the row of docs/threat-model.md that the case belongs to. The good call brings a JWT-SVID of the trusted
//! agent, signed by our trust domain (`domain: partner`: by the federated one), for the server that is called; `header` and
//! `claims` are laid over its own (RFC 7396: null takes a member away). In their texts `RESOURCE` stands for the server's
//! own, and `now-61` in times for that moment.
//!
//! `expect` is the status and then either `allowed`, or our reason; `as_token` the same where it comes as the access token of a
//! server that requires workloads alone, if that is told otherwise.

use mcp_authz::clock;
use mcp_authz::dev::trust_domain::DevTrustDomain;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::caller::TRUSTED;

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What is tried, as docs/threat-model.md says it.
    pub(crate) threat: String,
    /// How, if there is more than one way.
    #[serde(default)]
    pub(crate) name: String,
    /// Who signs.
    #[serde(default)]
    pub(crate) domain: Signer,
    #[serde(default)]
    header: Map<String, Value>,
    #[serde(default)]
    claims: Map<String, Value>,
    pub(crate) expect: String,
    /// The same as an access token, where that is another reason.
    as_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signer {
    #[default]
    Ours,
    Partner,
}

pub(crate) fn cases(text: &str) -> Vec<Case> {
    serde_saphyr::from_str(text).unwrap()
}

impl Case {
    /// What is expected of it.
    pub(crate) fn expected(&self, as_token: bool) -> &str {
        let other = self.as_token.as_deref().filter(|_| as_token);
        other.unwrap_or(&self.expect)
    }

    /// What this case's caller shows.
    pub(crate) fn svid(&self, domain: &DevTrustDomain, resource: &str) -> String {
        let now = clock::now().as_second();
        let mut header = json!({ "typ": "JWT" });
        let mut claims =
            json!({ "sub": TRUSTED, "aud": [resource], "iat": now, "exp": now.saturating_add(300) });
        lay_over(&mut claims, &self.claims, resource, now);
        // Null takes `alg` and `kid` away when it is signed.
        header.as_object_mut().unwrap().extend(self.header.clone());
        domain.sign_jwt(&header, &claims).unwrap()
    }
}

fn lay_over(under: &mut Value, over: &Map<String, Value>, resource: &str, now: i64) {
    for (name, value) in over {
        if value.is_null() {
            under.as_object_mut().unwrap().remove(name);
        } else {
            under[name] = read(value, resource, now);
        }
    }
}

fn read(value: &Value, resource: &str, now: i64) -> Value {
    match value {
        Value::Array(list) => list.iter().map(|one| read(one, resource, now)).collect(),
        Value::String(text) if text == "RESOURCE" => json!(resource),
        Value::String(text) => match text.strip_prefix("now").map(str::parse::<i64>) {
            Some(Ok(seconds)) => json!(now.saturating_add(seconds)),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}
