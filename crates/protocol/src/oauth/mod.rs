//! OAuth 2 documents: scopes, introspection answers, authorization server metadata; and the pure part of an
//! authorization server: requests, client authentication, answers.

pub mod access_token;
pub mod authorization_response;
pub mod authorize;
pub mod claim;
pub mod claims_request;
pub mod client_auth;
mod discovery;
pub mod error;
pub mod exchange;
mod introspection;
pub mod introspection_response;
pub mod metadata;
pub mod params;
pub mod pkce;
pub mod redirect;
pub mod request_object;
mod scope;
pub mod token_response;
pub mod uri;

pub use authorize::{AuthorizationDetails, AuthorizationRequest, RequestFault, ResponseMode};
pub use claims_request::{ClaimWish, ClaimsRequest};
pub use discovery::{Discovery, DiscoveryError, is_http_url};
pub use error::{ErrorCode, OAuthError};
pub use introspection::{Introspected, Introspection, IntrospectionError};
pub use params::{Params, ParamsError};
pub use scope::{SCOPES, ScopeError, ScopeSet, is_scope_token};
