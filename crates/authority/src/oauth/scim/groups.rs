//! Groups of a directory (RFC 7643 §4.2).
//!
//! A group is a name among the roles of its members' accounts. The name is made of the first `displayName` and stays;
//! it is the resource's id, and what the configuration and tokens speak of.
//!
//! Invariant: a name of [`super::RESERVED`] is no group.

use super::filter::member;
use super::patch::{self, Attribute, Shape};
use super::users::EXTERNAL_ID_CHARS;
use super::{
    GROUP, MEMBERS, Place, Query, Refused, Written, is_reserved, matches, object, schema, text,
    too_many_members, with_meta,
};
use crate::actor::Actor;
use crate::error::{Error, PortError};
use crate::oauth::OAuth;
use crate::oauth::ports::TextPage;
use crate::oauth::records::UserRecord;
use crate::ports::Answer;
use crate::text::{CONFIG_NAME_BYTES, NAME_CHARS, config_name};
use base::{Event, UnixMs, code};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Groups of a directory: each is one name that rules can speak of.
const GROUPS: u32 = 1000;
/// How often a change is tried again that another one came before.
const TRIES: usize = 3;
/// What a client may name in a PATCH.
const ATTRIBUTES: [Attribute; 6] = [
    ("displayName", Shape::One),
    ("externalId", Shape::One),
    ("members", Shape::Many),
    ("id", Shape::ReadOnly),
    ("meta", Shape::ReadOnly),
    ("schemas", Shape::ReadOnly),
];

/// What is kept of a group; its members are in their accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryGroup {
    /// The name among the roles of accounts.
    pub name: String,
    /// What the directory shows.
    pub display: String,
    /// What the directory calls it.
    pub external_id: Option<String>,
    /// When it was made.
    pub created_at: UnixMs,
    /// Who made it.
    pub created_by: String,
    /// When its record last changed.
    pub updated_at: UnixMs,
}

/// Keeps groups of a directory.
pub trait DirectoryGroups: Send + Sync {
    /// Keeps a new one.
    ///
    /// # Errors
    /// `Conflict` when its name exists.
    fn create_directory_group(&self, group: DirectoryGroup, event: Event) -> Answer<'_, ()>;
    /// Replaces one (`None`: removes it) if it still is as `before`; whether it was.
    fn replace_directory_group(
        &self,
        before: DirectoryGroup,
        after: Option<DirectoryGroup>,
        event: Event,
    ) -> Answer<'_, bool>;
    /// One group.
    fn directory_group(&self, name: String) -> Answer<'_, Option<DirectoryGroup>>;
    /// Groups by name.
    fn directory_groups(&self, page: TextPage) -> Answer<'_, Vec<DirectoryGroup>>;
}

/// What a directory says of a group.
#[derive(Debug)]
struct Wanted {
    display: String,
    external_id: Option<String>,
    members: BTreeSet<String>,
}

impl Wanted {
    fn read(body: &Map<String, Value>) -> Result<Self, Refused> {
        let shown = ("displayName", "displayName");
        let display = text(body, shown, NAME_CHARS)?
            .ok_or_else(|| Refused::bad("invalidValue", "displayName must be a text"))?;
        let external_id = text(body, ("externalId", "externalId"), EXTERNAL_ID_CHARS)?;
        let members = match member(body, "members") {
            None | Some(Value::Null) => BTreeSet::new(),
            Some(Value::Array(items)) => {
                let id = |item: &Value| {
                    let id = member(item.as_object()?, "value")?.as_str()?;
                    Some(id.to_owned())
                };
                let ids = items.iter().map(id).collect::<Option<BTreeSet<_>>>();
                ids.ok_or_else(|| Refused::bad("invalidValue", "a member must have a value"))?
            }
            Some(_) => return Err(Refused::bad("invalidValue", "members must be a list")),
        };
        Ok(Self { display, external_id, members })
    }
}

/// The name of a group that is shown so: what a name may not have becomes a hyphen.
fn name_of(display: &str) -> Result<String, Refused> {
    let good = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = display.trim().chars().map(good).take(CONFIG_NAME_BYTES).collect();
    if !name.contains(|c: char| c.is_ascii_alphanumeric()) {
        let words =
            "displayName must have a letter or digit of ASCII: the group's name is made of it";
        return Err(Refused::bad("invalidValue", words));
    }
    // A directory is no administrator, and makes none.
    if is_reserved(&name) {
        return Err(Refused::new(
            403,
            "this name is a role of this gate; a directory cannot give it",
        ));
    }
    Ok(config_name("displayName", &name)?)
}

fn view(place: &Place, group: &DirectoryGroup, members: Option<&[&UserRecord]>) -> Value {
    let mut body = json!({
        "schemas": [GROUP], "id": group.name, "displayName": group.display,
    });
    let Some(object) = body.as_object_mut() else { return body };
    if let Some(id) = &group.external_id {
        object.insert("externalId".to_owned(), id.clone().into());
    }
    if let Some(members) = members.filter(|it| !it.is_empty()) {
        let one = |user: &&UserRecord| {
            json!({
                "value": user.id, "type": "User",
                "$ref": format!("{}/Users/{}", place.base, user.id),
            })
        };
        let members: Vec<Value> = members.iter().map(one).collect();
        object.insert("members".to_owned(), members.into());
    }
    let resource = ("Group", "Groups", group.name.as_str());
    with_meta(place, body, resource, (group.created_at, group.updated_at))
}

fn of<'a>(users: &'a [UserRecord], name: &str) -> Vec<&'a UserRecord> {
    users.iter().filter(|user| user.roles.iter().any(|role| role == name)).collect()
}

/// A change of one group, and what it is asked on.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    id: &'a str,
    if_match: Option<&'a str>,
}

impl OAuth {
    async fn scim_kept_group(&self, id: &str) -> Result<DirectoryGroup, Refused> {
        let found = self.parts.store.directory_group(id.to_owned()).await?;
        found.ok_or_else(|| Refused::of("group"))
    }

    /// One group.
    ///
    /// # Errors
    /// 404 when there is none, 400 `tooMany` when there are more accounts than are looked through.
    pub async fn scim_group(
        &self,
        place: &Place,
        id: &str,
        query: &Query,
    ) -> Result<Value, Refused> {
        let group = self.scim_kept_group(id).await?;
        if !query.wants("members") {
            return Ok(view(place, &group, None));
        }
        let users = self.directory_accounts().await?;
        Ok(view(place, &group, Some(&of(&users, id))))
    }

    /// Groups that a query wants, as a list response.
    ///
    /// # Errors
    /// As [`Self::scim_group`]; 400 `invalidFilter`.
    pub async fn scim_groups(&self, place: &Place, query: &Query) -> Result<Value, Refused> {
        let filter = query.read_filter()?;
        let page = TextPage { after: String::new(), rows: GROUPS };
        let groups = self.parts.store.directory_groups(page).await?;
        let users = match query.wants("members") || filter.is_some() {
            true => self.directory_accounts().await?,
            false => Vec::new(),
        };
        let shown = groups.iter().map(|it| view(place, it, Some(&of(&users, &it.name))));
        let holds = |it: &Value| {
            let asked = filter.as_ref().map(|filter| it.as_object().map(|it| filter.holds(it)));
            asked.flatten().unwrap_or(true)
        };
        Ok(query.page(shown.filter(holds).collect()))
    }

    /// Makes a group. Accounts that have its name among their roles already are in it.
    ///
    /// # Errors
    /// 400 when a value breaks its rule, 403 for a name that is a role of this gate, 409 when there is a group of this
    /// name; all but the last are recorded.
    pub async fn scim_create_group(
        &self,
        actor: &Actor,
        place: &Place,
        body: &Value,
    ) -> Result<Written, Refused> {
        let body = object(body)?;
        schema(body, GROUP)?;
        let judged = match Wanted::read(body) {
            Ok(wanted) => name_of(&wanted.display).map(|name| (wanted, name)),
            Err(refused) => Err(refused),
        };
        let (wanted, name) = match judged {
            Ok(judged) => judged,
            Err(refused) => {
                return Err(self.scim_refused(actor, code::GROUP_CHANGED, None, refused).await);
            }
        };
        let page = TextPage { after: String::new(), rows: GROUPS };
        if self.parts.store.directory_groups(page).await?.len() >= GROUPS as usize {
            return Err(Refused::new(
                403,
                format!("there are {GROUPS} groups, and no room for more"),
            ));
        }
        let users = self.directory_accounts().await?;
        let before: BTreeSet<String> = of(&users, &name).iter().map(|it| it.id.clone()).collect();
        let joins = self.joining(&before, &wanted.members).await?;
        self.movable(joins.iter()).await?;
        let now = self.parts.clock.now();
        let group = DirectoryGroup {
            name: name.clone(),
            display: wanted.display,
            external_id: wanted.external_id,
            created_at: now,
            created_by: actor.principal.to_string(),
            updated_at: now,
        };
        let event =
            self.act(actor, code::GROUP_CHANGED, Some(&name), "group made by the directory")?;
        self.parts.store.create_directory_group(group, event).await?;
        let seq = self.scim_members(actor, &name, (&joins, &[])).await?;
        let resource = self.scim_group(place, &name, &Query::default()).await?;
        Ok(Written { resource, seq })
    }

    /// Replaces what a directory says of a group: who is not named leaves it.
    ///
    /// # Errors
    /// As [`Self::scim_create_group`]; 404 and 412.
    pub async fn scim_replace_group(
        &self,
        actor: &Actor,
        place: &Place,
        (id, if_match): (&str, Option<&str>),
        body: &Value,
    ) -> Result<Written, Refused> {
        let body = object(body)?;
        schema(body, GROUP)?;
        self.scim_change_group(actor, place, Asked { id, if_match }, |_| Wanted::read(body)).await
    }

    /// Changes parts of a group.
    ///
    /// # Errors
    /// As [`Self::scim_replace_group`], and what RFC 7644 §3.5.2 says of operations.
    pub async fn scim_patch_group(
        &self,
        actor: &Actor,
        place: &Place,
        (id, if_match): (&str, Option<&str>),
        body: &Value,
    ) -> Result<Written, Refused> {
        let body = object(body)?;
        let wanted = |now: &Value| {
            let mut resource = object(now)?.clone();
            patch::apply(&mut resource, &ATTRIBUTES, body)?;
            Wanted::read(&resource)
        };
        self.scim_change_group(actor, place, Asked { id, if_match }, wanted).await
    }

    async fn scim_change_group(
        &self,
        actor: &Actor,
        place: &Place,
        asked: Asked<'_>,
        wanted: impl Fn(&Value) -> Result<Wanted, Refused>,
    ) -> Result<Written, Refused> {
        let id = asked.id;
        for _ in 0..TRIES {
            let before = self.scim_kept_group(id).await?;
            let users = self.directory_accounts().await?;
            let members = of(&users, id);
            let shown = view(place, &before, Some(&members));
            let judged = matches(asked.if_match, &shown).and_then(|()| wanted(&shown));
            let wanted = match judged {
                Ok(wanted) => wanted,
                Err(refused) => {
                    return Err(self
                        .scim_refused(actor, code::GROUP_CHANGED, Some(id), refused)
                        .await);
                }
            };
            let is: BTreeSet<String> = members.iter().map(|it| it.id.clone()).collect();
            let joins = self.joining(&is, &wanted.members).await?;
            let leaves: Vec<String> = is.difference(&wanted.members).cloned().collect();
            self.movable(joins.iter().chain(&leaves)).await?;
            let after = DirectoryGroup {
                display: wanted.display,
                external_id: wanted.external_id,
                updated_at: self.parts.clock.now(),
                ..before.clone()
            };
            let event =
                self.act(actor, code::GROUP_CHANGED, Some(id), "group changed by the directory")?;
            if !self.parts.store.replace_directory_group(before, Some(after), event).await? {
                continue;
            }
            let seq = self.scim_members(actor, id, (&joins, &leaves)).await?;
            let resource = self.scim_group(place, id, &Query::default()).await?;
            return Ok(Written { resource, seq });
        }
        Err(PortError::Unavailable("the group keeps changing".to_owned()).into())
    }

    /// Deletes a group: first everybody leaves it.
    ///
    /// # Errors
    /// 404 and 412.
    pub async fn scim_delete_group(
        &self,
        actor: &Actor,
        place: &Place,
        (id, if_match): (&str, Option<&str>),
    ) -> Result<Written, Refused> {
        let group = self.scim_kept_group(id).await?;
        let users = self.directory_accounts().await?;
        let members = of(&users, id);
        matches(if_match, &view(place, &group, Some(&members)))?;
        let leaves: Vec<String> = members.iter().map(|it| it.id.clone()).collect();
        self.movable(leaves.iter()).await?;
        let seq = self.scim_members(actor, id, (&[], &leaves)).await?;
        let event =
            self.act(actor, code::GROUP_CHANGED, Some(id), "group deleted by the directory")?;
        match self.parts.store.replace_directory_group(group, None, event).await? {
            true => Ok(Written { resource: Value::Null, seq }),
            false => Err(Refused::new(412, "the group has changed since")),
        }
    }

    /// Who is new, each an account that there is.
    async fn joining(
        &self,
        is: &BTreeSet<String>,
        wanted: &BTreeSet<String>,
    ) -> Result<Vec<String>, Refused> {
        let joins: Vec<String> = wanted.difference(is).cloned().collect();
        if joins.len() > MEMBERS {
            return Err(too_many_members());
        }
        for id in &joins {
            let found = self.parts.store.user(id.clone()).await?;
            if found.filter(super::users::is_seen).is_none() {
                return Err(Refused::bad("invalidValue", "a member is no user"));
            }
        }
        Ok(joins)
    }

    /// That none of these stands in the configuration file, before anything is changed for them.
    async fn movable(&self, ids: impl Iterator<Item = &String>) -> Result<(), Refused> {
        for id in ids {
            if self.parts.store.user(id.clone()).await?.is_some_and(|it| it.declared.is_some()) {
                let told =
                    "a member stands in the gate's configuration file; change its groups there";
                return Err(Refused::new(403, told));
            }
        }
        Ok(())
    }

    /// Lets accounts into a group and out of it; tokens and sessions of each end, as with any change of roles.
    async fn scim_members(
        &self,
        actor: &Actor,
        name: &str,
        (joins, leaves): (&[String], &[String]),
    ) -> Result<Option<i64>, Refused> {
        // INVARIANT: nothing below gives or takes a role of this gate.
        if is_reserved(name) {
            return Err(Refused::new(403, "this name is a role of this gate"));
        }
        let mut seq = None;
        for (id, joins) in
            joins.iter().map(|it| (it, true)).chain(leaves.iter().map(|it| (it, false)))
        {
            let what = if joins { format!("joins {name}") } else { format!("leaves {name}") };
            let change = |user: &mut UserRecord| {
                user.roles.retain(|role| role != name);
                if joins {
                    if user.roles.len() >= crate::oauth::users::ROLES {
                        return Err(Error::invalid("role", "the account is in too many groups"));
                    }
                    user.roles.push(name.to_owned());
                    user.roles.sort_unstable();
                }
                Ok(())
            };
            seq = Some(self.change_user(actor, id, &what, change).await?.seq);
        }
        Ok(seq)
    }
}
