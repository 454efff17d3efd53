//! Authorization server metadata (RFC 8414, OpenID Connect Discovery).

use crate::json;
use base::limits::DOCUMENT_BYTES;
use serde_json::Value;

/// Characters of a URL in a metadata document.
const URL_CHARS: usize = 2048;

/// A metadata document cannot be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Not a strict JSON object.
    #[error("the metadata document is malformed")]
    Json(#[from] json::JsonError),
    /// `issuer` is missing or not the one that was asked for.
    #[error("the metadata document is of another issuer")]
    WrongIssuer,
    /// The named member is missing or not an absolute http or https URL.
    #[error("{0} is not an absolute http or https URL")]
    Url(&'static str),
}

/// What is needed of an issuer's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// `jwks_uri`.
    pub jwks_uri: String,
    /// `introspection_endpoint`.
    pub introspection_endpoint: Option<String>,
}

impl Discovery {
    /// Reads the metadata of `issuer`.
    ///
    /// # Errors
    /// See [`DiscoveryError`].
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let metadata = json::object(document, DOCUMENT_BYTES)?;
        // RFC 8414 §3.3: the issuer is identical to the one that was asked, or the document is not used.
        if metadata.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(DiscoveryError::WrongIssuer);
        }
        let url = |name: &'static str| match metadata.get(name) {
            None => Ok(None),
            Some(Value::String(url)) if is_http_url(url) => Ok(Some(url.clone())),
            Some(_) => Err(DiscoveryError::Url(name)),
        };
        Ok(Self {
            jwks_uri: url("jwks_uri")?.ok_or(DiscoveryError::Url("jwks_uri"))?,
            introspection_endpoint: url("introspection_endpoint")?,
        })
    }

    /// Where the metadata of `issuer` may lie, in the order to ask: OpenID Connect Discovery §4, then
    /// RFC 8414 §3.1.
    pub fn places(issuer: &str) -> [String; 2] {
        let bare = issuer.strip_suffix('/').unwrap_or(issuer);
        let host = bare.find("://").map_or(0, |at| at + 3);
        let path =
            bare.get(host..).and_then(|rest| rest.find('/')).map_or(bare.len(), |at| host + at);
        let (origin, path) = bare.split_at_checked(path).unwrap_or((bare, ""));
        [
            format!("{bare}/.well-known/openid-configuration"),
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
        ]
    }
}

/// Whether `text` is an absolute `http` or `https` URL with a host, without user, fragment, space or
/// control character. Whether it may be fetched is for the fetcher to say.
pub fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        text.len() <= URL_CHARS
            && !authority.is_empty()
            && !authority.starts_with(':')
            && !authority.contains(['@', '\\'])
            && text.bytes().all(|c| c.is_ascii_graphic() && c != b'#' && c != b'"')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://login.example/tenant";

    fn check(document: &str, expect: Result<&str, DiscoveryError>) {
        let read = Discovery::parse(document.as_bytes(), ISSUER).map(|it| it.jwks_uri);
        assert_eq!(read.as_deref().map_err(|error| *error), expect, "{document}");
    }

    #[test]
    fn rfc8414_s3_3_the_issuer_is_identical() {
        let of = |issuer: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"https://a/k"}}"#);
        check(&of(ISSUER), Ok("https://a/k"));
        check(&of("https://login.example/tenant/"), Err(DiscoveryError::WrongIssuer));
        check(&of("https://LOGIN.example/tenant"), Err(DiscoveryError::WrongIssuer));
        check(r#"{"jwks_uri":"https://a/k"}"#, Err(DiscoveryError::WrongIssuer));
        check("[]", Err(DiscoveryError::Json(json::JsonError::NotAnObject)));
    }

    #[test]
    fn rfc8414_s2_jwks_uri_is_an_absolute_url() {
        for bad in [
            "",
            "/k",
            "ftp://a/k",
            "file:///k",
            "https://",
            "https:///k",
            "https://u@a/k",
            "https://a/k#f",
            "https://a/ k",
            "https://a\\\\@b/k",
            "https://:80/",
            "HTTPS//a",
        ] {
            let document = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{bad}"}}"#);
            check(&document, Err(DiscoveryError::Url("jwks_uri")));
        }
        check(&format!(r#"{{"issuer":"{ISSUER}"}}"#), Err(DiscoveryError::Url("jwks_uri")));
        check(
            &format!(r#"{{"issuer":"{ISSUER}","jwks_uri":1}}"#),
            Err(DiscoveryError::Url("jwks_uri")),
        );
    }

    #[test]
    fn rfc8414_s3_1_places() {
        let [oidc, oauth] = Discovery::places(ISSUER);
        assert_eq!(oidc, "https://login.example/tenant/.well-known/openid-configuration");
        assert_eq!(oauth, "https://login.example/.well-known/oauth-authorization-server/tenant");
        let [oidc, oauth] = Discovery::places("http://localhost:8001");
        assert_eq!(oidc, "http://localhost:8001/.well-known/openid-configuration");
        assert_eq!(oauth, "http://localhost:8001/.well-known/oauth-authorization-server");
    }
}
