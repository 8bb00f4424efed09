//! The parts that the tests share: one stack for the whole run, callers, raw connections, the audit.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use mcp_authz::dev::stack::{Settings, Stack};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

pub(crate) mod agentgateway;
pub(crate) mod audit;
pub(crate) mod bound;
pub(crate) mod caller;
pub(crate) mod conformance;
pub(crate) mod ground;
pub(crate) mod http2;
pub(crate) mod jwt_svid;
pub(crate) mod keycloak;
pub(crate) mod node;
pub(crate) mod raw;
#[path = "../../src/state/tests/server.rs"]
pub(crate) mod redis;
pub(crate) mod replica;
pub(crate) mod sdk;
pub(crate) mod table;

/// One runtime for all tests: what a part's task was spawned on must outlive the test that happened to be first.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The parts end with this process: they hold on to a pipe of ours.
static STACK: OnceCell<Result<Stack, String>> = OnceCell::const_new();

/// Runs a test on the shared stack. When it fails, the ends of the parts' logs are shown.
pub(crate) fn with_stack<F: Future<Output = ()>>(test: impl FnOnce(&'static Stack) -> F) {
    RUNTIME.block_on(async {
        let stack = STACK
            .get_or_init(|| start("shared", repository().join("policies"), Value::Null))
            .await;
        let stack = stack.as_ref().unwrap_or_else(|error| panic!("{error}"));
        let shown = ShownOnFailure(stack);
        test(stack).await;
        drop(shown);
    });
}

/// Runs a test on a stack of its own, with a copy of the policies that it may change.
pub(crate) fn with_own_stack<F: Future<Output = Stack>>(
    name: &str,
    configuration: Value,
    test: impl FnOnce(Stack, PathBuf) -> F,
) {
    RUNTIME.block_on(async {
        let policies = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).join("policies");
        let _ = std::fs::remove_dir_all(&policies);
        copy(&repository().join("policies"), &policies);
        let stack = start(name, policies.clone(), configuration)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        test(stack, policies).await.stop().await;
    });
}

/// Runs a test that brings parts of its own.
pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    RUNTIME.block_on(test);
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

async fn start(name: &str, policies: PathBuf, configuration: Value) -> Result<Stack, String> {
    let settings = settings(name, policies, configuration);
    Stack::start(&settings).await.map_err(|error| error.to_string())
}

/// A stack in an empty directory of that name.
pub(crate) fn settings(name: &str, policies: PathBuf, configuration: Value) -> Settings {
    let directory = temporary(name).join("stack");
    let _ = std::fs::remove_dir_all(&directory);
    Settings {
        program: env!("CARGO_BIN_EXE_mcp-authz").into(),
        policies,
        tools: repository().join(".tools"),
        directory,
        listener: None,
        configuration,
        trust_domain: None,
    }
}

/// What a test of that name may write to.
pub(crate) fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

struct ShownOnFailure(&'static Stack);

impl Drop for ShownOnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.logs());
        }
    }
}
