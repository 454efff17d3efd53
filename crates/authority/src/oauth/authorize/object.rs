//! Requests that come as signed objects (RFC 9101).
//!
//! Invariant: what stands beside an object does not count (RFC 9101 §6.3).

use super::request::reply;
use super::{CONTINUE_LONGEST, Stop};
use crate::oauth::OAuth;
use crate::oauth::records::{ClientRecord, Mac, Profile};
use crate::oauth::refusal::Failed;
use crate::oauth::secrets::Purpose;
use base::UnixMs;
use base::limits::CLOCK_SKEW;
use protocol::oauth::request_object::{RequestObject, RequestObjectExpectation, SIGNED_LIFETIME};
use protocol::oauth::{ErrorCode, OAuthError, Params};
use protocol::{Algorithm, AlgorithmSet};
use std::sync::Arc;

/// FAPI 2.0 Security Profile §5.4.1.
const FAPI_OBJECTS: AlgorithmSet =
    AlgorithmSet::of(&[Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa]);

/// What a request object says, and what may happen once because of it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) params: Params,
    /// Its `jti`, and how long it must be remembered.
    pub(crate) once: Option<(Mac, UnixMs)>,
}

impl OAuth {
    /// Verifies a request object of this client as of `seen`.
    pub(crate) async fn opened(
        &self,
        client: &ClientRecord,
        object: &str,
        seen: UnixMs,
    ) -> Result<Opened, Failed> {
        let keys = self.client_keys(client, object).await.map_err(|failed| match failed {
            // Whatever is wrong with the keys, here it is the object that cannot be verified.
            Failed::Refused { rule, .. } => Failed::refused(
                ErrorCode::InvalidRequestObject,
                "the request object cannot be verified with the client's keys",
                format!("RFC 9101 §6.2: {rule}"),
            ),
            other => other,
        })?;
        let settings = self.settings();
        let read = RequestObject::read(
            object,
            &RequestObjectExpectation {
                client_id: &client.id,
                issuer: &settings.issuer,
                keys: &keys,
                algorithms: algorithms(client),
                message_signing: client.profile == Profile::Fapi2MessageSigning,
                now: seen,
                skew: CLOCK_SKEW,
            },
        );
        let read = read.map_err(|error| {
            let rule = format!("RFC 9101 §6: {error}");
            Failed::Refused { error: OAuthError::from(error), rule: rule.into() }
        })?;
        let once = read.jti.map(|jti| {
            let what = format!("request-object\0{}\0{jti}", client.id);
            let until = seen.plus(SIGNED_LIFETIME).plus(CLOCK_SKEW).plus(CONTINUE_LONGEST);
            (Purpose::Once.mac(&self.parts.pepper, &what), until)
        });
        Ok(Opened { params: read.params, once })
    }
}

/// The algorithms with which a client may sign its requests.
fn algorithms(client: &ClientRecord) -> AlgorithmSet {
    let registered = client.metadata.request_object_signing_alg.as_deref();
    match registered.map(str::parse::<Algorithm>) {
        // OpenID Connect Registration §2: the one that it registered.
        Some(Ok(one)) => AlgorithmSet::of(&[one]),
        Some(Err(_)) => AlgorithmSet::EMPTY,
        None if client.profile == Profile::Standard => AlgorithmSet::ALL,
        None => FAPI_OBJECTS,
    }
}

/// A refusal of an object or reference is sent where the parameters beside it say, if that is the client's; else it
/// is shown. WHY they may be used for this: the redirect URI is registered, whoever wrote it here.
pub(super) fn refused(client: &Arc<ClientRecord>, params: &Params, failed: Failed) -> Stop {
    match failed {
        Failed::Refused { error, rule } => match reply(client, params) {
            Ok(reply) => Stop::Reply { reply: Box::new(reply), error, rule },
            Err(_) => {
                let client = Some(client.id.clone());
                Stop::Page { client, error, rule, fix: super::FIX_CLIENT }
            }
        },
        Failed::Broken(error) => Stop::Broken(error),
        Failed::Busy(what) => Stop::Broken(crate::Error::Busy(what)),
    }
}
