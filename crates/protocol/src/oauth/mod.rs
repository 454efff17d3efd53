//! OAuth 2 documents: scopes, introspection answers, authorization server metadata; and the pure part of an
//! authorization server: requests, client authentication, answers.

mod discovery;
pub mod error;
mod introspection;
pub mod metadata;
pub mod params;
mod scope;

pub use discovery::{Discovery, DiscoveryError, is_http_url};
pub use error::{ErrorCode, OAuthError};
pub use introspection::{Introspected, Introspection, IntrospectionError};
pub use params::{Params, ParamsError};
pub use scope::{SCOPES, ScopeError, ScopeSet, is_scope_token};
