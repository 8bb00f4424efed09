//! Settings that contradict each other, or that nothing could work with.

use super::*;

#[test]
fn answers_cannot_wait_for_a_disk_that_is_a_stream() {
    let strict = format!("{SOUND}audit: {{durability: disk}}\n");
    assert_eq!(
        read(&strict, &[]).unwrap_err(),
        [
            "mcp-authz.yaml:9:21: records on standard output are never known to be on disk \
             (set `audit.file`, or `audit.durability: queued`)"
        ]
    );
    assert!(read(&strict, &[("MCP_AUTHZ__AUDIT__FILE", "audit.jsonl")]).is_ok());
}

#[test]
fn a_shadow_directory_that_rules_is_refused_whatever_it_is_called() {
    let place = tempfile::TempDir::new().unwrap();
    let [ruling, other] = ["ruling", "other"].map(|name| place.path().join(name));
    for directory in [&ruling, &other] {
        std::fs::create_dir(directory).unwrap();
    }
    std::os::unix::fs::symlink(&ruling, place.path().join("link")).unwrap();
    let with = |directory: &str, shadow: &str| {
        let text = format!("{SOUND}policies:\n  directory: {directory}\n  shadow: {shadow}\n");
        read(&text, &[]).err().unwrap_or_default().join("\n")
    };
    let ruling = ruling.to_str().unwrap();
    for same in [
        "ruling",
        "ruling/",
        "./ruling/.",
        "other/../ruling",
        "link",
        "link/../ruling",
    ] {
        let same = place.path().join(same);
        let same = same.to_str().unwrap();
        assert_eq!(
            with(ruling, same),
            format!(
                "mcp-authz.yaml:11:11: `{same}` is the directory that rules, expected another one, to be asked beside it \
                 (name the directory to try, leave `policies.shadow` out, or write `@shadow` over single policies of the ruling one)"
            )
        );
    }
    // Neither is there yet: what they are called is all that can be compared.
    assert!(with("nowhere/policies", "./nowhere/policies/").contains("is the directory that rules"));
    assert_eq!(with("nowhere/policies", "nowhere/tried"), "");
    assert_eq!(with(ruling, other.to_str().unwrap()), "");
    assert_eq!(with(ruling, "null"), "");
}

#[test]
fn settings_that_contradict_each_other_are_all_told() {
    let text = "\
servers:
  - {name: one, resource: http://mcp.example/mcp, issuers: [nobody]}
  - {name: one, resource: https://mcp.example/mcp, require: []}
grpc: {listen: null}
";
    insta::assert_snapshot!(read(text, &[]).unwrap_err().join("\n"));
}

#[test]
fn a_bound_that_would_have_no_effect_is_refused() {
    let with = |messages: &str| format!("{SOUND}messages:\n{messages}");
    assert!(read(&with("  max_batch: 1\n  max_subscriptions: 256\n"), &[]).is_ok());
    let told = read(&with("  max_batch: 0\n  max_subscriptions: 257\n"), &[]).unwrap_err();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("a batch holds at least one message"), "{told:?}");
    assert!(
        told[1].contains("257 resources are more than the 256"),
        "{told:?}"
    );
}

#[test]
fn a_redis_that_could_not_work_is_refused_where_it_stands() {
    let with = |redis: &str| format!("{SOUND}state:\n  redis: {redis}\n");
    assert!(read(&with("{url: 'rediss://redis.example/0', propagation: 2s}"), &[]).is_ok());
    let told = read(&with("{url: 'redis://:secret@redis.example'}"), &[]).unwrap_err();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("a password is no part of it"), "{told:?}");
    let told = read(&with("{url: 'redis://redis.example', propagation: 1s}"), &[]).unwrap_err();
    assert!(told[0].contains("shorter than four times `timeout`"), "{told:?}");
}

#[test]
fn a_configuration_without_servers_is_none() {
    let problems = read("", &[]).unwrap_err();
    assert!(
        problems[0].contains("no MCP server is configured"),
        "{problems:?}"
    );
}

#[test]
fn ways_in_of_revocations_that_nobody_should_use_are_refused() {
    let listen = "revocation: {listen: 127.0.0.1:9193, socket: /run/revoke.sock}\n";
    assert!(read(&format!("{SOUND}{listen}"), &[]).is_ok());
    let no_issuer = "servers: [{name: a, resource: 'https://a.example/mcp', require: [workload]}]\n\
                     identity: {gateways: [{name: e, unix: true, trusted_for: [xfcc]}], spiffe: {trust_domains: [a.example]}}\n";
    let told = read(&format!("{no_issuer}{listen}"), &[]).unwrap_err();
    assert!(
        told[0].contains("no issuer that could tell of logouts"),
        "{told:?}"
    );
    let same = "grpc: {unix: {path: /run/revoke.sock}}\n";
    let told = read(&format!("{SOUND}{listen}{same}"), &[]).unwrap_err();
    assert!(told[0].contains("gateways ask at that socket"), "{told:?}");
}
