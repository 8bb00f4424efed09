//! Who acts for a user, as tokens say it and as they lie about it; what a client's tokens may carry; when a user logged in.

use super::*;
use crate::exchange::{Gateway, Peer};
use crate::spiffe::settings::TrustDomain;
use settings::{Client, Spiffe, UnlistedClients};

const AGENT: &str = "spiffe://mcp-identity.local/agent/trusted/1";
const OTHER: &str = "spiffe://mcp-identity.local/agent/trusted/2";

struct World {
    key: Signer,
    issuer: TestIssuer,
    verifier: Arc<Verifier>,
}

async fn world(change: impl FnOnce(&mut settings::Issuer)) -> World {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut of_issuer = issuer.settings();
    change(&mut of_issuer);
    let gateway = TrustedGateway {
        name: "envoy".to_owned(),
        certificate: None,
        address: Some("10.0.0.0/8".to_owned()),
        unix: false,
        trusted_for: vec![Trust::Principal],
    };
    let settings = Settings {
        issuers: vec![of_issuer],
        gateways: vec![gateway],
        spiffe: Spiffe {
            trust_domains: vec![TrustDomain::named("mcp-identity.local")],
            ..Spiffe::default()
        },
        ..Settings::default()
    };
    let verifier = Verifier::start(settings, Arc::new(Memory::default()))
        .await
        .unwrap();
    World {
        key,
        issuer,
        verifier,
    }
}

impl World {
    /// Who calls with a good token that was changed so, over the connection of this workload.
    async fn caller(
        &self,
        server: &Server,
        workload: Option<&str>,
        change: impl FnOnce(&mut Value),
    ) -> Result<Caller, IdentityError> {
        let mut claims = claims(self.issuer.url());
        change(&mut claims);
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
        let mut exchange = bearer(&self.key.token(&header, &claims));
        exchange.gateway = Gateway {
            peer: Peer::Tcp("10.0.0.1".parse().unwrap()),
            certificate_names: Vec::new(),
        };
        exchange.source.principal = workload.map(str::to_owned);
        self.verifier.identify(&exchange, server, now()).await
    }

    /// The current actor and those before it, at a server that requires one, where [`AGENT`] calls.
    async fn actors(&self, change: impl FnOnce(&mut Value)) -> Result<(String, Vec<String>), IdentityError> {
        let caller = self
            .caller(&server(&["user", "actor"]), Some(AGENT), change)
            .await?;
        let actor = caller.actor.unwrap();
        Ok((actor.key().to_owned(), actor.earlier.clone()))
    }
}

fn client(actor: bool, max_scopes: Option<&[&str]>) -> Client {
    Client {
        actor,
        max_scopes: max_scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
    }
}

/// `act` in `act`, so many in all.
fn chain(length: usize) -> Value {
    (1..length).fold(
        json!({ "sub": "first" }),
        |act, number| json!({ "sub": format!("actor-{number}"), "act": act }),
    )
}

#[tokio::test]
async fn the_outermost_actor_is_the_current_one_and_inner_ones_are_recorded() {
    let world = world(|_| {}).await;
    let iss = world.issuer.url();
    let act = json!({
        "sub": AGENT, "exp": 1, "aud": "elsewhere",
        "act": { "client_id": "planner", "act": { "iss": "https://partner.example", "sub": "root" } },
    });
    let (current, earlier) = world.actors(|claims| claims["act"] = act).await.unwrap();
    assert_eq!(current, AGENT);
    assert_eq!(
        earlier,
        [
            format!("{iss}#client:planner"),
            "https://partner.example#subject:root".to_owned()
        ]
    );
}

#[tokio::test]
async fn an_actor_is_a_workload_a_client_or_a_subject_and_no_name_passes_for_another() {
    let world = world(|_| {}).await;
    let iss = world.issuer.url().to_owned();
    let cases = [
        (json!({ "sub": AGENT }), AGENT.to_owned()),
        (json!({ "client_id": "bot" }), format!("{iss}#client:bot")),
        (json!({ "sub": "bot" }), format!("{iss}#subject:bot")),
        (
            json!({ "sub": "client:bot" }),
            format!("{iss}#subject:client:bot"),
        ),
        (
            json!({ "iss": iss, "sub": "7", "client_id": "bot" }),
            format!("{iss}#subject:7"),
        ),
        (
            json!({ "iss": null, "sub": "7", "act": null }),
            format!("{iss}#subject:7"),
        ),
    ];
    for (act, expected) in cases {
        let found = world.actors(|claims| claims["act"] = act.clone()).await;
        assert_eq!(found, Ok((expected, Vec::new())), "{act}");
    }
}

#[tokio::test]
async fn an_act_that_names_nobody_or_too_many_is_refused_also_where_no_actor_is_required() {
    use IdentityError as E;
    let world = world(|_| {}).await;
    let cases = [
        (json!("bot"), E::ActorMalformed),
        (json!([{ "sub": "bot" }]), E::ActorMalformed),
        (json!({}), E::ActorMalformed),
        (json!({ "sub": "" }), E::ActorMalformed),
        (json!({ "sub": 7 }), E::ActorMalformed),
        (json!({ "sub": "bot", "client_id": ["bot"] }), E::ActorMalformed),
        (
            json!({ "iss": "https://a.example#b", "sub": "bot" }),
            E::ActorMalformed,
        ),
        (json!({ "sub": "bot", "act": {} }), E::ActorMalformed),
        (
            json!({ "sub": "SPIFFE://mcp-identity.local/a" }),
            E::ActorMalformed,
        ),
        (
            json!({ "sub": "spiffe://mcp-identity.local/a/../b" }),
            E::ActorMalformed,
        ),
        (
            json!({ "sub": "bot", "act": { "sub": "spiffe://mcp-identity.local" } }),
            E::ActorMalformed,
        ),
        (
            json!({ "iss": "https://other.example", "sub": "bot" }),
            E::ActorIssuerNotAccepted,
        ),
        (
            json!({ "sub": "spiffe://elsewhere.local/a" }),
            E::ActorForeignTrustDomain,
        ),
        (
            json!({ "sub": "spiffe://mcp-identity.local.evil/a" }),
            E::ActorForeignTrustDomain,
        ),
        (chain(9), E::TooManyActors),
        (chain(20), E::TooManyActors),
    ];
    for (act, reason) in cases {
        for require in [&["user"][..], &["user", "actor"]] {
            let caller = world
                .caller(&server(require), None, |claims| claims["act"] = act.clone())
                .await;
            assert_eq!(caller.err(), Some(reason), "{act}");
        }
    }
    let eight = world.actors(|claims| claims["act"] = chain(8)).await.unwrap();
    assert_eq!(eight.1.len(), 7);
}

#[tokio::test]
async fn an_issuer_names_actors_of_another_only_where_it_may() {
    let world = world(|issuer| issuer.actor_issuers = vec!["https://partner.example".to_owned()]).await;
    let of = |iss: &str| json!({ "iss": iss, "sub": "bot" });
    let partner = of("https://partner.example");
    let found = world.actors(|claims| claims["act"] = partner).await.unwrap();
    assert_eq!(found.0, "https://partner.example#subject:bot");
    let alike = of("https://partner.example/");
    let refused = world.actors(|claims| claims["act"] = alike).await;
    assert_eq!(refused, Err(IdentityError::ActorIssuerNotAccepted));
}

#[tokio::test]
async fn a_listed_client_is_the_actor_of_an_exchanged_token_and_a_login_client_is_none() {
    let world = world(|issuer| {
        issuer.clients = [
            ("reporter".to_owned(), client(true, None)),
            ("mcp-client".to_owned(), client(false, None)),
        ]
        .into();
    })
    .await;
    let iss = world.issuer.url().to_owned();
    let by = async |change: fn(&mut Value)| world.actors(change).await;
    let reporter = Ok((format!("{iss}#client:reporter"), Vec::new()));
    assert_eq!(by(|claims| claims["azp"] = json!("reporter")).await, reporter);
    assert_eq!(
        by(|claims| {
            claims.as_object_mut().unwrap().remove("azp");
            claims["client_id"] = json!("reporter");
        })
        .await,
        reporter
    );
    for change in [
        |_: &mut Value| {},
        |claims: &mut Value| claims["azp"] = json!("Reporter"),
        |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("azp")),
    ] {
        assert_eq!(by(change).await, Err(IdentityError::ActorMissing));
    }
    let caller = world.caller(&server(&["user"]), None, |_| {}).await.unwrap();
    assert_eq!(caller.actor, None, "nobody is required, nobody is there");
}

#[tokio::test]
async fn a_client_that_acts_does_not_hide_behind_another_actor() {
    let world = world(|issuer| {
        issuer.clients = [("reporter".to_owned(), client(true, None))].into();
    })
    .await;
    let iss = world.issuer.url().to_owned();
    let cases = [
        (json!({ "sub": "somebody" }), None),
        (json!({ "client_id": "other" }), None),
        (json!({ "sub": AGENT }), None),
        (json!({ "sub": "reporter", "client_id": "other" }), None),
        (json!({ "client_id": "reporter" }), Some("client:reporter")),
        (json!({ "sub": "reporter" }), Some("subject:reporter")),
        (json!({ "sub": "7", "client_id": "reporter" }), Some("subject:7")),
    ];
    for (act, expected) in cases {
        let found = world
            .actors(|claims| {
                claims["azp"] = json!("reporter");
                claims["act"] = act.clone();
            })
            .await;
        let expected = expected.map(|name| (format!("{iss}#{name}"), Vec::new()));
        assert_eq!(found, expected.ok_or(IdentityError::ActorAmbiguous), "{act}");
    }
}

#[tokio::test]
async fn where_an_actor_is_required_a_token_without_one_and_no_token_are_refused() {
    let world = world(|_| {}).await;
    let asking = server(&["actor"]);
    let refused = world.caller(&asking, None, |_| {}).await;
    assert_eq!(refused.err(), Some(IdentityError::ActorMissing));
    let nobody = world.verifier.identify(&exchange(&[]), &asking, now()).await;
    assert_eq!(nobody.err(), Some(IdentityError::NoCredential));
}

#[tokio::test]
async fn a_workloads_delegated_token_is_refused_over_the_connection_of_another() {
    let world = world(|_| {}).await;
    let by = async |server: &Server, workload: Option<&str>, act: Value| {
        let found = world.caller(server, workload, |claims| claims["act"] = act).await;
        found.map(|caller| caller.principals(server))
    };
    let asking = server(&["user", "actor"]);
    let proxied = Server {
        proxied_actors: true,
        ..asking.clone()
    };
    let plain = server(&["user"]);
    let agent = || json!({ "sub": AGENT });
    assert_eq!(by(&asking, Some(AGENT), agent()).await, Ok(3));
    // Nor may who leaves the certificate at home say by a token which workload it is.
    assert_eq!(
        by(&asking, None, agent()).await,
        Err(IdentityError::WorkloadMissing)
    );
    assert_eq!(by(&proxied, None, agent()).await, Ok(2));
    assert_eq!(by(&plain, None, agent()).await, Ok(1));
    assert_eq!(by(&asking, None, json!({ "client_id": "bot" })).await, Ok(2));
    assert_eq!(
        by(&asking, Some(OTHER), agent()).await,
        Err(IdentityError::ActorDisagrees)
    );
    assert_eq!(
        by(&proxied, Some(OTHER), agent()).await,
        Ok(3),
        "each of the three is asked"
    );
    assert_eq!(
        by(&plain, Some(OTHER), agent()).await,
        Ok(2),
        "recorded, not asked"
    );
    assert_eq!(
        by(&asking, Some(OTHER), json!({ "client_id": "bot" })).await,
        Ok(3)
    );
}

#[tokio::test]
async fn a_token_with_more_scope_than_its_client_may_have_is_refused() {
    use IdentityError as E;
    let world = |unlisted| {
        world(move |issuer| {
            issuer.clients = [
                (
                    "mcp-client".to_owned(),
                    client(false, Some(&["openid", "public:read"])),
                ),
                ("free".to_owned(), client(false, None)),
                ("none".to_owned(), client(false, Some(&[]))),
            ]
            .into();
            issuer.unlisted_clients = unlisted;
        })
    };
    let (taking, refusing) = (
        world(UnlistedClients::Take).await,
        world(UnlistedClients::Refuse).await,
    );
    // Client, scope, where unlisted ones are taken, where they aren't.
    let cases = [
        ("mcp-client", "openid public:read", None, None),
        ("mcp-client", "", None, None),
        (
            "mcp-client",
            "openid public:read admin",
            Some(E::ScopeExceedsClient),
            Some(E::ScopeExceedsClient),
        ),
        (
            "mcp-client",
            "Public:read",
            Some(E::ScopeExceedsClient),
            Some(E::ScopeExceedsClient),
        ),
        ("free", "openid admin", None, None),
        (
            "none",
            "openid",
            Some(E::ScopeExceedsClient),
            Some(E::ScopeExceedsClient),
        ),
        ("stranger", "openid admin", None, Some(E::ClientNotListed)),
        ("", "openid", None, Some(E::ClientNotListed)),
    ];
    for (azp, scope, taken, refused) in cases {
        for (world, expected) in [(&taking, taken), (&refusing, refused)] {
            let found = world
                .caller(&server(&["user"]), None, |claims| {
                    claims["scope"] = json!(scope);
                    claims["azp"] = json!(azp);
                    if azp.is_empty() {
                        claims.as_object_mut().unwrap().remove("azp");
                    }
                })
                .await;
            assert_eq!(found.err(), expected, "{azp} {scope}");
        }
    }
}

#[tokio::test]
async fn when_a_user_logged_in_is_read_and_never_ahead_of_the_clock() {
    let world = world(|_| {}).await;
    let login = async |auth_time: Value| {
        let found = world
            .caller(&server(&["user"]), None, |claims| claims["auth_time"] = auth_time)
            .await;
        found.map(|caller| caller.user.unwrap().authenticated.unwrap().as_second())
    };
    assert_eq!(login(json!(NOW - 60)).await, Ok(NOW - 60));
    assert_eq!(login(json!(NOW + 29)).await, Ok(NOW + 29), "within the skew");
    assert_eq!(
        login(json!(NOW + 31)).await,
        Err(IdentityError::AuthenticatedInFuture)
    );
    assert_eq!(
        login(json!("today")).await,
        Err(IdentityError::ClaimMalformed(error::Claim::AuthTime))
    );
}
