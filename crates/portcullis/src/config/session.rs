//! `session`: browsers in which somebody has signed in.
//!
//! Invariant: where the file says that people may come with a browser, there is a place at which a browser can keep its
//! cookie, and an address that the authority may send it back to.

use super::Config;
use super::listener::Listener;
use super::mfa::{Mfa, read_mfa};
use super::problem::ProblemCode;
use super::reader::{At, Field, Reader};
use super::route::Route;
use super::rule::Rule;
use super::sign_in::read_groups;
use access::policy::Possession;
use access::schemes::session::FRESH;
use std::net::IpAddr;
use std::time::Duration;

/// How long a session may lie unused unless said otherwise.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long one lasts after the person signed in unless said otherwise.
const ABSOLUTE: Duration = Duration::from_secs(12 * 3600);
/// The longest of either: beyond this nothing is known of who sits there.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// The gate's own folder of hosts with sessions.
const OWN: &str = "/.portcullis";

/// What a browser's session must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRule {
    /// `groups`: one of them; sorted. Empty: everybody who can sign in.
    pub groups: Vec<String>,
    /// `idle`: how long it may lie unused. Default 30 minutes, at least 5.
    pub idle: Duration,
    /// `absolute`: how long after the person signed in it ends, whatever happens. Default 12 hours.
    pub absolute: Duration,
    /// `mfa`: how the person must have signed in.
    pub mfa: Option<Mfa>,
}

/// Reads `session` of an alternative.
pub(super) fn read_session(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<SessionRule> {
    let mut table = reader.table(field)?;
    let named = table.field("groups");
    let asks = named.is_some();
    let groups = named.and_then(|field| read_groups(reader, &field));
    let (idle_at, absolute_at) = (table.field("idle"), table.field("absolute"));
    // The authority is asked again that often; a shorter limit could not be told from it.
    let idle = idle_at.as_ref().map(|field| reader.duration(field, FRESH, LONGEST));
    let least = Duration::from_secs(60);
    let absolute = absolute_at.as_ref().map(|field| reader.duration(field, least, LONGEST));
    let mfa = table.field("mfa");
    let steps_up = mfa.is_some();
    let mfa = mfa.and_then(|field| read_mfa(reader, &field));
    let at = table.at.clone();
    table.finish(reader);
    if !asks {
        let message = "everybody who can sign in passes: no groups are asked for";
        reader.hinted(ProblemCode::NoScopes, &at, message, "add groups = [\"…\"]");
    }
    // INVARIANT: a rule that lost a part is not a rule; it could only be weaker.
    if (asks && groups.is_none()) || (steps_up && mfa.is_none()) {
        return None;
    }
    let absolute = absolute.unwrap_or(Some(ABSOLUTE))?;
    let idle = match idle {
        Some(idle) => idle?,
        None => IDLE.min(absolute),
    };
    if let Some(field) = idle_at.filter(|_| idle > absolute) {
        let message = "a session ends after `absolute` before it could lie idle for so long";
        reader.problem(ProblemCode::NoEffect, &field.at, message);
    }
    Some(SessionRule { groups: groups.unwrap_or_default(), idle, absolute, mfa })
}

impl Route {
    /// Whether an alternative takes browsers' sessions.
    pub fn takes_sessions(&self) -> bool {
        self.credential_rules().into_iter().any(|rule| matches!(rule, Rule::Session(_)))
    }
}

impl Listener {
    /// Whether a browser's cookie is safe here: over TLS, or where nobody else can listen.
    pub fn keeps_sessions(&self) -> bool {
        self.public_url.is_https() || self.public_url.is_loopback()
    }

    /// The same for a host that a route names, whatever the listener calls itself.
    pub fn keeps_sessions_of(&self, host: &str) -> bool {
        let own = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        self.public_url.is_https() || (own && self.public_url.is_loopback())
    }
}

/// Looks whether browsers can have sessions where routes take them.
pub(super) fn lint(reader: &mut Reader<'_>, config: &Config, (route, at): (&Route, &At)) {
    if !config.routes.iter().any(Route::takes_sessions) {
        return;
    }
    let rest = route.path.as_str().strip_prefix(OWN);
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        let message = format!("the gate itself answers at {OWN}/, where browsers sign in");
        reader.hinted(ProblemCode::Conflict, at, message, "choose another path");
    }
    if !route.takes_sessions() {
        return;
    }
    if route.dpop != Possession::Optional {
        let message = "a browser's session is bound to no key, and the route's `dpop` asks for one";
        reader.hinted(ProblemCode::Conflict, at, message, "give browsers a route of their own");
    }
    if let Some(host) = route.host.as_ref().filter(|it| it.exact().is_none()) {
        let message = format!("{host} is no host that a browser could be sent back to");
        let hint = "a session is for one host: write a route for each";
        reader.hinted(ProblemCode::Conflict, at, message, hint);
    }
    let host = route.host.as_ref().and_then(|it| it.exact());
    let kept =
        |it: &Listener| host.map_or_else(|| it.keeps_sessions(), |host| it.keeps_sessions_of(host));
    if !config.listeners.iter().any(kept) {
        let message = "no listener is reached over TLS, so no browser could keep a session";
        let hint = "add tls = { cert = \"…\", key = \"…\" } to a listener, or the `public_url` (https) \
                    of the proxy in front";
        reader.hinted(ProblemCode::FailOpen, at, message, hint);
    }
}
