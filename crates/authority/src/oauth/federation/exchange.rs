//! Asking the provider: the code for tokens (RFC 6749 §4.1.3), and for what the ID token does not say (OpenID Connect Core
//! §5.3).

use super::metadata::Metadata;
use super::provider::{Provider, ProviderAuth};
use super::token::{self, Expected};
use super::{Away, Fault};
use crate::oauth::OAuth;
use crate::oauth::remote_keys::FETCH_TIME;
use base::{FetchRequest, FetchResponse, Secret};
use protocol::json::{self, Object};
use protocol::jwt::{Claims, Token};
use protocol::oauth::params::encode;
use serde_json::Value;

/// Bytes of the token endpoint's answer, and of userinfo: an ID token with a thousand groups has some 40 KB.
const ANSWER_BYTES: usize = 64 * 1024;
/// Characters of an error's code that are recorded.
const ERROR_CHARS: usize = 64;

struct Tokens {
    id_token: Secret<String>,
    access_token: Option<Secret<String>>,
}

impl OAuth {
    /// What the provider says of the person who came back with this code.
    pub(super) async fn provider_claims(
        &self,
        (provider, metadata): (&Provider, &Metadata),
        away: &Away,
        code: &str,
    ) -> Result<Claims, Fault> {
        let tokens = self.redeem_elsewhere((provider, metadata), away, code).await?;
        let id_token = tokens.id_token.expose();
        let wrong = |why: String| Fault::Wrong(why);
        let header = {
            let read = Token::parse(id_token.as_bytes(), base::limits::CREDENTIAL_BYTES);
            read.map_err(|error| wrong(error.to_string()))?.header().clone()
        };
        let wanted = |keys: &protocol::jwk::KeySet| {
            keys.find(header.key_id.as_deref(), header.algorithm).next().is_some()
        };
        let keys = self.provider_keys((provider, metadata), wanted).await;
        let keys = keys.map_err(|why| Fault::Unavailable(format!("its keys: {why}")))?;
        let access_token = tokens.access_token.as_ref().map(|it| it.expose().as_str());
        let expected = Expected {
            issuer: &provider.issuer,
            client_id: &provider.client_id,
            nonce: &away.nonce,
            access_token,
            begun: away.begun(),
            now: self.parts.clock.now(),
        };
        let mut claims =
            token::check(id_token, &keys, &expected).map_err(|error| wrong(error.to_string()))?;
        let no_address = !provider.create.is_empty() && !claims.other.contains_key("email");
        let no_groups =
            !provider.groups.is_empty() && claims.claim(&provider.groups_claim).is_none();
        if no_address || no_groups {
            self.add_userinfo((provider, metadata), &mut claims, tokens.access_token).await?;
        }
        Ok(claims)
    }

    async fn redeem_elsewhere(
        &self,
        (provider, metadata): (&Provider, &Metadata),
        away: &Away,
        code: &str,
    ) -> Result<Tokens, Fault> {
        let mut form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.callback_url(provider)),
            // RFC 7636 §4.5.
            ("code_verifier", away.verifier.clone()),
        ];
        let mut basic = None;
        match &provider.client_secret {
            None => form.push(("client_id", provider.client_id.clone())),
            Some(secret) => match provider.client_auth.unwrap_or(metadata.auth) {
                ProviderAuth::Basic => {
                    // RFC 6749 §2.3.1: both are form-encoded first.
                    let user = form_encoded(&provider.client_id);
                    basic = Some((user, Secret::new(form_encoded(secret.expose()))));
                }
                ProviderAuth::Post => {
                    form.push(("client_id", provider.client_id.clone()));
                    form.push(("client_secret", secret.expose().clone()));
                }
            },
        }
        let url = metadata.token_endpoint.clone();
        let form = form.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value)));
        let request = FetchRequest {
            form: Some(form.collect()),
            basic,
            operator: provider.is_own(&url),
            ..asked(url)
        };
        let response = self.parts.fetch.fetch(request).await;
        let response = response.map_err(|why| Fault::Unavailable(format!("tokens: {why}")))?;
        let said = object(&response);
        if response.status != 200 {
            let error = said.as_ref().ok().and_then(|it| it.get("error")).and_then(Value::as_str);
            let error: String = error.unwrap_or_default().chars().take(ERROR_CHARS).collect();
            let why = format!("its token endpoint answered {} {error}", response.status);
            // RFC 6749 §5.2: what is wrong with the code is the request's fault; all else is ours or the provider's.
            return Err(match &*error {
                "invalid_grant" => Fault::Wrong(why),
                _ => Fault::Unavailable(why),
            });
        }
        let said = said.map_err(|why| Fault::Wrong(format!("its token answer: {why}")))?;
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        let id_token = text("id_token");
        Ok(Tokens {
            id_token: Secret::new(
                id_token.ok_or_else(|| Fault::Wrong("it gave no ID token".to_owned()))?,
            ),
            access_token: text("access_token").map(Secret::new),
        })
    }

    /// Adds what userinfo says and the ID token does not.
    async fn add_userinfo(
        &self,
        (provider, metadata): (&Provider, &Metadata),
        claims: &mut Claims,
        access_token: Option<Secret<String>>,
    ) -> Result<(), Fault> {
        let (Some(url), Some(token)) = (&metadata.userinfo_endpoint, access_token) else {
            return Ok(());
        };
        let request = FetchRequest {
            bearer: Some(token),
            operator: provider.is_own(url),
            ..asked(url.clone())
        };
        let response = self.parts.fetch.fetch(request).await;
        let response = response.map_err(|why| Fault::Unavailable(format!("userinfo: {why}")))?;
        if response.status != 200 {
            let why = format!("userinfo answered {}", response.status);
            return Err(Fault::Unavailable(why));
        }
        let said = object(&response).map_err(|why| Fault::Wrong(format!("userinfo: {why}")))?;
        // OpenID Connect Core §5.3.2: the `sub` is the ID token's, or the answer is not used.
        if said.get("sub").and_then(Value::as_str) != claims.subject.as_deref() {
            return Err(Fault::Wrong("userinfo is about somebody else".to_owned()));
        }
        if !claims.other.contains_key("email") {
            // WHY together: who says the address says whether it was verified.
            for name in ["email", "email_verified"] {
                claims.other.remove(name);
                if let Some(value) = said.get(name) {
                    claims.other.insert(name.to_owned(), value.clone());
                }
            }
        }
        for name in ["name", &provider.groups_claim] {
            let registered = matches!(name, "email" | "email_verified");
            if !registered && let Some(value) = said.get(name) {
                claims.other.entry(name.to_owned()).or_insert_with(|| value.clone());
            }
        }
        Ok(())
    }
}

fn asked(url: String) -> FetchRequest {
    FetchRequest {
        url,
        form: None,
        basic: None,
        bearer: None,
        accept: "application/json",
        operator: false,
        timeout: FETCH_TIME,
        max_bytes: ANSWER_BYTES,
    }
}

fn object(response: &FetchResponse) -> Result<Object, String> {
    // RFC 6749 §5.1, OpenID Connect Core §5.3.2.
    if response.media_type != "application/json" {
        return Err("it is no JSON".to_owned());
    }
    json::object(&response.body, ANSWER_BYTES).map_err(|error| error.to_string())
}

fn form_encoded(text: &str) -> String {
    let pair = encode([("", text)]);
    pair.strip_prefix('=').unwrap_or(&pair).to_owned()
}
