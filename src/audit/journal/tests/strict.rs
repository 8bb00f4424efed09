//! Answers that wait for the disk: a disk that is asleep, fails, or is back.

use std::io;
use std::sync::{Condvar, Mutex};

use super::super::target::Sink;
use super::*;

/// A file in memory whose `fsync` waits, or fails, as it is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Debug, Default)]
struct Inner {
    text: Vec<u8>,
    asleep: bool,
    fails: bool,
    syncs: usize,
    syncing: bool,
}

impl Disk {
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn sleep(&self) {
        self.change(|disk| disk.asleep = true);
    }

    fn wake(&self) {
        self.change(|disk| disk.asleep = false);
    }

    fn fails(&self, fails: bool) {
        self.change(|disk| disk.fails = fails);
    }

    /// Waits until the writer waits for the disk.
    async fn until_syncing(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while !self.0.0.lock().unwrap().syncing {
            tick.tick().await;
        }
    }

    fn syncs(&self) -> usize {
        self.0.0.lock().unwrap().syncs
    }

    /// The decisions in it: id, outcome, reason.
    fn decisions(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.0.lock().unwrap().text.clone()).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .filter(|line| line["decision_id"].is_string())
            .map(|line| {
                let of = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
                format!(
                    "{} {} {} {}",
                    of("decision_id"),
                    of("outcome"),
                    of("reason"),
                    of("corrects")
                )
            })
            .collect()
    }
}

impl Sink for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap().text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn cut(&mut self, tail: &[u8]) -> io::Result<()> {
        let mut disk = self.0.0.lock().unwrap();
        assert!(disk.text.ends_with(tail));
        let shorter = disk.text.len() - tail.len();
        disk.text.truncate(shorter);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.0.lock().unwrap();
        disk.syncing = true;
        self.0.1.notify_all();
        let mut disk = self.0.1.wait_while(disk, |disk| disk.asleep).unwrap();
        disk.syncing = false;
        disk.syncs += 1;
        // EIO, as a dead disk has it.
        if disk.fails {
            Err(io::Error::from_raw_os_error(5))
        } else {
            Ok(())
        }
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        Ok((0, 0))
    }
}

pub(super) fn journal_on(disk: &Disk) -> Journal {
    let settings = AuditSettings {
        durability: Durability::Disk,
        ..settings(Path::new("unused"))
    };
    Journal::with_target(Target::new(Box::new(disk.clone()), None), &settings).unwrap()
}

async fn commit(journal: &Journal, id: usize) -> Receipt {
    journal.reserve(soon()).await.unwrap().commit(&[record(id)])
}

#[tokio::test]
async fn an_answer_waits_until_its_record_is_on_disk() {
    let disk = Disk::default();
    disk.sleep();
    let journal = journal_on(&disk);
    let mut answer = Box::pin(commit(&journal, 1).await.durable(soon()));
    disk.until_syncing().await;
    // It is written, and still not answered.
    assert_eq!(disk.decisions(), ["1 allowed - -"]);
    assert!(futures_util::poll!(&mut answer).is_pending());
    disk.wake();
    answer.await.unwrap();
    assert_eq!(disk.syncs(), 1);
}

#[tokio::test]
async fn what_comes_in_during_one_fsync_shares_the_next() {
    let disk = Disk::default();
    disk.sleep();
    let journal = journal_on(&disk);
    let first = commit(&journal, 0).await;
    disk.until_syncing().await;
    let mut answers = vec![first];
    for id in 1..=500 {
        answers.push(commit(&journal, id).await);
    }
    disk.wake();
    for answer in answers {
        answer.durable(soon()).await.unwrap();
    }
    assert_eq!(disk.syncs(), 2);
    assert_eq!(disk.decisions().len(), 501);
}

#[tokio::test]
async fn a_disk_asleep_is_a_denial_at_the_deadline_and_the_record_is_corrected() {
    let disk = Disk::default();
    disk.sleep();
    let journal = journal_on(&disk);
    let late = commit(&journal, 1).await;
    disk.until_syncing().await;
    let queued = commit(&journal, 2).await;
    assert_eq!(late.durable(in_a_moment()).await, Err(JournalError::NotOnDisk));
    assert_eq!(queued.durable(in_a_moment()).await, Err(JournalError::NotOnDisk));
    disk.wake();
    journal.close(soon()).await.unwrap();
    let mut decisions = disk.decisions();
    // What was on its way is corrected after it; what waited is written with its correction.
    decisions.sort();
    assert_eq!(
        decisions,
        [
            "1 allowed - -",
            "1 denied audit_unavailable allowed",
            "2 allowed - -",
            "2 denied audit_unavailable allowed"
        ]
    );
}

#[tokio::test]
async fn a_gateway_that_leaves_during_the_fsync_is_recorded_as_gone() {
    let disk = Disk::default();
    disk.sleep();
    let journal = journal_on(&disk);
    let receipt = commit(&journal, 1).await;
    disk.until_syncing().await;
    drop(receipt);
    disk.wake();
    journal.close(soon()).await.unwrap();
    assert_eq!(
        disk.decisions(),
        ["1 allowed - -", "1 gateway_gone gateway_gone allowed"]
    );
}

#[tokio::test]
async fn a_dead_disk_denies_at_once_and_writes_each_record_once_when_it_is_back() {
    let disk = Disk::default();
    disk.fails(true);
    let journal = journal_on(&disk);
    let refused = commit(&journal, 1).await.durable(soon()).await.unwrap_err();
    assert!(
        matches!(&refused, JournalError::Unwritable(why) if why.contains("error 5")),
        "{refused}"
    );
    assert!(matches!(
        journal.reserve(soon()).await,
        Err(JournalError::Unwritable(_))
    ));
    disk.fails(false);
    until(&journal, |health| health.failing.is_none()).await;
    commit(&journal, 2).await.durable(soon()).await.unwrap();
    journal.close(soon()).await.unwrap();
    assert_eq!(
        disk.decisions(),
        [
            "1 allowed - -",
            "1 denied audit_unavailable allowed",
            "2 allowed - -"
        ]
    );
}

#[tokio::test]
async fn a_part_of_the_time_is_kept_for_the_disk_where_answers_wait_for_it() {
    let deadline = soon();
    assert!(journal_on(&Disk::default()).decide_by(deadline) < deadline);
    let folder = tempfile::tempdir().unwrap();
    let relaxed = Journal::start(&settings(&folder.path().join("audit.jsonl"))).unwrap();
    assert_eq!(relaxed.decide_by(deadline), deadline);
}
