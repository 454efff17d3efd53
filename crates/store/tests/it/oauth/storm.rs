//! Everything at once, on the same few rows: no intention meets a conflict that it must answer for.

use super::{HOUR, MINUTE, at, code, event, grant, id, issued, mac, metadata, refresh, within};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::PortError;
use authority::oauth::ports::{
    AuthorityStore as _, ClientStore as _, CodeCompany, DeviceStore as _, GrantStore as _,
    PeopleStore as _, Rotated,
};
use authority::oauth::records::{
    ClientRecord, ConsentRecord, DeviceRecord, DeviceState, GrantRecord, KeyStage, Mac, Origin,
    Pkce, Profile, RefreshRotation, RevocationKind, SessionRecord, SigningKeyRecord, TokenFormat,
    UserRecord,
};
use base::code as codes;
use std::sync::Arc;
use store::{Store, StoreUrl};

both_engines!(a_storm_meets_no_conflict);

/// Intentions that are under way at the same time.
const AT_ONCE: usize = 40;

/// The rows that all fight for.
struct Field {
    clients: Vec<ClientRecord>,
    users: Vec<UserRecord>,
    sessions: Vec<SessionRecord>,
    grants: Vec<(GrantRecord, Mac, Mac)>,
    devices: Vec<(Mac, String)>,
}

fn client(round: u32, number: usize) -> ClientRecord {
    ClientRecord {
        id: format!("client {round} {number}"),
        name: String::new(),
        profile: Profile::Standard,
        pkce: Pkce::Required,
        token_format: TokenFormat::Jwt,
        refresh: RefreshRotation::Rotate,
        access_token_seconds: None,
        scopes: vec![],
        resources: vec![],
        metadata: metadata(),
        secrets: vec![],
        registration: None,
        document_sha256: None,
        consent: true,
        origin: Origin::Dynamic,
        created_at: START,
        created_by: String::new(),
        disabled_at: None,
    }
}

fn user(round: u32, number: usize) -> UserRecord {
    UserRecord {
        id: format!("user {round} {number}"),
        email: format!("{number}@{round}.example.com"),
        email_verified: false,
        name: None,
        claims: serde_json::Map::new(),
        roles: vec![],
        password: None,
        password_beside: false,
        setup: None,
        created_at: START,
        created_by: String::new(),
        updated_at: START,
        disabled_at: None,
        directory: Default::default(),
        declared: None,
    }
}

fn session(user: &str) -> SessionRecord {
    SessionRecord {
        id: id(),
        user: user.to_owned(),
        auth_time: START,
        amr: vec![],
        acr: String::new(),
        created_at: START,
        expires_at: at(HOUR),
        used_at: None,
        user_agent: String::new(),
        client_ip: None,
        clients: vec![],
        proofs: Vec::new(),
    }
}

fn given(field: &Field, number: usize) -> (GrantRecord, CodeCompany) {
    let mut grant = grant();
    grant.client = field.clients[number % 3].id.clone();
    grant.user = Some(field.users[number % 2].id.clone());
    let consent = ConsentRecord {
        user: field.users[number % 2].id.clone(),
        client: grant.client.clone(),
        scopes: vec![],
        resources: vec![],
        authorization_details: serde_json::Value::Null,
        at: START,
    };
    let session = Some(field.sessions[number % 6].id.clone());
    (grant, CodeCompany { consent: Some(consent), session, pushed: None })
}

async fn field(store: &Store, round: u32) -> Result<Field, PortError> {
    let (clients, users): (Vec<_>, Vec<_>) =
        ((0..3).map(|it| client(round, it)).collect(), (0..2).map(|it| user(round, it)).collect());
    let sessions = (0..6).map(|number| session(&format!("user {round} {}", number % 2))).collect();
    let mut field = Field { clients, users, sessions, grants: vec![], devices: vec![] };
    for client in &field.clients {
        store.create_client(client.clone(), issued()).await?;
    }
    for user in &field.users {
        store.create_user(user.clone(), issued()).await?;
    }
    for session in &field.sessions {
        store.create_session(mac(), session.clone(), issued()).await?;
    }
    for number in 0..6 {
        let (grant, company) = given(&field, number);
        let (code_mac, token) = (mac(), refresh(&grant, 0));
        store.create_code(grant.clone(), (code_mac, code(&grant)), company, issued()).await?;
        store.redeem_code(code_mac, Some(token.clone()), at(1), issued()).await?;
        field.grants.push((grant, code_mac, token.mac));
        let device = DeviceRecord {
            user_code: id(),
            client: "app".to_owned(),
            scopes: vec![],
            resources: vec![],
            authorization_details: serde_json::Value::Null,
            state: DeviceState::Waiting,
            next_poll_at: START,
            interval_seconds: 5,
            expires_at: at(MINUTE),
        };
        let device_mac = mac();
        field.devices.push((device_mac, device.user_code.clone()));
        store.create_device(device_mac, device, issued()).await?;
    }
    Ok(field)
}

async fn people_and_clients(store: &Store, field: &Field, number: usize) -> Result<(), PortError> {
    let cut = |kind, value: &str| super::revocation(kind, value, -1);
    let (client, user) = (&field.clients[number % 3], &field.users[number % 2]);
    match number % 5 {
        0 => {
            let cut = cut(RevocationKind::Client, &client.id);
            store.replace_client(client.clone(), client.clone(), Some(cut), issued()).await?;
        }
        1 => {
            let cut = cut(RevocationKind::Subject, &user.id);
            store.replace_user(user.clone(), user.clone(), Some(cut), issued()).await?;
        }
        2 => {
            store.end_session(field.sessions[number % 6].id.clone(), issued()).await?;
            let back = session(&user.id);
            store.create_session(mac(), back, issued()).await?;
        }
        3 => {
            let cut = cut(RevocationKind::Client, &client.id);
            store.remove_client(client.id.clone(), cut, issued()).await?;
            match store.create_client(client.clone(), issued()).await {
                Ok(_) | Err(PortError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        _ => {
            let key = SigningKeyRecord {
                kid: id(),
                algorithm: "ES256".to_owned(),
                stage: KeyStage::Published,
                since: START,
                public: serde_json::Value::Null,
                sealed: String::new(),
            };
            store.add_signing_key(key.clone(), issued()).await?;
            store.stage_signing_key(key.kid, KeyStage::Published, None, START, issued()).await?;
        }
    }
    Ok(())
}

async fn tokens(store: &Store, field: &Field, number: usize) -> Result<(), PortError> {
    let (grant, code_mac, token) = &field.grants[number % 6];
    let (device, user_code) = &field.devices[number % 6];
    match number % 8 {
        0 => drop(store.redeem_code(*code_mac, None, at(2), issued()).await?),
        1 | 2 => {
            let child = refresh(grant, 2);
            store.rotate_refresh(*token, child, within(2), issued()).await?;
        }
        3 => {
            let child = refresh(grant, 2);
            store.rotate_refresh(*token, child, within(MINUTE), issued()).await?;
        }
        4 => {
            let act = event(codes::GRANT_REVOKED, 2);
            store.revoke_grant(grant.id.clone(), at(2), at(HOUR), act).await?;
        }
        5 => {
            let (grant, company) = given(field, number);
            let code = (mac(), code(&grant));
            store.create_code(grant, code, company, issued()).await?;
        }
        6 => {
            let grant = number.is_multiple_of(3).then(super::grant);
            store.decide_device(user_code.clone(), grant, at(2), issued()).await?;
        }
        _ => {
            let device = (*device, "app".to_owned());
            store.poll_device(device, Some(refresh(grant, 2)), at(2), issued()).await?;
        }
    }
    Ok(())
}

async fn a_storm_meets_no_conflict(rig: Rig) {
    let nodes = match rig.url {
        StoreUrl::Postgres(_) => [rig.store.clone(), Store::open(&rig.url, START).await.unwrap()],
        StoreUrl::Sqlite(_) => [rig.store.clone(), rig.store.clone()],
    };
    for round in 0..testkit::rounds(4) {
        let field = Arc::new(field(&rig.store, round).await.unwrap());
        super::together((0..AT_ONCE).map(|worker| {
            let (store, field) = (nodes[worker % 2].clone(), field.clone());
            async move {
                for step in 0..10 {
                    // Each goes its own way through the same rows.
                    let number = worker * 7 + step * (2 * worker + 1);
                    match (worker + step) % 10 {
                        0 => drop(store.sweep(at(2 * HOUR)).await?),
                        1..=3 => people_and_clients(&store, &field, number).await?,
                        _ => tokens(&store, &field, number).await?,
                    }
                }
                Ok(())
            }
        }))
        .await;
        println!("round {round} is over");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_stricter_default_changes_nothing() {
    let rig = Rig::postgres().await;
    let strict = "ALTER DATABASE postgres SET default_transaction_isolation TO 'serializable'";
    rig.postgres.as_ref().unwrap().psql(strict).unwrap();
    let store = Store::open(&rig.url, START).await.unwrap();
    let grant = grant();
    let first = refresh(&grant, 0);
    store.create_grant(grant.clone(), Some(first.clone()), issued()).await.unwrap();
    let done = super::together((0..50).map(|_| {
        let (store, child) = (store.clone(), refresh(&grant, 1));
        async move { store.rotate_refresh(first.mac, child, within(1), issued()).await }
    }))
    .await;
    assert_eq!(done.iter().filter(|it| matches!(it, Rotated::Now(_))).count(), 1);
    assert_eq!(done.iter().filter(|it| matches!(it, Rotated::Same(..))).count(), 49);
}
