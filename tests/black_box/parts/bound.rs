//! A table of calls with bound tokens: one line of YAML each.
//!
//! `threat` is the row of docs/threat-model.md that the case belongs to. `at` is what the server's `sender_constraint`
//! is, or `stranger`: a server whose gateway is trusted for nothing. The good call brings a token that is bound to the
//! caller's key, with a new proof for this very call; `header` and `claims` are laid over the proof's (RFC 7396: null
//! takes a member away). In their texts `ORIGIN` and `PATH` stand for those of the server, `PORT` for its port, and
//! `now-61` as `iat` for that moment.
//!
//! `expect` is the status and then either `allowed`, or our reason; where a challenge is expected its schemes (`DPoP`,
//! `Bearer`, `both`) and its error, `-` if it has none.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_authz::clock;
use mcp_authz::dev::client;
use mcp_authz::dev::dpop::ProofKey;
use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::pki::Identity;
use mcp_authz::dev::stack::Stack;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::caller::{Caller, Reply, TRUSTED, developer};

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What is tried, as docs/threat-model.md says it.
    pub(crate) threat: String,
    /// How, if there is more than one way.
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) at: String,
    /// What the token is bound to.
    #[serde(default)]
    token: Binding,
    /// Default: `DPoP` for a token that is bound to a key, else `Bearer`.
    scheme: Option<String>,
    #[serde(default)]
    proof: Sent,
    #[serde(default)]
    header: Map<String, Value>,
    #[serde(default)]
    claims: Map<String, Value>,
    /// Whether another key than the token's signs the proof; `jwk` stays the token's.
    #[serde(default)]
    forged: bool,
    /// Whether it comes over a connection with another certificate, of the same workload.
    #[serde(default)]
    other_certificate: bool,
    pub(crate) expect: String,
}

/// What a token is bound to.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Binding {
    #[default]
    Key,
    OtherKey,
    Certificate,
    Both,
    Nothing,
    Unknown,
}

/// How the proof is sent.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sent {
    /// Once, where the scheme is `DPoP`.
    #[default]
    Once,
    Never,
    Twice,
    /// Two in one field, as a gateway would join them.
    Joined,
    /// The token itself.
    Token,
}

/// Somebody with a key and a certificate, and tokens that are bound to them.
pub(crate) struct Owner<'a> {
    stack: &'a Stack,
    pub(crate) server: &'a str,
    pub(crate) key: ProofKey,
    identity: Identity,
}

/// The cases of `tests/black_box/cases/bound.yaml`.
pub(crate) fn cases(text: &str) -> Vec<Case> {
    serde_saphyr::from_str(text).unwrap()
}

impl<'a> Owner<'a> {
    pub(crate) fn new(stack: &'a Stack, server: &'a str) -> Self {
        Self {
            stack,
            server,
            key: ProofKey::generate(),
            identity: stack.authority.workload(TRUSTED).unwrap(),
        }
    }

    pub(crate) fn url(&self) -> String {
        self.stack.url(self.server)
    }

    /// A token whose `cnf` is this; none if it is null.
    pub(crate) fn token(&self, confirmation: Value) -> String {
        let mint = Mint {
            audiences: vec![self.url()],
            scopes: vec!["public:read".to_owned()],
            extra: [("cnf".to_owned(), confirmation)].into_iter().collect(),
            ..developer()
        };
        self.stack.issuer.mint(&mint, clock::now()).unwrap()
    }

    pub(crate) fn bound_token(&self) -> String {
        self.token(json!({ "jkt": self.key.thumbprint() }))
    }

    fn token_of(&self, binding: &Binding) -> String {
        let (key, certificate) = (self.key.thumbprint(), thumbprint(&self.identity));
        self.token(match binding {
            Binding::Key => json!({ "jkt": key }),
            Binding::OtherKey => json!({ "jkt": ProofKey::generate().thumbprint() }),
            Binding::Certificate => json!({ "x5t#S256": certificate }),
            Binding::Both => json!({ "jkt": key, "x5t#S256": certificate }),
            Binding::Nothing => Value::Null,
            Binding::Unknown => json!({ "x5t": "AAAA" }),
        })
    }

    /// The header and the claims of a good proof for a call with this token.
    pub(crate) fn proof(&self, token: &str) -> (Value, Value) {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.jwk() });
        let claims = json!({
            "jti": uuid::Uuid::now_v7().to_string(), "htm": "POST", "htu": self.url(), "iat": clock::now().as_second(),
            "ath": hash(token.as_bytes()),
        });
        (header, claims)
    }

    /// What comes of a good call, but for its proof's nonce; none if it is null.
    pub(crate) async fn prove(&self, nonce: &Value) -> Reply {
        let token = self.bound_token();
        let (header, mut claims) = self.proof(&token);
        if !nonce.is_null() {
            claims["nonce"] = nonce.clone();
        }
        let proof = self.key.sign(&header, &claims).unwrap();
        let authorization = format!("DPoP {token}");
        let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
        self.call(&self.http(), &fields).await
    }

    /// A connection with the owner's certificate.
    pub(crate) fn http(&self) -> reqwest::Client {
        client::http(&self.stack.authority, Some(&self.identity)).unwrap()
    }

    /// A call of a tool that the owner may use.
    pub(crate) async fn call(&self, http: &reqwest::Client, fields: &[(&str, &str)]) -> Reply {
        let (tool, arguments) = match self.server {
            "info" => ("get_public_info", json!({})),
            _ => ("fs_read", json!({ "path": "/srv/work/hello.txt" })),
        };
        let caller = Caller {
            http: http.clone(),
            url: self.url(),
            token: None,
        };
        caller.call_with(tool, &arguments, fields).await
    }
}

impl Case {
    /// What comes of the case.
    pub(crate) async fn sent_by(&self, owner: &Owner<'_>) -> Reply {
        let token = owner.token_of(&self.token);
        let proved = matches!(self.token, Binding::Key | Binding::OtherKey | Binding::Both);
        let scheme = self
            .scheme
            .as_deref()
            .unwrap_or(if proved { "DPoP" } else { "Bearer" });
        let proof = self.proof(owner, &token);
        let joined = format!("{proof}, {proof}");
        let proofs = match self.proof {
            Sent::Once if scheme == "Bearer" && !proved => vec![],
            Sent::Never => vec![],
            Sent::Once => vec![&proof],
            Sent::Twice => vec![&proof, &proof],
            Sent::Joined => vec![&joined],
            Sent::Token => vec![&token],
        };
        let authorization = format!("{scheme} {token}");
        let mut fields = vec![("authorization", authorization.as_str())];
        fields.extend(proofs.into_iter().map(|proof| ("dpop", proof.as_str())));
        let http = if self.other_certificate {
            Owner::new(owner.stack, owner.server).http()
        } else {
            owner.http()
        };
        owner.call(&http, &fields).await
    }

    fn proof(&self, owner: &Owner<'_>, token: &str) -> String {
        let (mut header, mut claims) = owner.proof(token);
        lay(&mut header, &self.header);
        lay(&mut claims, &self.claims);
        for claim in claims.as_object_mut().unwrap().values_mut() {
            if let Some(text) = claim.as_str() {
                *claim = written(text, owner);
            }
        }
        let key = if self.forged {
            &ProofKey::generate()
        } else {
            &owner.key
        };
        key.sign(&header, &claims).unwrap()
    }
}

fn written(text: &str, owner: &Owner<'_>) -> Value {
    if let Some(seconds) = text.strip_prefix("now") {
        return clock::now()
            .as_second()
            .saturating_add(seconds.parse().unwrap())
            .into();
    }
    let port = owner.stack.ports.listener.to_string();
    let origin = format!("https://localhost:{port}");
    let path = format!("/{}/mcp", owner.server);
    let text = text.replace("ORIGIN", &origin).replace("PATH", &path);
    text.replace("PORT", &port).into()
}

/// RFC 7396.
fn lay(under: &mut Value, over: &Map<String, Value>) {
    let under = under.as_object_mut().unwrap();
    for (name, value) in over {
        match value {
            Value::Null => drop(under.remove(name)),
            Value::Object(members) => lay(under.entry(name).or_insert(json!({})), members),
            value => drop(under.insert(name.clone(), value.clone())),
        }
    }
}

/// RFC 8705 §3.1
fn thumbprint(identity: &Identity) -> String {
    hash(&CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap())
}

fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}
