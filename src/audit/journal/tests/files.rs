//! What a journal's files go through: crashes, restarts, rotation, other processes.

use super::*;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::place::Place;
use crate::audit::settings::{Retention, Rotation};

async fn written(settings: &AuditSettings, records: std::ops::Range<usize>) {
    let journal = Journal::start(settings).unwrap();
    for id in records {
        journal.append(&record(id), soon()).await.unwrap();
    }
    journal.close(soon()).await.unwrap();
}

/// All the old files' texts, in order.
fn old_texts(place: &Place) -> Vec<String> {
    let files = place.old_files().unwrap();
    let text = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        if path.extension().unwrap() == "gz" {
            std::io::read_to_string(flate2::read::MultiGzDecoder::new(&bytes[..])).unwrap()
        } else {
            String::from_utf8(bytes).unwrap()
        }
    };
    files.iter().map(|old| text(&old.path)).collect()
}

#[tokio::test]
async fn a_line_that_a_killed_process_left_half_is_mended_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    written(&settings(&file), 0..2).await;
    let torn = "{\"time\":\"x\",\"deci";
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{whole}{torn}")).unwrap();
    written(&settings(&file), 2..3).await;
    assert_eq!(ids(&file), [0, 1, 2]);
    assert_eq!(events(&file), ["opened", "closed", "opened", "mended", "closed"]);
    let lines = lines(&file);
    let mended = lines.iter().find(|line| line["event"] == "mended").unwrap();
    assert_eq!(
        (&mended["torn_bytes"], &mended["torn"]),
        (&torn.len().into(), &torn.into())
    );
}

#[tokio::test]
async fn lines_of_somebody_else_stay_and_the_chain_goes_on_after_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    written(&settings(&file), 0..1).await;
    let before = fs::read_to_string(&file).unwrap() + "not ours\n";
    fs::write(&file, &before).unwrap();
    written(&settings(&file), 1..2).await;
    let after = fs::read_to_string(&file).unwrap();
    let rest = after.strip_prefix(&before).unwrap();
    let first = Sealed::read(rest.lines().next().unwrap().as_bytes()).unwrap();
    assert_eq!(first.link.seq, 4);
}

#[tokio::test]
async fn a_journal_whose_file_is_gone_goes_on_at_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    written(&settings(&file), 0..3).await;
    let end = Checkpoint::of(&Place::new(&file)).unwrap().unwrap().0;
    assert_eq!(end.seq, 5);
    fs::remove_file(&file).unwrap();
    written(&settings(&file), 3..4).await;
    let lines = lines(&file);
    assert_eq!(lines[0]["seq"], 6);
    assert_eq!(lines[0]["previous"], end.hash.to_string());
}

#[tokio::test]
async fn a_file_moved_away_while_nobody_wrote_is_followed_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    written(&settings(&file), 0..3).await;
    fs::remove_file(Place::new(&file).checkpoint()).unwrap();
    fs::rename(&file, folder.path().join("audit.jsonl.1")).unwrap();
    written(&settings(&file), 3..4).await;
    assert_eq!(lines(&file)[0]["seq"], 6);
}

#[tokio::test]
async fn two_processes_never_write_to_one_journal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let first = Journal::start(&settings(&file)).unwrap();
    let refused = Journal::start(&settings(&file)).unwrap_err();
    assert!(
        refused.to_string().contains("another process writes to it"),
        "{refused}"
    );
    first.append(&record(1), soon()).await.unwrap();
    first.close(soon()).await.unwrap();
    written(&settings(&file), 2..3).await;
    assert_eq!(ids(&file), [1, 2]);
}

#[tokio::test]
async fn a_journal_that_is_dropped_writes_its_last_lines_and_frees_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let journal = Journal::start(&settings(&file)).unwrap();
    journal.reserve(soon()).await.unwrap().write(&record(1));
    drop(journal);
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while Journal::start(&settings(&file)).is_err() {
        tick.tick().await;
    }
    assert_eq!(ids(&file)[0], 1);
}

#[tokio::test]
async fn a_file_that_is_large_enough_is_put_aside_and_compressed_and_the_chain_goes_through() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let settings = AuditSettings {
        rotation: Rotation {
            max_bytes: Some(4096),
            ..Rotation::default()
        },
        ..settings(&file)
    };
    let place = Place::new(&file);
    let journal = Journal::start(&settings).unwrap();
    for id in 0..100 {
        let receipt = journal.reserve(soon()).await.unwrap().commit(&[record(id)]);
        receipt.durable(soon()).await.unwrap();
        until(&journal, |health| {
            health.written == u64::try_from(id).unwrap() + 1
        })
        .await;
    }
    journal.close(soon()).await.unwrap();
    assert!(place.old_files().unwrap().len() > 2);
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while place.old_files().unwrap().iter().any(|old| !old.packed) {
        tick.tick().await;
    }
    let whole = folder.path().join("whole");
    fs::write(
        &whole,
        old_texts(&place).concat() + &fs::read_to_string(&file).unwrap(),
    )
    .unwrap();
    assert_eq!(ids(&whole), (0..100).collect::<Vec<_>>());
    for old in place.old_files().unwrap() {
        assert_eq!(
            fs::metadata(&old.path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    assert!(events(&file).starts_with(&["opened".to_owned()]));
}

#[tokio::test]
async fn a_file_that_is_old_enough_is_put_aside_and_an_empty_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let settings = AuditSettings {
        rotation: Rotation {
            max_age: Some(Duration::ZERO),
            compress: false,
            ..Rotation::default()
        },
        ..settings(&file)
    };
    let place = Place::new(&file);
    let journal = Journal::start(&settings).unwrap();
    journal.append(&record(1), soon()).await.unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while place.old_files().unwrap().is_empty() {
        tick.tick().await;
    }
    journal.close(soon()).await.unwrap();
    let old = place.old_files().unwrap();
    assert_eq!(old.len(), 1);
    assert_eq!((old[0].first, old[0].last, old[0].packed), (1, 3, false));
    assert_eq!(events(&old[0].path), ["opened", "rotated"]);
    assert_eq!(events(&file), ["opened", "closed"]);
}

#[tokio::test]
async fn what_a_crash_left_of_compressing_is_tidied_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let place = Place::new(&file);
    let ended = clock::now();
    let (one, two) = (place.old(1, 2, ended), place.old(3, 4, ended));
    // Killed between giving the compressed file its name and removing the plain one.
    fs::write(&one, "plain").unwrap();
    fs::write(format!("{}.gz", one.display()), "packed").unwrap();
    // Killed while compressing.
    fs::write(&two, "second").unwrap();
    fs::write(format!("{}.gz.tmp", two.display()), "hal").unwrap();
    let journal = Journal::start(&settings(&file)).unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("audit-")).collect();
        names.sort();
        names
    };
    let name = |path: &Path| format!("{}.gz", path.file_name().unwrap().to_str().unwrap());
    while names() != [name(&one), name(&two)] {
        tick.tick().await;
    }
    assert_eq!(
        fs::read(place.old_files().unwrap()[0].path.clone()).unwrap(),
        b"packed"
    );
    journal.close(soon()).await.unwrap();
}

#[tokio::test]
async fn the_journal_says_which_old_files_were_removed_before_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let place = Place::new(&file);
    let (one, two) = (place.old(1, 2, clock::now()), place.old(3, 4, clock::now()));
    fs::write(&one, "").unwrap();
    fs::write(&two, "").unwrap();
    let journal = Journal::start(&AuditSettings {
        retention: Retention {
            max_files: Some(1),
            ..Retention::default()
        },
        ..settings(&file)
    })
    .unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while place.old_files().unwrap().len() > 1 {
        tick.tick().await;
    }
    let lines = lines(&file);
    let retired = lines.iter().find(|line| line["event"] == "retired").unwrap();
    assert_eq!(retired["through"], 2);
    let name = format!("{}.gz", one.file_name().unwrap().to_str().unwrap());
    assert_eq!(retired["files"], serde_json::json!([name]));
    journal.close(soon()).await.unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_put_aside_is_written_on() {
    let folder = tempfile::tempdir().unwrap();
    // With numbers in it, its name is longer than a name can be.
    let long = folder.path().join(format!("{}.jsonl", "x".repeat(230)));
    let settings = AuditSettings {
        rotation: Rotation {
            max_bytes: Some(1),
            ..Rotation::default()
        },
        ..settings(&long)
    };
    written(&settings, 0..20).await;
    assert_eq!(ids(&long), (0..20).collect::<Vec<_>>());
}
