//! The head that an upstream sees.

use super::Job;
use crate::caller::HeadOut;
use crate::h1::encode;
use crate::head::{Framing, Known};
use crate::hygiene;
use crate::settings::{HostHeader, ProxyHeader};
use bytes::BytesMut;
use std::borrow::Cow;
use std::fmt::Write;

/// The path that goes on: canonical, without the prefix that the route strips.
pub(super) fn path<'j>(job: &'j Job<'_>) -> Cow<'j, str> {
    let path = &*job.forward.path;
    let Some(prefix) = job.act().strip_prefix.as_deref() else { return Cow::Borrowed(path) };
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    match path.strip_prefix(prefix) {
        Some("") => Cow::Borrowed("/"),
        // Only whole segments are stripped: /orders from /orders/7, not from /orders-old.
        Some(rest) if rest.starts_with('/') => Cow::Borrowed(rest),
        _ => Cow::Borrowed(path),
    }
}

/// Writes the head for an HTTP/1.1 upstream.
pub(super) fn h1(job: &Job<'_>, index: usize, out: &mut BytesMut) -> Result<(), String> {
    encode::write_request_line(out, &job.head.method, path(job).as_bytes(), job.head.query())
        .map_err(|error| error.to_string())?;
    out.extend_from_slice(b"host: ");
    out.extend_from_slice(authority(job, index));
    out.extend_from_slice(b"\r\n");
    fields(job, &mut HeadOut::H1(out));
    match job.head.framing {
        Framing::Length(length) => encode::write_number(out, "content-length", length),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
    if job.upgrade {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    }
    encode::end_head(out);
    Ok(())
}

/// Builds the head for an HTTP/2 upstream.
pub(super) fn h2(job: &Job<'_>, index: usize) -> Result<http::Request<()>, String> {
    let path = path(job);
    let mut target = path.into_owned().into_bytes();
    if let Some(query) = job.head.query() {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    let tls = job.act().upstream.settings.servers.get(index).is_some_and(|server| server.tls);
    let uri = http::Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(authority(job, index))
        .path_and_query(target)
        .build()
        .map_err(|error| error.to_string())?;
    let mut request = http::Request::new(());
    *request.method_mut() = job.head.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    fields(job, &mut HeadOut::H2(request.headers_mut()));
    if let Framing::Length(length) = job.head.framing {
        request.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
    }
    // RFC 9113 §8.2.2: the one TE value that HTTP/2 knows; gRPC servers ask for it.
    if job.head.headers.all(Known::Te).any(|value| value.eq_ignore_ascii_case(b"trailers")) {
        let trailers = http::HeaderValue::from_static("trailers");
        request.headers_mut().insert(http::header::TE, trailers);
    }
    Ok(request)
}

fn authority<'j>(job: &'j Job<'_>, index: usize) -> &'j [u8] {
    match job.act().host_header {
        HostHeader::Keep => job.head.authority(),
        HostHeader::Upstream => match job.act().upstream.server(index) {
            Some(server) => server.authority.as_bytes(),
            None => job.head.authority(),
        },
    }
}

/// All fields but host, framing and connection.
pub(super) fn fields(job: &Job<'_>, out: &mut HeadOut<'_>) {
    let act = job.act();
    let rules = &act.request_headers;
    let ruled = !rules.set.is_empty() || !rules.remove.is_empty();
    for field in job.head.headers.fields() {
        if !hygiene::passes_up(&field, act.forward_credential) {
            continue;
        }
        if ruled && rules.touches(field.name()) {
            continue;
        }
        if field.known() == Known::Cookie {
            if let Some(kept) = hygiene::cookies_up(field.value()) {
                out.put(b"cookie", &kept);
            }
            continue;
        }
        out.field(field);
    }
    for (name, value) in &rules.set {
        out.put(name.as_bytes(), value.as_bytes());
    }
    ours(job, out);
}

/// What only the gate may say.
fn ours(job: &Job<'_>, out: &mut HeadOut<'_>) {
    out.put(b"portcullis-request-id", &job.id);
    out.put(b"x-request-id", &job.id);
    if let Some(who) = job.forward.permit.principal() {
        if !who.subject.is_empty() {
            out.put(b"portcullis-subject", who.subject.as_bytes());
        }
        if let Some(client) = &who.client_id {
            out.put(b"portcullis-client", client.as_bytes());
        }
        if !who.scopes.is_empty() {
            let mut scopes = String::new();
            for scope in who.scopes.iter() {
                if !scopes.is_empty() {
                    scopes.push(' ');
                }
                scopes.push_str(scope);
            }
            out.put(b"portcullis-scopes", scopes.as_bytes());
        }
    }
    if let Some(assertion) = &job.assertion {
        out.put(b"portcullis-assertion", assertion.as_bytes());
    }
    let mut address = String::with_capacity(40);
    let _ = write!(address, "{}", job.forward.ip);
    out.put(b"x-forwarded-for", address.as_bytes());
    out.put(b"x-forwarded-host", job.head.authority());
    out.put(b"x-forwarded-proto", proto(job));
}

/// The scheme that the caller used: ours, or what a trusted proxy in front says.
fn proto(job: &Job<'_>) -> &'static [u8] {
    let listener = job.connection.listener.settings();
    let believed = matches!(listener.proxies.header, ProxyHeader::Header(_))
        && listener.proxies.trusted.contains(job.connection.client);
    let said = believed.then(|| job.head.headers.first(Known::XForwardedProto)).flatten();
    match said {
        Some(value) if value.eq_ignore_ascii_case(b"https") => b"https",
        Some(value) if value.eq_ignore_ascii_case(b"http") => b"http",
        _ if job.connection.tls => b"https",
        _ => b"http",
    }
}

/// The target as text, for the echo.
pub(super) fn target_text(job: &Job<'_>) -> String {
    let mut text = path(job).into_owned();
    if job.head.query().is_some() {
        // The query is not shown: it may hold what its sender did not mean to show.
        let _ = text.write_str("?…");
    }
    text
}
