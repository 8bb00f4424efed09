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
