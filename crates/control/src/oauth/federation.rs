//! Signing in with another provider, on the pages: the way there and back, and linking an account that one has there.
//!
//! Never does: judge what comes back, or show what a provider says.
//!
//! Invariants: the way there begins on a page of ours in this very browser; the way back leads on to where the person was
//! on the way to, and nowhere else.

use super::Issuer;
use super::answer::see_other;
use super::form::{AWAY, BROWSER, SESSION, VISIT};
use super::methods::refuse;
use super::person::{Visit, forged, with_cookie};
use super::second::{self, METHODS, broken};
use crate::pages::forms::{Message, ProviderLink, page};
use authority::oauth::{
    CALLBACK_PATH, CONTINUE, CameBack, FederationRefused, Leave, Left, ProviderView, Returned,
    SignedIn, TripRefused,
};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::Secret;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode, Uri};
use protocol::oauth::Params;
use protocol::oauth::params::encode;

/// Where the way there begins.
const WITH: &str = "/login/with";
/// Where linking begins.
const LINK: &str = "/account/methods/link";
/// The name of the links on the sign-in page, for their CSRF token.
const FORM: &str = "away";
/// The name of the links with which one's own account is linked, for theirs.
const LINK_FORM: &str = "link";

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route(WITH, get(leave))
        .route(LINK, get(link))
        .route(&format!("{CALLBACK_PATH}{{provider}}"), get(back))
}

/// The links of a sign-in page. `fresh`: who comes back shall have proved themselves anew.
///
/// WHY links and not forms: browsers hold all redirects after a form to the page's policy (CSP 3 §4.2.1), and where a
/// provider leads people is its own matter. The token in the address is worth nothing in another browser.
pub(super) fn links(
    issuer: &Issuer,
    visitor: &Secret<String>,
    (proceed, fresh): (&str, bool),
) -> Vec<ProviderLink> {
    let oauth = issuer.oauth();
    let csrf = oauth.csrf(visitor, FORM);
    let link = |it: ProviderView| {
        let fresh = if fresh { "1" } else { "" };
        let query = encode([
            ("provider", &*it.name),
            (CONTINUE, proceed),
            ("fresh", fresh),
            ("csrf", &*csrf),
        ]);
        ProviderLink { href: format!("{WITH}?{query}"), label: it.display_name }
    };
    oauth.provider_views().into_iter().map(link).collect()
}

/// The links of the page on which people see how they sign in. WHY a token of their own: it stands in an address, which
/// others may write down, and is to open none of the page's forms.
pub(super) fn linkable(issuer: &Issuer, visit: &Visit) -> Vec<ProviderLink> {
    let Some(session) = visit.session() else { return Vec::new() };
    let csrf = issuer.oauth().csrf(&session, LINK_FORM);
    let link = |it: ProviderView| {
        let query = encode([("provider", &*it.name), ("csrf", &*csrf)]);
        ProviderLink { href: format!("{LINK}?{query}"), label: it.display_name }
    };
    issuer.oauth().provider_views().into_iter().map(link).collect()
}

fn label(issuer: &Issuer, name: &str) -> String {
    let found = issuer.oauth().provider_views().into_iter().find(|it| it.name == name);
    found.map_or_else(|| "the provider".to_owned(), |it| it.display_name)
}

async fn leave(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let oauth = issuer.oauth();
    let visitor = visit.cookies.read(&visit.parts.headers, VISIT);
    // Forced sign-ins (RFC 9700 §4.7): the link was shown to this very browser.
    let shown = visitor.filter(|it| oauth.csrf_holds(it, FORM, visit.param("csrf")));
    let Some(visitor) = shown.filter(|_| visit.is_from_us(&issuer)) else {
        return forged(&issuer, &visit);
    };
    let ask = Leave {
        provider: visit.param("provider").to_owned(),
        visitor,
        proceed: visit.param(CONTINUE).to_owned(),
        fresh: !visit.param("fresh").is_empty(),
    };
    match oauth.leave(ask, &visit.origin).await {
        Ok(Ok(left)) => away(&visit, &left),
        Ok(Err(refused)) => refusal(&issuer, &visit, visit.param("provider"), refused),
        Err(_) => broken(&issuer, &visit),
    }
}

async fn link(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let holds = |text| issuer.oauth().csrf_holds(&text, LINK_FORM, visit.param("csrf"));
    if !visit.is_from_us(&issuer) || !visit.session().is_some_and(holds) {
        return forged(&issuer, &visit);
    }
    let (visitor, cookie) = match visit.visitor() {
        Ok(visitor) => visitor,
        Err(status) => return status.into_response(),
    };
    let ask = Leave {
        provider: visit.param("provider").to_owned(),
        visitor,
        proceed: format!("next:{METHODS}"),
        fresh: false,
    };
    let session = visit.session();
    match issuer.oauth().leave_to_link(ask, session.as_ref(), &visit.origin).await {
        Ok(Ok(Ok(left))) => with_cookie(away(&visit, &left), cookie),
        Ok(Ok(Err(refused))) => refusal(&issuer, &visit, visit.param("provider"), refused),
        Ok(Err(refused)) => {
            // What must be proved is proved on the way to the page, not to this address.
            refuse(&issuer, &at(visit, METHODS, None), refused).await
        }
        Err(_) => broken(&issuer, &visit),
    }
}

fn away(visit: &Visit, left: &Left) -> Response {
    with_cookie(see_other(&left.url), Some(visit.cookies.set(AWAY, &left.away)))
}

/// The same visit as if it had come to one of our own pages, so that what it is shown leads on from there.
fn at(visit: Visit, path: &'static str, proceed: Option<&str>) -> Visit {
    let mut params = Params::default();
    if let Some(proceed) = proceed {
        // It was a parameter before.
        let _ = params.push(CONTINUE, proceed);
    }
    let mut parts = visit.parts;
    parts.uri = Uri::from_static(path);
    Visit { parts, params, ..visit }
}

async fn back(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let path = visit.parts.uri.path();
    let name = path.strip_prefix(CALLBACK_PATH).unwrap_or_default().to_owned();
    let read = |what| visit.cookies.read(&visit.parts.headers, what);
    let came = CameBack {
        provider: name.clone(),
        params: visit.params.clone(),
        away: read(AWAY),
        visitor: read(VISIT),
        session: visit.session(),
        browser: read(BROWSER),
    };
    let done = visit.cookies.clear(AWAY);
    match issuer.oauth().come_home(came, &visit.origin).await {
        Ok(Ok(Returned::SignedIn { signed_in, proceed })) => {
            with_cookie(home(&issuer, visit, *signed_in, &proceed).await, Some(done))
        }
        Ok(Ok(Returned::Linked { provider })) => {
            with_cookie(linked(&issuer, &provider), Some(done))
        }
        Ok(Err(refused)) => {
            // WHY kept: anybody can send a browser here with nothing, and its true answer may be on the way.
            let kept =
                matches!(refused.why, FederationRefused::NotBegun | FederationRefused::Unknown);
            let response = refusal(&issuer, &visit, &name, refused);
            with_cookie(response, Some(done).filter(|_| !kept))
        }
        Err(_) => broken(&issuer, &visit),
    }
}

/// Leads a person on who has just signed in.
async fn home(issuer: &Issuer, visit: Visit, signed_in: SignedIn, proceed: &str) -> Response {
    if proceed.starts_with("next:") {
        let visit = at(visit, "/login", Some(proceed));
        return second::signed(issuer, &visit, signed_in).await;
    }
    // WHY not at once: the code of the provider shall not stand in the address of a page.
    let response = see_other(&issuer.oauth().settings().url(&authorize(proceed)));
    let browser = signed_in.browser.as_ref().map(|text| visit.cookies.keep(BROWSER, text));
    let session = visit.cookies.set(SESSION, &signed_in.text);
    with_cookie(with_cookie(response, Some(session)), browser)
}

pub(super) fn authorize(proceed: &str) -> String {
    format!("/oauth/authorize?{}", encode([(CONTINUE, proceed)]))
}

fn linked(issuer: &Issuer, provider: &str) -> Response {
    let template = Message {
        brand: issuer.brand(),
        title: "Your account is linked".to_owned(),
        text: format!("From now on you can sign in here with your account at {provider}."),
        fix: None,
        link: Some((METHODS.to_owned(), "How you sign in".to_owned())),
        request_id: None,
    };
    page(StatusCode::OK, &template, None).into_response()
}

/// What is said: title, text, what to do.
fn words(why: FederationRefused, it: &str) -> (StatusCode, &'static str, String, String) {
    use FederationRefused as Why;
    let again = "Go back to the sign-in page and begin again.".to_owned();
    match why {
        Why::Unknown => (
            StatusCode::NOT_FOUND,
            "There is no such way to sign in",
            "This site does not know the provider in that address.".to_owned(),
            again,
        ),
        Why::NotBegun => (
            StatusCode::FORBIDDEN,
            "Please begin again",
            "Your sign-in took too long, began in another browser or window, or was used before.".to_owned(),
            again,
        ),
        Why::Denied => (
            StatusCode::FORBIDDEN,
            "You were not signed in",
            format!("{it} did not sign you in, or you said no there."),
            "Try again, or sign in another way.".to_owned(),
        ),
        Why::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "That is not possible now",
            format!("{it} does not answer us."),
            "Try again in a moment, or sign in another way. If it stays so, tell who runs this site.".to_owned(),
        ),
        Why::Wrong => (
            StatusCode::BAD_REQUEST,
            "The answer cannot be used",
            format!("What {it} said of your sign-in is not right, so nobody was signed in."),
            "Try again. If it stays so, tell who runs this site, with the request's number.".to_owned(),
        ),
        Why::NotLinked => (
            StatusCode::FORBIDDEN,
            "No account here belongs to that one",
            format!("You signed in at {it}, but your account there is not linked to one here."),
            "If you have an account here, sign in to it with your own password or passkey, then link the other one on \
             the page “How you sign in”. If you have none, ask an administrator."
                .to_owned(),
        ),
        Why::Closed => (
            StatusCode::FORBIDDEN,
            "Your account is closed",
            "The account here that belongs to that one is closed.".to_owned(),
            "Ask an administrator.".to_owned(),
        ),
        Why::Taken => (
            StatusCode::CONFLICT,
            "It cannot be linked",
            format!("That account at {it} is linked to another account here, or you have linked too many."),
            "Sign in with it, or choose another one.".to_owned(),
        ),
        Why::TooEarly(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            "Please wait a moment",
            "Those were many attempts.".to_owned(),
            format!("Try again in {}.", super::person::spoken(wait.as_secs().max(1))),
        ),
        Why::TooLong => (
            StatusCode::BAD_REQUEST,
            "This request is too long",
            format!("What the application asks for is too long to be kept while you are at {it}."),
            "Sign in another way, or tell who makes the application to push its requests (RFC 9126).".to_owned(),
        ),
    }
}

fn refusal(issuer: &Issuer, visit: &Visit, name: &str, refused: TripRefused) -> Response {
    let TripRefused { why, proceed } = refused;
    let (status, title, text, fix) = words(why, &label(issuer, name));
    let target = match proceed.as_deref() {
        None => "/login".to_owned(),
        Some(text) => match text.strip_prefix("next:") {
            Some(next) if next == METHODS => METHODS.to_owned(),
            Some(next) => format!("/login?{}", encode([("next", next)])),
            None => authorize(text),
        },
    };
    let template = Message {
        brand: issuer.brand(),
        title: title.to_owned(),
        text,
        fix: Some(fix),
        link: Some((target, "Back".to_owned())),
        request_id: Some(visit.origin.request_id.to_string()),
    };
    let mut response = page(status, &template, None).into_response();
    if let FederationRefused::TooEarly(wait) = why {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}
