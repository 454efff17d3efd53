//! OAuth 2 documents: scopes, introspection answers, authorization server metadata.

mod discovery;
mod introspection;
mod scope;

pub use discovery::{Discovery, DiscoveryError, is_http_url};
pub use introspection::{Introspected, Introspection, IntrospectionError};
pub use scope::{SCOPES, ScopeError, ScopeSet, is_scope_token};
