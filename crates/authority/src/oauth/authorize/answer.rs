//! The answer that goes to the client through the browser.

use super::Step;
use crate::oauth::OAuth;
use crate::oauth::records::{ClientRecord, Origin};
use base::Secret;
use protocol::Algorithm;
use protocol::oauth::authorization_response::{Answered, AuthorizationResponse, TYP, location};
use protocol::oauth::{ErrorCode, OAuthError, ResponseMode};
use std::sync::Arc;

/// To whom, where and how it is answered. INVARIANT: the redirect URI is one that the client has registered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) client: Arc<ClientRecord>,
    pub(crate) redirect_uri: String,
    pub(crate) mode: ResponseMode,
    pub(crate) state: Option<String>,
    /// `prompt=none`: the client waits in a frame or behind a redirect, and no page may be shown.
    pub(crate) silent: bool,
}

impl Reply {
    /// Whether an error may be sent to the client without a person. `let_in`: somebody has agreed to it before.
    ///
    /// RFC 9700 §4.11.2: not to who may have made the client only to be redirected to. With `prompt=none`, to which no
    /// page may be the answer, an administrator has let clients register, or a person has let the document's in.
    pub(crate) fn may_be_sent(&self, let_in: bool) -> bool {
        match self.client.origin {
            Origin::Dynamic => self.silent,
            Origin::Document => self.silent && let_in,
            _ => true,
        }
    }
}

pub(super) fn code(code: Secret<String>) -> Answered {
    Answered::Code(code)
}

pub(crate) fn error(error: OAuthError) -> Answered {
    Answered::Error(error)
}

impl OAuth {
    /// What the browser gets to carry the answer.
    pub(crate) fn authorization_answer(
        &self,
        reply: &Reply,
        outcome: Answered,
    ) -> Result<Step, OAuthError> {
        let settings = self.settings();
        let response = AuthorizationResponse {
            outcome: &outcome,
            state: reply.state.as_deref(),
            issuer: &settings.issuer,
            session_state: None,
        };
        let signed;
        let parameters = match reply.mode.is_signed() {
            false => response.parameters(),
            true => {
                // JARM §2.1, §2.3: one signed parameter instead of all others.
                let claims = response.jwt_claims(&reply.client.id, self.parts.clock.now());
                let failed = || OAuthError::new(ErrorCode::ServerError, "nothing can be signed");
                let signer = self.signer(self.response_algorithm(&reply.client), TYP);
                signed = signer
                    .and_then(|signer| signer.sign(&claims).ok())
                    .map(Secret::new)
                    .ok_or_else(failed)?;
                vec![("response", signed.expose().as_str())]
            }
        };
        Ok(match reply.mode.is_form() {
            true => Step::FormPost {
                action: reply.redirect_uri.clone(),
                fields: parameters
                    .into_iter()
                    .map(|(name, value)| (name, Secret::new(value.to_owned())))
                    .collect(),
            },
            false => {
                Step::Redirect { url: Secret::new(location(&reply.redirect_uri, &parameters)) }
            }
        })
    }

    fn response_algorithm(&self, client: &ClientRecord) -> Algorithm {
        let asked = client.metadata.authorization_signed_response_alg.as_deref();
        asked.and_then(|name| name.parse().ok()).unwrap_or(self.settings().algorithm)
    }
}
