//! Bundles that change, and settings that make no sense.

use super::*;

#[tokio::test]
async fn a_key_that_the_bundle_has_no_more_is_refused_also_for_one_that_is_known() {
    let world = world().await;
    let svid = in_header(&world.ours.svid(AGENT));
    assert!(world.ask(&svid).await.is_ok());
    let mut told = world.verifier.bundles().subscribe();
    let next = Domain::new();
    next.publish(&world.directory.path().join("ours.json"), 2);
    told.changed().await.unwrap();
    assert_eq!(world.ask(&svid).await, Err(E::Svid(S::SignatureInvalid)));
    assert!(world.ask(&in_header(&next.svid(AGENT))).await.is_ok());
}

#[tokio::test]
async fn a_bundle_that_is_none_or_older_or_gone_leaves_the_last_good_one() {
    let world = world().await;
    let path = world.directory.path().join("ours.json");
    let next = Domain::new();
    let svid = in_header(&world.ours.svid(AGENT));
    let failed = || {
        let status = world.verifier.bundle_status(clock::instant());
        status
            .iter()
            .find(|bundle| bundle.trust_domain == "mcp-identity.local")
            .unwrap()
            .clone()
    };
    let mut seen = 0;
    let spoil: [(&str, &dyn Fn()); 5] = [
        ("not one JSON object", &|| std::fs::write(&path, "{").unwrap()),
        ("no authority", &|| {
            std::fs::write(&path, r#"{"keys":[]}"#).unwrap();
        }),
        ("`spiffe_sequence` is 0", &|| next.publish(&path, 0)),
        ("can't be read", &|| std::fs::remove_file(&path).unwrap()),
        ("longer than", &|| {
            std::fs::write(&path, vec![b' '; 1024 * 1024 + 1]).unwrap();
        }),
    ];
    for (problem, spoil) in spoil {
        spoil();
        let told = loop {
            let status = failed();
            let told = status.problem.clone().unwrap_or_default();
            if status.failed > seen && told.contains(problem) {
                seen = status.failed;
                break status;
            }
            tokio::task::yield_now().await;
        };
        assert!(told.usable, "{problem}");
        assert!(world.ask(&svid).await.is_ok(), "{problem}");
    }
}

#[tokio::test]
async fn settings_of_jwt_svids_that_make_no_sense_are_refused() {
    let default = JwtSvids::default;
    let with_header = |header: &str| JwtSvids {
        header: Some(header.to_owned()),
        ..default()
    };
    let cases = [
        with_header(""),
        with_header("X-Jwt-Svid"),
        with_header("authorization"),
        with_header("x-mcp-user"),
        with_header("mcp-session-id"),
        with_header("x-forwarded-client-cert"),
        JwtSvids {
            algorithms: vec![],
            ..default()
        },
        JwtSvids {
            algorithms: vec![jsonwebtoken::Algorithm::HS256],
            ..default()
        },
        JwtSvids {
            audiences: vec![String::new()],
            ..default()
        },
        JwtSvids {
            max_lifetime: Duration::ZERO,
            ..default()
        },
    ];
    for jwt_svid in cases {
        let spiffe = Spiffe {
            jwt_svid: jwt_svid.clone(),
            ..Spiffe::default()
        };
        let settings = Settings {
            spiffe,
            ..Settings::default()
        };
        let started = Verifier::start(settings, Arc::new(Memory::default())).await;
        assert!(
            matches!(started, Err(IdentitySetupError::Svid(_))),
            "{jwt_svid:?}"
        );
    }
}
