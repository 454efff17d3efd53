//! A request's head as HTTP/2 gives it.

use http::Method;
use http::request::Parts;

use super::{Framing, HeadError, HeadLimits, Headers, Known, RequestHead, Span, Version};
use crate::h1::{METHOD_BYTES, rules, target};

impl RequestHead {
    /// Copies and judges the head of an HTTP/2 request; `ended` says that no body follows.
    ///
    /// # Errors
    /// Any doubt, by the same rules as for HTTP/1.1 and those of RFC 9113 §8.
    pub fn from_h2(parts: &Parts, ended: bool, limits: &HeadLimits) -> Result<Self, HeadError> {
        if parts.method == Method::CONNECT {
            return Err(HeadError::Malformed("CONNECT is not served"));
        }
        if parts.method == Method::TRACE {
            return Err(HeadError::Malformed("TRACE is not served"));
        }
        if parts.method.as_str().len() > METHOD_BYTES {
            return Err(HeadError::Malformed("the method is too long"));
        }
        let text = parts.uri.path_and_query().map(|target| target.as_str()).unwrap_or_default();
        // RFC 9113 §8.3.1: `:path` begins with a slash (or is `*`, which is nobody's route).
        if !text.starts_with('/') {
            return Err(HeadError::Malformed(":path does not begin with a slash"));
        }
        if text.len() > limits.target {
            return Err(HeadError::TargetTooLong);
        }
        if parts.headers.len() > limits.fields {
            return Err(HeadError::HeadTooLarge("too many fields"));
        }
        let authority = authority(parts)?;
        let mut headers = Headers::with_capacity(limits.bytes.min(1024));
        headers.append_text(text.as_bytes());
        headers.append_text(authority.as_bytes());
        headers.extend_from_map(&parts.headers)?;
        if headers.text().len() > limits.bytes {
            return Err(HeadError::HeadTooLarge("the head exceeds its bytes"));
        }
        let spans = Span::new(0, text.len()).zip(Span::new(text.len(), authority.len()));
        let (span, authority) = spans.ok_or(HeadError::TargetTooLong)?;
        headers.lower(authority);
        join_cookies(&mut headers)?;
        let (mut target, _) = target::split_target(headers.text(), span)?;
        target.authority = authority;
        connection_fields(&headers)?;
        let (framing, expect_continue) = rules::judge_h2(&headers, ended)?;
        Ok(Self {
            method: parts.method.clone(),
            version: Version::Http2,
            headers,
            framing,
            keep_alive: true,
            expect_continue: expect_continue && framing != Framing::None,
            upgrade: None,
            target,
        })
    }
}

/// `:authority`, or `Host` where there is none; both must say the same (RFC 9113 §8.3.1).
fn authority(parts: &Parts) -> Result<&str, HeadError> {
    let mut hosts = parts.headers.get_all(http::header::HOST).iter();
    let host = hosts.next().map(|host| host.to_str()).transpose();
    let host = host.map_err(|_| HeadError::Host("Host is not a host name"))?;
    if hosts.next().is_some() {
        return Err(HeadError::Host("several Host fields"));
    }
    let authority = match (parts.uri.authority().map(http::uri::Authority::as_str), host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            return Err(HeadError::Host(":authority names another host than Host"));
        }
        (Some(authority), _) => authority,
        (None, Some(host)) => host,
        (None, None) => return Err(HeadError::Host("no :authority")),
    };
    if !target::is_authority(authority.as_bytes()) {
        return Err(HeadError::Host(":authority is not a host name with an optional port"));
    }
    Ok(authority)
}

/// RFC 9113 §8.2.3: cookies may come in several fields, and are one again for whoever speaks HTTP/1.1.
fn join_cookies(headers: &mut Headers) -> Result<(), HeadError> {
    if headers.count(Known::Cookie) < 2 {
        return Ok(());
    }
    let joined = headers.all(Known::Cookie).collect::<Vec<_>>().join(&b"; "[..]);
    headers.remove(Known::Cookie);
    headers.push(b"cookie", &joined)
}

/// RFC 9113 §8.2.2: fields of an HTTP/1.1 connection make a message malformed; `TE` may say `trailers` only.
fn connection_fields(headers: &Headers) -> Result<(), HeadError> {
    for field in headers.fields() {
        match field.known() {
            Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade => {
                return Err(HeadError::Malformed("a connection's field in HTTP/2"));
            }
            Known::Te if !field.value().eq_ignore_ascii_case(b"trailers") => {
                return Err(HeadError::Malformed("TE says more than trailers"));
            }
            _ => {}
        }
    }
    Ok(())
}
