use super::*;
use crate::oauth::fixture::{node, world};
use crate::oauth::records::KeyStage::{Published, Retired, Signing as Signs};
use protocol::AlgorithmSet;
use protocol::jws::Compact;

const DAY: u64 = 86_400;

fn kids(oauth: &OAuth, algorithm: Algorithm, stage: KeyStage) -> Vec<String> {
    let keys = oauth.signing.keys.load();
    keys.of(algorithm, stage).into_iter().map(|key| key.kid.clone()).collect()
}

#[tokio::test]
async fn the_first_start_signs_at_once_and_a_second_one_finds_the_same_keys() {
    let world = world().await;
    let token = world.oauth.signer(Algorithm::Es256, "JWT").unwrap().sign_bytes(b"{}").unwrap();
    let jws = Compact::parse(token.as_bytes(), 4096).unwrap();
    jws.verify(&world.oauth.key_set(), AlgorithmSet::DEFAULT).unwrap();
    let again = node(&world.store, &world.clock, &world.pages, (*world.oauth.settings()).clone());
    again.start().await.unwrap();
    assert_eq!(again.jwks(), world.oauth.jwks());
    assert!(world.oauth.signer(Algorithm::Rs256, "JWT").is_none(), "RSA keys come with a tick");
    let document = world.oauth.jwks().to_string();
    assert!(!document.contains("\"d\"") && document.contains("\"kid\""), "no private half");
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after() {
    let world = world().await;
    let (oauth, es256) = (&world.oauth, Algorithm::Es256);
    let tick = async |seconds| {
        world.after(seconds);
        oauth.rotate(&[es256]).await.unwrap();
    };
    let [first] = kids(oauth, es256, Signs).try_into().unwrap();
    tick(28 * DAY).await;
    assert!(kids(oauth, es256, Published).is_empty(), "a day before its time is soon enough");
    tick(DAY).await;
    let [second] = kids(oauth, es256, Published).try_into().unwrap();
    assert_eq!(kids(oauth, es256, Signs), [first.as_str()], "it is known before it is used");
    assert_eq!(oauth.signer(es256, "JWT").unwrap().key().id(), first);
    tick(DAY).await;
    assert_eq!(oauth.signer(es256, "JWT").unwrap().key().id(), second);
    assert_eq!(kids(oauth, es256, Retired), [first.as_str()], "its tokens still verify");
    assert!(oauth.key_set().keys().iter().any(|key| key.id() == Some(&first)));
    tick(oauth.settings().session.as_secs()).await;
    assert_eq!(kids(oauth, es256, Retired), [first.as_str()]);
    tick(STRAGGLERS.as_secs()).await;
    assert!(
        kids(oauth, es256, Retired).is_empty(),
        "its last token has expired, and no session shows one as a hint"
    );
    assert!(!oauth.key_set().keys().iter().any(|key| key.id() == Some(&first)));
}

#[tokio::test]
async fn two_nodes_take_each_step_once() {
    let world = world().await;
    let other = node(&world.store, &world.clock, &world.pages, (*world.oauth.settings()).clone());
    other.start().await.unwrap();
    for days in [29, 1, 1, 29, 1] {
        world.after(days * DAY);
        let (one, two) = tokio::join!(
            world.oauth.rotate(&[Algorithm::Es256]),
            other.rotate(&[Algorithm::Es256])
        );
        one.unwrap();
        two.unwrap();
        world.oauth.reload_keys().await.unwrap();
        other.reload_keys().await.unwrap();
        assert_eq!(kids(&world.oauth, Algorithm::Es256, Signs).len(), 1);
        assert_eq!(other.jwks(), world.oauth.jwks());
    }
}

#[tokio::test]
async fn a_row_whose_private_half_was_exchanged_is_refused() {
    let world = world().await;
    let keys = world.oauth.signing.keys.load_full();
    let mut rows: Vec<_> = keys.records.iter().map(|(row, _)| row.clone()).collect();
    assert!(rows.len() > 1);
    rows[0].sealed = rows[1].sealed.clone();
    rows[0].algorithm = rows[1].algorithm.clone();
    let read = Keys::read(rows, &world.oauth.parts.sealer).unwrap_err();
    assert!(matches!(read, Error::Store(PortError::Corrupt(_))), "{read}");
}

#[tokio::test]
async fn every_algorithm_on_offer_has_a_key_after_a_tick() {
    let world = world().await;
    world.oauth.tick().await.unwrap();
    for algorithm in OFFERED {
        assert!(world.oauth.signer(algorithm, "JWT").is_some(), "{algorithm}");
    }
}
