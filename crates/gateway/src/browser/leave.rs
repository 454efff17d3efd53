//! The way to the authority: who is sent there, and what is asked for on the way.
//!
//! INVARIANT: only what navigates is sent, never what changes something and never a script's request: these get the
//! refusal that everybody gets.

use super::site::{Cookie, Site, Whereabouts};
use crate::exchange::host;
use crate::head::{Known, RequestHead};
use crate::problem::Answer;
use crate::record::Draft;
use crate::serve::Connection;
use access::policy::SessionRule;
use access::schemes::session::visit::{self, Visit};
use access::{Denial, path};
use base::{Scheme, Secret, UnixMs, code, random_array};
use bytes::Bytes;
use protocol::b64;
use protocol::oauth::authorization_response::location;
use protocol::oauth::pkce;
use std::time::Duration;

/// Visits that one browser may have under way at a host. Each is a cookie of up to 3 KB, and a head of 32 KiB is all
/// that is read: whoever could make a browser begin more would shut its owner out for ten minutes.
const VISITS: usize = 4;

/// The answer that sends a browser to sign in in place of a refusal; `None` when the refusal stands.
pub(crate) fn leave(
    connection: &Connection,
    head: &RequestHead,
    denial: &Denial,
    draft: &Draft,
) -> Option<Answer> {
    let by_session = denial.who.as_ref().is_some_and(|who| who.scheme == Scheme::Session);
    if !(denial.code == code::CREDENTIAL_MISSING
        || (denial.code == code::STEP_UP_REQUIRED && by_session))
    {
        return None;
    }
    let route = draft.found()?;
    let (rule, limits) = (route.session()?, route.session_limits()?);
    if !navigates(head) {
        return None;
    }
    let gate = &connection.shard.gate;
    let policy = gate.snapshots.load().policy.clone();
    let host = host(connection, head).ok()?;
    let back = back(head)?;
    let site = match Site::of(connection, &policy.sessions, host) {
        Whereabouts::Here(site) => site,
        Whereabouts::Elsewhere(origin) => return Some(see_other(format!("{origin}{back}"))),
        Whereabouts::Nowhere => return None,
    };
    let now = gate.clock.now();
    let kept = site.read(head, Cookie::Session);
    let kept = kept.and_then(|value| gate.tools.sessions.open(value, &site.host));
    let ask = Ask {
        again: kept.is_some_and(|kept| kept.lay_idle(limits, now)),
        asked: asked(denial, rule),
        absolute: limits.absolute,
    };
    go(connection, head, &site, (ask, back), now)
}

/// What is asked of the sign-in.
struct Ask {
    /// From the beginning, since nobody was there for a while.
    again: bool,
    asked: access::mfa::Asked,
    /// It may be no older than the session could be.
    absolute: Duration,
}

fn asked(denial: &Denial, rule: &SessionRule) -> access::mfa::Asked {
    match (&denial.step_up, &rule.mfa) {
        (Some(asked), _) => (**asked).clone(),
        (None, Some(mfa)) => mfa.asked(),
        (None, None) => access::mfa::Asked { acr: None, max_age: None },
    }
}

fn go(
    connection: &Connection,
    head: &RequestHead,
    site: &Site,
    (ask, back): (Ask, String),
    now: UnixMs,
) -> Option<Answer> {
    let gate = &connection.shard.gate;
    // RFC 7636 §7.1: 256 bits.
    let verifier = b64::encode(random_array::<32>().ok()?);
    let nonce = b64::encode(random_array::<16>().ok()?);
    let visit = Visit {
        back: back.into(),
        verifier: Secret::new(verifier.clone()),
        nonce: nonce.as_str().into(),
        began_at: now,
    };
    let sent = visit.seal(&gate.tools.sessions, &site.host).ok()?;
    let (callback, challenge) = (site.callback(), pkce::challenge_s256(&verifier));
    let place = gate.sign_ins.place();
    let max_age = ask.asked.max_age.into_iter().chain([ask.absolute]).min();
    let max_age = max_age.unwrap_or(ask.absolute).as_secs().to_string();
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", &*place.client_id),
        ("redirect_uri", &callback),
        ("scope", "openid"),
        ("state", &sent.state),
        ("nonce", &nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("max_age", &max_age),
    ];
    if let Some(acr) = &ask.asked.acr {
        pairs.push(("acr_values", acr));
    }
    if ask.again {
        pairs.push(("prompt", "login"));
    }
    let mut answer = see_other(location(&place.authorize, &pairs));
    for mark in surplus(site, head, &gate.tools.sessions) {
        answer.headers.push(("set-cookie", site.clear(Cookie::Visit(mark))));
    }
    answer.headers.push(("set-cookie", site.set(Cookie::Visit(&sent.mark), &sent.value)));
    Some(answer)
}

/// The visits that go so that one more may come: what cannot be read first, then the oldest.
fn surplus<'r>(
    site: &Site,
    head: &'r RequestHead,
    sealer: &access::schemes::session::Sealer,
) -> Vec<&'r str> {
    let mut there: Vec<(UnixMs, &str)> = site
        .visits(head)
        .into_iter()
        .map(|(mark, value)| (visit::began(sealer, &site.host, value), mark))
        .map(|(began, mark)| (began.unwrap_or(UnixMs(i64::MIN)), mark))
        .collect();
    there.sort_unstable();
    let most = there.len().saturating_sub(VISITS - 1);
    there.into_iter().take(most).map(|(_, mark)| mark).collect()
}

/// Path and query as they were judged, to come back to.
fn back(head: &RequestHead) -> Option<String> {
    let mut back = path::canonical(head.path()).ok()?.into_owned();
    if let Some(query) = head.query() {
        back.push('?');
        back.push_str(std::str::from_utf8(query).ok()?);
    }
    Some(back)
}

/// Whether a person is looking at a page (Fetch Metadata §2.2); of a browser that does not say so, whether it asks for
/// one.
fn navigates(head: &RequestHead) -> bool {
    if !matches!(head.method, http::Method::GET | http::Method::HEAD) || head.upgrade.is_some() {
        return false;
    }
    let mut modes = head.headers.all(Known::SecFetchMode);
    match (modes.next(), modes.next()) {
        (Some(mode), None) => mode == b"navigate",
        (Some(_), Some(_)) => false,
        (None, _) => head.headers.all(Known::Accept).any(|it| {
            it.windows(b"text/html".len()).any(|part| part.eq_ignore_ascii_case(b"text/html"))
        }),
    }
}

/// RFC 9110 §15.4.4. Never kept: it is for this browser at this moment.
pub(super) fn see_other(to: String) -> Answer {
    let headers = vec![
        ("location", to),
        ("cache-control", "no-store".to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
    ];
    Answer { status: 303, headers, body: Bytes::new() }
}
