//! Calls whose answers are known.

use mcp_authz::clock;
use mcp_authz::dev::demo::cast::{ADA, ASSISTANT, Agent, CARL, CRAWLER, DAN, HELPER, PIA, User, VERA};
use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::stack::Stack;

use crate::Failure;

/// What the answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// The server's own result.
    Allowed,
    /// This status and this reason's code, in the answer and in the audit.
    Denied(u16, &'static str),
}

/// The token that is sent.
#[derive(Debug, Clone, Copy)]
enum Token {
    Valid,
    None,
    Expired,
    For(&'static str),
}

/// One kind of call.
struct Kind {
    name: &'static str,
    agent: &'static Agent,
    user: &'static User,
    token: Token,
    server: &'static str,
    tool: &'static str,
    arguments: &'static str,
    known: Known,
}

/// A call, ready to be sent again and again.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) agent: &'static Agent,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    pub(crate) tool: &'static str,
    pub(crate) known: Known,
    /// The body, with [`ID`] where the request's id goes.
    pub(crate) body: String,
}

/// Stands in a body where the id goes.
pub(crate) const ID: &str = "@ID@";

/// The agents; each connection is one's.
pub(crate) const AGENTS: [&Agent; 3] = [&ASSISTANT, &HELPER, &CRAWLER];

/// Which tool with which owner the edits close: its denial tells which edit rules.
pub(crate) const CLOSED: (&str, &str) = ("fs_admin", "soak");

const READ: &str = r#"{"path":"/srv/work/hello.txt"}"#;
const TOPIC: &str = r#"{"topic":"the launch"}"#;

const fn kind(
    name: &'static str,
    user: &'static User,
    agent: &'static Agent,
    tool: &'static str,
    arguments: &'static str,
    known: Known,
) -> Kind {
    Kind {
        name,
        agent,
        user,
        token: Token::Valid,
        server: "workbench",
        tool,
        arguments,
        known,
    }
}

const fn info(
    name: &'static str,
    user: &'static User,
    token: Token,
    agent: &'static Agent,
    tool: &'static str,
    known: Known,
) -> Kind {
    Kind {
        name,
        agent,
        user,
        token,
        server: "info",
        tool,
        arguments: TOPIC,
        known,
    }
}

use Known::{Allowed, Denied};

const KINDS: &[Kind] = &[
    kind("read a file", &DAN, &ASSISTANT, "fs_read", READ, Allowed),
    kind(
        "write as a viewer",
        &VERA,
        &ASSISTANT,
        "fs_write",
        r#"{"path":"/srv/work/x","content":"x"}"#,
        Denied(200, "no_permit"),
    ),
    kind(
        "closed by the latest edit",
        &ADA,
        &ASSISTANT,
        CLOSED.0,
        r#"{"path":"/srv/work/hello.txt","owner":"soak"}"#,
        Denied(200, "forbidden"),
    ),
    kind(
        "a path that is a number",
        &DAN,
        &ASSISTANT,
        "fs_read",
        r#"{"path":42}"#,
        Denied(200, "arguments_dont_fit"),
    ),
    kind(
        "not JSON",
        &DAN,
        &ASSISTANT,
        "fs_read",
        "{\"path\":",
        Denied(400, "json_syntax"),
    ),
    kind(
        "a key twice",
        &DAN,
        &ASSISTANT,
        "fs_read",
        r#"{"path":"/srv/work/hello.txt","path":"/etc/passwd"}"#,
        Denied(400, "duplicate_key"),
    ),
    kind(
        "query rows",
        &DAN,
        &HELPER,
        "db_read",
        r#"{"sql":"SELECT name FROM customers","limit":10}"#,
        Allowed,
    ),
    kind(
        "query too many rows",
        &DAN,
        &HELPER,
        "db_read",
        r#"{"sql":"SELECT name FROM customers","limit":5000}"#,
        Denied(200, "forbidden"),
    ),
    kind(
        "a shell beyond the agent's tier",
        &DAN,
        &HELPER,
        "shell_execute",
        r#"{"command":"echo hello"}"#,
        Denied(200, "no_permit"),
    ),
    info(
        "no token",
        &CARL,
        Token::None,
        &HELPER,
        "get_public_info",
        Denied(401, "no_credential"),
    ),
    info(
        "public information",
        &PIA,
        Token::Valid,
        &CRAWLER,
        "get_public_info",
        Allowed,
    ),
    info(
        "a scope too few",
        &PIA,
        Token::Valid,
        &CRAWLER,
        "get_confidential_info",
        Denied(403, "insufficient_scope"),
    ),
    info(
        "an expired token",
        &CARL,
        Token::Expired,
        &CRAWLER,
        "get_public_info",
        Denied(401, "expired"),
    ),
    info(
        "another server's token",
        &CARL,
        Token::For("workbench"),
        &CRAWLER,
        "get_public_info",
        Denied(401, "wrong_audience"),
    ),
];

/// Every call, with tokens that last as long as the soak.
pub(crate) fn all(stack: &Stack, seconds: i64) -> Result<Vec<Call>, Failure> {
    KINDS.iter().map(|kind| call(stack, kind, seconds)).collect()
}

fn call(stack: &Stack, kind: &Kind, seconds: i64) -> Result<Call, Failure> {
    let (audience, lifetime_seconds) = match kind.token {
        Token::None => (None, 0),
        Token::Valid => (Some(kind.server), seconds),
        Token::Expired => (Some(kind.server), -60),
        Token::For(server) => (Some(server), seconds),
    };
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let mint = |server: &str| Mint {
        user: kind.user.name.to_owned(),
        roles: texts(kind.user.roles),
        scopes: texts(kind.user.scopes),
        audiences: vec![stack.url(server)],
        lifetime_seconds,
        ..Mint::default()
    };
    let token = audience.map(|server| stack.issuer.mint(&mint(server), clock::now()));
    Ok(Call {
        name: kind.name,
        agent: kind.agent,
        url: stack.url(kind.server),
        token: token.transpose()?,
        tool: kind.tool,
        known: kind.known,
        body: format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\"{ID}\",\"method\":\"tools/call\",\"params\":{{\"name\":\"{}\",\
             \"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
             \"io.modelcontextprotocol/clientCapabilities\":{{}}}},\"arguments\":{}}}}}",
            kind.tool, kind.arguments
        ),
    })
}
