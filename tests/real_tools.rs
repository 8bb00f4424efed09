//! The tool lists of real public MCP servers (`tests/real_tools/README.md`): each loads, policies can be written on what they
//! see of it, and no call that its server would take is refused unless a policy needed to know.
//!
//! `REAL_TOOLS=DIRECTORY` adds the lists of another directory, such as those that are too large to be kept.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail on the spot"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, Request};
use jiff::Timestamp;
use mcp_authz::identity::{Caller, User};
use mcp_authz::inventory::{Files, Inventory, Requirement, Server, Tool};
use mcp_authz::mcp::json::{self, Object};
use mcp_authz::mcp::{Call, Id, Operation, Version};
use mcp_authz::policy::{AskError, Outcome, PolicySet, Question, default_server};
use serde_json::{Value, json};

#[path = "real_tools/generate.rs"]
mod generate;
#[path = "real_tools/seen.rs"]
mod seen;

use generate::Choices;

/// Arguments made for each tool.
const SAMPLES: usize = 16;
/// As deep as the pipeline reads.
const NESTING: usize = 64;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One tool with arguments that its schema takes, and some that it doesn't.
struct Sampled<'a> {
    server: &'a str,
    tool: &'a Tool,
    schema: &'a Value,
    valid: Vec<Value>,
    /// Where they were spoilt, and how they are then.
    invalid: Vec<(String, Value)>,
}

/// The lists by server: as text, as loaded, as JSON.
struct Lists {
    files: BTreeMap<String, String>,
    schemas: BTreeMap<(String, String), Value>,
    inventory: Inventory,
}

impl Lists {
    fn load() -> Self {
        let more = std::env::var_os("REAL_TOOLS").map(PathBuf::from);
        let folders = [Some(root().join("tests/real_tools/tools")), more];
        let mut files = BTreeMap::new();
        for folder in folders.into_iter().flatten() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
        let odd = fs::read_to_string(root().join("tests/real_tools/odd.json")).unwrap();
        files.insert("odd".to_owned(), odd);
        let mut schemas = BTreeMap::new();
        for (server, text) in &files {
            let list: Value = serde_json::from_str(text).unwrap();
            for tool in list["tools"].as_array().unwrap() {
                let name = tool["name"].as_str().unwrap().to_owned();
                let schema = tool.get("inputSchema").cloned().unwrap_or_else(|| json!({}));
                schemas.insert((server.clone(), name), schema);
            }
        }
        let inventory = Inventory::from_files(&placed(&files).into_iter().collect());
        Self {
            schemas,
            inventory: inventory.unwrap_or_else(|problems| panic!("{problems:#?}")),
            files,
        }
    }

    /// Every tool with samples: each found valid or not by the validator's other reading of JSON, serde's.
    fn sampled(&self) -> Vec<Sampled<'_>> {
        let tools = self
            .inventory
            .iter()
            .flat_map(|server| server.iter().map(|tool| (server.name.as_str(), tool)));
        let sample = |(server, tool): (&'_ str, &'_ Tool)| (server.to_owned(), tool.name.clone());
        tools
            .map(|(server, tool)| {
                let (key, schema) = self.schemas.get_key_value(&sample((server, tool))).unwrap();
                let (valid, invalid) = samples(schema);
                assert!(
                    !valid.is_empty(),
                    "{server}/{}: no arguments could be made",
                    tool.name
                );
                Sampled {
                    server: &key.0,
                    tool,
                    schema,
                    valid,
                    invalid,
                }
            })
            .collect()
    }

    /// The policies, with the shipped base and these tools.
    fn policies(&self, text: &str) -> PolicySet {
        let base = ["base.cedarschema", "entities.json"].map(|name| {
            (
                name.to_owned(),
                fs::read_to_string(root().join("policies").join(name)).unwrap(),
            )
        });
        let all = base
            .into_iter()
            .chain(placed(&self.files))
            .chain([("all.cedar".to_owned(), text.to_owned())]);
        let servers: Vec<Server> = self.files.keys().map(|name| server(name)).collect();
        let files: Files = all.collect();
        PolicySet::load(&files, &servers).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }
}

fn placed(files: &BTreeMap<String, String>) -> Vec<(String, String)> {
    files
        .iter()
        .map(|(name, text)| (format!("tools/{name}.json"), text.clone()))
        .collect()
}

fn server(name: &str) -> Server {
    Server {
        require: vec![Requirement::User],
        ..default_server(name).unwrap()
    }
}

fn samples(schema: &Value) -> (Vec<Value>, Vec<(String, Value)>) {
    let mut options = jsonschema::options().should_validate_formats(false);
    if schema.get("$schema").is_none() {
        options = options.with_draft(jsonschema::Draft::Draft202012);
    }
    let validator = options.build(schema).unwrap();
    // Also of a schema that doesn't say so.
    let mut object = schema.clone();
    object["type"] = json!("object");
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    for seed in 0..SAMPLES * 8 {
        let mut choices = Choices(u64::try_from(seed).unwrap());
        let arguments = generate::value(&object, &object, &mut choices, 0);
        if !validator.is_valid(&arguments) {
            continue;
        }
        if valid.len() < SAMPLES / 2 {
            let spoilt = generate::nearly(schema, &arguments, &mut choices);
            invalid.extend(
                spoilt
                    .into_iter()
                    .filter(|(_, spoilt)| !validator.is_valid(spoilt)),
            );
        }
        valid.push(arguments);
        if valid.len() == SAMPLES {
            break;
        }
    }
    (valid, invalid)
}

/// As the pipeline reads them.
fn strict(arguments: &Value) -> Object {
    match json::read(arguments.to_string().as_bytes(), NESTING) {
        Ok(json::Value::Object(object)) => object,
        other => panic!("{other:?}"),
    }
}

fn ask(set: &PolicySet, sampled: &Sampled<'_>, arguments: &Value) -> Result<bool, AskError> {
    let user = User {
        issuer: "https://issuer.test".to_owned(),
        subject: "ada".to_owned(),
        username: "ada".to_owned(),
        email: None,
        roles: Vec::new(),
        groups: Vec::new(),
        tenants: Vec::new(),
        scopes: Vec::new(),
        acr: None,
        client_id: None,
        token_id: None,
        login_session: None,
        expires: Timestamp::MAX,
        authenticated: None,
    };
    let caller = Caller {
        user: Some(Arc::new(user)),
        ..Caller::default()
    };
    let operation = Operation::ToolsCall {
        tool: sampled.tool.name.clone(),
        arguments: strict(arguments),
    };
    let verdicts = set.ask(&Question {
        server: &server(sampled.server),
        call: &Call {
            id: Some(Id::Number(1)),
            operation,
        },
        caller: &caller,
        session: None,
        address: None,
        version: Version::V2025_11_25,
        now: Timestamp::UNIX_EPOCH,
    })?;
    Ok(verdicts.iter().all(|verdict| verdict.outcome == Outcome::Allowed))
}

/// The quoted id of a tool's action.
fn action(sampled: &Sampled<'_>) -> String {
    format!("\"{}\"", sampled.tool.action.escape_debug())
}

#[test]
fn a_call_that_fits_is_never_refused_where_no_policy_reads_arguments() {
    let lists = Lists::load();
    let set = lists.policies("@id(\"all\") permit (principal, action in Action::\"tools/call\", resource);");
    let mut asked = 0;
    for sampled in &lists.sampled() {
        for arguments in &sampled.valid {
            let answer = ask(&set, sampled, arguments);
            assert_eq!(answer, Ok(true), "{}: {arguments}", sampled.tool.action);
            asked += 1;
        }
    }
    println!(
        "{} servers, {} tools, {asked} calls",
        lists.files.len(),
        lists.schemas.len()
    );
    assert!(lists.files.len() >= 10 && asked > 1_000, "{asked}");
}

/// With a policy for each place that can be read at all, a call is refused if something that one of them reads can't be held,
/// and else allowed.
#[test]
fn what_cedar_cant_hold_denies_only_where_a_policy_reads_that_very_place() {
    let lists = Lists::load();
    let sampled = lists.sampled();
    let mut text = String::new();
    for (index, one) in sampled.iter().enumerate() {
        let action = action(one);
        for (place, path) in seen::places(one.tool.shape()).iter().enumerate() {
            let condition = seen::reading(path);
            writeln!(
                text,
                "@id(\"{index}-{place}\") permit (principal, action == Action::{action}, resource) when {{ {condition} }};"
            )
            .unwrap();
        }
        writeln!(
            text,
            "@id(\"{index}\") permit (principal, action == Action::{action}, resource);"
        )
        .unwrap();
    }
    let set = lists.policies(&text);
    let (mut allowed, mut denied) = (0, 0);
    for one in &sampled {
        let places = seen::places(one.tool.shape());
        for arguments in &one.valid {
            let mut omitted = Vec::new();
            seen::record(
                one.tool.shape(),
                arguments.as_object().unwrap(),
                &[],
                &mut omitted,
            );
            // Something above, below or at the place.
            let read = omitted.iter().any(|path| {
                places
                    .iter()
                    .any(|place| path.iter().zip(place).all(|(left, right)| left == right))
            });
            match ask(&set, one, arguments) {
                Ok(true) if !read => allowed += 1,
                Err(AskError::UnrepresentableArgument { .. }) if read => denied += 1,
                other => panic!("{}: {arguments}: {other:?}, read {read}", one.tool.action),
            }
        }
    }
    println!("{} policies, {allowed} allowed, {denied} denied", set.len());
    assert!(allowed > 1_000 && denied > 10, "{allowed} {denied}");
}

#[test]
fn what_cedar_holds_arrives_unchanged_and_the_rest_is_named() {
    let lists = Lists::load();
    let authorizer = Authorizer::new();
    let thing = |text: &str| EntityUid::from_str(text).unwrap();
    let (mut compared, mut left_out) = (0, 0);
    for one in &lists.sampled() {
        for arguments in &one.valid {
            let mut omitted = Vec::new();
            let expected = seen::record(
                one.tool.shape(),
                arguments.as_object().unwrap(),
                &[],
                &mut omitted,
            );
            let converted = one.tool.to_cedar(&strict(arguments));
            let named: Vec<Vec<String>> = converted
                .omitted
                .iter()
                .map(|place| place.path().iter().map(ToString::to_string).collect())
                .collect();
            assert_eq!(named, omitted, "{}: {arguments}", one.tool.action);
            left_out += omitted.len();
            let policy =
                format!("permit (principal, action, resource) when {{ context.arguments == {expected} }};");
            let policies = cedar_policy::PolicySet::from_str(&policy)
                .unwrap_or_else(|error| panic!("{policy}: {error}"));
            let context = Context::from_pairs([("arguments".to_owned(), converted.record)]).unwrap();
            let request = Request::new(
                thing("U::\"u\""),
                thing("A::\"a\""),
                thing("R::\"r\""),
                context,
                None,
            )
            .unwrap();
            let answer = authorizer.is_authorized(&request, &policies, &Entities::empty());
            assert_eq!(
                answer.decision(),
                Decision::Allow,
                "{}: {arguments}: {policy}",
                one.tool.action
            );
            compared += 1;
        }
    }
    println!("{compared} records compared, {left_out} places left out");
    assert!(compared > 1_000);
}

#[test]
fn arguments_that_do_not_fit_are_refused_with_their_path() {
    let lists = Lists::load();
    let mut refused = 0;
    for one in &lists.sampled() {
        for (place, arguments) in &one.invalid {
            // Which JSON Schema doesn't know, and we do.
            let nullable = one.schema.pointer(&format!("/properties{place}/nullable"));
            if nullable.is_some() && arguments.pointer(place) == Some(&Value::Null) {
                continue;
            }
            let error = one
                .tool
                .accept(&strict(arguments), false)
                .expect_err(&arguments.to_string());
            // At the place, or where it is decided: a union above, a member below.
            let near = place.starts_with(&error.path) || error.path.starts_with(place.as_str());
            assert!(
                near,
                "{}: {arguments}: spoilt at {place}, told {error}",
                one.tool.action
            );
            refused += 1;
        }
    }
    println!("{refused} refused");
    assert!(refused > 1_000, "{refused}");
}

/// Python's `jsonschema` shares nothing with ours.
#[test]
fn another_validator_agrees_on_which_arguments_fit() {
    let lists = Lists::load();
    let sampled = lists.sampled();
    let each = || {
        sampled.iter().flat_map(|one| {
            let invalid = one.invalid.iter().map(|(_, arguments)| (arguments, "no"));
            one.valid
                .iter()
                .map(|arguments| (arguments, "yes"))
                .chain(invalid)
                .map(move |pair| (one, pair))
        })
    };
    let mut python = Command::new(root().join(".tools/venv/bin/python"))
        .arg(root().join("tests/real_tools/validate.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    for (one, (arguments, _)) in each() {
        writeln!(lines, "[{},{arguments}]", one.schema).unwrap();
    }
    let mut stdin = python.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let mut answers = answers.lines();
    for (one, (arguments, expected)) in each() {
        assert_eq!(answers.next(), Some(expected), "{}: {arguments}", one.tool.action);
    }
    assert_eq!(answers.next(), None);
}
