//! Who plays, and what each scene must come to under the default policies and in the shipped realm.

use super::{Scene, Way};
use crate::dev::agents::{AGENTS, Named};
use crate::dev::demo::Expected;

const ASSISTANT: &Named = &AGENTS[0];
const PLANNER: &Named = &AGENTS[1];
const REVIEWER: &Named = &AGENTS[2];
const OPERATOR: &Named = &AGENTS[3];
const HELPER: &Named = &AGENTS[4];
const TRANSLATOR: &Named = &AGENTS[5];
const ANALYST: &Named = &AGENTS[6];
const CRAWLER: &Named = &AGENTS[7];
const VISITOR: &Named = &AGENTS[8];
const SUMMARIZER: &Named = &AGENTS[9];
/// A workload of the trust domain that no client of the realm is, and that is of no tier.
const NEWCOMER: &Named = &Named {
    name: "newcomer",
    tier: "unheard-of",
};

type User = Option<(&'static str, &'static str)>;
const ITSELF: User = None;
const ALICE: User = Some(("alice", "admin"));
const BOB: User = Some(("bob", "developer"));
const CAROL: User = Some(("carol", "viewer"));

const NO_PERMIT: Expected = denied("no_permit");

const fn denied(reason: &'static str) -> Expected {
    Expected::Denied { code: 403, reason }
}

const fn challenged(reason: &'static str) -> Expected {
    Expected::Challenged { reason }
}

/// A call of the workbench.
const fn call(
    user: User,
    agent: &'static Named,
    tool: &'static str,
    arguments: &'static str,
    expected: Expected,
) -> Scene {
    Scene {
        user,
        agent,
        way: Way::Own,
        scopes: "workbench",
        server: "workbench",
        tool,
        arguments,
        expected,
    }
}

/// A call of the information server, with a token for these scopes.
const fn info(
    user: User,
    agent: &'static Named,
    scopes: &'static str,
    tool: &'static str,
    expected: Expected,
) -> Scene {
    Scene {
        scopes,
        server: "info",
        ..call(user, agent, tool, r#"{"topic":"the launch"}"#, expected)
    }
}

/// A call that the agent itself may make, with something that isn't as it should be.
const fn trick(user: User, agent: &'static Named, way: Way, expected: Expected) -> Scene {
    Scene {
        way,
        ..call(user, agent, "fs_read", READ, expected)
    }
}

const READ: &str = r#"{"path":"/srv/work/hello.txt"}"#;
const LIST: &str = r#"{"path":"/srv/work"}"#;
const WRITE: &str = r#"{"path":"/srv/work/demo.md","content":"hello","create":true}"#;
const GRANT: &str = r#"{"table":"orders","privilege":"select","grantee":"reports"}"#;
const ECHO: &str = r#"{"command":"echo hello"}"#;
const NIGHTLY: &str = r#"{"procedure":"nightly"}"#;
const DELETE: &str = r#"{"sql":"DELETE FROM orders","dry_run":true}"#;
const SOME_ROWS: &str = r#"{"sql":"SELECT name FROM customers","limit":10}"#;
const MANY_ROWS: &str = r#"{"sql":"SELECT name FROM customers","limit":5000}"#;
const RECORD: &str = r#"{"url":"https://api.example/customers/1"}"#;
const NUMBER: &str = r#"{"path":42}"#;
const BOTH: &str = "public:read confidential:read";
const DONT_FIT: Expected = Expected::Denied {
    code: -32602,
    reason: "arguments_dont_fit",
};

/// The calls, in order: each agent for itself, then for people, then what they shouldn't do.
pub const SCENES: &[Scene] = &[
    call(ITSELF, ASSISTANT, "fs_write", WRITE, Expected::Allowed),
    call(ITSELF, PLANNER, "db_execute", NIGHTLY, Expected::Allowed),
    call(ITSELF, REVIEWER, "fs_read", READ, Expected::Allowed),
    call(ITSELF, OPERATOR, "shell_execute", ECHO, Expected::Allowed),
    call(ITSELF, OPERATOR, "db_admin", GRANT, NO_PERMIT),
    call(ITSELF, HELPER, "fs_list", LIST, Expected::Allowed),
    call(ITSELF, TRANSLATOR, "api_read", RECORD, Expected::Allowed),
    call(ITSELF, ANALYST, "db_read", SOME_ROWS, Expected::Allowed),
    call(ITSELF, ANALYST, "db_write", DELETE, NO_PERMIT),
    call(ITSELF, CRAWLER, "fs_read", READ, Expected::Allowed),
    call(ITSELF, CRAWLER, "db_read", SOME_ROWS, NO_PERMIT),
    call(ITSELF, VISITOR, "fs_read", READ, Expected::Allowed),
    call(ITSELF, VISITOR, "fs_list", LIST, NO_PERMIT),
    call(ITSELF, SUMMARIZER, "fs_read", READ, Expected::Allowed),
    call(BOB, ASSISTANT, "fs_read", READ, Expected::Allowed),
    call(BOB, ASSISTANT, "fs_write", WRITE, Expected::Allowed),
    call(BOB, ASSISTANT, "shell_execute", ECHO, Expected::Allowed),
    call(BOB, HELPER, "shell_execute", ECHO, NO_PERMIT),
    call(BOB, ASSISTANT, "db_admin", GRANT, NO_PERMIT),
    call(ALICE, ASSISTANT, "db_admin", GRANT, Expected::Allowed),
    call(ALICE, HELPER, "db_admin", GRANT, NO_PERMIT),
    call(BOB, HELPER, "db_read", SOME_ROWS, Expected::Allowed),
    call(BOB, HELPER, "db_read", MANY_ROWS, denied("forbidden")),
    call(ALICE, HELPER, "db_read", MANY_ROWS, Expected::Allowed),
    call(CAROL, CRAWLER, "fs_read", READ, Expected::Allowed),
    call(CAROL, CRAWLER, "api_read", RECORD, NO_PERMIT),
    call(CAROL, ASSISTANT, "fs_write", WRITE, NO_PERMIT),
    call(BOB, ASSISTANT, "fs_read", NUMBER, DONT_FIT),
    call(BOB, ASSISTANT, "fs_reed", READ, denied("unknown_tool")),
    info(BOB, CRAWLER, "public:read", "get_public_info", Expected::Allowed),
    info(BOB, HELPER, BOTH, "get_confidential_info", Expected::Allowed),
    // Keycloak gives the second scope to administrators and developers alone.
    info(
        CAROL,
        HELPER,
        BOTH,
        "get_confidential_info",
        challenged("insufficient_scope"),
    ),
    info(
        BOB,
        HELPER,
        "workbench",
        "get_public_info",
        challenged("wrong_audience"),
    ),
    trick(
        ITSELF,
        ASSISTANT,
        Way::Bearer,
        challenged("bound_token_without_proof"),
    ),
    trick(ITSELF, ASSISTANT, Way::WithoutProof, challenged("proof_missing")),
    trick(ITSELF, ASSISTANT, Way::Replayed, challenged("proof_replayed")),
    trick(
        ITSELF,
        ASSISTANT,
        Way::StolenBy(CRAWLER),
        challenged("proof_other_key"),
    ),
    trick(
        ALICE,
        ASSISTANT,
        Way::StolenBy(CRAWLER),
        challenged("proof_other_key"),
    ),
    trick(
        ITSELF,
        ASSISTANT,
        Way::StolenWithKeyBy(CRAWLER),
        denied("actor_disagrees"),
    ),
    trick(ALICE, ASSISTANT, Way::Unbound, challenged("token_not_bound")),
    trick(CAROL, CRAWLER, Way::LoggedOut, challenged("subject_revoked")),
    trick(ITSELF, NEWCOMER, Way::Own, Expected::NoToken),
    trick(ITSELF, ASSISTANT, Way::ForgedLogin, Expected::NoToken),
    trick(ITSELF, ASSISTANT, Way::ForgedConnection, Expected::NoConnection),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_plays_and_every_scene_has_an_object_of_arguments() {
        for scene in SCENES {
            let value: serde_json::Value = serde_json::from_str(scene.arguments).unwrap();
            assert_eq!(value.as_object(), Some(&scene.arguments()), "{}", scene.tool);
        }
        for agent in &AGENTS {
            let own = |scene: &Scene| {
                scene.agent == agent && scene.user.is_none() && scene.expected == Expected::Allowed
            };
            assert!(SCENES.iter().any(own), "{}", agent.name);
        }
    }
}
