//! The use cases over a real store.

use crate::both_engines;
use crate::rig::{NODE, Rig, START};
use authority::{
    Actor, AddBlock, AllowIp, Authority, BlockKind, CreateKey, Error, KEY_DEFAULT, KeyId, Keyring,
    Page, Pepper,
};
use base::{Kind, Outcome, Scheme, code};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

both_engines!(
    a_key_is_made_shown_and_revoked,
    what_is_refused_is_recorded,
    blocks_and_addresses_are_acts_too,
    a_keyring_is_made_once_and_opened_again,
);

fn authority(rig: &Rig) -> Authority {
    let pepper = Arc::new(Pepper::new([1; 32]));
    Authority::new(Arc::new(rig.store.clone()), rig.clock.clone(), pepper, NODE)
}

fn ask(name: &str, scopes: &[&str]) -> CreateKey {
    CreateKey {
        name: name.to_owned(),
        env: "live".to_owned(),
        scopes: scopes.iter().map(|it| (*it).to_owned()).collect(),
        expires: None,
    }
}

async fn a_key_is_made_shown_and_revoked(rig: Rig) {
    let (authority, actor) = (authority(&rig), Actor::local("uid:0"));
    let made = authority.create_key(&actor, ask("n", &["b", "a", "b"])).await.unwrap();
    assert_eq!(made.scopes, ["a", "b"]);
    assert_eq!(made.expires_at, Some(START.plus(KEY_DEFAULT)));
    let kept = authority.key(made.id).await.unwrap();
    let text = made.key.expose();
    let secret = text.rsplit('_').next().unwrap().get(..32).unwrap();
    assert_eq!(kept.mac, Pepper::new([1; 32]).mac(text.as_bytes()));
    authority.revoke_key(&actor, made.id, Some("leaked")).await.unwrap();
    let events = rig.events().await;
    let codes: Vec<_> = events.iter().map(|event| event.code.clone()).collect();
    assert_eq!(codes, [code::KEY_CREATED, code::KEY_REVOKED_ACT]);
    for event in &events {
        assert_eq!((event.kind, event.outcome), (Kind::Admin, Outcome::Allow));
        assert_eq!(event.credential_id.as_deref(), Some(made.id.as_str()));
        assert_eq!(event.principal.as_deref(), Some("uid:0"));
        assert_eq!(event.scheme, Some(Scheme::Local));
        assert!(!format!("{event:?}").contains(secret), "no secret in an event");
    }
    assert!(!format!("{made:?} {kept:?}").contains(secret));
}

async fn what_is_refused_is_recorded(rig: Rig) {
    let (authority, actor) = (authority(&rig), Actor::local("uid:0"));
    let missing = KeyId::random().unwrap();
    let refusals = [
        authority.create_key(&actor, ask("", &[])).await.map(drop).unwrap_err(),
        authority.create_key(&actor, ask("n", &["a b"])).await.map(drop).unwrap_err(),
        authority.revoke_key(&actor, missing, None).await.map(drop).unwrap_err(),
        authority.remove_block(&actor, missing).await.map(drop).unwrap_err(),
        authority.remove_ip(&actor, missing).await.map(drop).unwrap_err(),
    ];
    let events = rig.events().await;
    assert_eq!(events.len(), refusals.len());
    for (event, refusal) in events.iter().zip(&refusals) {
        assert!(matches!(refusal, Error::Invalid { .. } | Error::NotFound { .. }));
        assert_eq!((&event.code, event.outcome), (&code::ACT_REFUSED, Outcome::Deny));
        assert!(event.detail.as_deref().unwrap().ends_with(&refusal.to_string()));
    }
    assert!(rig.feed().await.is_empty());
}

async fn blocks_and_addresses_are_acts_too(rig: Rig) {
    let (authority, actor) = (authority(&rig), Actor::local("uid:0"));
    let block = AddBlock {
        kind: BlockKind::Client,
        issuer: Some("corp".to_owned()),
        value: "ci".to_owned(),
        expires: None,
        reason: None,
    };
    let block = authority.add_block(&actor, block).await.unwrap();
    let listed = authority.blocks(Page::default()).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&block.record));
    let entry = AllowIp {
        list: "office".to_owned(),
        net: "::ffff:203.0.113.0/120".parse().unwrap(),
        expires: Duration::from_secs(8 * 3600),
        note: None,
    };
    let entry = authority.allow_ip(&actor, entry).await.unwrap();
    assert_eq!(entry.record.net.to_string(), "203.0.113.0/24", "a mapped network is IPv4");
    assert!(entry.seq > block.seq);
    let listed = authority.ips(Some("office"), Page::default()).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&entry.record));
    rig.clock.advance(Duration::from_secs(8 * 3600));
    assert!(authority.ips(None, Page::default()).await.unwrap().is_empty());
    authority.remove_ip(&actor, entry.record.id).await.unwrap();
    authority.remove_block(&actor, block.record.id).await.unwrap();
    let codes: Vec<_> = rig.events().await.into_iter().map(|event| event.code).collect();
    let expected = [code::BLOCK_ADDED, code::IP_ALLOWED, code::IP_REMOVED, code::BLOCK_REMOVED];
    assert_eq!(codes, expected);
}

async fn a_keyring_is_made_once_and_opened_again(rig: Rig) {
    let folder = tempfile::tempdir().unwrap();
    let open = || Keyring::open(folder.path(), &rig.store, rig.clock.as_ref());
    let first = open().await.unwrap();
    for file in ["master.key", "node.sealed"] {
        let mode = folder.path().join(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let second = open().await.unwrap();
    assert_eq!(first.identity.node, second.identity.node);
    assert_eq!(first.identity.seed, second.identity.seed);
    assert_eq!(first.pepper.bytes(), second.pepper.bytes());

    let master = std::fs::read(folder.path().join("master.key")).unwrap();
    std::fs::remove_file(folder.path().join("master.key")).unwrap();
    let refused = open().await.unwrap_err().to_string();
    assert!(refused.contains("master.key is missing"), "{refused}");
    assert!(!folder.path().join("master.key").exists(), "it is not made anew");

    // Another node of the installation: its own folder, the same master key, the same pepper.
    let other = tempfile::tempdir().unwrap();
    let open = || Keyring::open(other.path(), &rig.store, rig.clock.as_ref());
    assert!(open().await.unwrap_err().to_string().contains("missing"));
    std::fs::write(other.path().join("master.key"), &master).unwrap();
    let refused = open().await.unwrap_err().to_string();
    assert!(refused.contains("0600"), "{refused}");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(other.path().join("master.key"), mode).unwrap();
    let third = open().await.unwrap();
    assert_eq!(third.pepper.bytes(), first.pepper.bytes());
    assert_ne!(third.identity.node, first.identity.node);

    // Another key: the refusal names it.
    std::fs::write(other.path().join("master.key"), "ab".repeat(32)).unwrap();
    assert!(open().await.unwrap_err().to_string().contains("another master key"));
}
