//! One policy test as written: a call, and what must come of it. `answer` asks it.

mod answer;
mod call;
mod why;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub(in crate::policy) use answer::ask;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::identity::{Actor, Agent, Caller, User, Workload};
use crate::inventory::Problem;
use crate::mcp::Version;
use crate::policy::{StepUp, code};

/// Whom a test names where nobody is to be.
pub(in crate::policy) const NOBODY: &str = "-";

/// The issuer of whoever names none.
const ISSUER: &str = "https://issuer.test";

/// A test as written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct Case {
    #[serde(default)]
    pub(in crate::policy) name: Option<String>,
    pub(in crate::policy) server: String,
    #[serde(default)]
    pub(in crate::policy) user: Option<String>,
    #[serde(default)]
    pub(in crate::policy) workload: Option<String>,
    #[serde(default)]
    pub(in crate::policy) actor: Option<String>,
    #[serde(default)]
    pub(in crate::policy) tool: Option<String>,
    #[serde(default)]
    pub(in crate::policy) method: Option<String>,
    #[serde(default)]
    pub(in crate::policy) uri: Option<String>,
    #[serde(default)]
    pub(in crate::policy) prompt: Option<String>,
    #[serde(default)]
    pub(in crate::policy) arguments: Option<Map<String, Value>>,
    #[serde(default)]
    pub(in crate::policy) session: Option<String>,
    #[serde(default)]
    pub(in crate::policy) address: Option<IpAddr>,
    #[serde(default)]
    pub(in crate::policy) version: Option<String>,
    #[serde(default)]
    pub(in crate::policy) now: Option<Timestamp>,
    pub(in crate::policy) expect: Expected,
    /// Ids of policies that must have decided.
    #[serde(default)]
    pub(in crate::policy) by: Vec<String>,
    /// The code of the reason that must have denied.
    #[serde(default)]
    pub(in crate::policy) because: Option<String>,
    /// What the caller must be told to ask for: scopes, or a login.
    #[serde(default)]
    pub(in crate::policy) step_up: Option<Asked>,
}

/// What a step-up asks for, as written: a list of scopes, or all that a login must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(in crate::policy) enum Asked {
    Scopes(Vec<String>),
    Login(Login),
}

/// A login that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::policy) struct Login {
    scopes: Vec<String>,
    acr: Option<String>,
    /// As in `@max_age`.
    max_age: Option<SignedDuration>,
}

impl Asked {
    fn step(&self) -> StepUp {
        match self {
            Self::Scopes(scopes) => StepUp {
                scopes: scopes.iter().cloned().collect(),
                ..StepUp::default()
            },
            Self::Login(login) => StepUp {
                scopes: login.scopes.iter().cloned().collect(),
                acr: login.acr.clone(),
                max_age: login.max_age.and_then(|age| u64::try_from(age.as_secs()).ok()),
            },
        }
    }
}

/// What comes of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// It goes through.
    Allow,
    /// It doesn't.
    #[default]
    Deny,
}

impl Expected {
    pub(in crate::policy) fn parse(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }

    /// As tests write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl From<bool> for Expected {
    fn from(allowed: bool) -> Self {
        if allowed { Self::Allow } else { Self::Deny }
    }
}

/// A user of the tests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub(in crate::policy) struct TestUser {
    issuer: Option<String>,
    subject: Option<String>,
    username: Option<String>,
    email: Option<String>,
    roles: Vec<String>,
    groups: Vec<String>,
    tenants: Vec<String>,
    scopes: Vec<String>,
    acr: Option<String>,
    client_id: Option<String>,
    authenticated: Option<Timestamp>,
}

/// An actor of the tests, where it is no workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub(in crate::policy) struct TestAgent {
    issuer: Option<String>,
    subject: Option<String>,
    client_id: Option<String>,
}

impl TestAgent {
    /// The agent; `None` if nothing names it.
    pub(in crate::policy) fn agent(&self) -> Option<Agent> {
        let issuer = self.issuer.as_deref().unwrap_or(ISSUER);
        match (&self.subject, &self.client_id) {
            (Some(subject), client) => Some(Agent::subject(issuer, subject, client.as_deref())),
            (None, Some(client)) => Some(Agent::client(issuer, client)),
            (None, None) => None,
        }
    }
}

impl TestUser {
    pub(in crate::policy) fn user(self, name: &str) -> User {
        User {
            issuer: self.issuer.unwrap_or_else(|| ISSUER.to_owned()),
            subject: self.subject.unwrap_or_else(|| name.to_owned()),
            username: self.username.unwrap_or_else(|| name.to_owned()),
            email: self.email,
            roles: self.roles,
            groups: self.groups,
            tenants: self.tenants,
            scopes: self.scopes,
            acr: self.acr,
            client_id: self.client_id,
            token_id: None,
            login_session: None,
            expires: Timestamp::MAX,
            authenticated: self.authenticated,
        }
    }
}

/// Whom the tests of a file name, and the arguments of tools for which a test gives none.
#[derive(Debug, Default)]
pub(in crate::policy) struct People {
    pub(in crate::policy) users: BTreeMap<String, Arc<User>>,
    pub(in crate::policy) workloads: BTreeMap<String, Arc<Workload>>,
    pub(in crate::policy) actors: BTreeMap<String, Arc<Actor>>,
    pub(in crate::policy) arguments: BTreeMap<String, Map<String, Value>>,
}

/// A word of a test that means nothing, or what came out instead.
#[derive(Debug)]
pub(in crate::policy) struct Said {
    pub(in crate::policy) message: String,
    pub(in crate::policy) help: Option<String>,
}

impl Said {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub(in crate::policy) fn into_problem(self, path: &str) -> Problem {
        let problem = Problem::new(path, self.message);
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let help =
            crate::inventory::problem::closest(name, known).map(|word| format!("did you mean `{word}`?"));
        Self {
            message: format!("no {kind} `{name}` in this file"),
            help,
        }
    }
}

impl Case {
    /// The case in words.
    pub(in crate::policy) fn title(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let who: Vec<&str> = [&self.user, &self.actor, &self.workload]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|name| *name != NOBODY)
            .collect();
        let who = if who.is_empty() {
            "nobody".to_owned()
        } else {
            who.join(" through ")
        };
        let what = self
            .tool
            .as_deref()
            .or(self.method.as_deref())
            .or(self.prompt.as_deref())
            .unwrap_or("nothing");
        format!("{who} calls {}/{what}", self.server)
    }

    /// Whether the words mean something: before anything is asked.
    pub(in crate::policy) fn check(&self, people: &People) -> Result<(), Said> {
        answer::server(&[], self)?;
        self.caller(people)?;
        self.operation(people)?;
        self.version()?;
        self.because()
    }

    fn caller(&self, people: &People) -> Result<Caller, Said> {
        Ok(Caller {
            user: named("user", self.user.as_deref(), &people.users)?,
            workload: named("workload", self.workload.as_deref(), &people.workloads)?,
            actor: named("actor", self.actor.as_deref(), &people.actors)?,
            nonce: None,
        })
    }

    /// A code that no answer has is a misspelling.
    fn because(&self) -> Result<(), Said> {
        let Some(because) = &self.because else {
            return Ok(());
        };
        if code::ALL.contains(&because.as_str()) {
            return Ok(());
        }
        let known = crate::inventory::problem::closest(because, code::ALL.iter().copied());
        Err(Said {
            message: format!("no reason `{because}`"),
            help: Some(match known {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("one of {}", code::ALL.join(", ")),
            }),
        })
    }

    fn version(&self) -> Result<Version, Said> {
        match &self.version {
            None => Ok(Version::NEWEST_WITH_SESSIONS),
            Some(name) => {
                Version::from_name(name).ok_or_else(|| Said::new(format!("`{name}` is no version of MCP")))
            }
        }
    }
}

/// Whom a test means by a name.
fn named<T>(
    kind: &str,
    name: Option<&str>,
    known: &BTreeMap<String, Arc<T>>,
) -> Result<Option<Arc<T>>, Said> {
    let Some(name) = name.filter(|name| *name != NOBODY) else {
        return Ok(None);
    };
    let found = known.get(name).cloned();
    let found = found.ok_or_else(|| Said::unknown(kind, name, known.keys().map(String::as_str)));
    found.map(Some)
}
