//! The page on which people add and remove ways of signing in.

use super::Issuer;
use super::answer::see_other;
use super::federation;
use super::form::SESSION;
use super::person::{Visit, forged, message_to, own_login, sentence, with_cookie};
use super::second::{self, Ask, METHODS, broken, second_page};
use crate::pages::forms::{AddApp, Codes, MethodView, Methods, page};
use authority::factors::totp;
use authority::oauth::{AddTotp, Changed, MethodRefused, NewTotp, OwnMethods};
use authority::people::{AuthenticatorRecord, FactorKind};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base::Secret;
use http::StatusCode;

/// The name of the page's forms, for their CSRF token.
const FORM: &str = "methods";

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route(METHODS, get(methods))
        .route("/account/methods/app", post(new_app))
        .route("/account/methods/app/add", post(add_app))
        .route("/account/methods/codes", post(codes))
        .route("/account/methods/remove", post(remove))
}

async fn methods(State(issuer): State<Issuer>, visit: Visit) -> Response {
    listed(&issuer, &visit, None).await
}

/// The page. `wrong`: the method that cannot be changed, and why.
async fn listed(issuer: &Issuer, visit: &Visit, wrong: Option<(String, String)>) -> Response {
    let session = visit.session();
    match issuer.oauth().own_methods(session.as_ref()).await {
        Ok(Ok(own)) => list(issuer, visit, &own, wrong),
        Ok(Err(refused)) => refuse(issuer, visit, refused).await,
        Err(_) => broken(issuer, visit),
    }
}

/// The CSRF token of this session's forms.
pub(super) fn csrf(issuer: &Issuer, visit: &Visit) -> String {
    visit.session().map(|text| issuer.oauth().csrf(&text, FORM)).unwrap_or_default()
}

/// Whether a POST comes from a page that this session was shown.
pub(super) fn is_ours(issuer: &Issuer, visit: &Visit) -> bool {
    visit.is_of_session(issuer, FORM)
}

fn list(
    issuer: &Issuer,
    visit: &Visit,
    own: &OwnMethods,
    error: Option<(String, String)>,
) -> Response {
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let template = Methods {
        brand: issuer.brand(),
        csrf: csrf(issuer, visit),
        account: own.user.email.clone(),
        must_add: own.must_add,
        passkeys: issuer.oauth().has_passkeys(),
        error,
        methods: own.authenticators.iter().filter(|it| !is_elsewhere(it)).map(view).collect(),
        accounts: own.authenticators.iter().filter(|it| is_elsewhere(it)).map(view).collect(),
        providers: federation::linkable(issuer, visit),
        left: own.recovery_left,
    };
    page(status, &template, None).into_response()
}

fn is_elsewhere(it: &AuthenticatorRecord) -> bool {
    it.kind() == FactorKind::Federated
}

fn view(it: &AuthenticatorRecord) -> MethodView {
    MethodView {
        id: it.id.clone(),
        name: it.name.clone(),
        kind: match it.kind() {
            FactorKind::Totp => "Authenticator app",
            FactorKind::Passkey => "Passkey",
            FactorKind::Federated => "Account elsewhere",
            FactorKind::Recovery | FactorKind::Password | FactorKind::Device => "",
        },
        added: crate::time::day(it.created_at),
        used: it.last_used_at.map(crate::time::day),
    }
}

async fn new_app(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !is_ours(&issuer, &visit) {
        return forged(&issuer, &visit);
    }
    match issuer.oauth().new_totp(visit.session().as_ref()).await {
        Ok(Ok(fresh)) => app_page(&issuer, &visit, fresh, None),
        Ok(Err(refused)) => refuse(&issuer, &visit, refused).await,
        Err(_) => broken(&issuer, &visit),
    }
}

/// What is wrong, and with which input.
type Wrong = (&'static str, String);

fn app_page(issuer: &Issuer, visit: &Visit, fresh: NewTotp, error: Option<Wrong>) -> Response {
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let Some(picture) = totp::qr_svg(&fresh.uri) else { return broken(issuer, visit) };
    let template = AddApp {
        brand: issuer.brand(),
        csrf: csrf(issuer, visit),
        state: fresh.state,
        picture,
        text: grouped(&fresh.base32),
        name: visit.param("name").to_owned(),
        error,
    };
    page(status, &template, None).into_response()
}

/// In groups of four, as people read it off.
fn grouped(text: &str) -> String {
    let groups = text.as_bytes().chunks(4).map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(" ")
}

async fn add_app(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !is_ours(&issuer, &visit) {
        return forged(&issuer, &visit);
    }
    let oauth = issuer.oauth();
    let ask = AddTotp {
        state: visit.param("state").to_owned(),
        name: visit.param("name").to_owned(),
        code: Secret::new(visit.param("code").to_owned()),
    };
    let session = visit.session();
    match oauth.add_totp(session.as_ref(), &ask, &visit.origin).await {
        Ok(Ok(changed)) => changed_page(&issuer, &visit, changed),
        Ok(Err(MethodRefused::Invalid(field, words))) => {
            let current = oauth.standing(session.as_ref()).await.ok().flatten();
            let email = current.map(|it| it.current.user.email).unwrap_or_default();
            match oauth.totp_again(&ask.state, &email) {
                Some(fresh) => app_page(&issuer, &visit, fresh, Some((field, sentence(&words)))),
                None => refuse(&issuer, &visit, MethodRefused::Gone).await,
            }
        }
        Ok(Err(refused)) => refuse(&issuer, &visit, refused).await,
        Err(_) => broken(&issuer, &visit),
    }
}

pub(super) fn changed_page(issuer: &Issuer, visit: &Visit, changed: Changed) -> Response {
    let cookie = changed.session.map(|it| visit.cookies.set(SESSION, &it.text));
    let response = match changed.codes.is_empty() {
        true => see_other(&issuer.oauth().settings().url(METHODS)),
        false => {
            let codes = changed.codes.iter().map(|it| it.expose().clone()).collect();
            page(StatusCode::OK, &Codes { brand: issuer.brand(), codes }, None).into_response()
        }
    };
    with_cookie(response, cookie)
}

async fn codes(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !is_ours(&issuer, &visit) {
        return forged(&issuer, &visit);
    }
    let session = visit.session();
    match issuer.oauth().renew_codes(session.as_ref(), &visit.origin).await {
        Ok(Ok(changed)) => changed_page(&issuer, &visit, changed),
        Ok(Err(refused)) => refuse(&issuer, &visit, refused).await,
        Err(_) => broken(&issuer, &visit),
    }
}

async fn remove(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !is_ours(&issuer, &visit) {
        return forged(&issuer, &visit);
    }
    let session = visit.session();
    match issuer.oauth().remove_method(session.as_ref(), visit.param("id"), &visit.origin).await {
        Ok(Ok(())) => see_other(&issuer.oauth().settings().url(METHODS)),
        Ok(Err(MethodRefused::Invalid(_, words))) => {
            let wrong = (visit.param("id").to_owned(), sentence(&words));
            Box::pin(listed(&issuer, &visit, Some(wrong))).await
        }
        Ok(Err(refused)) => refuse(&issuer, &visit, refused).await,
        Err(_) => broken(&issuer, &visit),
    }
}

/// The way back to the page.
fn back() -> (String, &'static str) {
    (METHODS.to_owned(), "How you sign in")
}

/// What a person gets instead of a change.
pub(super) async fn refuse(issuer: &Issuer, visit: &Visit, refused: MethodRefused) -> Response {
    match refused {
        MethodRefused::NotSignedIn => own_login(issuer, visit, None),
        MethodRefused::Prove(offers) if offers.password || offers.federated => {
            own_login(issuer, visit, None)
        }
        MethodRefused::Prove(offers) => {
            let standing = issuer.oauth().standing(visit.session().as_ref()).await.ok().flatten();
            let passkey =
                standing.as_ref().and_then(|it| issuer.oauth().offered_passkey(it, &offers));
            let ask = Ask {
                offers,
                passkey,
                account: standing.map(|it| it.current.user.email).unwrap_or_default(),
                proceed: format!("next:{}", second::next_of(visit)),
                goes_to: None,
                tried: None,
            };
            second_page(issuer, visit, ask)
        }
        MethodRefused::Enrol => see_other(&issuer.oauth().settings().url(METHODS)),
        MethodRefused::Unreachable => second::unreachable(issuer, visit),
        MethodRefused::Invalid(_, words) => {
            let said = ("Please check", &*words, Some("Change it, and try again."));
            message_to(issuer, StatusCode::BAD_REQUEST, said, (None, Some(back())))
        }
        MethodRefused::Gone => {
            let said = (
                "That is not there any more",
                "It was changed meanwhile, or the page was open for too long.",
                Some("Look at your ways of signing in, and try again."),
            );
            message_to(issuer, StatusCode::CONFLICT, said, (None, Some(back())))
        }
        MethodRefused::TooMany => {
            let said = (
                "That is one too many, or it is added already",
                "You have as many ways of signing in as one account may have, or this one is among them.",
                Some("Remove one that you do not use."),
            );
            message_to(issuer, StatusCode::CONFLICT, said, (None, Some(back())))
        }
    }
}
