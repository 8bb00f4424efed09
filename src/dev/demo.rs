//! A cast of people and agents, and what comes of their calls through the real gateway.

use serde_json::{Map, Value};

use super::client::{self, Answer, ClientError, Session};
use super::issuer::DevIssuerError;
use super::mint::Mint;
use super::pki::Authority;
use super::stack::{Stack, StackError};

pub mod cast;
mod journal;

use cast::{Agent, Expected, Scene, Token};
pub use journal::{Entry, Journal, Tail};

/// How long the tokens of the demo live, in seconds: longer than anybody looks at it.
const TOKEN_LIFETIME: i64 = 12 * 3600;

/// Why the cast can't play.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A part is missing.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A client can't be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A token can't be issued.
    #[error(transparent)]
    Token(#[from] DevIssuerError),
    /// The audit or a log can't be read.
    #[error("can't read `{path}`: {source}")]
    Read {
        /// Where it should be.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What came of a scene.
#[derive(Debug)]
pub struct Played {
    /// What was tried.
    pub scene: &'static Scene,
    /// What the client saw.
    pub answer: Answer,
    /// What the audit says of it; nothing of a connection that never was.
    pub entry: Option<Entry>,
}

/// Plays one scene: connects as this agent for this user, calls, and looks up what was recorded.
///
/// # Errors
/// [`DemoError`] if it can't be played at all.
pub async fn play(stack: &Stack, journal: &mut Journal, scene: &'static Scene) -> Result<Played, DemoError> {
    let token = token(stack, scene)?;
    let http = match scene.agent {
        Agent::Workload { spiffe_id, .. } => {
            let identity = stack.authority.workload(spiffe_id).map_err(ClientError::from)?;
            client::http(&stack.authority, Some(&identity))?
        }
        // Another authority says that it is a trusted agent; this gateway doesn't know that authority.
        Agent::Impostor { spiffe_id, .. } => {
            let stranger = Authority::new(crate::clock::now()).map_err(ClientError::from)?;
            let identity = stranger.workload(spiffe_id).map_err(ClientError::from)?;
            client::http(&stack.authority, Some(&identity))?
        }
    };
    journal.skip()?;
    let answer = match Session::open(http, &stack.url(scene.server), token.as_deref()).await {
        Ok(session) => {
            let answer = session.call(scene.tool, scene.arguments()).await;
            session.close().await;
            answer
        }
        Err(answer) => answer,
    };
    let entry = match scene.expected {
        Expected::NoConnection => None,
        _ => journal.decision(scene.tool).await?,
    };
    Ok(Played { scene, answer, entry })
}

/// The token that a scene's user brings.
///
/// # Errors
/// [`DemoError::Token`] if it can't be signed.
pub fn token(stack: &Stack, scene: &Scene) -> Result<Option<String>, DemoError> {
    let mint = |server: &str, lifetime_seconds: i64| Mint {
        user: scene.user.name.to_owned(),
        email: Some(format!("{}@example.com", scene.user.name)),
        roles: scene.user.roles.iter().map(|&role| role.to_owned()).collect(),
        tenants: vec!["acme".to_owned()],
        scopes: scene.user.scopes.iter().map(|&scope| scope.to_owned()).collect(),
        audiences: vec![stack.url(server)],
        lifetime_seconds,
        ..Mint::default()
    };
    let mint = match scene.token {
        Token::None => return Ok(None),
        Token::Valid => mint(scene.server, TOKEN_LIFETIME),
        Token::Expired => mint(scene.server, -60),
        Token::For(server) => mint(server, TOKEN_LIFETIME),
    };
    Ok(Some(stack.issuer.mint(&mint, crate::clock::now())?))
}

impl Played {
    /// Whether it came as the policies of this repository have it.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        let recorded = self
            .entry
            .as_ref()
            .map(|entry| (entry.outcome.as_str(), entry.reason.as_deref()));
        match (self.scene.expected, &self.answer) {
            (Expected::Allowed, Answer::Result { is_error, seen, .. }) => {
                // Both sides of the gateway must agree on who it was and which decision let it through.
                let header = |name: &str| {
                    seen.get(name)
                        .and_then(|values| values.get(0))
                        .and_then(Value::as_str)
                };
                !is_error
                    && matches!(recorded, Some(("allowed", _)))
                    && header("x-mcp-user") == Some(self.scene.user.name)
                    && header("x-mcp-decision-id") == self.decision_id()
            }
            (Expected::Denied { code, reason }, Answer::Error { code: told, data, .. }) => {
                *told == code
                    && recorded == Some(("denied", Some(reason)))
                    && data.get("decision_id").and_then(Value::as_str) == self.decision_id()
            }
            (Expected::Challenged { reason }, Answer::Challenged { .. }) => {
                recorded == Some(("denied", Some(reason)))
            }
            (Expected::NoConnection, Answer::Failed { .. }) => true,
            _ => false,
        }
    }

    /// The decision's id, as recorded.
    #[must_use]
    pub fn decision_id(&self) -> Option<&str> {
        self.entry.as_ref().map(|entry| entry.decision_id.as_str())
    }

    /// Whether the call reached the server and did its work.
    #[must_use]
    pub fn allowed(&self) -> bool {
        matches!(self.answer, Answer::Result { .. })
    }
}

impl Scene {
    /// The call's arguments; the cast's are all objects, which a test sees to.
    #[must_use]
    pub fn arguments(&self) -> Map<String, Value> {
        serde_json::from_str(self.arguments).unwrap_or_default()
    }
}
