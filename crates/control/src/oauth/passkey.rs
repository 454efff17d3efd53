//! Passkeys on the pages: the form that asks the browser for one, and the page on which one is added.
//!
//! Never does: judge an answer.

use super::Issuer;
use super::form::{BROWSER, VISIT};
use super::methods::{changed_page, csrf, is_ours, refuse};
use super::person::{self, Attempt, Visit, forged};
use super::second::{self, Tried, broken};
use crate::pages::forms::{AddPasskeyPage, PasskeyView, page};
use authority::oauth::{AddPasskey, MethodRefused, PasskeyAsk, ShownPasskey, SignInRefused};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;

/// The value of `factor` in the form.
pub(super) const FACTOR: &str = "passkey";

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route("/account/methods/passkey", post(new))
        .route("/account/methods/passkey/add", post(add))
}

/// The form where nobody has said who they are. After a mistake the browser does not offer passkeys by itself again.
pub(super) fn any(ask: Option<PasskeyAsk>, error: Option<String>) -> Option<PasskeyView> {
    let conditional = error.is_none();
    view(ask, error, (false, conditional))
}

/// The form beside other second steps.
pub(super) fn own(ask: Option<PasskeyAsk>, error: Option<String>) -> Option<PasskeyView> {
    view(ask, error, (true, false))
}

fn view(
    ask: Option<PasskeyAsk>,
    error: Option<String>,
    (begun, conditional): (bool, bool),
) -> Option<PasskeyView> {
    let PasskeyAsk { options, state } = ask?;
    Some(PasskeyView { options, state, error, begun, conditional })
}

fn shown(visit: &Visit) -> ShownPasskey {
    let text = |name: &str| visit.param(name).to_owned();
    ShownPasskey { state: text("state"), answer: text("answer") }
}

/// Takes a passkey of somebody who signs in.
pub(super) async fn show(issuer: &Issuer, visit: &Visit) -> Response {
    let oauth = issuer.oauth();
    let browser = visit.cookies.read(&visit.parts.headers, BROWSER);
    let session = visit.session();
    let taken =
        oauth.show_passkey(&shown(visit), session.as_ref(), browser.as_ref(), &visit.origin).await;
    match taken {
        Ok(Ok(signed_in)) => second::signed(issuer, visit, signed_in).await,
        Ok(Err(refused)) => again(issuer, visit, refused).await,
        Err(_) => broken(issuer, visit),
    }
}

/// The page once more: the one that the form says it was on. WHY believed: it is only about what is shown.
async fn again(issuer: &Issuer, visit: &Visit, refused: SignInRefused) -> Response {
    let words = match refused {
        SignInRefused::NotBegun => "That took too long. Try again.".to_owned(),
        SignInRefused::Shut => {
            "Too many failures in a row have shut this passkey. Use another way, or ask an administrator."
                .to_owned()
        }
        SignInRefused::TooEarly(wait) => {
            format!("Those were many attempts. Try again in {}.", person::spoken(wait.as_secs().max(1)))
        }
        SignInRefused::Busy => "Many people sign in just now. Try again in a moment.".to_owned(),
        SignInRefused::NoMatch | SignInRefused::Wrong => {
            "That passkey was not accepted. Try again, or sign in in another way.".to_owned()
        }
    };
    let response = if visit.param("begun").is_empty() {
        let attempt = Attempt { email: String::new(), words, passkey: true };
        person::again(issuer, visit, attempt).await
    } else {
        second::again(issuer, visit, Tried { factor: FACTOR.to_owned(), words }).await
    };
    second::delayed(response, refused)
}

/// Whether a POST to the sign-in page comes from a page that this browser was shown.
pub(super) fn is_from_login(issuer: &Issuer, visit: &Visit) -> bool {
    let visitor = visit.cookies.read(&visit.parts.headers, VISIT);
    let holds = |it| issuer.oauth().csrf_holds(&it, "login", visit.param("csrf"));
    visit.is_from_us(issuer) && visitor.is_some_and(holds)
}

async fn new(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !is_ours(&issuer, &visit) {
        return forged(&issuer, &visit);
    }
    add_page(&issuer, &visit, None).await
}

async fn add_page(
    issuer: &Issuer,
    visit: &Visit,
    error: Option<(&'static str, String)>,
) -> Response {
    match issuer.oauth().new_passkey(visit.session().as_ref()).await {
        Ok(Ok(ask)) => {
            let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            let template = AddPasskeyPage {
                brand: issuer.brand(),
                csrf: csrf(issuer, visit),
                options: ask.options,
                state: ask.state,
                name: visit.param("name").to_owned(),
                error,
            };
            page(status, &template, None).into_response()
        }
        Ok(Err(refused)) => refuse(issuer, visit, refused).await,
        Err(_) => broken(issuer, visit),
    }
}

async fn add(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !is_ours(&issuer, &visit) {
        return forged(&issuer, &visit);
    }
    let ask = AddPasskey { shown: shown(&visit), name: visit.param("name").to_owned() };
    let session = visit.session();
    match issuer.oauth().add_passkey(session.as_ref(), &ask, &visit.origin).await {
        Ok(Ok(changed)) => changed_page(&issuer, &visit, changed),
        Ok(Err(MethodRefused::Invalid(field, words))) => {
            add_page(&issuer, &visit, Some((field, person::sentence(&words)))).await
        }
        Ok(Err(refused)) => refuse(&issuer, &visit, refused).await,
        Err(_) => broken(&issuer, &visit),
    }
}
