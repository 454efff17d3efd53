//! Pushed authorization requests (RFC 9126).
//!
//! Invariant: what is pushed keeps every rule already, and is judged again when it is used.

use super::authorize::{Came, Stop, must_sign, read};
use super::records::{ClientRecord, PushedRecord};
use super::refusal::Failed;
use super::secrets::Purpose;
use super::{OAuth, Origin};
use crate::error::Error;
use base::code;
use protocol::oauth::authorize::PUSHED;
use protocol::oauth::{ErrorCode, OAuthError, Params};
use std::sync::Arc;
use std::time::Duration;

/// How much longer than it may be brought a pushed request is kept: a person who signs in first takes time.
pub(crate) const PUSHED_GRACE: Duration = super::authorize::CONTINUE_LONGEST;
/// The longest that a `request_uri` may be brought (FAPI 2.0 §5.3.2.2: less than ten minutes).
const PUSHED_LONGEST: Duration = Duration::from_secs(599);

/// The answer to a push (RFC 9126 §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// `request_uri`.
    pub request_uri: String,
    /// `expires_in`, seconds.
    pub expires_in: u64,
}

impl OAuth {
    /// Keeps a request that an authenticated client has pushed. `params` are the form's; those of client
    /// authentication are left out. `dpop_jkt` is the key of a proof that came with it (RFC 9449 §10.1).
    ///
    /// # Errors
    /// As the authorization endpoint, but told to the client at once (RFC 9126 §2.3).
    pub async fn push(
        &self,
        client: &Arc<ClientRecord>,
        params: &Params,
        dpop_jkt: Option<String>,
        origin: &Origin,
    ) -> Result<Pushed, OAuthError> {
        let outcome = self.pushed(client, params, dpop_jkt, origin).await;
        self.settle(origin, Some(&client.id), outcome).await
    }

    async fn pushed(
        &self,
        client: &Arc<ClientRecord>,
        params: &Params,
        dpop_jkt: Option<String>,
        origin: &Origin,
    ) -> Result<Pushed, Failed> {
        // RFC 9126 §2.1: never by reference.
        if params.get("request_uri").is_some() {
            return Err(Failed::request(
                "request_uri is not taken here",
                "RFC 9126 §2.1: the pushed request has a request_uri",
            ));
        }
        self.may_keep_row(client, origin)?;
        let (whole, signed) = self.pushed_params(client, params).await?;
        let (request, _) = read(client, &whole).map_err(failed)?;
        self.judge(client, &request, Came { pushed: true, signed })?;
        let asked = request.dpop_jkt.as_deref();
        // RFC 9449 §10.1: the parameter and the proof name the same key.
        if asked.is_some() && dpop_jkt.is_some() && asked != dpop_jkt.as_deref() {
            return Err(Failed::refused(
                ErrorCode::InvalidDpopProof,
                "dpop_jkt is not the key of the proof",
                "RFC 9449 §10.1: dpop_jkt and the DPoP proof name different keys",
            ));
        }
        let lives = self.settings().pushed.min(PUSHED_LONGEST);
        let text = Purpose::Pushed.fresh()?;
        let record = PushedRecord {
            client: client.id.clone(),
            params: whole.encode(),
            dpop_jkt,
            expires_at: self.parts.clock.now().plus(lives).plus(PUSHED_GRACE),
        };
        let mut event = self.event(origin, code::REQUEST_PUSHED)?;
        event.client_id = Some(Arc::from(client.id.as_str()));
        let mac = Purpose::Pushed.mac(&self.parts.pepper, text.expose());
        self.parts.store.push(mac, record, event).await?;
        Ok(Pushed {
            request_uri: format!("{PUSHED}{}", text.expose()),
            expires_in: lives.as_secs(),
        })
    }

    /// The parameters of the request, from the form or from the signed object in it.
    async fn pushed_params(
        &self,
        client: &Arc<ClientRecord>,
        params: &Params,
    ) -> Result<(Params, bool), Failed> {
        if let Some(object) = params.get("request") {
            let now = self.parts.clock.now();
            let opened = self.opened(client, object, now).await?;
            if let Some((mac, until)) = opened.once
                && !self.parts.store.once(mac, until).await?
            {
                return Err(Failed::refused(
                    ErrorCode::InvalidRequestObject,
                    "the request object was used before",
                    "RFC 9101 §10.2: the jti of the request object was used before",
                ));
            }
            return Ok((opened.params, true));
        }
        if must_sign(client) {
            return Err(Failed::request(
                "the client must sign its authorization requests",
                "RFC 9101 §10.5: the pushed request is not a signed object",
            ));
        }
        let mut whole = Params::default();
        for (name, value) in params.iter() {
            if !CLIENT_AUTHENTICATION.contains(&name) {
                whole.push(name, value).map_err(OAuthError::from)?;
            }
        }
        Ok((whole, false))
    }
}

/// Parameters by which the client authenticates (RFC 6749 §2.3.1, RFC 7521 §4.2); `client_id` belongs to the
/// request too.
const CLIENT_AUTHENTICATION: [&str; 3] =
    ["client_secret", "client_assertion", "client_assertion_type"];

fn failed(stop: Stop) -> Failed {
    match stop {
        Stop::Page { error, rule, .. } | Stop::Reply { error, rule, .. } => {
            Failed::Refused { error, rule }
        }
        Stop::Broken(Error::Busy(what)) => Failed::Busy(what),
        Stop::Broken(error) => Failed::Broken(error),
    }
}
