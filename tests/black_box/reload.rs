//! An edit of the policy directory changes the next answer; one that isn't sound changes nothing.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::parts::caller::{Caller, TRUSTED, person};
use crate::parts::with_own_stack;

const ADMINS: &str = "workbench-people.cedar";

fn edit(policies: &Path, file: &str, change: impl FnOnce(String) -> String) {
    let path = policies.join(file);
    let text = change(std::fs::read_to_string(&path).unwrap());
    std::fs::write(path, text).unwrap();
}

/// Calls until the answer is as wanted; every answer on the way must be the old one.
async fn until(caller: &Caller, tool: &str, arguments: &Value, wanted: &str, old: &str) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..200 {
        ticks.tick().await;
        let reply = caller.call(tool, arguments).await;
        let reason = if reply.message()["result"].is_object() {
            "allowed".to_owned()
        } else {
            reply.reason()
        };
        if reason == wanted {
            return;
        }
        assert_eq!(reason, old, "{reply:?}");
    }
    panic!("still {old} after ten seconds");
}

#[test]
fn an_edited_policy_rules_and_an_unsound_one_does_not() {
    with_own_stack("reload", Value::Null, async |stack, policies| {
        // Their own tests would hold an edit back: what is tried here is the edit.
        std::fs::remove_dir_all(policies.join("tests")).unwrap();
        let caller = Caller::new(
            &stack,
            &person("vera", &["mcp-viewer"], &[]),
            TRUSTED,
            "workbench",
        );
        let (read, write) = (
            json!({ "path": "/srv/work/hello.txt" }),
            json!({ "path": "/srv/work/notes/x", "content": "x", "create": true }),
        );
        caller.call("fs_read", &read).await.assert_allowed();
        caller
            .call("fs_write", &write)
            .await
            .assert_denied(200, "no_permit");

        // More is permitted …
        let grant = "\n@id(\"viewers-write\")\n@reason(\"For a while\")\npermit (principal in Role::\"mcp-viewer\", \
                     action == Action::\"workbench/fs_write\", resource);\n";
        edit(&policies, ADMINS, |text| text + grant);
        until(&caller, "fs_write", &write, "allowed", "no_permit").await;

        // … a broken file leaves all as it was …
        edit(&policies, ADMINS, |text| text + "\npermit (principal,");
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..15 {
            ticks.tick().await;
            caller.call("fs_write", &write).await.assert_allowed();
        }

        // … and repaired, with a forbid, it rules again.
        let forbid = "\n@id(\"nobody-reads\")\n@reason(\"Closed for today\")\nforbid (principal, \
                      action == Action::\"workbench/fs_read\", resource);\n";
        edit(&policies, ADMINS, |text| {
            text.replace("\npermit (principal,\n", "")
                .trim_end_matches("permit (principal,")
                .to_owned()
                + forbid
        });
        until(&caller, "fs_read", &read, "forbidden", "allowed").await;
        let reply = caller.call("fs_read", &read).await;
        assert_eq!(
            reply.message()["error"]["data"]["reasons"],
            json!(["Closed for today"])
        );
        stack
    });
}

#[test]
fn an_edit_that_fails_the_directorys_own_tests_does_not_rule() {
    with_own_stack("reload-tests", Value::Null, async |stack, policies| {
        let caller = Caller::new(
            &stack,
            &person("vera", &["mcp-viewer"], &[]),
            TRUSTED,
            "workbench",
        );
        let write = json!({ "path": "/srv/work/notes/x", "content": "x", "create": true });
        caller
            .call("fs_write", &write)
            .await
            .assert_denied(200, "no_permit");
        let everything = "\n@id(\"all-may-all\")\n@reason(\"Oops\")\npermit (principal, action, resource);\n";
        edit(&policies, ADMINS, |text| text + everything);
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..20 {
            ticks.tick().await;
            caller
                .call("fs_write", &write)
                .await
                .assert_denied(200, "no_permit");
        }
        stack
    });
}
