use std::path::PathBuf;
use std::process::Command;

use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::cli::Color;
use crate::cli::tools::testing::{directory, get, list, scale};
use crate::inventory::approvals::{self, Approval};
use crate::inventory::changes;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// A copy of a directory in which one text stands for another.
fn copy(from: &Path, to: &Path, file: &str, old: &str, new: &str) {
    for (path, bytes) in Files::read(from).unwrap().iter() {
        let place = to.join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let text = if path == file {
            assert!(text.contains(old), "{file} has no {old}");
            text.replacen(old, new, 1)
        } else {
            text
        };
        std::fs::write(place, text).unwrap();
    }
}

/// A directory, `new` beside it in which more may be scaled, and a log of calls.
struct World {
    old: TempDir,
    place: TempDir,
}

impl World {
    fn new() -> Self {
        let (old, place) = (directory(), TempDir::new().unwrap());
        let new = place.path().join("new");
        copy(old.path(), &new, "k8s.cedar", "replicas > 5 ", "replicas > 8 ");
        // What the tests say of the limit goes with it.
        copy(&new, &new, "tests/k8s.yaml", "replicas: 6", "replicas: 9");
        std::fs::write(place.path().join("audit.jsonl"), log()).unwrap();
        Self { old, place }
    }

    fn old(&self) -> &str {
        self.old.path().to_str().unwrap()
    }

    fn at(&self, name: &str) -> String {
        self.place.path().join(name).to_str().unwrap().to_owned()
    }
}

fn log() -> String {
    let call = |id: &str, user: &str, arguments: Value, shown: &str| {
        json!({
            "time": "2026-03-01T12:00:00.000042Z", "decision_id": id, "outcome": "denied", "reason": "forbidden",
            "server": "k8s", "method": "tools/call", "protocol_version": "2025-11-25", "target": "scale",
            "user": { "issuer": "https://idp", "subject": user, "username": user, "claims": { "roles": ["r"] } },
            "workload": "spiffe://example.org/bot", "policy_version": "abc",
            "durations_us": { "total": 120 }, "gateway": "envoy", "arguments": arguments, "arguments_as": shown,
        })
        .to_string()
    };
    let lines = [
        r#"{"time":"2026-03-01T12:00:00Z","event":"opened","seq":1}"#.to_owned(),
        call("d-1", "vera", json!({ "name": "a", "replicas": 7 }), "all"),
        call("d-2", "vera", json!({ "name": "a", "replicas": 8 }), "all"),
        call("d-3", "dan", json!({ "name": "b", "replicas": 6 }), "all"),
        call(
            "d-4",
            "dan",
            json!({ "name": "string", "replicas": "number" }),
            "names",
        ),
        r#"{"time":"2026-03-01T12:00:00Z","decision_id":"d-5","outcome":"denied","reason":"expired"}"#
            .to_owned(),
    ];
    lines.join("\n") + "\n"
}

fn args(old: &str, new: &str, more: &[&str]) -> Args {
    Line::parse_from([&["diff", old, new], more].concat()).args
}

fn outcome(old: &str, new: &str, more: &[&str]) -> miette::Result<Outcome> {
    run(
        &args(old, new, more),
        &[],
        Terminal::new(Output::Json, Color::Never),
    )
}

#[test]
fn what_changed_and_what_it_does_is_told_to_people_and_scripts() {
    let world = World::new();
    let new = world.place.path().join("new");
    let tool = scale(&json!({ "/description": "Scales a deployment, or none." }));
    list(&new.join("tools"), "k8s.json", &[tool, get()]);
    let declared = r#"[{ "uid": { "type": "Role", "id": "ops" }, "attrs": {}, "parents": [] }]"#;
    std::fs::write(new.join("entities.json"), declared).unwrap();
    let (new, log) = (world.at("new"), world.at("audit.jsonl"));
    let args = args(world.old(), &new, &["--log", &log, "--accept", "dan:k8s/scale"]);
    let terminal = Terminal::new(Output::Table, Color::Never);
    let mut found = gathered(&args, &[], terminal).unwrap();
    found.rename("old", "new");
    insta::assert_snapshot!("words", found.words(terminal));
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&found).unwrap());
}

#[test]
fn what_was_denied_and_is_allowed_is_a_no_unless_it_is_accepted() {
    let world = World::new();
    let (old, new, log) = (world.old(), &*world.at("new"), &*world.at("audit.jsonl"));
    let cases: [(&[&str], Outcome); 8] = [
        (&[], Outcome::No),
        (&["--log", log], Outcome::No),
        (&["--log", log, "--accept", "vera:k8s/scale"], Outcome::No),
        (&["--log", log, "--accept", "all"], Outcome::Yes),
        (&["--log", log, "--accept", "*:k8s/scale"], Outcome::Yes),
        (&["--log", log, "--accept", "*:k8s/get"], Outcome::No),
        (
            &[
                "--log", log, "--accept", "vera:*", "--accept", "dan:*", "--accept", "ada:*",
            ],
            Outcome::Yes,
        ),
        // By the tests, only ada may more.
        (&["--accept", "ada:k8s/scale"], Outcome::Yes),
    ];
    for (more, expected) in cases {
        assert_eq!(outcome(old, new, more).unwrap(), expected, "{more:?}");
    }
    // The other way round, something is taken away: nobody has to accept that.
    assert_eq!(outcome(new, old, &["--log", log]).unwrap(), Outcome::Yes);
    assert_eq!(outcome(old, old, &["--log", log]).unwrap(), Outcome::Yes);
    assert!(Line::try_parse_from(["diff", old, new, "--accept", "ada"]).is_err());
}

#[test]
fn approvals_that_went_with_another_list_are_a_no_unless_it_is_accepted() {
    let place = TempDir::new().unwrap();
    let [old, new] = ["old", "new"].map(|name| place.path().join(name));
    for side in [&old, &new] {
        copy(directory().path(), side, "base.cedarschema", "", "");
    }
    let files = Files::read(&old).unwrap();
    let listed = changes::definitions(&files, &"k8s".parse().unwrap()).unwrap();
    let approval = Approval {
        when: jiff::Timestamp::UNIX_EPOCH,
        by: "ada".to_owned(),
        why: "as reviewed".to_owned(),
        digest: approvals::digest_of(&listed),
        changes: Vec::new(),
    };
    let record = approvals::with(Vec::new(), approval).unwrap();
    std::fs::write(old.join("tools/k8s.approvals.yaml"), record).unwrap();
    let sides = [&old, &new].map(|side| side.to_str().unwrap());
    let said = |more: &[&str]| outcome(sides[0], sides[1], more).unwrap();
    // The list is the one that was approved: the record is missed, and told, but nothing opens.
    assert_eq!(said(&[]), Outcome::Yes);
    let lists = |value: Value| {
        list(&new.join("tools"), "k8s.json", &[scale(&value), get()]);
    };
    lists(json!({ "/description": "Scales whatever you like." }));
    assert_eq!(said(&[]), Outcome::No);
    assert_eq!(said(&["--accept", "*:k8s/get"]), Outcome::No);
    assert_eq!(said(&["--accept", "ada:k8s/scale"]), Outcome::No);
    assert_eq!(said(&["--accept", "*:k8s/scale"]), Outcome::Yes);
    let terminal = Terminal::new(Output::Table, Color::Never);
    let mut found = gathered(&args(sides[0], sides[1], &[]), &[], terminal).unwrap();
    found.rename("old", "new");
    insta::assert_snapshot!("approvals_words", found.words(terminal));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["unapproved"], json!(["*:k8s/scale"]));
    assert_eq!(json["changes"]["approvals"][0]["fate"], "removed");
    // Nobody had approved a list: what is not there is not missed.
    assert_eq!(outcome(sides[1], sides[1], &[]).unwrap(), Outcome::Yes);
}

#[test]
fn what_cannot_be_read_is_no_answer() {
    let world = World::new();
    let old = world.old();
    let bad = world.at("bad.jsonl");
    std::fs::write(&bad, format!("{}not a line\n", log())).unwrap();
    let error = outcome(old, old, &["--log", &bad]).unwrap_err();
    assert!(format!("{error}").ends_with("bad.jsonl:7"), "{error}");
    // The last line of a journal that is being written may be half.
    let torn = world.at("torn.jsonl");
    std::fs::write(&torn, format!("{}{{\"time\":", log())).unwrap();
    assert_eq!(outcome(old, old, &["--log", &torn]).unwrap(), Outcome::Yes);
    assert!(outcome(old, old, &["--log", "/nowhere.jsonl"]).is_err());
    assert!(outcome(old, "no-such-revision", &[]).is_err());
    let broken = world.at("broken");
    copy(
        world.old.path(),
        Path::new(&broken),
        "k8s.cedar",
        "context.arguments.replicas",
        "context.arguments.replica",
    );
    let error = outcome(old, &broken, &[]).unwrap_err();
    assert!(format!("{error}").contains("can't rule"), "{error}");
}

#[test]
fn a_gzipped_log_is_read_and_several_are_one() {
    let world = World::new();
    let packed = world.at("audit.jsonl.gz");
    let file = std::fs::File::create(&packed).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, log().as_bytes()).unwrap();
    encoder.finish().unwrap();
    let (new, plain) = (world.at("new"), world.at("audit.jsonl"));
    let args = args(world.old(), &new, &["--log", &plain, &packed]);
    let found = gathered(&args, &[], Terminal::new(Output::Table, Color::Never)).unwrap();
    let found = serde_json::to_value(&found).unwrap();
    assert_eq!(found["log"]["flips"][0]["calls"], 4);
}

/// A repository with policies, and then with changed ones.
struct Repository {
    top: TempDir,
    world: World,
}

impl Repository {
    fn new() -> Self {
        let this = Self {
            top: TempDir::new().unwrap(),
            world: World::new(),
        };
        this.git(&["init", "-q", "-b", "main"]);
        // Whatever git would run, were it asked to check something out, fails loudly.
        let hook = this.top.path().join(".git/hooks/post-checkout");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, "#!/bin/sh\ntouch ran-a-hook\n").unwrap();
        copy(
            this.world.old.path(),
            &this.policies(),
            "base.cedarschema",
            "",
            "",
        );
        std::fs::write(this.policies().join("README.md"), "read by nobody").unwrap();
        this.commit("first");
        copy(
            Path::new(&this.world.at("new")),
            &this.policies(),
            "base.cedarschema",
            "",
            "",
        );
        this.commit("second");
        this
    }

    fn policies(&self) -> PathBuf {
        self.top.path().join("deploy/policies")
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "commit",
            "-q",
            "-m",
            message,
        ]);
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.top.path())
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// A side as seen from the top of the repository.
    fn side(&self, tree: &str) -> Side {
        Side::Revision {
            from: self.top.path().to_owned(),
            tree: tree.to_owned(),
        }
    }
}

#[test]
fn a_git_revision_is_read_without_checking_it_out() {
    let repository = Repository::new();
    let before = std::fs::read_dir(repository.top.path()).unwrap().count();
    let old = repository.side("main~1:deploy/policies").read().unwrap().unwrap();
    assert_eq!(old, Files::read(repository.world.old.path()).unwrap());
    let new = repository.side("HEAD:deploy/policies").read().unwrap().unwrap();
    assert_eq!(new, Files::read(&repository.policies()).unwrap());
    assert_eq!(std::fs::read_dir(repository.top.path()).unwrap().count(), before);
    for wrong in [
        "nope:deploy/policies",
        "main:nowhere",
        "main:deploy/policies/entities.json",
        "--output=/tmp/x:y",
        "main",
    ] {
        let side = repository.side(wrong);
        assert!(side.read().is_err(), "{wrong}");
    }
}

#[test]
fn a_revision_alone_means_the_directory_that_it_is_compared_with() {
    let repository = Repository::new();
    let policies = repository.policies().to_str().unwrap().to_owned();
    let side = Side::of("main~1", &policies).unwrap();
    assert_eq!(
        side.read().unwrap().unwrap(),
        Files::read(repository.world.old.path()).unwrap()
    );
    assert_eq!(
        Side::of(&policies, "main~1").unwrap(),
        Side::Directory(repository.policies())
    );
    let side = Side::of("main", "HEAD~1").unwrap();
    assert_eq!(side.to_string(), "main:./policies");
    let more = ["--accept", "*:k8s/scale"];
    assert_eq!(outcome("main~1", &policies, &[]).unwrap(), Outcome::No);
    assert_eq!(outcome("main~1", &policies, &more).unwrap(), Outcome::Yes);
    assert_eq!(outcome(&policies, "main~1", &[]).unwrap(), Outcome::Yes);
}

#[test]
fn a_link_in_a_revision_is_refused() {
    let repository = Repository::new();
    std::os::unix::fs::symlink("/etc/passwd", repository.policies().join("x.cedar")).unwrap();
    repository.commit("third");
    let error = repository.side("main:deploy/policies").read().unwrap_err();
    assert!(format!("{error:?}").contains("x.cedar"), "{error:?}");
}

#[test]
fn a_folder_of_a_change_is_not_taken_for_the_revision_of_that_name() {
    let repository = Repository::new();
    let top = repository.top.path();
    for folder in ["main", "HEAD"] {
        std::fs::create_dir(top.join(folder)).unwrap();
        let error = Side::seen_from(top, folder, "deploy/policies").unwrap_err();
        assert!(
            error.to_string().contains("is a folder and a git revision"),
            "{error}"
        );
        let plainly = Side::seen_from(top, &format!("./{folder}"), "deploy/policies").unwrap();
        assert!(matches!(plainly, Side::Directory(_)), "{plainly:?}");
    }
    let tree = Side::seen_from(top, "main:deploy/policies", "HEAD").unwrap();
    assert_eq!(tree, repository.side("main:deploy/policies"));
    let folder = Side::seen_from(top, "deploy/policies", "main~1").unwrap();
    assert!(matches!(folder, Side::Directory(_)), "{folder:?}");
}

#[test]
fn files_of_a_change_are_no_repository_of_their_own() {
    let repository = Repository::new();
    let policies = repository.policies();
    // What git takes for a repository without a work tree, in the folder that is compared.
    let bare = Command::new("git")
        .args(["init", "-q", "--bare", "-b", "main"])
        .arg(&policies)
        .output()
        .unwrap();
    assert!(bare.status.success() && policies.join("HEAD").exists());
    let side = Side::of("main", policies.to_str().unwrap()).unwrap();
    assert!(side.read().is_err());
    // Seen from elsewhere, what is meant is the repository around it.
    assert!(repository.side("main:deploy/policies").read().is_ok());
}
