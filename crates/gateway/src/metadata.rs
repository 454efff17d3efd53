//! Metadata of protected resources (RFC 9728 §3), which the gate serves itself, before routing.
//!
//! INVARIANT: where a policy has protected resources, nothing below the well-known path reaches an upstream.

use crate::head::RequestHead;
use crate::problem::Answer;
use access::resource::Resources;
use base::{Code, code};
use bytes::Bytes;
use protocol::oauth::metadata::RESOURCE_WELL_KNOWN;

/// What may be asked, as `Allow` says it.
pub(crate) const ALLOW: &str = "GET, HEAD, OPTIONS";
/// For how long it may be kept: a reload that adds a scope is seen soon.
const CACHE: &str = "public, max-age=60";

/// The answer to a request for metadata; `None` when the path is none of ours.
pub(crate) fn answer(
    resources: &Resources,
    head: &RequestHead,
    host: &str,
    path: &str,
) -> Option<Result<Answer, Code>> {
    let rest = path.strip_prefix(RESOURCE_WELL_KNOWN)?;
    if resources.is_empty() || !(rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    // Anybody may read it, from any origin: it says nothing that a challenge does not.
    let mut headers = vec![("access-control-allow-origin", "*".to_owned())];
    Some(match head.method {
        http::Method::GET | http::Method::HEAD => match resources.find(host, path) {
            None => Err(code::ROUTE_NOT_FOUND),
            Some(found) => {
                headers.push(("content-type", "application/json".to_owned()));
                headers.push(("cache-control", CACHE.to_owned()));
                headers.push(("x-content-type-options", "nosniff".to_owned()));
                let body = Bytes::copy_from_slice(found.document.as_bytes());
                Ok(Answer { status: 200, headers, body })
            }
        },
        http::Method::OPTIONS => {
            headers.push(("access-control-allow-methods", "GET, HEAD".to_owned()));
            // What MCP clients send along.
            headers.push(("access-control-allow-headers", "*".to_owned()));
            headers.push(("access-control-max-age", "600".to_owned()));
            headers.push(("allow", ALLOW.to_owned()));
            Ok(Answer { status: 204, headers, body: Bytes::new() })
        }
        _ => Err(code::METHOD_NOT_ALLOWED),
    })
}
