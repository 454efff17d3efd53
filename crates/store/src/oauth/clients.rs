//! Clients.

use super::{from_doc, none, revocations, searchable, to_doc};
use crate::conn::{Conn, args};
use crate::dialect::{Both, locking};
use crate::feed::Subject;
use crate::open::Store;
use crate::outbox::put_event;
use authority::oauth::ports::{ClientStore, TextPage};
use authority::oauth::records::{ClientRecord, Revocation};
use authority::{Answer, PAGE_ROWS, PortError};
use base::{Event, UnixMs};

const INSERT: &str = "INSERT INTO clients (id, doc) VALUES ($1, $2)";
const ONE: &str = "SELECT doc FROM clients WHERE id = $1";
const LIST: &str = "SELECT doc FROM clients WHERE id > $1 ORDER BY id LIMIT $2";
const UNUSED: &str = "SELECT c.id FROM clients c \
     WHERE NOT EXISTS (SELECT 1 FROM grants g WHERE g.client_id = c.id) \
     AND NOT EXISTS (SELECT 1 FROM consents s WHERE s.client_id = c.id) ORDER BY c.id LIMIT $1";
const TO_REPLACE: Both = locking!("c", "SELECT c.doc FROM clients c WHERE c.id = $1");
const REPLACE: &str = "UPDATE clients SET doc = $2 WHERE id = $1";
const REMOVE: &str = "DELETE FROM clients WHERE id = $1";
const DECLARED: &str = "SELECT id FROM declared_clients WHERE id > $1 ORDER BY id LIMIT $2";
const PUT_DECLARED: &str =
    "INSERT INTO declared_clients (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
const REMOVE_DECLARED: &str = "DELETE FROM declared_clients WHERE id = $1";
const FORGET_CONSENTS: &str = "DELETE FROM consents WHERE client_id = $1";

/// Announces the change, and the revocation after it: who has seen that has seen both.
async fn announce(
    conn: &mut Conn,
    id: &str,
    revoke: Option<&Revocation>,
    at: UnixMs,
) -> Result<i64, PortError> {
    let seq = Subject::Client(id).announce(conn, at).await?;
    match revoke {
        None => Ok(seq),
        Some(revoke) => revocations::put(conn, revoke, at).await,
    }
}

/// The arguments of a listing: after which id, how many rows.
pub(super) fn page_args(page: TextPage) -> Vec<crate::conn::Arg> {
    args![page.after, i64::from(page.rows.min(PAGE_ROWS))]
}

impl ClientStore for Store {
    fn create_client(&self, client: ClientRecord, event: Event) -> Answer<'_, i64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                conn.execute(INSERT, args![client.id.as_str(), to_doc(&client)?]).await?;
                put_event(conn, &event).await?;
                announce(conn, &client.id, None, event.time).await
            })
        }))
    }

    fn replace_client(
        &self,
        before: ClientRecord,
        after: ClientRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let lock = conn.dialect().words(TO_REPLACE);
                let found = conn.first(lock, args![before.id.as_str()], |row| {
                    from_doc::<ClientRecord>(row.text(0)?)
                });
                // WHY records and not texts: a newer program writes the same record in other words.
                if found.await?.as_ref() != Some(&before) || after.id != before.id {
                    return Ok(None);
                }
                conn.execute(REPLACE, args![after.id.as_str(), to_doc(&after)?]).await?;
                put_event(conn, &event).await?;
                announce(conn, &after.id, revoke.as_ref(), event.time).await.map(Some)
            })
        }))
    }

    fn remove_client(
        &self,
        id: String,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        if !searchable(&id) {
            return none();
        }
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                if conn.execute(REMOVE, args![id.as_str()]).await? == 0 {
                    return Ok(None);
                }
                // A client that is a URL may come back, and must ask again.
                conn.execute(FORGET_CONSENTS, args![id.as_str()]).await?;
                put_event(conn, &event).await?;
                announce(conn, &id, Some(&revoke), event.time).await.map(Some)
            })
        }))
    }

    fn declared_clients(&self, page: TextPage) -> Answer<'_, Vec<String>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(DECLARED, page_args(page), |row| Ok(row.text(0)?.to_owned())))
        }))
    }

    fn put_declared_client(&self, id: String) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move { conn.execute(PUT_DECLARED, args![id]).await.map(drop) })
        }))
    }

    fn remove_declared_client(
        &self,
        id: String,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, bool> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                if conn.execute(REMOVE_DECLARED, args![id]).await? == 0 {
                    return Ok(false);
                }
                put_event(conn, &event).await?;
                revocations::put(conn, &revoke, event.time).await.map(|_| true)
            })
        }))
    }

    fn unused_clients(&self, rows: u32) -> Answer<'_, Vec<String>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(UNUSED, args![i64::from(rows)], |row| Ok(row.text(0)?.to_owned())))
        }))
    }

    fn client(&self, id: String) -> Answer<'_, Option<ClientRecord>> {
        if !searchable(&id) {
            return none();
        }
        self.read(Box::new(move |conn| {
            Box::pin(conn.first(ONE, args![id], |row| from_doc(row.text(0)?)))
        }))
    }

    fn clients(&self, page: TextPage) -> Answer<'_, Vec<ClientRecord>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(LIST, page_args(page), |row| from_doc(row.text(0)?)))
        }))
    }
}
