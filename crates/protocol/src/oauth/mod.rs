//! OAuth 2 documents: scopes, introspection answers, authorization server metadata; and the pure part of an
//! authorization server: requests, client authentication, answers.

pub mod authorize;
pub mod claims_request;
pub mod client_auth;
mod discovery;
pub mod error;
mod introspection;
pub mod metadata;
pub mod params;
pub mod pkce;
pub mod redirect;
mod scope;
pub mod uri;

pub use authorize::{AuthorizationDetails, AuthorizationRequest, RequestFault, ResponseMode};
pub use claims_request::{ClaimWish, ClaimsRequest};
pub use discovery::{Discovery, DiscoveryError, is_http_url};
pub use error::{ErrorCode, OAuthError};
pub use introspection::{Introspected, Introspection, IntrospectionError};
pub use params::{Params, ParamsError};
pub use scope::{SCOPES, ScopeError, ScopeSet, is_scope_token};
