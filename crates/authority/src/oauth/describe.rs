//! What the authority says of itself (RFC 8414, OpenID Connect Discovery 1.0).
//!
//! Invariant: nothing is said that is not so, and what depends on the settings depends on them here.

use super::client_auth::ClientCall;
use super::settings::{PUSH_PATH, Registration, TOKEN_PATH};
use super::{OAuth, OFFERED, Pushed};
use crate::people::Level;
use protocol::oauth::OAuthError;
use protocol::oauth::metadata::ServerMetadata;
use protocol::oidc::STANDARD_CLAIMS;
use std::collections::BTreeSet;

/// How clients may authenticate.
const METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
/// How those that are not public may.
const CONFIDENTIAL: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
/// What clients may sign with: assertions, proofs, request objects.
const TAKEN: [&str; 9] =
    ["ES256", "ES384", "PS256", "PS384", "PS512", "EdDSA", "RS256", "RS384", "RS512"];
/// What DPoP proofs may be signed with.
const PROOFS: [&str; 4] = ["ES256", "PS256", "EdDSA", "RS256"];
/// Claims of ID tokens that are about the sign-in, beside those about the person.
const CLAIMS: [&str; 13] = [
    "groups",
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "sid",
    "at_hash",
];

impl OAuth {
    /// The metadata document.
    pub fn metadata(&self) -> ServerMetadata {
        let settings = self.settings();
        let url = |path: &str| settings.url(path);
        let signed: Vec<&'static str> = OFFERED.iter().map(|it| it.as_str()).collect();
        let mut scopes: BTreeSet<String> =
            ["openid", "profile", "email", "address", "phone", "offline_access"]
                .map(str::to_owned)
                .into();
        scopes.extend(settings.resources.iter().flat_map(|it| it.scopes.iter().cloned()));
        ServerMetadata {
            issuer: settings.issuer.clone(),
            authorization_endpoint: url("/oauth/authorize"),
            token_endpoint: url(TOKEN_PATH),
            jwks_uri: url("/.well-known/jwks.json"),
            userinfo_endpoint: Some(url("/oauth/userinfo")),
            registration_endpoint: (settings.registration != Registration::Off)
                .then(|| url("/oauth/register")),
            revocation_endpoint: Some(url("/oauth/revoke")),
            introspection_endpoint: Some(url("/oauth/introspect")),
            device_authorization_endpoint: Some(url("/oauth/device_authorization")),
            pushed_authorization_request_endpoint: Some(url(PUSH_PATH)),
            end_session_endpoint: Some(url("/oauth/logout")),
            scopes_supported: scopes.into_iter().collect(),
            response_types_supported: vec!["code"],
            response_modes_supported: vec![
                "query",
                "form_post",
                "jwt",
                "query.jwt",
                "form_post.jwt",
            ],
            grant_types_supported: vec![
                "authorization_code",
                "refresh_token",
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:device_code",
                "urn:ietf:params:oauth:grant-type:token-exchange",
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ],
            subject_types_supported: vec!["public", "pairwise"],
            acr_values_supported: levels(),
            id_token_signing_alg_values_supported: signed.clone(),
            userinfo_signing_alg_values_supported: signed.clone(),
            request_object_signing_alg_values_supported: TAKEN.to_vec(),
            authorization_signing_alg_values_supported: signed.clone(),
            introspection_signing_alg_values_supported: signed,
            dpop_signing_alg_values_supported: PROOFS.to_vec(),
            token_endpoint_auth_methods_supported: METHODS.to_vec(),
            token_endpoint_auth_signing_alg_values_supported: TAKEN.to_vec(),
            revocation_endpoint_auth_methods_supported: METHODS.to_vec(),
            revocation_endpoint_auth_signing_alg_values_supported: TAKEN.to_vec(),
            introspection_endpoint_auth_methods_supported: CONFIDENTIAL.to_vec(),
            introspection_endpoint_auth_signing_alg_values_supported: TAKEN.to_vec(),
            code_challenge_methods_supported: vec!["S256"],
            prompt_values_supported: vec!["none", "login", "consent", "select_account"],
            claim_types_supported: vec!["normal"],
            claims_supported: claims(),
            ui_locales_supported: vec!["en".to_owned()],
            protected_resources: settings.resources.iter().map(|it| it.uri.clone()).collect(),
            claims_parameter_supported: true,
            request_parameter_supported: true,
            request_uri_parameter_supported: false,
            authorization_response_iss_parameter_supported: true,
            backchannel_logout_supported: true,
            backchannel_logout_session_supported: true,
            client_id_metadata_document_supported: settings.client_documents,
            ..ServerMetadata::default()
        }
    }

    /// Takes a pushed request (RFC 9126 §2): who pushes it, to which key its proof binds, what it says.
    ///
    /// # Errors
    /// As the token endpoint and the authorization endpoint together.
    pub async fn take_push(&self, call: &ClientCall) -> Result<Pushed, OAuthError> {
        let client = match self.authenticate(call).await {
            Ok(client) => client,
            Err(failed) => {
                let id = call.params.get("client_id");
                return self.settle(&call.origin, id, Err(failed)).await;
            }
        };
        let proof = match self.proof_at(call, &client, PUSH_PATH).await {
            Ok(proof) => proof,
            Err(failed) => return self.settle(&call.origin, Some(&client.id), Err(failed)).await,
        };
        let key = proof.map(|it| it.jkt.to_string());
        self.push(&client, &call.params, key, &call.origin).await
    }
}

fn claims() -> Vec<String> {
    CLAIMS.iter().chain(&STANDARD_CLAIMS).map(|it| (*it).to_owned()).collect()
}

/// The words of `acr`, the lowest first.
fn levels() -> Vec<String> {
    let words = Level::ALL.iter().map(|it| it.as_str());
    words.chain(["phrh"]).map(str::to_owned).collect()
}
