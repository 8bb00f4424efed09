//! A directory that changes while it rules.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::clock;

const NOBODY: &str = "@id(\"nobody\") forbid (principal, action, resource);\n";
const BROKEN: &str = "@id(\"nobody\") forbid (principal in Role::\"nosuch\", action, resource);\n";
const DEADLINE: Duration = Duration::from_secs(20);

fn now() -> Timestamp {
    "2026-03-01T10:00:00Z".parse().unwrap()
}

/// A copy of the default directory.
fn copy(to: &Path) {
    for (path, bytes) in Files::read(&directory()).unwrap().iter() {
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    // What is tried here changes what the tests would say.
    fs::remove_dir_all(to.join("tests")).unwrap();
}

fn store(directory: &Path) -> PolicyStore {
    PolicyStore::open(&settings(directory), Vec::new(), now())
        .unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}

fn outcome(store: &PolicyStore) -> Outcome {
    for_user(
        &store.current(),
        &admin(),
        &tool("fs_read", r#"{"path":"/srv/work/a"}"#),
    )
    .0
}

#[test]
fn an_edit_rules_once_it_is_loaded_and_a_broken_one_never() {
    let place = TempDir::new().unwrap();
    copy(place.path());
    let store = store(place.path());
    assert_eq!(store.reload(now()), Reload::Unchanged);
    let first = store.status();
    assert!(first.is_current() && first.loads == 1);

    fs::write(place.path().join("nobody.cedar"), NOBODY).unwrap();
    assert_eq!(store.reload(now()), Reload::Loaded);
    assert_eq!(outcome(&store), Outcome::Forbidden);
    let second = store.status();
    assert_ne!(second.version, first.version);

    fs::write(place.path().join("nobody.cedar"), BROKEN).unwrap();
    assert_eq!(store.reload(now()), Reload::Refused);
    assert_eq!(
        store.reload(now()),
        Reload::Unchanged,
        "it is not tried again until it changes"
    );
    let third = store.status();
    assert_eq!((third.version, third.refusals), (second.version.clone(), 1));
    assert!(third.last_error.unwrap()[0].message.contains("Role::\"nosuch\""));
    assert_eq!(
        outcome(&store),
        Outcome::Forbidden,
        "the last good set goes on ruling"
    );

    // Taken back: what rules is what is there.
    fs::write(place.path().join("nobody.cedar"), NOBODY).unwrap();
    assert_eq!(store.reload(now()), Reload::Unchanged);
    assert!(store.status().is_current());
}

#[test]
fn a_half_written_file_and_a_directory_that_is_gone_change_nothing() {
    let place = TempDir::new().unwrap();
    let policies = place.path().join("policies");
    copy(&policies);
    let store = store(&policies);
    let text = fs::read_to_string(policies.join("workbench-people.cedar")).unwrap();
    fs::write(policies.join("workbench-people.cedar"), &text[..text.len() / 2]).unwrap();
    assert_eq!(store.reload(now()), Reload::Refused);
    assert_eq!(outcome(&store), Outcome::Allowed);
    fs::rename(&policies, place.path().join("away")).unwrap();
    assert_eq!(store.reload(now()), Reload::Refused);
    assert_eq!(store.reload(now()), Reload::Unchanged);
    assert_eq!(outcome(&store), Outcome::Allowed);
    fs::rename(place.path().join("away"), &policies).unwrap();
    fs::write(policies.join("workbench-people.cedar"), &text).unwrap();
    assert_eq!(store.reload(now()), Reload::Unchanged);
    assert!(store.status().is_current());
}

#[test]
fn an_edit_that_fails_the_directorys_own_tests_does_not_rule() {
    let place = TempDir::new().unwrap();
    copy(place.path());
    fs::create_dir(place.path().join("tests")).unwrap();
    fs::copy(
        directory().join("tests/lifecycle.yaml"),
        place.path().join("tests/lifecycle.yaml"),
    )
    .unwrap();
    let store = store(place.path());
    fs::write(place.path().join("nobody.cedar"), NOBODY).unwrap();
    assert_eq!(store.reload(now()), Reload::Refused);
    let error = store.status().last_error.unwrap();
    assert!(
        error[0].to_string().starts_with("tests/lifecycle.yaml:"),
        "{}",
        error[0]
    );
}

#[test]
fn a_first_load_that_fails_is_an_error() {
    let place = TempDir::new().unwrap();
    let nowhere = settings(&place.path().join("nowhere"));
    assert!(PolicyStore::open(&nowhere, Vec::new(), now()).is_err());
    copy(place.path());
    fs::write(place.path().join("nobody.cedar"), BROKEN).unwrap();
    let problems = PolicyStore::open(&settings(place.path()), Vec::new(), now()).unwrap_err();
    assert_eq!(problems[0].line_column(), Some((1, 36)));
}

fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        shadow: None,
        settle: Duration::from_millis(30),
        settle_at_most: Duration::from_millis(200),
        poll_interval: Duration::from_secs(1),
        ..Settings::default()
    }
}

async fn until(store: &PolicyStore, what: impl Fn(&Status) -> bool) -> Status {
    let mut status = store.subscribe();
    let found = tokio::time::timeout(DEADLINE, status.wait_for(what)).await;
    found.expect("in time").unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_that_swaps_its_links_is_loaded() {
    let place = TempDir::new().unwrap();
    let mount = place.path();
    copy(&mount.join("..v1"));
    copy(&mount.join("..v2"));
    fs::write(mount.join("..v2/nobody.cedar"), NOBODY).unwrap();
    symlink("..v1", mount.join("..data")).unwrap();
    for entry in fs::read_dir(mount.join("..v2")).unwrap() {
        let name = entry.unwrap().file_name();
        // A ConfigMap's new keys get their links after the swap; here the last one is made first.
        symlink(Path::new("..data").join(&name), mount.join(&name)).unwrap();
    }
    fs::remove_file(mount.join("nobody.cedar")).unwrap();
    let store = Arc::new(store(mount));
    let watching = tokio::spawn(Arc::clone(&store).watch(settings(mount)));
    assert_eq!(outcome(&store), Outcome::Allowed);
    symlink("..v2", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    symlink("..data/nobody.cedar", mount.join("nobody.cedar")).unwrap();
    until(&store, |status| status.loads == 2).await;
    assert_eq!(outcome(&store), Outcome::Forbidden);
    watching.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_edits_in_a_row_are_loaded_a_few_times_and_the_last_one_rules() {
    let place = TempDir::new().unwrap();
    copy(place.path());
    let store = Arc::new(store(place.path()));
    let watching = tokio::spawn(Arc::clone(&store).watch(settings(place.path())));
    let started = clock::instant();
    for number in 0..100 {
        let text =
            format!("@id(\"edit-{number}\") forbid (principal, action, resource) when {{ {number} < 99 }};");
        let new = place.path().join(".new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, place.path().join("nobody.cedar")).unwrap();
        tokio::task::yield_now().await;
    }
    let last = super::super::load::version(&Files::read(place.path()).unwrap());
    let status = until(&store, |status| *status.version == *last).await;
    // However long the edits took: before each load, nothing changed for a while.
    let quiet = started.elapsed().as_millis() / settings(place.path()).settle.as_millis();
    assert!(u128::from(status.loads) <= quiet + 2, "{} loads", status.loads);
    // Where readings are slow, one may have met nothing but changes: that is told, and over.
    assert!(status.is_current(), "{status:?}");
    assert_eq!(outcome(&store), Outcome::Allowed);
    watching.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_replaced_goes_on_being_watched() {
    let place = TempDir::new().unwrap();
    let policies = place.path().join("policies");
    copy(&policies);
    let store = Arc::new(store(&policies));
    let watching = tokio::spawn(Arc::clone(&store).watch(settings(&policies)));
    fs::remove_dir_all(&policies).unwrap();
    until(&store, |status| !status.is_current()).await;
    assert_eq!(outcome(&store), Outcome::Allowed);
    copy(&policies);
    fs::write(policies.join("nobody.cedar"), NOBODY).unwrap();
    until(&store, |status| status.is_current() && status.loads >= 2).await;
    assert_eq!(outcome(&store), Outcome::Forbidden);
    watching.abort();
}
