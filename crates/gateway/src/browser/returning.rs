//! Browsers that come back from the authority, and people who sign out.
//!
//! INVARIANT: nothing is asked of the authority for a browser that did not begin the visit it comes back from: what is
//! answered there is of no use in another (RFC 9700 §4.7).

use super::leave::see_other;
use super::site::{Cookie, Site};
use super::{Request, SIGN_OUT, SignInCode, SignInError, SignInKept, origin, page, session_of};
use crate::head::Known;
use crate::problem::Answer;
use crate::record::Draft;
use access::Denial;
use access::live::still_good;
use access::schemes::session::visit::{self, Visit};
use access::schemes::session::{FRESH, Limits, Origins, Session};
use base::limits::CREDENTIAL_BYTES;
use base::{Code, Phase, Secret, code};
use protocol::oauth::Params;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// How long the authority may take. A person waits, and the code that they brought lives a minute.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a session is judged by before it is given out: whether it is blocked or revoked, not its limits.
const NEW: Limits = Limits { idle: FRESH, absolute: Duration::MAX };

/// A refusal at one of the gate's addresses.
fn no(code: Code, why: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(code, Phase::Authenticate).detail(why)
}

/// What the authority said through the browser (RFC 6749 §4.1.2, RFC 9207 §2).
struct Brought {
    state: String,
    said: Said,
}

/// The code, or the error's name.
type Said = Result<Secret<String>, String>;

/// Takes what a browser brought back from the authority.
pub(super) async fn back(request: &Request<'_>, site: &Site, draft: &mut Draft) -> Answer {
    let brought = match brought(request) {
        Ok(brought) => brought,
        Err(denial) => return page::refused(draft, &denial),
    };
    let Some((mark, visit)) = visit(request, site, &brought.state) else {
        let why = "no visit of this browser has this state";
        return page::refused(draft, &no(code::SESSION_RETURN, why));
    };
    let begun = begin(request, site, draft, (brought.said, &visit)).await;
    let mut answer = match begun {
        Ok(cookie) => {
            let mut answer = see_other(visit.back.into());
            answer.headers.push(("set-cookie", cookie));
            answer
        }
        Err(denial) => page::refused(draft, &denial),
    };
    // Once: whatever came of it, the visit is over.
    answer.headers.push(("set-cookie", site.clear(Cookie::Visit(mark))));
    answer
}

fn brought(request: &Request<'_>) -> Result<Brought, Denial> {
    let query = request.head.query().unwrap_or_default();
    let refused = |why: &'static str| no(code::SESSION_RETURN, why);
    // RFC 6749 §3.1: no parameter twice.
    let params = Params::parse(query).map_err(|_| refused("the answer cannot be read"))?;
    let gate = &request.connection.shard.gate;
    // RFC 9207 §2.4: the answer of another issuer is refused.
    if params.get("iss") != Some(&*gate.sign_ins.place().issuer) {
        return Err(refused("RFC 9207 §2.4: iss is not the authority's"));
    }
    let state = params.get("state").ok_or_else(|| refused("state is missing"))?.to_owned();
    let said = match (params.get("code"), params.get("error")) {
        (Some(code), None) if code.len() <= CREDENTIAL_BYTES => Ok(Secret::new(code.to_owned())),
        (None, Some(error)) => Err(error.escape_default().take(64).collect()),
        _ => return Err(refused("neither a code nor an error")),
    };
    Ok(Brought { state, said })
}

/// The visit that this browser began with this `state`, and its mark.
fn visit<'s>(request: &Request<'_>, site: &Site, state: &'s str) -> Option<(&'s str, Visit)> {
    let gate = &request.connection.shard.gate;
    let mark = visit::mark(state)?;
    let value = site.read(request.head, Cookie::Visit(mark))?;
    let now = gate.clock.now();
    let visit = Visit::open(&gate.tools.sessions, &site.host, (state, value), now)?;
    Some((mark, visit))
}

/// Begins the session; the header that takes it to the browser.
async fn begin(
    request: &Request<'_>,
    site: &Site,
    draft: &mut Draft,
    (said, visit): (Said, &Visit),
) -> Result<String, Denial> {
    let gate = &request.connection.shard.gate;
    let refused = |why: String| no(code::SESSION_REFUSED, why);
    let code = said.map_err(|error| refused(format!("the authority said {error}")))?;
    // WHY before: see `renew`.
    let asked_at = gate.clock.now();
    let asking = gate.sign_ins.redeem(SignInCode {
        code,
        redirect_uri: site.callback(),
        verifier: visit.verifier.clone(),
        from: origin(request.head, draft, request.ip),
    });
    let late = |_| Err(SignInError::Unavailable(format!("no answer within {PATIENCE:?}")));
    let facts = tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(late);
    let facts = facts.map_err(|error| match error {
        SignInError::Refused(why) => refused(why),
        SignInError::Unavailable(why) => no(code::ISSUER_UNAVAILABLE, why),
    })?;
    // OpenID Connect Core §3.1.3.7 (11): the answer to this very request.
    if facts.nonce.as_deref() != Some(&*visit.nonce) {
        return Err(no(code::SESSION_RETURN, "nonce is not the visit's"));
    }
    let snapshot = gate.snapshots.load_full();
    let began_at = facts.authenticated_at.unwrap_or(asked_at).min(asked_at);
    let groups = &snapshot.policy.sessions.groups;
    let session = session_of(facts, (began_at, asked_at), gate.sign_ins.place(), groups);
    let who = Arc::new(session.credential(NEW));
    // WHY here: the next request would be refused, and one that is refused for want of a session leads back here.
    still_good(&who, snapshot.standing(gate.clock.now())).map_err(|code| {
        no(code::SESSION_REFUSED, format!("the session would be refused: {code}")).of(Some(&who))
    })?;
    let sealed = gate.tools.sessions.seal(&session, &site.host);
    let sealed = sealed.map_err(|error| refused(error.to_string()).of(Some(&who)))?;
    page::done(draft, Phase::Authenticate);
    draft.who(&who);
    draft.event.detail = Some("signed in".into());
    Ok(site.set(Cookie::Session, &sealed))
}

/// The session that the browser has, whether or not it is over.
fn kept(request: &Request<'_>, site: &Site) -> Option<Session> {
    let value = site.read(request.head, Cookie::Session)?;
    request.connection.shard.gate.tools.sessions.open(value, &site.host)
}

/// Shows the page for signing out.
pub(super) fn ask(request: &Request<'_>, site: &Site, draft: &mut Draft) -> Answer {
    page::done(draft, Phase::Route);
    match kept(request, site) {
        Some(_) => page::ask(),
        None => page::signed_out(),
    }
}

/// Signs out: here at once, and at the authority.
pub(super) async fn sign_out(request: &Request<'_>, site: &Site, draft: &mut Draft) -> Answer {
    let head = request.head;
    let sites: SmallVec<[&[u8]; 1]> = head.headers.all(Known::SecFetchSite).collect();
    let origins: SmallVec<[&[u8]; 1]> = head.headers.all(Known::Origin).collect();
    let came = Origins {
        method: head.method.as_str(),
        upgrade: head.upgrade.is_some(),
        sites: &sites,
        origins: &origins,
        own: &site.origin,
    };
    if !came.let_a_cookie_pass() {
        return page::refused(draft, &no(code::SESSION_CROSS_SITE, "signing out"));
    }
    if let Some(session) = kept(request, site) {
        let who = Arc::new(session.credential(NEW));
        if let Err(denial) = end(request, draft, &session).await {
            // The cookie stays: a session that may go on must not be out of its person's reach.
            return page::refused(draft, &denial.of(Some(&who)));
        }
        draft.who(&who);
    }
    page::done(draft, Phase::Authenticate);
    draft.event.detail = Some("signed out".into());
    let mut answer = see_other(SIGN_OUT.to_owned());
    answer.headers.push(("set-cookie", site.clear(Cookie::Session)));
    answer
}

async fn end(request: &Request<'_>, draft: &Draft, session: &Session) -> Result<(), Denial> {
    let gate = &request.connection.shard.gate;
    let from = origin(request.head, draft, request.ip);
    let asking = gate.sign_ins.end(SignInKept {
        renewal: session.renewal.0.clone(),
        from,
        asked_at: gate.clock.now(),
    });
    let late = |_| Err(SignInError::Unavailable(format!("no answer within {PATIENCE:?}")));
    match tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(late) {
        // What the authority does not know any more is over.
        Ok(()) | Err(SignInError::Refused(_)) => Ok(()),
        Err(SignInError::Unavailable(why)) => Err(no(code::ISSUER_UNAVAILABLE, why)),
    }
}
