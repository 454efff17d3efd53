//! What is issued on a grant that is kept: the part that codes, refresh tokens and devices share.

use super::Caller;
use crate::oauth::OAuth;
use crate::oauth::mint::{AccessAsk, Minted, by_scope, client_scopes, may_have};
use crate::oauth::records::{ClientRecord, GrantRecord, NewRefresh, UserRecord};
use crate::oauth::refusal::Failed;
use crate::oauth::scopes::judge_resources;
use crate::oauth::settings::Settings;
use base::Secret;
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::exchange::{narrow_audience, narrow_scope};
use protocol::oauth::metadata::GrantType;
use protocol::oauth::token_response::TokenResponse;
use protocol::oauth::{AuthorizationDetails, ErrorCode, ScopeSet};
use std::fmt::Write as _;

/// What a grant gives at one request.
pub(super) struct Given {
    pub(super) minted: Minted,
    pub(super) id_token: Option<Secret<String>>,
    scopes: ScopeSet,
    details: AuthorizationDetails,
    /// What the record says.
    pub(super) detail: String,
}

impl Given {
    /// The answer.
    pub(super) fn answer(self, refresh_token: Option<Secret<String>>) -> TokenResponse {
        TokenResponse {
            access_token: self.minted.text,
            token_type: self.minted.token_type,
            expires_in: self.minted.expires_in,
            refresh_token,
            scope: self.scopes,
            id_token: self.id_token,
            issued_token_type: None,
            authorization_details: self.details,
        }
    }
}

/// On whose behalf a grant was given: the person's id, else the client's.
pub(super) fn subject(grant: &GrantRecord) -> &str {
    grant.user.as_deref().unwrap_or(&grant.client)
}

impl OAuth {
    /// Makes the tokens of a grant, narrowed as the call asks. `person`: the account of the grant's person.
    pub(super) async fn tokens_of(
        &self,
        caller: &Caller<'_>,
        (grant, person): (&GrantRecord, Option<&UserRecord>),
        word: &str,
    ) -> Result<Given, Failed> {
        self.living(grant, person)?;
        let settings = self.settings();
        let (client, call) = (caller.client, caller.call);
        let shown = ScopeSet::of(grant.scopes.iter().map(String::as_str)).unwrap_or_default();
        // What the person may give now: groups change while a grant lives.
        let held = match person {
            Some(person) => self.of_person(grant.scopes.clone(), person),
            None => grant.scopes.clone(),
        };
        let own = client_scopes(&settings, client, &held);
        let scopes = narrow_scope(&shown, &own, caller.scopes()?.as_ref())?;
        let asked = judge_resources(client, &settings, call.params.all("resource"))?;
        let audience = narrowed(&settings, client, grant, (&asked, &scopes))?;
        let details = details(caller, grant)?;
        let minted = self.access_token(&AccessAsk {
            client,
            subject: subject(grant),
            grant: &grant.id,
            scopes: &scopes,
            audience: &audience,
            cnf: caller.cnf.as_ref(),
            actor: None,
            exchanged_from: &[],
            details: &details,
            login: Some(grant),
            until: Some(grant.expires_at),
        })?;
        let id_token = match scopes.contains("openid") {
            true => self.id_token(client, grant, &minted.text).await?,
            false => None,
        };
        let mut detail = format!("{word}, grant {}, scope {:?}", grant.id, scopes.to_string());
        let _ = write!(detail, ", for {}", audience.join(" "));
        Ok(Given { minted, id_token, scopes, details, detail })
    }

    /// Refuses a grant that is dead, or whose person is gone.
    pub(super) fn living(
        &self,
        grant: &GrantRecord,
        person: Option<&UserRecord>,
    ) -> Result<(), Failed> {
        let dead = |rule| Err(Failed::grant("the grant is no longer valid", rule));
        if grant.revoked_at.is_some() {
            return dead("RFC 6749 §5.2: the grant is revoked");
        }
        if self.parts.clock.now() >= grant.expires_at {
            return dead("RFC 6749 §5.2: the grant has expired");
        }
        let Some(user) = &grant.user else { return Ok(()) };
        match person {
            Some(person) if person.id == *user && person.disabled_at.is_none() => Ok(()),
            _ => dead("RFC 6749 §5.2: the account of the person is closed"),
        }
    }

    /// The first refresh token of a grant, where the client may have one.
    pub(super) fn first_refresh(
        &self,
        caller: &Caller<'_>,
        grant: &GrantRecord,
    ) -> Result<Option<(Secret<String>, NewRefresh)>, Failed> {
        if !caller.client.metadata.may(GrantType::RefreshToken) {
            return Ok(None);
        }
        // RFC 9449 §5: refresh tokens of public clients are bound to the key; others to the client.
        let public = caller.client.metadata.auth_method() == Some(AuthMethod::None);
        self.refresh_token(grant, caller.jkt().filter(|_| public)).map(Some)
    }
}

/// The audience: what the grant allows, narrowed to what is asked (RFC 8707 §2.2).
fn narrowed(
    settings: &Settings,
    client: &ClientRecord,
    grant: &GrantRecord,
    (asked, scopes): (&[String], &ScopeSet),
) -> Result<Vec<Box<str>>, Failed> {
    let asked: Vec<Box<str>> = asked.iter().map(|it| it.as_str().into()).collect();
    if grant.resources.is_empty() {
        return Ok(narrow_audience(&by_scope(settings, client, scopes), &asked)?);
    }
    let allowed = grant.resources.iter().filter(|it| may_have(client, it));
    let allowed: Vec<Box<str>> = allowed.map(|it| it.as_str().into()).collect();
    if allowed.is_empty() {
        let rule = "RFC 8707 §2: the client may no longer ask for the resources of the grant";
        let code = ErrorCode::InvalidTarget;
        return Err(Failed::refused(code, "the resources are no longer available", rule));
    }
    Ok(narrow_audience(&allowed, &asked)?)
}

/// RFC 9396 §6: a token request may narrow what was granted.
fn details(caller: &Caller<'_>, grant: &GrantRecord) -> Result<AuthorizationDetails, Failed> {
    let granted: AuthorizationDetails = match &grant.authorization_details {
        serde_json::Value::Null => AuthorizationDetails::default(),
        // What was kept was judged; were it damaged, nothing would be granted by it.
        other => serde_json::from_value(other.clone()).unwrap_or_default(),
    };
    let Some(asked) = caller.call.params.get("authorization_details") else { return Ok(granted) };
    let asked = AuthorizationDetails::parse(asked)?;
    match granted.contains_all(&asked) {
        true => Ok(asked),
        false => Err(Failed::refused(
            ErrorCode::InvalidAuthorizationDetails,
            "authorization_details ask for more than was granted",
            "RFC 9396 §6: the token request is wider than the grant",
        )),
    }
}
