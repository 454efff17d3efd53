//! The control API as a protected resource of this authority: who may ask it.
//!
//! Owns: what a token must say to be heard there, and the client of the command line, which exists by itself.
//!
//! Never does: know an endpoint; whoever asks names the scope that is needed.
//!
//! Invariants:
//! - A token is heard only if it was made for the control API and nothing else, is alive in the store now, and is not
//!   borrowed (RFC 8693 `act`).
//! - Nobody has more than their roles give at this moment, whatever the token says.

use super::clients::{DEVICE, REFRESH};
use super::living::Seen;
use super::proof::{Presented, ProvedAt, invalid, presented};
use super::records::{ClientRecord, Origin as From, Pkce, Profile, RefreshRotation, TokenFormat};
use super::refusal::Failed;
use super::scim::SCIM_SCOPE;
use super::scopes::{ADMIN_SCOPES, admin_scopes};
use super::settings::Settings;
use super::{OAuth, Origin};
use base::{Scheme, Secret, UnixMs};
use protocol::challenge;
use protocol::jwt::{Claims, Token};
use protocol::oauth::metadata::{ClientMetadata, ProtectedResourceMetadata, resource_metadata_url};
use protocol::oauth::{ErrorCode, OAuthError};
use protocol::{AlgorithmSet, oauth};
use std::sync::Arc;

/// The client that `portcullis login` is.
pub const CLI_CLIENT: &str = "portcullis-cli";

/// A request to the control API.
#[derive(Debug, Clone)]
pub struct AdminCall<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The path, below the origin of the control API; without query.
    pub path: &'a str,
    /// The values of all `Authorization` headers.
    pub authorization: Vec<Vec<u8>>,
    /// The values of all `DPoP` headers.
    pub dpop: Vec<Vec<u8>>,
    /// The scope that the endpoint asks for, one of [`ADMIN_SCOPES`] or [`SCIM_SCOPE`].
    pub scope: &'a str,
    /// Where it came from.
    pub origin: Origin,
}

/// Who may go on.
#[derive(Debug, Clone)]
pub struct AdminCaller {
    /// The person's id, or the client's that acts for itself.
    pub subject: Arc<str>,
    /// The client.
    pub client: Arc<str>,
    /// How the token was proved: a signed one or a reference.
    pub scheme: Scheme,
    scope: String,
    token: Secret<String>,
}

impl Settings {
    /// Where the metadata of the control API lies (RFC 9728 §3.1).
    pub fn admin_metadata_url(&self) -> String {
        resource_metadata_url(&self.admin_resource()).unwrap_or_default()
    }
}

impl OAuth {
    /// Judges a request to the control API.
    ///
    /// # Errors
    /// `invalid_token` (RFC 6750 §3.1), also without a token; `insufficient_scope`, `invalid_request`,
    /// `invalid_dpop_proof`; `temporarily_unavailable` and `server_error` when it cannot be judged. All but a request
    /// without a token are recorded.
    pub async fn admin_caller(&self, call: &AdminCall<'_>) -> Result<AdminCaller, OAuthError> {
        if call.authorization.is_empty() {
            let words = "the control API needs an access token";
            return Err(OAuthError::new(ErrorCode::InvalidToken, words));
        }
        let mut client = None;
        let outcome = self.admin_judged(call, &mut client).await;
        self.settle(&call.origin, client.as_deref(), outcome).await
    }

    /// Whether somebody who was let in still would be: for answers that go on for long.
    pub async fn admin_still(&self, caller: &AdminCaller) -> bool {
        let Ok(Seen::Alive(claims)) = self.see(caller.token.expose()).await else { return false };
        self.admin_held(&claims).await.is_ok_and(|held| held.contains(&caller.scope))
    }

    async fn admin_judged(
        &self,
        call: &AdminCall<'_>,
        client: &mut Option<String>,
    ) -> Result<AdminCaller, Failed> {
        let presented = presented(&call.authorization, None)?;
        let claims = self.admin_token(call, &presented).await?;
        let own = claims.client_id.as_deref().unwrap_or_default();
        *client = Some(own.to_owned());
        let held = self.admin_held(&claims).await?;
        if !held.iter().any(|it| it == call.scope) {
            let rule = match claims.scopes.contains(call.scope) {
                true => format!("RFC 6750 §3.1: no role of the account holds {}", call.scope),
                false => format!("RFC 6750 §3.1: the token has not the scope {}", call.scope),
            };
            let words = format!("this needs the scope {} and a role that holds it", call.scope);
            return Err(Failed::refused(ErrorCode::InsufficientScope, words, rule));
        }
        let signed = Token::looks_like(presented.token.expose().as_bytes());
        Ok(AdminCaller {
            subject: Arc::from(claims.subject.as_deref().unwrap_or_default()),
            client: Arc::from(own),
            scheme: if signed { Scheme::Jwt } else { Scheme::Opaque },
            scope: call.scope.to_owned(),
            token: presented.token,
        })
    }

    /// The claims of a token that is alive, made for the control API, and shown by who it was made for.
    async fn admin_token(
        &self,
        call: &AdminCall<'_>,
        presented: &Presented,
    ) -> Result<Box<Claims>, Failed> {
        let claims = match self.see(presented.token.expose()).await? {
            Seen::Alive(claims) => claims,
            Seen::Dead(why) => return Err(invalid(format!("RFC 6750 §3.1: {why}"))),
        };
        let resource = self.settings().admin_resource();
        // RFC 9068 §4, RFC 8707 §2: the audience is the control API. WHY alone: whoever else a token is for sees it,
        // and could come here with it.
        if !matches!(claims.audiences.as_slice(), [only] if **only == *resource) {
            let rule = format!("RFC 9068 §4: the audience of the token is not {resource} alone");
            return Err(invalid(rule));
        }
        // RFC 8693 §4.1: who acts for somebody else would stand in the record as that person.
        if claims.other.contains_key("act") {
            return Err(invalid("RFC 8693 §4.1: the token was exchanged on behalf of somebody"));
        }
        let base = resource.strip_suffix("/api").unwrap_or(&resource);
        let uri = format!("{base}{}", call.path);
        let at = ProvedAt { method: call.method, uri: &uri, dpop: &call.dpop };
        self.bound(&at, presented, &claims).await?;
        Ok(claims)
    }

    /// The scopes of the token that its subject holds now.
    async fn admin_held(&self, claims: &Claims) -> Result<Vec<String>, Failed> {
        let subject = claims.subject.as_deref().unwrap_or_default();
        let client = claims.client_id.as_deref().unwrap_or_default();
        let known = self.known_client(client).filter(|it| it.disabled_at.is_none());
        let known = known.ok_or_else(|| invalid("the client of the token is gone"))?;
        let has = |scope: &&str| claims.scopes.contains(scope);
        let held: Vec<&str> = match self.parts.store.user(subject.to_owned()).await? {
            Some(user) if user.disabled_at.is_some() => {
                return Err(invalid("the account of the person is closed"));
            }
            Some(user) => admin_scopes(&user.roles),
            // A client for itself: what an administrator has written into its record.
            None if subject == client => {
                let own = |scope: &&str| known.scopes.iter().any(|it| it == scope);
                let all = ADMIN_SCOPES.iter().map(|(name, ..)| *name).chain([SCIM_SCOPE]);
                all.filter(own).collect()
            }
            None => return Err(invalid("the subject of the token is neither person nor client")),
        };
        Ok(held.into_iter().filter(has).map(str::to_owned).collect())
    }

    /// What the control API says of itself (RFC 9728 §2).
    pub fn admin_metadata(&self) -> ProtectedResourceMetadata {
        let settings = self.settings();
        ProtectedResourceMetadata {
            resource: settings.admin_resource(),
            authorization_servers: vec![settings.issuer.clone()],
            scopes_supported: ADMIN_SCOPES
                .iter()
                .map(|(name, ..)| *name)
                .chain([SCIM_SCOPE])
                .map(str::to_owned)
                .collect(),
            bearer_methods_supported: vec!["header".to_owned()],
            resource_name: Some("Portcullis control API".to_owned()),
            dpop_signing_alg_values_supported: challenge::names(AlgorithmSet::DEFAULT)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            ..ProtectedResourceMetadata::default()
        }
    }
}

/// The client of the command line: public, for devices, for the control API and nothing else. What a person's roles do
/// not hold, it does not get.
pub fn cli_client(settings: &Settings) -> ClientRecord {
    ClientRecord {
        id: CLI_CLIENT.to_owned(),
        name: "Portcullis command line".to_owned(),
        profile: Profile::Standard,
        pkce: Pkce::Required,
        token_format: TokenFormat::Jwt,
        refresh: RefreshRotation::Rotate,
        access_token_seconds: None,
        scopes: ADMIN_SCOPES.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        resources: vec![settings.admin_resource()],
        metadata: ClientMetadata {
            token_endpoint_auth_method: oauth::client_auth::AuthMethod::None.as_str().to_owned(),
            grant_types: vec![DEVICE.to_owned(), REFRESH.to_owned()],
            client_name: Some("Portcullis command line".to_owned()),
            application_type: "native".to_owned(),
            subject_type: "public".to_owned(),
            ..ClientMetadata::default()
        },
        secrets: Vec::new(),
        registration: None,
        document_sha256: None,
        consent: true,
        origin: From::File,
        created_at: UnixMs(0),
        created_by: "built-in".to_owned(),
        disabled_at: None,
    }
}

#[cfg(test)]
mod tests;
