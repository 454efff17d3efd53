//! Sessions of browsers: the sealed cookie, its limits, and who may use it (ADR 12).
//!
//! Owns what a cookie holds and when it counts. Never does: set one, or send anybody anywhere.
//!
//! INVARIANT: a cookie that cannot be opened, is another host's or is over counts as not presented, so a bad one is
//! never worse than none; one whose person is blocked is refused, since signing in again would not help. INVARIANT: what changes something passes by a cookie only from the same origin.

use super::{Context, Learnt, Lookup, Outcome, reject_known, reject_with};
use crate::credential::Credential;
use crate::live::still_good;
use crate::policy::Possession;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base::{Scheme, Secret, UnixMs, code};
use std::sync::Arc;
use std::time::Duration;

pub mod visit;

#[cfg(test)]
mod tests;

/// The cookie's name over HTTPS. RFC 6265bis §4.1.3.2: `__Host-` is for this host alone, and over HTTPS only.
pub const COOKIE: &str = "__Host-portcullis-session";
/// Its name where a listener that only this machine reaches speaks plain HTTP.
pub const PLAIN_COOKIE: &str = "portcullis-session";
/// How old the authority's word may be. Revocations are remembered for longer than this, so none is ever missed.
pub const FRESH: Duration = Duration::from_secs(300);
/// Bytes of a sealed cookie: browsers keep 4,096 with name and attributes (RFC 6265 §6.1).
pub const COOKIE_BYTES: usize = 3_800;
/// Groups of one session; more would not fit in a cookie.
pub const GROUPS: usize = 64;
/// What the key is derived for.
const KEY: &[u8] = b"portcullis browser cookies 1";
/// What a session is sealed as; another format is another purpose.
const SESSION: &[u8] = b"session 1";

/// What a cookie holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Who signed in.
    pub subject: Box<str>,
    /// The gate's own client at the authority.
    pub client_id: Box<str>,
    /// The login session (`sid`); it and the grant are what revocations name.
    pub id: Box<str>,
    /// The grant.
    pub grant: Box<str>,
    /// The person's groups; at most [`GROUPS`].
    pub groups: Vec<Box<str>>,
    /// How strongly they signed in.
    pub acr: Option<Box<str>>,
    /// When.
    pub authenticated_at: Option<UnixMs>,
    /// When the person signed in; the absolute limit counts from here.
    pub began_at: UnixMs,
    /// When the authority last vouched for it.
    pub vouched_at: UnixMs,
    /// By what it is asked again: the grant's refresh token.
    pub renewal: Renewal,
}

/// A refresh token.
#[derive(Debug, Clone)]
pub struct Renewal(pub Secret<String>);

impl PartialEq for Renewal {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.0.expose().as_bytes(), other.0.expose().as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(one, two).is_ok()
    }
}

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Without use; counted from the last renewal, so it is never below [`FRESH`].
    pub idle: Duration,
    /// Whatever happens.
    pub absolute: Duration,
}

impl Limits {
    /// The shorter of each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { idle: self.idle.min(other.idle), absolute: self.absolute.min(other.absolute) }
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its facts hold.
    Fresh,
    /// The authority must be asked before it counts.
    Stale,
    /// It is over, or from the future.
    Over,
}

impl Session {
    /// Where it stands at `now`.
    pub fn state(&self, limits: Limits, now: UnixMs) -> State {
        // A clock that went back, or another node's: what was vouched for later than now is not believed for longer.
        let ahead = now.plus(base::limits::CLOCK_SKEW);
        let idle = limits.idle.max(FRESH);
        if self.vouched_at > ahead
            || self.began_at > ahead
            || now >= self.began_at.plus(limits.absolute)
            || now >= self.vouched_at.plus(idle)
        {
            State::Over
        } else if now >= self.vouched_at.plus(FRESH) {
            State::Stale
        } else {
            State::Fresh
        }
    }

    /// Whether it is over for want of use, and for nothing else.
    pub fn lay_idle(&self, limits: Limits, now: UnixMs) -> bool {
        let longest = Limits { idle: Duration::MAX, ..limits };
        self.state(limits, now) == State::Over && self.state(longest, now) != State::Over
    }

    /// The credential that it is while it is fresh.
    pub fn credential(&self, limits: Limits) -> Credential {
        let mut claims = serde_json::Map::new();
        let groups = self.groups.iter().map(|it| serde_json::Value::from(&**it)).collect();
        claims.insert("groups".to_owned(), serde_json::Value::Array(groups));
        let end = self.vouched_at.plus(FRESH).min(self.began_at.plus(limits.absolute));
        Credential {
            scheme: Scheme::Session,
            // What the authority revokes by subject, client and grant reaches it like a token.
            issuer: Some("self".into()),
            subject: (*self.subject).into(),
            client_id: Some((*self.client_id).into()),
            id: (*self.id).into(),
            id_is_jti: false,
            grant: Some((*self.grant).into()),
            lineage: Vec::new(),
            key: None,
            scopes: Default::default(),
            audiences: Vec::new(),
            claims,
            issued_at: Some(self.vouched_at),
            not_before: None,
            expires_at: Some(end),
            acr: self.acr.clone(),
            authenticated_at: self.authenticated_at,
            routes: Vec::new(),
        }
    }
}

/// Seals and opens cookies. One an installation: nodes that share a pepper share sessions.
#[derive(Clone)]
pub struct Sealer(Arc<RandomizedNonceKey>);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// A session that cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It does not fit in a cookie.
    #[error("the session does not fit in a cookie")]
    TooLarge,
    /// The cipher refused; a bug.
    #[error("the cipher failed")]
    Cipher,
}

impl Sealer {
    /// With a key derived from the installation's pepper.
    ///
    /// # Errors
    /// When the cipher refuses the key.
    pub fn new(pepper: &Secret<[u8; 32]>) -> Result<Self, SealError> {
        // NIST SP 800-108r1 §4.1 with one block: HMAC as the pseudorandom function over the purpose.
        let root = hmac::Key::new(hmac::HMAC_SHA256, pepper.expose());
        let derived = hmac::sign(&root, KEY);
        let key = RandomizedNonceKey::new(&AES_256_GCM, derived.as_ref());
        key.map(|key| Self(Arc::new(key))).map_err(|_| SealError::Cipher)
    }

    /// A cookie's value for `host`, without port.
    ///
    /// # Errors
    /// [`SealError::TooLarge`] when a browser would not keep it.
    pub fn seal(&self, session: &Session, host: &str) -> Result<String, SealError> {
        self.close(SESSION, host, wire::write(session).ok_or(SealError::TooLarge)?)
    }

    /// The session that a cookie's value holds, if it was sealed for `host`.
    pub fn open(&self, value: &[u8], host: &str) -> Option<Session> {
        wire::read(&self.unclose(SESSION, host, value)?)
    }

    fn close(&self, what: &[u8], host: &str, mut text: Vec<u8>) -> Result<String, SealError> {
        let nonce = self.0.seal_in_place_append_tag(Aad::from(bound(what, host)), &mut text);
        let nonce = nonce.map_err(|_| SealError::Cipher)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        let value = protocol::b64::encode(sealed);
        if value.len() <= COOKIE_BYTES { Ok(value) } else { Err(SealError::TooLarge) }
    }

    fn unclose(&self, what: &[u8], host: &str, value: &[u8]) -> Option<Vec<u8>> {
        if value.len() > COOKIE_BYTES {
            return None;
        }
        let sealed = protocol::b64::decode(value).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(bound(what, host)), &mut text).ok()?;
        Some(plain.to_vec())
    }
}

/// The associated data: a cookie that moved to another host, or is passed off as another kind, is none.
fn bound(what: &[u8], host: &str) -> Vec<u8> {
    [what, host.to_ascii_lowercase().as_bytes()].join(&0)
}

/// How a request came about, as far as the browser says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origins<'a> {
    /// The method.
    pub method: &'a str,
    /// Whether it asks for another protocol (a WebSocket).
    pub upgrade: bool,
    /// The values of all `Sec-Fetch-Site` headers.
    pub sites: &'a [&'a [u8]],
    /// The values of all `Origin` headers.
    pub origins: &'a [&'a [u8]],
    /// The origin that browsers know this host by.
    pub own: &'a str,
}

impl Origins<'_> {
    /// Whether a cookie may carry the request: it changes nothing, or comes from our own pages.
    ///
    /// WHY a WebSocket counts as a change: it is a GET that other sites may make with the cookie where `SameSite` is not
    /// honoured, and that then does whatever the upstream takes.
    pub fn let_a_cookie_pass(&self) -> bool {
        // RFC 9110 §9.2.1: safe methods; TRACE never gets here.
        if !self.upgrade && matches!(self.method, "GET" | "HEAD" | "OPTIONS") {
            return true;
        }
        // Fetch §3.2: where there is an origin, it is ours; `null` and several are nobody's.
        let origin = match self.origins {
            [] => None,
            [one] => Some(*one == self.own.as_bytes()),
            _ => Some(false),
        };
        // Fetch Metadata §2.3. `same-site` is a neighbour, `none` is nobody's page.
        let site = match self.sites {
            [] => None,
            [one] => Some(*one == b"same-origin"),
            _ => Some(false),
        };
        match (site, origin) {
            (Some(site), origin) => site && origin != Some(false),
            (None, origin) => origin == Some(true),
        }
    }
}

/// What a request shows of a session.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The one cookie's value.
    pub value: &'a [u8],
    /// The host that its session was sealed for.
    pub host: &'a str,
    /// How the request came about.
    pub origins: Origins<'a>,
}

/// Judges the cookie. `alone`: nothing else that is good came with it.
pub fn authenticate<A>(ctx: &Context<'_, A>, shown: Shown<'_>, alone: bool) -> Outcome {
    // A cookie is bound to no key.
    if ctx.route.dpop != Possession::Optional {
        return Outcome::NotPresented;
    }
    let Some(limits) = ctx.route.session_limits() else { return Outcome::NotPresented };
    let Some(kept) = ctx.tools.sessions.open(shown.value, shown.host) else {
        return Outcome::NotPresented;
    };
    let state = kept.state(limits, ctx.now);
    if state == State::Over {
        return Outcome::NotPresented;
    }
    if !shown.origins.let_a_cookie_pass() {
        let who = Arc::new(kept.credential(limits));
        return match alone {
            true => reject_known(code::SESSION_CROSS_SITE, &who),
            false => Outcome::NotPresented,
        };
    }
    if state == State::Fresh {
        return stands(ctx, &kept, limits);
    }
    match ctx.asking.learnt {
        Some(Learnt::Session(None)) => Outcome::NotPresented,
        Some(Learnt::Session(Some(renewed))) if renewed.grant == kept.grant => {
            match renewed.state(limits, ctx.now) {
                State::Fresh => stands(ctx, renewed, limits),
                State::Stale | State::Over => Outcome::NotPresented,
            }
        }
        _ if ctx.asking.may_ask => Outcome::Need(Lookup::Session(Arc::new(kept))),
        _ => reject_with(code::ISSUER_UNAVAILABLE, "the session could not be renewed"),
    }
}

/// What may have changed since the authority vouched for it.
fn stands<A>(ctx: &Context<'_, A>, session: &Session, limits: Limits) -> Outcome {
    let credential = Arc::new(session.credential(limits));
    match still_good(&credential, ctx.snapshot.standing(ctx.now)) {
        Ok(()) => Outcome::Accepted(credential),
        // WHY refused: the authority knows nothing of blocks, and would send the browser back and forth for ever.
        Err(_) if ctx.snapshot.blocks.refuses(&credential, ctx.now).is_some() => {
            reject_known(code::TOKEN_REVOKED, &credential)
        }
        Err(_) => Outcome::NotPresented,
    }
}

/// The value of our own cookie in the values of all `Cookie` headers.
///
/// Several are nobody's: one of them may have been put there by a neighbour (RFC 6265bis §8.6).
pub fn cookie<'h>(headers: impl Iterator<Item = &'h [u8]>, name: &str) -> Option<&'h [u8]> {
    let pairs = headers.flat_map(|it| it.split(|c| *c == b';')).map(<[u8]>::trim_ascii);
    let mut values =
        pairs.filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

mod wire {
    //! What is sealed: JSON with short names, since a cookie is small.

    use super::{GROUPS, Renewal, Session};
    use base::{Secret, UnixMs};
    use serde_json::{Map, Value, json};

    pub(super) fn write(session: &Session) -> Option<Vec<u8>> {
        if session.groups.len() > GROUPS {
            return None;
        }
        let groups: Vec<&str> = session.groups.iter().map(|it| &**it).collect();
        let value = json!({
            "u": &*session.subject,
            "c": &*session.client_id,
            "i": &*session.id,
            "g": &*session.grant,
            "m": groups,
            "a": session.acr.as_deref(),
            "t": session.authenticated_at.map(|at| at.0),
            "b": session.began_at.0,
            "v": session.vouched_at.0,
            "r": session.renewal.0.expose(),
        });
        serde_json::to_vec(&value).ok()
    }

    pub(super) fn read(plain: &[u8]) -> Option<Session> {
        let value: Map<String, Value> = serde_json::from_slice(plain).ok()?;
        let text = |name: &str| value.get(name)?.as_str().map(Box::<str>::from);
        let time = |name: &str| value.get(name)?.as_i64().map(UnixMs);
        let groups = value.get("m")?.as_array()?;
        let groups = groups.iter().map(|it| it.as_str().map(Into::into));
        Some(Session {
            subject: text("u")?,
            client_id: text("c")?,
            id: text("i")?,
            grant: text("g")?,
            groups: groups.collect::<Option<_>>()?,
            acr: text("a"),
            authenticated_at: time("t"),
            began_at: time("b")?,
            vouched_at: time("v")?,
            renewal: Renewal(Secret::new(text("r")?.into())),
        })
    }
}
