//! `policy test --watch`, as a person at a terminal uses it.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The shipped directory, to be edited.
fn copied() -> tempfile::TempDir {
    let place = tempfile::TempDir::new().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for (path, bytes) in mcp_authz::inventory::Files::read(&shipped).unwrap().iter() {
        let path = place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    place
}

/// `policy test --watch`, and what it prints.
struct Watching {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
            .args(["policy", "test", "--watch"])
            .arg(directory)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// What it prints up to a line that ends so.
    fn until(&mut self, end: &str) -> String {
        let mut said = String::new();
        while !said.trim_end().ends_with(end) {
            let line = self
                .lines
                .next()
                .unwrap_or_else(|| panic!("it ended after:\n{said}"));
            said += &line.unwrap();
            said.push('\n');
        }
        said
    }

    /// Ctrl-c, and the exit code.
    fn interrupt(mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(told.success());
        self.process.wait().unwrap().code()
    }
}

const WAITS: &str = "waits for a change, ctrl-c ends";

#[test]
fn watched_tests_run_again_on_a_change_and_the_last_run_is_the_exit_code() {
    let place = copied();
    let mut watching = Watching::start(place.path(), &[]);
    let first = watching.until(WAITS);
    assert!(
        first.contains(" passed\ntook ") && !first.contains("changed"),
        "{first}"
    );

    // A test that can't hold.
    let path = place.path().join("tests/info.yaml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replacen("expect: allow", "expect: deny", 1)).unwrap();
    let failing = watching.until(WAITS);
    assert!(
        failing.contains("changed: tests/info.yaml\n")
            && failing.contains("1 of ")
            && failing.contains(" failed\ntook "),
        "{failing}"
    );

    // A directory that can't be loaded ends nothing.
    let other = place.path().join("other.cedar");
    fs::write(&other, "permit (").unwrap();
    let broken = watching.until(WAITS);
    assert!(
        broken.contains("changed: other.cedar\n") && broken.contains("not valid: 1 thing to put right"),
        "{broken}"
    );

    fs::remove_file(&other).unwrap();
    watching.until(WAITS);
    fs::write(&path, good).unwrap();
    let mended = watching.until(WAITS);
    assert!(mended.contains(" passed\ntook "), "{mended}");
    assert_eq!(watching.interrupt(), Some(0));
}

#[test]
fn interrupted_after_a_failing_run_it_says_no_and_scripts_get_a_document_for_each_run() {
    let place = copied();
    let path = place.path().join("tests/info.yaml");
    let good = fs::read_to_string(&path).unwrap();
    let mut watching = Watching::start(place.path(), &["--output", "json"]);
    let first: Value = serde_json::from_str(&watching.until("\n}")).unwrap();
    assert_eq!(first["valid"], true);
    assert!(first["took_ms"].is_u64());
    fs::write(&path, good.replacen("expect: allow", "expect: deny", 1)).unwrap();
    let second: Value = serde_json::from_str(&watching.until("\n}")).unwrap();
    let failed = second["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["passed"] == false)
        .count();
    assert_eq!((&second["valid"], failed), (&Value::Bool(false), 1));
    assert_eq!(watching.interrupt(), Some(1));
}
