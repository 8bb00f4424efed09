//! What the documents say is so: each snippet is run, loaded or compared with the file it is taken from, and each link,
//! file and test that they name is there.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail on the spot"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mcp_authz::config::Config;
use mcp_authz::decide::Reason;
use mcp_authz::respond::shape;
use mcp_authz::telemetry::Status;
use mcp_authz::wire::check::Failure;
use serde_json::Value;

#[path = "documents/lists.rs"]
mod lists;
#[path = "documents/policies.rs"]
mod policies;
#[path = "documents/session.rs"]
mod session;

/// The keys of agentgateway 1.4's `extAuthz`, with the values that this service needs where it matters.
const AGENTGATEWAY: [&str; 11] = [
    "extAuthz.host",
    "extAuthz.failureMode",
    "extAuthz.protocol.grpc.context.*",
    "extAuthz.protocol.grpc.metadata.*",
    "extAuthz.includeRequestHeaders",
    "extAuthz.includeRequestBody.maxRequestBytes",
    "extAuthz.includeRequestBody.allowPartialMessage",
    "extAuthz.includeRequestBody.packAsBytes",
    "extAuthz.cache.key",
    "extAuthz.cache.ttl",
    "extAuthz.cache.maxEntries",
];

/// A page of the documentation.
struct Page {
    path: PathBuf,
    text: String,
}

/// A fenced piece of a page.
#[derive(Debug)]
struct Snippet {
    place: String,
    /// The heading that it stands under, and its page.
    section: String,
    language: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    found
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect()
}

fn pages() -> Vec<Page> {
    let folders = [
        root().to_owned(),
        root().join("docs"),
        root().join("docs/decisions"),
    ];
    let mut paths: Vec<PathBuf> = folders.iter().flat_map(|folder| markdown(folder)).collect();
    paths.sort();
    let read = |path: PathBuf| Page {
        text: fs::read_to_string(&path).unwrap(),
        path,
    };
    paths.into_iter().map(read).collect()
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn snippets() -> Vec<Snippet> {
    let mut found = Vec::new();
    for page in pages() {
        let mut open: Option<Snippet> = None;
        let mut section = page.path.display().to_string();
        for (number, line) in page.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            if open.is_none() && line.starts_with('#') {
                section = format!("{}:{}", page.path.display(), number.saturating_add(1));
            }
            match (open.take(), fence) {
                (None, Some(language)) => {
                    open = Some(Snippet {
                        place: format!("{}:{}", page.path.display(), number.saturating_add(1)),
                        section: section.clone(),
                        language: language.to_owned(),
                        text: String::new(),
                    });
                }
                (Some(snippet), Some(_)) => found.push(snippet),
                (Some(mut snippet), None) => {
                    snippet.text.extend([line, "\n"]);
                    open = Some(snippet);
                }
                (None, None) => {}
            }
        }
        assert!(
            open.is_none(),
            "{}: a snippet without an end",
            page.path.display()
        );
    }
    found
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command.env_remove("MCP_AUTHZ_CONFIG").output().unwrap()
}

fn succeeds(place: &str, program: &str, arguments: &[&str]) {
    let output = run(program, arguments);
    assert!(
        output.status.success(),
        "{place}: {arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn mcp_authz(place: &str, arguments: &[&str]) {
    succeeds(place, env!("CARGO_BIN_EXE_mcp-authz"), arguments);
}

fn yaml(place: &str, text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"))
}

/// Each `$ command` of a console is run, but for those that serve: of these it is seen that they take the arguments.
fn console(snippet: &Snippet) {
    let place = &snippet.place;
    for line in snippet.text.lines().filter(|line| !line.is_empty()) {
        let command = line
            .strip_prefix("$ ")
            .unwrap_or_else(|| panic!("{place}: `{line}` is no command"));
        let command = command.split(" #").next().unwrap();
        let mut words: Vec<&str> = command.split_whitespace().collect();
        match words.remove(0) {
            "make" => {
                words.insert(0, "-n");
                succeeds(place, "make", &words);
            }
            "mcp-authz" => {
                if ["serve", "demo", "token"].contains(&words[0]) || words.starts_with(&["tools", "pull"]) {
                    words.push("--help");
                }
                mcp_authz(place, &words);
            }
            other => panic!("{place}: nobody checks `{other}`"),
        }
    }
}

/// A part of a configuration is sound once it has a server that requires what the part is about.
fn configuration(snippet: &Snippet, parsed: &Value) {
    let mut text = snippet.text.clone();
    if parsed.get("servers").is_none() {
        let about = |key: &&str| parsed["identity"].get(key).is_some();
        let required = [(&["issuers"][..], "user"), (&["gateways", "spiffe"], "workload")];
        let required: Vec<&str> = required
            .iter()
            .filter(|(keys, _)| keys.iter().any(about))
            .map(|(_, identity)| *identity)
            .collect();
        let server = "servers: [{name: workbench, resource: https://mcp.example/workbench/mcp, require: ";
        text.extend([server, "[", &required.join(", "), "]}]\n"]);
    }
    if let Err(problems) = Config::read(None, &text, []) {
        panic!("{}: {problems:?}", snippet.place);
    }
}

/// Whether everything that `part` says, `whole` says too.
fn says(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|found| says(found, value))),
        (Value::Array(whole), Value::Array(part)) => part
            .iter()
            .all(|value| whole.iter().any(|found| says(found, value))),
        _ => whole == part,
    }
}

fn says_somewhere(whole: &Value, part: &Value) -> bool {
    says(whole, part)
        || match whole {
            Value::Object(map) => map.values().any(|value| says_somewhere(value, part)),
            Value::Array(list) => list.iter().any(|value| says_somewhere(value, part)),
            _ => false,
        }
}

/// What is said of Envoy stands in envoy/envoy.yaml, which Envoy itself validates in another test.
fn envoy(snippet: &Snippet, parsed: &Value) {
    let shipped = yaml("envoy/envoy.yaml", &page("envoy/envoy.yaml"));
    assert!(
        says_somewhere(&shipped, parsed),
        "{}: not so in envoy/envoy.yaml:\n{}",
        snippet.place,
        snippet.text
    );
}

fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let separator = if path.is_empty() { "" } else { "." };
                leaves(value, &format!("{path}{separator}{key}"), found);
            }
        }
        leaf => drop(found.insert(path.to_owned(), leaf.clone())),
    }
}

fn agentgateway(snippet: &Snippet, parsed: &Value) {
    let mut found = BTreeMap::new();
    leaves(parsed, "", &mut found);
    for key in found.keys() {
        let known = AGENTGATEWAY.iter().any(|known| match known.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => known == key,
        });
        assert!(known, "{}: agentgateway has no `{key}`", snippet.place);
    }
    // Without these it would let calls through, or send bodies that can only be refused.
    let body = "extAuthz.includeRequestBody";
    let limit = Config::default().messages.max_body_bytes;
    assert_eq!(found["extAuthz.failureMode"], "deny");
    assert_eq!(found[&format!("{body}.maxRequestBytes")], limit);
    assert_eq!(found[&format!("{body}.allowPartialMessage")], true);
    assert_eq!(found[&format!("{body}.packAsBytes")], true);
    let listen = Config::default().grpc.listen.unwrap().to_string();
    assert_eq!(found["extAuthz.host"], listen.as_str());
    let shipped = yaml("envoy/agentgateway.yaml", &page("envoy/agentgateway.yaml"));
    assert!(
        says_somewhere(&shipped, parsed),
        "{}: not so in envoy/agentgateway.yaml",
        snippet.place
    );
}

/// What is said of Keycloak's realm stands in the shipped one. A test of the black box follows it in an empty realm.
fn realm(snippet: &Snippet, parsed: &Value) {
    let shipped: Value = serde_json::from_str(&page("compose/keycloak/realm-mcp.json")).unwrap();
    assert!(
        says(&shipped, parsed),
        "{}: not so in compose/keycloak/realm-mcp.json:\n{}",
        snippet.place,
        snippet.text
    );
}

/// The first key of a YAML snippet says whose it is.
fn yaml_snippet(snippet: &Snippet) {
    let parsed = yaml(&snippet.place, &snippet.text);
    let first = match &parsed {
        Value::Object(map) => map.keys().next().cloned().unwrap_or_default(),
        Value::Array(list) => list[0]["name"].as_str().unwrap_or_default().to_owned(),
        other => panic!("{}: {other} is no configuration", snippet.place),
    };
    let settings = serde_json::to_value(Config::default()).unwrap();
    match first.as_str() {
        _ if parsed.get("clients").is_some() || parsed.get("roles").is_some() => realm(snippet, &parsed),
        "extAuthz" => agentgateway(snippet, &parsed),
        // Run with the policies of their section.
        _ if policies::are_tests(&parsed) => {}
        name if name == "typed_per_filter_config" || name.starts_with("envoy.") => envoy(snippet, &parsed),
        key if settings.get(key).is_some() => configuration(snippet, &parsed),
        other => panic!("{}: nobody checks YAML of `{other}`", snippet.place),
    }
}

/// A drawing of the way of a message: what stands between its arrows is a module.
fn drawing(snippet: &Snippet) {
    for line in snippet.text.lines().filter(|line| line.contains('►')) {
        for room in line.split(['►', '─', '└', '│']) {
            let name = room.split('(').next().unwrap().trim();
            let known = ["", "gateway"].contains(&name) || root().join(format!("src/{name}.rs")).is_file();
            assert!(known, "{}: there is no module `{name}`", snippet.place);
        }
    }
}

/// What `make bench` prints last: a name that the script measures, and a number.
fn figures(snippet: &Snippet) {
    let measuring = ["bench/bench.py", "examples/bench/reader.rs"];
    let script = measuring
        .map(|file| fs::read_to_string(root().join(file)).unwrap())
        .concat();
    assert!(snippet.text.lines().count() > 3, "{}: no figures", snippet.place);
    for line in snippet.text.lines() {
        let (name, figure) = line.split_once(' ').unwrap_or((line, ""));
        assert!(
            script.contains(name),
            "{}: nothing measures `{name}`",
            snippet.place
        );
        assert!(
            figure.parse::<f64>().is_ok(),
            "{}: `{figure}` is no number",
            snippet.place
        );
    }
}

#[test]
fn the_policy_of_the_readme_does_what_it_says() {
    let readme = root().join("README.md").display().to_string();
    let mut policies = snippets().into_iter().filter(|it| it.language == "cedar");
    let policy = policies.find(|it| it.place.starts_with(&readme)).unwrap();
    let case = |user, replicas, expected| {
        format!(
            "  - {{ server: workbench, user: {user}, workload: build, tool: api_execute, \
             arguments: {{ job: nightly, replicas: {replicas} }}, expect: {expected} }}\n"
        )
    };
    let cases = [
        "users:\n  ada: { roles: [mcp-developer] }\n  root: { roles: [mcp-admin] }\n".to_owned(),
        "workloads: { build: \"spiffe://mcp-identity.local/agent/trusted/build\" }\ncases:\n".to_owned(),
        case("ada", 5, "allow"),
        case("ada", 6, "deny, because: forbidden, by: [small-jobs]"),
        case("root", 6, "allow"),
    ];
    let files = [
        ("snippet.cedar", &*policy.text),
        ("tests/snippet.yaml", &cases.concat()),
    ];
    let directory = policies::policies_with(&files);
    let path = directory.path().to_str().unwrap();
    mcp_authz(&policy.place, &["policy", "test", path]);
}

#[test]
fn every_snippet_holds() {
    let snippets = snippets();
    assert!(snippets.len() > 10, "{}", snippets.len());
    for snippet in &snippets {
        match snippet.language.as_str() {
            "console" => console(snippet),
            // Policies and their entities, and sessions, are run below.
            "cedar" | "json" | session::LANGUAGE => {}
            "yaml" => yaml_snippet(snippet),
            "text" => drawing(snippet),
            "figures" => figures(snippet),
            other => panic!("{}: nobody checks snippets of `{other}`", snippet.place),
        }
    }
    assert!(policies::hold(&snippets) > 10);
}

#[test]
fn every_session_goes_as_it_is_shown() {
    let commands: usize = pages().iter().map(session::hold).sum();
    assert!(commands > 5, "{commands}");
}

/// The targets of Markdown links, without those that lead elsewhere.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0_usize;
    for page in pages() {
        for link in links(&page.text) {
            count = count.saturating_add(1);
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.path.clone(),
                path => page.path.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{}: `{link}`", page.path.display());
            if !anchor.is_empty() {
                let headings = fs::read_to_string(&target)
                    .unwrap()
                    .to_lowercase()
                    .replace(' ', "-");
                let found = headings
                    .lines()
                    .any(|line| line.trim_start_matches('#') == format!("-{anchor}"));
                assert!(found, "{}: `{link}`", page.path.display());
            }
        }
    }
    assert!(count > 10, "{count}");
}

/// What stands between backticks on a line outside snippets.
fn quoted(text: &str) -> Vec<&str> {
    let mut inside = false;
    let prose = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    prose
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn files_that_the_documents_name_are_there() {
    let folders = [
        "src/",
        "tests/",
        "docs/",
        "envoy/",
        "policies/",
        "scripts/",
        "proto/",
    ];
    for page in pages() {
        for name in quoted(&page.text) {
            let pattern = name.contains(['<', '*', ' ', '…', '\'', ':']) || name.contains("NNNN");
            let source = Path::new(name).extension().is_some_and(|end| end == "rs");
            let file = source || folders.iter().any(|folder| name.starts_with(folder));
            if file && !pattern {
                let there = root().join(name).exists() || root().join("src").join(name).exists();
                assert!(there, "{}: there is no `{name}`", page.path.display());
            }
        }
    }
}

/// Whether it is spelt like a setting of a section that there is: `grpc.tls.key`, `servers[].name`.
fn is_setting(name: &str, example: &Value) -> bool {
    let (section, rest) = name.split_once('.').unwrap_or_default();
    let found = example.get(section.trim_end_matches("[]"));
    let word = |c: char| c.is_ascii_lowercase() || "_.[]".contains(c);
    // `policies[].id` is a field of the audit.
    found.is_some_and(|found| found.is_array() == section.ends_with("[]")) && rest.chars().all(word)
}

#[test]
fn settings_that_the_documents_name_are_there() {
    let example = yaml("the example", &page("mcp-authz.example.yaml"));
    let mut count = 0_usize;
    for page in pages() {
        for name in quoted(&page.text) {
            if !is_setting(name, &example) {
                continue;
            }
            let step = |here: Option<Value>, step: &str| {
                let found = here?.get(step.trim_end_matches("[]"))?.clone();
                Some(found.get(0).cloned().unwrap_or(found))
            };
            let found = name.split('.').fold(Some(example.clone()), step);
            assert!(found.is_some(), "{}: there is no `{name}`", page.path.display());
            count = count.saturating_add(1);
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn readiness_is_described_part_by_part() {
    let described = lists::first_column(&page("docs/operations.md"), "Health and readiness");
    let report = Status::default().report();
    let told: BTreeSet<String> = report.as_object().unwrap().keys().cloned().collect();
    assert_eq!(described, told);
}

#[test]
fn every_metric_is_described_with_its_labels() {
    let page = page("docs/operations.md");
    let rows = lists::rows(&page, "Metrics");
    let described: BTreeMap<String, BTreeSet<String>> = rows
        .iter()
        .map(|row| (lists::names(&row[0]).pop_first().unwrap(), lists::names(&row[1])))
        .collect();
    assert_eq!(described, lists::metrics());
}

#[test]
fn every_field_of_the_audit_is_described() {
    let described = lists::first_column(&page("docs/operations.md"), "The audit");
    assert_eq!(described, lists::fields_of_a_record());
}

#[test]
fn every_failure_that_is_a_503_is_described() {
    let page = page("docs/operations.md");
    let described = lists::first_column(&page, "What each failure does");
    let reasons = Reason::ALL
        .iter()
        .filter(|reason| shape::of(**reason).status == 503);
    let failures = Failure::ALL.iter().filter(|failure| failure.status() == 503);
    let expected: BTreeSet<String> = reasons
        .map(|reason| reason.code())
        .chain(failures.map(|failure| failure.reason()))
        .map(str::to_owned)
        .collect();
    assert_eq!(described, expected);
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let tests = lists::test_functions(&[&root().join("src"), &root().join("tests")]);
    let page = page("docs/threat-model.md");
    let rows: Vec<_> = lists::rows(&page, "What gets tried");
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows {
        let named = lists::names(&row[1]);
        assert!(!named.is_empty(), "no test holds «{}»", row[0]);
        for name in named {
            assert!(tests.contains(&name), "there is no test `{name}`");
        }
    }
}
