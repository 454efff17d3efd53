//! SCIM 2.0 (RFC 7643, RFC 7644): a directory elsewhere keeps accounts and groups here.
//!
//! Owns: what a directory may read and change, in SCIM's shape; filters and PATCH.
//!
//! Never does: HTTP; set or show a password; give a role of this gate.
//!
//! Invariants:
//! - A directory never gives or takes [`RESERVED`] roles, and changes no account that holds one, beside its membership
//!   in other groups: whoever holds its token is not an administrator.
//! - An account that an administrator has closed is not opened by a directory.
//! - What closes an account ends its sessions and tokens in the same transaction.
//! - A deleted account stays as an empty, closed record, so that its id is never used again.
//! - Everything has a bound: [`MEMBERS`], [`SCANNED`], [`PAGE`], and those of filters and operations.

mod describe;
mod filter;
mod groups;
mod patch;
#[cfg(test)]
mod tests;
mod users;

pub use describe::{resource_types, schemas, service_provider_config};
pub use groups::{DirectoryGroup, DirectoryGroups};
pub(super) use users::{DELETED, EXTERNAL_ID_CHARS, is_seen};

use super::OAuth;
use super::ports::TextPage;
use super::records::UserRecord;
use crate::error::{Error, PortError};
use aws_lc_rs::digest::{SHA256, digest};
use base::UnixMs;
use filter::{Filter, member};
use serde_json::{Map, Value, json};

/// The scope of a directory. No person's role holds it: clients only, that an administrator has made for it.
pub const SCIM_SCOPE: &str = "admin:scim";
/// Where SCIM lies below the control address.
pub const SCIM_PATH: &str = "/scim/v2";
/// The roles that administer this gate; a directory neither gives nor takes them.
pub const RESERVED: [&str; 3] = ["administrator", "operator", "auditor"];
/// Members that one request may name: each that is new is one change of an account.
pub const MEMBERS: usize = 1000;
/// Accounts that are looked through for a listing or a group's members. Beyond, `userName eq` still finds one.
pub const SCANNED: usize = 20_000;
/// Resources of one page.
pub const PAGE: usize = 200;
/// Accounts that are read at a time while looking through them.
const AT_A_TIME: u32 = 500;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The schemas that may stand before an attribute.
const SCHEMAS: [&str; 2] = [USER, GROUP];

/// A refusal in SCIM's words (RFC 7644 §3.12).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {detail}")]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// RFC 7644 Table 9; `None` where that has no word.
    pub scim_type: Option<&'static str>,
    /// For people.
    pub detail: String,
}

impl Refused {
    /// A refusal without a word of its own.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into() }
    }

    fn bad(scim_type: &'static str, detail: impl Into<String>) -> Self {
        Self { status: 400, scim_type: Some(scim_type), detail: detail.into() }
    }

    fn of(what: &str) -> Self {
        Self::new(404, format!("there is no such {what}"))
    }

    /// Its body.
    pub fn body(&self) -> Value {
        // RFC 7644 §3.12: the status is a text.
        let mut body = json!({
            "schemas": [ERROR], "status": self.status.to_string(), "detail": self.detail,
        });
        if let (Some(word), Some(body)) = (self.scim_type, body.as_object_mut()) {
            body.insert("scimType".to_owned(), word.into());
        }
        body
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { .. } => Self::bad("invalidValue", error.to_string()),
            Error::NotFound { what, .. } => Self::of(what),
            Error::Store(error) => error.into(),
            Error::Busy(what) => Self::new(503, what),
            Error::Seal(_) | Error::Randomness(_) => Self::new(500, "something broke here"),
        }
    }
}

impl From<PortError> for Refused {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Conflict => Self {
                status: 409,
                scim_type: Some("uniqueness"),
                detail: "another resource has this name".to_owned(),
            },
            PortError::Unavailable(_) => Self::new(503, "the store is unavailable"),
            PortError::Uncertain(_) => Self::new(500, "the change may or may not have been made"),
            PortError::Corrupt(_) => Self::new(500, "something broke here"),
        }
    }
}

/// How resources are written: where they lie, and how a moment is spelled.
#[derive(Debug, Clone)]
pub struct Place {
    /// The URL of [`SCIM_PATH`], without slash at the end.
    pub base: String,
    /// A moment as RFC 3339.
    pub moment: fn(UnixMs) -> String,
}

/// A resource as it is answered, and the number of the change that must be in force first.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The resource; null where there is none any more.
    pub resource: Value,
    /// The change, if anything changed that the gate must know.
    pub seq: Option<i64>,
}

/// What of which resources is wanted (RFC 7644 §3.4.2, §3.9).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// `filter`.
    pub filter: Option<String>,
    /// `startIndex`, from one.
    pub start_index: Option<i64>,
    /// `count`.
    pub count: Option<i64>,
    /// `attributes`: only these.
    pub attributes: Vec<String>,
    /// `excludedAttributes`: not these.
    pub excluded: Vec<String>,
}

impl Query {
    /// Reads a search request (RFC 7644 §3.4.3).
    ///
    /// # Errors
    /// 400 when it is none.
    pub fn of_search(body: &Value) -> Result<Self, Refused> {
        let body = object(body)?;
        schema(body, SEARCH)?;
        let names = |name: &str| match member(body, name) {
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        Ok(Self {
            filter: member(body, "filter").and_then(Value::as_str).map(str::to_owned),
            start_index: member(body, "startIndex").and_then(Value::as_i64),
            count: member(body, "count").and_then(Value::as_i64),
            attributes: names("attributes"),
            excluded: names("excludedAttributes"),
        })
    }

    fn read_filter(&self) -> Result<Option<Filter>, Refused> {
        self.filter.as_deref().map(Filter::read).transpose()
    }

    /// Whether a top-level attribute is in the answer.
    fn wants(&self, name: &str) -> bool {
        let top = |path: &String| {
            let path = path.rsplit(':').next().unwrap_or(path);
            path.split('.').next().is_some_and(|it| it.eq_ignore_ascii_case(name))
        };
        let whole =
            |path: &String| path.rsplit(':').next().is_some_and(|it| it.eq_ignore_ascii_case(name));
        match self.attributes.is_empty() {
            true => !self.excluded.iter().any(whole),
            false => self.attributes.iter().any(top),
        }
    }

    /// Leaves out of a resource what is not wanted.
    pub fn project(&self, resource: &mut Value) {
        let Value::Object(resource) = resource else { return };
        // RFC 7643 §7: `id` is always returned; `schemas` says what the rest means.
        resource.retain(|name, _| name == "id" || name == "schemas" || self.wants(name));
        let paths = match self.attributes.is_empty() {
            true => &self.excluded,
            false => &self.attributes,
        };
        for path in paths {
            let path = path.rsplit(':').next().unwrap_or(path);
            let Some((top, sub)) = path.split_once('.') else { continue };
            let whole = paths.iter().any(|it| it.eq_ignore_ascii_case(top));
            for (name, value) in resource.iter_mut() {
                if name.eq_ignore_ascii_case(top) && !whole {
                    self.project_parts(value, (top, sub), paths);
                }
            }
        }
    }

    fn project_parts(&self, value: &mut Value, (top, sub): (&str, &str), paths: &[String]) {
        let named = |part: &str| {
            let full = format!("{top}.{part}");
            paths
                .iter()
                .any(|it| it.rsplit(':').next().is_some_and(|it| it.eq_ignore_ascii_case(&full)))
        };
        let keep = |part: &String| match self.attributes.is_empty() {
            true => !part.eq_ignore_ascii_case(sub),
            false => named(part),
        };
        match value {
            Value::Object(parts) => parts.retain(|part, _| keep(part)),
            Value::Array(items) => {
                for parts in items.iter_mut().filter_map(Value::as_object_mut) {
                    parts.retain(|part, _| keep(part));
                }
            }
            _ => {}
        }
    }

    /// The asked page of what was found.
    fn page(&self, found: Vec<Value>) -> Value {
        // RFC 7644 §3.4.2.4: less than one is one; a negative count is none.
        let start = usize::try_from(self.start_index.unwrap_or(1)).unwrap_or(1).max(1);
        let count = self.count.map_or(PAGE, |it| usize::try_from(it).unwrap_or(0)).min(PAGE);
        let total = found.len();
        let mut page: Vec<Value> = found.into_iter().skip(start - 1).take(count).collect();
        for resource in &mut page {
            self.project(resource);
        }
        list(page, (total, start))
    }
}

/// A list response of resources.
fn list(resources: Vec<Value>, (total, start): (usize, usize)) -> Value {
    json!({
        "schemas": [LIST], "totalResults": total, "startIndex": start,
        "itemsPerPage": resources.len(), "Resources": resources,
    })
}

/// The body as an object.
fn object(body: &Value) -> Result<&Map<String, Value>, Refused> {
    body.as_object().ok_or_else(|| Refused::bad("invalidSyntax", "the body must be an object"))
}

/// RFC 7644 §3.1: a body says what it is.
fn schema(body: &Map<String, Value>, wanted: &str) -> Result<(), Refused> {
    let named = |it: &Value| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case(wanted));
    match member(body, "schemas") {
        Some(Value::Array(schemas)) if schemas.iter().any(named) => Ok(()),
        _ => Err(Refused::bad("invalidSyntax", format!("schemas must name {wanted}"))),
    }
}

/// A directory never sets a password: it would know what only the person may know.
fn no_password(name: &str) -> Result<(), Refused> {
    match name.eq_ignore_ascii_case("password") {
        true => Err(Refused::bad("mutability", "passwords are not taken from directories")),
        false => Ok(()),
    }
}

fn too_many_members() -> Refused {
    Refused::new(413, format!("at most {MEMBERS} members may be named in one request"))
}

/// A text attribute: absent, null and empty are none.
fn text(
    body: &Map<String, Value>,
    (name, field): (&str, &'static str),
    chars: usize,
) -> Result<Option<String>, Refused> {
    match member(body, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(crate::text::optional_line(field, Some(text), chars)?),
        Some(_) => Err(Refused::bad("invalidValue", format!("{name} must be a text"))),
    }
}

/// RFC 7644 §3.14: the version of a resource, by everything in it.
fn version(resource: &Value) -> String {
    let text = resource.to_string();
    let hash = hex::encode(digest(&SHA256, text.as_bytes()));
    format!("W/\"{}\"", hash.get(..24).unwrap_or_default())
}

/// Completes a resource with its `meta`.
fn with_meta(
    place: &Place,
    mut resource: Value,
    (kind, folder, id): (&str, &str, &str),
    (created, changed): (UnixMs, UnixMs),
) -> Value {
    let mut meta = json!({
        "resourceType": kind,
        "created": (place.moment)(created),
        "lastModified": (place.moment)(changed),
        "location": format!("{}/{folder}/{id}", place.base),
    });
    if let Some(resource) = resource.as_object_mut() {
        resource.insert("meta".to_owned(), meta.clone());
    }
    let version = version(&resource);
    if let (Some(meta), Some(resource)) = (meta.as_object_mut(), resource.as_object_mut()) {
        meta.insert("version".to_owned(), version.into());
        resource.insert("meta".to_owned(), Value::Object(meta.clone()));
    }
    resource
}

/// RFC 7644 §3.14, RFC 9110 §13.1.1: whether what the client has seen is what there is.
fn matches(if_match: Option<&str>, resource: &Value) -> Result<(), Refused> {
    let Some(wanted) = if_match else { return Ok(()) };
    let own = resource.pointer("/meta/version").and_then(Value::as_str).unwrap_or_default();
    // Weak on purpose: what is compared is what both sides call the version.
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    match wanted.trim() == "*" || wanted.split(',').any(|it| plain(it) == plain(own)) {
        true => Ok(()),
        false => Err(Refused::new(412, "the resource has changed since")),
    }
}

/// The roles of an account that are groups.
fn groups_of(user: &UserRecord) -> impl Iterator<Item = &String> {
    user.roles.iter().filter(|role| !is_reserved(role))
}

/// Whether a name is one of [`RESERVED`], in any case.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|it| it.eq_ignore_ascii_case(name))
}

impl OAuth {
    /// All accounts that a directory sees.
    async fn directory_accounts(&self) -> Result<Vec<UserRecord>, Refused> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = TextPage { after, rows: AT_A_TIME };
            let users = self.parts.store.users(page).await?;
            let Some(last) = users.last() else { return Ok(all) };
            after = last.id.clone();
            all.extend(users.into_iter().filter(users::is_seen));
            if all.len() > SCANNED {
                let words = format!("there are more than {SCANNED} accounts; ask by userName");
                return Err(Refused::bad("tooMany", words));
            }
        }
    }
}
