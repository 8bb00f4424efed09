//! A part that is down.

use serde_json::{Value, json};

use crate::parts::caller::Caller;
use crate::parts::with_own_stack;

#[test]
fn without_mcp_authz_nothing_goes_through() {
    with_own_stack("authz-down", Value::Null, async |mut stack, _| {
        let caller = Caller::developer(&stack);
        let read = json!({ "path": "/srv/work/hello.txt" });
        caller.call("fs_read", &read).await.assert_allowed();
        stack.stop_part("mcp-authz").await;
        for _ in 0..3 {
            let reply = caller.call("fs_read", &read).await;
            assert_eq!(reply.status, 503, "{reply:?}");
            assert!(!reply.text.contains("Hello"), "{reply:?}");
        }
        stack
    });
}

#[test]
fn an_issuer_that_is_down_does_not_undo_what_is_known_of_its_keys() {
    with_own_stack("issuer-down", Value::Null, async |stack, _| {
        let caller = Caller::developer(&stack);
        let read = json!({ "path": "/srv/work/hello.txt" });
        caller.call("fs_read", &read).await.assert_allowed();
        stack.stop_issuer();
        // Another token, so that none is remembered.
        Caller::developer(&stack)
            .call("fs_read", &read)
            .await
            .assert_allowed();
        stack
    });
}
