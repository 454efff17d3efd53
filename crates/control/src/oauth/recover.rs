//! "Forgot your password?": two pages. The same page and status come whether there is an account or not, and the letter is
//! written after the answer.

use super::Issuer;
use super::answer::see_other;
use super::form::VISIT;
use super::person::{Visit, forged, message, sentence, spoken, weak, with_cookie};
use crate::pages::forms::{Message, Recover, RecoverSet, page};
use authority::oauth::{RECOVER_PAGE, RecoverPassword, RecoverRefused};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::Secret;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;

/// What the forms' tokens are for.
const FORM: &str = "recover";

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route("/recover", get(asking).post(asked))
        .route(RECOVER_PAGE, get(setting).post(set))
}

/// The cookie to which the form was shown, if this is that form.
fn ours(issuer: &Issuer, visit: &Visit) -> Option<Secret<String>> {
    let visitor = visit.cookies.read(&visit.parts.headers, VISIT)?;
    let holds = issuer.oauth().csrf_holds(&visitor, FORM, visit.param("csrf"));
    (holds && visit.is_from_us(issuer)).then_some(visitor)
}

async fn asking(State(issuer): State<Issuer>, visit: Visit) -> Response {
    ask_page(&issuer, &visit, None)
}

fn ask_page(issuer: &Issuer, visit: &Visit, error: Option<String>) -> Response {
    let (visitor, cookie) = match visit.visitor() {
        Ok(visitor) => visitor,
        Err(status) => return status.into_response(),
    };
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let template = Recover {
        brand: issuer.brand(),
        csrf: issuer.oauth().csrf(&visitor, FORM),
        email: visit.param("email").to_owned(),
        error,
    };
    with_cookie(page(status, &template, None).into_response(), cookie)
}

async fn asked(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let Some(visitor) = ours(&issuer, &visit) else { return forged(&issuer, &visit) };
    let oauth = issuer.oauth();
    match oauth.recover(visit.param("email"), &visitor, &visit.origin) {
        Ok(Ok(due)) => {
            let oauth = Arc::clone(oauth);
            // WHY apart: how long it takes would tell whether there is an account. As many as there are places.
            drop(tokio::spawn(async move { oauth.post_letter(due).await }));
            // RFC 9110 §15.4.4: loading the page again asks for no other letter.
            see_other(&issuer.oauth().settings().url(&format!("{RECOVER_PAGE}?sent=1")))
        }
        Ok(Err(refused)) => {
            let page = ask_page(&issuer, &visit, Some(told(refused)));
            held_up(page, refused)
        }
        Err(authority::Error::Invalid { problem, .. }) => {
            ask_page(&issuer, &visit, Some(sentence(&problem)))
        }
        Err(_) => not_now(&issuer, &visit),
    }
}

pub(super) fn told(refused: RecoverRefused) -> String {
    match refused {
        RecoverRefused::TooEarly(wait) => {
            format!("Those were many attempts. Try again in {}.", spoken(wait.as_secs().max(1)))
        }
        RecoverRefused::Busy => "Many people ask just now. Try again in a moment.".to_owned(),
    }
}

pub(super) fn held_up(mut response: Response, refused: RecoverRefused) -> Response {
    *response.status_mut() = match refused {
        RecoverRefused::TooEarly(wait) => {
            let wait = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, wait);
            StatusCode::TOO_MANY_REQUESTS
        }
        RecoverRefused::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    response
}

fn not_now(issuer: &Issuer, visit: &Visit) -> Response {
    let said = (
        "That is not possible now",
        "Something on our side does not answer.",
        Some("Try again in a moment."),
    );
    let id = visit.origin.request_id.to_string();
    message(issuer, StatusCode::SERVICE_UNAVAILABLE, said, Some(id))
}

async fn setting(State(issuer): State<Issuer>, visit: Visit) -> Response {
    set_page(&issuer, &visit, None)
}

fn set_page(issuer: &Issuer, visit: &Visit, error: Option<(&'static str, String)>) -> Response {
    let (visitor, cookie) = match visit.visitor() {
        Ok(visitor) => visitor,
        Err(status) => return status.into_response(),
    };
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let template = RecoverSet {
        brand: issuer.brand(),
        csrf: issuer.oauth().csrf(&visitor, FORM),
        sent: visit.params.get("sent").is_some(),
        error,
    };
    with_cookie(page(status, &template, None).into_response(), cookie)
}

async fn set(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let Some(browser) = ours(&issuer, &visit) else { return forged(&issuer, &visit) };
    let ask = RecoverPassword {
        code: Secret::new(visit.param("code").trim().trim_start_matches('#').to_owned()),
        browser,
        password: Secret::new(visit.param("password").to_owned()),
    };
    match issuer.oauth().recover_password(&ask, &visit.origin).await {
        Ok(Ok(done)) => {
            let template = Message {
                brand: issuer.brand(),
                title: "Your password is set".to_owned(),
                text: "You were signed out everywhere. Sign in with the new password; if you have a second step, you \
                       are asked for it as before."
                    .to_owned(),
                fix: done.advice().map(weak),
                link: Some(("/login".to_owned(), "Sign in".to_owned())),
                request_id: None,
            };
            page(StatusCode::OK, &template, None).into_response()
        }
        Ok(Err(refused)) => {
            held_up(set_page(&issuer, &visit, Some(("code", told(refused)))), refused)
        }
        Err(authority::Error::Invalid { field, problem }) => {
            set_page(&issuer, &visit, Some((field, sentence(&problem))))
        }
        Err(_) => not_now(&issuer, &visit),
    }
}
