//! Device authorizations (RFC 8628).

use super::grants::{self, alive};
use super::{from_doc, none, refresh, searchable, to_doc};
use crate::conn::{Conn, Row, args};
use crate::dialect::{Both, locking};
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows::corrupt;
use authority::oauth::ports::{DeviceStore, Polled};
use authority::oauth::records::{DeviceRecord, DeviceState, GrantRecord, Mac, NewRefresh};
use authority::{Answer, PortError};
use base::{Event, UnixMs};
use std::time::Duration;

/// Seconds by which the interval grows with each poll that comes too early (RFC 8628 §3.5).
const SLOWER: u32 = 5;

macro_rules! device_columns {
    () => {
        "d.doc, d.state, d.grant_id, d.next_poll_at, d.interval_seconds, d.mac"
    };
}
const FREE_CODE: &str = "DELETE FROM devices WHERE user_code = $1 AND expires_at <= $2";
const INSERT: &str = "INSERT INTO devices (mac, user_code, client_id, state, grant_id, next_poll_at, \
     interval_seconds, expires_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const BY_USER_CODE: &str = concat!(
    "SELECT ",
    device_columns!(),
    " FROM devices d WHERE d.user_code = $1 AND d.expires_at > $2 AND d.state = 'waiting'"
);
const TO_DECIDE: Both = locking!(
    "d",
    "SELECT ",
    device_columns!(),
    " FROM devices d WHERE d.user_code = $1 AND d.expires_at > $2 AND d.state = 'waiting'"
);
const TO_POLL: Both = locking!(
    "d",
    "SELECT ",
    device_columns!(),
    " FROM devices d WHERE d.mac = $1 AND d.client_id = $2 AND d.expires_at > $3"
);
const SET_STATE: &str = "UPDATE devices SET state = $2, grant_id = $3 WHERE mac = $1";
const SET_POLL: &str = "UPDATE devices SET next_poll_at = $2, interval_seconds = $3 WHERE mac = $1";

/// A state as its columns: word and grant.
fn columns(state: &DeviceState) -> (&'static str, Option<String>) {
    match state {
        DeviceState::Waiting => ("waiting", None),
        DeviceState::Allowed { grant } => ("allowed", Some(grant.clone())),
        DeviceState::Denied => ("denied", None),
        DeviceState::Redeemed => ("redeemed", None),
    }
}

fn state(word: &str, grant: Option<&str>) -> Result<DeviceState, PortError> {
    match (word, grant) {
        ("waiting", None) => Ok(DeviceState::Waiting),
        ("allowed", Some(grant)) => Ok(DeviceState::Allowed { grant: grant.to_owned() }),
        ("denied", None) => Ok(DeviceState::Denied),
        ("redeemed", None) => Ok(DeviceState::Redeemed),
        _ => Err(corrupt("a device authorization's state is malformed")),
    }
}

/// A device authorization and the MAC of its code.
fn read(row: &Row) -> Result<(DeviceRecord, Vec<u8>), PortError> {
    let mut device: DeviceRecord = from_doc(row.text(0)?)?;
    device.state = state(row.text(1)?, row.optional_text(2)?)?;
    device.next_poll_at = UnixMs(row.int(3)?);
    let seconds = u32::try_from(row.int(4)?);
    device.interval_seconds = seconds.map_err(|_| corrupt("a device's interval is malformed"))?;
    Ok((device, row.blob(5)?.to_vec()))
}

async fn set_state(conn: &mut Conn, mac: &[u8], state: &DeviceState) -> Result<(), PortError> {
    let (word, grant) = columns(state);
    conn.execute(SET_STATE, args![mac, word, grant]).await.map(drop)
}

impl DeviceStore for Store {
    fn create_device(&self, mac: Mac, device: DeviceRecord, event: Event) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let code = device.user_code.as_str();
                conn.execute(FREE_CODE, args![code, event.time.0]).await?;
                let (state, grant) = columns(&device.state);
                let args = args![
                    mac.as_slice(),
                    code,
                    device.client.as_str(),
                    state,
                    grant,
                    device.next_poll_at.0,
                    i64::from(device.interval_seconds),
                    device.expires_at.0,
                    to_doc(&device)?,
                ];
                conn.execute(INSERT, args).await?;
                put_event(conn, &event).await
            })
        }))
    }

    fn device_by_user_code(&self, code: String, now: UnixMs) -> Answer<'_, Option<DeviceRecord>> {
        if !searchable(&code) {
            return none();
        }
        self.read(Box::new(move |conn| {
            Box::pin(conn.optional(BY_USER_CODE, args![code, now.0], |row| Ok(read(row)?.0)))
        }))
    }

    fn decide_device(
        &self,
        user_code: String,
        grant: Option<GrantRecord>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, bool> {
        if !searchable(&user_code) {
            return Box::pin(async { Ok(false) });
        }
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let lock = conn.dialect().words(TO_DECIDE);
                let found = conn.optional(lock, args![user_code, now.0], read).await?;
                let Some((_, mac)) = found else { return Ok(false) };
                let state = match &grant {
                    Some(grant) => DeviceState::Allowed { grant: grant.id.clone() },
                    None => DeviceState::Denied,
                };
                set_state(conn, &mac, &state).await?;
                if let Some(grant) = &grant {
                    grants::insert(conn, grant).await?;
                    grants::tell_person(conn, &grant.id, &event).await?;
                }
                put_event(conn, &event).await?;
                Ok(true)
            })
        }))
    }

    fn poll_device(
        &self,
        device: (Mac, String),
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Polled> {
        if !searchable(&device.1) {
            return Box::pin(async { Ok(Polled::Gone) });
        }
        self.write(Box::new(move |conn| Box::pin(poll(conn, device, refresh, now, event))))
    }
}

/// INVARIANT: the row is locked from the look at its state until the commit, so that one poll at most finds the
/// grant.
async fn poll(
    conn: &mut Conn,
    (mac, client): (Mac, String),
    refresh: Option<NewRefresh>,
    now: UnixMs,
    event: Event,
) -> Result<Polled, PortError> {
    let lock = conn.dialect().words(TO_POLL);
    let found = conn.optional(lock, args![mac.as_slice(), client, now.0], read).await?;
    let Some((device, _)) = found else { return Ok(Polled::Gone) };
    match &device.state {
        DeviceState::Waiting => wait(conn, mac, &device, now).await,
        DeviceState::Denied => Ok(Polled::Denied),
        DeviceState::Redeemed => Ok(Polled::Gone),
        DeviceState::Allowed { grant } => {
            let args = args![grant.as_str()];
            let grant = conn.optional(grants::ONE, args, |row| grants::grant(row, 0)).await?;
            let Some(grant) = grant.filter(|it| alive(it, now)) else { return Ok(Polled::Gone) };
            set_state(conn, &mac, &DeviceState::Redeemed).await?;
            grants::note_use(conn, &grant.id, now, &event).await?;
            if let Some(refresh) = refresh {
                refresh::insert(conn, &refresh, &grant).await?;
            }
            put_event(conn, &event).await?;
            Ok(Polled::Allowed(grant))
        }
    }
}

/// RFC 8628 §3.5: `slow_down` is a form of `authorization_pending`, so nobody else is told to slow down.
async fn wait(
    conn: &mut Conn,
    mac: Mac,
    device: &DeviceRecord,
    now: UnixMs,
) -> Result<Polled, PortError> {
    let early = now < device.next_poll_at;
    let seconds = device.interval_seconds.saturating_add(if early { SLOWER } else { 0 });
    let next = now.plus(Duration::from_secs(u64::from(seconds)));
    conn.execute(SET_POLL, args![mac.as_slice(), next.0, i64::from(seconds)]).await?;
    Ok(if early { Polled::TooEarly } else { Polled::Waiting })
}
