//! Sealed blobs by name. What is in them this crate cannot read.

use crate::conn::args;
use crate::open::Store;
use authority::{Answer, SealedStore};
use base::UnixMs;

const ANY: &str = "SELECT COUNT(*) FROM sealed";
const ONE: &str = "SELECT blob FROM sealed WHERE name = $1";
const PUT: &str = "INSERT INTO sealed (name, blob, created_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO NOTHING";

impl SealedStore for Store {
    fn any_sealed(&self) -> Answer<'_, bool> {
        self.read(Box::new(|conn| {
            Box::pin(async move { Ok(conn.one(ANY, args![], |row| row.int(0)).await? > 0) })
        }))
    }

    fn sealed(&self, name: &'static str) -> Answer<'_, Option<Vec<u8>>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.optional(ONE, args![name], |row| Ok(row.blob(0)?.to_vec())))
        }))
    }

    fn put_sealed_if_absent(
        &self,
        name: &'static str,
        blob: Vec<u8>,
        now: UnixMs,
    ) -> Answer<'_, Vec<u8>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                conn.execute(PUT, args![name, blob.as_slice(), now.0]).await?;
                conn.one(ONE, args![name], |row| Ok(row.blob(0)?.to_vec())).await
            })
        }))
    }
}
