//! Making access tokens and ID tokens.
//!
//! Owns: what stands in them, for whom they are, how long they live.
//!
//! Never does: decide whether a token may be issued.
//!
//! Invariants:
//! - An access token lives at most [`ACCESS_TOKEN_LONGEST`], has an audience, a `jti` of 128 random bits and a
//!   grant id.
//! - `sub` of access tokens is the person's own id also for pairwise clients: by it a gate ends what a person was
//!   issued. What is pairwise is what the *client* is told: ID token and userinfo.

use super::OAuth;
use super::records::{
    AccessRecord, ClientRecord, GrantRecord, Mac, NewRefresh, RefreshRecord, TokenFormat,
};
use super::refusal::Failed;
use super::scopes::{judge_resources, may_ask};
use super::secrets::Purpose;
use super::settings::{ACCESS_TOKEN_LONGEST, Settings};
use base::{Secret, UnixMs, random_array};
use protocol::b64;
use protocol::oauth::access_token::{self, AccessTokenClaims};
use protocol::oauth::claim::{Audience, Cnf, ExtraClaims};
use protocol::oauth::exchange::Actor;
use protocol::oauth::token_response::TokenType;
use protocol::oauth::{AuthorizationDetails, ClaimsRequest, ScopeSet};
use protocol::oidc::{self, IdTokenClaims};
use serde_json::Value;
use std::time::Duration;

/// What refresh tokens are sealed as, for the seconds in which the same parent gets the same child.
const CHILD: &str = "refresh-child";
/// Between a refresh token and the thumbprint of the key that it is bound to.
const BOUND: char = '.';

/// What an access token shall say.
pub(crate) struct AccessAsk<'a> {
    pub(crate) client: &'a ClientRecord,
    pub(crate) subject: &'a str,
    /// `gid`.
    pub(crate) grant: &'a str,
    pub(crate) scopes: &'a ScopeSet,
    pub(crate) audience: &'a [Box<str>],
    pub(crate) cnf: Option<&'a Cnf>,
    pub(crate) actor: Option<&'a Actor>,
    /// The clients from whose tokens it is exchanged.
    pub(crate) exchanged_from: &'a [Box<str>],
    pub(crate) details: &'a AuthorizationDetails,
    /// Where the login is known, what is known of it.
    pub(crate) login: Option<&'a GrantRecord>,
    /// It ends then at the latest.
    pub(crate) until: Option<UnixMs>,
}

/// An access token that was made.
pub(crate) struct Minted {
    pub(crate) text: Secret<String>,
    pub(crate) jti: Box<str>,
    pub(crate) expires_in: u64,
    pub(crate) token_type: TokenType,
    /// What must be kept before it is given out, when it is a reference.
    pub(crate) opaque: Option<(Mac, AccessRecord)>,
}

impl OAuth {
    /// Makes an access token (RFC 9068).
    pub(crate) fn access_token(&self, ask: &AccessAsk<'_>) -> Result<Minted, Failed> {
        let settings = self.settings();
        let now = self.parts.clock.now();
        let lifetime = lifetime(&settings, ask.client);
        let end = ask.until.map_or(now.plus(lifetime), |until| until.min(now.plus(lifetime)));
        let expires_in = end.since(now).as_secs();
        if expires_in == 0 {
            return Err(Failed::grant("the grant has expired", "nothing is left of its time"));
        }
        let jti = b64::encode(random_array::<16>()?);
        let amr: Vec<Box<str>> =
            ask.login.iter().flat_map(|it| &it.amr).map(|it| it.as_str().into()).collect();
        let extra = ExtraClaims::default();
        let claims = AccessTokenClaims {
            issuer: &settings.issuer,
            subject: ask.subject,
            audience: Audience(ask.audience),
            client_id: &ask.client.id,
            issued_at: now.into(),
            not_before: None,
            expires_at: end.into(),
            jti: &jti,
            grant_id: Some(ask.grant),
            scope: ask.scopes,
            authenticated_at: ask.login.and_then(|it| it.auth_time).map(Into::into),
            acr: ask.login.and_then(|it| it.acr.as_deref()),
            amr: &amr,
            session_id: ask.login.and_then(|it| it.session.as_deref()),
            confirmation: ask.cnf,
            actor: ask.actor,
            exchanged_from: ask.exchanged_from,
            authorization_details: ask.details,
            extra: &extra,
        };
        let (text, opaque) = match ask.client.token_format {
            TokenFormat::Jwt => {
                let signer = self.signer(settings.algorithm, access_token::TYP);
                let signer = signer.ok_or(Failed::Busy("the signing key is being made"))?;
                (Secret::new(signer.sign(&claims)?), None)
            }
            TokenFormat::Opaque => {
                let text = Purpose::Access.fresh()?;
                let mac = Purpose::Access.mac(&self.parts.pepper, text.expose());
                let claims = serde_json::to_value(&claims).unwrap_or_default();
                // To the second, as its `exp` says.
                let expires_at = UnixMs(end.seconds().saturating_mul(1000));
                (text, Some((mac, AccessRecord { claims, expires_at })))
            }
        };
        // RFC 9449 §5: `DPoP` when it is bound to a key.
        let token_type = match ask.cnf.is_some_and(|cnf| cnf.jkt.is_some()) {
            true => TokenType::DPoP,
            false => TokenType::Bearer,
        };
        Ok(Minted { text, jti: jti.into(), expires_in, token_type, opaque })
    }

    /// Makes an ID token (OpenID Connect Core §3.1.3.3) when the grant is one of OpenID Connect.
    pub(crate) async fn id_token(
        &self,
        client: &ClientRecord,
        grant: &GrantRecord,
        access_token: &Secret<String>,
    ) -> Result<Option<Secret<String>>, Failed> {
        let Some(user) = grant.user.as_deref() else { return Ok(None) };
        if !grant.scopes.iter().any(|it| it == "openid") {
            return Ok(None);
        }
        let settings = self.settings();
        let algorithm = self.id_token_algorithm(client);
        let signer = self.signer(algorithm, oidc::ID_TOKEN_TYP);
        let signer = signer.ok_or(Failed::Busy("the signing key is being made"))?;
        let now = self.parts.clock.now();
        let asked: ClaimsRequest = serde_json::from_value(grant.claims.clone()).unwrap_or_default();
        let extra = match asked.id_token.is_empty() {
            true => ExtraClaims::default(),
            false => oidc::id_token_claims(&self.person_claims(user).await?, &asked),
        };
        let amr: Vec<Box<str>> = grant.amr.iter().map(|it| it.as_str().into()).collect();
        let hash = oidc::token_hash(algorithm, access_token.expose());
        let claims = IdTokenClaims {
            issuer: &settings.issuer,
            subject: &self.subject_of(client, user),
            client_id: &client.id,
            expires_at: now.plus(settings.id_token).into(),
            issued_at: now.into(),
            authenticated_at: grant.auth_time.map(Into::into),
            nonce: grant.nonce.as_deref(),
            acr: grant.acr.as_deref(),
            amr: &amr,
            authorized_party: None,
            session_id: grant.session.as_deref(),
            at_hash: Some(&hash),
            c_hash: None,
            extra: &extra,
        };
        Ok(Some(Secret::new(signer.sign(&claims)?)))
    }

    /// What is known of a person, as the claims of OpenID Connect.
    pub(crate) async fn person_claims(
        &self,
        user: &str,
    ) -> Result<serde_json::Map<String, Value>, Failed> {
        let user = self.parts.store.user(user.to_owned()).await?;
        let Some(user) = user.filter(|user| user.disabled_at.is_none()) else {
            return Err(Failed::grant("the grant is no longer valid", "the account is closed"));
        };
        let mut claims = user.claims;
        claims.insert("email".to_owned(), user.email.into());
        claims.insert("email_verified".to_owned(), user.email_verified.into());
        if let Some(name) = user.name {
            claims.insert("name".to_owned(), name.into());
        }
        claims.insert("updated_at".to_owned(), user.updated_at.seconds().into());
        if !user.roles.is_empty() {
            claims.insert("groups".to_owned(), user.roles.into());
        }
        Ok(claims)
    }

    /// Makes a refresh token for a grant; one that is bound to a key carries the key's thumbprint, so that its MAC
    /// covers it.
    pub(crate) fn refresh_token(
        &self,
        grant: &GrantRecord,
        bound_to: Option<&str>,
    ) -> Result<(Secret<String>, NewRefresh), Failed> {
        let now = self.parts.clock.now();
        let fresh = Purpose::Refresh.fresh()?;
        let text = match bound_to {
            None => fresh,
            Some(jkt) => Secret::new(format!("{}{BOUND}{jkt}", fresh.expose())),
        };
        let idle = now.plus(self.settings().refresh_idle);
        let record = RefreshRecord {
            grant: grant.id.clone(),
            client: grant.client.clone(),
            created_at: now,
            expires_at: idle.min(grant.expires_at),
            spent_at: None,
        };
        let sealed = Secret::new(self.parts.sealer.seal(CHILD, text.expose().as_bytes())?);
        let mac = Purpose::Refresh.mac(&self.parts.pepper, text.expose());
        Ok((text, NewRefresh { mac, record, sealed }))
    }

    /// The refresh token that was sealed.
    pub(crate) fn open_child(&self, sealed: &[u8]) -> Result<Secret<String>, Failed> {
        let plain = self.parts.sealer.open(CHILD, sealed)?;
        let text = String::from_utf8(plain.expose().clone()).unwrap_or_default();
        Ok(Secret::new(text))
    }
}

/// The thumbprint of the key that a refresh token is bound to.
pub(crate) fn bound_to(refresh_token: &str) -> Option<&str> {
    refresh_token.split_once(BOUND).map(|(_, jkt)| jkt)
}

fn lifetime(settings: &Settings, client: &ClientRecord) -> Duration {
    let own = client.access_token_seconds.map(|it| Duration::from_secs(it.into()));
    own.unwrap_or(settings.access_token).min(ACCESS_TOKEN_LONGEST)
}

/// Those of `scopes` that a client may have.
pub(crate) fn client_scopes(
    settings: &Settings,
    client: &ClientRecord,
    scopes: &[String],
) -> ScopeSet {
    let own = scopes.iter().map(String::as_str).filter(|it| may_ask(client, settings, it));
    ScopeSet::of(own).unwrap_or_default()
}

/// The audience of a token (RFC 8707 §2): the resources asked for, which must be known and the client's to ask for;
/// without a question, those whose scopes were granted; else the issuer itself (RFC 9068 §3).
pub(crate) fn audience<'a>(
    settings: &Settings,
    client: &ClientRecord,
    asked: impl Iterator<Item = &'a str>,
    scopes: &ScopeSet,
) -> Result<Vec<Box<str>>, Failed> {
    let found = judge_resources(client, settings, asked)?;
    match found.is_empty() {
        true => Ok(by_scope(settings, client, scopes)),
        false => Ok(found.into_iter().map(Into::into).collect()),
    }
}

/// The resources whose scopes were granted; else the issuer itself.
pub(crate) fn by_scope(
    settings: &Settings,
    client: &ClientRecord,
    scopes: &ScopeSet,
) -> Vec<Box<str>> {
    let opened =
        settings.resources.iter().filter(|it| it.scopes.iter().any(|it| scopes.contains(it)));
    let mut found: Vec<Box<str>> = opened.map(|it| it.uri.as_str().into()).collect();
    if scopes.iter().any(|it| it.starts_with("admin:")) {
        found.push(settings.admin_resource().into());
    }
    found.retain(|it| may_have(client, it));
    found.dedup();
    if found.is_empty() {
        found.push(settings.issuer.as_str().into());
    }
    found
}

/// Whether a client's list of resources allows this one.
pub(crate) fn may_have(client: &ClientRecord, resource: &str) -> bool {
    client.resources.is_empty() || client.resources.iter().any(|it| it == resource)
}
