//! Tokens never seen before, by the hundred thousand.

use super::*;

/// How many are in use.
const KNOWN: u64 = 1000;
const STRANGERS: u64 = 100_000;

/// An issuer with a shared secret, for its signatures are made fastest.
struct World {
    verifier: Arc<Verifier>,
    key: Signer,
    _directory: tempfile::TempDir,
}

async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, [b'k'; 32]).unwrap();
    let mut issuer = settings::Issuer::new("shared", "https://shared.example");
    issuer.keys = Keys::SecretFile(file);
    World {
        verifier: start(vec![issuer]).await,
        key: Signer::Secret(vec![b'k'; 32]),
        _directory: directory,
    }
}

impl World {
    fn token(jti: &str, key: &Signer) -> String {
        let mut claims = claims("https://shared.example");
        claims["jti"] = json!(jti);
        key.token(&json!({ "alg": "HS256", "typ": "JWT" }), &claims)
    }

    async fn ask(&self, exchange: &Exchange) -> Result<(), IdentityError> {
        let server = server(&["user"]);
        self.verifier.identify(exchange, &server, now()).await.map(|_| ())
    }

    /// So many tokens come by that were never seen before; each of those that are known is used once for every thousand
    /// of them. Whether all stayed known.
    async fn flood(&self, key: &Signer, expected: Result<(), IdentityError>) {
        let known: Vec<_> = (0..KNOWN)
            .map(|number| bearer(&Self::token(&format!("known-{number}"), &self.key)))
            .collect();
        // Once to be verified, once to be used.
        for exchange in known.iter().chain(&known) {
            assert_eq!(self.ask(exchange).await, Ok(()));
        }
        let before = self.verifier.cache_numbers();
        for number in 0..STRANGERS {
            let stranger = bearer(&Self::token(&format!("once-{number}"), key));
            assert_eq!(self.ask(&stranger).await, expected);
            if number % 100 == 0 {
                for part in known
                    .iter()
                    .skip(usize::try_from(number / 100 % 10).unwrap())
                    .step_by(10)
                {
                    assert_eq!(self.ask(part).await, Ok(()));
                }
            }
        }
        let after = self.verifier.cache_numbers();
        assert_eq!(after.misses - before.misses, STRANGERS, "{after:?}");
        assert_eq!(after.hits - before.hits, STRANGERS, "{after:?}");
        assert!(after.bytes <= after.capacity, "{after:?}");
    }
}

#[tokio::test]
async fn tokens_in_use_stay_known_through_a_flood_of_valid_ones_that_are_seen_once() {
    let world = world().await;
    world.flood(&world.key, Ok(())).await;
    assert!(world.verifier.cache_numbers().evicted > 0);
}

#[tokio::test]
async fn tokens_in_use_stay_known_through_a_flood_of_forged_ones_which_take_no_room() {
    let world = world().await;
    let forger = Signer::Secret(vec![b'f'; 32]);
    world.flood(&forger, Err(IdentityError::SignatureInvalid)).await;
    let numbers = world.verifier.cache_numbers();
    assert_eq!((numbers.tokens as u64, numbers.evicted), (KNOWN, 0));
    let verified = world.verifier.verification_numbers().algorithms;
    assert_eq!(
        (verified[0].algorithm, verified[0].valid, verified[0].invalid),
        ("HS256", KNOWN, STRANGERS)
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expired_takes_no_room_though_nobody_asks_for_it_again() {
    let world = world().await;
    let then = 1_700_000_000;
    let mut claims = claims("https://shared.example");
    claims["iat"] = json!(then);
    claims["exp"] = json!(then + 300);
    let token = world.key.token(&json!({ "alg": "HS256", "typ": "JWT" }), &claims);
    let then = Timestamp::from_second(then).unwrap();
    let identified = world
        .verifier
        .identify(&bearer(&token), &server(&["user"]), then)
        .await;
    assert!(identified.is_ok());
    assert_eq!(world.verifier.cache_numbers().tokens, 1);
    // By the real clock it has long expired.
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::task::yield_now().await;
    let numbers = world.verifier.cache_numbers();
    assert_eq!(
        (numbers.tokens, numbers.bytes, numbers.expired),
        (0, 0, 1),
        "{numbers:?}"
    );
}
