//! Cross-origin requests (the Fetch standard): answers to preflights, and headers on answers.

use crate::head::{Known, RequestHead};
use crate::settings::{Act, CorsSettings};
use http::Method;

/// Whether a request is a preflight.
pub(crate) fn is_preflight(head: &RequestHead) -> bool {
    head.method == Method::OPTIONS
        && head.headers.first(Known::Origin).is_some()
        && head.headers.first(Known::AccessControlRequestMethod).is_some()
}

/// The headers that answer a preflight; `None` when the route does not allow it.
pub(crate) fn preflight(act: &Act, head: &RequestHead) -> Option<Vec<(&'static str, String)>> {
    let cors = act.cors.as_ref()?;
    let origin = allowed_origin(cors, head)?;
    let method =
        std::str::from_utf8(head.headers.first(Known::AccessControlRequestMethod)?).ok()?;
    if act.methods.as_ref().is_some_and(|methods| !methods.iter().any(|it| it == method)) {
        return None;
    }
    if let Some(asked) = head.headers.first(Known::AccessControlRequestHeaders) {
        let asked = std::str::from_utf8(asked).ok()?;
        let allowed = |name: &str| cors.headers.iter().any(|it| it.eq_ignore_ascii_case(name));
        if !asked.split(',').map(str::trim).filter(|name| !name.is_empty()).all(allowed) {
            return None;
        }
    }
    let mut headers = common(cors, origin);
    headers.push(("access-control-allow-methods", method.to_owned()));
    if !cors.headers.is_empty() {
        headers.push(("access-control-allow-headers", cors.headers.join(", ")));
    }
    headers.push(("access-control-max-age", cors.max_age.as_secs().to_string()));
    Some(headers)
}

/// The headers that go with an answer to a request from an allowed origin.
pub(crate) fn on_answer(cors: &CorsSettings, head: &RequestHead) -> Vec<(&'static str, String)> {
    match allowed_origin(cors, head) {
        Some(origin) => common(cors, origin),
        None => vec![("vary", "Origin".to_owned())],
    }
}

fn allowed_origin<'h>(cors: &CorsSettings, head: &'h RequestHead) -> Option<&'h str> {
    let origin = std::str::from_utf8(head.headers.first(Known::Origin)?).ok()?;
    cors.origins.iter().any(|it| it == "*" || it == origin).then_some(origin)
}

fn common(cors: &CorsSettings, origin: &str) -> Vec<(&'static str, String)> {
    let any = cors.origins.iter().any(|it| it == "*") && !cors.credentials;
    let mut headers = vec![
        ("access-control-allow-origin", if any { "*".to_owned() } else { origin.to_owned() }),
        ("access-control-expose-headers", "x-request-id, www-authenticate, dpop-nonce".to_owned()),
        ("vary", "Origin".to_owned()),
    ];
    if cors.credentials {
        headers.push(("access-control-allow-credentials", "true".to_owned()));
    }
    headers
}
