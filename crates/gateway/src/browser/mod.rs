//! Browsers: where they have sessions, what they show of them, and the addresses that the gate keeps for them
//! (`docs/adr/0012-browsers-at-the-gate.md`).
//!
//! Owns: cookies on their way in and out, the way to the authority and back, signing out.
//!
//! Never does: decide who may pass, or know how the authority works; both are asked.
//!
//! INVARIANT: a browser is led to the authority or to a path of the same host, and nowhere else.
//! INVARIANT: a session is made only for who brought back the visit that this very browser began.

mod leave;
mod page;
mod port;
mod returning;
mod site;

pub(crate) use leave::leave;
pub use port::{
    SignInCode, SignInError, SignInFacts, SignInKept, SignInOrigin, SignInPlace, SignIns,
};
pub(crate) use site::is_own;
use site::{Cookie, Site, Whereabouts};

use crate::head::{Known, RequestHead};
use crate::problem::Answer;
use crate::record::Draft;
use crate::serve::Connection;
use crate::settings::Act;
use access::Denial;
use access::policy::Policy;
use access::schemes::Learnt;
use access::schemes::session::{Origins, Renewal, Session, Shown};
use base::{Phase, UnixMs, code};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// The folder of every host with sessions that is the gate's own.
pub(crate) const OWN: &str = "/.portcullis/";
/// Where the authority sends browsers back to.
pub const CALLBACK: &str = "/.portcullis/callback";
/// Where people sign out.
pub(crate) const SIGN_OUT: &str = "/.portcullis/sign-out";

/// Characters of the browser's name that are handed on; the authority keeps 200.
const AGENT_CHARS: usize = 200;

/// A request of a browser, as far as its addresses are concerned.
pub(crate) struct Request<'r> {
    pub(crate) connection: &'r Connection,
    pub(crate) head: &'r RequestHead,
    pub(crate) policy: &'r Policy<Act>,
    pub(crate) host: &'r str,
    /// The canonical path.
    pub(crate) path: &'r str,
    pub(crate) ip: IpAddr,
}

/// Answers at the gate's own addresses; `None` when the path is none of them. The record says how it went.
pub(crate) async fn answer(request: &Request<'_>, draft: &mut Draft) -> Option<Answer> {
    if request.policy.sessions.is_empty() || !request.path.starts_with(OWN) {
        return None;
    }
    let site = match Site::of(request.connection, &request.policy.sessions, request.host) {
        Whereabouts::Here(site) => site,
        Whereabouts::Elsewhere(_) | Whereabouts::Nowhere => {
            return Some(page::nothing(request, draft));
        }
    };
    let method = &request.head.method;
    let read = matches!(*method, http::Method::GET | http::Method::HEAD);
    Some(match request.path {
        CALLBACK if method == http::Method::GET => returning::back(request, &site, draft).await,
        SIGN_OUT if read => returning::ask(request, &site, draft),
        SIGN_OUT if method == http::Method::POST => {
            returning::sign_out(request, &site, draft).await
        }
        page::STYLE_PATH if read => page::style(draft),
        CALLBACK | SIGN_OUT | page::STYLE_PATH => page::wrong_method(request, draft),
        _ => page::nothing(request, draft),
    })
}

/// What a request shows of a session, while it is judged.
pub(crate) struct ShownSession<'r> {
    value: &'r [u8],
    site: Site,
    sites: SmallVec<[&'r [u8]; 1]>,
    origins: SmallVec<[&'r [u8]; 1]>,
    upgrade: bool,
}

impl<'r> ShownSession<'r> {
    /// Gathers it; `None` when there is no session cookie, or more than one.
    pub(crate) fn of(
        connection: &Connection,
        head: &'r RequestHead,
        policy: &Policy<Act>,
        host: &str,
    ) -> Option<Self> {
        let Whereabouts::Here(site) = Site::of(connection, &policy.sessions, host) else {
            return None;
        };
        let value = site.read(head, Cookie::Session)?;
        Some(Self {
            value,
            site,
            sites: head.headers.all(Known::SecFetchSite).collect(),
            origins: head.headers.all(Known::Origin).collect(),
            upgrade: head.upgrade.is_some(),
        })
    }

    pub(crate) fn borrow<'s>(&'s self, head: &'s RequestHead) -> Shown<'s> {
        Shown {
            value: self.value,
            host: &self.site.host,
            origins: Origins {
                method: head.method.as_str(),
                upgrade: self.upgrade,
                sites: &self.sites,
                origins: &self.origins,
                own: &self.site.origin,
            },
        }
    }

    /// The header that takes a renewed session to the browser, or takes away one that is over.
    pub(crate) fn set(&self, connection: &Connection, session: Option<&Session>) -> Option<String> {
        let Some(session) = session else { return Some(self.site.clear(Cookie::Session)) };
        let sealed = connection.shard.gate.tools.sessions.seal(session, &self.site.host).ok()?;
        Some(self.site.set(Cookie::Session, &sealed))
    }
}

/// Where a request comes from, for the authority's records.
pub(crate) fn origin(head: &RequestHead, draft: &Draft, ip: IpAddr) -> SignInOrigin {
    let agent = head.headers.first(Known::UserAgent).map(String::from_utf8_lossy);
    SignInOrigin {
        request_id: draft.id(),
        client_ip: ip,
        user_agent: agent.unwrap_or_default().chars().take(AGENT_CHARS).collect(),
    }
}

/// Asks the authority whether a session still stands.
///
/// # Errors
/// When it cannot be asked; nothing is known of the session then.
pub(crate) async fn renew(
    connection: &Connection,
    kept: &Session,
    from: SignInOrigin,
) -> Result<Learnt, Denial> {
    let gate = &connection.shard.gate;
    // WHY before: what the authority reads while we wait was true no later than this, so a revocation that comes
    // meanwhile is never older than the word that it ends.
    let asked_at = gate.clock.now();
    let renewal = kept.renewal.0.clone();
    // Who joins another's question gets that one's time: what it read may be older.
    match gate.sign_ins.renew(SignInKept { renewal, from, asked_at }).await {
        Ok((facts, asked_at)) => {
            let groups = gate.snapshots.load().policy.sessions.groups.clone();
            let fresh =
                session_of(facts, (kept.began_at, asked_at), gate.sign_ins.place(), &groups);
            Ok(Learnt::Session(Some(Arc::new(fresh))))
        }
        Err(SignInError::Refused(_)) => Ok(Learnt::Session(None)),
        Err(SignInError::Unavailable(why)) => {
            Err(Denial::new(code::ISSUER_UNAVAILABLE, Phase::Authenticate).detail(why))
        }
    }
}

/// A session of these facts. It remembers the groups that some rule asks for, and no others.
pub(crate) fn session_of(
    facts: SignInFacts,
    (began_at, vouched_at): (UnixMs, UnixMs),
    place: &SignInPlace,
    named: &[Box<str>],
) -> Session {
    let mut groups = facts.groups;
    groups.retain(|group| named.contains(group));
    Session {
        subject: facts.subject,
        client_id: place.client_id.clone(),
        id: facts.session,
        grant: facts.grant,
        groups,
        acr: facts.acr,
        authenticated_at: facts.authenticated_at,
        began_at,
        vouched_at,
        renewal: Renewal(facts.renewal),
    }
}
