//! No record that was taken is lost: full queues and disks, lost folders, rotation, shutdown.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::audit::chain::{Link, Sealed};
use crate::clock;
use disk::Disk;

mod disk;
mod files;
mod strict;

fn settings(file: &Path) -> AuditSettings {
    AuditSettings {
        file: Some(file.to_owned()),
        retry_interval: Duration::from_millis(10),
        ..AuditSettings::default()
    }
}

fn record(id: usize) -> Record<'static> {
    Record {
        decision_id: id.to_string().into(),
        outcome: "allowed",
        ..Record::default()
    }
}

fn soon() -> Instant {
    clock::instant().checked_add(Duration::from_secs(10)).unwrap()
}

fn in_a_moment() -> Instant {
    clock::instant().checked_add(Duration::from_millis(50)).unwrap()
}

fn journal_in(disk: &Disk, settings: &AuditSettings) -> Journal {
    let target = Target::new(Box::new(disk.clone()), None);
    Journal::with_target(target, &Ends::default(), settings).unwrap()
}

/// A file's lines, each of which must be whole and linked to the one before.
fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut before: Option<Link> = None;
    text.lines()
        .map(|line| {
            let sealed = Sealed::read(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            if let Some(before) = before {
                assert_eq!(sealed.link.seq, before.seq.saturating_add(1));
                assert_eq!(sealed.link.hash, sealed.hash_after(before.hash));
            }
            before = Some(sealed.link);
            serde_json::from_str(line).unwrap()
        })
        .collect()
}

/// The decision ids in a file.
fn ids(file: &Path) -> Vec<usize> {
    let lines = lines(file);
    let ids = lines.iter().filter_map(|line| line["decision_id"].as_str());
    ids.map(|id| id.parse().unwrap()).collect()
}

/// The events in a file.
fn events(file: &Path) -> Vec<String> {
    let lines = lines(file);
    let events = lines.iter().filter_map(|line| line["event"].as_str());
    events.map(str::to_owned).collect()
}

/// Waits, by looking, until the journal's health is as told.
async fn until(journal: &Journal, reached: impl Fn(&JournalHealth) -> bool) {
    let waiting = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !reached(&journal.health()) {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_records_at_once_are_ten_thousand_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let journal = Journal::start(&AuditSettings {
        queue: 64,
        ..settings(&file)
    })
    .unwrap();
    let tasks: Vec<_> = (0..10_000)
        .map(|id| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(&record(id), soon()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    journal.close(soon()).await.unwrap();
    let mut ids = ids(&file);
    ids.sort_unstable();
    assert_eq!(ids, (0..10_000).collect::<Vec<_>>());
    assert_eq!(journal.health().written, 10_000);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_full_queue_makes_a_request_wait_and_fails_it_at_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let journal = Journal::start(&AuditSettings {
        queue: 1,
        ..settings(&file)
    })
    .unwrap();
    let slot = journal.reserve(soon()).await.unwrap();
    assert_eq!(journal.health().depth, 1);
    assert_eq!(
        journal.reserve(in_a_moment()).await.unwrap_err(),
        JournalError::QueueFull
    );

    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move { journal.append(&record(2), soon()).await }
    });
    tokio::task::yield_now().await;
    slot.write(&record(1));
    waiting.await.unwrap().unwrap();
    journal.close(soon()).await.unwrap();
    assert_eq!(ids(&file), [1, 2]);
}

#[tokio::test]
async fn a_slot_that_is_dropped_unused_is_free_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let journal = Journal::start(&AuditSettings {
        queue: 1,
        ..settings(&file)
    })
    .unwrap();
    drop(journal.reserve(soon()).await.unwrap());
    journal.append(&record(1), in_a_moment()).await.unwrap();
}

#[tokio::test]
async fn the_records_of_a_batch_take_one_place_and_stand_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let journal = Journal::start(&AuditSettings {
        queue: 1,
        ..settings(&file)
    })
    .unwrap();
    let slot = journal.reserve(soon()).await.unwrap();
    slot.write_all(&[record(1), record(2), record(3)]);
    journal.reserve(soon()).await.unwrap().write_all(&[]);
    journal.close(soon()).await.unwrap();
    assert_eq!(ids(&file), [1, 2, 3]);
    assert_eq!(journal.health().written, 3);
}

#[tokio::test]
async fn a_slot_writes_from_a_drop_after_the_request_was_cancelled() {
    struct Guard(Option<Slot>);
    impl Drop for Guard {
        fn drop(&mut self) {
            if let Some(slot) = self.0.take() {
                slot.write(&Record {
                    outcome: "gateway_gone",
                    ..record(7)
                });
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let journal = Journal::start(&settings(&file)).unwrap();
    let guard = Guard(Some(journal.reserve(soon()).await.unwrap()));
    let task = tokio::spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    journal.close(soon()).await.unwrap();
    assert_eq!(ids(&file), [7]);
    assert!(fs::read_to_string(&file).unwrap().contains("gateway_gone"));
}

#[tokio::test]
async fn a_full_disk_refuses_new_records_and_loses_none_that_were_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (file, real) = (folder.path().join("audit.jsonl"), folder.path().join("real"));
    let lead_to = |place: &Path| {
        let next = folder.path().join("next");
        symlink(place, &next).unwrap();
        fs::rename(&next, &file).unwrap();
    };
    let journal = Journal::start(&settings(&file)).unwrap();
    let late = journal.reserve(soon()).await.unwrap();
    let later = journal.reserve(soon()).await.unwrap();
    lead_to(Path::new("/dev/full"));
    late.write(&record(1));
    until(&journal, |health| health.failing.is_some()).await;
    let refused = journal.reserve(soon()).await.unwrap_err();
    assert!(
        matches!(&refused, JournalError::Unwritable(why) if why.contains("space")),
        "{refused}"
    );
    // In flight when the disk filled up: its record still has its place.
    later.write(&record(2));
    assert!(journal.health().failures > 0);

    lead_to(&real);
    until(&journal, |health| health.failing.is_none()).await;
    journal.append(&record(3), soon()).await.unwrap();
    journal.close(soon()).await.unwrap();
    assert_eq!(ids(&real), [1, 2, 3]);
}

#[tokio::test]
async fn a_lost_folder_is_noticed_also_when_idle_and_the_file_comes_back_with_it() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("audit");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("audit.jsonl");
    let journal = Journal::start(&settings(&file)).unwrap();
    journal.append(&record(1), soon()).await.unwrap();
    until(&journal, |health| health.written == 1).await;
    let taken = journal.reserve(soon()).await.unwrap();
    fs::remove_dir_all(&folder).unwrap();
    until(&journal, |health| health.failing.is_some()).await;
    assert!(matches!(
        journal.reserve(soon()).await,
        Err(JournalError::Unwritable(_))
    ));
    taken.write(&record(2));
    fs::create_dir(&folder).unwrap();
    until(&journal, |health| health.failing.is_none() && health.written == 2).await;
    journal.append(&record(3), soon()).await.unwrap();
    journal.close(soon()).await.unwrap();
    assert_eq!(ids(&file), [2, 3]);
}

#[tokio::test]
async fn a_request_that_waits_for_a_place_is_told_at_once_that_the_disk_is_full() {
    let disk = Disk::default();
    let settings = AuditSettings {
        queue: 1,
        ..settings(Path::new("unused"))
    };
    let journal = journal_in(&disk, &settings);
    disk.until_written().await;
    let slot = journal.reserve(soon()).await.unwrap();
    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move { journal.reserve(soon()).await.map(drop) }
    });
    tokio::task::yield_now().await;
    disk.full(true);
    slot.write(&record(1));
    let told = waiting.await.unwrap();
    assert!(matches!(told, Err(JournalError::Unwritable(_))), "{told:?}");
    disk.full(false);
    journal.close(soon()).await.unwrap();
    assert_eq!(disk.decisions(), ["1 allowed - -"]);
}

#[tokio::test]
async fn a_rotated_file_is_opened_anew_and_no_line_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (file, old) = (
        folder.path().join("audit.jsonl"),
        folder.path().join("audit.jsonl.1"),
    );
    let journal = Journal::start(&settings(&file)).unwrap();
    journal.append(&record(1), soon()).await.unwrap();
    until(&journal, |health| health.written == 1).await;
    fs::rename(&file, &old).unwrap();
    journal.append(&record(2), soon()).await.unwrap();
    journal.close(soon()).await.unwrap();
    assert_eq!((ids(&old), ids(&file)), (vec![1], vec![2]));
}

#[tokio::test]
async fn closing_waits_for_slots_that_are_out_and_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let journal = Journal::start(&settings(&file)).unwrap();
    let slot = journal.reserve(soon()).await.unwrap();
    assert_eq!(
        journal.close(in_a_moment()).await,
        Err(JournalError::Unfinished { waiting: 1 })
    );
    assert_eq!(journal.reserve(soon()).await.unwrap_err(), JournalError::Closed);
    slot.write(&record(1));
    journal.close(soon()).await.unwrap();
    assert_eq!(ids(&file), [1]);
}

#[test]
fn a_start_that_cannot_work_is_an_error() {
    let missing = settings(Path::new("/nonexistent/audit.jsonl"));
    let error = Journal::start(&missing).unwrap_err();
    assert!(matches!(error, JournalError::Open { .. }), "{error}");
    let none = AuditSettings {
        queue: 0,
        file: None,
        ..missing
    };
    assert_eq!(Journal::start(&none).unwrap_err(), JournalError::QueueLength(0));
}
