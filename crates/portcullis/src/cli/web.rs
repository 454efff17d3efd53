//! Connections to a gate elsewhere.
//!
//! Never does: follow a redirect, read a proxy from the environment, or speak without TLS to another machine.
//!
//! Invariants: an [`Origin`] is https, or http on this machine; every wait and every answer has a bound.

use super::error::CliError;
use crate::config::WebUrl;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a connection may take, with TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer of the authority may take.
const ANSWER: Duration = Duration::from_secs(20);
/// Bytes of an answer of the authority; metadata has some 4 KB.
const ANSWER_BYTES: usize = 256 * 1024;
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// What bytes go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Scheme, host and port of a gate or an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    url: WebUrl,
}

impl Origin {
    /// Reads `https://HOST[:PORT]`, or http for this machine. A slash at the end is left out.
    ///
    /// # Errors
    /// [`CliError::Usage`], with what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, CliError> {
        let wrong = |why: &str| CliError::Usage(format!("{text}: {why}"));
        let text = text.strip_suffix('/').unwrap_or(text);
        let url = WebUrl::parse(text).map_err(wrong)?;
        if !url.path().is_empty() {
            return Err(wrong("write scheme, host and port only"));
        }
        if !url.is_https() && !url.is_loopback() {
            return Err(wrong("without https a token could be read on its way"));
        }
        // One spelling for one place: what is kept under it must be found again.
        let shown = match url.host().contains(':') {
            true => format!("[{}]", url.host()),
            false => url.host().to_owned(),
        };
        let (scheme, usual) = if url.is_https() { ("https", 443) } else { ("http", 80) };
        let port = if url.port() == usual { String::new() } else { format!(":{}", url.port()) };
        WebUrl::parse(&format!("{scheme}://{shown}{port}")).map(|url| Self { url }).map_err(wrong)
    }

    /// As it is spelled.
    pub(super) fn text(&self) -> &str {
        self.url.as_str()
    }

    /// The path of a URL at this origin; `None` for one elsewhere.
    pub(super) fn path_of<'u>(&self, url: &'u str) -> Option<&'u str> {
        url.strip_prefix(self.text()).filter(|path| path.starts_with('/'))
    }

    fn authority(&self) -> &str {
        self.text().split_once("://").map_or("", |(_, authority)| authority)
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, CliError> {
        match tokio::time::timeout(CONNECT, self.connected()).await {
            Ok(done) => done,
            Err(_) => Err(self.unreachable(&"no connection within 10 s")),
        }
    }

    async fn connected(&self) -> Result<Box<dyn Stream>, CliError> {
        let (host, port) = (self.url.host(), self.url.port());
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|error| self.unreachable(&error))?;
        // WHY: a name of this machine that leads elsewhere would carry a token away in plain.
        let fits =
            |address: &std::net::SocketAddr| self.url.is_https() || address.ip().is_loopback();
        let mut last = self.unreachable(&"it has no address");
        for address in found.filter(fits).take(ADDRESSES) {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.secured(stream).await,
                Err(error) => last = self.unreachable(&error),
            }
        }
        Err(last)
    }

    async fn secured(&self, stream: TcpStream) -> Result<Box<dyn Stream>, CliError> {
        if !self.url.is_https() {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.url.host().to_owned());
        let name = name.map_err(|error| self.unreachable(&error))?;
        let config = trust().map_err(|error| self.unreachable(&error))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| self.unreachable(&error))?))
    }

    fn unreachable(&self, why: &dyn std::fmt::Display) -> CliError {
        CliError::Broken(format!("{}: {why}", self.text()))
    }

    /// Sends a request whose target is a path.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, CliError> {
        let host = http::HeaderValue::try_from(self.authority());
        request.headers_mut().insert(HOST, host.map_err(|error| self.unreachable(&error))?);
        let stream = self.connect().await?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| self.unreachable(&error))?;
        // The connection ends with its one exchange; its error, if any, is also the exchange's.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.unreachable(&error))
    }

    /// JSON from a path, or the answer to a form.
    ///
    /// # Errors
    /// When no JSON comes in time.
    pub(super) async fn json(
        &self,
        path: &str,
        form: Option<&[(&str, &str)]>,
    ) -> Result<(StatusCode, Value), CliError> {
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut request =
            Request::builder().method(method).uri(path).header(ACCEPT, "application/json");
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let text = protocol::oauth::params::encode(form.unwrap_or_default().iter().copied());
        let request = request.body(Full::new(Bytes::from(text)));
        let request = request.map_err(|error| self.unreachable(&error))?;
        let exchange = async {
            let response = self.send(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
            let bytes = body.map_err(|error| self.unreachable(&error))?.to_bytes();
            let value = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok((status, value))
        };
        match tokio::time::timeout(ANSWER, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(&"no answer within 20 s")),
        }
    }
}

/// TLS 1.2 and 1.3, and the certificate authorities of this machine (or of `SSL_CERT_FILE`).
fn trust() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_over_tls_or_stay_on_this_machine() {
        let check = |text: &str, expect: Option<&str>| {
            let found = Origin::parse(text).ok();
            assert_eq!(found.as_ref().map(Origin::text), expect, "{text}");
        };
        check("https://gate.example", Some("https://gate.example"));
        check("https://Gate.Example:443/", Some("https://gate.example"));
        check("https://gate.example:8443", Some("https://gate.example:8443"));
        check("http://localhost:8001", Some("http://localhost:8001"));
        check("http://127.0.0.1:8001/", Some("http://127.0.0.1:8001"));
        check("http://[::1]:8001", Some("http://[::1]:8001"));
        check("http://gate.example", None);
        check("http://localhost.gate.example", None);
        check("https://gate.example/api", None);
        check("https://user@gate.example", None);
        check("gate.example", None);
        check("ftp://gate.example", None);
    }

    #[test]
    fn what_begins_alike_is_elsewhere() {
        let origin = Origin::parse("https://gate.example").unwrap();
        assert_eq!(origin.path_of("https://gate.example/oauth/token"), Some("/oauth/token"));
        assert_eq!(origin.path_of("https://gate.example.evil/oauth/token"), None);
        assert_eq!(origin.path_of("https://gate.example@evil/"), None);
        assert_eq!(origin.path_of("http://gate.example/"), None);
    }
}
