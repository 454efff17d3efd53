//! The userinfo endpoint (OpenID Connect Core §5.3).
//!
//! Never does: answer for a token that is not about a person, or say more than its scopes and its grant's `claims`
//! parameter ask for.
//!
//! Invariant: a token that is bound to a key is taken with a proof of that key only (RFC 9449 §7.1).

use super::living::{Seen, grant_of};
use super::refusal::Failed;
use super::secrets::Purpose;
use super::{OAuth, Origin};
use base::Secret;
use protocol::AlgorithmSet;
use protocol::bearer;
use protocol::dpop::{self, Expectation};
use protocol::json::Object;
use protocol::jwt::Claims;
use protocol::oauth::{ClaimsRequest, ErrorCode, OAuthError};
use protocol::oidc;

/// Where the endpoint lies below the issuer.
pub const USERINFO_PATH: &str = "/oauth/userinfo";

/// A call of the endpoint.
#[derive(Debug, Clone)]
pub struct UserinfoCall {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The values of all `Authorization` headers.
    pub authorization: Vec<Vec<u8>>,
    /// `access_token` of a form (RFC 6750 §2.2).
    pub form_token: Option<Secret<String>>,
    /// The values of all `DPoP` headers.
    pub dpop: Vec<Vec<u8>>,
    /// Where it came from.
    pub origin: Origin,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Userinfo {
    /// As JSON.
    Json(Object),
    /// Signed, as the client has registered (`application/jwt`).
    Jwt(String),
}

/// How a token was presented.
struct Presented {
    token: Secret<String>,
    /// With the scheme `DPoP`.
    dpop: bool,
}

impl OAuth {
    /// Answers who the person is.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_token`, `insufficient_scope` (RFC 6750 §3.1), `invalid_dpop_proof` and
    /// `use_dpop_nonce`.
    pub async fn userinfo(&self, call: &UserinfoCall) -> Result<Userinfo, OAuthError> {
        let outcome = self.person_of(call).await;
        self.settle(&call.origin, None, outcome).await
    }

    async fn person_of(&self, call: &UserinfoCall) -> Result<Userinfo, Failed> {
        let presented = presented(call)?;
        let claims = match self.see(presented.token.expose()).await? {
            Seen::Alive(claims) => claims,
            Seen::Dead(why) => return Err(invalid(format!("RFC 6750 §3.1: {why}"))),
        };
        self.bound(call, &presented, &claims).await?;
        // OpenID Connect Core §5.3.1: a token that came of an OpenID Connect authentication.
        if !claims.scopes.contains("openid") {
            return Err(Failed::refused(
                ErrorCode::InsufficientScope,
                "the access token has not the scope openid",
                "OpenID Connect Core §5.3.1: the scope openid is missing",
            ));
        }
        let nobody = || invalid("OpenID Connect Core §5.3.1: the token is not about a person");
        let grant = match grant_of(&claims) {
            Some(id) => self.parts.store.grant(id.to_owned()).await?,
            None => None,
        };
        let grant = grant.ok_or_else(nobody)?;
        let user = grant.user.as_deref().ok_or_else(nobody)?;
        let client = self.client(&grant.client, &call.origin).await?;
        let client = client.filter(|it| it.disabled_at.is_none());
        let client = client.ok_or_else(|| invalid("the client of the token is gone"))?;
        let person = self.person_claims(user).await.map_err(|failed| match failed {
            Failed::Refused { rule, .. } => invalid(rule),
            other => other,
        })?;
        let asked: ClaimsRequest = serde_json::from_value(grant.claims).unwrap_or_default();
        let subject = self.subject_of(&client, user);
        let answer = oidc::userinfo(&subject, &person, &claims.scopes, &asked);
        let Some(name) = client.metadata.userinfo_signed_response_alg.as_deref() else {
            return Ok(Userinfo::Json(answer));
        };
        let busy = Failed::Busy("the signing key is being made");
        let signer = name.parse().ok().and_then(|it| self.signer(it, oidc::ID_TOKEN_TYP));
        let answer = oidc::signed_userinfo(answer, &self.settings().issuer, &client.id);
        Ok(Userinfo::Jwt(signer.ok_or(busy)?.sign(&answer)?))
    }

    /// RFC 9449 §7.1, §7.2: what is bound comes with a proof; what is not, without.
    async fn bound(
        &self,
        call: &UserinfoCall,
        presented: &Presented,
        claims: &Claims,
    ) -> Result<(), Failed> {
        let Some(confirmation) = &claims.confirmation else {
            return match presented.dpop {
                false => Ok(()),
                true => Err(invalid("RFC 9449 §7.1: the token is not bound, and came as DPoP")),
            };
        };
        let jkt = confirmation.jkt.as_deref();
        let Some(jkt) = jkt.filter(|_| confirmation.x5t_s256.is_none() && !confirmation.other)
        else {
            return Err(invalid("RFC 7800 §3.1: the token is bound to what cannot be proved here"));
        };
        if !presented.dpop {
            return Err(invalid("RFC 9449 §7.2: the token is bound to a key, and came as Bearer"));
        }
        let headers: Vec<&[u8]> = call.dpop.iter().map(Vec::as_slice).collect();
        let uri = self.settings().url(USERINFO_PATH);
        let expect = Expectation {
            method: call.method,
            uri: &uri,
            access_token: Some(presented.token.expose().as_bytes()),
            algorithms: AlgorithmSet::DEFAULT,
            nonces: None,
            now: self.parts.clock.now(),
        };
        let proof = dpop::verify(&headers, &expect).map_err(|error| {
            let rule = format!("RFC 9449 §4.3: {error}");
            Failed::Refused { error: OAuthError::from(error), rule: rule.into() }
        })?;
        if *proof.jkt != *jkt {
            return Err(invalid("RFC 9449 §7.1: the proof is of another key"));
        }
        let what = format!("dpop\0{}\0{}", proof.jkt, proof.jti);
        let mac = Purpose::Once.mac(&self.parts.pepper, &what);
        match self.parts.store.once(mac, proof.until).await? {
            true => Ok(()),
            false => Err(Failed::refused(
                ErrorCode::InvalidDpopProof,
                "the proof was used before",
                "RFC 9449 §11.1: the jti of the proof was seen before",
            )),
        }
    }
}

/// RFC 6750 §2: one token, by one method.
fn presented(call: &UserinfoCall) -> Result<Presented, Failed> {
    let several = || {
        let rule = "RFC 6750 §2: the token came by more than one method";
        Failed::request("there must be one access token, sent once", rule)
    };
    match (call.authorization.as_slice(), &call.form_token) {
        ([], Some(token)) => Ok(Presented { token: token.clone(), dpop: false }),
        ([], None) => Err(invalid("RFC 6750 §3: there is no token")),
        ([header], None) => {
            let malformed = |_| invalid("RFC 6750 §2.1: the Authorization header is malformed");
            let bearer = bearer::parse(header).map_err(malformed)?;
            let dpop = bearer::parse_as("DPoP", header).map_err(malformed)?;
            let token = bearer.or(dpop).ok_or_else(|| invalid("RFC 6750 §2.1: another scheme"))?;
            Ok(Presented { token: Secret::new(token.as_str().to_owned()), dpop: dpop.is_some() })
        }
        _ => Err(several()),
    }
}

/// RFC 6750 §3.1: always with the same words.
fn invalid(rule: impl Into<std::borrow::Cow<'static, str>>) -> Failed {
    Failed::refused(ErrorCode::InvalidToken, "the access token is missing or not valid", rule)
}

#[cfg(test)]
mod tests;
