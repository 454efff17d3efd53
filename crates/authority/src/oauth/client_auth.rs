//! Who the client is (RFC 6749 §2.3, RFC 7523 §3).
//!
//! Owns: comparing what was presented with what is registered.
//!
//! Never does: tell the client which part was wrong.
//!
//! Invariants:
//! - A client authenticates by its registered method and no other.
//! - An unknown client costs what a wrong secret costs.

use super::clients::auth_method;
use super::records::{ClientRecord, Mac, Profile};
use super::refusal::Failed;
use super::secrets::{Purpose, same_hex};
use super::{OAuth, Origin};
use base::UnixMs;
use base::limits::{CLOCK_SKEW, CREDENTIAL_BYTES};
use protocol::jwk::KeySet;
use protocol::jws::Compact;
use protocol::oauth::Params;
use protocol::oauth::client_auth::{
    self, AssertionExpectation, AuthMethod, ClientAssertion, Credential,
};
use protocol::{Algorithm, AlgorithmSet};
use std::sync::Arc;

/// The algorithms of client assertions (RFC 8725 §3.1): none that is weak.
const ASSERTIONS: AlgorithmSet = AlgorithmSet::ALL;
/// FAPI 2.0 Security Profile §5.4.1.
const FAPI_ASSERTIONS: AlgorithmSet =
    AlgorithmSet::of(&[Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa]);

/// A request to an endpoint at which clients authenticate.
#[derive(Debug, Clone)]
pub struct ClientCall {
    /// The form parameters.
    pub params: Params,
    /// The values of all `Authorization` headers.
    pub authorization: Vec<Vec<u8>>,
    /// The values of all `DPoP` headers.
    pub dpop: Vec<Vec<u8>>,
    /// The SHA-256 of the certificate that the connection has proved, for mutual TLS (RFC 8705).
    pub certificate: Option<[u8; 32]>,
    /// Where it came from.
    pub origin: Origin,
}

impl OAuth {
    /// The client that makes this call. Its refusal is for the caller to settle.
    pub(crate) async fn authenticate(
        &self,
        call: &ClientCall,
    ) -> Result<Arc<ClientRecord>, Failed> {
        let headers: Vec<&[u8]> = call.authorization.iter().map(Vec::as_slice).collect();
        let presented = client_auth::read(&headers, &call.params)?;
        let client = self.client(&presented.client_id, &call.origin).await?;
        let now = self.parts.clock.now();
        match &presented.credential {
            Credential::Basic(secret) => {
                let mac = Purpose::ClientSecret.mac(&self.parts.pepper, secret.expose());
                by_secret(client, AuthMethod::ClientSecretBasic, &mac, now)
            }
            Credential::Post(secret) => {
                let mac = Purpose::ClientSecret.mac(&self.parts.pepper, secret.expose());
                by_secret(client, AuthMethod::ClientSecretPost, &mac, now)
            }
            Credential::None => registered(client, AuthMethod::None),
            Credential::Assertion(text) => {
                let client = registered(client, AuthMethod::PrivateKeyJwt)?;
                self.by_assertion(&client, text.expose()).await?;
                Ok(client)
            }
        }
    }

    /// RFC 7523 §3.
    async fn by_assertion(&self, client: &ClientRecord, text: &str) -> Result<(), Failed> {
        let keys = self.client_keys(client, text).await?;
        let settings = self.settings();
        let fapi = client.profile != Profile::Standard;
        let endpoint = settings.url(super::settings::TOKEN_PATH);
        // FAPI 2.0 Security Profile §5.3.2.1: the issuer and nothing else. Others may send the token endpoint
        // (RFC 7523 §3), as clients did until the audience was settled.
        let also: &[&str] = if fapi { &[] } else { &[&endpoint] };
        let assertion =
            ClientAssertion::parse(text).map_err(|error| Failed::client(error.to_string()))?;
        let once = assertion.validate(&AssertionExpectation {
            client_id: &client.id,
            issuer: &settings.issuer,
            also,
            keys: &keys,
            algorithms: assertion_algorithms(client),
            now: self.parts.clock.now(),
            skew: CLOCK_SKEW,
        });
        let once = once.map_err(|error| {
            Failed::client(format!("RFC 7523 §3: the client assertion is refused: {error}"))
        })?;
        let what = format!("client-assertion\0{}\0{}", client.id, once.jti);
        let mac = Purpose::Once.mac(&self.parts.pepper, &what);
        match self.parts.store.once(mac, once.until).await? {
            true => Ok(()),
            // RFC 7523 §3 (7), OpenID Connect Core §9: once only.
            false => Err(Failed::client("RFC 7523 §3: the client assertion was used before")),
        }
    }

    /// The keys of a client that may have signed `text`.
    pub(crate) async fn client_keys(
        &self,
        client: &ClientRecord,
        text: &str,
    ) -> Result<Arc<KeySet>, Failed> {
        if let Some(jwks) = &client.metadata.jwks {
            let set = KeySet::parse(jwks.to_string().as_bytes());
            return set.map(Arc::new).map_err(|error| Failed::client(error.to_string()));
        }
        let Some(url) = &client.metadata.jwks_uri else {
            return Err(Failed::client("the client has no keys registered"));
        };
        let jws = Compact::parse(text.as_bytes(), CREDENTIAL_BYTES);
        let jws = jws.map_err(|error| Failed::client(error.to_string()))?;
        let (kid, algorithm) = (jws.header().key_id.as_deref(), jws.header().algorithm);
        let wanted = |set: &KeySet| set.find(kid, algorithm).next().is_some();
        let tools = (&*self.parts.fetch, &*self.parts.clock);
        let keys = self.remote_keys.at(url, tools, wanted).await;
        keys.map_err(|problem| Failed::client(format!("jwks_uri of the client: {problem}")))
    }
}

/// The algorithms with which a client may sign its assertions.
fn assertion_algorithms(client: &ClientRecord) -> AlgorithmSet {
    let registered = client.metadata.token_endpoint_auth_signing_alg.as_deref();
    match registered.map(str::parse::<Algorithm>) {
        // OpenID Connect Registration §2: the one that it registered.
        Some(Ok(one)) => AlgorithmSet::of(&[one]),
        Some(Err(_)) => AlgorithmSet::EMPTY,
        None if client.profile == Profile::Standard => ASSERTIONS,
        None => FAPI_ASSERTIONS,
    }
}

/// The client, when it is there, enabled, and registered for this method.
fn registered(
    client: Option<Arc<ClientRecord>>,
    method: AuthMethod,
) -> Result<Arc<ClientRecord>, Failed> {
    let client = client.ok_or_else(|| Failed::client("there is no client with this id"))?;
    if client.disabled_at.is_some() {
        return Err(Failed::client("the client is disabled"));
    }
    // RFC 6749 §2.3: the method that was established at registration.
    match auth_method(&client) == Some(method) {
        true => Ok(client),
        false => Err(Failed::client(format!(
            "the client is registered for {}, and used {}",
            client.metadata.token_endpoint_auth_method,
            method.as_str()
        ))),
    }
}

/// RFC 6749 §2.3.1: compares with every live secret, in constant time.
fn by_secret(
    client: Option<Arc<ClientRecord>>,
    method: AuthMethod,
    mac: &Mac,
    now: UnixMs,
) -> Result<Arc<ClientRecord>, Failed> {
    // WHY: what is compared with when there is no client or no secret, so that the time tells neither.
    const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    let live = client.iter().flat_map(|it| &it.secrets);
    let live = live.filter(|it| it.expires_at.is_none_or(|end| now < end));
    let kept = live.map(|it| it.mac.as_str()).chain([NOBODY]);
    let good = kept.fold(false, |good, kept| good | (same_hex(kept, mac) && kept != NOBODY));
    let client = registered(client, method)?;
    match good {
        true => Ok(client),
        false => Err(Failed::client("the secret is not the client's, or has expired")),
    }
}
