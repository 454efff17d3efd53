//! One request, from its head to its record: the nine phases in order.
//!
//! `docs/life-of-a-request.md` describes each.

use crate::act::{self, Open};
use crate::body::Source;
use crate::browser;
use crate::caller::{Caller, HeadOut};
use crate::cors;
use crate::head::{Known, RequestHead};
use crate::lookup::LookupError;
use crate::metadata;
use crate::presented::{Shown, presented};
use crate::problem::{self, Answer, Told};
use crate::record::Draft;
use crate::serve::Connection;
use crate::settings::{Act, ProxyHeader};
use access::judge::{Admitted, Judge, NoRoute, Permit, Step};
use access::policy::{Policy, Possession};
use access::schemes::{self, Asking, Learnt, Lookup, Presented, opaque};
use access::{Denial, Snapshot, address, path};
use base::{Monotonic, Phase, Secret, UnixMs, code};
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Look-ups that one request may cause (design: asked again at most twice).
const LOOKUPS: usize = 2;

/// How long a request waits for what it had looked up, over all its look-ups. WHY: an issuer that is slow must not hold
/// its callers, and their connections, for as long as a fetch may take; the fetch goes on and serves the next request.
const LOOKUP_WAIT: Duration = Duration::from_secs(3);

/// How long a caller may take to make room for an answer of our own, of a kilobyte or so. WHY: one who never reads
/// would hold his connection for ever, and what he was refused would not be recorded.
const ANSWER: Duration = Duration::from_secs(5);

/// What judging came to.
pub(crate) enum Judged {
    /// It may pass.
    Forward(Box<Forward>),
    /// It is answered here: a preflight, or metadata.
    Answered(Answer),
    /// The same, to a browser; the record says already how it went.
    Told(Answer),
    /// It may not.
    Denied(Denied),
}

/// Leave to forward, and what was learnt on the way.
pub(crate) struct Forward {
    pub(crate) permit: Permit<Act>,
    pub(crate) path: Box<str>,
    pub(crate) ip: IpAddr,
    /// The session's cookie as it was renewed, for the answer.
    pub(crate) cookie: Option<String>,
}

/// A refusal and what goes with it.
pub(crate) struct Denied {
    denial: Denial,
    allow: Option<String>,
    cors: Vec<(&'static str, String)>,
}

impl From<Denial> for Denied {
    fn from(denial: Denial) -> Self {
        Self { denial, allow: None, cors: Vec::new() }
    }
}

impl From<Box<Denied>> for Denied {
    fn from(denied: Box<Denied>) -> Self {
        *denied
    }
}

/// RFC 9449 §8.1, as it goes out.
pub(crate) const NONCE: &str = "dpop-nonce";

/// Runs one request. Returns whether the connection may carry another.
pub(crate) async fn run(
    connection: &Connection,
    head: RequestHead,
    mut source: Source<'_>,
    mut caller: Caller<'_>,
) -> bool {
    let shard = &connection.shard;
    let now = shard.gate.clock.now();
    let started = shard.gate.clock.monotonic();
    let id = shard.ids.next(now);
    let mut draft = Draft::new(shard, id, now, started);
    draft.event.method = Some(method_text(&head.method));
    draft.event.trace_id = trace_id(&head);
    caller.head_only = head.method == http::Method::HEAD;
    match judge(connection, &head, &mut draft, (now, started)).await {
        Judged::Forward(forward) => {
            act::forward(connection, *forward, head, Open { draft, source, caller }).await
        }
        Judged::Answered(answer) => {
            draft.event.code = code::OK;
            draft.event.outcome = base::Outcome::Allow;
            draft.event.phase = Some(Phase::Route);
            finish(draft, answer, &mut source, &mut caller).await
        }
        Judged::Told(answer) => finish(draft, answer, &mut source, &mut caller).await,
        Judged::Denied(denied) => {
            draft.denial(&denied.denial);
            if let Some(answer) = browser::leave(connection, &head, &denied.denial, &draft) {
                draft.sent_to_sign_in();
                return finish(draft, answer, &mut source, &mut caller).await;
            }
            let told = Told {
                allow: denied.allow.as_deref(),
                route: draft.found(),
                dpop: head.headers.first(Known::Authorization).is_some_and(schemes::is_dpop),
            };
            let mut answer = problem::answer(&denied.denial, id, told);
            answer.headers.extend(denied.cors);
            answer.headers.extend(nonce(connection, &draft, &head).map(|it| (NONCE, it)));
            finish(draft, answer, &mut source, &mut caller).await
        }
    }
}

/// The nonce for the caller's next proof, where the route asks for one (RFC 9449 §8.2, §9).
pub(crate) fn nonce(connection: &Connection, draft: &Draft, head: &RequestHead) -> Option<String> {
    let asked = draft.found().is_some_and(|route| route.dpop == Possession::Nonce);
    if !asked || !head.headers.first(Known::Authorization).is_some_and(schemes::is_dpop) {
        return None;
    }
    let gate = &connection.shard.gate;
    Some(gate.tools.nonces.current(gate.clock.now()))
}

/// Sends an answer of our own and records it.
pub(crate) async fn finish(
    mut draft: Draft,
    answer: Answer,
    source: &mut Source<'_>,
    caller: &mut Caller<'_>,
) -> bool {
    // A body that nobody read stands before the next request: the connection ends instead.
    if !source.is_done() {
        caller.keep_alive = false;
    }
    let id = draft.id().text();
    let date = draft.date();
    let mut fill = |out: &mut HeadOut<'_>| {
        out.put(b"date", &date);
        out.put(b"x-request-id", &id);
    };
    let answering = tokio::time::timeout(ANSWER, caller.answer(&answer, &mut fill)).await;
    let sent = answering.unwrap_or_else(|_| Err("nobody reads the answer".to_owned()));
    draft.event.bytes_out = answer.body.len() as u64;
    draft.finish(answer.status);
    if sent.is_ok() && !source.is_done() {
        source.linger().await;
    }
    sent.is_ok() && caller.keep_alive
}

/// A refusal after judging: from the phase Act.
pub(crate) async fn refuse(
    mut draft: Draft,
    denial: Denial,
    source: &mut Source<'_>,
    caller: &mut Caller<'_>,
) -> bool {
    draft.denial(&denial);
    let told = Told { route: draft.found(), ..Told::default() };
    let answer = problem::answer(&denial, draft.id(), told);
    finish(draft, answer, source, caller).await
}

/// Phases Accept to Spend.
async fn judge(
    connection: &Connection,
    head: &RequestHead,
    draft: &mut Draft,
    clocks: (UnixMs, Monotonic),
) -> Judged {
    match try_judge(connection, head, draft, clocks).await {
        Ok(judged) => judged,
        Err(denied) => Judged::Denied(denied),
    }
}

async fn try_judge(
    connection: &Connection,
    head: &RequestHead,
    draft: &mut Draft,
    (now, monotonic): (UnixMs, Monotonic),
) -> Result<Judged, Denied> {
    let shard = &connection.shard;
    let snapshot = shard.gate.snapshots.load_full();
    let ip = accept(connection, head)?;
    draft.caller(ip);
    if snapshot.stale {
        return Err(Denial::new(code::STATE_STALE, Phase::Accept).into());
    }
    let host = host(connection, head)?;
    let path = path::canonical(head.path())
        .map_err(|doubt| Denial::new(code::PATH_AMBIGUOUS, Phase::Route).detail(doubt.as_str()))?;
    draft.event.host = Some(host.into());
    credentials_in_url(&path, head.query())?;
    draft.event.path = Some(path::without_tokens(&path).into());
    if let Some(answer) = metadata::answer(&snapshot.policy.resources, head, host, &path) {
        return answer.map(Judged::Answered).map_err(not_metadata);
    }
    if path.starts_with(browser::OWN) {
        let policy = &snapshot.policy;
        let request = browser::Request { connection, head, policy, host, path: &path, ip };
        // WHY: boxed, since hardly any request is one of these.
        if let Some(answer) = Box::pin(browser::answer(&request, draft)).await {
            return Ok(Judged::Told(answer));
        }
    }
    let judge = Judge {
        snapshot: &snapshot,
        tools: &shard.gate.tools,
        cache: &shard.cache,
        now,
        monotonic,
    };
    if cors::is_preflight(head)
        && let Some(answer) = preflight(&judge, head, host, &path, draft)
    {
        return answer;
    }
    let place = Place { head, host, path: &path, ip };
    let (admitted, cors) = place.admit(connection, &judge, draft)?;
    let with_cors = |denial: Denial| Denied { denial, allow: None, cors: cors.clone() };
    let shown = Shown::of(connection, head, (host, &path), (&admitted, &snapshot.policy));
    let presented = presented(head, &shown).map_err(with_cors)?;
    let asking = Asking { may_ask: true, learnt: None };
    let step = judge.authenticate(admitted, presented, asking).map_err(with_cors)?;
    let (permit, cookie) = match step {
        Step::Done(authenticated) => {
            let decided = judge.decide(authenticated, ip).map_err(with_cors)?;
            (judge.spend(decided, ip, &*shard.gate.counters).map_err(with_cors)?, None)
        }
        Step::Need(admitted, lookup) => {
            let waiting = Waiting { admitted, lookup, policy: snapshot.policy.clone(), cors };
            // WHY: boxed, since only the first request with a new key or token asks.
            Box::pin(ask(connection, &place, presented, draft, waiting)).await?
        }
    };
    draft.permit(&permit);
    Ok(Judged::Forward(Box::new(Forward { permit, path: path.into(), ip, cookie })))
}

/// Headers of an answer.
type Fields = Vec<(&'static str, String)>;

/// What a request asks for, and from where.
struct Place<'r> {
    head: &'r RequestHead,
    host: &'r str,
    path: &'r str,
    ip: IpAddr,
}

impl Place<'_> {
    /// Phases Route and Limit. Also what goes with every answer of the route.
    fn admit(
        &self,
        connection: &Connection,
        judge: &Judge<'_, Act>,
        draft: &mut Draft,
    ) -> Result<(Admitted<Act>, Fields), Box<Denied>> {
        let routed = judge.route(self.host, self.path, self.head.method.as_str());
        let routed = routed.map_err(|none| match none {
            NoRoute::NotFound => Denied::from(Denial::new(code::ROUTE_NOT_FOUND, Phase::Route)),
            NoRoute::MethodNotAllowed { allow } => Denied {
                allow: Some(allow),
                ..Denial::new(code::METHOD_NOT_ALLOWED, Phase::Route).into()
            },
        })?;
        draft.route(routed.route());
        let act = &routed.route().act;
        let cors = act.cors.as_ref().map(|it| cors::on_answer(it, self.head)).unwrap_or_default();
        let counters = &*connection.shard.gate.counters;
        let sized = size(act, self.head);
        match sized.and_then(|()| judge.admit(routed, self.ip, counters)) {
            Ok(admitted) => Ok((admitted, cors)),
            Err(denial) => Err(Box::new(Denied { denial, allow: None, cors })),
        }
    }
}

/// A request that waits for a look-up.
struct Waiting {
    admitted: Admitted<Act>,
    lookup: Lookup,
    /// The policy that it was admitted under.
    policy: Arc<Policy<Act>>,
    cors: Fields,
}

/// The slow way: look up what a scheme could not know, judge again by the state that is then in force.
///
/// INVARIANT: what was found in one policy is never judged with another: where it was replaced during the wait,
/// the request is routed and limited anew.
async fn ask(
    connection: &Connection,
    place: &Place<'_>,
    presented: Presented<'_>,
    draft: &mut Draft,
    waiting: Waiting,
) -> Result<(Permit<Act>, Option<String>), Denied> {
    let shard = &connection.shard;
    let Waiting { mut admitted, mut lookup, mut policy, mut cors } = waiting;
    let from = browser::origin(place.head, draft, place.ip);
    let mut cookie = None;
    let end = tokio::time::Instant::now() + LOOKUP_WAIT;
    for asked in 1..=LOOKUPS {
        let looking = look_up(connection, presented, &lookup, &from);
        let looked_up = tokio::time::timeout_at(end, looking).await;
        let in_time = looked_up.is_ok();
        let learnt = looked_up.unwrap_or_else(|_| late(&lookup)).map_err(|denial| Denied {
            denial,
            allow: None,
            cors: cors.clone(),
        })?;
        let snapshot: Arc<Snapshot<Act>> = shard.gate.snapshots.load_full();
        if snapshot.stale {
            return Err(Denial::new(code::STATE_STALE, Phase::Authenticate).into());
        }
        let judge = Judge {
            snapshot: &snapshot,
            tools: &shard.gate.tools,
            cache: &shard.cache,
            now: shard.gate.clock.now(),
            monotonic: shard.gate.clock.monotonic(),
        };
        if !Arc::ptr_eq(&policy, &snapshot.policy) {
            policy = snapshot.policy.clone();
            (admitted, cors) = place.admit(connection, &judge, draft)?;
        }
        // The route may be another now, and with it the host that its URL is on.
        let at = (place.host, place.path);
        let shown = Shown::of(connection, place.head, at, (&admitted, &policy));
        let session = shown.session().map(|it| it.borrow(place.head));
        let presented = Presented { dpop: shown.borrow(place.head), session, ..presented };
        if let (Some(Learnt::Session(renewed)), Some(shown)) = (&learnt, shown.session()) {
            cookie = shown.set(connection, renewed.as_deref());
        }
        let with_cors = |denial: Denial| {
            let cookie = cookie.iter().map(|it| ("set-cookie", it.clone()));
            Denied { denial, allow: None, cors: cors.iter().cloned().chain(cookie).collect() }
        };
        let asking = Asking { may_ask: in_time && asked < LOOKUPS, learnt: learnt.as_ref() };
        match judge.authenticate(admitted, presented, asking).map_err(with_cors)? {
            Step::Done(authenticated) => {
                let decided = judge.decide(authenticated, place.ip).map_err(with_cors)?;
                let counters = &*shard.gate.counters;
                let permit = judge.spend(decided, place.ip, counters).map_err(with_cors)?;
                return Ok((permit, cookie));
            }
            Step::Need(again, next) => (admitted, lookup) = (again, next),
        }
    }
    let denial = Denial::new(code::ISSUER_UNAVAILABLE, Phase::Authenticate);
    Err(Denied { denial, allow: None, cors })
}

/// What a look-up that nobody waits for any more comes to: as where it failed.
fn late(lookup: &Lookup) -> Result<Option<Learnt>, Denial> {
    match lookup {
        Lookup::Keys(_) => Ok(None),
        Lookup::Introspection { .. } | Lookup::Session(_) => {
            Err(Denial::new(code::ISSUER_UNAVAILABLE, Phase::Authenticate)
                .detail(format!("no answer within {LOOKUP_WAIT:?}")))
        }
    }
}

async fn look_up(
    connection: &Connection,
    presented: Presented<'_>,
    lookup: &Lookup,
    from: &browser::SignInOrigin,
) -> Result<Option<Learnt>, Denial> {
    let shard = &connection.shard;
    let unavailable = |LookupError::Unavailable(why)| {
        Denial::new(code::ISSUER_UNAVAILABLE, Phase::Authenticate).detail(why)
    };
    match lookup {
        // That a fetch failed decides nothing: the keys at hand go on, and the scheme says what is missing.
        Lookup::Keys(issuer) => {
            let _ = shard.gate.lookups.refresh(issuer.clone()).await;
            Ok(None)
        }
        Lookup::Introspection { issuer, fingerprint } => {
            let token = presented
                .authorization
                .and_then(schemes::token_of)
                .map(ToOwned::to_owned)
                .ok_or_else(|| Denial::new(code::CREDENTIAL_MALFORMED, Phase::Authenticate))?;
            let (answer, keep) = shard
                .gate
                .lookups
                .introspect(issuer.clone(), Secret::new(token))
                .await
                .map_err(unavailable)?;
            let now = shard.gate.clock.now();
            let learnt = opaque::learn(&shard.cache, issuer, *fingerprint, answer, (now, keep))?;
            Ok(learnt.map(Learnt::Token))
        }
        Lookup::Session(kept) => browser::renew(connection, kept, from.clone()).await.map(Some),
    }
}

/// Phase Accept: who is at the other end.
fn accept(connection: &Connection, head: &RequestHead) -> Result<IpAddr, Denial> {
    let listener = connection.listener.settings();
    match listener.proxies.header {
        ProxyHeader::ProxyProtocol => Ok(connection.client),
        ProxyHeader::Header(header) => {
            let lines: smallvec::SmallVec<[&[u8]; 4]> = match header {
                address::AddressHeader::XForwardedFor => {
                    head.headers.all(Known::XForwardedFor).collect()
                }
                address::AddressHeader::Forwarded => head.headers.all(Known::Forwarded).collect(),
            };
            address::client_address(
                connection.client,
                &listener.proxies.trusted,
                header,
                lines.into_iter(),
            )
            .map(|found| found.ip)
            .map_err(|doubt| {
                Denial::new(code::ADDRESS_MALFORMED, Phase::Accept).detail(doubt.to_string())
            })
        }
    }
}

/// The host asked for, without port; it must be the one that the connection was made for.
pub(crate) fn host<'h>(connection: &Connection, head: &'h RequestHead) -> Result<&'h str, Denial> {
    let authority = std::str::from_utf8(head.authority())
        .map_err(|_| Denial::new(code::HOST_AMBIGUOUS, Phase::Route))?;
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    // RFC 9110 §7.4: a request for another host than the connection was secured for is misdirected.
    if let Some(name) = &connection.server_name
        && !name.eq_ignore_ascii_case(host)
    {
        return Err(Denial::new(code::HOST_MISDIRECTED, Phase::Tls));
    }
    Ok(host)
}

fn credentials_in_url(path: &str, query: Option<&[u8]>) -> Result<(), Denial> {
    let named = query.is_some_and(path::query_names_a_credential);
    if named || path::contains_key(path.as_bytes()) {
        return Err(Denial::new(code::KEY_IN_URL, Phase::Route));
    }
    Ok(())
}

fn preflight(
    judge: &Judge<'_, Act>,
    head: &RequestHead,
    host: &str,
    path: &str,
    draft: &mut Draft,
) -> Option<Result<Judged, Denied>> {
    let method =
        std::str::from_utf8(head.headers.first(Known::AccessControlRequestMethod)?).ok()?;
    let routed = judge.route(host, path, method).ok()?;
    let route = routed.route();
    route.act.cors.as_ref()?;
    draft.route(route);
    Some(match cors::preflight(&route.act, head) {
        Some(headers) => Ok(Judged::Answered(Answer { status: 204, headers, body: Bytes::new() })),
        None => Err(Denial::new(code::ORIGIN_REFUSED, Phase::Route).into()),
    })
}

/// Phase Limit, sizes: what the head announces. What it does not is counted while it streams.
fn size(act: &Act, head: &RequestHead) -> Result<(), Denial> {
    match (act.max_body, head.framing) {
        (Some(max), crate::head::Framing::Length(length)) if length > max => {
            Err(Denial::new(code::BODY_TOO_LARGE, Phase::Limit)
                .detail(format!("{length} bytes, {max} allowed")))
        }
        _ => Ok(()),
    }
}

/// Where metadata lies there are no routes.
fn not_metadata(code: base::Code) -> Denied {
    let allow = (code == code::METHOD_NOT_ALLOWED).then(|| metadata::ALLOW.to_owned());
    Denied { allow, ..Denial::new(code, Phase::Route).into() }
}

fn method_text(method: &http::Method) -> std::borrow::Cow<'static, str> {
    use std::borrow::Cow;
    match *method {
        http::Method::GET => Cow::Borrowed("GET"),
        http::Method::POST => Cow::Borrowed("POST"),
        http::Method::PUT => Cow::Borrowed("PUT"),
        http::Method::DELETE => Cow::Borrowed("DELETE"),
        http::Method::HEAD => Cow::Borrowed("HEAD"),
        http::Method::PATCH => Cow::Borrowed("PATCH"),
        http::Method::OPTIONS => Cow::Borrowed("OPTIONS"),
        _ => Cow::Owned(method.as_str().to_owned()),
    }
}

/// The trace id of a well-formed `traceparent` (W3C Trace Context §3.2).
fn trace_id(head: &RequestHead) -> Option<[u8; 16]> {
    let value = head.headers.first(Known::Traceparent)?;
    let mut parts = value.split(|c| *c == b'-');
    let (_, id) = (parts.next()?, parts.next()?);
    let mut out = [0; 16];
    hex::decode_to_slice(id, &mut out).ok()?;
    (out != [0; 16]).then_some(out)
}
