//! Signing keys, trust rules and scopes' words.

use super::{at, event, id, together};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::Change;
use authority::oauth::ports::AuthorityStore as _;
use authority::oauth::records::{KeyStage, ScopeRecord, SigningKeyRecord, TrustRecord};
use base::code as codes;
use serde_json::json;
use store::{Store, StoreUrl};

both_engines!(
    a_signing_key_goes_through_its_stages,
    one_key_of_an_algorithm_stands_in_a_stage,
    nodes_that_add_keys_at_once_keep_one,
    one_of_many_moves_is_made,
    trust_rules_are_kept_replaced_and_removed,
    words_of_scopes_are_kept_replaced_and_removed,
);

fn key(algorithm: &str, stage: KeyStage) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: id(),
        algorithm: algorithm.to_owned(),
        stage,
        since: START,
        public: json!({"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}),
        sealed: "00ff".to_owned(),
    }
}

fn act() -> base::Event {
    event(codes::SIGNING_KEY_STAGED, 0)
}

async fn move_key(
    store: &Store,
    kid: &str,
    from: KeyStage,
    to: Option<KeyStage>,
    ms: i64,
) -> Option<i64> {
    store.stage_signing_key(kid.to_owned(), from, to, at(ms), act()).await.unwrap()
}

async fn a_signing_key_goes_through_its_stages(rig: Rig) {
    use KeyStage::{Published, Retired, Signing};
    let mut key = key("ES256", Published);
    let seq = rig.store.add_signing_key(key.clone(), act()).await.unwrap().unwrap();
    assert_eq!(rig.store.signing_keys().await.unwrap(), std::slice::from_ref(&key));
    assert_eq!(rig.feed().await.last().unwrap().place.seq, seq);
    for (from, to, ms) in [(Published, Signing, 1), (Signing, Retired, 2)] {
        assert_eq!(move_key(&rig.store, "none", from, Some(to), ms).await, None);
        let seq = move_key(&rig.store, &key.kid, from, Some(to), ms).await.unwrap();
        assert_eq!(rig.feed().await.last().unwrap().place.seq, seq);
        assert_eq!(move_key(&rig.store, &key.kid, from, Some(to), ms + 9).await, None);
        (key.stage, key.since) = (to, at(ms));
        assert_eq!(rig.store.signing_keys().await.unwrap(), std::slice::from_ref(&key));
    }
    assert_eq!(move_key(&rig.store, &key.kid, Signing, None, 3).await, None);
    assert!(move_key(&rig.store, &key.kid, Retired, None, 3).await.is_some());
    assert_eq!(rig.store.signing_keys().await.unwrap(), []);
    assert_eq!(rig.changes().await, vec![Change::SigningKeysChanged; 4]);
    assert_eq!(rig.events().await.len(), 4);
}

async fn one_key_of_an_algorithm_stands_in_a_stage(rig: Rig) {
    let add = |key: &SigningKeyRecord| rig.store.add_signing_key(key.clone(), act());
    let first = key("ES256", KeyStage::Published);
    assert!(add(&first).await.unwrap().is_some());
    assert_eq!(add(&first).await.unwrap(), None);
    assert_eq!(add(&key("ES256", KeyStage::Published)).await.unwrap(), None);
    assert!(add(&key("EdDSA", KeyStage::Published)).await.unwrap().is_some());
    assert!(add(&key("ES256", KeyStage::Signing)).await.unwrap().is_some());
    let same_kid = SigningKeyRecord { stage: KeyStage::Retired, ..first };
    assert_eq!(add(&same_kid).await.unwrap(), None);
    assert_eq!(rig.store.signing_keys().await.unwrap().len(), 3);
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (3, 3));
}

async fn nodes_that_add_keys_at_once_keep_one(rig: Rig) {
    let other = match rig.url {
        StoreUrl::Postgres(_) => Store::open(&rig.url, START).await.unwrap(),
        StoreUrl::Sqlite(_) => rig.store.clone(),
    };
    let done = together((0..20).map(|number| {
        let store = if number % 2 == 0 { rig.store.clone() } else { other.clone() };
        async move { store.add_signing_key(key("ES256", KeyStage::Signing), act()).await }
    }))
    .await;
    assert_eq!(done.into_iter().flatten().count(), 1);
    assert_eq!(rig.store.signing_keys().await.unwrap().len(), 1);
}

async fn one_of_many_moves_is_made(rig: Rig) {
    let key = key("ES256", KeyStage::Published);
    rig.store.add_signing_key(key.clone(), act()).await.unwrap();
    let done = together((0..20).map(|_| {
        let (store, kid) = (rig.store.clone(), key.kid.clone());
        async move {
            let (from, to) = (KeyStage::Published, Some(KeyStage::Signing));
            store.stage_signing_key(kid, from, to, at(1), act()).await
        }
    }))
    .await;
    assert_eq!(done.into_iter().flatten().count(), 1);
}

async fn trust_rules_are_kept_replaced_and_removed(rig: Rig) {
    let rule = |name: &str| TrustRecord {
        id: id(),
        name: name.to_owned(),
        issuer: "https://token.ci.example.com".to_owned(),
        jwks_uri: None,
        subject: "repo:acme/*:ref:refs/heads/main".to_owned(),
        audience: String::new(),
        claims: json!({"environment": "prod"}).as_object().cloned().unwrap(),
        client: "deploy".to_owned(),
        scopes: vec!["orders:write".to_owned()],
        created_at: START,
        created_by: "uid:0".to_owned(),
    };
    let mut all = vec![rule("one"), rule("two")];
    for rule in &all {
        rig.store.put_trust(rule.clone(), act()).await.unwrap();
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all[0].scopes.clear();
    rig.store.put_trust(all[0].clone(), act()).await.unwrap();
    assert_eq!(rig.store.trusts().await.unwrap(), all);
    let remove = |id: &str| rig.store.remove_trust(id.to_owned(), act());
    for odd in ["none", "\0"] {
        assert_eq!(remove(odd).await.unwrap(), None);
    }
    let seq = remove(&all[0].id).await.unwrap().unwrap();
    assert_eq!(rig.feed().await.last().unwrap().place.seq, seq);
    assert_eq!(rig.store.trusts().await.unwrap(), all[1..]);
    assert_eq!(rig.changes().await, vec![Change::RulesChanged; 4]);
    assert_eq!(rig.events().await.len(), 4);
}

async fn words_of_scopes_are_kept_replaced_and_removed(rig: Rig) {
    let put = |name: &str, description: &str| {
        let (name, description) = (name.to_owned(), description.to_owned());
        rig.store.put_scope(ScopeRecord { name, description }, act())
    };
    put("orders:read", "Read").await.unwrap();
    put("admin:read", "See everything").await.unwrap();
    put("orders:read", "Read your orders \u{1f6d2}").await.unwrap();
    let words = rig.store.scopes().await.unwrap();
    let words: Vec<_> =
        words.iter().map(|it| (it.name.as_str(), it.description.as_str())).collect();
    let expected =
        [("admin:read", "See everything"), ("orders:read", "Read your orders \u{1f6d2}")];
    assert_eq!(words, expected);
    let remove = |name: &str| rig.store.remove_scope(name.to_owned(), act());
    assert_eq!(remove("orders").await.unwrap(), None);
    assert!(remove("orders:read").await.unwrap().is_some());
    assert_eq!(rig.store.scopes().await.unwrap().len(), 1);
    assert_eq!(rig.changes().await, vec![Change::RulesChanged; 4]);
    assert_eq!(rig.events().await.len(), 4);
}
