//! Nonces of a server's own in proofs: whose they are, and how long they hold.

use super::*;

/// How long a nonce is handed out, in seconds.
const LIFETIME: i64 = 20;

/// A server that demands nonces.
fn demanding(name: &str) -> Server {
    let settings = json!({
        "name": name, "resource": RESOURCE, "require": ["user"], "sender_constraint": "dpop",
        "dpop": { "nonces": "required", "nonce_lifetime": "20s" },
    });
    serde_json::from_value(settings).unwrap()
}

/// A call with a proof that has this nonce, at this moment.
struct Call<'a> {
    verifier: &'a Verifier,
    server: &'a Server,
    nonce: Value,
    at: i64,
    /// Later than the others on the clock that counts how old the secret is.
    later: Duration,
}

impl World {
    fn call<'a>(&'a self, server: &'a Server, nonce: Value) -> Call<'a> {
        Call {
            verifier: &self.verifier,
            server,
            nonce,
            at: NOW,
            later: Duration::ZERO,
        }
    }

    /// The nonce that the next proof should have, if it is another.
    async fn outcome(&self, call: Call<'_>) -> Result<Option<Value>, IdentityError> {
        let token = self.bound_token();
        let (header, mut claims) = self.proof(&token);
        let id = uuid::Uuid::now_v7().to_string();
        lay(
            &mut claims,
            &json!({ "jti": id, "iat": call.at, "nonce": call.nonce }),
        );
        let mut sent = proved(&token, &self.proving.sign(&header, &claims));
        sent.started += call.later;
        sent.deadline += call.later;
        let at = Timestamp::from_second(call.at).unwrap();
        let caller = call.verifier.identify(&sent, call.server, at).await?;
        Ok(caller.nonce.map(|nonce| json!(nonce.to_string())))
    }

    /// The nonce that a proof without one is refused for.
    async fn handed_out(&self, server: &Server, at: i64) -> Value {
        let call = Call {
            at,
            ..self.call(server, Value::Null)
        };
        let refused = self.outcome(call).await.unwrap_err();
        assert!(matches!(refused, E::Bound(B::NonceMissing(_))), "{refused:?}");
        told(refused)
    }
}

/// The nonce that a refusal hands out.
fn told(refused: IdentityError) -> Value {
    let E::Bound(error) = refused else {
        panic!("{refused:?}");
    };
    json!(error.nonce().unwrap().to_string())
}

#[tokio::test]
async fn a_nonce_that_is_missing_or_not_the_servers_own_is_refused_with_one_that_will_do() {
    let world = world(TestStore::since(0)).await;
    let (server, other) = (demanding("kubernetes"), demanding("other"));
    let mut shorter = demanding("kubernetes");
    shorter.dpop.nonce_lifetime = Duration::from_secs(19);
    let good = world.handed_out(&server, NOW).await;
    let text = good.as_str().unwrap();
    let wrong = [
        json!(""),
        json!("x"),
        json!(format!("{text}A")),
        json!(text[..text.len() - 4]),
        json!(format!("{}AAAA", &text[..text.len() - 4])),
        // The number of the window that comes next, with the code of this one.
        json!(format!("{}{}", next_window(text), &text[11..])),
        world.handed_out(&other, NOW).await,
        world.handed_out(&shorter, NOW).await,
    ];
    for nonce in wrong {
        let refused = world
            .outcome(world.call(&server, nonce.clone()))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, E::Bound(B::NonceWrong(_))),
            "{nonce} {refused:?}"
        );
        assert_eq!(told(refused), good);
    }
    for no_text in [json!(1), json!([text])] {
        let refused = world.outcome(world.call(&server, no_text)).await.unwrap_err();
        assert!(matches!(refused, E::Bound(B::NonceMissing(_))), "{refused:?}");
    }
    assert_eq!(world.outcome(world.call(&server, good)).await, Ok(None));
}

/// The first eleven characters of a nonce, but for the last bit of its window.
fn next_window(nonce: &str) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(nonce).unwrap();
    bytes[7] ^= 1;
    URL_SAFE_NO_PAD.encode(bytes)[..11].to_owned()
}

#[tokio::test]
async fn a_nonce_holds_for_its_window_and_those_beside_it_and_is_replaced_in_the_next() {
    let world = world(TestStore::since(0)).await;
    let server = demanding("kubernetes");
    // While the token lives.
    let begin = NOW + 5 * LIFETIME;
    let nonce = world.handed_out(&server, begin + 7).await;
    let at = async |at| {
        let call = Call {
            at,
            ..world.call(&server, nonce.clone())
        };
        world.outcome(call).await
    };
    for same in [begin - LIFETIME, begin - 1, begin, begin + LIFETIME - 1] {
        assert_eq!(at(same).await, Ok(None), "{same}");
    }
    for next in [begin + LIFETIME, begin + 2 * LIFETIME - 1] {
        let fresh = at(next).await.unwrap().unwrap();
        assert_eq!(fresh, world.handed_out(&server, next).await);
        assert_ne!(fresh, nonce);
    }
    for beyond in [begin - LIFETIME - 1, begin + 2 * LIFETIME, begin + 7 * LIFETIME] {
        let refused = at(beyond).await.unwrap_err();
        assert!(
            matches!(refused, E::Bound(B::NonceExpired(_))),
            "{beyond} {refused:?}"
        );
        assert_eq!(told(refused), world.handed_out(&server, beyond).await);
    }
}

#[tokio::test]
async fn replicas_take_each_others_nonces_also_after_their_secret_was_lost() {
    let world = world(TestStore::since(0)).await;
    let server = demanding("kubernetes");
    let other = replica(&world.issuer, &world.store).await;
    let nonce = world.handed_out(&server, NOW).await;
    let elsewhere = |nonce: &Value, later| Call {
        verifier: &other,
        later,
        ..world.call(&server, nonce.clone())
    };
    assert_eq!(world.outcome(elsewhere(&nonce, Duration::ZERO)).await, Ok(None));

    *world.store.secret.lock().unwrap() = Secret([2; 32]);
    // The other knows the old one still; it asks again when a nonce isn't made with that, at most once a second.
    let renewed = replica(&world.issuer, &world.store).await;
    let call = Call {
        verifier: &renewed,
        ..world.call(&server, Value::Null)
    };
    let new = told(world.outcome(call).await.unwrap_err());
    assert_ne!(new, nonce);
    let refused = world.outcome(elsewhere(&new, Duration::ZERO)).await.unwrap_err();
    assert!(matches!(refused, E::Bound(B::NonceWrong(_))), "{refused:?}");
    let later = Duration::from_secs(2);
    assert_eq!(world.outcome(elsewhere(&new, later)).await, Ok(None));
    let refused = world.outcome(elsewhere(&nonce, later)).await.unwrap_err();
    assert!(matches!(refused, E::Bound(B::NonceWrong(_))), "{refused:?}");
    assert_eq!(told(refused), new);
}

#[tokio::test]
async fn where_nobody_can_tell_whose_a_nonce_is_the_proof_is_refused_as_an_outage() {
    for why in [StateError::Unreachable, StateError::TooLate] {
        let store = TestStore {
            down: Some(why),
            ..TestStore::since(0)
        };
        let mut world = world(store).await;
        let server = demanding("kubernetes");
        let refused = world.outcome(world.call(&server, json!("x"))).await.unwrap_err();
        assert_eq!(refused, E::Bound(B::NoncesUnknown(why)));
        assert!(refused.is_outage());
        // Whoever has not the token's key makes nobody ask.
        let token = world.bound_token();
        world.proving = ProofKey::generate();
        let sent = proved(&token, &world.good_proof(&token));
        let refused = world.verifier.identify(&sent, &server, now()).await.unwrap_err();
        assert_eq!(refused, E::Bound(B::ProofOtherKey));
    }
}
