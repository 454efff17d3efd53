//! The second step of signing in, and where a person goes who has proved something.

use super::Issuer;
use super::addresses::ADDRESSES;
use super::answer::see_other;
use super::email::EMAIL;
use super::federation;
use super::form::{BROWSER, SESSION};
use super::passkey;
use super::person::{self, Visit, forged, message, message_to, own_login, own_page, with_cookie};
use crate::pages::forms::{Second, page};
use authority::oauth::{CONTINUE, PasskeyAsk, Presented, SessionText, SignInRefused, SignedIn};
use authority::people::Offers;
use authority::people::policy::Missing;
use axum::response::{IntoResponse, Response};
use base::Secret;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use protocol::oauth::params::encode;

/// Where people add and remove ways of signing in.
pub(super) const METHODS: &str = "/account/methods";

/// What was tried, and why it did not do.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub(super) factor: String,
    pub(super) words: String,
}

/// What the page of the second step shows.
pub(super) struct Ask {
    pub(super) offers: Offers,
    /// What to ask the browser for, where a passkey would do.
    pub(super) passkey: Option<PasskeyAsk>,
    pub(super) account: String,
    pub(super) proceed: String,
    pub(super) goes_to: Option<String>,
    pub(super) tried: Option<Tried>,
}

pub(super) fn second_page(issuer: &Issuer, visit: &Visit, ask: Ask) -> Response {
    let (visitor, cookie) = match visit.visitor() {
        Ok(visitor) => visitor,
        Err(status) => return status.into_response(),
    };
    let status = if ask.tried.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    let (tried, error) = match ask.tried {
        Some(tried) => (tried.factor, Some(tried.words)),
        None => (String::new(), None),
    };
    let by_passkey = error.clone().filter(|_| tried == passkey::FACTOR);
    let template = Second {
        passkey: passkey::own(ask.passkey, by_passkey),
        brand: issuer.brand(),
        csrf: issuer.oauth().csrf(&visitor, "login"),
        proceed: ask.proceed,
        account: ask.account,
        reason: None,
        totp: ask.offers.totp,
        recovery: ask.offers.recovery,
        tried,
        error,
    };
    with_cookie(page(status, &template, ask.goes_to.as_deref()).into_response(), cookie)
}

/// Takes a proof beside the first one.
pub(super) async fn prove(issuer: &Issuer, visit: &Visit) -> Response {
    let oauth = issuer.oauth();
    if !passkey::is_from_login(issuer, visit) {
        return forged(issuer, visit);
    }
    let typed = Secret::new(visit.param("code").to_owned());
    let factor = visit.param("factor").to_owned();
    let presented = match &*factor {
        "totp" => Presented::Totp(typed),
        "recovery" => Presented::Recovery(typed),
        passkey::FACTOR => return passkey::show(issuer, visit).await,
        "restart" => return restart(issuer, visit).await,
        _ => return forged(issuer, visit),
    };
    let Some(session) = visit.session() else { return begin_again(issuer, visit) };
    let browser = visit.cookies.read(&visit.parts.headers, BROWSER);
    match oauth.prove(&session, &presented, browser.as_ref(), &visit.origin).await {
        Ok(Ok(signed_in)) => signed(issuer, visit, signed_in).await,
        Ok(Err(refused)) => refuse(issuer, visit, (factor, refused)).await,
        Err(_) => broken(issuer, visit),
    }
}

/// The sign-in from its beginning, for another person.
async fn restart(issuer: &Issuer, visit: &Visit) -> Response {
    // What was proved so far would lie about until it expires, and nobody could reach it to end it.
    if let Some(session) = visit.session()
        && issuer.oauth().abandon(&session, &visit.origin).await.is_err()
    {
        return broken(issuer, visit);
    }
    let response = match visit.param(CONTINUE).starts_with("next:") {
        true => own_login(issuer, visit, None),
        false => {
            let step = issuer.oauth().authorize(person::asked(visit, None)).await;
            person::shown(issuer, visit, step, None)
        }
    };
    with_cookie(response, Some(visit.cookies.clear(SESSION)))
}

/// Sets the cookies of a person who has just proved something, and leads them on.
pub(super) async fn signed(issuer: &Issuer, visit: &Visit, signed_in: SignedIn) -> Response {
    let session = visit.cookies.set(SESSION, &signed_in.text);
    let browser = signed_in.browser.as_ref().map(|text| visit.cookies.keep(BROWSER, text));
    let response = person::onward(issuer, visit, signed_in.text).await;
    with_cookie(with_cookie(response, Some(session)), browser)
}

async fn refuse(
    issuer: &Issuer,
    visit: &Visit,
    (factor, refused): (String, SignInRefused),
) -> Response {
    let words = match refused {
        SignInRefused::NotBegun => return begin_again(issuer, visit),
        SignInRefused::Shut => {
            "Too many wrong ones in a row have shut this way. Use another one, or ask an administrator."
                .to_owned()
        }
        SignInRefused::TooEarly(wait) => {
            format!("Those were many attempts. Try again in {}.", person::spoken(wait.as_secs().max(1)))
        }
        SignInRefused::Busy => "Many people sign in just now. Try again in a moment.".to_owned(),
        SignInRefused::NoMatch | SignInRefused::Wrong => match &*factor {
            "recovery" => "That is not one of your codes, or it was used before.".to_owned(),
            _ => "That code is not right, or was used before. Type the one that the app shows now.".to_owned(),
        },
    };
    delayed(again(issuer, visit, Tried { factor, words }).await, refused)
}

/// Says how long to wait, where that is it.
pub(super) fn delayed(mut response: Response, refused: SignInRefused) -> Response {
    let (status, wait) = match refused {
        SignInRefused::TooEarly(wait) => (StatusCode::TOO_MANY_REQUESTS, wait.as_secs().max(1)),
        SignInRefused::Busy => (StatusCode::SERVICE_UNAVAILABLE, 1),
        _ => return response,
    };
    *response.status_mut() = status;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait));
    response
}

/// The page once more, with what was wrong.
pub(super) async fn again(issuer: &Issuer, visit: &Visit, tried: Tried) -> Response {
    let text = visit.param(CONTINUE);
    if text.starts_with("next:") {
        let Some(session) = visit.session() else { return own_login(issuer, visit, None) };
        return match own_step(issuer, visit, &session, Some(tried)).await {
            Some(response) => response,
            None => own_login(issuer, visit, None),
        };
    }
    let step = issuer.oauth().authorize(person::asked(visit, visit.session())).await;
    person::shown_tried(issuer, visit, step, tried)
}

/// For a page of ours: what the person must do before it, if anything.
pub(super) async fn own_step(
    issuer: &Issuer,
    visit: &Visit,
    session: &SessionText,
    tried: Option<Tried>,
) -> Option<Response> {
    let oauth = issuer.oauth();
    let standing = match oauth.standing(Some(session)).await {
        Ok(Some(standing)) => standing,
        Ok(None) => return Some(own_login(issuer, visit, None)),
        Err(_) => return Some(broken(issuer, visit)),
    };
    match standing.missing(&oauth.baseline(&standing), oauth.now()) {
        Missing::Nothing => None,
        Missing::Proof(offers) if offers.password || offers.federated => {
            Some(own_login(issuer, visit, None))
        }
        Missing::Proof(offers) => {
            let ask = Ask {
                passkey: oauth.offered_passkey(&standing, &offers),
                offers,
                account: standing.current.user.email,
                proceed: format!("next:{}", next_of(visit)),
                goes_to: None,
                tried,
            };
            Some(second_page(issuer, visit, ask))
        }
        Missing::Enrolment => Some(see_other(&oauth.settings().url(METHODS))),
        Missing::Unreachable => Some(unreachable(issuer, visit)),
    }
}

/// The page of ours that a person is on the way to.
pub(super) fn next_of(visit: &Visit) -> String {
    match visit.parts.uri.path() {
        "/login" => {
            let came = visit.param(CONTINUE).strip_prefix("next:");
            own_page(came.unwrap_or_else(|| visit.param("next"))).unwrap_or_default().to_owned()
        }
        path if visit.parts.method == http::Method::GET => match visit.parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        },
        path if path.starts_with(METHODS) => METHODS.to_owned(),
        path if path.starts_with(ADDRESSES) => ADDRESSES.to_owned(),
        path if path.starts_with(EMAIL) => EMAIL.to_owned(),
        path => path.to_owned(),
    }
}

/// The way back for who has lost all: an administrator, and nobody else.
pub(super) fn unreachable(issuer: &Issuer, visit: &Visit) -> Response {
    let said = (
        "Your account needs help",
        "None of your ways of signing in reaches what your account asks for.",
        Some("Ask an administrator to let you set them up anew."),
    );
    message(issuer, StatusCode::FORBIDDEN, said, Some(visit.origin.request_id.to_string()))
}

fn begin_again(issuer: &Issuer, visit: &Visit) -> Response {
    let said = (
        "Please begin again",
        "Your sign-in took too long, or began in another browser.",
        Some("Sign in once more to go on."),
    );
    let text = visit.param(CONTINUE);
    let target = match text.strip_prefix("next:").map(own_page) {
        Some(Some(next)) => format!("/login?{}", encode([("next", next)])),
        Some(None) => "/login".to_owned(),
        None => federation::authorize(text),
    };
    let id = Some(visit.origin.request_id.to_string());
    message_to(issuer, StatusCode::FORBIDDEN, said, (id, Some((target, "Sign in"))))
}

pub(super) fn broken(issuer: &Issuer, visit: &Visit) -> Response {
    let said = (
        "That is not possible now",
        "Something on our side does not answer.",
        Some("Try again in a moment."),
    );
    let id = visit.origin.request_id.to_string();
    message(issuer, StatusCode::SERVICE_UNAVAILABLE, said, Some(id))
}
