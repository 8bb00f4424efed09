//! Who plays, and what each scene must come to under the default policies.

use super::Expected;

/// A person, as the issuer knows them.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// `preferred_username`
    pub name: &'static str,
    /// What people call the role.
    pub title: &'static str,
    /// Realm roles.
    pub roles: &'static [&'static str],
    /// OAuth scopes.
    pub scopes: &'static [&'static str],
}

/// The program that acts for the person.
#[derive(Debug, PartialEq, Eq)]
pub enum Agent {
    /// A workload with a certificate of the trust domain.
    Workload {
        /// Its tier, for people.
        tier: &'static str,
        /// Its SPIFFE ID.
        spiffe_id: &'static str,
    },
    /// Somebody with a certificate that says the same but that a stranger signed.
    Impostor {
        /// What it is, for people.
        tier: &'static str,
        /// The SPIFFE ID that it claims.
        spiffe_id: &'static str,
    },
}

/// What the person's token is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// As it should be.
    Valid,
    /// There is none.
    None,
    /// It has expired.
    Expired,
    /// It was issued for another server.
    For(&'static str),
}

/// One call.
#[derive(Debug, PartialEq, Eq)]
pub struct Scene {
    /// Who.
    pub user: &'static User,
    /// With what token.
    pub token: Token,
    /// Through what.
    pub agent: &'static Agent,
    /// Which server.
    pub server: &'static str,
    /// Which of its tools.
    pub tool: &'static str,
    /// With what: a JSON object.
    pub arguments: &'static str,
    /// What must come of it.
    pub expected: Expected,
}

/// An administrator.
pub const ADA: User = User {
    name: "ada",
    title: "admin",
    roles: &["mcp-admin"],
    scopes: &[],
};
/// A developer.
pub const DAN: User = User {
    name: "dan",
    title: "developer",
    roles: &["mcp-developer"],
    scopes: &[],
};
/// A viewer.
pub const VERA: User = User {
    name: "vera",
    title: "viewer",
    roles: &["mcp-viewer"],
    scopes: &[],
};
/// Somebody with one scope.
pub const PIA: User = User {
    name: "pia",
    title: "public:read",
    roles: &[],
    scopes: &["public:read"],
};
/// Somebody with two.
pub const CARL: User = User {
    name: "carl",
    title: "confidential:read",
    roles: &[],
    scopes: &["public:read", "confidential:read"],
};
/// Somebody without anything.
pub const NEMO: User = User {
    name: "nemo",
    title: "no scope",
    roles: &[],
    scopes: &[],
};

/// An agent of the trusted tier.
pub const ASSISTANT: Agent = Agent::Workload {
    tier: "trusted",
    spiffe_id: "spiffe://mcp-identity.local/agent/trusted/assistant",
};
/// An agent of the semi-trusted tier.
pub const HELPER: Agent = Agent::Workload {
    tier: "semi-trusted",
    spiffe_id: "spiffe://mcp-identity.local/agent/semi-trusted/helper",
};
/// An agent of the untrusted tier.
pub const CRAWLER: Agent = Agent::Workload {
    tier: "untrusted",
    spiffe_id: "spiffe://mcp-identity.local/agent/untrusted/crawler",
};
/// A workload of the trust domain that no tier lists.
pub const NEWCOMER: Agent = Agent::Workload {
    tier: "no tier",
    spiffe_id: "spiffe://mcp-identity.local/agent/newcomer",
};
/// Somebody who pretends.
pub const IMPOSTOR: Agent = Agent::Impostor {
    tier: "self-signed",
    spiffe_id: "spiffe://mcp-identity.local/agent/trusted/assistant",
};

const NO_PERMIT: Expected = Expected::Denied {
    code: 403,
    reason: "no_permit",
};

const fn scene(
    user: &'static User,
    agent: &'static Agent,
    tool: &'static str,
    arguments: &'static str,
    expected: Expected,
) -> Scene {
    Scene {
        user,
        token: Token::Valid,
        agent,
        server: "workbench",
        tool,
        arguments,
        expected,
    }
}

const fn info(
    user: &'static User,
    token: Token,
    agent: &'static Agent,
    tool: &'static str,
    expected: Expected,
) -> Scene {
    Scene {
        user,
        token,
        agent,
        server: "info",
        tool,
        arguments: r#"{"topic":"the launch"}"#,
        expected,
    }
}

const READ: &str = r#"{"path":"/srv/work/hello.txt"}"#;
const WRITE: &str = r#"{"path":"/srv/work/demo.md","content":"hello","create":true}"#;
const GRANT: &str = r#"{"table":"orders","privilege":"select","grantee":"reports"}"#;
const ECHO: &str = r#"{"command":"echo hello"}"#;
const SOME_ROWS: &str = r#"{"sql":"SELECT name FROM customers","limit":10}"#;
const MANY_ROWS: &str = r#"{"sql":"SELECT name FROM customers","limit":5000}"#;
const RECORD: &str = r#"{"url":"https://api.example/customers/1"}"#;

/// The calls, in order: a story of who may what, through what.
pub const SCENES: &[Scene] = &[
    scene(&DAN, &ASSISTANT, "fs_read", READ, Expected::Allowed),
    scene(&DAN, &ASSISTANT, "fs_write", WRITE, Expected::Allowed),
    scene(&DAN, &ASSISTANT, "shell_execute", ECHO, Expected::Allowed),
    scene(&DAN, &HELPER, "shell_execute", ECHO, NO_PERMIT),
    scene(&DAN, &ASSISTANT, "db_admin", GRANT, NO_PERMIT),
    scene(&ADA, &ASSISTANT, "db_admin", GRANT, Expected::Allowed),
    scene(&ADA, &HELPER, "db_admin", GRANT, NO_PERMIT),
    scene(&DAN, &HELPER, "db_read", SOME_ROWS, Expected::Allowed),
    scene(
        &DAN,
        &HELPER,
        "db_read",
        MANY_ROWS,
        Expected::Denied {
            code: 403,
            reason: "forbidden",
        },
    ),
    scene(&ADA, &HELPER, "db_read", MANY_ROWS, Expected::Allowed),
    scene(&VERA, &CRAWLER, "fs_read", READ, Expected::Allowed),
    scene(&VERA, &CRAWLER, "api_read", RECORD, NO_PERMIT),
    scene(&VERA, &ASSISTANT, "fs_write", WRITE, NO_PERMIT),
    scene(&ADA, &NEWCOMER, "fs_read", READ, NO_PERMIT),
    scene(
        &DAN,
        &ASSISTANT,
        "fs_read",
        r#"{"path":42}"#,
        Expected::Denied {
            code: -32602,
            reason: "arguments_dont_fit",
        },
    ),
    scene(
        &DAN,
        &ASSISTANT,
        "fs_reed",
        READ,
        Expected::Denied {
            code: 403,
            reason: "unknown_tool",
        },
    ),
    info(&PIA, Token::Valid, &CRAWLER, "get_public_info", Expected::Allowed),
    info(
        &PIA,
        Token::Valid,
        &CRAWLER,
        "get_confidential_info",
        Expected::Challenged {
            reason: "insufficient_scope",
        },
    ),
    info(
        &CARL,
        Token::Valid,
        &HELPER,
        "get_confidential_info",
        Expected::Allowed,
    ),
    info(
        &NEMO,
        Token::Valid,
        &ASSISTANT,
        "get_public_info",
        Expected::Challenged {
            reason: "insufficient_scope",
        },
    ),
    info(
        &CARL,
        Token::None,
        &HELPER,
        "get_public_info",
        Expected::Challenged {
            reason: "no_credential",
        },
    ),
    info(
        &CARL,
        Token::Expired,
        &HELPER,
        "get_public_info",
        Expected::Challenged { reason: "expired" },
    ),
    info(
        &CARL,
        Token::For("workbench"),
        &HELPER,
        "get_public_info",
        Expected::Challenged {
            reason: "wrong_audience",
        },
    ),
    scene(&ADA, &IMPOSTOR, "fs_read", READ, Expected::NoConnection),
];

impl Agent {
    /// What it is, for people.
    #[must_use]
    pub const fn tier(&self) -> &'static str {
        match self {
            Self::Workload { tier, .. } | Self::Impostor { tier, .. } => tier,
        }
    }

    /// Its name, for people: the end of its SPIFFE ID.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let (Self::Workload { spiffe_id, .. } | Self::Impostor { spiffe_id, .. }) = self;
        spiffe_id.rsplit('/').next().unwrap_or(spiffe_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_has_an_object_of_arguments() {
        for scene in SCENES {
            let value: serde_json::Value = serde_json::from_str(scene.arguments).unwrap();
            assert_eq!(value.as_object(), Some(&scene.arguments()), "{}", scene.tool);
        }
    }
}
