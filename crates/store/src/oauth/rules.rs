//! Signing keys, trust rules and scopes' words.

use super::{from_doc, none, own_keys, searchable, to_doc};
use crate::conn::{Conn, args};
use crate::feed::Subject;
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows::corrupt;
use authority::oauth::ports::AuthorityStore;
use authority::oauth::records::{
    GroupRecord, KeyStage, ScopeRecord, SigningKeyRecord, TrustRecord,
};
use authority::{Answer, PortError};
use base::{Event, UnixMs};

/// Rows of each kind that are read at most; administrators make them one by one.
const ALL: i64 = 10_000;

const KEYS: &str =
    "SELECT doc, stage, since FROM signing_keys ORDER BY algorithm, since, kid LIMIT $1";
const ADD_KEY: &str = "INSERT INTO signing_keys (kid, algorithm, stage, since, doc) \
     SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS \
     (SELECT 1 FROM signing_keys WHERE algorithm = $2 AND stage = $3) ON CONFLICT (kid) DO NOTHING";
const STAGE_KEY: &str =
    "UPDATE signing_keys SET stage = $3, since = $4 WHERE kid = $1 AND stage = $2";
const REMOVE_KEY: &str = "DELETE FROM signing_keys WHERE kid = $1 AND stage = $2";
const PUT_TRUST: &str = "INSERT INTO trust_rules (id, doc) VALUES ($1, $2) \
     ON CONFLICT (id) DO UPDATE SET doc = excluded.doc";
const REMOVE_TRUST: &str = "DELETE FROM trust_rules WHERE id = $1";
const TRUSTS: &str = "SELECT doc FROM trust_rules ORDER BY id LIMIT $1";
const PUT_GROUP: &str = "INSERT INTO user_groups (name, doc) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET doc = excluded.doc";
const REMOVE_GROUP: &str = "DELETE FROM user_groups WHERE name = $1";
const GROUPS: &str = "SELECT doc FROM user_groups ORDER BY name LIMIT $1";
const PUT_SCOPE: &str = "INSERT INTO scope_words (name, description) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET description = excluded.description";
const REMOVE_SCOPE: &str = "DELETE FROM scope_words WHERE name = $1";
const SCOPES: &str = "SELECT name, description FROM scope_words ORDER BY name LIMIT $1";

fn word(stage: KeyStage) -> &'static str {
    match stage {
        KeyStage::Published => "published",
        KeyStage::Signing => "signing",
        KeyStage::Retired => "retired",
    }
}

fn stage(word: &str) -> Result<KeyStage, PortError> {
    [KeyStage::Published, KeyStage::Signing, KeyStage::Retired]
        .into_iter()
        .find(|it| self::word(*it) == word)
        .ok_or_else(|| corrupt("a signing key's stage is malformed"))
}

/// Records and announces a change of `rows` rows; `None` when there was none.
async fn tell(
    conn: &mut Conn,
    rows: u64,
    subject: Subject<'_>,
    event: &Event,
) -> Result<Option<i64>, PortError> {
    if rows == 0 {
        return Ok(None);
    }
    put_event(conn, event).await?;
    subject.announce(conn, event.time).await.map(Some)
}

/// As [`tell`], of rows that were certainly written.
async fn tell_rule(conn: &mut Conn, event: &Event) -> Result<i64, PortError> {
    put_event(conn, event).await?;
    Subject::Rules.announce(conn, event.time).await
}

impl AuthorityStore for Store {
    fn signing_keys(&self) -> Answer<'_, Vec<SigningKeyRecord>> {
        self.read(Box::new(|conn| {
            Box::pin(conn.all(KEYS, args![ALL], |row| {
                let mut key: SigningKeyRecord = from_doc(row.text(0)?)?;
                key.stage = stage(row.text(1)?)?;
                key.since = UnixMs(row.int(2)?);
                Ok(key)
            }))
        }))
    }

    fn add_signing_key(&self, key: SigningKeyRecord, event: Event) -> Answer<'_, Option<i64>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                lock_keys(conn).await?;
                let args = args![
                    key.kid.as_str(),
                    key.algorithm.as_str(),
                    word(key.stage),
                    key.since.0,
                    to_doc(&key)?,
                ];
                let rows = conn.execute(ADD_KEY, args).await?;
                tell(conn, rows, Subject::SigningKeys, &event).await
            })
        }))
    }

    fn stage_signing_key(
        &self,
        kid: String,
        from: KeyStage,
        to: Option<KeyStage>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        if !searchable(&kid) {
            return none();
        }
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                lock_keys(conn).await?;
                let rows = match to {
                    Some(to) => {
                        let args = args![kid, word(from), word(to), now.0];
                        conn.execute(STAGE_KEY, args).await?
                    }
                    None => conn.execute(REMOVE_KEY, args![kid, word(from)]).await?,
                };
                tell(conn, rows, Subject::SigningKeys, &event).await
            })
        }))
    }

    fn put_trust(&self, rule: TrustRecord, event: Event) -> Answer<'_, i64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                conn.execute(PUT_TRUST, args![rule.id.as_str(), to_doc(&rule)?]).await?;
                tell_rule(conn, &event).await
            })
        }))
    }

    fn remove_trust(&self, id: String, event: Event) -> Answer<'_, Option<i64>> {
        remove(self, REMOVE_TRUST, id, event)
    }

    fn trusts(&self) -> Answer<'_, Vec<TrustRecord>> {
        self.read(Box::new(|conn| {
            Box::pin(conn.all(TRUSTS, args![ALL], |row| from_doc(row.text(0)?)))
        }))
    }

    fn put_group(&self, group: GroupRecord, event: Event) -> Answer<'_, i64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                own_keys::lock_groups(conn).await?;
                conn.execute(PUT_GROUP, args![group.name.as_str(), to_doc(&group)?]).await?;
                own_keys::follow_groups(conn, &event).await?;
                tell_rule(conn, &event).await
            })
        }))
    }

    fn remove_group(&self, name: String, event: Event) -> Answer<'_, Option<i64>> {
        if !searchable(&name) {
            return none();
        }
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                own_keys::lock_groups(conn).await?;
                let rows = conn.execute(REMOVE_GROUP, args![name]).await?;
                if rows > 0 {
                    own_keys::follow_groups(conn, &event).await?;
                }
                tell(conn, rows, Subject::Rules, &event).await
            })
        }))
    }

    fn groups(&self) -> Answer<'_, Vec<GroupRecord>> {
        self.read(Box::new(|conn| {
            Box::pin(conn.all(GROUPS, args![ALL], |row| from_doc(row.text(0)?)))
        }))
    }

    fn put_scope(&self, scope: ScopeRecord, event: Event) -> Answer<'_, i64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                conn.execute(PUT_SCOPE, args![scope.name, scope.description]).await?;
                tell_rule(conn, &event).await
            })
        }))
    }

    fn remove_scope(&self, name: String, event: Event) -> Answer<'_, Option<i64>> {
        remove(self, REMOVE_SCOPE, name, event)
    }

    fn scopes(&self) -> Answer<'_, Vec<ScopeRecord>> {
        self.read(Box::new(|conn| {
            Box::pin(conn.all(SCOPES, args![ALL], |row| {
                let (name, description) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
                Ok(ScopeRecord { name, description })
            }))
        }))
    }
}

/// INVARIANT: of keys of one algorithm in one stage that several nodes add at once, one is kept.
async fn lock_keys(conn: &mut Conn) -> Result<(), PortError> {
    match conn.dialect().lock_signing_keys() {
        Some(lock) => conn.script(lock).await,
        None => Ok(()),
    }
}

/// Removes the rule that a text names.
fn remove<'a>(
    store: &'a Store,
    sql: &'static str,
    text: String,
    event: Event,
) -> Answer<'a, Option<i64>> {
    if !searchable(&text) {
        return none();
    }
    store.write(Box::new(move |conn| {
        Box::pin(async move {
            let rows = conn.execute(sql, args![text]).await?;
            tell(conn, rows, Subject::Rules, &event).await
        })
    }))
}
