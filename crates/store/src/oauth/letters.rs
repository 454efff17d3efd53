//! Codes that were mailed.

use super::authenticators::{alive, end_others};
use super::people::replaced;
use super::{from_doc, to_doc};
use crate::conn::{Conn, args};
use crate::dialect::{Both, locking};
use crate::open::Store;
use crate::outbox::put_event;
use authority::oauth::ports::{LetterStore, ProvenAddress, Spent};
use authority::oauth::records::{LetterPurpose, LetterRecord, Mac, UserRecord};
use authority::{Answer, PortError};
use base::{Event, UnixMs};

/// WHY the person's row: letters at once are counted, and codes spent, one after the other.
const PERSON: Both = locking!("u", "SELECT u.id FROM users u WHERE u.id = $1");
const INSERT: &str =
    "INSERT INTO letters (mac, user_id, expires_at, doc, purpose) VALUES ($1, $2, $3, $4, $5)";
/// WHY of one purpose: strangers who ask for a way back in void no other code.
const SURPLUS: &str = "DELETE FROM letters WHERE user_id = $1 AND purpose = $3 AND mac NOT IN \
     (SELECT mac FROM letters WHERE user_id = $1 AND purpose = $3 ORDER BY expires_at DESC, mac LIMIT $2)";
const ONE: &str = "SELECT doc FROM letters WHERE mac = $1 AND expires_at > $2";
const OF_USER: &str = "SELECT doc FROM letters WHERE mac = $1 AND expires_at > $2 AND user_id = $3 \
     AND purpose = $4";
const REMOVE_ALL: &str = "DELETE FROM letters WHERE user_id = $1";

impl LetterStore for Store {
    fn put_letter(
        &self,
        mac: Mac,
        letter: LetterRecord,
        most: u32,
        event: Event,
    ) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let user = letter.user.as_str();
                let lock = conn.dialect().words(PERSON);
                conn.first(lock, args![user], |row| row.text(0).map(drop)).await?;
                let rest = i64::from(most.saturating_sub(1));
                let purpose = letter.purpose.as_str();
                conn.execute(SURPLUS, args![user, rest, purpose]).await?;
                let (end, doc) = (letter.expires_at.0, to_doc(&letter)?);
                let args = args![mac.as_slice(), user, end, doc, purpose];
                conn.execute(INSERT, args).await?;
                put_event(conn, &event).await
            })
        }))
    }

    fn letter(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<LetterRecord>> {
        self.read(Box::new(move |conn| {
            let args = args![mac.as_slice(), now.0];
            Box::pin(conn.first(ONE, args, |row| from_doc(row.text(0)?)))
        }))
    }

    fn spend_letter(
        &self,
        spent: Spent,
        before: UserRecord,
        after: UserRecord,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let user = before.id.as_str();
                let purpose = LetterPurpose::Recovery;
                if !is_there(conn, user, (&spent.mac, spent.now, purpose)).await? {
                    return Ok(None);
                }
                let done = replaced(conn, (&before, &after), Some(&spent.revoke), &event).await?;
                if done.is_some() {
                    conn.execute(REMOVE_ALL, args![user]).await?;
                }
                Ok(done)
            })
        }))
    }

    fn prove_address(
        &self,
        proven: ProvenAddress,
        before: UserRecord,
        after: UserRecord,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let user = before.id.as_str();
                let purpose = LetterPurpose::Address;
                if !is_there(conn, user, (&proven.mac, proven.now, purpose)).await? {
                    return Ok(None);
                }
                let session = proven.session;
                alive(conn, user, Some(&session)).await?;
                let done = replaced(conn, (&before, &after), None, &event).await?;
                if done.is_some() {
                    conn.execute(REMOVE_ALL, args![user]).await?;
                    let keep = proven.ends_others.then_some(session);
                    end_others(conn, user, (keep, Some(&event))).await?;
                }
                Ok(done)
            })
        }))
    }
}

/// Whether a person's code is there, for this purpose.
///
/// INVARIANT: the person's row is locked before the code is looked at, and codes go only under that lock.
async fn is_there(
    conn: &mut Conn,
    user: &str,
    (mac, now, purpose): (&Mac, UnixMs, LetterPurpose),
) -> Result<bool, PortError> {
    let lock = conn.dialect().words(PERSON);
    conn.first(lock, args![user], |row| row.text(0).map(drop)).await?;
    let args = args![mac.as_slice(), now.0, user, purpose.as_str()];
    Ok(conn.first(OF_USER, args, |row| row.text(0).map(drop)).await?.is_some())
}
