//! Which clients may exist: RFC 7591 §2, OAuth 2.1, RFC 9700 and what the profiles ask for.
//!
//! Invariant: a client that passed [`check`] has its defaults written out, and every value within its bounds.

use crate::error::Error;
use crate::oauth::records::{ClientRecord, Pkce, Profile, RefreshRotation};
use crate::oauth::settings::ACCESS_TOKEN_LONGEST;
use crate::oauth::signing::OFFERED;
use crate::text;
use protocol::Algorithm;
use protocol::jwk::KeySet;
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::exchange;
use protocol::oauth::metadata::ClientMetadata;
use protocol::oauth::redirect::{self, ApplicationType};
use protocol::oauth::uri::{self, Uri};
use protocol::oidc;

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
pub const PERSONAL_SCOPES: [&str; 6] =
    ["address", "email", "offline_access", "openid", "phone", "profile"];

/// URIs of one kind that a client may register; each is compared with every request.
const URIS: usize = 32;
/// Resources that a client may be limited to: as many as one request may name.
const RESOURCES: usize = 16;
/// Bytes of the whole metadata: it stands in memory for as long as the client lives.
const METADATA_BYTES: usize = 32 * 1024;
/// Seconds that an access token lives at least: less would expire on its way.
const ACCESS_TOKEN_SHORTEST: u32 = 10;
/// FAPI 2.0 Security Profile §5.4.1.
const FAPI_ALGORITHMS: [Algorithm; 3] = [Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];

/// The client's authentication method; `None` when its name is not known here.
pub fn auth_method(client: &ClientRecord) -> Option<AuthMethod> {
    method(&client.metadata)
}

fn method(metadata: &ClientMetadata) -> Option<AuthMethod> {
    [
        AuthMethod::None,
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
        AuthMethod::PrivateKeyJwt,
        AuthMethod::TlsClientAuth,
        AuthMethod::SelfSignedTlsClientAuth,
    ]
    .into_iter()
    .find(|it| it.as_str() == metadata.token_endpoint_auth_method)
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
    let metadata = &client.metadata;
    let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |text| text.len());
    if bytes > METADATA_BYTES {
        return Err(Error::invalid("metadata", format!("may have at most {METADATA_BYTES} bytes")));
    }
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
    grants(metadata)?;
    authentication(metadata)?;
    redirects(metadata)?;
    links(metadata)?;
    algorithms(metadata, client.profile)?;
    subjects(metadata)?;
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

fn grants(metadata: &ClientMetadata) -> Result<(), Error> {
    let has = |name: &str| metadata.grant_types.iter().any(|it| it == name);
    // OAuth 2.1 §10, RFC 9700 §2.1.2 and §2.4: neither implicit nor password.
    if let Some(other) = metadata.grant_types.iter().find(|it| !GRANTS.contains(&it.as_str())) {
        let other: String = other.escape_default().take(64).collect();
        return Err(Error::invalid("grant_types", format!("`{other}` is not offered")));
    }
    if metadata.response_types.iter().any(|it| it != "code") {
        return Err(Error::invalid("response_types", "only `code` is offered"));
    }
    // RFC 7591 §2.1: the grant and the response type go together.
    if has(CODE) == metadata.response_types.is_empty() {
        return Err(Error::invalid("response_types", "`code` and authorization_code go together"));
    }
    if has(CODE) && metadata.redirect_uris.is_empty() {
        return Err(Error::invalid("redirect_uris", "authorization_code needs at least one"));
    }
    if has(REFRESH) && ![CODE, DEVICE].into_iter().any(has) {
        return Err(Error::invalid(
            "grant_types",
            "refresh_token needs a grant that a person gives",
        ));
    }
    let public = method(metadata) == Some(AuthMethod::None);
    // RFC 6749 §4.4: client credentials are for confidential clients; an exchange gives what others were given.
    if public && (has(CLIENT_CREDENTIALS) || has(EXCHANGE)) {
        let rule = "a client that does not authenticate can have neither client_credentials nor token-exchange";
        return Err(Error::invalid("grant_types", rule));
    }
    Ok(())
}

fn authentication(metadata: &ClientMetadata) -> Result<(), Error> {
    let field = "token_endpoint_auth_method";
    match method(metadata) {
        None => return Err(Error::invalid(field, "is not a method that is known here")),
        Some(AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTlsClientAuth) => {
            return Err(Error::invalid(field, "certificates are not available yet"));
        }
        Some(AuthMethod::PrivateKeyJwt)
            if metadata.jwks.is_none() && metadata.jwks_uri.is_none() =>
        {
            return Err(Error::invalid("jwks", "private_key_jwt needs jwks or jwks_uri"));
        }
        Some(_) => {}
    }
    // RFC 7591 §2: never both.
    if metadata.jwks.is_some() && metadata.jwks_uri.is_some() {
        return Err(Error::invalid("jwks", "and jwks_uri exclude each other"));
    }
    if let Some(jwks) = &metadata.jwks {
        let set = KeySet::parse(jwks.to_string().as_bytes());
        let set = set.map_err(|error| Error::invalid("jwks", error.to_string()))?;
        if let Some(skipped) = set.skipped().first() {
            return Err(Error::invalid("jwks", format!("has an unusable key: {}", skipped.reason)));
        }
        if set.is_empty() {
            return Err(Error::invalid("jwks", "has no key"));
        }
    }
    Ok(())
}

fn redirects(metadata: &ClientMetadata) -> Result<(), Error> {
    let application = match metadata.application_type.as_str() {
        "web" => ApplicationType::Web,
        "native" => ApplicationType::Native,
        _ => return Err(Error::invalid("application_type", "must be `web` or `native`")),
    };
    for (field, uris) in [
        ("redirect_uris", &metadata.redirect_uris),
        ("post_logout_redirect_uris", &metadata.post_logout_redirect_uris),
    ] {
        if uris.len() > URIS {
            return Err(Error::invalid(field, format!("at most {URIS} may be named")));
        }
        for uri in uris {
            redirect::validate(uri, application).map_err(|fault| {
                let uri: String = uri.escape_default().take(200).collect();
                Error::invalid(field, format!("`{uri}`: {fault}"))
            })?;
        }
    }
    Ok(())
}

/// URLs that we fetch or that people follow.
fn links(metadata: &ClientMetadata) -> Result<(), Error> {
    for (field, link) in [
        ("jwks_uri", &metadata.jwks_uri),
        ("sector_identifier_uri", &metadata.sector_identifier_uri),
        ("client_uri", &metadata.client_uri),
        ("logo_uri", &metadata.logo_uri),
        ("policy_uri", &metadata.policy_uri),
        ("tos_uri", &metadata.tos_uri),
    ] {
        if link.as_ref().is_some_and(|link| !uri::is_https(link)) {
            return Err(Error::invalid(field, "must be an https URL"));
        }
    }
    let local = |link: &str| {
        let host = Uri::parse(link).and_then(|uri| uri.web_host());
        uri::is_absolute(link) && host.is_some_and(uri::is_loopback)
    };
    // OpenID Connect Back-Channel Logout §2.2: https; within the machine, for development, http too.
    if let Some(link) = &metadata.backchannel_logout_uri
        && !uri::is_https(link)
        && !local(link)
    {
        return Err(Error::invalid("backchannel_logout_uri", "must be an https URL"));
    }
    Ok(())
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

fn subjects(metadata: &ClientMetadata) -> Result<(), Error> {
    match metadata.subject_type.as_str() {
        "public" => Ok(()),
        // OpenID Connect Core §8.1: with several hosts the sector must be named.
        "pairwise" if sector(metadata).is_some() => Ok(()),
        "pairwise" => {
            let rule = "redirect URIs of several hosts need a sector_identifier_uri";
            Err(Error::invalid("sector_identifier_uri", rule))
        }
        _ => Err(Error::invalid("subject_type", "must be `public` or `pairwise`")),
    }
}

/// The sector whose clients share pairwise subjects (OpenID Connect Core §8.1).
pub(crate) fn sector(metadata: &ClientMetadata) -> Option<String> {
    let uris: Vec<Box<str>> = metadata.redirect_uris.iter().map(|it| it.as_str().into()).collect();
    oidc::sector(metadata.sector_identifier_uri.as_deref(), &uris)
}

/// What depends on several members.
fn constraints(client: &ClientRecord) -> Result<(), Error> {
    let metadata = &client.metadata;
    let method = method(metadata);
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
