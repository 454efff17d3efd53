//! The ports of the authorization server.

mod authenticators;
mod clients;
mod codes;
mod devices;
mod directory;
mod gate;
mod letters;
mod measure;
mod model;
mod own_addresses;
mod own_keys;
pub(crate) mod people;
mod refresh;
mod rules;
mod storm;
mod sweeping;

use crate::rig::{NODE, START};
use authority::PortError;
use authority::oauth::ports::Window;
use authority::oauth::records::{
    CodeRecord, GrantKind, GrantRecord, Mac, NewRefresh, RefreshRecord, Revocation, RevocationKind,
};
use base::{Code, Event, EventId, Kind, Secret, UnixMs, code, random_array};
use protocol::oauth::metadata::ClientMetadata;

/// Milliseconds after the start.
pub(crate) fn at(ms: i64) -> UnixMs {
    UnixMs(START.0 + ms)
}

/// A minute, an hour, a day, in milliseconds.
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) fn mac() -> Mac {
    random_array().unwrap()
}

/// 12 characters that were not there before.
pub(crate) fn id() -> String {
    authority::ShortId::random().unwrap().to_string()
}

pub(crate) fn event(code: Code, ms: i64) -> Event {
    let mut event = Event::new(EventId::random().unwrap(), at(ms), NODE, Kind::Admin, code);
    event.client_id = Some("app".into());
    event
}

pub(crate) fn issued() -> Event {
    event(code::TOKEN_ISSUED, 0)
}

/// A grant with something in every field, for 90 days.
pub(crate) fn grant() -> GrantRecord {
    GrantRecord {
        id: id(),
        kind: GrantKind::Code,
        client: "app".to_owned(),
        user: Some("alice".to_owned()),
        scopes: vec!["openid".to_owned(), "orders:read".to_owned()],
        resources: vec!["https://api.example.com/orders".to_owned()],
        authorization_details: serde_json::json!([{"type": "payment", "amount": 12.5}]),
        session: Some("sid".to_owned()),
        auth_time: Some(at(-5)),
        amr: vec!["pwd".to_owned()],
        acr: Some("aal1".to_owned()),
        nonce: Some("n\u{0}\u{2028}'; DROP TABLE grants; --".to_owned()),
        claims: serde_json::json!({"id_token": {"email": null}}),
        dpop_jkt: Some("jkt".to_owned()),
        created_at: START,
        expires_at: at(90 * DAY),
        revoked_at: None,
    }
}

pub(crate) fn code(grant: &GrantRecord) -> CodeRecord {
    CodeRecord {
        grant: grant.id.clone(),
        client: grant.client.clone(),
        redirect_uri: Some("https://app.example.com/cb?a=b".to_owned()),
        challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
        expires_at: at(MINUTE),
    }
}

/// A refresh token that lives for 14 days from `ms` on.
pub(crate) fn refresh(grant: &GrantRecord, ms: i64) -> NewRefresh {
    let mac = mac();
    NewRefresh {
        mac,
        record: RefreshRecord {
            grant: grant.id.clone(),
            client: grant.client.clone(),
            created_at: at(ms),
            expires_at: at(ms + 14 * DAY),
            spent_at: None,
        },
        sealed: Secret::new([b"sealed ".as_slice(), &mac].concat()),
    }
}

/// Ten seconds, as seen at `ms`.
pub(crate) fn within(ms: i64) -> Window {
    Window { now: at(ms), length_ms: 10_000 }
}

pub(crate) fn revocation(kind: RevocationKind, value: &str, ms: i64) -> Revocation {
    Revocation { kind, value: value.to_owned(), not_before: at(ms), until: at(ms + HOUR) }
}

/// Metadata of a web application.
pub(crate) fn metadata() -> ClientMetadata {
    ClientMetadata {
        redirect_uris: vec!["https://app.example.com/cb".to_owned()],
        client_name: Some("App".to_owned()),
        ..ClientMetadata::default()
    }
}

/// Runs them all at the same time, on all threads.
pub(crate) async fn together<T: Send + 'static>(
    these: impl IntoIterator<Item = impl Future<Output = Result<T, PortError>> + Send + 'static>,
) -> Vec<T> {
    let running: Vec<_> = these.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for it in running {
        done.push(it.await.unwrap().unwrap());
    }
    done
}
