//! Brings the schema up to date: numbered, append-only migrations, each applied once.

use crate::conn::{Conn, args};
use crate::error::OpenError;
use aws_lc_rs::digest;
use base::UnixMs;

const APPLIED: &str = "SELECT version, checksum FROM schema_migrations ORDER BY version";
const APPLY: &str =
    "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)";

/// Applies what is missing. The caller has begun the transaction, and commits it.
pub(crate) async fn run(conn: &mut Conn, now: UnixMs) -> Result<(), OpenError> {
    let dialect = conn.dialect();
    conn.script(dialect.migrations_table()).await?;
    let applied =
        conn.all(APPLIED, args![], |row| Ok((row.int(0)?, row.text(1)?.to_owned()))).await?;
    let known = dialect.migrations();
    let newest = i64::try_from(known.len()).unwrap_or(i64::MAX);
    if let Some((found, _)) = applied.iter().find(|(version, _)| *version > newest) {
        return Err(OpenError::Newer { found: *found, known: newest });
    }
    for (version, (name, text)) in (1..).zip(known) {
        let checksum = hex::encode(digest::digest(&digest::SHA256, text.as_bytes()));
        match applied.iter().find(|(it, _)| *it == version) {
            Some((_, there)) if *there == checksum => {}
            Some(_) => return Err(OpenError::Changed { version }),
            None => {
                conn.script(text).await?;
                conn.execute(APPLY, args![version, *name, checksum, now.0]).await?;
            }
        }
    }
    if let Some(forget) = dialect.forget_foreign() {
        conn.script(forget).await?;
    }
    Ok(())
}
