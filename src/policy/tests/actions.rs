//! The one list of methods, and the places that have to name each of them.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Mutex;

use super::*;
use crate::clock;
use crate::mcp::methods;
use crate::policy::ask::actions::asked;
use crate::policy::suite::case::{Case, People};

const SCHEMA: &str = "base.cedarschema";

fn shipped_schema() -> String {
    std::fs::read_to_string(directory().join(SCHEMA)).unwrap()
}

/// The default directory with another base schema, and one policy in place of its own, which may name what that lacks.
fn with_schema(schema: &str) -> Files {
    let files = only("@id(\"all\") permit (principal, action, resource);");
    let kept = files
        .iter()
        .filter(|(path, _)| *path != SCHEMA)
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    kept.chain([(SCHEMA.to_owned(), schema.as_bytes().to_vec())])
        .collect()
}

/// Calls of the method: one for each thing that it may be about.
fn calls(method: &str) -> Vec<Call> {
    let about = |uri: Option<&str>, prompt: Option<&str>| {
        let case = Case {
            method: Some(method.to_owned()),
            uri: uri.map(str::to_owned),
            prompt: prompt.map(str::to_owned),
            ..Case::default()
        };
        let operation = case.operation(&People::default()).ok()?;
        Some(Call { id: None, operation })
    };
    [about(Some("docs://a"), None), about(None, Some("review"))]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn each_action_that_is_asked_is_in_the_list_and_in_the_shipped_schema() {
    let set = load(&files(&[]));
    assert_eq!(set.warnings(), []);
    let listed: BTreeSet<_> = asked()
        .flat_map(|(action, resources)| resources.iter().map(move |resource| (action, *resource)))
        .map(|(action, resource)| (action.to_owned(), resource.to_owned()))
        .collect();
    let caller = admin();
    let server = default_server("workbench").unwrap();
    let mut met = BTreeSet::new();
    for (action, _) in asked() {
        let calls = calls(action);
        assert!(!calls.is_empty(), "{action}");
        for call in &calls {
            for session in [None, Some("session-1")] {
                let question = Question {
                    session,
                    ..question(&server, &caller, call)
                };
                assert!(set.ask(&question).is_ok(), "{action}");
                for target in set.targets(&question).unwrap_or_default() {
                    met.insert((target.action.clone(), target.resource.type_name().to_string()));
                }
            }
        }
    }
    assert_eq!(met, listed);
}

#[test]
fn an_action_that_the_schema_lacks_is_told_with_what_to_add() {
    let shipped = shipped_schema();
    let cases = [
        ("\"tasks/update\", ", "", "tasks/update"),
        ("\"server/discover\",", "", "server/discover"),
        ("\"response\" //", "\"other\" //", "response"),
        ("\"session/end\" //", "\"other\" //", "session/end"),
        ("action \"prompts/get\"", "action \"other\"", "prompts/get"),
    ];
    for (from, to, action) in cases {
        assert_eq!(shipped.matches(from).count(), 1, "{from}");
        let narrower = shipped.replace(from, to);
        let set = load(&with_schema(&narrower));
        let [warning] = set.warnings() else {
            panic!("{action}: {}", shown(set.warnings()))
        };
        assert!(
            warning.message.contains(&format!("`{action}`")),
            "{}",
            warning.message
        );
        let denied = calls(action)
            .iter()
            .filter(|call| matches!(ask(&set, &admin(), call), Err(AskError::Build(_))))
            .count();
        assert!(denied > 0, "{action}");
        let advice = warning.help.clone().unwrap();
        let declaration = advice.split('`').nth(1).unwrap();
        let mended = load(&with_schema(&format!("{narrower}\n{declaration}\n")));
        assert_eq!(mended.warnings(), []);
        assert!(ask(&mended, &admin(), &calls(action)[0]).is_ok(), "{action}");
    }
}

#[test]
fn the_shipped_tests_say_of_each_method_who_may() {
    let tests = std::fs::read_to_string(directory().join("tests/lifecycle.yaml")).unwrap();
    let words: BTreeSet<&str> = tests
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '/' || c == '_'))
        .collect();
    let unsaid: Vec<&str> = methods::all()
        .iter()
        .map(|method| method.name)
        .filter(|name| !["tools/call", "prompts/get"].contains(name) && !words.contains(name))
        .collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn warnings_are_logged_when_a_directory_begins_to_rule() {
    let place = tempfile::TempDir::new().unwrap();
    for (path, bytes) in with_schema(&shipped_schema().replace("\"tasks/update\", ", "")).iter() {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let settings = Settings {
            directory: place.path().to_owned(),
            ..Settings::default()
        };
        PolicyStore::open(&settings, Vec::new(), clock::now()).unwrap();
    });
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        said.contains("WARN") && said.contains("`tasks/update` is not declared"),
        "{said}"
    );
}
