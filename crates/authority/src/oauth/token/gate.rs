//! The gate itself as a client, for people in browsers (`docs/adr/0012-browsers-at-the-gate.md`).
//!
//! Owns: the built-in client, and what it learns: who signed in, and whether that still stands. It gets no access tokens,
//! since it asks for nothing with them.
//!
//! Invariants:
//! - Nobody can authenticate as this client over the network: its codes and refresh tokens are of use to the gate of
//!   this process alone.
//! - A session at the gate stands no longer than the login session that it rests on.
//! - What is told is as it is in the store at this moment, never older.

use super::code::bindings;
use super::{Caller, OAuth};
use crate::oauth::Origin;
use crate::oauth::client_auth::ClientCall;
use crate::oauth::clients::{CODE, REFRESH};
use crate::oauth::ports::Redeemed;
use crate::oauth::records::{
    ClientRecord, GrantRecord, Origin as From, Pkce, Profile, RefreshRotation, TokenFormat,
    UserRecord,
};
use crate::oauth::refusal::Failed;
use crate::oauth::secrets::Purpose;
use crate::oauth::settings::{ACCESS_TOKEN_LONGEST, Settings};
use base::limits::CLOCK_SKEW;
use base::{Event, Scheme, Secret, UnixMs, code};
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::metadata::ClientMetadata;
use protocol::oauth::{OAuthError, Params};
use std::sync::Arc;

/// The gate's `client_id`.
pub const GATE_CLIENT: &str = "portcullis-gate";

/// The built-in client, which people may be sent back from to these addresses.
///
/// WHY its refresh tokens are kept and not rotated: they lie sealed in cookies. An answer that a browser never got would
/// leave it with a spent one, and the next page would end the session for reuse.
pub fn gate_client(settings: &Settings, redirect_uris: Vec<String>) -> ClientRecord {
    let metadata = ClientMetadata {
        redirect_uris,
        token_endpoint_auth_method: AuthMethod::PrivateKeyJwt.as_str().to_owned(),
        // INVARIANT: no key, so nobody's assertion is the gate's.
        jwks: Some(serde_json::json!({ "keys": [] })),
        grant_types: vec![CODE.to_owned(), REFRESH.to_owned()],
        response_types: vec!["code".to_owned()],
        client_name: Some(settings.name.clone()),
        application_type: "web".to_owned(),
        subject_type: "public".to_owned(),
        ..ClientMetadata::default()
    };
    ClientRecord {
        id: GATE_CLIENT.to_owned(),
        name: settings.name.clone(),
        profile: Profile::Standard,
        pkce: Pkce::Required,
        token_format: TokenFormat::Jwt,
        refresh: RefreshRotation::Keep,
        access_token_seconds: None,
        scopes: Vec::new(),
        resources: Vec::new(),
        metadata,
        secrets: Vec::new(),
        registration: None,
        document_sha256: None,
        consent: false,
        origin: From::File,
        created_at: UnixMs(0),
        created_by: "built-in".to_owned(),
        disabled_at: None,
    }
}

/// A code that a browser brought back to the gate.
#[derive(Debug, Clone)]
pub struct GateCode {
    /// The code.
    pub code: Secret<String>,
    /// Where it was brought.
    pub redirect_uri: String,
    /// The PKCE verifier.
    pub verifier: Secret<String>,
}

/// What the gate is told of who signed in.
#[derive(Debug, Clone)]
pub struct GateSession {
    /// The person.
    pub subject: String,
    /// Their groups.
    pub groups: Vec<String>,
    /// The login session.
    pub session: String,
    /// The grant.
    pub grant: String,
    /// How strongly they signed in.
    pub acr: Option<String>,
    /// When.
    pub auth_time: Option<UnixMs>,
    /// The `nonce` of the request, when a code was brought.
    pub nonce: Option<String>,
    /// What asks again.
    pub refresh: Secret<String>,
}

impl OAuth {
    /// Takes the code that a browser brought back to the gate.
    ///
    /// # Errors
    /// As at the token endpoint; the refusal is recorded.
    pub async fn gate_redeem(
        &self,
        ask: &GateCode,
        origin: &Origin,
    ) -> Result<GateSession, OAuthError> {
        let outcome = self.gate_code(ask, origin).await;
        self.settle(origin, Some(GATE_CLIENT), outcome).await
    }

    /// What is true of a session at the gate now.
    ///
    /// # Errors
    /// `invalid_grant` when it is over; the refusal is recorded.
    pub async fn gate_renew(
        &self,
        refresh: &Secret<String>,
        origin: &Origin,
    ) -> Result<GateSession, OAuthError> {
        let outcome = self.gate_refresh(refresh, origin).await;
        self.settle(origin, Some(GATE_CLIENT), outcome).await
    }

    /// Ends a session at the gate: its grant, and the login session that it rests on.
    ///
    /// # Errors
    /// `invalid_grant` when there is none; the refusal is recorded.
    pub async fn gate_end(
        &self,
        refresh: &Secret<String>,
        origin: &Origin,
    ) -> Result<(), OAuthError> {
        let outcome = self.gate_ended(refresh, origin).await;
        self.settle(origin, Some(GATE_CLIENT), outcome).await
    }

    fn gate(&self) -> Result<Arc<ClientRecord>, Failed> {
        let client = self.known_client(GATE_CLIENT).filter(|it| it.disabled_at.is_none());
        client.ok_or_else(|| Failed::client("no route of this gate takes browser sessions"))
    }

    async fn gate_code(&self, ask: &GateCode, origin: &Origin) -> Result<GateSession, Failed> {
        let client = self.gate()?;
        let mut params = Params::default();
        let pairs = [("redirect_uri", &ask.redirect_uri), ("code_verifier", ask.verifier.expose())];
        for (name, value) in pairs {
            params.push(name, value.as_str()).map_err(|error| {
                Failed::grant("the code cannot be redeemed", format!("RFC 6749 §4.1.3: {error}"))
            })?;
        }
        let call = ClientCall {
            params,
            authorization: Vec::new(),
            dpop: Vec::new(),
            certificate: None,
            origin: origin.clone(),
        };
        let caller = Caller { client: &client, call: &call, cnf: None };
        let gone = |rule: &'static str| Failed::grant("the code is unknown, expired or used", rule);
        let mac = Purpose::Code.mac(&self.parts.pepper, ask.code.expose());
        let found = self.parts.store.code_and_person(mac).await?;
        let (code, grant, person) =
            found.ok_or_else(|| gone("RFC 6749 §5.2: there is no such code"))?;
        bindings(&caller, &code, &grant)?;
        self.living(&grant, person.as_ref())?;
        let (text, mut refresh) = self.refresh_token(&grant, None)?;
        // The gate has limits of its own for sessions that lie idle.
        refresh.record.expires_at = grant.expires_at;
        let event = self.gate_event(&grant, origin, code::SESSION_BEGUN, &ask.redirect_uri)?;
        let now = self.parts.clock.now();
        match self.parts.store.redeem_code(mac, Some(refresh), now, event).await? {
            Redeemed::Now(_) => self.told(grant, person, text).await,
            // RFC 6749 §4.1.2, §10.5: used twice, it ends what was issued on it.
            Redeemed::Twice { grant, .. } => {
                let rule =
                    format!("RFC 6749 §4.1.2: the code was used before; grant {grant} is revoked");
                Err(Failed::grant("the code was used before", rule))
            }
            Redeemed::Gone => {
                Err(gone("RFC 6749 §5.2: the code has expired, or its grant is dead"))
            }
        }
    }

    async fn gate_refresh(
        &self,
        text: &Secret<String>,
        origin: &Origin,
    ) -> Result<GateSession, Failed> {
        let client = self.gate()?;
        let (grant, person) = self.gate_grant(&client, text).await?;
        self.living(&grant, person.as_ref())?;
        let event = self.gate_event(&grant, origin, code::TOKEN_REFRESHED, "renewed")?;
        let now = self.parts.clock.now();
        let mac = Purpose::Refresh.mac(&self.parts.pepper, text.expose());
        let kept = self.parts.store.keep_refresh(mac, grant.expires_at, now, event).await?;
        kept.ok_or_else(|| over("RFC 6749 §5.2: it has expired, or its grant is dead"))?;
        self.told(GrantRecord { nonce: None, ..grant }, person, text.clone()).await
    }

    async fn gate_ended(&self, text: &Secret<String>, origin: &Origin) -> Result<(), Failed> {
        let client = self.gate()?;
        let (grant, _) = self.gate_grant(&client, text).await?;
        let now = self.parts.clock.now();
        let until = now.plus(ACCESS_TOKEN_LONGEST).plus(CLOCK_SKEW);
        let event = self.gate_event(&grant, origin, code::SESSION_ENDED, "signed out")?;
        self.parts.store.revoke_grant(grant.id.clone(), now, until, event).await?;
        if let Some(session) = self.login_of(&grant).await? {
            self.end_this_session(&session, origin).await?;
        }
        Ok(())
    }

    /// The grant of a refresh token of the gate's, and its person.
    async fn gate_grant(
        &self,
        client: &ClientRecord,
        text: &Secret<String>,
    ) -> Result<(GrantRecord, Option<UserRecord>), Failed> {
        let mac = Purpose::Refresh.mac(&self.parts.pepper, text.expose());
        let found = self.parts.store.refresh_and_person(mac).await?;
        let (record, grant, person) =
            found.ok_or_else(|| over("RFC 6749 §5.2: there is no such refresh token"))?;
        // RFC 6749 §6: bound to the client that it was issued to.
        if record.client != client.id {
            return Err(over("RFC 6749 §6: the refresh token was issued to another client"));
        }
        Ok((grant, person))
    }

    /// The login session of a grant, as long as it lives.
    async fn login_of(
        &self,
        grant: &GrantRecord,
    ) -> Result<Option<crate::oauth::records::SessionRecord>, Failed> {
        let (Some(user), Some(id)) = (&grant.user, &grant.session) else { return Ok(None) };
        let all = self.sessions_of(user).await?;
        Ok(all.into_iter().find(|it| it.id == *id))
    }

    async fn told(
        &self,
        grant: GrantRecord,
        person: Option<UserRecord>,
        refresh: Secret<String>,
    ) -> Result<GateSession, Failed> {
        let (Some(person), Some(session)) = (person, self.login_of(&grant).await?) else {
            return Err(over("the login session has ended"));
        };
        Ok(GateSession {
            subject: person.id,
            groups: person.roles,
            session: session.id,
            grant: grant.id,
            acr: grant.acr,
            auth_time: grant.auth_time,
            nonce: grant.nonce,
            refresh,
        })
    }

    fn gate_event(
        &self,
        grant: &GrantRecord,
        origin: &Origin,
        code: base::Code,
        detail: &str,
    ) -> Result<Event, Failed> {
        let mut event = self.event(origin, code)?;
        event.principal = grant.user.as_deref().map(Arc::from);
        event.client_id = Some(Arc::from(GATE_CLIENT));
        event.credential_id = Some(Arc::from(grant.id.as_str()));
        event.scheme = Some(Scheme::Session);
        event.detail = Some(detail.into());
        Ok(event)
    }
}

fn over(rule: &'static str) -> Failed {
    Failed::grant("the session is over", rule)
}
