//! How a control address is reached: TLS, and proxies in front that say where a request came from.
//!
//! Owns: reading certificate and key; the PROXY header; the true client address of a request.
//!
//! Invariant: nobody but a trusted proxy is believed, and what a trusted proxy says unreadably refuses the request.

use crate::input::Via;
use crate::problem::Problem;
use access::address::{AddressHeader, TrustedProxies, client_address};
use access::proxy_protocol::{self, Parse};
use base::code;
use http::HeaderMap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The longest PROXY header that is read; version 2 may carry further fields.
const PROXY_BYTES: usize = 1024;
/// How soon a half PROXY header is looked at again: at first, and at last.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// How an address is reached. A new one concerns new connections.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// TLS; `None` is plain HTTP.
    pub tls: Option<ServerTls>,
    /// Who may say where a request came from; by default nobody.
    pub proxies: Arc<Proxies>,
}

/// Certificate and key of an address.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    /// Reads a chain, leaf first, and its key, both PEM. TLS 1.2 and 1.3, HTTP/1.1.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, String> {
        let wrong = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(cert).map_err(|error| wrong(cert, &error))?.collect();
        let chain = chain.map_err(|error| wrong(cert, &error))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| wrong(cert, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

/// How proxies name the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// In a header of each request.
    Header(AddressHeader),
    /// By the PROXY protocol, before the first byte of TLS or HTTP.
    Protocol,
}

/// The proxies in front. By default nobody is trusted.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Whose word is taken.
    pub trusted: TrustedProxies,
    /// How they give it.
    pub header: Option<ProxyHeader>,
}

impl Proxies {
    /// The way in of one request, with the true client address.
    ///
    /// # Errors
    /// 400, when a trusted proxy said something that is no address.
    pub(super) fn client(&self, headers: &HeaderMap, via: Via) -> Result<Via, Problem> {
        let (Via::Tcp { local, peer }, Some(ProxyHeader::Header(header))) = (via, self.header)
        else {
            return Ok(via);
        };
        let lines: Vec<&[u8]> =
            headers.get_all(header.name()).iter().map(http::HeaderValue::as_bytes).collect();
        let found = client_address(peer.ip(), &self.trusted, header, lines.into_iter())
            .map_err(|doubt| Problem::with(code::ADDRESS_MALFORMED, doubt.to_string()))?;
        Ok(Via::Tcp { local, peer: SocketAddr::new(found.ip, peer.port()) })
    }

    /// Who is at the other end of a connection, by the PROXY header where a trusted proxy sends one.
    ///
    /// # Errors
    /// When the header is none.
    pub(super) async fn peer(&self, stream: &mut TcpStream, peer: IpAddr) -> io::Result<IpAddr> {
        let peer = peer.to_canonical();
        match self.header {
            Some(ProxyHeader::Protocol) if self.trusted.contains(peer) => {
                Ok(proxy_header(stream).await?.unwrap_or(peer).to_canonical())
            }
            _ => Ok(peer),
        }
    }
}

/// Reads exactly the PROXY header and leaves what follows.
async fn proxy_header(stream: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut look = [0u8; PROXY_BYTES];
    let mut pause = LOOKS.0;
    loop {
        let count = stream.peek(&mut look).await?;
        let seen = look.get(..count).unwrap_or_default();
        match proxy_protocol::parse(seen) {
            Ok(Parse::Done { header, consumed }) => {
                let mut taken = vec![0; consumed];
                stream.read_exact(&mut taken).await?;
                return Ok(header.source.map(|source| source.ip()));
            }
            Ok(Parse::Incomplete) if count > 0 && count < PROXY_BYTES => {
                // Peeking shows the same bytes again at once; more of them are waited for, ever more patiently.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LOOKS.1);
            }
            _ => return Err(ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_a_trusted_proxy_is_believed() {
        let proxies = Proxies {
            trusted: TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]),
            header: Some(ProxyHeader::Header(AddressHeader::XForwardedFor)),
        };
        let check = |peer: &str, said: &str, expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", said.parse().unwrap());
            let via = Via::Tcp {
                local: "127.0.0.1:8001".parse().unwrap(),
                peer: SocketAddr::new(peer.parse().unwrap(), 1234),
            };
            let found = proxies.client(&headers, via).ok().map(|via| match via {
                Via::Tcp { peer, .. } => peer.ip().to_string(),
                Via::Socket { .. } => String::new(),
            });
            assert_eq!(found.as_deref(), expect, "{peer} says {said}");
        };
        check("10.0.0.1", "203.0.113.7", Some("203.0.113.7"));
        check("10.0.0.1", "198.51.100.1, 203.0.113.7", Some("203.0.113.7"));
        check("10.0.0.1", "203.0.113.7, 10.2.3.4", Some("203.0.113.7"));
        check("192.0.2.1", "203.0.113.7", Some("192.0.2.1"));
        check("10.0.0.1", "unknown", None);
        let nobody = Proxies::default();
        let via = Via::Socket { uid: 0 };
        assert_eq!(nobody.client(&HeaderMap::new(), via), Ok(via));
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_named() {
        let wrong = ServerTls::read(Path::new("/nowhere/a.pem"), Path::new("/nowhere/a.key"));
        assert!(wrong.unwrap_err().starts_with("/nowhere/a.pem: "));
    }
}
