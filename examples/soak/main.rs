//! The soak: minutes of load through a real Envoy while the policies are edited under it.
//!
//! `make soak` runs it (`MINUTES=10 CONNECTIONS=200 RATE=400`). Every call has a known answer; the policy directory is
//! edited every second and broken now and then. It fails if an answer is another than the known one, if a call
//! or a connection is lost, if a decision isn't recorded exactly once, if edits don't come to rule, or if the
//! memory of mcp-authz grows.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use mcp_authz::clock;
use mcp_authz::dev::client;
use mcp_authz::dev::stack::{Settings, Stack};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

mod calls;
mod edits;
mod load;
mod watch;

/// Load through a real Envoy while policies are edited
#[derive(Debug, Parser)]
struct Arguments {
    /// For how long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// How many connections, each with one call at a time
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    connections: u32,
    /// How many calls a second, over all connections
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=20000))]
    rate: u32,
    /// The mcp-authz that is tried
    #[arg(long, default_value = "target/release/mcp-authz")]
    program: PathBuf,
    /// The policy directory; a copy of it is edited
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// Where `make tools` put Envoy and Python
    #[arg(long, default_value = ".tools")]
    tools: PathBuf,
    /// Where policies, configuration, logs and the audit are written; made anew
    #[arg(long, default_value = "target/soak")]
    directory: PathBuf,
}

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let policies = prepare(&arguments)?;
    let stack = Stack::start(&Settings {
        program: arguments.program.canonicalize()?,
        policies: policies.clone(),
        tools: arguments.tools.clone(),
        directory: arguments.directory.join("stack"),
        listener: None,
        configuration: Value::Null,
        trust_domain: None,
    })
    .await?;
    let complaints = soak(&arguments, &stack, &policies).await?;
    if complaints.is_empty() {
        say("soak: passed")?;
        let audit = stack.audit();
        stack.stop().await;
        // Hundreds of megabytes that agree with what was counted.
        std::fs::remove_file(audit)?;
        return Ok(());
    }
    for complaint in &complaints {
        say(&format!("soak: FAILED: {complaint}"))?;
    }
    say(&format!(
        "Audit and logs are in {}; their ends:\n{}",
        stack.directory.display(),
        stack.logs()
    ))?;
    stack.stop().await;
    Err("the soak found something".into())
}

/// Makes the directory anew, with a copy of the policies.
fn prepare(arguments: &Arguments) -> Result<PathBuf, Failure> {
    let policies = arguments.directory.join("policies");
    if arguments.directory.exists() {
        std::fs::remove_dir_all(&arguments.directory)?;
    }
    copy(&arguments.policies, &policies)?;
    edits::write(&policies, 0)?;
    Ok(policies.canonicalize()?)
}

async fn soak(arguments: &Arguments, stack: &Stack, policies: &Path) -> Result<Vec<String>, Failure> {
    let process = watch::Process::find(&stack.directory.join("mcp-authz.yaml"))?;
    let started = Instant::from_std(clock::instant());
    let length = Duration::from_secs(arguments.minutes.saturating_mul(60));
    let end = started.checked_add(length).ok_or("too long")?;
    let tally = Arc::new(load::Tally::default());
    let before = watch::recorded(&stack.audit())?;
    let load = load::start(arguments, stack, &tally, started, end)?;
    let editing = tokio::spawn(edits::run(policies.to_owned(), end));
    let memory = watch_until(end, &process, &tally).await?;
    let edited = editing.await??;
    for connection in load {
        connection.await?;
    }
    let mut complaints = tally.complaints();
    summary(&tally, &edited, length)?;
    complaints.extend(edited.complaints(&tally));
    complaints.extend(tally.unrecorded(&stack.audit(), &before).await?);
    complaints.extend(connections(stack, arguments.connections, tally.closed()).await?);
    let (sentence, complaint) = memory.verdict();
    say(&sentence)?;
    complaints.extend(complaint);
    Ok(complaints)
}

/// Samples the memory and tells how it goes.
async fn watch_until(
    end: Instant,
    process: &watch::Process,
    tally: &load::Tally,
) -> Result<watch::Memory, Failure> {
    let mut memory = watch::Memory::default();
    let mut ticks = tokio::time::interval(watch::EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while tokio::time::timeout_at(end, ticks.tick()).await.is_ok() {
        memory.add(process.resident_kb()?);
        if memory.len() % 6 == 1 {
            say(&format!(
                "{:>5} s  {:>8} calls, {} wrong  {:>6.1} MB",
                memory.seconds(),
                tally.answered(),
                tally.wrong(),
                memory.latest_mb()
            ))?;
        }
    }
    Ok(memory)
}

/// Whether clients connected only once, but for where the gateway had said that it closes the connection (Envoy
/// does so with each 400): a client that connects again without that has lost a connection.
async fn connections(stack: &Stack, wanted: u32, closed: u32) -> Result<Option<String>, Failure> {
    let url = format!(
        "http://127.0.0.1:{}/stats?filter=^http.mcp.downstream_cx_total$",
        stack.ports.admin
    );
    let http = client::http(&stack.authority, None)?;
    let text = http.get(url).send().await?.text().await?;
    let made: u32 = text.rsplit(' ').next().unwrap_or_default().trim().parse()?;
    // One more: the stack looked whether the listener accepts connections.
    let explained = wanted.saturating_add(closed).saturating_add(1);
    say(&format!(
        "connections: {wanted} clients, {closed} closed with an answer that said so, {made} made"
    ))?;
    Ok((made > explained).then(|| format!("{made} connections, and only {explained} are explained")))
}

fn summary(tally: &load::Tally, edited: &edits::Edited, length: Duration) -> Result<(), Failure> {
    say(&tally.table())?;
    say(&tally.times(length))?;
    say(&edited.sentence(tally))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}
