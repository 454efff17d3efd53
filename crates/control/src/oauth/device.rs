//! The page on which people connect a device (RFC 8628 §3.3).

use super::Issuer;
use super::answer::see_other;
use super::details;
use super::person::{Visit, message, own_login};
use super::second::broken;
use super::second::{self, Ask, METHODS, second_page};
use crate::pages::forms::{ClientView, Device, DeviceConsent, ScopeView, page};
use authority::oauth::{DeviceDecision, DeviceMore, DeviceStep};
use authority::people::policy::Missing;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;

pub(super) fn routes() -> Router<Issuer> {
    Router::new().route("/device", get(ask).post(answer))
}

async fn ask(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let session = visit.session();
    // Who has begun to sign in is asked for the rest, and for nothing twice.
    if let Some(text) = &session
        && let Some(step) = second::own_step(&issuer, &visit, text, None).await
    {
        return step;
    }
    let Some(code) = visit.params.get("user_code") else {
        return match issuer.oauth().current(session.as_ref()).await {
            // RFC 6749 §3.1: a parameter without a value counts as left out; of our own form it is a field left empty.
            Ok(Some(_)) if visit.parts.uri.query() == Some("user_code=") => {
                let words = "Type the code that the device or terminal shows.";
                form(&issuer, StatusCode::BAD_REQUEST, String::new(), Some(words))
            }
            Ok(Some(_)) => form(&issuer, StatusCode::OK, String::new(), None),
            Ok(None) => own_login(&issuer, &visit, None),
            Err(_) => broken(&issuer, &visit),
        };
    };
    let step = issuer.oauth().device_view(code, session.as_ref(), &visit.origin).await;
    shown(&issuer, &visit, code, step)
}

async fn answer(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let session = visit.session();
    let step = match visit.is_from_us(&issuer) {
        true => {
            let decision = DeviceDecision {
                user_code: visit.param("user_code").to_owned(),
                csrf: visit.param("csrf").to_owned(),
                allow: visit.param("answer") == "allow",
            };
            issuer.oauth().device_decide(&decision, session.as_ref(), &visit.origin).await
        }
        false => Ok(DeviceStep::Forged),
    };
    let code = visit.param("user_code").to_owned();
    shown(&issuer, &visit, &code, step)
}

fn form(issuer: &Issuer, status: StatusCode, code: String, error: Option<&str>) -> Response {
    let template = Device { brand: issuer.brand(), code, error: error.map(str::to_owned) };
    page(status, &template, None).into_response()
}

/// What the person must do before they may answer.
fn prove(issuer: &Issuer, visit: &Visit, more: DeviceMore) -> Response {
    match more.missing {
        Missing::Proof(offers) if !offers.password && !offers.federated => {
            let ask = Ask {
                offers,
                passkey: more.passkey,
                account: more.account,
                proceed: format!("next:{}", second::next_of(visit)),
                goes_to: None,
                tried: None,
            };
            second_page(issuer, visit, ask)
        }
        Missing::Nothing | Missing::Proof(_) => own_login(issuer, visit, None),
        Missing::Enrolment => see_other(&issuer.oauth().settings().url(METHODS)),
        Missing::Unreachable => second::unreachable(issuer, visit),
    }
}

fn shown(
    issuer: &Issuer,
    visit: &Visit,
    code: &str,
    step: Result<DeviceStep, authority::Error>,
) -> Response {
    let code: String = code.chars().take(16).collect();
    match step {
        Err(_) => broken(issuer, visit),
        Ok(DeviceStep::Login) => own_login(issuer, visit, None),
        Ok(DeviceStep::More(more)) => prove(issuer, visit, *more),
        Ok(DeviceStep::Unknown) => {
            let words =
                "No device waits with this code. It may have expired: start again at the device.";
            form(issuer, StatusCode::NOT_FOUND, code, Some(words))
        }
        Ok(DeviceStep::TooEarly(wait)) => {
            let words =
                format!("Those were many codes. Try again in {} seconds.", wait.as_secs().max(1));
            form(issuer, StatusCode::TOO_MANY_REQUESTS, code, Some(&words))
        }
        Ok(DeviceStep::Forged) => {
            let said = (
                "This page is too old",
                "The form did not come from a page of ours, or your browser has lost its cookies.",
                Some("Go back and load the page again."),
            );
            message(issuer, StatusCode::FORBIDDEN, said, Some(visit.origin.request_id.to_string()))
        }
        Ok(DeviceStep::Done(true)) => {
            let said = ("Connected", "Go back to the device: it goes on by itself.", None);
            message(issuer, StatusCode::OK, said, None)
        }
        Ok(DeviceStep::Done(false)) => {
            let said = ("Refused", "The device gets no access.", None);
            message(issuer, StatusCode::OK, said, None)
        }
        Ok(DeviceStep::Ask(view)) => {
            let template = DeviceConsent {
                brand: issuer.brand(),
                client: ClientView {
                    name: view.client.name,
                    host: None,
                    unverified: !view.client.registered,
                    local: view.client.local,
                },
                account: view.email,
                code: view.user_code,
                scopes: view
                    .scopes
                    .into_iter()
                    .map(|it| ScopeView { name: it.name, words: it.words })
                    .collect(),
                resources: view.resources,
                details: view.details.iter().map(details::view).collect(),
                csrf: view.csrf,
            };
            page(StatusCode::OK, &template, None).into_response()
        }
    }
}
