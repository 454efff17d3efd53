//! Reading the parameters one by one.

use super::{
    AuthorizationDetails, AuthorizationRequest, CLIENT_ID_CHARS, Display, ENTRY_BYTES,
    LOGIN_HINT_BYTES, NONCE_BYTES, Prompts, RequestFault, ResponseMode, STATE_BYTES, VALUES,
};
use crate::b64;
use crate::oauth::claims_request::ClaimsRequest;
use crate::oauth::error::ErrorCode;
use crate::oauth::params::Params;
use crate::oauth::scope::ScopeSet;
use crate::oauth::{pkce, uri};
use base::limits::CREDENTIAL_BYTES;

pub(super) fn request(params: &Params) -> Result<AuthorizationRequest, RequestFault> {
    let client_id = client_id(params)?.into();
    let redirect_uri = redirect_uri(params)?;
    not_here(params)?;
    response_type(params)?;
    Ok(AuthorizationRequest {
        client_id,
        redirect_uri,
        response_mode: response_mode(params)?,
        scope: scope(params)?,
        state: state(params)?,
        nonce: text(params, "nonce", NONCE_BYTES)?,
        code_challenge: code_challenge(params)?,
        prompt: prompt(params)?,
        max_age: max_age(params)?,
        acr_values: acr_values(params)?,
        login_hint: text(params, "login_hint", LOGIN_HINT_BYTES)?,
        id_token_hint: text(params, "id_token_hint", CREDENTIAL_BYTES)?,
        ui_locales: ui_locales(params),
        claims: claims(params)?,
        resource: resource(params)?,
        authorization_details: details(params)?,
        dpop_jkt: dpop_jkt(params)?,
        display: display(params),
    })
}

pub(super) fn client_id(params: &Params) -> Result<&str, RequestFault> {
    let missing = || RequestFault::invalid("client_id", "is missing");
    let id = params.get("client_id").ok_or_else(missing)?;
    // RFC 6749 Appendix A.1: visible characters and space.
    match id.len() <= CLIENT_ID_CHARS && printable(id) {
        true => Ok(id),
        false => Err(RequestFault::invalid("client_id", "is malformed")),
    }
}

pub(super) fn redirect_uri(params: &Params) -> Result<Option<Box<str>>, RequestFault> {
    match params.get("redirect_uri") {
        None => Ok(None),
        // RFC 6749 §3.1.2: an absolute URI without fragment.
        Some(uri) if uri::is_absolute(uri) => Ok(Some(uri.into())),
        Some(_) => {
            Err(RequestFault::invalid("redirect_uri", "is not an absolute URI without fragment"))
        }
    }
}

pub(super) fn state(params: &Params) -> Result<Option<Box<str>>, RequestFault> {
    match params.get("state") {
        // RFC 6749 Appendix A.5: visible characters and space.
        Some(state) if state.len() > STATE_BYTES || !printable(state) => Err(
            RequestFault::invalid("state", "is too long or has a character that is not allowed"),
        ),
        state => Ok(state.map(Into::into)),
    }
}

pub(super) fn response_mode(params: &Params) -> Result<ResponseMode, RequestFault> {
    match params.get("response_mode") {
        None => Ok(ResponseMode::default()),
        Some(name) => ResponseMode::read(name)
            .ok_or_else(|| RequestFault::invalid("response_mode", "is not one that is offered")),
    }
}

/// What never stands in a request that is whole.
fn not_here(params: &Params) -> Result<(), RequestFault> {
    for (name, code) in [
        // RFC 9101 §4, RFC 9126 §2.1: no object within an object, no reference within a pushed request.
        ("request_uri", ErrorCode::InvalidRequest),
        ("request", ErrorCode::InvalidRequest),
        ("registration", ErrorCode::RegistrationNotSupported),
    ] {
        if params.get(name).is_some() {
            return Err(RequestFault::new(name, code, "is not taken here"));
        }
    }
    Ok(())
}

fn response_type(params: &Params) -> Result<(), RequestFault> {
    match params.get("response_type") {
        Some("code") => Ok(()),
        None => Err(RequestFault::invalid("response_type", "is missing")),
        // RFC 9700 §2.1.2: no token is issued by the authorization endpoint.
        Some(_) => Err(RequestFault::new(
            "response_type",
            ErrorCode::UnsupportedResponseType,
            "can only be code",
        )),
    }
}

fn scope(params: &Params) -> Result<ScopeSet, RequestFault> {
    let scope = ScopeSet::parse(params.get("scope").unwrap_or_default());
    scope.map_err(|_| RequestFault::new("scope", ErrorCode::InvalidScope, "is malformed"))
}

fn code_challenge(params: &Params) -> Result<Option<Box<str>>, RequestFault> {
    let method = params.get("code_challenge_method");
    let Some(challenge) = params.get("code_challenge") else {
        return match method {
            None => Ok(None),
            Some(_) => Err(RequestFault::invalid("code_challenge", "is missing")),
        };
    };
    // RFC 7636 §4.3: an absent method means plain, which is refused (RFC 9700 §2.1.1).
    if method != Some(pkce::METHOD) {
        return Err(RequestFault::invalid("code_challenge_method", "must be S256"));
    }
    match pkce::is_challenge(challenge) {
        true => Ok(Some(challenge.into())),
        false => Err(RequestFault::invalid("code_challenge", "is not the base64url of a SHA-256")),
    }
}

fn prompt(params: &Params) -> Result<Prompts, RequestFault> {
    let mut prompts = Prompts::default();
    let Some(text) = params.get("prompt") else { return Ok(prompts) };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompts.none = true,
            "login" => prompts.login = true,
            "consent" => prompts.consent = true,
            "select_account" => prompts.select_account = true,
            _ => return Err(RequestFault::invalid("prompt", "has a value that is not offered")),
        }
    }
    // OpenID Connect Core §3.1.2.1: none stands alone.
    if prompts.none && prompts != (Prompts { none: true, ..Prompts::default() }) {
        return Err(RequestFault::invalid("prompt", "has none beside another value"));
    }
    Ok(prompts)
}

fn max_age(params: &Params) -> Result<Option<u32>, RequestFault> {
    let Some(text) = params.get("max_age") else { return Ok(None) };
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    match text.parse() {
        Ok(seconds) if digits => Ok(Some(seconds)),
        _ => Err(RequestFault::invalid("max_age", "is not a number of seconds")),
    }
}

fn claims(params: &Params) -> Result<ClaimsRequest, RequestFault> {
    let claims = params.get("claims").map_or(Ok(ClaimsRequest::default()), ClaimsRequest::parse);
    claims.map_err(|error| RequestFault { parameter: "claims", error })
}

fn resource(params: &Params) -> Result<Vec<Box<str>>, RequestFault> {
    let mut resources: Vec<Box<str>> = Vec::new();
    for resource in params.all("resource") {
        // RFC 8707 §2: an absolute URI without fragment.
        if !uri::is_absolute(resource) {
            let text = "is not an absolute URI without fragment";
            return Err(RequestFault::new("resource", ErrorCode::InvalidTarget, text));
        }
        if !resources.iter().any(|own| **own == *resource) {
            resources.push(resource.into());
        }
    }
    Ok(resources)
}

fn details(params: &Params) -> Result<AuthorizationDetails, RequestFault> {
    let details = params.get("authorization_details").map(AuthorizationDetails::parse).transpose();
    let details = details.map(Option::unwrap_or_default);
    details.map_err(|error| RequestFault { parameter: "authorization_details", error })
}

fn dpop_jkt(params: &Params) -> Result<Option<Box<str>>, RequestFault> {
    match params.get("dpop_jkt") {
        None => Ok(None),
        // RFC 9449 §10: a SHA-256 thumbprint.
        Some(jkt) if b64::decode(jkt.as_bytes()).is_ok_and(|it| it.len() == 32) => {
            Ok(Some(jkt.into()))
        }
        Some(_) => Err(RequestFault::invalid("dpop_jkt", "is not a SHA-256 thumbprint")),
    }
}

/// A wish about looks that is not understood is no reason to fail.
fn display(params: &Params) -> Display {
    match params.get("display") {
        Some("popup") => Display::Popup,
        Some("touch") => Display::Touch,
        Some("wap") => Display::Wap,
        _ => Display::Page,
    }
}

fn printable(text: &str) -> bool {
    text.bytes().all(|c| matches!(c, b' '..=b'~'))
}

fn text(params: &Params, name: &'static str, max: usize) -> Result<Option<Box<str>>, RequestFault> {
    match params.get(name) {
        Some(text) if text.len() > max || text.chars().any(char::is_control) => {
            Err(RequestFault::invalid(name, "is too long or has a control character"))
        }
        text => Ok(text.map(Into::into)),
    }
}

fn acr_values(params: &Params) -> Result<Vec<Box<str>>, RequestFault> {
    let words = words(params, "acr_values");
    let good =
        |word: &&str| word.len() <= ENTRY_BYTES && word.bytes().all(|c| c.is_ascii_graphic());
    match words.len() <= VALUES && words.iter().all(good) {
        true => Ok(words.into_iter().map(Into::into).collect()),
        false => Err(RequestFault::invalid("acr_values", "has too many values or a malformed one")),
    }
}

/// OpenID Connect Core §3.1.2.1: a locale that is not offered is no reason to fail; nor is one that is none.
fn ui_locales(params: &Params) -> Vec<Box<str>> {
    // RFC 5646 §2.1: language tags have letters, digits and hyphens.
    let tag = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let good = |word: &&str| word.len() <= ENTRY_BYTES && word.bytes().all(tag);
    words(params, "ui_locales").into_iter().filter(good).take(VALUES).map(Into::into).collect()
}

/// At most one word more than [`VALUES`], so that too many can be seen.
fn words<'a>(params: &'a Params, name: &str) -> Vec<&'a str> {
    let text = params.get(name).unwrap_or_default();
    text.split(' ').filter(|word| !word.is_empty()).take(VALUES + 1).collect()
}
