//! What gets tried with tokens, through the gateway: each is refused for its own reason and reaches no server.
//!
//! `threat` is the row of docs/threat-model.md that the case belongs to. The good call brings a token of the developer;
//! `header` and `claims` are laid over its parts before it is signed (RFC 7396: null takes a member away). In their texts
//! `ISSUER`, `RESOURCE` and `OTHER` stand for the issuer, this server and another, `now+300` for that second, and `pad`
//! is as many letters. `token` is sent instead of the signed one; in `credential` (the Authorization field; empty for
//! none), `more` and `query`, `TOKEN` stands for it. `expect` is the status and then `allowed`, our reason, or `gateway`.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_authz::clock;
use mcp_authz::dev::client;
use mcp_authz::dev::dpop::ProofKey;
use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::stack::Stack;
use p256::ecdsa::Signature;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::parts::caller::{self, Caller, Reply, TRUSTED, developer};
use crate::parts::{audit, table, with_stack};

pub(crate) const CASES: &str = include_str!("cases/tokens.yaml");

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    threat: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    header: Map<String, Value>,
    #[serde(default)]
    claims: Map<String, Value>,
    #[serde(default)]
    signed: Signed,
    token: Option<String>,
    #[serde(default = "bearer")]
    credential: String,
    #[serde(default)]
    more: Vec<String>,
    query: Option<String>,
    /// Members laid over the body's.
    #[serde(default)]
    body: Map<String, Value>,
    expect: String,
}

/// Whose signature it bears.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Signed {
    #[default]
    Issuer,
    AnotherKey,
    /// HMAC with what the issuer publishes.
    PublicKey,
    Nobody,
    /// The issuer's over the text before it was changed.
    Before,
    /// The other of the two signatures that ES256 has for a text.
    Malleated,
    Der,
    Zeros,
}

fn bearer() -> String {
    "Bearer TOKEN".to_owned()
}

impl Case {
    fn token(&self, stack: &Stack) -> String {
        if let Some(token) = &self.token {
            return token.clone();
        }
        let mint = Mint {
            audiences: vec![stack.url("workbench")],
            ..developer()
        };
        let good_claims = Value::Object(stack.issuer.claims(&mint, clock::now()));
        let good_header = json!({ "alg": "ES256", "typ": "JWT", "kid": stack.issuer.kid() });
        let header = laid_over(&good_header, &self.header, stack);
        let claims = laid_over(&good_claims, &self.claims, stack);
        let by_issuer = |header: &Value, claims: &Value| stack.issuer.sign(header, claims).unwrap();
        let token = by_issuer(&header, &claims);
        let (text, signature) = token.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = match self.signed {
            Signed::Issuer => bytes,
            Signed::AnotherKey => {
                return ProofKey::generate().sign(&header, &claims).unwrap();
            }
            Signed::PublicKey => {
                let key = hmac::Key::new(
                    hmac::HMAC_SHA256,
                    stack.issuer.jwks()["keys"][0].to_string().as_bytes(),
                );
                hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
            }
            Signed::Nobody => Vec::new(),
            Signed::Before => {
                let before = by_issuer(&good_header, &good_claims);
                URL_SAFE_NO_PAD
                    .decode(before.rsplit_once('.').unwrap().1)
                    .unwrap()
            }
            Signed::Malleated => {
                let (r, s) = Signature::from_slice(&bytes).unwrap().split_scalars();
                Signature::from_scalars(r, -*s).unwrap().to_bytes().to_vec()
            }
            Signed::Der => Signature::from_slice(&bytes)
                .unwrap()
                .to_der()
                .as_bytes()
                .to_vec(),
            Signed::Zeros => vec![0; 64],
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    async fn send(&self, stack: &Stack) -> Reply {
        let token = self.token(stack);
        let with_token = |text: &str| text.replace("TOKEN", &token);
        let mut caller = Caller::without_token(stack, TRUSTED, "workbench");
        if let Some(query) = &self.query {
            caller.url = format!("{}?{}", caller.url, with_token(query));
        }
        let mut body = caller::call("fs_read", &json!({ "path": "/srv/work/hello.txt" }));
        for (name, value) in &self.body {
            body[name] = json!(with_token(value.as_str().unwrap()));
        }
        let mut request = caller.request("POST").body(body.to_string());
        let fields = client::SINGLE_CALL.iter().filter(|(name, _)| *name != "accept");
        for (name, value) in fields.chain(&[("mcp-name", "fs_read")]) {
            request = request.header(*name, *value);
        }
        if !self.credential.is_empty() {
            request = request.header("authorization", with_token(&self.credential));
        }
        for field in &self.more {
            let (name, value) = field.split_once(": ").unwrap();
            request = request.header(name, with_token(value));
        }
        Reply::of(request).await
    }
}

/// RFC 7396, with what stands for something put in.
fn laid_over(good: &Value, change: &Map<String, Value>, stack: &Stack) -> Value {
    let mut laid = good.clone();
    let members = laid.as_object_mut().unwrap();
    for (name, value) in change {
        match value {
            Value::Null => drop(members.remove(name)),
            Value::Number(letters) if name == "pad" => {
                let letters = usize::try_from(letters.as_u64().unwrap()).unwrap();
                members.insert(name.clone(), json!("x".repeat(letters)));
            }
            value => drop(members.insert(name.clone(), put_in(value, stack))),
        }
    }
    laid
}

fn put_in(value: &Value, stack: &Stack) -> Value {
    match value {
        Value::Array(values) => values.iter().map(|value| put_in(value, stack)).collect(),
        Value::String(text) => match text.strip_prefix("now").map(str::parse::<i64>) {
            Some(Ok(seconds)) => json!(clock::now().as_second() + seconds),
            _ => json!(
                text.replace("ISSUER", stack.issuer.issuer())
                    .replace("RESOURCE", &stack.url("workbench"))
                    .replace("OTHER", &stack.url("info"))
            ),
        },
        value => value.clone(),
    }
}

#[test]
fn each_token_of_the_table_is_refused_for_its_own_reason() {
    with_stack(async |stack| {
        let cases: Vec<Case> = serde_saphyr::from_str(CASES).unwrap();
        let mut wrong = Vec::new();
        for case in &cases {
            let reply = case.send(stack).await;
            let (status, expected) = case.expect.split_once(' ').unwrap();
            let as_expected = match expected {
                "allowed" => reply.text.contains("\"isError\":false"),
                "gateway" => !reply.text.contains("decision_id"),
                reason => reply.reason() == reason && recorded(stack, &reply, reason).await,
            };
            if reply.status.to_string() != status || !as_expected {
                wrong.push(format!(
                    "{} ({}): {}: {reply:?}",
                    case.threat, case.name, case.expect
                ));
            }
        }
        table::assert_none(&wrong, cases.len());
    });
}

/// Whether the audit says the same, and nothing of the token.
async fn recorded(stack: &Stack, reply: &Reply, reason: &str) -> bool {
    let record = audit::record(stack, &reply.decision_id()).await;
    record["outcome"] == "denied" && record["reason"] == reason && !record.to_string().contains("eyJ")
}
