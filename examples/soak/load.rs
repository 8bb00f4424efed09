//! The connections, each with one call at a time, at a steady pace; and what came of the calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::client;
use mcp_authz::dev::demo::cast::Agent;
use mcp_authz::dev::stack::Stack;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::calls::{self, AGENTS, Call, ID, Known};
use crate::{Arguments, Failure, watch};

/// After this a call counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many wrong answers are kept to be shown.
const SHOWN: usize = 5;

/// What came of the calls.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    right: BTreeMap<&'static str, u64>,
    /// By outcome or reason, as the audit must have it.
    expected: BTreeMap<&'static str, u64>,
    wrong: u64,
    shown: Vec<String>,
    edits: BTreeSet<String>,
    micros: Vec<u32>,
    /// Answers after which the gateway said that it closes the connection.
    closed: u32,
}

/// An answer that is the known one.
struct Right {
    /// The edit of the policies that it tells of.
    edit: Option<String>,
    /// Whether the connection ends with it, as announced.
    closes: bool,
}

/// Starts every connection; each ends by itself.
pub(crate) fn start(
    arguments: &Arguments,
    stack: &Stack,
    tally: &Arc<Tally>,
    started: Instant,
    end: Instant,
) -> Result<Vec<JoinHandle<()>>, Failure> {
    let seconds = i64::try_from(arguments.minutes)?
        .saturating_mul(60)
        .saturating_add(3600);
    let mut of_agent: BTreeMap<&str, Vec<Arc<Call>>> = BTreeMap::new();
    for call in calls::all(stack, seconds)? {
        of_agent
            .entry(call.agent.name())
            .or_default()
            .push(Arc::new(call));
    }
    let between = Duration::from_secs(1)
        .saturating_mul(arguments.connections)
        .checked_div(arguments.rate)
        .ok_or("a rate of nothing")?;
    let step = between
        .checked_div(arguments.connections)
        .ok_or("no connections")?;
    let agents = AGENTS.iter().cycle();
    let mut connections = Vec::new();
    for (index, agent) in (0..arguments.connections).zip(agents) {
        let Agent::Workload { spiffe_id, .. } = agent else {
            return Err("an agent without a certificate".into());
        };
        let identity = stack.authority.workload(spiffe_id)?;
        let first = started
            .checked_add(step.saturating_mul(index))
            .ok_or("too long")?;
        connections.push(tokio::spawn(connection(
            client::http(&stack.authority, Some(&identity))?,
            of_agent.get(agent.name()).cloned().unwrap_or_default(),
            usize::try_from(index)?,
            tokio::time::interval_at(first, between),
            end,
            Arc::clone(tally),
        )));
    }
    Ok(connections)
}

async fn connection(
    http: reqwest::Client,
    calls: Vec<Arc<Call>>,
    index: usize,
    mut ticks: tokio::time::Interval,
    end: Instant,
    tally: Arc<Tally>,
) {
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Neighbours begin with different calls.
    let order = calls
        .iter()
        .cycle()
        .skip(index.checked_div(AGENTS.len()).unwrap_or_default());
    for (call, number) in order.zip(0_u64..) {
        if tokio::time::timeout_at(end, ticks.tick()).await.is_err() {
            break;
        }
        let id = format!("{index}-{number}");
        let asked = clock::instant();
        let answer = tokio::time::timeout(PATIENCE, ask(&http, call, &id)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer".to_owned()));
        let answer = answer.map_err(|what| format!("`{}`, id {id}: {what}", call.name));
        tally.add(call, answer, asked.elapsed());
    }
}

/// Sends a call: `Ok` if the answer is the known one.
async fn ask(http: &reqwest::Client, call: &Call, id: &str) -> Result<Right, String> {
    let mut request = http
        .post(&call.url)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", call.tool)
        .body(call.body.replace(ID, id));
    if let Some(token) = &call.token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = response.status().as_u16();
    let connection = response.headers().get("connection");
    let closes = connection.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let text = response.text().await.map_err(|error| format!("{error:?}"))?;
    // JSON, or the last event of a stream.
    let json = text.rsplit("data: ").next().unwrap_or_default().trim();
    let message: Value =
        serde_json::from_str(json).map_err(|error| format!("{status}: {error}: {text:?}"))?;
    let reason = message
        .pointer("/error/data/reason")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let told = message.get("id").and_then(Value::as_str);
    let right = match call.known {
        Known::Allowed => {
            status == 200
                && told == Some(id)
                && message.pointer("/result/isError") == Some(&Value::Bool(false))
        }
        // What isn't read has no id that could be repeated.
        Known::Denied(wanted, code) => {
            status == wanted && reason == code && (wanted != 200 || told == Some(id))
        }
    };
    if !right {
        return Err(format!("{status}: {message}"));
    }
    let reasons = message.pointer("/error/data/reasons/0").and_then(Value::as_str);
    let edit = reasons.filter(|reason| reason.starts_with("Edit "));
    Ok(Right {
        edit: edit.map(str::to_owned),
        closes,
    })
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, call: &Call, answer: Result<Right, String>, took: Duration) {
        let mut counts = self.counts();
        let code = match call.known {
            Known::Allowed => "allowed",
            Known::Denied(_, code) => code,
        };
        increase(counts.expected.entry(code).or_default());
        counts
            .micros
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        match answer {
            Ok(right) => {
                increase(counts.right.entry(call.name).or_default());
                counts.edits.extend(right.edit);
                counts.closed = counts.closed.saturating_add(u32::from(right.closes));
            }
            Err(what) => {
                increase(&mut counts.wrong);
                if counts.shown.len() < SHOWN {
                    counts.shown.push(what);
                }
            }
        }
    }

    /// How many calls were answered, or given up.
    pub(crate) fn answered(&self) -> usize {
        self.counts().micros.len()
    }

    /// How many of them wrongly or not at all.
    pub(crate) fn wrong(&self) -> u64 {
        self.counts().wrong
    }

    /// How many connections the gateway closed with an answer that said so.
    pub(crate) fn closed(&self) -> u32 {
        self.counts().closed
    }

    /// How many edits of the policies answers told of.
    pub(crate) fn edits_seen(&self) -> usize {
        self.counts().edits.len()
    }

    /// For people: each kind of call and how often it was answered as it must be.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from("answered as known:");
        for (name, count) in &self.counts().right {
            // Writing to a String never fails.
            let _ = write!(text, "\n  {count:>8}  {name}");
        }
        text
    }

    /// For people: how many and how fast.
    pub(crate) fn times(&self, length: Duration) -> String {
        let mut micros = self.counts().micros.clone();
        micros.sort_unstable();
        let at = |percent: usize| {
            let index = micros.len().saturating_mul(percent) / 100;
            let found = micros.get(index).or_else(|| micros.last());
            f64::from(found.copied().unwrap_or_default()) / 1000.0
        };
        let calls = u64::try_from(micros.len()).unwrap_or(u64::MAX);
        format!(
            "calls: {calls} ({}/s), wrong or lost: {}; through the gateway and, where allowed, the server: \
             p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
            calls.checked_div(length.as_secs()).unwrap_or_default(),
            self.wrong(),
            at(50),
            at(99),
            at(100)
        )
    }

    /// Wrong answers, the first of them in full.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let counts = self.counts();
        let mut complaints = counts.shown.clone();
        if counts.wrong > 0 {
            complaints.push(format!("{} answers are wrong or lost", counts.wrong));
        }
        complaints
    }

    /// What the audit has too much or too little of.
    pub(crate) async fn unrecorded(
        &self,
        audit: &Path,
        before: &watch::Recorded,
    ) -> Result<Vec<String>, Failure> {
        let expected: watch::Recorded = {
            let counts = self.counts();
            let owned = counts
                .expected
                .iter()
                .map(|(&code, &count)| (code.to_owned(), count));
            owned.collect()
        };
        let recorded = watch::recorded_since(audit, before, expected.values().sum()).await?;
        crate::say(&format!(
            "decisions: {} sent, {} recorded",
            expected.values().sum::<u64>(),
            recorded.values().sum::<u64>()
        ))?;
        let codes: BTreeSet<&String> = expected.keys().chain(recorded.keys()).collect();
        let count = |of: &watch::Recorded, code: &String| of.get(code).copied().unwrap_or_default();
        Ok(codes
            .into_iter()
            .filter(|code| count(&expected, code) != count(&recorded, code))
            .map(|code| {
                let (sent, found) = (count(&expected, code), count(&recorded, code));
                format!("`{code}`: {sent} sent, {found} recorded")
            })
            .collect())
    }
}

fn increase(count: &mut u64) {
    *count = count.saturating_add(1);
}
