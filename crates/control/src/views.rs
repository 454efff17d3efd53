//! The shapes of the API: what comes in and what goes out, as JSON.

use crate::time::rfc3339;
use base::{Event, Secret, UnixMs, code};
use serde::{Deserialize, Serialize, Serializer};

fn moment<S: Serializer>(at: &UnixMs, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*at))
}

fn moment_or_null<S: Serializer>(at: &Option<UnixMs>, to: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(to)
}

/// The one place where a secret leaves: the answer to whoever made it.
fn once<S: Serializer>(secret: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

/// What a new key shall be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// How long it lives; 90 days unless said.
    pub expires_in_seconds: Option<u64>,
    /// The environment's word in the key's text.
    pub env: Option<String>,
    /// The routes that it is limited to; all unless said.
    pub routes: Option<Vec<String>>,
}

/// A new key with its text, which is shown now and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreatedKeyView {
    /// The public part.
    pub id: String,
    /// The whole text.
    #[serde(serialize_with = "once")]
    pub key: Secret<String>,
    /// As they are kept.
    pub scopes: Vec<String>,
    /// When it ends.
    #[serde(serialize_with = "moment_or_null")]
    pub expires_at: Option<UnixMs>,
}

/// A key as lists show it, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// The public part.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The environment's word in its text.
    pub env: String,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// The routes that it is limited to.
    pub routes: Option<Vec<String>>,
    /// When it was made.
    #[serde(serialize_with = "moment")]
    pub created_at: UnixMs,
    /// The principal that made it.
    pub created_by: String,
    /// When it ends.
    #[serde(serialize_with = "moment_or_null")]
    pub expires_at: Option<UnixMs>,
    /// When it was revoked.
    #[serde(serialize_with = "moment_or_null")]
    pub revoked_at: Option<UnixMs>,
    /// Why it was revoked.
    pub revoked_reason: Option<String>,
}

/// Why a key is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// In a few words.
    pub reason: Option<String>,
}

/// What a block refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Every credential of a subject.
    Subject,
    /// Every credential of a client.
    Client,
    /// One token, by its `jti` or keyed hash.
    Token,
}

/// What shall be blocked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBlock {
    /// What `value` is.
    pub kind: BlockKind,
    /// The subject, client id or token id.
    pub value: String,
    /// The issuer's configured name; every issuer unless said.
    pub issuer: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// How long it holds; until it is lifted unless said.
    pub expires_in_seconds: Option<u64>,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockView {
    /// Its id.
    pub id: String,
    /// What `value` is.
    pub kind: BlockKind,
    /// The subject, client id or token id.
    pub value: String,
    /// The issuer that it is limited to.
    pub issuer: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it was set.
    #[serde(serialize_with = "moment")]
    pub created_at: UnixMs,
    /// The principal that set it.
    pub created_by: String,
    /// Until when it holds.
    #[serde(serialize_with = "moment_or_null")]
    pub expires_at: Option<UnixMs>,
}

/// Which addresses shall be let in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewIpEntry {
    /// An address or a network.
    pub address: String,
    /// The name of the list.
    pub list: String,
    /// How long.
    pub expires_in_seconds: u64,
    /// Why.
    pub note: Option<String>,
}

/// An address entry that was made at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IpEntryView {
    /// Its id.
    pub id: String,
    /// The network.
    pub address: String,
    /// The name of the list.
    pub list: String,
    /// Why.
    pub note: Option<String>,
    /// When it was made.
    #[serde(serialize_with = "moment")]
    pub created_at: UnixMs,
    /// The principal that made it.
    pub created_by: String,
    /// The account whose own address it is; null where an administrator let it in.
    pub owner: Option<String>,
    /// Until when it holds.
    #[serde(serialize_with = "moment")]
    pub expires_at: UnixMs,
}

/// What the lists say of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IpTestView {
    /// The address, IPv4-mapped IPv6 as IPv4.
    pub address: String,
    /// Each list that was asked.
    pub lists: Vec<IpVerdict>,
}

/// What one list says of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IpVerdict {
    /// The list's name.
    pub list: String,
    /// `allow`, `deny`, or `none` where no rule matches.
    pub verdict: &'static str,
    /// The rule that decides: a network, or `dns:name`.
    pub rule: Option<String>,
    /// Where the rule comes from: `file`, `dns`, `entry`.
    pub source: Option<&'static str>,
}

/// What happened to one request, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainView {
    /// The request.
    pub request_id: String,
    /// When.
    pub time: String,
    /// The route's name.
    pub route: Option<String>,
    /// `allow`, `deny`, `error`.
    pub outcome: &'static str,
    /// The phase that decided.
    pub phase: Option<&'static str>,
    /// The stable code.
    pub code: String,
    /// What the code means.
    pub reason: String,
    /// What to do.
    pub fix: String,
    /// The rule, claim, list or upstream in question.
    pub detail: Option<String>,
    /// The subject.
    pub principal: Option<String>,
    /// The true client address.
    pub client_ip: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The canonical path.
    pub path: Option<String>,
    /// The status answered; 0 where none was.
    pub status: u16,
    /// How many folded denials the record stands for, else 1.
    pub count: u32,
}

impl ExplainView {
    /// From the record of the request `request_id`.
    pub fn of(request_id: String, event: &Event) -> Self {
        let info = event.code.info();
        let detail = event.detail.as_deref();
        let refused =
            (event.code == code::OAUTH_REFUSED).then(|| crate::advice::refusal(detail?)).flatten();
        let (mut reason, fix) = match refused {
            Some((rule, fix)) => (rule.to_owned(), fix),
            None => (
                info.map_or("This version does not know the code.", |it| it.reason).to_owned(),
                info.map_or("Look at the release that wrote it.", |it| it.fix),
            ),
        };
        if event.count > 1 {
            reason.push_str(&format!(
                " The record is folded: it stands for {} denials alike, of which this was one.",
                event.count
            ));
        }
        Self {
            request_id,
            time: rfc3339(event.time),
            route: event.route.as_deref().map(str::to_owned),
            outcome: event.outcome.as_str(),
            phase: event.phase.map(|it| it.as_str()),
            code: event.code.as_str().to_owned(),
            reason,
            fix: fix.to_owned(),
            detail: event.detail.as_deref().map(str::to_owned),
            principal: event.principal.as_deref().map(str::to_owned),
            client_ip: event.client_ip.map(|it| it.to_string()),
            method: event.method.as_deref().map(str::to_owned),
            path: event.path.as_deref().map(str::to_owned),
            status: event.status,
            count: event.count,
        }
    }
}

/// One event, by the columns of the table `events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// When.
    pub time: String,
    /// The request, when there is one.
    pub request_id: Option<String>,
    /// Which node.
    pub node: String,
    /// What sort of row.
    pub kind: &'static str,
    /// How it ended.
    pub outcome: &'static str,
    /// The stable code.
    pub code: String,
    /// The phase that decided.
    pub phase: Option<&'static str>,
    /// The route's name.
    pub route: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The host asked for.
    pub host: Option<String>,
    /// The canonical path.
    pub path: Option<String>,
    /// The true client address.
    pub client_ip: Option<String>,
    /// The subject.
    pub principal: Option<String>,
    /// The OAuth client.
    pub client_id: Option<String>,
    /// The key's id, or the token's.
    pub credential_id: Option<String>,
    /// The issuer's configured name.
    pub issuer: Option<String>,
    /// How the principal proved itself.
    pub scheme: Option<&'static str>,
    /// The status answered.
    pub status: u16,
    /// Microseconds in all.
    pub latency_us: u32,
    /// Microseconds of the upstream.
    pub upstream_us: u32,
    /// Body bytes from the caller.
    pub bytes_in: u64,
    /// Body bytes to the caller.
    pub bytes_out: u64,
    /// How many folded denials the row stands for.
    pub count: u32,
    /// The rule, claim, list or upstream in question.
    pub detail: Option<String>,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            time: rfc3339(event.time),
            request_id: event.request_id.map(|it| it.to_string()),
            node: event.node.to_string(),
            kind: event.kind.as_str(),
            outcome: event.outcome.as_str(),
            code: event.code.as_str().to_owned(),
            phase: event.phase.map(|it| it.as_str()),
            route: owned(event.route.as_deref()),
            method: owned(event.method.as_deref()),
            host: owned(event.host.as_deref()),
            path: owned(event.path.as_deref()),
            client_ip: event.client_ip.map(|it| it.to_string()),
            principal: owned(event.principal.as_deref()),
            client_id: owned(event.client_id.as_deref()),
            credential_id: owned(event.credential_id.as_deref()),
            issuer: owned(event.issuer.as_deref()),
            scheme: event.scheme.map(|it| it.as_str()),
            status: event.status,
            latency_us: event.latency_us,
            upstream_us: event.upstream_us,
            bytes_in: event.bytes_in,
            bytes_out: event.bytes_out,
            count: event.count,
            detail: owned(event.detail.as_deref()),
        }
    }
}
