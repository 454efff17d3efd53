//! Clients.

use super::{at, event, id, metadata, revocation};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::oauth::ports::{
    ClientStore as _, CodeCompany, GrantStore as _, PeopleStore as _, TextPage,
};
use authority::oauth::records::{
    ClientRecord, ClientSecret, ConsentRecord, Origin, Pkce, Profile, RefreshRotation,
    RevocationKind, TokenFormat,
};
use authority::{Change, PortError};
use base::code as codes;

both_engines!(
    a_client_is_read_back_as_it_was_written,
    a_client_is_replaced_if_it_is_as_before,
    one_of_many_replacements_is_made,
    a_client_is_removed_with_its_tokens_and_consents,
    clients_are_listed_by_id_page_by_page,
    a_client_is_unused_without_grant_and_consent,
    a_client_that_leaves_the_file_is_ended_once,
);

async fn a_client_that_leaves_the_file_is_ended_once(rig: Rig) {
    let store = &rig.store;
    let page = |after: &str, rows: u32| TextPage { after: after.to_owned(), rows };
    for id in ["nightly", "ui", "nightly"] {
        store.put_declared_client(id.to_owned()).await.unwrap();
    }
    assert_eq!(store.declared_clients(page("", 10)).await.unwrap(), ["nightly", "ui"]);
    assert_eq!(store.declared_clients(page("", 1)).await.unwrap(), ["nightly"]);
    assert_eq!(store.declared_clients(page("nightly", 10)).await.unwrap(), ["ui"]);
    let remove = |id: &str| {
        let revoke = revocation(RevocationKind::Client, id, 1);
        store.remove_declared_client(id.to_owned(), revoke, event(codes::CLIENT_REMOVED, 1))
    };
    let (one, other) = tokio::join!(remove("ui"), remove("ui"));
    assert!(one.unwrap() != other.unwrap(), "one of two nodes does it");
    assert!(!remove("nobody").await.unwrap());
    let ended = store.revocation(RevocationKind::Client, "ui".to_owned(), at(1)).await.unwrap();
    assert!(ended.is_some());
    let events = rig.events().await;
    assert_eq!(events.iter().filter(|it| it.code == codes::CLIENT_REMOVED).count(), 1);
    assert_eq!(store.declared_clients(page("", 10)).await.unwrap(), ["nightly"]);
}

fn client() -> ClientRecord {
    ClientRecord {
        id: id(),
        name: "\u{c4}pp '\"\0".to_owned(),
        profile: Profile::Fapi2Security,
        pkce: Pkce::Optional,
        token_format: TokenFormat::Opaque,
        refresh: RefreshRotation::Keep,
        access_token_seconds: Some(60),
        scopes: vec!["openid".to_owned()],
        resources: vec!["https://api.example.com".to_owned()],
        metadata: metadata(),
        secrets: vec![ClientSecret { mac: "5a".repeat(32), created_at: START, expires_at: None }],
        registration: None,
        document_sha256: None,
        consent: true,
        origin: Origin::Admin,
        created_at: START,
        created_by: "uid:0".to_owned(),
        disabled_at: None,
    }
}

fn created() -> base::Event {
    event(codes::CLIENT_CREATED, 0)
}

async fn a_client_is_read_back_as_it_was_written(rig: Rig) {
    let mut by_url = client();
    by_url.id = "https://app.example.com/client.json?a=b".to_owned();
    for client in [client(), by_url] {
        let seq = rig.store.create_client(client.clone(), created()).await.unwrap();
        assert_eq!(rig.store.client(client.id.clone()).await.unwrap(), Some(client.clone()));
        let last = rig.feed().await.pop().unwrap();
        assert_eq!((last.place.seq, last.change), (seq, Some(Change::ClientChanged(client.id))));
    }
    let mut again = client();
    again.id = "https://app.example.com/client.json?a=b".to_owned();
    assert_eq!(rig.store.create_client(again, created()).await, Err(PortError::Conflict));
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (2, 2));
    for odd in ["", "\0", "https://app.example.com/client.json"] {
        assert_eq!(rig.store.client(odd.to_owned()).await.unwrap(), None);
    }
}

async fn a_client_is_replaced_if_it_is_as_before(rig: Rig) {
    let first = client();
    rig.store.create_client(first.clone(), created()).await.unwrap();
    let second = ClientRecord { disabled_at: Some(at(1)), ..first.clone() };
    let replace = |before: &ClientRecord, after: &ClientRecord, revoke| {
        let act = event(codes::CLIENT_CHANGED, 1);
        rig.store.replace_client(before.clone(), after.clone(), revoke, act)
    };
    let cut = revocation(RevocationKind::Client, &first.id, 1);
    let seq = replace(&first, &second, Some(cut.clone())).await.unwrap().unwrap();
    assert_eq!(rig.store.client(first.id.clone()).await.unwrap(), Some(second.clone()));
    assert_eq!(replace(&first, &second, Some(cut.clone())).await.unwrap(), None);
    let feed = rig.feed().await;
    let changes: Vec<_> = feed.iter().filter_map(|row| row.change.clone()).collect();
    let changed = Change::ClientChanged(first.id.clone());
    assert_eq!(changes[1..], [changed.clone(), Change::Revoked(cut)]);
    assert_eq!(feed[2].place.seq, seq, "who has seen the revocation has seen all of it");
    replace(&second, &first, None).await.unwrap().unwrap();
    assert_eq!(rig.changes().await.last(), Some(&changed));
    let other = ClientRecord { id: id(), ..first.clone() };
    assert_eq!(replace(&first, &other, None).await.unwrap(), None, "an id never changes");
    assert_eq!(replace(&other, &other, None).await.unwrap(), None, "there is none");
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (3, 4));
}

async fn one_of_many_replacements_is_made(rig: Rig) {
    let first = client();
    rig.store.create_client(first.clone(), created()).await.unwrap();
    let done = super::together((0..30).map(|number| {
        let store = rig.store.clone();
        let before = first.clone();
        let after = ClientRecord { name: format!("number {number}"), ..first.clone() };
        let act = event(codes::CLIENT_CHANGED, 1);
        async move { store.replace_client(before, after, None, act).await }
    }))
    .await;
    assert_eq!(done.iter().filter(|it| it.is_some()).count(), 1);
}

async fn a_client_is_removed_with_its_tokens_and_consents(rig: Rig) {
    let gone = client();
    rig.store.create_client(gone.clone(), created()).await.unwrap();
    let mut grant = super::grant();
    grant.client = gone.id.clone();
    let consent = ConsentRecord {
        user: "alice".to_owned(),
        client: gone.id.clone(),
        scopes: vec![],
        resources: vec![],
        authorization_details: serde_json::Value::Null,
        at: START,
    };
    let company = CodeCompany { consent: Some(consent), ..CodeCompany::default() };
    let code = (super::mac(), super::code(&grant));
    rig.store.create_code(grant.clone(), code, company, super::issued()).await.unwrap();
    let cut = revocation(RevocationKind::Client, &gone.id, 2);
    let remove =
        || rig.store.remove_client(gone.id.clone(), cut.clone(), event(codes::CLIENT_REMOVED, 2));
    let seq = remove().await.unwrap().unwrap();
    let feed = rig.feed().await;
    assert_eq!((feed.len(), feed[2].place.seq), (3, seq));
    assert_eq!(feed[2].change, Some(Change::Revoked(cut.clone())));
    assert_eq!(rig.store.client(gone.id.clone()).await.unwrap(), None);
    assert!(rig.store.grant(grant.id).await.unwrap().unwrap().revoked_at.is_some());
    let consent = rig.store.consent("alice".to_owned(), gone.id.clone()).await.unwrap();
    assert_eq!(consent, None, "who comes back must ask again");
    assert_eq!(remove().await.unwrap(), None);
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (3, 3));
}

async fn a_client_is_unused_without_grant_and_consent(rig: Rig) {
    let mut all: Vec<_> = (0..4).map(|_| client()).collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    for client in &all {
        rig.store.create_client(client.clone(), created()).await.unwrap();
    }
    let [granted, agreed, rest @ ..] = &all[..] else { panic!("four clients") };
    for (client, consents) in [(granted, false), (agreed, true)] {
        let mut grant = super::grant();
        grant.client = if consents { "another".to_owned() } else { client.id.clone() };
        let consent = consents.then(|| ConsentRecord {
            user: "alice".to_owned(),
            client: client.id.clone(),
            scopes: vec![],
            resources: vec![],
            authorization_details: serde_json::Value::Null,
            at: START,
        });
        let company = CodeCompany { consent, ..CodeCompany::default() };
        let code = (super::mac(), super::code(&grant));
        rig.store.create_code(grant, code, company, super::issued()).await.unwrap();
    }
    let unused: Vec<String> = rest.iter().map(|it| it.id.clone()).collect();
    assert_eq!(rig.store.unused_clients(10).await.unwrap(), unused);
    assert_eq!(rig.store.unused_clients(1).await.unwrap(), unused[..1]);
}

async fn clients_are_listed_by_id_page_by_page(rig: Rig) {
    let mut all: Vec<_> = (0..7).map(|_| client()).collect();
    all[3].id = "Z\u{e9}".to_owned();
    all[4].id = "a b".to_owned();
    for client in &all {
        rig.store.create_client(client.clone(), created()).await.unwrap();
    }
    // Bytes decide the order, whatever the locale of the server.
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let mut listed: Vec<ClientRecord> = Vec::new();
    loop {
        let after = listed.last().map(|it| it.id.clone()).unwrap_or_default();
        let part = rig.store.clients(TextPage { after, rows: 3 }).await.unwrap();
        assert!(part.len() <= 3);
        if part.is_empty() {
            break;
        }
        listed.extend(part);
    }
    assert_eq!(listed, all);
}
