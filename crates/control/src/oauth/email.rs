//! The page of a person's e-mail address: whether it is confirmed, and another one. Both by a letter with a code. The same
//! page and status come whoever has the address that is asked for, and the letter is written after the answer.

use super::Issuer;
use super::answer::see_other;
use super::methods::refuse;
use super::person::{Visit, forged, message, own_login, sentence};
use super::recover::{held_up, told};
use super::second::{self, broken};
use crate::pages::email::{Email, EmailCode};
use crate::pages::forms::page;
use authority::oauth::{ADDRESS_CODE_PAGE, Current, MethodRefused, ProofRefused, SessionText};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base::Secret;
use http::StatusCode;
use std::sync::Arc;

/// Where it is.
pub(super) const EMAIL: &str = "/account/email";
/// The name of the page's forms, for their CSRF token.
const FORM: &str = "email";

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route(EMAIL, get(email))
        .route("/account/email/ask", post(ask))
        .route(ADDRESS_CODE_PAGE, get(code).post(prove))
}

/// The person who looks, or what they must do before.
async fn whose(issuer: &Issuer, visit: &Visit) -> Result<(SessionText, Current), Response> {
    let session = visit.session();
    let Some(text) = session else { return Err(own_login(issuer, visit, None)) };
    if let Some(step) = second::own_step(issuer, visit, &text, None).await {
        return Err(step);
    }
    match issuer.oauth().own_email(Some(&text)).await {
        Ok(Some(current)) => Ok((text, current)),
        Ok(None) => Err(own_login(issuer, visit, None)),
        Err(_) => Err(broken(issuer, visit)),
    }
}

async fn email(State(issuer): State<Issuer>, visit: Visit) -> Response {
    shown(&issuer, &visit, None).await
}

async fn shown(issuer: &Issuer, visit: &Visit, error: Option<String>) -> Response {
    let (text, current) = match whose(issuer, visit).await {
        Ok(whose) => whose,
        Err(response) => return response,
    };
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let template = Email {
        brand: issuer.brand(),
        csrf: issuer.oauth().csrf(&text, FORM),
        account: current.user.email.clone(),
        proved: current.user.email_verified,
        done: visit.params.get("done").is_some(),
        elsewhere: !current.user.email_is_own(),
        typed: visit.param("email").to_owned(),
        error,
    };
    page(status, &template, None).into_response()
}

async fn ask(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_of_session(&issuer, FORM) {
        return forged(&issuer, &visit);
    }
    let (session, oauth) = (visit.session(), issuer.oauth());
    let address = visit.param("email");
    match oauth.ask_address_proof(session.as_ref(), address, &visit.origin).await {
        Ok(Ok(due)) => {
            let oauth = Arc::clone(oauth);
            // WHY apart: how long it takes would tell whose the address is. As many as there are places.
            drop(tokio::spawn(async move { oauth.post_address_proof(due).await }));
            see_other(&issuer.oauth().settings().url(&format!("{ADDRESS_CODE_PAGE}?sent=1")))
        }
        Ok(Err(ProofRefused::Later(early))) => {
            held_up(shown(&issuer, &visit, Some(told(early))).await, early)
        }
        Ok(Err(refused)) => refused_page(&issuer, &visit, refused).await,
        Err(authority::Error::Invalid { problem, .. }) => {
            shown(&issuer, &visit, Some(sentence(&problem))).await
        }
        Err(_) => broken(&issuer, &visit),
    }
}

async fn refused_page(issuer: &Issuer, visit: &Visit, refused: ProofRefused) -> Response {
    match refused {
        ProofRefused::Prove(offers) => refuse(issuer, visit, MethodRefused::Prove(offers)).await,
        ProofRefused::Unreachable => second::unreachable(issuer, visit),
        ProofRefused::Directory => {
            let said = (
                "Your address is kept elsewhere",
                "A directory of your organisation, or the operator of this site, says which address is yours.",
                Some("Ask an administrator to change it there."),
            );
            let id = visit.origin.request_id.to_string();
            message(issuer, StatusCode::FORBIDDEN, said, Some(id))
        }
        ProofRefused::NotSignedIn | ProofRefused::Later(_) => own_login(issuer, visit, None),
    }
}

async fn code(State(issuer): State<Issuer>, visit: Visit) -> Response {
    code_page(&issuer, &visit, None).await
}

async fn code_page(issuer: &Issuer, visit: &Visit, error: Option<String>) -> Response {
    let (text, current) = match whose(issuer, visit).await {
        Ok(whose) => whose,
        Err(response) => return response,
    };
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let template = EmailCode {
        brand: issuer.brand(),
        csrf: issuer.oauth().csrf(&text, FORM),
        account: current.user.email,
        sent: visit.params.get("sent").is_some(),
        error,
    };
    page(status, &template, None).into_response()
}

async fn prove(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_of_session(&issuer, FORM) {
        return forged(&issuer, &visit);
    }
    let typed = Secret::new(visit.param("code").trim().trim_start_matches('#').to_owned());
    let session = visit.session();
    match issuer.oauth().prove_address(session.as_ref(), &typed, &visit.origin).await {
        Ok(Ok(_)) => see_other(&issuer.oauth().settings().url(&format!("{EMAIL}?done=1"))),
        Ok(Err(ProofRefused::Later(early))) => {
            held_up(code_page(&issuer, &visit, Some(told(early))).await, early)
        }
        Ok(Err(refused)) => refused_page(&issuer, &visit, refused).await,
        Err(authority::Error::Invalid { problem, .. }) => {
            code_page(&issuer, &visit, Some(sentence(&problem))).await
        }
        Err(_) => broken(&issuer, &visit),
    }
}
