//! Answers that wait for the disk: a disk that is asleep, fails, or is back.

use super::disk::Disk;
use super::*;

/// A strict journal whose first line is written.
async fn journal_on(disk: &Disk) -> Journal {
    let settings = AuditSettings {
        durability: Durability::Disk,
        ..settings(Path::new("unused"))
    };
    let journal = journal_in(disk, &settings);
    disk.until_synced(1).await;
    journal
}

async fn commit(journal: &Journal, id: usize) -> Receipt {
    journal.reserve(soon()).await.unwrap().commit(&[record(id)])
}

#[tokio::test]
async fn an_answer_waits_until_its_record_is_on_disk() {
    let disk = Disk::default();
    let journal = journal_on(&disk).await;
    disk.sleep();
    let receipt = commit(&journal, 1).await;
    let mut answer = Box::pin(receipt.durable(soon()));
    disk.until_syncing().await;
    // It is written, and still not answered.
    assert_eq!(disk.decisions(), ["1 allowed - -"]);
    assert!(futures_util::poll!(&mut answer).is_pending());
    disk.wake();
    answer.await.unwrap();
    assert_eq!(disk.syncs(), 2);
}

#[tokio::test]
async fn what_comes_in_during_one_fsync_shares_the_next() {
    let disk = Disk::default();
    let journal = journal_on(&disk).await;
    disk.sleep();
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
    // One for the line that opens the file, one for the first, one for the rest.
    assert_eq!(disk.syncs(), 3);
    assert_eq!(disk.decisions().len(), 501);
}

#[tokio::test]
async fn a_disk_asleep_is_a_denial_at_the_deadline_and_the_record_is_corrected() {
    let disk = Disk::default();
    let journal = journal_on(&disk).await;
    disk.sleep();
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
    let journal = journal_on(&disk).await;
    disk.sleep();
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
async fn what_was_answered_in_its_stead_is_what_the_correction_says() {
    let disk = Disk::default();
    let journal = journal_on(&disk).await;
    disk.sleep();
    let receipt = commit(&journal, 1).await;
    disk.until_syncing().await;
    receipt.overrule("denied", "deadline_exceeded");
    drop(receipt);
    disk.wake();
    journal.close(soon()).await.unwrap();
    assert_eq!(
        disk.decisions(),
        ["1 allowed - -", "1 denied deadline_exceeded allowed"]
    );
}

#[tokio::test]
async fn a_dead_disk_denies_at_once_and_writes_each_record_once_when_it_is_back() {
    let disk = Disk::default();
    let journal = journal_on(&disk).await;
    disk.fails(true);
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
    assert!(journal_on(&Disk::default()).await.decide_by(deadline) < deadline);
    let folder = tempfile::tempdir().unwrap();
    let relaxed = Journal::start(&settings(&folder.path().join("audit.jsonl"))).unwrap();
    assert_eq!(relaxed.decide_by(deadline), deadline);
}
