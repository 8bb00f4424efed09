//! What a question costs that nobody asked before, with the shipped policies and with ten thousand more that it isn't in the scope of.
//!
//! Each question is a stranger's, in a group of its own: nothing but the candidates of its roles is remembered.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use mcp_authz::clock;
use mcp_authz::identity::{Caller, User, Workload};
use mcp_authz::inventory::{Files, Requirement, Server};
use mcp_authz::mcp::{Call, Id, Operation, Version, json};
use mcp_authz::policy::{PolicySet, Question, default_server};
use mcp_authz::spiffe::SpiffeId;

use crate::Failure;
use crate::grown::grown;

/// Policies and tools besides the shipped ones.
pub(crate) const MANY: (usize, usize) = (10_000, 500);
const ROUNDS: usize = 25;
const QUESTIONS: usize = 500;

/// A set of policies, and who asks it what.
pub(crate) struct Many {
    policies: PolicySet,
    server: Server,
    user: User,
    workload: Arc<Workload>,
    call: Call,
}

impl Many {
    /// The shipped policies and so many more, over so many more tools.
    pub(crate) fn new((policies, tools): (usize, usize)) -> Result<Self, Failure> {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let files: Files = if policies == 0 {
            Files::read(&shipped).map_err(|problems| format!("{problems:?}"))?
        } else {
            grown(&shipped, policies, tools)?.into_iter().collect()
        };
        let mut server = default_server("workbench")?;
        server.require = vec![Requirement::User, Requirement::Workload];
        let set = PolicySet::load(&files, std::slice::from_ref(&server));
        let spiffe_id = SpiffeId::parse("spiffe://mcp-identity.local/agent/trusted/assistant")?;
        let arguments = json::read(br#"{"path":"/srv/work/a","content":"b","create":true}"#, 64);
        let arguments = arguments.map_err(|fault| format!("{fault:?}"))?;
        Ok(Self {
            policies: set.map_err(|problems| format!("{problems:?}"))?,
            server,
            user: dan(),
            workload: Arc::new(Workload { spiffe_id }),
            call: Call {
                id: Some(Id::Number(7)),
                operation: Operation::ToolsCall {
                    tool: "fs_write".to_owned(),
                    arguments: arguments.as_object().ok_or("no object")?.clone(),
                },
            },
        })
    }

    /// Somebody like whom nobody was seen before, if the number is new.
    pub(crate) fn stranger(&self, number: usize) -> Caller {
        let user = User {
            groups: vec![format!("group-{number}")],
            ..self.user.clone()
        };
        Caller {
            user: Some(Arc::new(user)),
            workload: Some(Arc::clone(&self.workload)),
            actor: None,
            nonce: None,
        }
    }

    /// Whether every principal is allowed.
    pub(crate) fn allows(&self, caller: &Caller) -> bool {
        let question = Question {
            server: &self.server,
            call: &self.call,
            caller,
            session: None,
            address: None,
            version: Version::V2025_11_25,
            now: clock::now(),
        };
        let verdicts = self.policies.ask(black_box(&question)).unwrap_or_default();
        verdicts.len() == 2 && verdicts.iter().all(mcp_authz::policy::Verdict::allows)
    }

    /// Microseconds for one question.
    fn micros(&self, round: usize) -> Result<f64, Failure> {
        let first = round.saturating_mul(QUESTIONS);
        let strangers = (first..).take(QUESTIONS).map(|number| self.stranger(number));
        let strangers: Vec<Caller> = strangers.collect();
        let started = clock::instant();
        let allowed = strangers.iter().filter(|caller| self.allows(caller)).count();
        let took = started.elapsed();
        if allowed == QUESTIONS {
            Ok(took.as_secs_f64() * 1e6 / f64::from(u32::try_from(QUESTIONS)?))
        } else {
            Err(format!("only {allowed} of {QUESTIONS} were allowed").into())
        }
    }
}

/// What a question costs with few policies and how many times that with many, round by round in turns; and how many seconds it took to
/// load the many.
pub(crate) fn measure() -> Result<[(&'static str, f64); 3], Failure> {
    let few = Many::new((0, 0))?;
    let started = clock::instant();
    let many = Many::new(MANY)?;
    let load = started.elapsed();
    let (mut costs, mut ratios) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let cost = few.micros(round)?;
        costs.push(cost);
        ratios.push(many.micros(round)? / cost);
    }
    Ok([
        ("ask_stranger_us", median(costs)?),
        ("policies_10k_vs_10", median(ratios)?),
        ("load_10k_policies_s", load.as_secs_f64()),
    ])
}

pub(crate) fn median(mut values: Vec<f64>) -> Result<f64, Failure> {
    values.sort_by(f64::total_cmp);
    Ok(values
        .get(values.len() / 2)
        .copied()
        .ok_or("nothing was measured")?)
}

pub(crate) fn dan() -> User {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    User {
        issuer: "https://id.example/realms/mcp".to_owned(),
        subject: "dan".to_owned(),
        username: "dan".to_owned(),
        email: Some("dan@example.com".to_owned()),
        roles: texts(&["mcp-developer", "mcp-viewer"]),
        groups: Vec::new(),
        tenants: texts(&["acme"]),
        scopes: texts(&["openid", "workbench"]),
        acr: None,
        client_id: None,
        token_id: None,
        login_session: None,
        expires: jiff::Timestamp::MAX,
        authenticated: None,
    }
}
