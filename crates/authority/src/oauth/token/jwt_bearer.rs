//! JWT bearer (RFC 7523 §2.1): a token of a trusted issuer becomes a client of ours.
//!
//! Invariants:
//! - A rule decides alone; the client needs no secret, and cannot say more than the assertion.
//! - What comes out ends with the assertion at the latest.

use super::{Caller, OAuth, fresh_grant_id};
use crate::oauth::client_auth::ClientCall;
use crate::oauth::clients::{JWT_BEARER, PERSONAL_SCOPES};
use crate::oauth::mint::{AccessAsk, audience};
use crate::oauth::records::{ClientRecord, TrustRecord};
use crate::oauth::refusal::Failed;
use crate::oauth::settings::TOKEN_PATH;
use crate::oauth::trust::meets;
use base::limits::{CLOCK_SKEW, CREDENTIAL_BYTES};
use protocol::AlgorithmSet;
use protocol::jwk::KeySet;
use protocol::jwt::{Claims, Expectation, Token, TokenTypes};
use protocol::oauth::client_auth::{self, Credential};
use protocol::oauth::token_response::TokenResponse;
use protocol::oauth::{AuthorizationDetails, ErrorCode, ScopeSet};
use std::sync::Arc;

/// Types of assertions. What says that it is something else (an access token, a logout token) is refused.
const TYPES: TokenTypes = TokenTypes { absent: true, names: &["JWT"] };

/// An assertion that a rule lets in.
struct Trusted {
    rule: TrustRecord,
    claims: Claims,
}

impl OAuth {
    pub(super) async fn by_jwt(
        &self,
        call: &ClientCall,
        who: &mut Option<String>,
    ) -> Result<TokenResponse, Failed> {
        let named = self.named(call).await?;
        let text = call.params.required("assertion")?;
        let trusted = self.trusted(text, named.as_deref()).await?;
        let client = self.bearer(&trusted.rule)?;
        *who = Some(client.id.clone());
        let cnf = self.binding(call, &client).await?;
        let caller = Caller { client: &client, call, cnf };
        let scopes = scopes(&client, &trusted.rule, caller.scopes()?)?;
        let settings = self.settings();
        let audience = audience(&settings, &client, call.params.all("resource"), &scopes)?;
        let grant = fresh_grant_id()?;
        let details = AuthorizationDetails::default();
        let minted = self.access_token(&AccessAsk {
            client: &client,
            subject: &client.id,
            grant: &grant,
            scopes: &scopes,
            audience: &audience,
            cnf: caller.cnf.as_ref(),
            actor: None,
            exchanged_from: &[],
            details: &details,
            login: None,
            until: trusted.claims.expires_at,
        })?;
        let detail = format!(
            "jwt-bearer by rule {}: {} of {}, scope {:?}, for {}",
            trusted.rule.id,
            trusted.claims.subject.as_deref().unwrap_or_default(),
            trusted.rule.issuer,
            scopes.to_string(),
            audience.join(" ")
        );
        let event = self.issued(&call.origin, &client, (&client.id, &minted), detail)?;
        self.keep_token(&minted, event).await?;
        Ok(TokenResponse {
            access_token: minted.text,
            token_type: minted.token_type,
            expires_in: minted.expires_in,
            // RFC 7521 §4.1: no refresh token; the next assertion is the next token.
            refresh_token: None,
            scope: scopes,
            id_token: None,
            issued_token_type: None,
            authorization_details: details,
        })
    }

    /// The client that the call names. RFC 7521 §4.1: authentication is optional; a credential that is there must
    /// be right.
    async fn named(&self, call: &ClientCall) -> Result<Option<String>, Failed> {
        let names = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];
        if call.authorization.is_empty() && names.iter().all(|it| call.params.get(it).is_none()) {
            return Ok(None);
        }
        let headers: Vec<&[u8]> = call.authorization.iter().map(Vec::as_slice).collect();
        let presented = client_auth::read(&headers, &call.params)?;
        match presented.credential {
            // The bare id only says which rule is meant.
            Credential::None => Ok(Some(presented.client_id.into())),
            _ => Ok(Some(self.authenticate(call).await?.id.clone())),
        }
    }

    /// The assertion, if a rule lets it in.
    async fn trusted(&self, text: &str, named: Option<&str>) -> Result<Trusted, Failed> {
        let refused = |why: String| {
            Failed::grant("the assertion is not accepted", format!("RFC 7523 §3: {why}"))
        };
        let token = Token::parse(text.as_bytes(), CREDENTIAL_BYTES);
        let token = token.map_err(|error| refused(error.to_string()))?;
        let issuer = token.unverified().issuer().unwrap_or_default().to_owned();
        let rules = self.trust.load_full();
        let mut why = format!("no trust rule has the issuer {issuer}");
        let fitting = rules.iter().filter(|rule| rule.issuer == issuer);
        for rule in fitting.filter(|rule| named.is_none_or(|named| named == rule.client)) {
            match self.by_rule(&token, rule).await {
                Ok(claims) => return Ok(Trusted { rule: rule.clone(), claims }),
                Err(problem) => why = format!("rule {}: {problem}", rule.id),
            }
        }
        Err(refused(why))
    }

    async fn by_rule(&self, token: &Token<'_>, rule: &TrustRecord) -> Result<Claims, String> {
        let (kid, algorithm) = (token.header().key_id.as_deref(), token.header().algorithm);
        let wanted = |set: &KeySet| set.find(kid, algorithm).next().is_some();
        let tools = (&*self.parts.fetch, &*self.parts.clock);
        let url = match &rule.jwks_uri {
            Some(url) => url.clone(),
            None => self.remote_keys.discovered(&rule.issuer, tools).await?,
        };
        let keys = self.remote_keys.at(&url, tools, wanted).await?;
        let signed = token.clone().verify(&keys, AlgorithmSet::ALL);
        let signed = signed.map_err(|error| error.to_string())?;
        let settings = self.settings();
        // RFC 7523 §3 (3): it names this server.
        let audiences = match rule.audience.is_empty() {
            true => vec![settings.issuer.clone(), settings.url(TOKEN_PATH)],
            false => vec![rule.audience.clone()],
        };
        let expect = Expectation {
            issuer: &rule.issuer,
            audiences: &audiences,
            types: TYPES,
            now: self.parts.clock.now(),
            skew: CLOCK_SKEW,
        };
        let claims = signed.claims;
        claims.validate(&signed.header, &expect).map_err(|error| error.to_string())?;
        // RFC 7523 §3 (2): the subject, which the rule's pattern lets in.
        if !claims.subject.as_deref().is_some_and(|sub| meets(&rule.subject, sub)) {
            return Err("sub does not meet the rule's pattern".to_owned());
        }
        // RFC 9449 §6, RFC 8705 §3: a token that is bound to a key is no bearer token.
        if claims.confirmation.is_some() || claims.events.is_some() {
            return Err("it is bound to a key, or tells of events".to_owned());
        }
        let other = |(name, value): (&String, &serde_json::Value)| {
            claims.claim(name).is_none_or(|own| own.as_ref() != value)
        };
        match rule.claims.iter().find(|it| other(*it)) {
            Some((name, _)) => Err(format!("the claim {name} is not what the rule asks for")),
            None => Ok(claims),
        }
    }

    /// The client of the rule, which must be there, enabled and registered for this grant.
    fn bearer(&self, rule: &TrustRecord) -> Result<Arc<ClientRecord>, Failed> {
        let client = self.known_client(&rule.client).filter(|it| it.disabled_at.is_none());
        let client = client.ok_or_else(|| {
            let rule = format!("the client {} of the rule is gone or disabled", rule.client);
            Failed::grant("the assertion is not accepted", rule)
        })?;
        match client.metadata.grant_types.iter().any(|it| it == JWT_BEARER) {
            true => Ok(client),
            false => Err(Failed::refused(
                ErrorCode::UnauthorizedClient,
                "the client may not use this grant type",
                "RFC 6749 §5.2: the client of the rule is not registered for jwt-bearer",
            )),
        }
    }
}

/// What was asked for, which must stand in the rule and be the client's; without a question, all that is in both.
fn scopes(
    client: &ClientRecord,
    rule: &TrustRecord,
    asked: Option<ScopeSet>,
) -> Result<ScopeSet, Failed> {
    let invalid = |rule: String| {
        Failed::refused(ErrorCode::InvalidScope, "a scope is not one that the rule gives", rule)
    };
    let both = client.scopes.iter().map(String::as_str).filter(|it| {
        !PERSONAL_SCOPES.contains(it)
            && (rule.scopes.is_empty() || rule.scopes.iter().any(|own| own == it))
    });
    let both = ScopeSet::of(both).map_err(|error| invalid(error.to_string()))?;
    let Some(asked) = asked else { return Ok(both) };
    match both.missing(&asked) {
        None => Ok(asked),
        Some(wider) => {
            Err(invalid(format!("RFC 6749 §3.3: rule {} does not give {wider}", rule.id)))
        }
    }
}
