//! Client certificates whose names try to pass for others', through the gateway. They are of the authority that the
//! gateway trusts: whoever can have one issued chooses what is in it.
//!
//! `threat` is the row of docs/threat-model.md that the case belongs to; `subject` and `uris` are the certificate's common
//! name and its URI names. The call is one that agents of the trusted tier alone may make. `expect` is the status and then
//! `allowed` or our reason; or `gateway`, where the handshake fails.

use mcp_authz::dev::client;
use serde::Deserialize;
use serde_json::json;

use crate::parts::caller::Caller;
use crate::parts::{audit, table, with_stack};

pub(crate) const CASES: &str = include_str!("cases/workloads.yaml");

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    threat: String,
    #[serde(default)]
    name: String,
    #[serde(default = "nobody")]
    subject: String,
    uris: Vec<String>,
    expect: String,
}

fn nobody() -> String {
    "nobody in particular".to_owned()
}

#[test]
fn each_certificate_of_the_table_names_the_workload_or_nobody() {
    with_stack(async |stack| {
        let cases: Vec<Case> = serde_saphyr::from_str(CASES).unwrap();
        let write = json!({ "path": "/srv/work/notes/workloads", "content": "x", "create": true });
        let mut wrong = Vec::new();
        for case in &cases {
            let uris: Vec<&str> = case.uris.iter().map(String::as_str).collect();
            let identity = stack.authority.named(&case.subject, &uris).unwrap();
            let caller = Caller {
                http: client::http(&stack.authority, Some(&identity)).unwrap(),
                ..Caller::developer(stack)
            };
            let found = if caller.http.get(&caller.url).send().await.is_err() {
                "gateway".to_owned()
            } else {
                let reply = caller.call("fs_write", &write).await;
                let record = audit::record(stack, &reply.decision_id()).await;
                format!("{} {}", reply.status, record["reason"].as_str().unwrap())
            };
            if found != case.expect {
                wrong.push(format!(
                    "{} ({}): {} is {found}",
                    case.threat, case.name, case.expect
                ));
            }
        }
        table::assert_none(&wrong, cases.len());
        // The one that the others are held against.
        Caller::developer(stack)
            .call("fs_write", &write)
            .await
            .assert_allowed();
    });
}
