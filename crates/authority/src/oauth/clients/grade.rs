//! Which rules of the specifications a client meets.
//!
//! Never does: refuse anything. What must hold, [`super::rules::check`] enforces; this shows what could be better.

use super::rules::{CODE, REFRESH, auth_method};
use crate::oauth::records::{ClientRecord, Pkce, Profile, RefreshRotation};
use base::UnixMs;
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::uri::{self, Uri};
use serde::Serialize;

/// Milliseconds after which a secret should have been replaced: a year.
const SECRET_OLD_MS: i64 = 365 * 24 * 60 * 60 * 1000;

/// Whether a rule is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Met {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It does not concern this client.
    NotApplicable,
}

/// A rule, and whether the client meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// `OAuth 2.1`, `RFC 9700` or `FAPI 2.0`.
    pub source: &'static str,
    /// The section.
    pub section: &'static str,
    /// The rule in our words.
    pub text: &'static str,
    /// Whether it is met.
    pub met: Met,
}

/// A rule that concerns the client when `concerns` holds.
fn rule(
    (source, section): (&'static str, &'static str),
    text: &'static str,
    concerns: bool,
    holds: bool,
) -> Rule {
    let met = match (concerns, holds) {
        (false, _) => Met::NotApplicable,
        (true, true) => Met::Yes,
        (true, false) => Met::No,
    };
    Rule { source, section, text, met }
}

/// Which rules of OAuth 2.1, RFC 9700 and FAPI 2.0 a client meets at `now`.
pub fn grade(client: &ClientRecord, now: UnixMs) -> Vec<Rule> {
    let mut rules = oauth21(client);
    rules.extend(rfc9700(client, now));
    rules.extend(fapi2(client));
    rules.extend(message_signing(client));
    rules
}

fn has(client: &ClientRecord, grant: &str) -> bool {
    client.metadata.grant_types.iter().any(|it| it == grant)
}

fn bound(client: &ClientRecord) -> bool {
    let metadata = &client.metadata;
    metadata.dpop_bound_access_tokens || metadata.tls_client_certificate_bound_access_tokens
}

fn oauth21(client: &ClientRecord) -> Vec<Rule> {
    let of = |section| ("OAuth 2.1", section);
    let (code, refresh) = (has(client, CODE), has(client, REFRESH));
    let secure = |uri: &String| {
        Uri::parse(uri)
            .is_some_and(|it| !it.is("http") || it.web_host().is_some_and(uri::is_loopback))
    };
    let localhost = |uri: &String| {
        let host = Uri::parse(uri).and_then(|it| it.web_host());
        host.is_some_and(|it| it.eq_ignore_ascii_case("localhost"))
    };
    let uris = &client.metadata.redirect_uris;
    vec![
        rule(of("4.1.1"), "every code is protected by PKCE", code, client.pkce == Pkce::Required),
        rule(of("2.3.1"), "redirect URIs are compared exactly", code, true),
        rule(
            of("1.5"),
            "redirect URIs use https, or stay in the machine",
            code,
            uris.iter().all(secure),
        ),
        rule(
            of("8.4.2"),
            "loopback redirect URIs use the address, not `localhost`",
            code,
            !uris.iter().any(localhost),
        ),
        rule(
            of("4.3.1"),
            "refresh tokens are bound or rotated",
            refresh,
            bound(client) || client.refresh == RefreshRotation::Rotate,
        ),
        rule(of("10"), "neither the implicit nor the password grant", true, true),
    ]
}

fn rfc9700(client: &ClientRecord, now: UnixMs) -> Vec<Rule> {
    let of = |section| ("RFC 9700", section);
    let method = auth_method(client);
    let shared = method.is_some_and(AuthMethod::is_shared_secret);
    let fresh =
        client.secrets.iter().all(|it| now.0.saturating_sub(it.created_at.0) < SECRET_OLD_MS);
    vec![
        rule(
            of("2.1.1"),
            "PKCE, or for confidential clients nonce",
            has(client, CODE),
            client.pkce == Pkce::Required,
        ),
        rule(of("2.2.1"), "access tokens are bound to their sender", true, bound(client)),
        rule(
            of("2.3"),
            "scopes are limited to what the client needs",
            true,
            !client.scopes.is_empty() && !client.scopes.iter().any(|it| it.ends_with('*')),
        ),
        rule(
            of("2.3"),
            "resources are limited to what the client needs",
            true,
            !client.resources.is_empty(),
        ),
        rule(
            of("2.5"),
            "the client authenticates with a key instead of a secret",
            method != Some(AuthMethod::None),
            !shared,
        ),
        rule(of("2.5"), "its secrets are younger than a year", shared, fresh),
        rule(
            of("4.14.2"),
            "refresh tokens of public clients are bound or rotated",
            has(client, REFRESH) && method == Some(AuthMethod::None),
            bound(client) || client.refresh == RefreshRotation::Rotate,
        ),
    ]
}

fn fapi2(client: &ClientRecord) -> Vec<Rule> {
    let of = |section| ("FAPI 2.0", section);
    let metadata = &client.metadata;
    let code = has(client, CODE);
    let https = |uri: &String| Uri::parse(uri).is_some_and(|it| it.is("https"));
    let strong = |name: &Option<String>| {
        name.as_deref().is_none_or(|it| matches!(it, "PS256" | "ES256" | "EdDSA" | "Ed25519"))
    };
    let keys = matches!(
        auth_method(client),
        Some(
            AuthMethod::PrivateKeyJwt
                | AuthMethod::TlsClientAuth
                | AuthMethod::SelfSignedTlsClientAuth
        )
    );
    vec![
        rule(
            of("Security 5.3.2.1"),
            "the client authenticates with private_key_jwt or a certificate",
            true,
            keys,
        ),
        rule(
            of("Security 5.3.2.1"),
            "access tokens are bound to their sender",
            true,
            bound(client),
        ),
        rule(
            of("Security 5.3.2.1"),
            "refresh tokens are not rotated",
            has(client, REFRESH),
            client.refresh == RefreshRotation::Keep,
        ),
        rule(
            of("Security 5.3.2.2"),
            "authorization requests are pushed",
            code,
            metadata.require_pushed_authorization_requests,
        ),
        rule(of("Security 5.3.2.2"), "PKCE with S256", code, client.pkce == Pkce::Required),
        rule(
            of("Security 5.3.2.2"),
            "redirect URIs use https",
            code,
            metadata.redirect_uris.iter().all(https),
        ),
        rule(
            of("Security 5.4.1"),
            "PS256, ES256 or EdDSA",
            true,
            strong(&metadata.id_token_signed_response_alg)
                && strong(&metadata.token_endpoint_auth_signing_alg),
        ),
    ]
}

fn message_signing(client: &ClientRecord) -> Vec<Rule> {
    let of = |section| ("FAPI 2.0", section);
    let metadata = &client.metadata;
    let signing = client.profile == Profile::Fapi2MessageSigning;
    let code = signing && has(client, CODE);
    vec![
        rule(
            of("Message Signing 5.3"),
            "authorization requests are signed",
            code,
            metadata.require_signed_request_object,
        ),
        rule(
            of("Message Signing 5.4"),
            "authorization responses are signed",
            code,
            metadata.authorization_signed_response_alg.is_some(),
        ),
        rule(
            of("Message Signing 5.5"),
            "introspection answers are signed",
            signing,
            metadata.introspection_signed_response_alg.is_some(),
        ),
    ]
}
