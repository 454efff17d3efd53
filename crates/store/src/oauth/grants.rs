//! Grants, and the port through which all that belongs to them is reached.

use super::{ROWS, codes, from_doc, news, none, once, refresh, revocations, searchable, to_doc};
use crate::conn::{Conn, Row, args};
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows;
use authority::oauth::ports::{
    CodeCompany, GrantStore, GrantUse, Redeemed, Rotated, TokenNames, Window,
};
use authority::oauth::records::{
    AccessRecord, CodeRecord, GrantRecord, Mac, NewRefresh, PushedRecord, RefreshRecord,
    Revocation, RevocationKind, UserRecord,
};
use authority::people::records::place;
use authority::{Answer, PortError};
use base::{Event, UnixMs};

/// When a grant `g` was ended: by itself, or by a revocation of all that its person or its client had.
macro_rules! ended {
    () => {
        "COALESCE(g.revoked_at, \
         (SELECT v.not_before FROM revocations v WHERE v.kind = 'subject' AND v.value = g.user_id \
          AND v.not_before >= g.created_at), \
         (SELECT v.not_before FROM revocations v WHERE v.kind = 'client' AND v.value = g.client_id \
          AND v.not_before >= g.created_at))"
    };
}
/// The columns of a grant `g`, in the order in which [`grant`] reads them.
macro_rules! grant_columns {
    () => {
        concat!("g.doc, ", $crate::oauth::grants::ended!())
    };
}
/// Notes when and from where something was last issued on a grant: to the minute, so that a busy client writes little.
macro_rules! noted_use {
    ($id:literal, $at:literal, $from:literal) => {
        concat!(
            "UPDATE grants SET used_at = ",
            $at,
            ", used_from = ",
            $from,
            " WHERE id = ",
            $id,
            " AND (used_at IS NULL OR used_at < ",
            $at,
            " - 60000)"
        )
    };
}
pub(super) use {ended, grant_columns, noted_use};

const USED: &str = noted_use!("$1", "$2", "$3");
const USES: &str = concat!(
    "SELECT g.id, g.used_at, g.used_from FROM grants g WHERE g.user_id = $1 AND g.expires_at > $2 AND \
     g.used_at IS NOT NULL AND ",
    ended!(),
    " IS NULL ORDER BY g.created_at DESC, g.id LIMIT $3"
);

const INSERT: &str = "INSERT INTO grants (id, client_id, user_id, created_at, expires_at, revoked_at, \
     doc) VALUES ($1, $2, $3, $4, $5, $6, $7)";
pub(super) const ONE: &str = concat!("SELECT ", grant_columns!(), " FROM grants g WHERE g.id = $1");
const PERSON: &str = "SELECT user_id FROM grants WHERE id = $1";
const OF_USER: &str = concat!(
    "SELECT ",
    grant_columns!(),
    " FROM grants g WHERE g.user_id = $1 AND g.expires_at > $2 AND ",
    ended!(),
    " IS NULL ORDER BY g.created_at DESC, g.id LIMIT $3"
);

/// Reads a grant whose columns begin at `at`.
pub(super) fn grant(row: &Row, at: usize) -> Result<GrantRecord, PortError> {
    let mut grant: GrantRecord = from_doc(row.text(at)?)?;
    grant.revoked_at = row.optional_int(at + 1)?.map(UnixMs);
    Ok(grant)
}

/// The network that a request came from, as a use is noted.
pub(super) fn from(event: &Event) -> Option<String> {
    event.client_ip.map(place)
}

/// Notes that something was issued on a grant.
pub(super) async fn note_use(
    conn: &mut Conn,
    id: &str,
    now: UnixMs,
    event: &Event,
) -> Result<(), PortError> {
    conn.execute(USED, args![id, now.0, from(event)]).await.map(drop)
}

/// Tells a grant's person what happened to it.
pub(super) async fn tell_person(conn: &mut Conn, id: &str, event: &Event) -> Result<(), PortError> {
    let person = conn.first(PERSON, args![id], |row| Ok(row.optional_text(0)?.map(str::to_owned)));
    match person.await?.flatten() {
        Some(person) => news::note(conn, &person, event, None).await,
        None => Ok(()),
    }
}

/// Reads the account whose document stands at `at`, if there is one.
fn person(row: &Row, at: usize) -> Result<Option<UserRecord>, PortError> {
    row.optional_text(at)?.map(from_doc).transpose()
}

/// Whether something may still be issued on it.
pub(super) fn alive(grant: &GrantRecord, now: UnixMs) -> bool {
    grant.revoked_at.is_none() && grant.expires_at > now
}

pub(super) async fn insert(conn: &mut Conn, grant: &GrantRecord) -> Result<(), PortError> {
    let args = args![
        grant.id.as_str(),
        grant.client.as_str(),
        grant.user.clone(),
        grant.created_at.0,
        grant.expires_at.0,
        grant.revoked_at.map(|it| it.0),
        to_doc(grant)?,
    ];
    conn.execute(INSERT, args).await.map(drop)
}

impl GrantStore for Store {
    fn create_code(
        &self,
        grant: GrantRecord,
        code: (Mac, CodeRecord),
        with: CodeCompany,
        event: Event,
    ) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move { codes::create(conn, &grant, &code, with, &event).await })
        }))
    }

    fn code(&self, mac: Mac) -> Answer<'_, Option<(CodeRecord, GrantRecord)>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.first(codes::ONE, args![mac.as_slice()], codes::read))
        }))
    }

    fn code_and_person(
        &self,
        mac: Mac,
    ) -> Answer<'_, Option<(CodeRecord, GrantRecord, Option<UserRecord>)>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.first(codes::WITH_PERSON, args![mac.as_slice()], |row| {
                let (code, grant) = codes::read(row)?;
                Ok((code, grant, person(row, 7)?))
            }))
        }))
    }

    fn redeem_code(
        &self,
        mac: Mac,
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Redeemed> {
        self.write(Box::new(move |conn| Box::pin(codes::redeem(conn, mac, refresh, now, event))))
    }

    fn create_grant(
        &self,
        grant: GrantRecord,
        refresh: Option<NewRefresh>,
        event: Event,
    ) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                if let Some(refresh) = refresh {
                    refresh::insert(conn, &refresh, &grant).await?;
                }
                insert(conn, &grant).await?;
                note_use(conn, &grant.id, event.time, &event).await?;
                put_event(conn, &event).await
            })
        }))
    }

    fn refresh(&self, mac: Mac) -> Answer<'_, Option<(RefreshRecord, GrantRecord)>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.first(refresh::ONE, args![mac.as_slice()], refresh::read))
        }))
    }

    fn refresh_and_person(
        &self,
        mac: Mac,
    ) -> Answer<'_, Option<(RefreshRecord, GrantRecord, Option<UserRecord>)>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.first(refresh::WITH_PERSON, args![mac.as_slice()], |row| {
                let (refresh, grant) = refresh::read(row)?;
                Ok((refresh, grant, person(row, 7)?))
            }))
        }))
    }

    fn rotate_refresh(
        &self,
        parent: Mac,
        child: NewRefresh,
        within: Window,
        event: Event,
    ) -> Answer<'_, Rotated> {
        self.write(Box::new(move |conn| {
            Box::pin(refresh::rotate(conn, parent, child, within, event))
        }))
    }

    fn keep_refresh(
        &self,
        mac: Mac,
        expires_at: UnixMs,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<GrantRecord>> {
        self.write(Box::new(move |conn| Box::pin(refresh::keep(conn, mac, expires_at, now, event))))
    }

    fn grant(&self, id: String) -> Answer<'_, Option<GrantRecord>> {
        if !searchable(&id) {
            return none();
        }
        self.read(Box::new(move |conn| Box::pin(conn.first(ONE, args![id], |row| grant(row, 0)))))
    }

    fn grants_of_user(&self, user: String, now: UnixMs) -> Answer<'_, Vec<GrantRecord>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(OF_USER, args![user, now.0, ROWS], |row| grant(row, 0)))
        }))
    }

    fn uses_of_grants(&self, user: String, now: UnixMs) -> Answer<'_, Vec<GrantUse>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(USES, args![user, now.0, ROWS], |row| {
                Ok(GrantUse {
                    grant: row.text(0)?.to_owned(),
                    at: UnixMs(row.int(1)?),
                    network: row.optional_text(2)?.map(str::to_owned),
                })
            }))
        }))
    }

    fn revoke_grant(
        &self,
        id: String,
        now: UnixMs,
        until: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        if !searchable(&id) {
            return none();
        }
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let seq = revocations::end_grant(conn, &id, (now, until), event.time).await?;
                if seq.is_some() {
                    tell_person(conn, &id, &event).await?;
                    put_event(conn, &event).await?;
                }
                Ok(seq)
            })
        }))
    }

    fn revoke(&self, revocation: Revocation, event: Event) -> Answer<'_, i64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                put_event(conn, &event).await?;
                revocations::put(conn, &revocation, event.time).await
            })
        }))
    }

    fn revocation(
        &self,
        kind: RevocationKind,
        value: String,
        now: UnixMs,
    ) -> Answer<'_, Option<Revocation>> {
        if !searchable(&value) {
            return none();
        }
        self.read(Box::new(move |conn| {
            let args = args![kind.as_str(), value, now.0];
            Box::pin(conn.first(revocations::IN_FORCE, args, |row| rows::revocation(row, 0)))
        }))
    }

    fn revoked(&self, token: TokenNames, now: UnixMs) -> Answer<'_, Option<RevocationKind>> {
        self.read(Box::new(move |conn| Box::pin(revocations::of_token(conn, token, now))))
    }

    fn put_access(&self, mac: Mac, access: AccessRecord, event: Event) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                once::put_access(conn, mac, &access).await?;
                put_event(conn, &event).await
            })
        }))
    }

    fn access(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<AccessRecord>> {
        self.read(Box::new(move |conn| Box::pin(once::access(conn, mac, now))))
    }

    fn push(&self, mac: Mac, pushed: PushedRecord, event: Event) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                once::push(conn, mac, &pushed).await?;
                put_event(conn, &event).await
            })
        }))
    }

    fn pushed(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<PushedRecord>> {
        self.read(Box::new(move |conn| Box::pin(once::pushed(conn, mac, now))))
    }

    fn once(&self, what: Mac, until: UnixMs) -> Answer<'_, bool> {
        self.write(Box::new(move |conn| Box::pin(once::once(conn, what, until))))
    }
}
