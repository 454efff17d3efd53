//! Reading a client's metadata, and what fits together.

use super::{ClientMetadata, GrantType};
use crate::algorithm::Algorithm;
use crate::json::Object;
use crate::jwk::{KeySet, SkipReason};
use crate::oauth::client_auth::AuthMethod;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::redirect::ApplicationType;
use crate::oauth::scope::ScopeSet;
use crate::oauth::uri::{Uri, is_https, is_loopback};
use crate::oauth::{is_http_url, redirect};
use serde_json::Value;

/// Bytes of a client's metadata as a document.
pub const METADATA_BYTES: usize = 64 * 1024;
/// Redirect URIs of one client, and URIs to go to after a logout.
pub const REDIRECT_URIS: usize = 32;
/// Entries of any other list.
pub const LIST_ENTRIES: usize = 16;
/// Characters of a name that people read.
pub const NAME_CHARS: usize = 100;
/// Bytes of any other text.
pub const TEXT_BYTES: usize = 256;
/// The only response type (RFC 9700 §2.1.2).
const CODE: &str = "code";
/// Bytes of `jwks`.
pub const JWKS_BYTES: usize = 32 * 1024;

/// `method` is the authentication method of a client that names none; `None` leaves it open.
pub(super) fn read(
    mut object: Object,
    method: Option<AuthMethod>,
) -> Result<ClientMetadata, OAuthError> {
    // RFC 7591 §2: null is as if it were left out.
    object.retain(|_, value| !value.is_null());
    let bytes = serde_json::to_vec(&object).map_or(usize::MAX, |text| text.len());
    if bytes > METADATA_BYTES {
        return Err(invalid("the metadata is too long"));
    }
    let has = |name: &str| object.contains_key(name);
    let (grants, responses) = (has("grant_types"), has("response_types"));
    let mut metadata = typed(object)?;
    // RFC 7591 §2, OpenID Connect Registration §2: defaults.
    if !grants {
        metadata.grant_types = vec![GrantType::AuthorizationCode.as_str().to_owned()];
    }
    if !responses && metadata.may(GrantType::AuthorizationCode) {
        metadata.response_types = vec![CODE.to_owned()];
    }
    let or = |own: &mut String, default: &str| {
        if own.is_empty() {
            default.clone_into(own);
        }
    };
    or(&mut metadata.application_type, "web");
    or(&mut metadata.subject_type, "public");
    or(&mut metadata.token_endpoint_auth_method, method.map_or("", AuthMethod::as_str));
    check(&metadata)?;
    Ok(metadata)
}

/// Each member has its type; the first that has not is named.
fn typed(object: Object) -> Result<ClientMetadata, OAuthError> {
    let whole = serde_json::from_value(Value::Object(object.clone()));
    whole.map_err(|_| {
        let alone = |(name, value): (String, Value)| {
            let one = Object::from_iter([(name.clone(), value)]);
            let read = serde_json::from_value::<ClientMetadata>(Value::Object(one));
            read.is_err().then_some(name)
        };
        let name = object.into_iter().find_map(alone).unwrap_or_default();
        invalid(format!("the member {name} is of the wrong type"))
    })
}

fn check(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    texts(metadata)?;
    redirects(metadata)?;
    urls(metadata)?;
    grants(metadata)?;
    keys(metadata)?;
    method(metadata)?;
    algorithms(metadata)?;
    match metadata.subject_type.as_str() {
        "public" => Ok(()),
        "pairwise" if metadata.sector().is_some() => Ok(()),
        // OpenID Connect Core §8.1: several hosts need a sector_identifier_uri.
        "pairwise" => Err(invalid("pairwise subjects need redirect_uris of one host or a sector")),
        _ => Err(invalid("subject_type is not one that is offered")),
    }
}

fn texts(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    if metadata.client_name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(invalid("client_name is empty, too long or has a character that hides"));
    }
    let single = [&metadata.software_id, &metadata.software_version];
    let lists =
        [&metadata.contacts, &metadata.default_acr_values, &metadata.authorization_details_types];
    if lists.iter().any(|list| list.len() > LIST_ENTRIES) {
        return Err(invalid("a list has too many entries"));
    }
    let single = single.into_iter().filter_map(|it| it.as_deref());
    if let Some(scope) = &metadata.scope {
        ScopeSet::parse(scope).map_err(|_| invalid("scope is malformed"))?;
    }
    let entries = lists.into_iter().flatten().map(String::as_str);
    match single.chain(entries).chain(metadata.tls.given()).all(is_text) {
        true => Ok(()),
        false => Err(invalid("a text is empty, too long or has a control character")),
    }
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES && !text.chars().any(char::is_control)
}

/// A name stands on the consent page: nothing in it may turn or hide what stands beside it.
fn is_name(name: &str) -> bool {
    let hides = |c: char| {
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}' | '\u{61c}')
    };
    let count = name.chars().count();
    (1..=NAME_CHARS).contains(&count)
        && !name.chars().any(|c| c.is_control() || hides(c))
        && !name.trim().is_empty()
}

fn redirects(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let (login, logout) = (&metadata.redirect_uris, &metadata.post_logout_redirect_uris);
    if login.len() > REDIRECT_URIS || logout.len() > REDIRECT_URIS {
        return Err(invalid("there are too many redirect URIs"));
    }
    let application = match metadata.application_type.as_str() {
        "web" => ApplicationType::Web,
        "native" => ApplicationType::Native,
        _ => return Err(invalid("application_type is neither web nor native")),
    };
    for uri in login.iter().chain(logout) {
        redirect::validate(uri, application)
            .map_err(|fault| OAuthError::new(ErrorCode::InvalidRedirectUri, fault.to_string()))?;
    }
    // RFC 7591 §2: grants with a redirect need redirect URIs.
    match login.is_empty() && metadata.may(GrantType::AuthorizationCode) {
        true => Err(OAuthError::new(
            ErrorCode::InvalidRedirectUri,
            "the grant authorization_code needs redirect_uris",
        )),
        false => Ok(()),
    }
}

fn urls(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let shown = [&metadata.client_uri, &metadata.logo_uri, &metadata.policy_uri, &metadata.tos_uri];
    // They become links: a scheme that runs is none.
    let web = |url: &str| is_http_url(url) && Uri::parse(url).is_some();
    if !shown.into_iter().flatten().all(|url| web(url)) {
        return Err(invalid("a link is not an http or https URL"));
    }
    let fetched = [&metadata.jwks_uri, &metadata.sector_identifier_uri];
    if !fetched.into_iter().flatten().all(|url| is_https(url)) {
        return Err(invalid("jwks_uri and sector_identifier_uri are https URLs"));
    }
    // Back-Channel Logout §2.2: https; http only within the machine.
    let logout = metadata.backchannel_logout_uri.as_deref();
    let within = |url: &str| {
        let uri = Uri::parse(url).filter(|uri| uri.fragment.is_none());
        uri.and_then(|uri| uri.web_host()).is_some_and(is_loopback)
    };
    match logout.is_none_or(|url| is_https(url) || within(url)) {
        true => Ok(()),
        false => Err(invalid("backchannel_logout_uri is an https URL without fragment")),
    }
}

fn grants(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    if metadata.grant_types.iter().any(|name| GrantType::read(name).is_none()) {
        return Err(invalid("a grant type is not one that is offered"));
    }
    if metadata.response_types.iter().any(|name| name != CODE) {
        return Err(invalid("a response type is not one that is offered"));
    }
    let code = metadata.may(GrantType::AuthorizationCode);
    // RFC 7591 §2.1: response_types and grant_types correspond.
    if code == metadata.response_types.is_empty() {
        return Err(invalid("grant_types and response_types do not fit"));
    }
    if metadata.grant_types.is_empty() {
        return Err(invalid("grant_types is empty"));
    }
    // RFC 6749 §4.4: only confidential clients.
    match metadata.auth_method() == Some(AuthMethod::None)
        && metadata.may(GrantType::ClientCredentials)
    {
        true => Err(invalid("client_credentials needs client authentication")),
        false => Ok(()),
    }
}

fn keys(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let Some(jwks) = &metadata.jwks else { return Ok(()) };
    // RFC 7591 §2: never both.
    if metadata.jwks_uri.is_some() {
        return Err(invalid("jwks and jwks_uri exclude each other"));
    }
    let text = jwks.to_string();
    if text.len() > JWKS_BYTES {
        return Err(invalid("jwks is too long"));
    }
    let set = KeySet::parse(text.as_bytes()).map_err(|_| invalid("jwks is not a key set"))?;
    let secret = |reason| matches!(reason, SkipReason::Private | SkipReason::Symmetric);
    if set.skipped().iter().any(|skipped| secret(skipped.reason)) {
        return Err(invalid("jwks holds a private or symmetric key"));
    }
    match set.is_empty() {
        true => Err(invalid("jwks holds no key that can be used")),
        false => Ok(()),
    }
}

fn method(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let keys = metadata.jwks.is_some() || metadata.jwks_uri.is_some();
    let signs =
        metadata.request_object_signing_alg.is_some() || metadata.require_signed_request_object;
    let method = metadata.auth_method();
    let method = method.ok_or_else(|| invalid("token_endpoint_auth_method is not offered"))?;
    let wants = matches!(method, AuthMethod::PrivateKeyJwt | AuthMethod::SelfSignedTlsClientAuth);
    if (wants || signs) && !keys {
        return Err(invalid("what the client signs needs jwks or jwks_uri"));
    }
    let subjects = metadata.tls.given().count();
    // RFC 8705 §2.1.2: exactly one.
    match method {
        AuthMethod::TlsClientAuth if subjects != 1 => {
            Err(invalid("tls_client_auth needs exactly one tls_client_auth member"))
        }
        AuthMethod::TlsClientAuth => Ok(()),
        _ if subjects != 0 => Err(invalid("tls_client_auth members need that method")),
        _ => Ok(()),
    }
}

/// Each algorithm is one that is known: never `none`, never symmetric.
fn algorithms(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let all = [
        &metadata.id_token_signed_response_alg,
        &metadata.userinfo_signed_response_alg,
        &metadata.request_object_signing_alg,
        &metadata.token_endpoint_auth_signing_alg,
        &metadata.authorization_signed_response_alg,
        &metadata.introspection_signed_response_alg,
    ];
    match all.into_iter().flatten().all(|name| name.parse::<Algorithm>().is_ok()) {
        true => Ok(()),
        false => Err(invalid("a signature algorithm is not one that is offered")),
    }
}

pub(super) fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, text)
}
