//! Token exchange (RFC 8693).
//!
//! Owns: the request, the chain of actors, the rule that what is issued is never wider than what was shown.
//!
//! Never does: verify the tokens.

use super::error::{ErrorCode, OAuthError};
use super::params::Params;
use super::scope::ScopeSet;
use super::uri;
use base::Secret;
use base::limits::CREDENTIAL_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The grant type (RFC 8693 §2.1).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Actors of one chain. Each stands in the token; a longer chain is a loop.
pub const ACTORS: usize = 8;
/// Bytes of an actor's or an audience's name.
pub const NAME_BYTES: usize = 512;

/// A type of token (RFC 8693 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenKind {
    /// An access token of ours.
    #[serde(rename = "urn:ietf:params:oauth:token-type:access_token")]
    AccessToken,
    /// A refresh token of ours.
    #[serde(rename = "urn:ietf:params:oauth:token-type:refresh_token")]
    RefreshToken,
    /// An ID token.
    #[serde(rename = "urn:ietf:params:oauth:token-type:id_token")]
    IdToken,
    /// A JWT of any issuer.
    #[serde(rename = "urn:ietf:params:oauth:token-type:jwt")]
    Jwt,
}

impl TokenKind {
    /// Its identifier.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    fn read(text: &str) -> Option<Self> {
        let all = [Self::AccessToken, Self::RefreshToken, Self::IdToken, Self::Jwt];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A token that was sent, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentToken {
    /// The token.
    pub token: Secret<String>,
    /// What the client says that it is.
    pub kind: TokenKind,
}

/// A request for an exchange (RFC 8693 §2.1).
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeRequest {
    /// `subject_token` and its type: for whom.
    pub subject: SentToken,
    /// `actor_token` and its type: by whom.
    pub actor: Option<SentToken>,
    /// `requested_token_type`; an access token when absent.
    pub requested: TokenKind,
    /// `resource`.
    pub resource: Vec<Box<str>>,
    /// `audience`.
    pub audience: Vec<Box<str>>,
    /// `scope`.
    pub scope: Option<ScopeSet>,
}

impl ExchangeRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_target`, `invalid_scope`.
    pub fn read(params: &Params) -> Result<Self, OAuthError> {
        let subject = sent(params, "subject_token", "subject_token_type")?
            .ok_or_else(|| request("the parameter subject_token is missing"))?;
        let requested = match params.get("requested_token_type") {
            None => TokenKind::AccessToken,
            Some(text) => TokenKind::read(text)
                .ok_or_else(|| request("requested_token_type is not one that is issued"))?,
        };
        let resource: Vec<Box<str>> = params.all("resource").map(Into::into).collect();
        let audience: Vec<Box<str>> = params.all("audience").map(Into::into).collect();
        // RFC 8693 §2.1, RFC 8707 §2: an absolute URI without fragment.

        if !resource.iter().all(|it| uri::is_absolute(it)) || !audience.iter().all(|it| is_name(it))
        {
            let text = "a resource is not an absolute URI, or an audience is malformed";
            return Err(OAuthError::new(ErrorCode::InvalidTarget, text));
        }
        let scope = params.get("scope").map(ScopeSet::parse).transpose();
        let scope =
            scope.map_err(|_| OAuthError::new(ErrorCode::InvalidScope, "scope is malformed"))?;
        let actor = sent(params, "actor_token", "actor_token_type")?;
        Ok(Self { subject, actor, requested, resource, audience, scope })
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES && !text.chars().any(char::is_control)
}

/// RFC 8693 §2.1: a token and its type stand together.
fn sent(params: &Params, token: &str, kind: &str) -> Result<Option<SentToken>, OAuthError> {
    match (params.get(token), params.get(kind)) {
        (None, None) => Ok(None),
        (Some(text), Some(kind)) if text.len() <= CREDENTIAL_BYTES => {
            let kind = TokenKind::read(kind).ok_or_else(|| request("a token type is not taken"))?;
            Ok(Some(SentToken { token: Secret::new(text.to_owned()), kind }))
        }
        (Some(_), Some(_)) => Err(request("a token is too long")),
        _ => Err(request("a token and its type stand together")),
    }
}

/// Who acts, and for whom they acted before (RFC 8693 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// `sub`.
    #[serde(rename = "sub")]
    pub subject: Box<str>,
    /// `iss`, where the actor is another issuer's.
    #[serde(rename = "iss", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Box<str>>,
    /// `client_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Box<str>>,
    /// `act`: the actor before.
    #[serde(rename = "act", skip_serializing_if = "Option::is_none")]
    before: Option<Box<Actor>>,
}

impl Actor {
    /// An actor with nobody before.
    pub fn of(subject: impl Into<Box<str>>) -> Self {
        Self { subject: subject.into(), issuer: None, client_id: None, before: None }
    }

    /// This actor, who acts through what `before` was given.
    ///
    /// # Errors
    /// `invalid_request` when the chain gets longer than [`ACTORS`].
    pub fn after(self, before: Option<Self>) -> Result<Self, OAuthError> {
        let length = before.as_ref().map_or(0, Self::len);
        if length >= ACTORS {
            return Err(request("the chain of actors is too long"));
        }
        Ok(Self { before: before.map(Box::new), ..self })
    }

    /// The actor before.
    pub fn before(&self) -> Option<&Self> {
        self.before.as_deref()
    }

    /// How many actors the chain has.
    #[expect(clippy::len_without_is_empty, reason = "a chain has this actor at least")]
    pub fn len(&self) -> usize {
        std::iter::successors(Some(self), |actor| actor.before()).count()
    }

    /// Reads an `act` claim of a token that was verified. Members that are not known are left out.
    ///
    /// # Errors
    /// `invalid_request` when an actor has no subject, or the chain is too long.
    pub fn read(act: &Value) -> Result<Self, OAuthError> {
        let mut chain = Vec::new();
        let mut next = Some(act);
        while let Some(value) = next {
            if chain.len() == ACTORS {
                return Err(request("the chain of actors is too long"));
            }
            let text = |name: &str| match value.get(name) {
                None => Ok(None),
                Some(Value::String(text)) if text.len() <= NAME_BYTES => {
                    Ok(Some(text.as_str().into()))
                }
                Some(_) => Err(request("the act claim is malformed")),
            };
            let subject = text("sub")?.ok_or_else(|| request("an actor has no subject"))?;
            let (issuer, client_id) = (text("iss")?, text("client_id")?);
            chain.push(Self { subject, issuer, client_id, before: None });
            next = value.get("act");
        }
        let chain = chain.into_iter().rev();
        let whole = chain.reduce(|before, actor| Self { before: Some(Box::new(before)), ..actor });
        whole.ok_or_else(|| request("the act claim is malformed"))
    }
}

/// Whether the `may_act` claim of the subject's token names this actor (RFC 8693 §4.4): each of its `sub`,
/// `iss` and `client_id` that stands there is the actor's, and at least one does.
pub fn may_act(claim: &Value, actor: &Actor) -> bool {
    let Some(claim) = claim.as_object() else { return false };
    let own = |name: &str| match name {
        "sub" => Some(&*actor.subject),
        "iss" => actor.issuer.as_deref(),
        "client_id" => actor.client_id.as_deref(),
        _ => None,
    };
    // A member that is not understood restricts further than can be judged, so it refuses.
    !claim.is_empty()
        && claim.iter().all(|(name, value)| own(name).is_some_and(|it| value.as_str() == Some(it)))
}

/// The scopes that an exchange or a refresh gives: those that were asked for, which must all stand in what
/// was shown *and* in what the client may have; without a question, what stands in both.
///
/// # Errors
/// `invalid_scope`.
pub fn narrow_scope(
    shown: &ScopeSet,
    client: &ScopeSet,
    asked: Option<&ScopeSet>,
) -> Result<ScopeSet, OAuthError> {
    let wider =
        || OAuthError::new(ErrorCode::InvalidScope, "a scope is wider than the token shown");
    match asked {
        // RFC 6749 §6, RFC 8693 §5: never wider.
        Some(asked) if shown.contains_all(asked) && client.contains_all(asked) => Ok(asked.clone()),
        Some(_) => Err(wider()),
        None => {
            let both = shown.iter().filter(|scope| client.contains(scope));
            ScopeSet::of(both).map_err(|_| wider())
        }
    }
}

/// The audiences that an exchange or a refresh gives: those that were asked for, which must all stand in
/// what was shown; without a question, all of them.
///
/// # Errors
/// `invalid_target`.
pub fn narrow_audience(
    shown: &[Box<str>],
    asked: &[Box<str>],
) -> Result<Vec<Box<str>>, OAuthError> {
    if asked.is_empty() {
        return Ok(shown.to_vec());
    }
    match asked.iter().all(|target| shown.contains(target)) {
        true => Ok(asked.to_vec()),
        false => {
            let text = "a target is not among those of the token shown";
            Err(OAuthError::new(ErrorCode::InvalidTarget, text))
        }
    }
}

fn request(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::params::encode;
    use proptest::prelude::*;
    use serde_json::json;

    const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

    fn read(pairs: &[(&str, &str)]) -> Result<ExchangeRequest, OAuthError> {
        let text = encode(pairs.iter().copied());
        ExchangeRequest::read(&Params::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn rfc8693_s2_1_request() {
        let good = [("subject_token", "S"), ("subject_token_type", ACCESS)];
        let request = read(&good).unwrap();
        assert_eq!(request.requested, TokenKind::AccessToken);
        assert!(!format!("{request:?}").contains("\"S\""));
        let more = [
            ("actor_token", "A"),
            ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("audience", "a"),
            ("audience", "b"),
            ("resource", "https://api.example"),
            ("scope", "x"),
        ];
        let request = read(&[good.as_slice(), &more].concat()).unwrap();
        assert_eq!(request.actor.unwrap().kind, TokenKind::Jwt);
        assert_eq!((request.audience.len(), request.resource.len()), (2, 1));
        for (extra, code) in [
            (("actor_token", "A"), ErrorCode::InvalidRequest),
            (("actor_token_type", ACCESS), ErrorCode::InvalidRequest),
            (("requested_token_type", "urn:x"), ErrorCode::InvalidRequest),
            (("resource", "api"), ErrorCode::InvalidTarget),
            (("scope", "a  b"), ErrorCode::InvalidScope),
        ] {
            let error = read(&[good.as_slice(), &[extra]].concat()).unwrap_err();
            assert_eq!(error.code(), code, "{extra:?}");
        }
        assert!(read(&good[..1]).is_err() && read(&good[1..]).is_err() && read(&[]).is_err());
        let saml = "urn:ietf:params:oauth:token-type:saml2";
        assert!(read(&[("subject_token", "S"), ("subject_token_type", saml)]).is_err());
    }

    #[test]
    fn rfc8693_s4_1_the_chain_of_actors_is_bounded() {
        let mut chain = Actor::of("0");
        for n in 1..ACTORS {
            chain = Actor::of(n.to_string()).after(Some(chain)).unwrap();
        }
        assert_eq!(chain.len(), ACTORS);
        let written = serde_json::to_value(&chain).unwrap();
        assert_eq!(Actor::read(&written).unwrap(), chain);
        assert!(Actor::of("x").after(Some(chain)).is_err());
        assert!(Actor::read(&json!({"sub": "x", "act": written})).is_err());
        for bad in [json!({}), json!("x"), json!({"sub": 1}), json!({"sub": "a", "act": {}})] {
            assert!(Actor::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rfc8693_s4_4_may_act_names_the_actor() {
        let actor = Actor { client_id: Some("app".into()), ..Actor::of("agent") };
        assert!(may_act(&json!({"sub": "agent"}), &actor));
        assert!(may_act(&json!({"sub": "agent", "client_id": "app"}), &actor));
        for bad in [
            json!({}),
            json!("agent"),
            json!({"sub": "other"}),
            json!({"sub": ["agent"]}),
            json!({"sub": "agent", "iss": "https://x"}),
            json!({"sub": "agent", "nickname": "x"}),
        ] {
            assert!(!may_act(&bad, &actor), "{bad}");
        }
    }

    #[test]
    fn rfc8693_s5_targets_only_get_fewer() {
        let shown: Vec<Box<str>> = vec!["a".into(), "b".into()];
        assert_eq!(narrow_audience(&shown, &[]).unwrap(), shown);
        assert_eq!(narrow_audience(&shown, &["b".into()]).unwrap(), vec!["b".into()]);
        let error = narrow_audience(&shown, &["b".into(), "c".into()]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidTarget);
        assert!(narrow_audience(&[], &["c".into()]).is_err());
    }

    proptest! {
        #[test]
        fn rfc8693_s5_scope_only_ever_narrower(
            shown in "[a-d]( [a-d]){0,3}", client in "[a-d]( [a-d]){0,3}",
            asked in proptest::option::of("[a-d]( [a-d]){0,3}")
        ) {
            let set = |text: &str| ScopeSet::parse(text).unwrap();
            let (shown, client, asked) = (set(&shown), set(&client), asked.map(|it| set(&it)));
            match narrow_scope(&shown, &client, asked.as_ref()) {
                Ok(given) => {
                    prop_assert!(shown.contains_all(&given) && client.contains_all(&given));
                    if let Some(asked) = asked { prop_assert_eq!(asked, given); }
                }
                Err(_) => {
                    let asked = asked.unwrap();
                    prop_assert!(!shown.contains_all(&asked) || !client.contains_all(&asked));
                }
            }
        }
    }
}
