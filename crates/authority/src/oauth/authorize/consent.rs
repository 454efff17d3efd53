//! What a person must be shown, and what was agreed to before.

use super::request::is_stranger;
use super::{Prepared, Step, Stop};
use crate::oauth::clients::auth_method;
use crate::oauth::records::{ClientRecord, ConsentRecord};
use crate::oauth::scopes::ScopeView;
use crate::oauth::sessions::{Current, SessionText};
use crate::oauth::{OAuth, PasskeyAsk};
use crate::people::Offers;
use protocol::AlgorithmSet;
use protocol::oauth::ErrorCode;
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::uri::Uri;
use protocol::oidc::{IdTokenHint, scope_claims};
use serde_json::Value;

/// The client as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientView {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Its home page.
    pub uri: Option<String>,
    /// Its privacy policy.
    pub policy_uri: Option<String>,
    /// Its terms.
    pub tos_uri: Option<String>,
    /// Whether somebody here has registered it. Else nothing vouches for its name, and only the host counts.
    pub registered: bool,
    /// Where the person is sent.
    pub redirect_uri: String,
    /// The host of that, or the scheme of an app.
    pub host: String,
    /// Whether that is a program on the person's own machine.
    pub local: bool,
}

/// Why a person must sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginReason {
    /// Nobody is signed in.
    NotSignedIn,
    /// The client asks for a fresh sign-in (`prompt=login`).
    Again,
    /// The last sign-in was too long ago (`max_age`).
    TooLongAgo,
    /// The client asks for the choice of an account (`prompt=select_account`).
    Choose,
    /// The client asks for another person than the one who is signed in.
    OtherPerson,
    /// The person is known, and something more is to be proved: one of these.
    More(Offers),
    /// The person is known, and has no second factor to prove what is asked for.
    Enrolment,
}

/// Why a request waits for a person, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stopped {
    pub(crate) reason: LoginReason,
    pub(crate) account: Option<String>,
    /// One of the person's own passkeys would do.
    pub(crate) passkey: Option<PasskeyAsk>,
}

impl From<LoginReason> for Stopped {
    fn from(reason: LoginReason) -> Self {
        Self { reason, account: None, passkey: None }
    }
}

/// What the sign-in page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginView {
    /// What the page sends back as [`super::CONTINUE`].
    pub continue_text: String,
    /// Who asks.
    pub client: ClientView,
    /// What to fill in.
    pub login_hint: Option<String>,
    /// Why.
    pub reason: LoginReason,
    /// Who is known to be there, where something more is to be proved.
    pub account: Option<String>,
    /// What to ask the browser for, where a passkey would do.
    pub passkey: Option<PasskeyAsk>,
}

/// What the consent page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsentView {
    /// What the page sends back as [`super::CONTINUE`].
    pub continue_text: String,
    /// What the page sends back, so that no other page can.
    pub csrf: String,
    /// Who asks.
    pub client: ClientView,
    /// Who is asked.
    pub email: String,
    /// What for.
    pub scopes: Vec<ScopeView>,
    /// At which resources.
    pub resources: Vec<String>,
    /// RFC 9396 details.
    pub details: Vec<Value>,
}

/// Whether the person must be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needed {
    /// No; these scopes are given.
    Nothing { scopes: Vec<String> },
    /// Yes, about these.
    Question { scopes: Vec<String> },
}

pub(crate) fn client_view(client: &ClientRecord, redirect_uri: &str) -> ClientView {
    let uri = Uri::parse(redirect_uri);
    let host = uri.and_then(|uri| uri.web_host());
    let shown = host.map(str::to_ascii_lowercase).or_else(|| uri.map(|uri| uri.scheme.to_owned()));
    let metadata = &client.metadata;
    ClientView {
        id: client.id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        name: client.name.clone(),
        uri: metadata.client_uri.clone(),
        policy_uri: metadata.policy_uri.clone(),
        tos_uri: metadata.tos_uri.clone(),
        registered: !is_stranger(client),
        host: shown.unwrap_or_default(),
        local: host.is_none_or(protocol::oauth::uri::is_loopback),
    }
}

/// The name of the consent form, for its CSRF token: bound to the request, so that the token of one request is of
/// no use for another.
pub(super) fn form(continue_text: &str) -> String {
    format!("consent\0{continue_text}")
}

impl OAuth {
    pub(super) fn login_step(&self, prepared: &Prepared, why: Stopped) -> Step {
        let Stopped { reason, account, mut passkey } = why;
        if !matches!(reason, LoginReason::More(_) | LoginReason::Enrolment) {
            // Without passkeys the page is still good.
            passkey = self.ask_any_passkey().ok().flatten();
        }
        Step::Login(Box::new(LoginView {
            continue_text: self.continue_text(prepared),
            client: client_view(&prepared.client, &prepared.reply.redirect_uri),
            login_hint: prepared.request.login_hint.as_deref().map(str::to_owned),
            reason,
            account,
            passkey,
        }))
    }

    pub(super) async fn consent_step(
        &self,
        prepared: &Prepared,
        current: &Current,
        scopes: &[String],
        session: Option<&SessionText>,
    ) -> Result<Step, Stop> {
        if prepared.request.prompt.none {
            // OpenID Connect Core §3.1.2.6: no page may be shown.
            let rule = "OpenID Connect Core §3.1.2.1: prompt=none, and consent is missing";
            return Err(prepared.refuse(ErrorCode::ConsentRequired, "consent is missing", rule));
        }
        let continue_text = self.continue_text(prepared);
        let csrf = session.map(|session| self.csrf(session, &form(&continue_text)));
        Ok(Step::Consent(Box::new(ConsentView {
            csrf: csrf.unwrap_or_default(),
            continue_text,
            client: client_view(&prepared.client, &prepared.reply.redirect_uri),
            email: current.user.email.clone(),
            scopes: self.scope_views(&with_claims(scopes, prepared)).await?,
            resources: prepared.resources.clone(),
            details: details(prepared).as_array().cloned().unwrap_or_default(),
        })))
    }

    /// Whether the person must be asked (OpenID Connect Core §3.1.2.4).
    pub(super) async fn needed(
        &self,
        prepared: &Prepared,
        current: &Current,
    ) -> Result<Needed, Stop> {
        let scopes = self.of_person(prepared.scopes.clone(), &current.user);
        let client = &prepared.client;
        if prepared.request.prompt.consent {
            return Ok(Needed::Question { scopes });
        }
        // RFC 8252 §8.6, OAuth 2.1 §7.3.1: who cannot be told from another program on the same machine gets nothing
        // without a question.
        if !is_assured(client, &prepared.reply.redirect_uri) {
            return Ok(Needed::Question { scopes });
        }
        // A client of our own: whoever made it has agreed for everybody.
        if !client.consent && !is_stranger(client) {
            return Ok(Needed::Nothing { scopes });
        }
        let store = &self.parts.store;
        let kept = store.consent(current.user.id.clone(), client.id.clone()).await?;
        let asked = with_claims(&scopes, prepared);
        match kept.is_some_and(|kept| covers(&kept, &asked, prepared)) {
            true => Ok(Needed::Nothing { scopes }),
            false => Ok(Needed::Question { scopes }),
        }
    }

    /// The `sub` that must be the one who answers, as the client knows it.
    pub(super) fn wanted_subject(&self, prepared: &Prepared) -> Result<Option<String>, Stop> {
        let request = &prepared.request;
        let Some(hint) = &request.id_token_hint else {
            return Ok(request.claims.subject().map(str::to_owned));
        };
        let settings = self.settings();
        let keys = self.key_set();
        let hint = IdTokenHint::read(hint, &settings.issuer, &keys, AlgorithmSet::ALL);
        match hint {
            Ok(hint) if *hint.client_id == *prepared.client.id => Ok(Some(hint.subject.into())),
            // WHY: a hint that says nothing must not be passed over, since the client relies on it.
            _ => Err(prepared.refuse(
                ErrorCode::InvalidRequest,
                "id_token_hint is not an ID token of this client",
                "OpenID Connect Core §3.1.2.1: id_token_hint is not an ID token that this client got here",
            )),
        }
    }
}

/// Whether another program could pass for this client: not one that authenticates, nor one that is reached at a
/// host of its own over https.
fn is_assured(client: &ClientRecord, redirect_uri: &str) -> bool {
    let authenticates = auth_method(client).is_some_and(|it| it != AuthMethod::None);
    authenticates || protocol::oauth::uri::is_https(redirect_uri)
}

fn covers(kept: &ConsentRecord, scopes: &[String], prepared: &Prepared) -> bool {
    let within = |kept: &[String], asked: &[String]| asked.iter().all(|it| kept.contains(it));
    // A client whose document leads elsewhere since was not agreed to.
    let same = kept.at >= prepared.client.created_at;
    same && within(&kept.scopes, scopes)
        && within(&kept.resources, &places(prepared))
        && covers_details(&kept.authorization_details, &details(prepared))
}

/// The scopes, and those that stand for what the `claims` parameter asks for one by one (OpenID Connect Core §5.4, §5.5):
/// what a client learns of a person is shown and remembered, whichever way it asks. Tokens get no scope by it.
fn with_claims(scopes: &[String], prepared: &Prepared) -> Vec<String> {
    let claims = &prepared.request.claims;
    let asked = |scope: &str| {
        let names = scope_claims(scope);
        claims.userinfo.keys().chain(claims.id_token.keys()).any(|it| names.contains(&&**it))
    };
    let news = |scope: &&str| scopes.iter().all(|own| own != scope) && asked(scope);
    let more = CLAIM_SCOPES.into_iter().filter(news).map(str::to_owned);
    scopes.iter().cloned().chain(more).collect()
}

/// The scopes that stand for claims.
const CLAIM_SCOPES: [&str; 4] = ["address", "email", "phone", "profile"];

/// What stands among remembered resources for: wherever the scopes lead. No resource is empty.
const ANYWHERE: &str = "";

/// Where what was asked for holds, as it is remembered. WHY not nothing without a resource: the audience follows from
/// the scopes then, and who agreed to one resource has not agreed to all.
fn places(prepared: &Prepared) -> Vec<String> {
    match prepared.resources.is_empty() {
        true => vec![ANYWHERE.to_owned()],
        false => prepared.resources.clone(),
    }
}

fn covers_details(kept: &Value, asked: &Value) -> bool {
    let Some(asked) = asked.as_array() else { return true };
    let kept = kept.as_array();
    asked.iter().all(|it| kept.is_some_and(|kept| kept.contains(it)))
}

/// The RFC 9396 details of the request as JSON, or null.
pub(super) fn details(prepared: &Prepared) -> Value {
    let details = &prepared.request.authorization_details;
    match details.is_empty() {
        true => Value::Null,
        false => serde_json::to_value(details).unwrap_or_default(),
    }
}

/// What is remembered after a yes: what was agreed to before, and this.
pub(super) fn remembered(
    kept: Option<ConsentRecord>,
    prepared: &Prepared,
    current: &Current,
    scopes: &[String],
    now: base::UnixMs,
) -> ConsentRecord {
    // What was agreed to before the client led elsewhere is forgotten.
    let kept = kept.filter(|it| it.at >= prepared.client.created_at);
    let places = places(prepared);
    let mut scopes = with_claims(scopes, prepared);
    scopes.sort_unstable();
    // WHY: scopes at one resource and other scopes at another are not all scopes at both, which nobody has seen.
    let kept = kept.filter(|it| it.resources == places || it.scopes == scopes);
    let mut all = kept.unwrap_or_else(|| ConsentRecord {
        user: current.user.id.clone(),
        client: prepared.client.id.clone(),
        scopes: Vec::new(),
        resources: Vec::new(),
        authorization_details: Value::Null,
        at: now,
    });
    merge(&mut all.scopes, &scopes);
    merge(&mut all.resources, &places);
    let mut kept_details = all.authorization_details.as_array().cloned().unwrap_or_default();
    for detail in details(prepared).as_array().into_iter().flatten() {
        if !kept_details.contains(detail) && kept_details.len() < REMEMBERED_DETAILS {
            kept_details.push(detail.clone());
        }
    }
    all.authorization_details =
        if kept_details.is_empty() { Value::Null } else { Value::Array(kept_details) };
    all.at = now;
    all
}

/// Details that are remembered for one client; what comes after them is asked for each time.
const REMEMBERED_DETAILS: usize = 32;

fn merge(into: &mut Vec<String>, more: &[String]) {
    into.extend_from_slice(more);
    into.sort_unstable();
    into.dedup();
}
