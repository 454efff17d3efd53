//! The authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1 and their extensions).
//!
//! Owns: the typed request, however it came: as a query, a pushed request or the claims of a request object.
//!
//! Never does: know a client. Whether the client may ask for this, its registration says.
//!
//! Invariant: a request that was read has the code flow, a challenge of S256 or none, and only well-formed
//! values; it can be kept and read again.

mod details;
mod parse;
#[cfg(test)]
mod tests;

pub use details::{AUTHORIZATION_DETAILS, AUTHORIZATION_DETAILS_BYTES, AuthorizationDetails};

use super::claims_request::ClaimsRequest;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;
use super::scope::ScopeSet;
use serde::{Deserialize, Serialize};

/// Characters of a `client_id`: one may be the URL of a document.
pub const CLIENT_ID_CHARS: usize = 2048;
/// Bytes of `state`; it comes back in a URL.
pub const STATE_BYTES: usize = 2048;
/// Bytes of `nonce`; it stands in a token.
pub const NONCE_BYTES: usize = 512;
/// Bytes of `login_hint`.
pub const LOGIN_HINT_BYTES: usize = 512;
/// Entries of `acr_values` and `ui_locales`.
pub const VALUES: usize = 16;
/// Bytes of one of them.
pub const ENTRY_BYTES: usize = 256;

/// A parameter is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {error}")]
pub struct RequestFault {
    /// The parameter at fault.
    pub parameter: &'static str,
    /// What the client is told.
    pub error: OAuthError,
}

impl RequestFault {
    fn new(parameter: &'static str, code: ErrorCode, text: &str) -> Self {
        Self { parameter, error: OAuthError::new(code, format!("{parameter} {text}")) }
    }

    fn invalid(parameter: &'static str, text: &str) -> Self {
        Self::new(parameter, ErrorCode::InvalidRequest, text)
    }

    /// Whether the client may be told by a redirect. RFC 6749 §4.1.2.1: never when the client or its
    /// redirect URI are in doubt.
    pub fn may_redirect(&self) -> bool {
        !matches!(self.parameter, "client_id" | "redirect_uri")
    }
}

/// How the answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ResponseMode {
    /// In the query of the redirect URI (OAuth 2.0 Multiple Response Types §2.1).
    #[default]
    #[serde(rename = "query")]
    Query,
    /// In a form that the browser posts (OAuth 2.0 Form Post Response Mode §2).
    #[serde(rename = "form_post")]
    FormPost,
    /// Signed, in the query (JARM §2.3.1; also `jwt`, §2.3.4).
    #[serde(rename = "query.jwt")]
    QueryJwt,
    /// Signed, in a form (JARM §2.3.3).
    #[serde(rename = "form_post.jwt")]
    FormPostJwt,
}

impl ResponseMode {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
            Self::QueryJwt => "query.jwt",
            Self::FormPostJwt => "form_post.jwt",
        }
    }

    /// Whether the answer is a signed JWT.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::QueryJwt | Self::FormPostJwt)
    }

    /// Whether the answer is posted.
    pub fn is_form(self) -> bool {
        matches!(self, Self::FormPost | Self::FormPostJwt)
    }

    /// The mode of that name. `fragment` is not offered: nothing but a code is ever sent.
    pub fn read(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            // JARM §2.3.4: for the code flow, `jwt` is `query.jwt`.
            "jwt" | "query.jwt" => Some(Self::QueryJwt),
            "form_post.jwt" => Some(Self::FormPostJwt),
            _ => None,
        }
    }
}

/// What the person must see (OpenID Connect Core §3.1.2.1, `prompt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Prompts {
    /// Nothing at all: answer or fail.
    pub none: bool,
    /// The login, even when a session exists.
    pub login: bool,
    /// The consent, even when it was given.
    pub consent: bool,
    /// The choice of an account.
    pub select_account: bool,
}

/// How the pages should look (OpenID Connect Core §3.1.2.1, `display`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// A full page.
    #[default]
    Page,
    /// A small window.
    Popup,
    /// A touch screen.
    Touch,
    /// A feature phone.
    Wap,
}

/// An authorization request whose every value is well-formed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// `client_id`.
    pub client_id: Box<str>,
    /// `redirect_uri`, an absolute URI without fragment. Whether it is registered is not known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<Box<str>>,
    /// `response_mode`; query when none is asked for.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// `scope`; empty when absent.
    #[serde(default)]
    pub scope: ScopeSet,
    /// `state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<str>>,
    /// `nonce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Box<str>>,
    /// `code_challenge` of S256 (RFC 7636 §4.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<Box<str>>,
    /// `prompt`.
    #[serde(default)]
    pub prompt: Prompts,
    /// `max_age` in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// `acr_values`, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<Box<str>>,
    /// `login_hint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<Box<str>>,
    /// `id_token_hint`, not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_hint: Option<Box<str>>,
    /// `ui_locales`, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ui_locales: Vec<Box<str>>,
    /// `claims` (OpenID Connect Core §5.5).
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    /// `resource` (RFC 8707 §2): absolute URIs without fragment, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<Box<str>>,
    /// `authorization_details` (RFC 9396 §2).
    #[serde(default, skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: AuthorizationDetails,
    /// `dpop_jkt` (RFC 9449 §10): the thumbprint of the key that the code is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Box<str>>,
    /// `display`.
    #[serde(default)]
    pub display: Display,
}

impl AuthorizationRequest {
    /// Reads the parameters of a request that is whole: a query without `request` and `request_uri`, a
    /// pushed request, or the parameters of a request object.
    ///
    /// # Errors
    /// The first parameter that is wrong.
    pub fn read(params: &Params) -> Result<Self, RequestFault> {
        parse::request(params)
    }

    /// Whether it is an OpenID Connect request (OpenID Connect Core §3.1.2.1).
    pub fn is_openid(&self) -> bool {
        self.scope.contains("openid")
    }
}

/// How an authorization request comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// Its parameters are the request.
    Plain,
    /// By a signed request object (RFC 9101 §5.1).
    Object {
        /// `client_id`.
        client_id: &'a str,
        /// `request`.
        request: &'a str,
    },
    /// By a reference, to a pushed request where it begins with [`PUSHED`] (RFC 9126 §2.2).
    Reference {
        /// `client_id`.
        client_id: &'a str,
        /// `request_uri`.
        request_uri: &'a str,
    },
}

/// How the `request_uri` of a pushed request begins (RFC 9126 §2.2).
pub const PUSHED: &str = "urn:ietf:params:oauth:request_uri:";

impl<'a> Arrival<'a> {
    /// How the request with these parameters comes.
    ///
    /// # Errors
    /// When `request` and `request_uri` stand together, or `client_id` is missing beside one.
    pub fn of(params: &'a Params) -> Result<Self, RequestFault> {
        let (object, reference) = (params.get("request"), params.get("request_uri"));
        if object.is_none() && reference.is_none() {
            return Ok(Self::Plain);
        }
        // RFC 9101 §5: `client_id` stands beside the object or reference.
        let client_id = parse::client_id(params)?;
        match (object, reference) {
            (Some(request), None) => Ok(Self::Object { client_id, request }),
            (None, Some(request_uri)) if super::uri::is_absolute(request_uri) => {
                Ok(Self::Reference { client_id, request_uri })
            }
            (None, _) => Err(RequestFault::new(
                "request_uri",
                ErrorCode::InvalidRequestUri,
                "is not an absolute URI",
            )),
            // RFC 9101 §5: never both.
            _ => Err(RequestFault::invalid("request", "and request_uri exclude each other")),
        }
    }
}

/// Where an error may have to be sent, read from a request whose other parameters may be wrong. Nothing is
/// sent before the redirect URI was found to be the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    /// `client_id`.
    pub client_id: Box<str>,
    /// `redirect_uri`.
    pub redirect_uri: Option<Box<str>>,
    /// `state`, where it is well-formed.
    pub state: Option<Box<str>>,
    /// `response_mode`; query where it is not understood.
    pub response_mode: ResponseMode,
}

impl ReplyTo {
    /// Reads what an answer needs.
    ///
    /// # Errors
    /// When `client_id` is missing or malformed, or `redirect_uri` malformed.
    pub fn read(params: &Params) -> Result<Self, RequestFault> {
        Ok(Self {
            client_id: parse::client_id(params)?.into(),
            redirect_uri: parse::redirect_uri(params)?,
            state: parse::state(params).unwrap_or_default(),
            response_mode: parse::response_mode(params).unwrap_or_default(),
        })
    }
}
