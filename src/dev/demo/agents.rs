//! The ten agents at a real Keycloak, and what comes of their calls: for themselves, for people, and when one of them takes
//! what is another's.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use super::{DemoError, Entry, Expected, Journal, Played};
use crate::clock;
use crate::dev::agents::{Agent, Named};
pub use crate::dev::agents::{AgentError, World, WorldError};
use crate::dev::client::{self, Answer, Session};
use crate::dev::dpop::ProofKeyError;
use crate::dev::stack::TRUST_DOMAIN;
use crate::dev::trust_domain::DevTrustDomain;
use crate::spiffe::TrustDomain;

mod scenes;

pub use scenes::SCENES;

/// How an agent comes by what it calls with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Its own token, key and connection.
    Own,
    /// Its own token as a bearer token, as whoever read it somewhere would send it.
    Bearer,
    /// Its own token without a proof.
    WithoutProof,
    /// Its own token with a proof that it used a moment ago.
    Replayed,
    /// Its token is in the hands of this agent, with its own key and connection.
    StolenBy(&'static Named),
    /// Its token and its key are in the hands of this agent, over its own connection.
    StolenWithKeyBy(&'static Named),
    /// The user's own token, bound to no key.
    Unbound,
    /// Its own, a moment after its user was logged out at Keycloak.
    LoggedOut,
    /// It logs in with an SVID that another authority signed.
    ForgedLogin,
    /// It connects with an SVID that another authority signed.
    ForgedConnection,
}

/// One call.
#[derive(Debug)]
pub struct Scene {
    /// For whom, and what people call their role; nobody: for itself.
    pub user: Option<(&'static str, &'static str)>,
    /// Who calls, or whose token it is.
    pub agent: &'static Named,
    /// With what.
    pub way: Way,
    /// For which scopes Keycloak is asked.
    pub scopes: &'static str,
    /// Which server.
    pub server: &'static str,
    /// Which of its tools.
    pub tool: &'static str,
    /// With what: a JSON object.
    pub arguments: &'static str,
    /// What must come of it.
    pub expected: Expected,
}

/// What the call comes with.
type Fields = Result<HeaderMap, AgentError>;

/// Plays one scene: logs in, calls, and looks up what was recorded.
///
/// # Errors
/// [`DemoError`] if it can't be played at all.
pub async fn play(world: &World, journal: &mut Journal, scene: &'static Scene) -> Result<Played, DemoError> {
    let stage = Stage { world, scene };
    let answer = match stage.holder().await {
        Ok(holder) => {
            journal.skip()?;
            stage.answer(&holder, journal).await?
        }
        Err(AgentError::Keycloak(refused)) => Answer::Failed {
            error: refused.to_string(),
        },
        Err(error) => return Err(error.into()),
    };
    let entry = match scene.expected {
        Expected::NoConnection | Expected::NoToken => None,
        _ => journal.decision(scene.tool).await?,
    };
    Ok(stage.played(answer, entry))
}

/// An agent with a token.
struct Holder {
    agent: Agent,
    token: String,
}

struct Stage<'a> {
    world: &'a World,
    scene: &'static Scene,
}

impl Stage<'_> {
    /// Who has the token at first.
    async fn holder(&self) -> Result<Holder, AgentError> {
        let Scene {
            user,
            agent,
            way,
            scopes,
            ..
        } = self.scene;
        let realm = &self.world.realm;
        let agent = match way {
            Way::ForgedLogin | Way::ForgedConnection => {
                Agent::start(&agent.spiffe_id(), &strangers()?, &self.world.stack.authority)?
            }
            _ => self.world.agent(agent)?,
        };
        let token = match (user, way) {
            // Whoever isn't let in needs no token to be kept out.
            (_, Way::ForgedConnection) => String::new(),
            (Some((user, _)), Way::Unbound) => realm.user(user, scopes).await?.access_token,
            (Some((user, _)), _) => {
                let given = realm.user(user, "agents").await?.access_token;
                agent.exchange(realm, &given, scopes).await?.access_token
            }
            (None, _) => agent.log_in(realm, scopes).await?.access_token,
        };
        Ok(Holder { agent, token })
    }

    async fn answer(&self, holder: &Holder, journal: &mut Journal) -> Result<Answer, DemoError> {
        let Holder { agent, token } = holder;
        let shown = |scheme: &str| shown(scheme, token);
        let proved = |by: &Agent| self.proved(by, token);
        Ok(match self.scene.way {
            Way::Own => self.session(agent, token).await,
            Way::Bearer | Way::Unbound => self.single(agent, shown("Bearer")?).await,
            Way::WithoutProof => self.single(agent, shown("DPoP")?).await,
            Way::Replayed => {
                let fields = proved(agent)?;
                match self.first_of_two(agent, fields.clone(), journal).await? {
                    Answer::Result { .. } => self.single(agent, fields).await,
                    first => first,
                }
            }
            Way::LoggedOut => match self.first_of_two(agent, proved(agent)?, journal).await? {
                Answer::Result { .. } => {
                    let realm = &self.world.realm;
                    let user = self.scene.user.map_or("", |(user, _)| user);
                    realm.log_out(user).await.map_err(AgentError::from)?;
                    self.single(agent, proved(agent)?).await
                }
                first => first,
            },
            Way::StolenBy(thief) => {
                let thief = self.world.agent(thief)?;
                self.single(&thief, proved(&thief)?).await
            }
            Way::StolenWithKeyBy(thief) => {
                let thief = self.world.agent(thief)?;
                self.single(&thief, proved(agent)?).await
            }
            Way::ForgedConnection => self.single(agent, proved(agent)?).await,
            // It came by a token, against what is expected: shown with a certificate that is taken.
            Way::ForgedLogin => {
                let over = self.world.agent(self.scene.agent)?;
                self.single(&over, proved(agent)?).await
            }
        })
    }

    /// As a client of an official SDK calls: each request with a proof of its own.
    async fn session(&self, agent: &Agent, token: &str) -> Answer {
        match Session::open_bound(agent.client(token), &self.url()).await {
            Ok(session) => {
                let answer = session.call(self.scene.tool, self.scene.arguments()).await;
                session.close().await;
                answer
            }
            Err(answer) => answer,
        }
    }

    async fn single(&self, over: &Agent, fields: HeaderMap) -> Answer {
        let arguments = Value::Object(self.scene.arguments());
        client::single(over.http(), &self.url(), self.scene.tool, &arguments, fields).await
    }

    /// A call that is recorded before another is sent.
    async fn first_of_two(
        &self,
        over: &Agent,
        fields: HeaderMap,
        journal: &mut Journal,
    ) -> Result<Answer, DemoError> {
        let first = self.single(over, fields).await;
        if matches!(first, Answer::Result { .. }) {
            journal.decision(self.scene.tool).await?;
        }
        Ok(first)
    }

    fn proved(&self, by: &Agent, token: &str) -> Fields {
        let fields = by.client(token).fields("POST", &self.url())?;
        Ok(fields.into_iter().collect())
    }

    fn url(&self) -> String {
        self.world.stack.url(self.scene.server)
    }

    fn played(&self, answer: Answer, entry: Option<Entry>) -> Played {
        let Scene { user, agent, way, .. } = self.scene;
        let (through, note) = match way {
            Way::Own => (*agent, user.map_or("its own account", |(_, role)| role)),
            Way::Bearer => (*agent, "as a bearer token"),
            Way::WithoutProof => (*agent, "without a proof"),
            Way::Replayed => (*agent, "proof sent again"),
            Way::LoggedOut => (*agent, "logged out"),
            Way::StolenBy(thief) => (*thief, "stolen token"),
            Way::StolenWithKeyBy(thief) => (*thief, "stolen token, key"),
            Way::Unbound => (*agent, "unbound token"),
            Way::ForgedLogin => (*agent, "logs in by forgery"),
            Way::ForgedConnection => (*agent, "forged certificate"),
        };
        let itself = if through == *agent { "itself" } else { agent.name };
        Played {
            user: user.map_or_else(|| agent.account(), |(user, _)| user.to_owned()),
            who: user.map_or(itself, |(user, _)| user).to_owned(),
            note: note.to_owned(),
            agent: through.name,
            tier: through.tier.to_owned(),
            server: self.scene.server,
            tool: self.scene.tool,
            arguments: self.scene.arguments(),
            expected: self.scene.expected,
            answer,
            entry,
            actor: Some(agent.spiffe_id()),
        }
    }
}

impl Scene {
    /// The call's arguments; a test sees to it that each is an object.
    #[must_use]
    pub fn arguments(&self) -> Map<String, Value> {
        serde_json::from_str(self.arguments).unwrap_or_default()
    }
}

/// A token without a proof.
fn shown(scheme: &str, token: &str) -> Fields {
    let value = HeaderValue::try_from(format!("{scheme} {token}")).map_err(|_| ProofKeyError::Token)?;
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

/// Another authority that says of itself that it is the trust domain's.
fn strangers() -> Result<Arc<DevTrustDomain>, AgentError> {
    let name = TrustDomain::parse(TRUST_DOMAIN)?;
    Ok(Arc::new(DevTrustDomain::new(name, clock::now())?))
}
