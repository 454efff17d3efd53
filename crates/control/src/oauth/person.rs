//! Pages for people: the authorization endpoint, signing in and out, consent, set-up.

use super::Issuer;
use super::account::ACCOUNT;
use super::addresses::ADDRESSES;
use super::answer::see_other;
use super::details;
use super::email::EMAIL;
use super::events::EVENTS;
use super::federation;
use super::form::{self, BROWSER, Cookies, SESSION, VISIT};
use super::keys::{KEYS, NEW};
use super::passkey;
use super::second::{self, Ask, METHODS, Tried, next_of, second_page};
use crate::pages::forms::{ClientView, Consent, FormPost, Login, Message, ScopeView, Setup, page};
use crate::pages::host_of;
use authority::oauth::{
    Asked, CONTINUE, CompleteSetup, ConsentAnswer, ConsentView, LoginReason, LoginView, Origin,
    RECOVER_PAGE, SessionText, SignIn, SignInRefused, Step,
};
use authority::people::Offers;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base::Secret;
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use protocol::oauth::Params;

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route("/oauth/authorize", get(authorize).post(authorize))
        .route("/oauth/decide", post(decide))
        .route("/login", get(login).post(sign_in))
        .route("/setup", get(setup).post(complete))
}

/// What every page needs of its request.
pub(super) struct Visit {
    pub(super) parts: Parts,
    pub(super) params: Params,
    pub(super) origin: Origin,
    pub(super) cookies: Cookies,
}

/// Reads a request: its query, or the form of a POST.
impl FromRequest<Issuer> for Visit {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, issuer: &Issuer) -> Result<Self, Response> {
        let (parts, params) = if request.method() == Method::POST {
            form::body(issuer, request).await
        } else {
            let (parts, _) = request.into_parts();
            form::query(issuer, &parts).map(|params| (parts, params))
        }
        .map_err(|error| unreadable(issuer, &error))?;
        let origin = form::origin(&parts)
            .ok_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
        let cookies = Cookies::of(&issuer.oauth().settings().issuer);
        Ok(Self { parts, params, origin, cookies })
    }
}

impl Visit {
    pub(super) fn session(&self) -> Option<SessionText> {
        self.cookies.read(&self.parts.headers, SESSION)
    }

    /// The cookie that the browser's forms are bound to, and the header that sets it where there was none.
    pub(super) fn visitor(&self) -> Result<(Secret<String>, Option<String>), StatusCode> {
        if let Some(kept) = self.cookies.read(&self.parts.headers, VISIT) {
            return Ok((kept, None));
        }
        let bytes = base::random_array::<32>().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let fresh = Secret::new(protocol::b64::encode(bytes));
        let set = self.cookies.set(VISIT, &fresh);
        Ok((fresh, Some(set)))
    }

    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }

    /// Whether a POST comes from a page of ours: where a browser names the origin, it is ours.
    pub(super) fn is_from_us(&self, issuer: &Issuer) -> bool {
        from_us(&self.parts.headers, &issuer.oauth().settings().issuer)
    }

    /// Whether a POST comes from a page with this form that this very session was shown (RFC 9700 §4.7).
    pub(super) fn is_of_session(&self, issuer: &Issuer, form: &str) -> bool {
        let session = self.session();
        let holds = |text| issuer.oauth().csrf_holds(text, form, self.param("csrf"));
        self.is_from_us(issuer) && session.as_ref().is_some_and(holds)
    }
}

fn from_us(headers: &HeaderMap, issuer: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    match headers.get(http::header::ORIGIN) {
        // WHY `null` passes: our pages send no referrer, and some browsers then send `Origin: null` with a form. The
        // CSRF token decides.
        Some(origin) => origin.as_bytes() == b"null" || origin.as_bytes() == issuer.as_bytes(),
        None => true,
    }
}

/// Puts a cookie into an answer.
pub(super) fn with_cookie(mut response: Response, cookie: Option<String>) -> Response {
    if let Some(value) = cookie.and_then(|it| HeaderValue::try_from(it).ok()) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

pub(super) fn message(
    issuer: &Issuer,
    status: StatusCode,
    said: (&str, &str, Option<&str>),
    id: Option<String>,
) -> Response {
    message_to(issuer, status, said, (id, None))
}

/// The same with a way on: an address of ours, and the words on its button.
pub(super) fn message_to(
    issuer: &Issuer,
    status: StatusCode,
    said: (&str, &str, Option<&str>),
    (request_id, link): (Option<String>, Option<(String, &str)>),
) -> Response {
    let (title, text, fix) = said;
    let template = Message {
        brand: issuer.brand(),
        title: title.to_owned(),
        text: sentence(text),
        fix: fix.map(str::to_owned),
        link: link.map(|(to, words)| (to, words.to_owned())),
        request_id,
    };
    page(status, &template, None).into_response()
}

fn unreadable(issuer: &Issuer, it: &form::Unreadable) -> Response {
    let said = ("This request cannot be read", it.error.description(), None);
    message(issuer, StatusCode::BAD_REQUEST, said, it.id.map(|id| id.to_string()))
}

async fn authorize(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let asked = Asked {
        params: visit.params.clone(),
        session: visit.session(),
        origin: visit.origin.clone(),
    };
    let step = issuer.oauth().authorize(asked).await;
    shown(&issuer, &visit, step, None)
}

async fn decide(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_from_us(&issuer) {
        return forged(&issuer, &visit);
    }
    let answer = ConsentAnswer {
        continue_text: visit.param(CONTINUE).to_owned(),
        csrf: visit.param("csrf").to_owned(),
        allow: visit.param("answer") == "allow",
        scopes: None,
    };
    let step = issuer.oauth().decide(answer, visit.session(), &visit.origin).await;
    shown(&issuer, &visit, step, None)
}

pub(super) fn forged(issuer: &Issuer, visit: &Visit) -> Response {
    let said = (
        "This page is too old",
        "The form did not come from a page of ours, or your browser has lost its cookies.",
        Some("Go back and load the page again."),
    );
    let link = shown_at(visit.parts.uri.path()).map(|to| (to.to_owned(), "Load it again"));
    let id = Some(visit.origin.request_id.to_string());
    message_to(issuer, StatusCode::FORBIDDEN, said, (id, link))
}

/// The page of ours whose form goes to `path`, where that page needs nothing else. What was typed is not taken along: it
/// may have come from anywhere.
fn shown_at(path: &str) -> Option<&'static str> {
    const PAGES: [&str; 8] =
        [METHODS, ADDRESSES, ACCOUNT, "/login", "/setup", RECOVER_PAGE, "/recover", "/device"];
    PAGES.into_iter().find(|page| path.starts_with(page))
}

/// What was tried, and why it did not do.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) email: String,
    pub(super) words: String,
    /// Whether it was a passkey, and not a password.
    pub(super) passkey: bool,
}

/// What the sign-in page shows of an attempt: what was typed, what is wrong with it, what is wrong with the passkey.
fn told(attempt: Option<Attempt>, hint: String) -> (String, Option<String>, Option<String>) {
    match attempt {
        None => (hint, None, None),
        Some(it) if it.passkey => (hint, None, Some(it.words)),
        Some(it) => (it.email, Some(it.words), None),
    }
}

/// What the browser gets, with what is wrong with a second proof.
pub(super) fn shown_tried(issuer: &Issuer, visit: &Visit, step: Step, tried: Tried) -> Response {
    match step {
        Step::Login(view) => match view.reason.clone() {
            LoginReason::More(offers) => {
                second_page(issuer, visit, more(*view, offers, Some(tried)))
            }
            _ => login_page(issuer, visit, *view, None),
        },
        step => shown(issuer, visit, step, None),
    }
}

fn more(view: LoginView, offers: Offers, tried: Option<Tried>) -> Ask {
    Ask {
        offers,
        passkey: view.passkey,
        account: view.account.unwrap_or_default(),
        proceed: view.continue_text,
        goes_to: Some(view.client.redirect_uri),
        tried,
    }
}

/// What the browser gets. `attempt`: what was typed and why it did not do.
pub(super) fn shown(
    issuer: &Issuer,
    visit: &Visit,
    step: Step,
    attempt: Option<Attempt>,
) -> Response {
    match step {
        Step::Redirect { url } => see_other(url.expose()),
        Step::FormPost { action, fields } => {
            let template = FormPost {
                brand: issuer.brand(),
                host: host_of(&action),
                fields: fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.expose().clone()))
                    .collect(),
                action: action.clone(),
            };
            page(StatusCode::OK, &template, Some(&action)).into_response()
        }
        Step::Login(view) => match view.reason.clone() {
            LoginReason::More(offers) if attempt.is_none() => {
                second_page(issuer, visit, more(*view, offers, None))
            }
            LoginReason::Enrolment if attempt.is_none() => enrolment(issuer, *view),
            _ => login_page(issuer, visit, *view, attempt),
        },
        Step::Consent(view) => consent_page(issuer, *view),
        Step::ErrorPage(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            let said = ("This request cannot go on", &*error.description, Some(error.fix));
            message(issuer, status, said, Some(visit.origin.request_id.to_string()))
        }
    }
}

/// Leads a person to the page where a second factor is added.
fn enrolment(issuer: &Issuer, view: LoginView) -> Response {
    let template = Message {
        brand: issuer.brand(),
        title: "A second step is needed".to_owned(),
        text: format!("{} asks for more than your password.", view.client.name),
        fix: Some("Add a second step to your account, then go back and try again.".to_owned()),
        link: Some((METHODS.to_owned(), "Add a second step".to_owned())),
        request_id: None,
    };
    page(StatusCode::OK, &template, None).into_response()
}

fn client(view: &authority::oauth::ClientView) -> ClientView {
    ClientView {
        name: view.name.clone(),
        host: Some(view.host.clone()),
        unverified: !view.registered,
        local: view.local,
    }
}

fn login_page(
    issuer: &Issuer,
    visit: &Visit,
    view: LoginView,
    attempt: Option<Attempt>,
) -> Response {
    let (visitor, cookie) = match visit.visitor() {
        Ok(visitor) => visitor,
        Err(status) => return status.into_response(),
    };
    // Who is asked once more shall not come back with what was there before.
    let fresh = view.reason != LoginReason::NotSignedIn;
    let reason = match view.reason {
        LoginReason::NotSignedIn
        | LoginReason::Choose
        | LoginReason::More(_)
        | LoginReason::Enrolment => None,
        LoginReason::Again => Some("Sign in once more to go on."),
        LoginReason::TooLongAgo => {
            Some("Your last sign-in was a while ago. Sign in once more to go on.")
        }
        LoginReason::OtherPerson => Some("Sign in with the account that the application asks for."),
    };
    let (email, error, by_passkey) = told(attempt, view.login_hint.unwrap_or_default());
    let status = if error.is_some() || by_passkey.is_some() {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    let goes_to = view.client.redirect_uri.clone();
    let template = Login {
        brand: issuer.brand(),
        client: Some(client(&view.client)),
        reason: reason.map(str::to_owned),
        csrf: issuer.oauth().csrf(&visitor, "login"),
        providers: federation::links(issuer, &visitor, (&view.continue_text, fresh)),
        proceed: view.continue_text,
        email,
        error,
        passkey: passkey::any(view.passkey, by_passkey),
    };
    with_cookie(page(status, &template, Some(&goes_to)).into_response(), cookie)
}

fn consent_page(issuer: &Issuer, view: ConsentView) -> Response {
    let goes_to = view.client.redirect_uri.clone();
    let template = Consent {
        brand: issuer.brand(),
        client: client(&view.client),
        account: view.email,
        redirect_host: view.client.host.clone(),
        scopes: view
            .scopes
            .into_iter()
            .map(|it| ScopeView { name: it.name, words: it.words })
            .collect(),
        resources: view.resources,
        details: view.details.iter().map(details::view).collect(),
        csrf: view.csrf,
        proceed: view.continue_text,
    };
    page(StatusCode::OK, &template, Some(&goes_to)).into_response()
}

/// The sign-in page by itself: for the pages of ours that need a session.
async fn login(State(issuer): State<Issuer>, visit: Visit) -> Response {
    own_login(&issuer, &visit, None)
}

/// Pages of ours that may be gone back to after signing in. WHY a list: whatever stands in an address, nobody is led
/// elsewhere (RFC 9700 §4.11).
const OWN_PAGES: [&str; 9] = [
    "/device",
    ACCOUNT,
    METHODS,
    ADDRESSES,
    EMAIL,
    authority::oauth::ADDRESS_CODE_PAGE,
    KEYS,
    NEW,
    EVENTS,
];

/// The page of ours that `next` names, with its query.
pub(super) fn own_page(next: &str) -> Option<&str> {
    let path = next.split('?').next().unwrap_or_default();
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (OWN_PAGES.contains(&path) && plain).then_some(next)
}

pub(super) fn own_login(issuer: &Issuer, visit: &Visit, attempt: Option<Attempt>) -> Response {
    let (visitor, cookie) = match visit.visitor() {
        Ok(visitor) => visitor,
        Err(status) => return status.into_response(),
    };
    let (email, error, by_passkey) = told(attempt, String::new());
    let status = if error.is_some() || by_passkey.is_some() {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    let next = next_of(visit);
    let template = Login {
        brand: issuer.brand(),
        client: None,
        reason: None,
        csrf: issuer.oauth().csrf(&visitor, "login"),
        providers: federation::links(
            issuer,
            &visitor,
            (&format!("next:{next}"), visit.session().is_some()),
        ),
        proceed: format!("next:{next}"),
        email,
        error,
        // Without passkeys the page is still good.
        passkey: passkey::any(issuer.oauth().ask_any_passkey().ok().flatten(), by_passkey),
    };
    with_cookie(page(status, &template, None).into_response(), cookie)
}

async fn sign_in(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if visit.params.get("factor").is_some() {
        return second::prove(&issuer, &visit).await;
    }
    let oauth = issuer.oauth();
    // RFC 9700 §4.7 and login CSRF: the form was shown to this very browser.
    let visitor = visit.cookies.read(&visit.parts.headers, VISIT);
    let ours = visitor.is_some_and(|it| oauth.csrf_holds(&it, "login", visit.param("csrf")));
    if !ours || !visit.is_from_us(&issuer) {
        return forged(&issuer, &visit);
    }
    let email = visit.param("email").to_owned();
    let ask = SignIn {
        email: email.clone(),
        password: Secret::new(visit.param("password").to_owned()),
        session: visit.session(),
        browser: visit.cookies.read(&visit.parts.headers, BROWSER),
    };
    let refused = match oauth.sign_in(ask, &visit.origin).await {
        Ok(Ok(signed_in)) => return second::signed(&issuer, &visit, signed_in).await,
        Ok(Err(refused)) => refused,
        Err(_) => {
            let said = (
                "Signing in is not possible now",
                "Something on our side does not answer.",
                Some("Try again in a moment."),
            );
            let id = visit.origin.request_id.to_string();
            return message(&issuer, StatusCode::SERVICE_UNAVAILABLE, said, Some(id));
        }
    };
    let words = match refused {
        SignInRefused::Wrong
        | SignInRefused::NoMatch
        | SignInRefused::Shut
        | SignInRefused::NotBegun => "That e-mail and password do not belong together.".to_owned(),
        SignInRefused::TooEarly(wait) => {
            format!("Those were many attempts. Try again in {}.", spoken(wait.as_secs().max(1)))
        }
        SignInRefused::Busy => "Many people sign in just now. Try again in a moment.".to_owned(),
    };
    let response = again(&issuer, &visit, Attempt { email, words, passkey: false }).await;
    second::delayed(response, refused)
}

pub(super) fn spoken(seconds: u64) -> String {
    match seconds {
        1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        more => format!("{} minutes", more.div_ceil(60)),
    }
}

/// Where a person goes who has just signed in.
pub(super) async fn onward(issuer: &Issuer, visit: &Visit, session: SessionText) -> Response {
    let text = visit.param(CONTINUE);
    if let Some(next) = text.strip_prefix("next:") {
        if let Some(response) = second::own_step(issuer, visit, &session, None).await {
            return response;
        }
        return match own_page(next) {
            Some(next) => see_other(&issuer.oauth().settings().url(next)),
            None => {
                let said = ("You are signed in", "You can close this page.", None);
                let link = (ACCOUNT.to_owned(), "Your account");
                message_to(issuer, StatusCode::OK, said, (None, Some(link)))
            }
        };
    }
    let step = issuer.oauth().authorize(asked(visit, Some(session))).await;
    shown(issuer, visit, step, None)
}

pub(super) fn asked(visit: &Visit, session: Option<SessionText>) -> Asked {
    let mut params = Params::default();
    // A value that came in as one parameter fits as one.
    let _ = params.push(CONTINUE, visit.param(CONTINUE));
    Asked { params, session, origin: visit.origin.clone() }
}

/// The sign-in page once more, with what was wrong.
pub(super) async fn again(issuer: &Issuer, visit: &Visit, attempt: Attempt) -> Response {
    if visit.param(CONTINUE).starts_with("next:") {
        return own_login(issuer, visit, Some(attempt));
    }
    // WHY without a session: the page is to ask again, whoever is signed in.
    let step = issuer.oauth().authorize(asked(visit, None)).await;
    shown(issuer, visit, step, Some(attempt))
}

async fn setup(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let first = visit.params.get("first").is_some();
    setup_page(&issuer, &visit, first, (String::new(), None))
}

fn setup_page(
    issuer: &Issuer,
    visit: &Visit,
    first: bool,
    (code, error): (String, Option<(&'static str, String)>),
) -> Response {
    let (visitor, cookie) = match visit.visitor() {
        Ok(visitor) => visitor,
        Err(status) => return status.into_response(),
    };
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let template = Setup {
        brand: issuer.brand(),
        csrf: issuer.oauth().csrf(&visitor, "setup"),
        code,
        first,
        email: visit.param("email").to_owned(),
        error,
    };
    with_cookie(page(status, &template, None).into_response(), cookie)
}

async fn complete(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let oauth = issuer.oauth();
    let visitor = visit.cookies.read(&visit.parts.headers, VISIT);
    let ours = visitor.is_some_and(|it| oauth.csrf_holds(&it, "setup", visit.param("csrf")));
    if !ours || !visit.is_from_us(&issuer) {
        return forged(&issuer, &visit);
    }
    let code = visit.param("code").trim().trim_start_matches('#').to_owned();
    let first = visit.params.get("email").is_some();
    let ask = CompleteSetup {
        setup: Secret::new(code.clone()),
        email: visit.params.get("email").map(str::to_owned),
        password: Secret::new(visit.param("password").to_owned()),
    };
    match oauth.set_password(ask, &visit.origin).await {
        Ok(done) => {
            let template = Message {
                brand: issuer.brand(),
                title: "Your password is set".to_owned(),
                text: "You can sign in with it from now on.".to_owned(),
                fix: done.advice().map(weak),
                link: Some((format!("/login?next={METHODS}"), "Sign in".to_owned())),
                request_id: None,
            };
            page(StatusCode::OK, &template, None).into_response()
        }
        Err(authority::Error::Invalid { field, problem }) => {
            let wrong = (field, sentence(&problem));
            setup_page(&issuer, &visit, first, (code, Some(wrong)))
        }
        Err(_) => {
            let said = (
                "That is not possible now",
                "Something on our side does not answer.",
                Some("Try again in a moment."),
            );
            message(&issuer, StatusCode::SERVICE_UNAVAILABLE, said, None)
        }
    }
}

/// What is said of a password that is allowed and weak.
pub(super) fn weak(words: &str) -> String {
    format!("How well it withstands guessing: {words}. A few more words would make it stronger.")
}

/// A rule's words as a sentence; a sentence stays as it is.
pub(super) fn sentence(words: &str) -> String {
    // "Is too short" is half a sentence.
    let words = &*match words.strip_prefix("is ") {
        Some(rest) => format!("this is {rest}"),
        None => words.to_owned(),
    };
    let mut letters = words.chars();
    let first: String = letters.next().map(|it| it.to_uppercase().collect()).unwrap_or_default();
    let end = if words.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9700_s4_11_nobody_is_led_elsewhere() {
        let check = |next: &str, expect: bool| {
            assert_eq!(own_page(next).is_some(), expect, "{next}");
        };
        check("/device?user_code=BCDF-GHJK", true);
        check("/device", true);
        check("https://evil.example/device", false);
        check("//evil.example/device", false);
        check("/device\\..\\x", false);
        check("/devices", false);
        check("/oauth/authorize?client_id=x", false);
        check("", false);
    }

    #[test]
    fn a_form_of_another_origin_is_not_ours() {
        let check = |name: &'static str, value: &str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(from_us(&headers, "https://login.example"), expect, "{name}: {value}");
        };
        check("origin", "https://login.example", true);
        check("origin", "https://evil.example", false);
        check("origin", "null", true);
        check("sec-fetch-site", "same-origin", true);
        check("sec-fetch-site", "cross-site", false);
        check("sec-fetch-site", "same-site", false);
        check("x-other", "1", true);
    }
}
