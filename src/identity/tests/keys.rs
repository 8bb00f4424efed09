//! An issuer's keys: rotated, withdrawn, slow, broken, gone.

mod outages;
mod rotation;
mod sets;

use super::issuer::Mood;
use super::*;

fn header(kid: &str) -> Value {
    json!({ "alg": "ES256", "typ": "JWT", "kid": kid })
}

/// Settings under which everything happens within a test's time.
fn quick(issuer: &TestIssuer) -> settings::Issuer {
    let mut settings = issuer.settings();
    settings.unknown_kid_interval = Duration::from_secs(1);
    settings
}

/// Asks again until the answer is this one.
async fn until(verifier: &Verifier, token: &str, outcome: Result<(), IdentityError>) {
    let patience = clock::instant() + Duration::from_secs(10);
    loop {
        let found = user(verifier, token).await.map(|_| ());
        if found == outcome {
            return;
        }
        assert!(clock::instant() < patience, "{found:?} instead of {outcome:?}");
        pause(20).await;
    }
}

async fn pause(milliseconds: u64) {
    let until = tokio::time::Instant::from_std(clock::instant()) + Duration::from_millis(milliseconds);
    tokio::time::sleep_until(until).await;
}

#[tokio::test]
async fn discovers_where_the_keys_are() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut settings = issuer.settings();
    settings.keys = Keys::Discovery;
    let verifier = start(vec![settings]).await;
    assert!(
        user(&verifier, &key.token(&header("k1"), &claims(issuer.url())))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    issuer.set_mood(Mood::OtherIssuer);
    let mut settings = issuer.settings();
    settings.keys = Keys::Discovery;
    let verifier = start(vec![settings]).await;
    let token = key.token(&header("k1"), &claims(issuer.url()));
    assert_eq!(
        user(&verifier, &token).await.err(),
        Some(IdentityError::KeysUnavailable)
    );
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn a_file_of_keys_is_read_again() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    let write = |key: &Signer| std::fs::write(&file, json!({ "keys": [key.jwk("k")] }).to_string()).unwrap();
    write(&old);
    let mut settings = settings::Issuer::new("file", "https://file.example");
    settings.keys = Keys::File(file.clone());
    settings.refresh_interval = Duration::from_secs(1);
    let verifier = start(vec![settings]).await;
    assert!(
        user(
            &verifier,
            &old.token(&header("k"), &claims("https://file.example"))
        )
        .await
        .is_ok()
    );
    write(&new);
    until(
        &verifier,
        &new.token(&header("k"), &claims("https://file.example")),
        Ok(()),
    )
    .await;
}
