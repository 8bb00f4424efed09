//! One policy test: a call, and what must come of it.

mod call;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{AskError, Outcome, PolicySet, Question, StepUp, Verdict, code};
use crate::identity::{Acting, Actor, Agent, Caller, Facts, User, Workload};
use crate::inventory::{Problem, Requirement, Server};
use crate::mcp::{Call, Id, Version};

/// The time of a test that names none: 2026-01-01T12:00:00Z.
const NOON: i64 = 1_767_268_800;
/// Whom a test names where nobody is to be.
pub(super) const NOBODY: &str = "-";

/// The issuer of whoever names none.
const ISSUER: &str = "https://issuer.test";

/// A test as written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) server: String,
    #[serde(default)]
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) workload: Option<String>,
    #[serde(default)]
    pub(super) actor: Option<String>,
    #[serde(default)]
    pub(super) tool: Option<String>,
    #[serde(default)]
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) uri: Option<String>,
    #[serde(default)]
    pub(super) prompt: Option<String>,
    #[serde(default)]
    pub(super) arguments: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) session: Option<String>,
    #[serde(default)]
    pub(super) address: Option<IpAddr>,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) now: Option<Timestamp>,
    pub(super) expect: Expected,
    /// Ids of policies that must have decided.
    #[serde(default)]
    pub(super) by: Vec<String>,
    /// The code of the reason that must have denied.
    #[serde(default)]
    pub(super) because: Option<String>,
    /// What the caller must be told to ask for: scopes, or a login.
    #[serde(default)]
    pub(super) step_up: Option<Asked>,
}

/// What a step-up asks for, as written: a list of scopes, or all that a login must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Asked {
    Scopes(Vec<String>),
    Login(Login),
}

/// A login that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Login {
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

/// What must come of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expected {
    Allow,
    #[default]
    Deny,
}

impl Expected {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }
}

/// A user of the tests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub(super) struct TestUser {
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
pub(super) struct TestAgent {
    issuer: Option<String>,
    subject: Option<String>,
    client_id: Option<String>,
}

impl TestAgent {
    /// The agent; `None` if nothing names it.
    pub(super) fn agent(&self) -> Option<Agent> {
        let issuer = self.issuer.as_deref().unwrap_or(ISSUER);
        match (&self.subject, &self.client_id) {
            (Some(subject), client) => Some(Agent::subject(issuer, subject, client.as_deref())),
            (None, Some(client)) => Some(Agent::client(issuer, client)),
            (None, None) => None,
        }
    }
}

impl TestUser {
    pub(super) fn user(self, name: &str) -> User {
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
            facts: Facts::default(),
        }
    }
}

/// Whom the tests of a file name, and the arguments of tools for which a test gives none.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) users: BTreeMap<String, Arc<User>>,
    pub(super) workloads: BTreeMap<String, Arc<Workload>>,
    pub(super) actors: BTreeMap<String, Arc<Actor>>,
    pub(super) arguments: BTreeMap<String, Map<String, Value>>,
}

/// A word of a test that means nothing, or what came out instead.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Said {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn into_problem(self, path: &str) -> Problem {
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
    pub(super) fn title(&self) -> String {
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
    pub(super) fn check(&self, people: &People) -> Result<(), Said> {
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

/// Asks, and compares.
pub(super) fn ask(set: &PolicySet, servers: &[Server], people: &People, case: &Case) -> Result<(), Said> {
    let server = server(servers, case)?;
    let mut caller = case.caller(people)?;
    if case.actor.is_none() && server.require.contains(&Requirement::Actor) {
        // Who says nothing of an actor says nothing against the usual one: the workload that calls acts itself.
        caller.actor = caller.workload.as_deref().map(acting);
    }
    let call = Call {
        id: Some(Id::Number(1)),
        operation: case.operation(people)?,
    };
    let question = Question {
        server: &server,
        call: &call,
        caller: &caller,
        session: case.session.as_deref(),
        address: case.address,
        version: case.version()?,
        now: case
            .now
            .unwrap_or_else(|| Timestamp::from_second(NOON).unwrap_or(Timestamp::UNIX_EPOCH)),
    };
    let answer = set.ask(&question);
    compare(case, &answer)?;
    match &case.step_up {
        None => Ok(()),
        Some(expected) => {
            let (expected, found) = (expected.step(), set.step_up(&question).unwrap_or_default());
            if found == expected {
                return Ok(());
            }
            let (expected, found) = (asked(&expected), asked(&found));
            Err(Said::new(format!(
                "expected {expected} to be asked for, not {found}"
            )))
        }
    }
}

/// What a step-up asks for, in words.
fn asked(step: &StepUp) -> String {
    let scopes: Vec<&str> = step.scopes.iter().map(String::as_str).collect();
    let mut words = vec![format!("the scopes [{}]", scopes.join(", "))];
    words.extend(step.acr.as_ref().map(|acr| format!("a login of `{acr}`")));
    words.extend(
        step.max_age
            .map(|seconds| format!("a login of at most {seconds} s ago")),
    );
    words.join(" and ")
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

/// The server as configured. One that isn't is as the configuration's defaults would have it, and asks about the actor of a
/// test that names one.
fn server(servers: &[Server], case: &Case) -> Result<Server, Said> {
    let name = &case.server;
    if let Some(server) = servers.iter().find(|server| server.name.as_str() == name) {
        return Ok(server.clone());
    }
    let mut server = super::default_server(name).map_err(|error| Said::new(error.to_string()))?;
    let named = case.actor.as_deref().filter(|name| *name != NOBODY);
    server.require.extend(named.map(|_| Requirement::Actor));
    Ok(server)
}

fn acting(workload: &Workload) -> Arc<Actor> {
    Arc::new(Actor {
        current: Acting::Workload(workload.clone()),
        earlier: Vec::new(),
    })
}

fn compare(case: &Case, answer: &Result<Vec<Verdict>, AskError>) -> Result<(), Said> {
    let allowed = answer
        .as_ref()
        .is_ok_and(|verdicts| verdicts.iter().all(Verdict::allows));
    let (reason, deciding) = match answer {
        Ok(verdicts) => {
            let denying = verdicts.iter().find(|verdict| !verdict.allows());
            let reason = denying
                .map_or(Outcome::Allowed, |verdict| verdict.outcome)
                .as_str();
            (
                reason,
                verdicts
                    .iter()
                    .filter(|verdict| verdict.allows() == allowed)
                    .collect(),
            )
        }
        Err(error) => (error.code(), Vec::new()),
    };
    let fired: Vec<&str> = deciding
        .iter()
        .flat_map(|verdict| &verdict.fired)
        .map(|fired| fired.id.as_str())
        .collect();
    let help = Some(told(answer));
    if allowed != (case.expect == Expected::Allow) {
        let (expected, found) = if allowed {
            ("deny", "allowed")
        } else {
            ("allow", "denied")
        };
        return Err(Said {
            message: format!("expected {expected}, but it is {found}"),
            help,
        });
    }
    if let Some(because) = &case.because
        && because != reason
    {
        return Err(Said {
            message: format!("expected because of `{because}`, but it is `{reason}`"),
            help,
        });
    }
    match case.by.iter().find(|id| !fired.contains(&id.as_str())) {
        Some(id) => Err(Said {
            message: format!("expected by `{id}`, which didn't decide"),
            help,
        }),
        None => Ok(()),
    }
}

/// What was said of each principal.
fn told(answer: &Result<Vec<Verdict>, AskError>) -> String {
    match answer {
        Err(error) => format!("{}: {error}", error.code()),
        Ok(verdicts) => {
            let each = verdicts.iter().map(|verdict| {
                let ids: Vec<&str> = verdict.fired.iter().map(|fired| fired.id.as_str()).collect();
                let by = if ids.is_empty() {
                    String::new()
                } else {
                    format!(" by {}", ids.join(", "))
                };
                format!("{}: {}{by}", verdict.principal.as_str(), verdict.outcome.as_str())
            });
            each.collect::<Vec<_>>().join("; ")
        }
    }
}
