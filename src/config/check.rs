//! What no single setting can see: settings that contradict each other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use url::Url;

use crate::audit::{Durability, Journal, ShowArguments};
use crate::identity::settings::{Spiffe, Trust};
use crate::inventory::{Nonces, Requirement, SenderConstraint, Server};
use crate::state::RedisSettings;

use super::Config;
use super::problem::Problem;
use super::tree::{Node, Step};
use super::workload_api;

/// Adds every contradiction to `problems`.
pub(super) fn check(config: &Config, root: &Node, problems: &mut Vec<Problem>) {
    let mut report = |path: &[Step], message: String, help: &str| {
        problems.push(Problem::at(root.place_of(path), message).help(help));
    };
    if config.servers.is_empty() {
        let help = "name at least one: `servers: [{name: tools-of-mine, resource: https://mcp.example/mcp}]`";
        report(&[key("servers")], "no MCP server is configured".to_owned(), help);
    }
    if let Err(error) = config.grpc.validate() {
        let place = error.place().iter().map(|step| key(step));
        let path: Vec<Step> = std::iter::once(key("grpc")).chain(place).collect();
        report(
            &path,
            error.to_string(),
            "see the key's comment in mcp-authz.example.yaml",
        );
    }
    workload_api::check(config, &mut report);
    for unsound in config.identity.unsound() {
        let mut path = vec![key("identity"), key(unsound.list)];
        if ["trust_domains", "jwt_svid", "bundles"].contains(&unsound.list) {
            path.insert(1, key("spiffe"));
        }
        if !["jwt_svid", "bundles"].contains(&unsound.list) {
            path.push(Step::Index(unsound.index));
        }
        report(
            &path,
            unsound.error.to_string(),
            "see the key's comment in mcp-authz.example.yaml",
        );
    }
    for (name, message) in config.messages.unsound() {
        report(
            &[key("messages"), key(name)],
            message,
            "see the key's comment in mcp-authz.example.yaml",
        );
    }
    if let Some((name, message)) = config.state.redis.as_ref().and_then(RedisSettings::unsound) {
        report(
            &[key("state"), key("redis"), key(name)],
            message,
            "see the key's comment in mcp-authz.example.yaml",
        );
    }
    of_policies(config, &mut report);
    of_audit(config, &mut report);
    of_revocation(config, &mut report);
    for (index, server) in config.servers.iter().enumerate() {
        let at = |name: &str| vec![key("servers"), Step::Index(index), key(name)];
        for (field, message, help) in
            of_server(config, server, config.servers.get(..index).unwrap_or_default())
        {
            report(&at(field), message, help);
        }
    }
}

/// A directory beside itself says what rules: whoever configured it would read that nothing would change.
fn of_policies(config: &Config, report: &mut impl FnMut(&[Step], String, &str)) {
    let policies = &config.policies;
    // What isn't there (yet) is told when it is read; its name is enough here.
    let place = |path: &Path| -> Option<PathBuf> {
        std::fs::canonicalize(path)
            .or_else(|_| std::path::absolute(path))
            .ok()
    };
    let Some(shadow) = &policies.shadow else { return };
    let (Some(tried), Some(ruling)) = (place(shadow), place(&policies.directory)) else {
        return;
    };
    if tried == ruling {
        let message = format!(
            "`{}` is the directory that rules, expected another one, to be asked beside it",
            shadow.display()
        );
        let help = "name the directory to try, leave `policies.shadow` out, or write `@shadow` over single policies of the ruling one";
        report(&[key("policies"), key("shadow")], message, help);
    }
}

fn of_audit(config: &Config, report: &mut impl FnMut(&[Step], String, &str)) {
    let audit = &config.audit;
    if audit.arguments == ShowArguments::Hash && audit.key_file.is_none() {
        let message = "hashes of arguments need a key: without one, short values could be guessed".to_owned();
        let help = "set `audit.key_file` to a file of at least 32 bytes";
        report(&[key("audit"), key("arguments")], message, help);
    }
    if audit.durability == Durability::Disk && audit.file.is_none() {
        let message = "records on standard output are never known to be on disk".to_owned();
        let help = "set `audit.file`, or `audit.durability: queued`";
        report(&[key("audit"), key("durability")], message, help);
    }
    if let Err(error) = Journal::check_queue(audit.queue) {
        report(
            &[key("audit"), key("queue")],
            error.to_string(),
            "the default is 8192",
        );
    }
}

fn of_revocation(config: &Config, report: &mut impl FnMut(&[Step], String, &str)) {
    let revocation = &config.revocation;
    if revocation.listen.is_some() && config.identity.issuers.is_empty() {
        let message = "there is no issuer that could tell of logouts".to_owned();
        let help = "add one to `identity.issuers`, or leave `revocation.listen` out";
        report(&[key("revocation"), key("listen")], message, help);
    }
    let gateways = config.grpc.unix.as_ref().map(|unix| &unix.path);
    if revocation.socket.is_some() && revocation.socket.as_ref() == gateways {
        let message = "gateways ask at that socket".to_owned();
        let help = "give `mcp-authz revoke` a socket of its own: who may ask for decisions need not revoke";
        report(&[key("revocation"), key("socket")], message, help);
    }
}

/// What contradicts a server: the field, what is wrong, what to do.
fn of_server(
    config: &Config,
    server: &Server,
    earlier: &[Server],
) -> Vec<(&'static str, String, &'static str)> {
    let name = &server.name;
    let mut found = Vec::new();
    if earlier.iter().any(|other| other.name == *name) {
        found.push((
            "name",
            format!("the server `{name}` is configured twice"),
            "give each its own name",
        ));
    }
    if earlier.iter().any(|other| other.resource == server.resource) {
        let message = format!("the resource of `{name}` is another server's too");
        found.push((
            "resource",
            message,
            "a token for one server must not be one for another: give each its own URL",
        ));
    }
    if let Some(message) = resource_problem(&server.resource) {
        found.push((
            "resource",
            message,
            "write the URL that clients connect to, for instance `https://mcp.example/mcp`",
        ));
    }
    if server.route.is_some() && earlier.iter().any(|other| other.route == server.route) {
        found.push((
            "route",
            format!("the route of `{name}` is another server's too"),
            "a host and path is one server's",
        ));
    }
    found.extend(of_opaque_tokens(config, server));
    found.extend(of_identities(config, server));
    found.extend(of_senders(config, server));
    found
}

/// Proofs that could never be taken, and certificates that nobody could vouch for.
fn of_senders(config: &Config, server: &Server) -> Option<(&'static str, String, &'static str)> {
    if let Some((problem, help)) = server.dpop.problem() {
        return Some(("dpop", problem.to_owned(), help));
    }
    if server.dpop.nonces == Nonces::Required && !server.sender_constraint.takes_proofs() {
        let message = format!(
            "`{}` demands nonces in proofs, but takes tokens that come without a proof",
            server.name
        );
        let help = "set its `sender_constraint` to `dpop` or `any`";
        return Some(("dpop", message, help));
    }
    let vouches = |trust: &Trust| matches!(trust, Trust::Principal | Trust::Xfcc);
    let mut trusted = config
        .identity
        .gateways
        .iter()
        .flat_map(|gateway| &gateway.trusted_for);
    if server.sender_constraint != SenderConstraint::Mtls || trusted.any(vouches) {
        return None;
    }
    let message = format!(
        "`{}` takes only tokens that are bound to a certificate, but no gateway is trusted to name the client's",
        server.name
    );
    let help = "trust a gateway for `principal` or `xfcc` in `identity.gateways`";
    Some(("sender_constraint", message, help))
}

/// Issuers of which nobody could say whose an opaque token is.
fn of_opaque_tokens(config: &Config, server: &Server) -> Option<(&'static str, String, &'static str)> {
    let (one, other) = config.identity.ambiguous(&server.issuers)?;
    let name = &server.name;
    let message = format!("`{name}` can't tell opaque tokens of `{one}` and of `{other}` apart");
    let help = "give both an `introspection.prefix` that only their own tokens begin with, or let the server take one of them";
    Some(("issuers", message, help))
}

fn of_identities(config: &Config, server: &Server) -> Vec<(&'static str, String, &'static str)> {
    let (name, identity) = (&server.name, &config.identity);
    let mut found = Vec::new();
    let known: HashSet<&str> = identity
        .issuers
        .iter()
        .flat_map(|issuer| [issuer.name.as_str(), issuer.issuer.as_str()])
        .collect();
    for issuer in server
        .issuers
        .iter()
        .filter(|issuer| !known.contains(issuer.as_str()))
    {
        let message = format!("`{name}` takes tokens of `{issuer}`, which is no configured issuer");
        found.push((
            "issuers",
            message,
            "name one of `identity.issuers`, by its `name`",
        ));
    }
    if server.require.is_empty() {
        let message = format!("`{name}` requires nobody: every call would be denied or anonymous");
        found.push(("require", message, "require `user`, `workload` or both"));
    }
    if server.require.contains(&Requirement::Actor) && identity.issuers.is_empty() {
        let message =
            format!("`{name}` requires an actor, but there is no issuer whose tokens could name one");
        found.push(("require", message, "add an issuer to `identity.issuers`"));
    }
    if server.require.contains(&Requirement::User) && identity.issuers.is_empty() {
        let message =
            format!("`{name}` requires a user, but there is no issuer whose tokens could prove one");
        found.push((
            "require",
            message,
            "add an issuer to `identity.issuers`, or require only `workload`",
        ));
    }
    if server.require.contains(&Requirement::Workload) {
        found.extend(of_workloads(config, server));
    }
    found
}

/// What keeps a required workload from ever being proved.
fn of_workloads(config: &Config, server: &Server) -> Vec<(&'static str, String, &'static str)> {
    let (name, identity) = (&server.name, &config.identity);
    let mut found = Vec::new();
    if identity.gateways.is_empty() && !by_jwt_svid(&identity.spiffe, server) {
        let message = format!(
            "`{name}` requires a workload, but no gateway is trusted to vouch for one, and no JWT-SVID could prove one"
        );
        found.push((
            "require",
            message,
            "add a gateway to `identity.gateways`, set `identity.spiffe.jwt_svid.header` and a trust domain's `bundle`, or require only `user`",
        ));
    }
    if identity.spiffe.trust_domains.is_empty() {
        let message = format!("`{name}` requires a workload, but no trust domain is accepted");
        found.push(("require", message, "add one to `identity.spiffe.trust_domains`"));
    }
    found
}

/// Whether a JWT-SVID could be verified and could come: in its header, or as the token of a workload alone.
fn by_jwt_svid(spiffe: &Spiffe, server: &Server) -> bool {
    let alone = server.require.iter().all(|one| *one == Requirement::Workload);
    let has_bundle = spiffe.trust_domains.iter().any(|domain| domain.bundle.is_some());
    has_bundle && (spiffe.jwt_svid.header.is_some() || alone)
}

/// RFC 8707 §2: an absolute URI without fragment; https, for a token travels to it, but on loopback.
fn resource_problem(resource: &str) -> Option<String> {
    let Ok(url) = Url::parse(resource) else {
        return Some(format!("`{resource}` is not a URL"));
    };
    if url.fragment().is_some() || url.query().is_some() {
        return Some(format!("`{resource}` has a query or a fragment"));
    }
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    (!secure).then(|| format!("`{resource}` is not an https URL"))
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}
