//! Which clients may exist: RFC 7591 §2, OAuth 2.1, RFC 9700 and what the profiles ask for.
//!
//! Invariant: a client that passed [`check`] has its defaults written out, and every value within its bounds.

use crate::error::Error;
use crate::oauth::records::{ClientRecord, Pkce, Profile, RefreshRotation};
use crate::oauth::settings::ACCESS_TOKEN_LONGEST;
use crate::oauth::signing::OFFERED;
use crate::text;
use protocol::Algorithm;
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::metadata::{ClientMetadata, GrantType};
use protocol::oauth::uri::{self, Uri};
use protocol::oauth::{ErrorCode, exchange};
use serde_json::Value;

/// Authorization code (RFC 6749 §4.1).
pub const CODE: &str = "authorization_code";
/// Refresh (RFC 6749 §6).
pub const REFRESH: &str = "refresh_token";
/// Client credentials (RFC 6749 §4.4).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// Device authorization (RFC 8628).
pub const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Token exchange (RFC 8693).
pub const EXCHANGE: &str = exchange::GRANT_TYPE;
/// JWT bearer (RFC 7523).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// All grants on offer.
pub(crate) const GRANTS: [&str; 6] =
    [CODE, REFRESH, CLIENT_CREDENTIALS, DEVICE, EXCHANGE, JWT_BEARER];

/// Scopes that are about the person who logs in; any client may ask for them (OpenID Connect Core §5.4, §11).
pub const PERSONAL_SCOPES: [&str; 7] =
    ["address", "email", "groups", "offline_access", "openid", "phone", "profile"];

/// Resources that a client may be limited to: as many as one request may name.
const RESOURCES: usize = 16;
/// Seconds that an access token lives at least: less would expire on its way.
const ACCESS_TOKEN_SHORTEST: u32 = 10;
/// FAPI 2.0 Security Profile §5.4.1.
const FAPI_ALGORITHMS: [Algorithm; 3] = [Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];

/// The client's authentication method; `None` when its name is not known here.
pub fn auth_method(client: &ClientRecord) -> Option<AuthMethod> {
    client.metadata.auth_method()
}

/// Writes out the defaults, and judges the whole.
///
/// # Errors
/// [`Error::Invalid`] for the first rule that is broken; the field is the member of RFC 7591 where there is one.
pub(crate) fn check(client: &mut ClientRecord) -> Result<(), Error> {
    client.name = text::line("client_name", &client.name, text::NAME_CHARS)?;
    client.scopes = text::scopes(&client.scopes)?;
    client.resources.sort_unstable();
    client.resources.dedup();
    defaults(client);
    let absolute = client.resources.iter().all(|it| uri::is_absolute(it));
    if client.resources.len() > RESOURCES || !absolute {
        let rule = format!("must be at most {RESOURCES} absolute URIs without fragment");
        return Err(Error::invalid("resource", rule));
    }
    let longest = u32::try_from(ACCESS_TOKEN_LONGEST.as_secs()).unwrap_or(u32::MAX);
    if client
        .access_token_seconds
        .is_some_and(|it| !(ACCESS_TOKEN_SHORTEST..=longest).contains(&it))
    {
        let rule = format!("must lie between {ACCESS_TOKEN_SHORTEST} and {longest}");
        return Err(Error::invalid("access_token_seconds", rule));
    }
    client.metadata = consistent(&client.metadata)?;
    grants(&client.metadata)?;
    algorithms(&client.metadata, client.profile)?;
    constraints(client)
}

fn defaults(client: &mut ClientRecord) {
    let metadata = &mut client.metadata;
    if metadata.application_type.is_empty() {
        metadata.application_type = "web".to_owned();
    }
    if metadata.subject_type.is_empty() {
        metadata.subject_type = "public".to_owned();
    }
    if metadata.grant_types.is_empty() {
        let grant = if metadata.redirect_uris.is_empty() { CLIENT_CREDENTIALS } else { CODE };
        metadata.grant_types.push(grant.to_owned());
    }
    if metadata.response_types.is_empty() && metadata.grant_types.iter().any(|it| it == CODE) {
        metadata.response_types.push("code".to_owned());
    }
    let fapi = client.profile != Profile::Standard;
    if metadata.token_endpoint_auth_method.is_empty() {
        // RFC 7591 §2: client_secret_basic; FAPI 2.0 Security Profile §5.3.2.1: not with a secret.
        let method = if fapi { AuthMethod::PrivateKeyJwt } else { AuthMethod::ClientSecretBasic };
        metadata.token_endpoint_auth_method = method.as_str().to_owned();
    }
    if fapi {
        // FAPI 2.0 Security Profile §5.3.2.1 and §5.3.2.2: pushed requests, bound tokens, no rotation.
        metadata.require_pushed_authorization_requests = true;
        if !metadata.tls_client_certificate_bound_access_tokens {
            metadata.dpop_bound_access_tokens = true;
        }
        client.refresh = RefreshRotation::Keep;
    }
    if client.profile == Profile::Fapi2MessageSigning {
        // FAPI 2.0 Message Signing §5.3 to §5.5: signed requests, answers and introspection.
        metadata.require_signed_request_object = true;
        let es256 = || Some(Algorithm::Es256.as_str().to_owned());
        let answers = &mut metadata.authorization_signed_response_alg;
        *answers = answers.take().or_else(es256);
        let introspection = &mut metadata.introspection_signed_response_alg;
        *introspection = introspection.take().or_else(es256);
    }
}

/// What holds for the metadata of any client anywhere: types, bounds, and what fits together.
fn consistent(metadata: &ClientMetadata) -> Result<ClientMetadata, Error> {
    let Ok(Value::Object(object)) = serde_json::to_value(metadata) else {
        return Err(Error::invalid("metadata", "cannot be written as JSON"));
    };
    ClientMetadata::read(object).map_err(|error| {
        let field = match error.code() {
            ErrorCode::InvalidRedirectUri => "redirect_uris",
            _ => "metadata",
        };
        Error::invalid(field, error.description())
    })
}

fn grants(metadata: &ClientMetadata) -> Result<(), Error> {
    if metadata.may(GrantType::RefreshToken)
        && !metadata.may(GrantType::AuthorizationCode)
        && !metadata.may(GrantType::DeviceCode)
    {
        return Err(Error::invalid(
            "grant_types",
            "refresh_token needs a grant that a person gives",
        ));
    }
    match metadata.auth_method() {
        // An exchange turns what others were given into something of one's own.
        Some(AuthMethod::None) if metadata.may(GrantType::TokenExchange) => {
            Err(Error::invalid("grant_types", "token-exchange needs client authentication"))
        }
        Some(AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTlsClientAuth) => {
            let rule = "certificates are not available yet";
            Err(Error::invalid("token_endpoint_auth_method", rule))
        }
        Some(AuthMethod::PrivateKeyJwt)
            if metadata.jwks.is_none() && metadata.jwks_uri.is_none() =>
        {
            Err(Error::invalid("jwks", "private_key_jwt needs jwks or jwks_uri"))
        }
        _ => Ok(()),
    }
}

fn algorithms(metadata: &ClientMetadata, profile: Profile) -> Result<(), Error> {
    let fapi = profile != Profile::Standard;
    let ours = [
        ("id_token_signed_response_alg", &metadata.id_token_signed_response_alg),
        ("userinfo_signed_response_alg", &metadata.userinfo_signed_response_alg),
        ("authorization_signed_response_alg", &metadata.authorization_signed_response_alg),
        ("introspection_signed_response_alg", &metadata.introspection_signed_response_alg),
    ];
    let theirs = [
        ("request_object_signing_alg", &metadata.request_object_signing_alg),
        ("token_endpoint_auth_signing_alg", &metadata.token_endpoint_auth_signing_alg),
    ];
    for (place, (field, name)) in ours.into_iter().chain(theirs).enumerate() {
        let Some(name) = name else { continue };
        let known = name.parse::<Algorithm>().ok();
        let offered = known.filter(|it| place >= ours.len() || OFFERED.contains(it));
        // FAPI 2.0 Security Profile §5.4.1.
        let taken = offered.filter(|it| !fapi || FAPI_ALGORITHMS.contains(it));
        if taken.is_none() {
            let name: String = name.escape_default().take(32).collect();
            return Err(Error::invalid(field, format!("`{name}` is not offered")));
        }
    }
    Ok(())
}

/// What depends on several members.
fn constraints(client: &ClientRecord) -> Result<(), Error> {
    let metadata = &client.metadata;
    let method = metadata.auth_method();
    let bound =
        metadata.dpop_bound_access_tokens || metadata.tls_client_certificate_bound_access_tokens;
    let fapi = client.profile != Profile::Standard;
    // OAuth 2.1 §7.5.1, FAPI 2.0 Security Profile §5.3.2.2.
    if client.pkce == Pkce::Optional && (fapi || method == Some(AuthMethod::None)) {
        let rule = "only a confidential client of the standard profile may leave it out";
        return Err(Error::invalid("pkce", rule));
    }
    if client.refresh == RefreshRotation::Keep && !bound {
        // OAuth 2.1 §4.3.1: refresh tokens are bound or rotated.
        let rule = "refresh tokens that are not rotated must be bound (dpop_bound_access_tokens)";
        return Err(Error::invalid("refresh", rule));
    }
    if !fapi {
        return Ok(());
    }
    // FAPI 2.0 Security Profile §5.3.2.1: private_key_jwt or certificates.
    if method != Some(AuthMethod::PrivateKeyJwt) {
        let rule = "the profile takes private_key_jwt only";
        return Err(Error::invalid("token_endpoint_auth_method", rule));
    }
    // FAPI 2.0 Security Profile §5.3.2.2: https redirect URIs.
    let https = |uri: &String| Uri::parse(uri).is_some_and(|it| it.is("https"));
    match metadata.redirect_uris.iter().all(https) {
        true => Ok(()),
        false => Err(Error::invalid("redirect_uris", "the profile takes https only")),
    }
}
