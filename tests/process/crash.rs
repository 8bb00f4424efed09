//! kill −9 under load, at any moment: no answered decision is missing, and the next start mends what is torn.
//!
//! `CRASH_KILLS` says how often (`make crash` kills a thousand times).

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use mcp_authz::audit::checkpoint::Checkpoint;
use mcp_authz::audit::read;
use mcp_authz::audit::verify::{Report, verify};
use mcp_authz::clock;
use serde_json::json;
use tonic::transport::Channel;

use crate::service::{Service, decision, ping, stop};

/// How many ask at once.
const CALLERS: usize = 16;

/// Numbers that nobody foresees, but that can be had again (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

/// What was found in all lives of the process.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    killed_while_starting: usize,
    answered: usize,
    torn: usize,
    files: usize,
}

fn check(service: &Service) -> Report {
    let place = service.place();
    let checkpoints: Vec<_> = Checkpoint::of(&place).unwrap().into_iter().collect();
    // Killed before its first line: there is nothing yet.
    if !place.current().exists() && checkpoints.is_empty() {
        return Report::default();
    }
    let report = verify(read::journal(&place).unwrap(), &checkpoints, true);
    assert_eq!(report.broken, None, "{report:?}");
    report
}

/// The ids in the journal's last files.
fn recorded(service: &Service) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut sources = read::journal(&service.place()).unwrap();
    for source in sources.iter_mut().rev().take(8) {
        while let Some(line) = source.next_line().unwrap() {
            let text = String::from_utf8_lossy(&line.text);
            let id = text
                .split_once("\"decision_id\":\"")
                .and_then(|(_, rest)| rest.split_once('"'));
            if let Some((id, _)) = id.filter(|_| line.ended) {
                found.insert(id.to_owned());
            }
        }
    }
    found
}

/// Asks, one question after another, until the process is gone.
async fn ask(mut client: AuthorizationClient<Channel>, answered: Arc<Mutex<Vec<String>>>) {
    for id in 0.. {
        let mut question = tonic::Request::new(ping(id));
        question.set_timeout(Duration::from_secs(4));
        let Ok(answer) = client.check(question).await else {
            return;
        };
        let (id, allowed) = decision(answer.get_ref());
        // A denial would be the audit's: on a loaded machine the disk may be late.
        if allowed {
            answered.lock().unwrap().push(id);
        }
    }
}

async fn live_and_die(service: &Service, random: &mut Random, tally: &mut Tally) {
    let mut process = service.start();
    let answered = Arc::new(Mutex::new(Vec::new()));
    let early = random.below(5) == 0;
    let mut asking = tokio::task::JoinSet::new();
    if early {
        let life = Duration::from_millis(random.below(400));
        let _ = tokio::time::timeout(life, service.client()).await;
    } else {
        let client = service.client().await;
        for _ in 0..CALLERS {
            asking.spawn(ask(client.clone(), Arc::clone(&answered)));
        }
        let life = Duration::from_micros(random.below(120_000));
        let _ = tokio::time::timeout(life, std::future::pending::<()>()).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    while asking.join_next().await.is_some() {}
    let report = check(service);
    let answered = std::mem::take(&mut *answered.lock().unwrap());
    if !answered.is_empty() {
        let recorded = recorded(service);
        let missing: Vec<_> = answered.iter().filter(|id| !recorded.contains(*id)).collect();
        assert!(missing.is_empty(), "answered and not recorded: {missing:?}");
    }
    tally.kills += 1;
    tally.killed_while_starting += usize::from(early);
    tally.answered += answered.len();
    tally.torn += usize::from(report.notes.iter().any(|note| note.contains("has no end")));
    tally.files = tally.files.max(report.files.len());
    if random.below(4) == 0 {
        tally.torn += usize::from(tear(service));
    }
}

/// A kill seldom meets the kernel in the middle of a line, a loss of power does: leaves half a line behind.
fn tear(service: &Service) -> bool {
    let file = std::fs::OpenOptions::new()
        .append(true)
        .open(service.place().current());
    file.is_ok_and(|mut file| {
        file.write_all(b"{\"time\":\"2026-11-21T09:00:00.000000Z\",\"decisi")
            .is_ok()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_no_answered_decision_is_missing() {
    let kills = std::env::var("CRASH_KILLS").map_or(40, |text| text.parse().unwrap());
    let seed = u64::from(clock::now().subsec_nanosecond().unsigned_abs()) | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut tally = Tally::default();
    let service = Service::new(&json!({
        "audit": {
            "checkpoint_interval": "50ms",
            "rotation": { "max_bytes": 100_000 },
            "retention": { "max_files": 12 },
        },
        "log": { "filter": "warn" },
    }));
    for _ in 0..kills {
        live_and_die(&service, &mut random, &mut tally).await;
        if tally.kills % 50 == 0 {
            println!("{tally:?}");
        }
    }
    // A last life in good order: what the last kill left torn is mended.
    let process = service.start();
    drop(service.client().await);
    stop(process);
    let report = check(&service);
    assert!(
        !report.notes.iter().any(|note| note.contains("has no end")),
        "{:?}",
        report.notes
    );
    println!(
        "{tally:?}; {} lines in the files that are left, up to line {:?}",
        report.lines, report.last
    );
    assert!(tally.answered > kills, "hardly anything was answered: {tally:?}");
}
