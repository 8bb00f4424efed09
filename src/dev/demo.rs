//! A cast of people and agents, and what comes of their calls through the real gateway.

use serde_json::{Map, Value};

use super::agents::{AgentError, WorldError};
use super::client::{self, ClientError, Session};
use super::issuer::DevIssuerError;
use super::mint::Mint;
use super::pki::Authority;
use super::stack::{Stack, StackError};

pub mod agents;
pub mod cast;
mod journal;
mod played;

use cast::{Agent, Scene, Token};
pub use journal::{Entry, Journal, Tail};
pub use played::{Expected, Played};

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
    /// What the agents need isn't there.
    #[error(transparent)]
    World(#[from] WorldError),
    /// An agent can't do what it is to do.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The audit or a log can't be read.
    #[error("can't read `{path}`: {source}")]
    Read {
        /// Where it should be.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
    Ok(Played {
        user: scene.user.name.to_owned(),
        who: scene.user.name.to_owned(),
        note: scene.note(),
        agent: scene.agent.name(),
        tier: scene.agent.tier().to_owned(),
        server: scene.server,
        tool: scene.tool,
        arguments: scene.arguments(),
        expected: scene.expected,
        answer,
        entry,
        actor: None,
    })
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

impl Scene {
    /// What people should know of the user, or of the token.
    fn note(&self) -> String {
        match self.token {
            Token::Valid => self.user.title.to_owned(),
            Token::None => "without a token".to_owned(),
            Token::Expired => "expired token".to_owned(),
            Token::For(server) => format!("token for {server}"),
        }
    }

    /// The call's arguments; the cast's are all objects, which a test sees to.
    #[must_use]
    pub fn arguments(&self) -> Map<String, Value> {
        serde_json::from_str(self.arguments).unwrap_or_default()
    }
}
