//! Dynamic registration (RFC 7591) and its management (RFC 7592).
//!
//! Invariants:
//! - Who registers itself gets what strangers may have: grants that people give, consent, PKCE, no scope of the
//!   control API.
//! - A registration access token manages its own client and nothing else; the store knows it as a MAC.

use super::OAuth;
use super::clients::{CODE, DEVICE, REFRESH, auth_method, check, revocation};
use super::living::Seen;
use super::records::{ClientRecord, Origin as From, Pkce, Profile, RefreshRotation, TokenFormat};
use super::refusal::Failed;
use super::remote_keys::document;
use super::secrets::{Purpose, same_hex};
use super::settings::Registration;
use crate::error::Error;
use base::{Event, Secret, UnixMs, base62, code};
use protocol::json::{self, Object};
use protocol::oauth::metadata::{ClientMetadata, METADATA_BYTES};
use protocol::oauth::{ErrorCode, OAuthError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where clients register, below the issuer.
pub const REGISTER_PATH: &str = "/oauth/register";
/// The scope of an initial access token (RFC 7591 §3).
pub const REGISTER_SCOPE: &str = "client:register";
/// Registrations from one address in an hour, when registration is open.
const PER_ADDRESS: u32 = 20;
/// Registrations from everywhere in an hour, when registration is open: 2 KB each in memory.
const PER_HOUR: u32 = 600;
/// Clients that have registered themselves, at most: some 20 MB in memory.
const DYNAMIC_CLIENTS: usize = 10_000;
/// After how long a client that nobody ever used makes room for others, when there are [`DYNAMIC_CLIENTS`]. A week:
/// who registers uses it within minutes, and a long holiday of a developer's test client is no loss.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many make room at once: each removal is a commit of some milliseconds, and the next who registers waits.
const ROOM: usize = 50;
/// Unused clients that are looked at for it: all that can have registered themselves, and as many others.
const LOOKED_AT: u32 = 20_000;
/// Bytes of a document at `sector_identifier_uri`.
const SECTOR_BYTES: usize = 64 * 1024;
const ID_CHARS: usize = 12;
const HOUR_MS: i64 = 3_600_000;

/// A call of the registration endpoints.
#[derive(Debug, Clone)]
pub struct RegistrationCall {
    /// The bearer token: an initial access token, or a registration access token.
    pub bearer: Option<Secret<String>>,
    /// The body, JSON.
    pub body: Vec<u8>,
    /// Where it came from.
    pub origin: super::Origin,
}

/// Who registered in this hour.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<Hour>);

#[derive(Debug, Default)]
struct Hour {
    hour: i64,
    all: u32,
    by_address: BTreeMap<IpAddr, u32>,
}

impl Strangers {
    /// Counts one from this address; whether it is within the limits.
    fn count(&self, address: Option<IpAddr>, now: UnixMs) -> bool {
        let mut hour = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let this = now.0.div_euclid(HOUR_MS);
        if hour.hour != this {
            *hour = Hour { hour: this, ..Hour::default() };
        }
        if hour.all >= PER_HOUR {
            return false;
        }
        if let Some(address) = address.map(network) {
            let own = hour.by_address.entry(address).or_default();
            // WHY before the whole is counted: who is refused must not use up what is everybody's.
            if *own >= PER_ADDRESS {
                return false;
            }
            *own += 1;
        }
        hour.all += 1;
        true
    }
}

/// What one subscriber has: an IPv4 address, or the first 64 bits of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(it) if it.to_ipv4_mapped().is_none() => {
            IpAddr::V6((u128::from(it) >> 64 << 64).into())
        }
        other => other.to_canonical(),
    }
}

/// Grants that a person gives: those that a client can have that registered itself.
const OF_PEOPLE: [&str; 3] = [CODE, REFRESH, DEVICE];

impl OAuth {
    /// Registers a client (RFC 7591 §3.1); the answer goes with status 201.
    ///
    /// # Errors
    /// `invalid_redirect_uri`, `invalid_client_metadata` (RFC 7591 §3.2.2), `invalid_token`, `access_denied` (it is
    /// off), `temporarily_unavailable` (the limits); the refusal is recorded.
    pub async fn register(&self, call: &RegistrationCall) -> Result<Object, OAuthError> {
        let outcome = self.registering(call).await;
        self.settle(&call.origin, None, outcome).await
    }

    async fn registering(&self, call: &RegistrationCall) -> Result<Object, Failed> {
        self.may_register(call).await?;
        let metadata = self.sent_metadata(&call.body, None).await?;
        let now = self.parts.clock.now();
        let mut client = ClientRecord {
            id: base62::random(ID_CHARS)?,
            name: String::new(),
            profile: Profile::Standard,
            pkce: Pkce::Required,
            token_format: TokenFormat::Jwt,
            refresh: RefreshRotation::Rotate,
            access_token_seconds: None,
            scopes: Vec::new(),
            resources: Vec::new(),
            metadata: ClientMetadata::default(),
            secrets: Vec::new(),
            registration: None,
            document_sha256: None,
            consent: true,
            origin: From::Dynamic,
            created_at: now,
            created_by: "registration".to_owned(),
            disabled_at: None,
        };
        self.fit(&mut client, metadata)?;
        let secret = self.fresh_secret(&mut client)?;
        let token = Purpose::Registration.fresh()?;
        let mac = Purpose::Registration.mac(&self.parts.pepper, token.expose());
        client.registration = Some(hex::encode(mac));
        let event = self.registered_event(code::CLIENT_CREATED, &client, call)?;
        self.parts.store.create_client(client.clone(), event).await?;
        self.reload_client(&client.id).await?;
        Ok(self.information(&client, secret.as_ref(), &token))
    }

    async fn may_register(&self, call: &RegistrationCall) -> Result<(), Failed> {
        let now = self.parts.clock.now();
        match self.settings().registration {
            Registration::Off => {
                let rule = "RFC 7591 §3: registration is off";
                return Err(Failed::refused(ErrorCode::AccessDenied, "registration is off", rule));
            }
            Registration::Open if !self.strangers.count(call.origin.client_ip, now) => {
                return Err(Failed::refused(
                    ErrorCode::TemporarilyUnavailable,
                    "too many clients register; try again later",
                    "RFC 7591 §5: the limit of open registration is reached",
                ));
            }
            Registration::Open => {}
            Registration::Token => self.initial_token(call).await?,
        }
        if self.dynamic_clients() >= DYNAMIC_CLIENTS {
            self.make_room(call).await?;
        }
        match self.dynamic_clients() < DYNAMIC_CLIENTS {
            true => Ok(()),
            false => Err(Failed::refused(
                ErrorCode::TemporarilyUnavailable,
                "no more clients can register",
                "RFC 7591 §5: as many clients have registered as are kept",
            )),
        }
    }

    /// Removes clients that have registered themselves and were not used since.
    ///
    /// WHY by grants and consents: whatever a person does with a client leaves one of them. A client that gets tokens
    /// for itself leaves none, so it is never taken for unused.
    async fn make_room(&self, call: &RegistrationCall) -> Result<(), Failed> {
        let before = self.parts.clock.now().minus(UNUSED);
        let stale = |id: &String| {
            self.known_client(id).filter(|client| {
                client.origin == From::Dynamic
                    && client.created_at < before
                    && client.metadata.grant_types.iter().all(|it| OF_PEOPLE.contains(&&**it))
            })
        };
        let unused = self.parts.store.unused_clients(LOOKED_AT).await?;
        for client in unused.iter().filter_map(stale).take(ROOM) {
            let event = self.registered_event(code::CLIENT_REMOVED, &client, call)?;
            let revoke = revocation(&client.id, self.parts.clock.now());
            self.parts.store.remove_client(client.id.clone(), revoke, event).await?;
            self.reload_client(&client.id).await?;
        }
        Ok(())
    }

    /// RFC 7591 §3: the initial access token is an access token of ours with the scope for it.
    async fn initial_token(&self, call: &RegistrationCall) -> Result<(), Failed> {
        let Some(token) = &call.bearer else {
            return Err(no_token("RFC 7591 §3: an initial access token is needed"));
        };
        match self.see(token.expose()).await? {
            Seen::Dead(why) => Err(no_token(&why)),
            // No proof is taken here, so what needs one is not.
            Seen::Alive(claims) if claims.confirmation.is_some() => {
                Err(no_token("RFC 7591 §3: the initial access token is bound to a key"))
            }
            Seen::Alive(claims) if claims.scopes.contains(REGISTER_SCOPE) => Ok(()),
            Seen::Alive(_) => {
                let rule = format!("RFC 7591 §3: the token lacks the scope {REGISTER_SCOPE}");
                let code = ErrorCode::InsufficientScope;
                Err(Failed::refused(code, format!("the scope {REGISTER_SCOPE} is needed"), rule))
            }
        }
    }

    /// The metadata of a body; `known`: of an update for this client (RFC 7592 §2.2).
    async fn sent_metadata(
        &self,
        body: &[u8],
        known: Option<&ClientRecord>,
    ) -> Result<ClientMetadata, Failed> {
        let object = json::object(body, METADATA_BYTES).map_err(|error| {
            let rule = format!("RFC 7591 §3.1: {error}");
            Failed::refused(ErrorCode::InvalidClientMetadata, "the body is not a JSON object", rule)
        })?;
        if let Some(client) = known {
            self.about(&object, client)?;
        }
        let metadata = ClientMetadata::read(object)?;
        if let Some(sector) = &metadata.sector_identifier_uri {
            self.sector(sector, &metadata.redirect_uris).await?;
        }
        Ok(metadata)
    }

    /// RFC 7592 §2.2: the update is about this client, and says nothing that only the server says.
    fn about(&self, object: &Object, client: &ClientRecord) -> Result<(), Failed> {
        let invalid =
            |text: &'static str| Err(Failed::request(text, format!("RFC 7592 §2.2: {text}")));
        let servers = [
            "registration_access_token",
            "registration_client_uri",
            "client_secret_expires_at",
            "client_id_issued_at",
        ];
        if servers.iter().any(|name| object.contains_key(*name)) {
            return invalid("the update has a member that only the server writes");
        }
        if object.get("client_id").and_then(Value::as_str) != Some(&*client.id) {
            return invalid("client_id is not the one of the address");
        }
        match object.get("client_secret") {
            None => Ok(()),
            Some(Value::String(secret)) => {
                let mac = Purpose::ClientSecret.mac(&self.parts.pepper, secret);
                match client.secrets.iter().any(|own| same_hex(&own.mac, &mac)) {
                    true => Ok(()),
                    false => invalid("client_secret is not the client's"),
                }
            }
            Some(_) => invalid("client_secret is not a text"),
        }
    }

    /// OpenID Connect Registration §5: the document at `sector_identifier_uri` lists all redirect URIs.
    async fn sector(&self, url: &str, redirect_uris: &[String]) -> Result<(), Failed> {
        let invalid = |rule: String| {
            let text = "sector_identifier_uri does not list the redirect URIs";
            Failed::refused(ErrorCode::InvalidClientMetadata, text, rule)
        };
        let body = document(&*self.parts.fetch, url, SECTOR_BYTES).await;
        let body = body.map_err(|why| invalid(format!("sector_identifier_uri: {why}")))?;
        let listed = json::array(&body, SECTOR_BYTES);
        let listed = listed.map_err(|error| invalid(format!("sector_identifier_uri: {error}")))?;
        let stands = |uri: &String| listed.iter().any(|it| it.as_str() == Some(uri));
        match redirect_uris.iter().find(|uri| !stands(uri)) {
            None => Ok(()),
            Some(uri) => Err(invalid(format!(
                "OpenID Connect Registration §5: {uri} does not stand at sector_identifier_uri"
            ))),
        }
    }

    /// Puts metadata in, as far as a stranger may have it.
    fn fit(&self, client: &mut ClientRecord, metadata: ClientMetadata) -> Result<(), Failed> {
        let invalid = |text: String| {
            let rule = format!("RFC 7591 §3.2.2: {text}");
            Failed::refused(ErrorCode::InvalidClientMetadata, text, rule)
        };
        if let Some(grant) =
            metadata.grant_types.iter().find(|it| ![CODE, REFRESH, DEVICE].contains(&it.as_str()))
        {
            return Err(invalid(format!(
                "the grant {grant} is not for clients that register themselves"
            )));
        }
        let asked = metadata.scope.as_deref().unwrap_or_default().split(' ');
        let asked: Vec<String> = asked.filter(|it| !it.is_empty()).map(str::to_owned).collect();
        if let Some(scope) =
            asked.iter().find(|it| it.starts_with("admin:") || *it == REGISTER_SCOPE)
        {
            return Err(invalid(format!(
                "the scope {scope} is not for clients that register themselves"
            )));
        }
        client.name = metadata.client_name.clone().unwrap_or_else(|| "unnamed client".to_owned());
        client.scopes = asked;
        client.metadata = metadata;
        check(client).map_err(|error| match error {
            Error::Invalid { field: "redirect_uris", problem } => {
                let rule = format!("RFC 7591 §3.2.2: {problem}");
                Failed::refused(ErrorCode::InvalidRedirectUri, problem, rule)
            }
            Error::Invalid { field, problem } => invalid(format!("{field}: {problem}")),
            other => other.into(),
        })
    }

    /// Shows a client to itself (RFC 7592 §2.1).
    ///
    /// # Errors
    /// `invalid_token`; the refusal is recorded.
    pub async fn registration(
        &self,
        id: &str,
        call: &RegistrationCall,
    ) -> Result<Object, OAuthError> {
        let outcome = self.managed(id, call);
        let outcome = outcome.map(|(client, token)| self.information(&client, None, token));
        self.settle(&call.origin, Some(id), outcome).await
    }

    /// Replaces a client's metadata (RFC 7592 §2.2).
    ///
    /// # Errors
    /// As [`Self::register`], and `invalid_request`; the refusal is recorded.
    pub async fn update_registration(
        &self,
        id: &str,
        call: &RegistrationCall,
    ) -> Result<Object, OAuthError> {
        let outcome = self.updating(id, call).await;
        self.settle(&call.origin, Some(id), outcome).await
    }

    async fn updating(&self, id: &str, call: &RegistrationCall) -> Result<Object, Failed> {
        let (before, token) = self.managed(id, call)?;
        let metadata = self.sent_metadata(&call.body, Some(&before)).await?;
        let mut after = (*before).clone();
        self.fit(&mut after, metadata)?;
        // What people agreed to does not follow it elsewhere: they were shown where it leads.
        if after.metadata.redirect_uris != before.metadata.redirect_uris {
            after.created_at = self.parts.clock.now();
        }
        let shared = auth_method(&after).is_some_and(|it| it.is_shared_secret());
        let mut secret = None;
        match (shared, after.secrets.is_empty()) {
            (false, _) => after.secrets.clear(),
            (true, true) => secret = self.fresh_secret(&mut after)?,
            (true, false) => {}
        }
        let event = self.registered_event(code::CLIENT_CHANGED, &after, call)?;
        let replaced =
            self.parts.store.replace_client((*before).clone(), after.clone(), None, event);
        if replaced.await?.is_none() {
            return Err(Failed::Busy("the client was changed at the same time; try again"));
        }
        self.reload_client(id).await?;
        Ok(self.information(&after, secret.as_ref(), token))
    }

    /// Removes a client and ends all its tokens (RFC 7592 §2.3).
    ///
    /// # Errors
    /// `invalid_token`; the refusal is recorded.
    pub async fn remove_registration(
        &self,
        id: &str,
        call: &RegistrationCall,
    ) -> Result<(), OAuthError> {
        let outcome = self.removing(id, call).await;
        self.settle(&call.origin, Some(id), outcome).await
    }

    async fn removing(&self, id: &str, call: &RegistrationCall) -> Result<(), Failed> {
        let (client, _) = self.managed(id, call)?;
        let event = self.registered_event(code::CLIENT_REMOVED, &client, call)?;
        let revoke = revocation(id, self.parts.clock.now());
        self.parts.store.remove_client(id.to_owned(), revoke, event).await?;
        self.reload_client(id).await?;
        Ok(())
    }

    /// The client that the call's registration access token manages.
    fn managed<'c>(
        &self,
        id: &str,
        call: &'c RegistrationCall,
    ) -> Result<(Arc<ClientRecord>, &'c Secret<String>), Failed> {
        let Some(token) = &call.bearer else {
            return Err(no_token("RFC 7592 §2: no registration access token"));
        };
        let mac = Purpose::Registration.mac(&self.parts.pepper, token.expose());
        let client = self.known_client(id).filter(|it| it.origin == From::Dynamic);
        let kept = client.as_ref().and_then(|it| it.registration.clone()).unwrap_or_default();
        let good = same_hex(&kept, &mac);
        match client.filter(|it| good && it.disabled_at.is_none()) {
            Some(client) => Ok((client, token)),
            // RFC 7592 §2.1: one answer, whether there is such a client or not.
            None => {
                Err(no_token("RFC 7592 §2: the registration access token is not this client's"))
            }
        }
    }

    /// RFC 7591 §3.2.1, RFC 7592 §3.
    fn information(
        &self,
        client: &ClientRecord,
        secret: Option<&Secret<String>>,
        token: &Secret<String>,
    ) -> Object {
        let mut answer = match serde_json::to_value(&client.metadata) {
            Ok(Value::Object(members)) => members,
            _ => Object::new(),
        };
        let mut put = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
        put("client_id", client.id.as_str().into());
        put("client_id_issued_at", client.created_at.seconds().into());
        put("client_name", client.name.as_str().into());
        if !client.scopes.is_empty() {
            put("scope", client.scopes.join(" ").into());
        }
        if let Some(secret) = secret {
            put("client_secret", secret.expose().as_str().into());
            // RFC 7591 §3.2.1: 0 when it does not expire.
            put("client_secret_expires_at", 0.into());
        }
        let address = self.settings().url(&format!("{REGISTER_PATH}/{}", client.id));
        put("registration_client_uri", address.into());
        put("registration_access_token", token.expose().as_str().into());
        answer
    }

    fn registered_event(
        &self,
        code: base::Code,
        client: &ClientRecord,
        call: &RegistrationCall,
    ) -> Result<Event, Failed> {
        let mut event = self.event(&call.origin, code)?;
        event.client_id = Some(Arc::from(client.id.as_str()));
        let uris = client.metadata.redirect_uris.join(" ");
        event.detail = Some(format!("by registration: name {:?}, {uris}", client.name).into());
        Ok(event)
    }
}

/// RFC 6750 §3.1.
fn no_token(rule: &str) -> Failed {
    let text = "the token is missing, or not good for this";
    Failed::refused(ErrorCode::InvalidToken, text, rule.to_owned())
}

#[cfg(test)]
mod tests;
