//! What the caller is told when a request does not pass: problem details (RFC 9457) and challenges.
//!
//! INVARIANT: the text depends on the code alone; nothing that the caller sent, and no detail of the record,
//! comes back.

use crate::caller::HeadOut;
use crate::h1::encode;
use crate::settings::Act;
use access::schemes::dpop;
use access::{Denial, Route};
use base::{Code, Phase, RequestId, code};
use bytes::{Bytes, BytesMut};
use protocol::challenge::{Challenge, ChallengeError};

/// An answer of our own.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// What a refusal tells beside its code.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told<'a> {
    /// The value of `Allow`.
    pub(crate) allow: Option<&'a str>,
    /// The route, where one was found.
    pub(crate) route: Option<&'a Route<Act>>,
    /// Whether the credential came under the scheme `DPoP`.
    pub(crate) dpop: bool,
}

/// A refusal as an answer.
pub(crate) fn answer(denial: &Denial, id: RequestId, told: Told<'_>) -> Answer {
    let status = denial.code.status();
    let mut headers = vec![
        ("content-type", "application/problem+json".to_owned()),
        ("cache-control", "no-store".to_owned()),
    ];
    headers.extend(challenges(denial, told).map(|value| ("www-authenticate", value.into_value())));
    if let Some(after) = denial.retry_after {
        // RFC 9110 §10.2.3: whole seconds; rounded up, since a second too early is one too many.
        headers.push(("retry-after", after.as_millis().div_ceil(1000).max(1).to_string()));
    }
    if let Some(allow) = told.allow {
        headers.push(("allow", allow.to_owned()));
    }
    Answer { status, headers, body: body(&denial.code, status, id) }
}

/// An answer as the last bytes of an HTTP/1.1 connection.
pub(crate) fn last_answer(answer: &Answer, id: &[u8], date: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(1024);
    encode::write_status_line(&mut out, answer.status);
    let mut head = HeadOut::H1(&mut out);
    for (name, value) in &answer.headers {
        head.put(name.as_bytes(), value.as_bytes());
    }
    head.put(b"date", date);
    head.put(b"x-request-id", id);
    head.put(b"connection", b"close");
    encode::write_number(&mut out, "content-length", answer.body.len() as u64);
    encode::end_head(&mut out);
    out.extend_from_slice(&answer.body);
    out
}

fn body(code: &Code, status: u16, id: RequestId) -> Bytes {
    let info = code.info();
    let text = serde_json::json!({
        "type": format!("urn:portcullis:error:{code}"),
        "title": info.map_or("The request was refused", |info| info.title),
        "status": status,
        "detail": info.map_or("", |info| info.fix),
        "code": code.as_str(),
        "request_id": id.to_string(),
    });
    let mut text = text.to_string();
    text.push('\n');
    Bytes::from(text)
}

/// What is wrong with the token and not with the proof.
const OF_THE_TOKEN: [Code; 3] = [code::DPOP_WRONG_KEY, code::DPOP_NOT_BOUND, code::DPOP_REQUIRED];

/// RFC 6750 §3: a 401 always carries a challenge, a 403 for a missing scope names the scopes. A route that takes tokens
/// takes them either way, so it has a challenge for each: the error stands in the one for the way that was used, and
/// `Bearer` comes first, for clients that read only one.
fn challenges(denial: &Denial, told: Told<'_>) -> impl Iterator<Item = Challenge> {
    let proof = denial.code.as_str().starts_with("dpop.");
    let dpop = told.dpop || proof;
    let (error, bearer, bound) = match denial.code.status() {
        // RFC 6750 §3.1: no error code where no credential was sent.
        401 if denial.code == code::CREDENTIAL_MISSING => (None, true, true),
        // RFC 9449 §9
        401 if denial.code == code::DPOP_NONCE => (Some(ChallengeError::UseDpopNonce), true, true),
        // RFC 9449 §7.1: the proof is wrong; or the token is, for this proof.
        401 if proof && !OF_THE_TOKEN.contains(&denial.code) => {
            (Some(ChallengeError::InvalidDpopProof), true, true)
        }
        // RFC 9470 §3
        401 if denial.code == code::STEP_UP_REQUIRED => {
            (Some(ChallengeError::InsufficientUserAuthentication), true, true)
        }
        401 => (Some(ChallengeError::InvalidToken), true, true),
        403 if denial.code == code::SCOPE_MISSING => {
            (Some(ChallengeError::InsufficientScope), !dpop, dpop)
        }
        400 if denial.phase == Phase::Authenticate => {
            (Some(ChallengeError::InvalidRequest), !dpop, dpop)
        }
        _ => (None, false, false),
    };
    let tokens = told.route.is_some_and(Route::takes_tokens);
    let fill = move |challenge: Challenge, used: bool| {
        let mut challenge = challenge;
        if let Some(error) = error.filter(|_| used) {
            let title = denial.code.info().map_or("", |info| info.title);
            challenge = challenge.error(error).description(title);
            challenge = step_up(challenge, denial);
        }
        challenge = challenge.scope(denial.scopes.as_deref().unwrap_or_default());
        // RFC 9728 §5.1
        match told.route.and_then(|route| route.act.metadata_url.as_deref()) {
            Some(url) => challenge.resource_metadata(url),
            None => challenge,
        }
    };
    let realm = || Challenge::bearer().realm("portcullis");
    let algorithms = || Challenge::dpop().algorithms(dpop::ALGORITHMS);
    let first = bearer.then(|| fill(realm(), !dpop));
    let second = (bound && tokens).then(|| fill(algorithms(), dpop));
    first.into_iter().chain(second)
}

/// RFC 9470 §3: what the person must do to pass.
fn step_up(mut challenge: Challenge, denial: &Denial) -> Challenge {
    let Some(asked) = &denial.step_up else { return challenge };
    if let Some(acr) = &asked.acr {
        challenge = challenge.acr_values(acr);
    }
    match asked.max_age {
        Some(age) => challenge.max_age(age.as_secs()),
        None => challenge,
    }
}
