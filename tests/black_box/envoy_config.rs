//! The shipped configuration of Envoy.

use std::process::Command;

use crate::parts;

#[test]
fn envoy_accepts_the_shipped_configuration() {
    parts::with_stack(async |stack| {
        let output = Command::new(parts::repository().join(".tools/venv/bin/envoy"))
            .args(["--mode", "validate", "-c"])
            .arg(stack.directory.join("envoy.yaml"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        // What is deprecated today is gone tomorrow.
        let warnings: Vec<&str> = errors.lines().filter(|line| line.contains("[warning]")).collect();
        assert_eq!(warnings, Vec::<&str>::new());
    });
}

#[test]
fn nobody_without_a_certificate_of_the_trust_domain_gets_a_word() {
    use mcp_authz::dev::client;
    use mcp_authz::dev::pki::Authority;

    parts::with_stack(async |stack| {
        let stranger = Authority::new(mcp_authz::clock::now()).unwrap();
        let identities = [
            None,
            Some(
                stack
                    .authority
                    .workload("spiffe://evil.example/agent/trusted/assistant")
                    .unwrap(),
            ),
            Some(
                stack
                    .authority
                    .workload("spiffe://mcp-identity.local.evil.example/agent/trusted/a")
                    .unwrap(),
            ),
            Some(stranger.workload(parts::caller::TRUSTED).unwrap()),
            // A server's certificate is no client's.
            Some(stack.authority.server(Some(parts::caller::TRUSTED)).unwrap()),
        ];
        for (case, identity) in identities.iter().enumerate() {
            let http = client::http(&stack.authority, identity.as_ref()).unwrap();
            let answer = http.get(stack.url("workbench")).send().await;
            assert!(answer.is_err(), "case {case}: {answer:?}");
        }
    });
}

/// uvicorn closes what was silent for five seconds; a call that meets the close is lost with a 503.
#[test]
fn envoy_lets_go_of_a_silent_connection_before_the_server_does() {
    use mcp_authz::dev::client;
    use serde_json::json;

    parts::with_stack(async |stack| {
        let caller = parts::caller::Caller::developer(stack);
        let admin = client::http(&stack.authority, None).unwrap();
        let url = format!(
            "http://127.0.0.1:{}/stats?filter=^cluster.workbench.upstream_cx_idle_timeout$",
            stack.ports.admin
        );
        caller
            .call("fs_read", &json!({ "path": "/srv/work/hello.txt" }))
            .await
            .assert_allowed();
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
        for _ in 0..100 {
            ticks.tick().await;
            let text = admin.get(&url).send().await.unwrap().text().await.unwrap();
            if !text.trim().ends_with(": 0") {
                return;
            }
        }
        panic!("twenty seconds, and Envoy let go of none");
    });
}
