//! Groups of a directory (SCIM). Their members are in the accounts.

use super::clients::page_args;
use super::{from_doc, none, searchable, to_doc};
use crate::conn::args;
use crate::dialect::{Both, locking};
use crate::open::Store;
use crate::outbox::put_event;
use authority::Answer;
use authority::oauth::ports::TextPage;
use authority::oauth::scim::{DirectoryGroup, DirectoryGroups};
use base::Event;

const INSERT: &str = "INSERT INTO directory_groups (name, doc) VALUES ($1, $2)";
const ONE: &str = "SELECT doc FROM directory_groups WHERE name = $1";
const LIST: &str = "SELECT doc FROM directory_groups WHERE name > $1 ORDER BY name LIMIT $2";
const TO_REPLACE: Both = locking!("g", "SELECT g.doc FROM directory_groups g WHERE g.name = $1");
const REPLACE: &str = "UPDATE directory_groups SET doc = $2 WHERE name = $1";
const REMOVE: &str = "DELETE FROM directory_groups WHERE name = $1";

impl DirectoryGroups for Store {
    fn create_directory_group(&self, group: DirectoryGroup, event: Event) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                conn.execute(INSERT, args![group.name.as_str(), to_doc(&group)?]).await?;
                put_event(conn, &event).await
            })
        }))
    }

    fn replace_directory_group(
        &self,
        before: DirectoryGroup,
        after: Option<DirectoryGroup>,
        event: Event,
    ) -> Answer<'_, bool> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let lock = conn.dialect().words(TO_REPLACE);
                let name = before.name.as_str();
                let found = conn.first(lock, args![name], |row| from_doc(row.text(0)?)).await?;
                if found.as_ref() != Some(&before) {
                    return Ok(false);
                }
                match &after {
                    Some(after) => conn.execute(REPLACE, args![name, to_doc(after)?]).await?,
                    None => conn.execute(REMOVE, args![name]).await?,
                };
                put_event(conn, &event).await?;
                Ok(true)
            })
        }))
    }

    fn directory_group(&self, name: String) -> Answer<'_, Option<DirectoryGroup>> {
        if !searchable(&name) {
            return none();
        }
        self.read(Box::new(move |conn| {
            Box::pin(conn.first(ONE, args![name], |row| from_doc(row.text(0)?)))
        }))
    }

    fn directory_groups(&self, page: TextPage) -> Answer<'_, Vec<DirectoryGroup>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(LIST, page_args(page), |row| from_doc(row.text(0)?)))
        }))
    }
}
