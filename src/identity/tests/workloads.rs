//! Everything that gets tried with a workload's identity.

use super::*;
use crate::exchange::{Gateway, Peer};
use crate::spiffe::SpiffeIdError;
use crate::spiffe::settings::TrustDomain;
use settings::Spiffe;

/// The workload's SPIFFE ID, if one is found.
type Outcome = Result<Option<String>, IdentityError>;
/// What the gateway is trusted for, its address, the principal, XFCC headers.
type Case<'a> = (&'a [Trust], &'a str, Option<&'a str>, &'a [&'a str], Outcome);

const AGENT: &str = "spiffe://mcp-identity.local/agent/trusted/1";

async fn verifier(trusted_for: &[Trust]) -> Arc<Verifier> {
    let gateway = TrustedGateway {
        name: "envoy".to_owned(),
        certificate: None,
        address: Some("10.0.0.0/8".to_owned()),
        unix: false,
        trusted_for: trusted_for.to_vec(),
    };
    let spiffe = Spiffe {
        trust_domains: vec![TrustDomain::named("mcp-identity.local")],
        ..Spiffe::default()
    };
    Verifier::start(
        Settings {
            gateways: vec![gateway],
            spiffe,
            ..Settings::default()
        },
        Arc::new(Memory::default()),
    )
    .await
    .unwrap()
}

fn from(peer: &str, principal: Option<&str>, xfcc: &[&str]) -> Exchange {
    let headers: Vec<_> = xfcc
        .iter()
        .map(|value| ("x-forwarded-client-cert", *value))
        .collect();
    let mut exchange = exchange(&headers);
    exchange.gateway = Gateway {
        peer: Peer::Tcp(peer.parse().unwrap()),
        certificate_names: Vec::new(),
    };
    exchange.source.principal = principal.map(str::to_owned);
    exchange
}

async fn workload(
    verifier: &Verifier,
    require: &[&str],
    exchange: &Exchange,
) -> Result<Option<String>, IdentityError> {
    let caller = verifier.identify(exchange, &server(require), now()).await?;
    Ok(caller.workload.map(|workload| workload.key().to_owned()))
}

#[tokio::test]
async fn refuses_each_bad_workload_for_its_own_reason() {
    use IdentityError as E;
    let verifier = verifier(&[Trust::Principal, Trust::Xfcc]).await;
    let xfcc = |uri: &str| format!("Hash=ab;Subject=\"CN=x,O=\\\"y;z\\\"\";URI={uri}");
    let agent = || Ok(Some(AGENT.to_owned()));
    let good = xfcc(AGENT);
    let cases: Vec<(Option<&str>, Vec<String>, Outcome)> = vec![
        (Some(AGENT), vec![], agent()),
        (None, vec![good.clone()], agent()),
        (Some(""), vec![good.clone()], agent()),
        (Some(AGENT), vec![good.clone()], agent()),
        (Some(AGENT), vec!["Hash=ab".to_owned()], agent()),
        (None, vec![], Err(E::WorkloadMissing)),
        (Some("client.example"), vec![], Err(E::WorkloadMissing)),
        (
            Some("CN=client"),
            vec!["Subject=\"URI=spiffe://x/y\"".to_owned()],
            Err(E::WorkloadMissing),
        ),
        (Some("https://client.example/x"), vec![], Err(E::WorkloadMissing)),
        (
            Some(AGENT),
            vec![xfcc("spiffe://mcp-identity.local/agent/trusted/2")],
            Err(E::WorkloadDisagrees),
        ),
        (
            Some("client.example"),
            vec![good.clone()],
            Err(E::WorkloadDisagrees),
        ),
        (
            Some(AGENT),
            vec![xfcc("https://client.example")],
            Err(E::WorkloadDisagrees),
        ),
        (None, vec![format!("{good},{good}")], Err(E::WorkloadAmbiguous)),
        (None, vec![good.clone(), good.clone()], Err(E::WorkloadAmbiguous)),
        (
            None,
            vec![format!("{good};URI=spiffe://mcp-identity.local/b")],
            Err(E::WorkloadAmbiguous),
        ),
        (
            None,
            vec!["spiffe://mcp-identity.local/a".to_owned()],
            Err(E::ForwardedCertMalformed),
        ),
        (
            None,
            vec!["URI=\"spiffe://mcp-identity.local/a".to_owned()],
            Err(E::ForwardedCertMalformed),
        ),
        (
            Some("spiffe://other.local/agent"),
            vec![],
            Err(E::WorkloadForeignTrustDomain),
        ),
        (
            Some("spiffe://evil-mcp-identity.local/agent"),
            vec![],
            Err(E::WorkloadForeignTrustDomain),
        ),
        (
            Some("spiffe://x.mcp-identity.local/agent"),
            vec![],
            Err(E::WorkloadForeignTrustDomain),
        ),
        (
            Some("spiffe://mcp-identity.local.evil/agent"),
            vec![],
            Err(E::WorkloadForeignTrustDomain),
        ),
        (
            Some("SPIFFE://mcp-identity.local/agent"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::Scheme)),
        ),
        (
            Some("spiffe:mcp-identity.local/agent"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::Scheme)),
        ),
        (
            Some("spiffe://MCP-identity.local/a"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::TrustDomain)),
        ),
        (
            Some("spiffe://mcp-identity.local:1/a"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::TrustDomain)),
        ),
        (
            Some("spiffe://mcp-identity.local"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::NoPath)),
        ),
        (
            Some("spiffe://mcp-identity.local/"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::EmptySegment)),
        ),
        (
            Some("spiffe://mcp-identity.local/a/../b"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::DotSegment)),
        ),
        (
            Some("spiffe://mcp-identity.local/%61"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::Path)),
        ),
        (
            Some("spiffe://mcp-identity.local/a?b"),
            vec![],
            Err(E::WorkloadMalformed(SpiffeIdError::Path)),
        ),
        (
            None,
            vec![xfcc("spiffe://mcp-identity.local/a b")],
            Err(E::WorkloadMalformed(SpiffeIdError::Path)),
        ),
    ];
    for (principal, xfcc, outcome) in cases {
        let xfcc: Vec<&str> = xfcc.iter().map(String::as_str).collect();
        let exchange = from("10.1.2.3", principal, &xfcc);
        assert_eq!(
            workload(&verifier, &["workload"], &exchange).await,
            outcome,
            "{principal:?} {xfcc:?}"
        );
        // Where none is required it may be absent, but never wrong.
        let optional = match outcome {
            Err(E::WorkloadMissing) => Ok(None),
            other => other,
        };
        assert_eq!(
            workload(&verifier, &[], &exchange).await,
            optional,
            "{principal:?} {xfcc:?}"
        );
    }
}

#[tokio::test]
async fn a_gateway_is_believed_only_about_what_it_is_trusted_for() {
    use IdentityError::{GatewayNotTrusted, WorkloadMissing};
    let xfcc = format!("URI={AGENT}");
    let other = "spiffe://mcp-identity.local/agent/other";
    let both: &[&str] = &[&xfcc];
    let agent = || Ok(Some(AGENT.to_owned()));
    let cases: Vec<Case> = vec![
        (
            &[Trust::Principal, Trust::Xfcc],
            "11.0.0.1",
            Some(AGENT),
            &[],
            Err(GatewayNotTrusted),
        ),
        (
            &[Trust::Principal, Trust::Xfcc],
            "11.0.0.1",
            None,
            both,
            Err(GatewayNotTrusted),
        ),
        (
            &[Trust::Principal, Trust::Xfcc],
            "11.0.0.1",
            None,
            &["garbage"],
            Err(GatewayNotTrusted),
        ),
        (
            &[Trust::Principal, Trust::Xfcc],
            "11.0.0.1",
            Some("client.example"),
            &[],
            Err(WorkloadMissing),
        ),
        (
            &[Trust::Principal],
            "10.0.0.1",
            None,
            both,
            Err(GatewayNotTrusted),
        ),
        // A client's own header, where the gateway doesn't remove it: it counts for nothing.
        (
            &[Trust::Principal],
            "10.0.0.1",
            Some(AGENT),
            &["URI=spiffe://mcp-identity.local/admin"],
            agent(),
        ),
        (
            &[Trust::Principal],
            "10.0.0.1",
            Some(AGENT),
            &["garbage"],
            agent(),
        ),
        // The principal is a proxy between, and the configuration says to believe the header.
        (&[Trust::Xfcc], "10.0.0.1", Some(other), both, agent()),
        (
            &[Trust::JwtClaims],
            "10.0.0.1",
            Some(AGENT),
            both,
            Err(GatewayNotTrusted),
        ),
        (&[], "10.0.0.1", Some(AGENT), both, Err(GatewayNotTrusted)),
    ];
    for (trusted_for, peer, principal, xfcc, outcome) in cases {
        let verifier = verifier(trusted_for).await;
        let exchange = from(peer, principal, xfcc);
        let found = workload(&verifier, &["workload"], &exchange).await;
        assert_eq!(found, outcome, "{trusted_for:?} {peer} {principal:?} {xfcc:?}");
    }
}

#[tokio::test]
async fn trust_domains_are_names_without_scheme() {
    for name in ["spiffe://mcp-identity.local", "MCP.local", "", "a/b"] {
        let spiffe = Spiffe {
            trust_domains: vec![TrustDomain::named(name)],
            ..Spiffe::default()
        };
        let started = Verifier::start(
            Settings {
                spiffe,
                ..Settings::default()
            },
            Arc::new(Memory::default()),
        )
        .await;
        assert!(
            matches!(started, Err(IdentitySetupError::TrustDomain(_))),
            "{name}"
        );
    }
}
