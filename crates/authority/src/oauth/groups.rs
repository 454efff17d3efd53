//! Groups: what people call them, and which scopes only their members may give.
//!
//! Owns: groups' records and the judgement of a person's scopes. Who is in a group stands in the person's account.
//!
//! Invariants:
//! - A scope that any group names is given by members of such a group only; one that none names is open to all.
//! - That is judged at each token, not only when a grant is given.

use super::OAuth;
use super::clients::PERSONAL_SCOPES;
use super::records::{GroupRecord, UserRecord};
use super::scopes::admin_scopes;
use crate::actor::Actor;
use crate::authority::Done;
use crate::error::Error;
use crate::text;
use base::code;
use std::sync::Arc;

/// Groups with a record; each token of a person is held against all of them.
const GROUPS: usize = 1000;
/// Characters of a group's description.
const DESCRIPTION_CHARS: usize = 200;

/// What a group shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutGroup {
    /// Its name, as it stands among the roles of accounts.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// The scopes that only members of it, and of other groups that name them, may give.
    pub scopes: Vec<String>,
}

/// A group that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedGroup {
    /// Its name.
    pub name: String,
    /// The scopes that no group names any more: everybody may give them from now on.
    pub opened: Vec<String>,
    /// The sequence number of the change.
    pub seq: i64,
}

impl OAuth {
    /// Makes a group, or replaces the one of the same name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an input breaks its rule (recorded as `act.refused`); else as the store says.
    pub async fn put_group(
        &self,
        actor: &Actor,
        ask: &PutGroup,
    ) -> Result<Done<GroupRecord>, Error> {
        match self.group_of(actor, ask).await {
            Ok(group) => {
                let detail = format!("scope {:?}", group.scopes.join(" "));
                let event = self.act(actor, code::GROUP_CHANGED, Some(&group.name), &detail)?;
                let seq = self.parts.store.put_group(group.clone(), event).await?;
                self.load_groups().await?;
                Ok((group, seq).into())
            }
            Err(refusal) => self.act_refused(actor, code::GROUP_CHANGED, None, refusal).await,
        }
    }

    async fn group_of(&self, actor: &Actor, ask: &PutGroup) -> Result<GroupRecord, Error> {
        let name = text::config_name("name", &ask.name)?;
        let description =
            text::optional_line("description", Some(&ask.description), DESCRIPTION_CHARS)?;
        let scopes = text::scopes(&ask.scopes)?;
        let taken =
            |it: &&String| it.starts_with("admin:") || PERSONAL_SCOPES.contains(&it.as_str());
        if let Some(scope) = scopes.iter().find(taken) {
            let rule = format!("`{scope}` is given by roles, or belongs to every person");
            return Err(Error::invalid("scope", rule));
        }
        let all = self.parts.store.groups().await?;
        let before = all.iter().find(|it| it.name == name);
        if before.is_none() && all.len() >= GROUPS {
            return Err(Error::invalid("name", format!("there are {GROUPS} groups already")));
        }
        let now = self.parts.clock.now();
        Ok(GroupRecord {
            name,
            description: description.unwrap_or_default(),
            scopes,
            created_at: before.map_or(now, |it| it.created_at),
            created_by: before
                .map_or_else(|| actor.principal.to_string(), |it| it.created_by.clone()),
        })
    }

    /// All groups, by name.
    ///
    /// # Errors
    /// As the store says.
    pub async fn groups(&self) -> Result<Vec<GroupRecord>, Error> {
        Ok(self.parts.store.groups().await?)
    }

    /// One group.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn show_group(&self, name: &str) -> Result<GroupRecord, Error> {
        let all = self.parts.store.groups().await?;
        all.into_iter().find(|it| it.name == name).ok_or_else(|| missing(name))
    }

    /// Removes a group; accounts keep the word among their roles. Says which scopes are open to all from now on.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none (recorded).
    pub async fn remove_group(&self, actor: &Actor, name: &str) -> Result<RemovedGroup, Error> {
        let group = match self.show_group(name).await {
            Ok(group) => group,
            Err(refusal) => {
                return self.act_refused(actor, code::GROUP_CHANGED, Some(name), refusal).await;
            }
        };
        let event = self.act(actor, code::GROUP_CHANGED, Some(name), "removed")?;
        let Some(seq) = self.parts.store.remove_group(name.to_owned(), event).await? else {
            return Err(missing(name));
        };
        self.load_groups().await?;
        let left = self.groups.load();
        let named = |scope: &String| left.iter().any(|it| it.scopes.contains(scope));
        let opened = group.scopes.into_iter().filter(|it| !named(it)).collect();
        Ok(RemovedGroup { name: group.name, opened, seq })
    }

    /// Reads the groups anew.
    pub(crate) async fn load_groups(&self) -> Result<(), Error> {
        let groups = self.parts.store.groups().await?;
        self.groups.store(Arc::new(groups));
        Ok(())
    }

    /// Those of the scopes that this person can give now.
    pub(crate) fn of_person(&self, mut scopes: Vec<String>, user: &UserRecord) -> Vec<String> {
        let groups = self.groups.load();
        let held = admin_scopes(&user.roles);
        scopes.retain(|scope| {
            if scope.starts_with("admin:") {
                return held.contains(&scope.as_str());
            }
            let mut naming = groups.iter().filter(|it| it.scopes.contains(scope)).peekable();
            naming.peek().is_none() || naming.any(|it| user.roles.contains(&it.name))
        });
        scopes
    }
}

fn missing(name: &str) -> Error {
    Error::NotFound { what: "group", id: name.escape_default().take(64).collect() }
}

#[cfg(test)]
mod tests;
