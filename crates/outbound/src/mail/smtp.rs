//! One message to one server over SMTP (RFC 5321), as submission asks for it (RFC 6409, RFC 8314).
//!
//! Owns: connection, TLS and the errors. The dialogue inside TLS and the form of a message are lettre's.
//!
//! Never does: it never goes on in the clear where TLS was asked for, never keeps a connection, never shows what a
//! server says: its answers repeat addresses.
//!
//! Invariant: every wait and every answer has a bound ([`DELIVERY`], `stream::ANSWER_BYTES`).

use super::compose::compose;
use super::stream::{Greeted, prepare};
use crate::tls::client_config_for;
use crate::{DnsResolve, SetupError};
use base::{Clock, MailAddress, Message, Resolve, Secret};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long one delivery may take in all. RFC 5321 §4.5.3.2 allows minutes a step; a submission server answers within
/// seconds, and what is sent here is waited for.
pub const DELIVERY: Duration = Duration::from_secs(60);
/// How long one address may take to accept a connection, before the next is tried.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const ADDRESSES_TRIED: usize = 4;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314 §3.3).
    Tls,
    /// TLS after STARTTLS (RFC 3207), which the server must offer.
    StartTls,
    /// None at all; the address must be this machine's or a private one.
    Plain,
}

/// A mail server, and who writes through it.
#[derive(Clone)]
pub struct SmtpServer {
    /// How it is spoken to.
    pub security: Security,
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// User name and password, where it asks for them.
    pub credentials: Option<(String, Secret<String>)>,
    /// Certificate authorities (PEM) that are trusted beside the system's.
    pub extra_roots: Option<Vec<u8>>,
    /// The name in `From`; may be empty.
    pub from_name: String,
    /// The address in `From`, to which what cannot be delivered comes back.
    pub from: MailAddress,
}

impl std::fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { security, host, port, .. } = self;
        write!(f, "SmtpServer({security:?} {host}:{port})")
    }
}

/// Why a message was not delivered. Says nothing of whom it was for and nothing that the server said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpError {
    /// No connection, or a broken one.
    #[error("the mail server cannot be reached: {0}")]
    Unreachable(String),
    /// The certificate is not trusted or not for this name, or the handshake failed.
    #[error("TLS with the mail server failed: {0}")]
    Tls(String),
    /// The server offers no STARTTLS, or refused it.
    #[error("the mail server does not offer STARTTLS")]
    NoTls,
    /// It took longer than allowed.
    #[error("the mail server did not answer within {0:?}")]
    Timeout(Duration),
    /// An address of a server without TLS is public.
    #[error("plain SMTP may lead to this machine or to private addresses only")]
    Public,
    /// The server does not take the user name and password, or no way to show them.
    #[error("the mail server does not take the user name and password")]
    Credentials,
    /// A reply that ends it: 5xx.
    #[error("the mail server refused the message with reply {0}")]
    Refused(u16),
    /// A reply that asks to come again: 4xx.
    #[error("the mail server cannot take the message now, reply {0}")]
    Later(u16),
    /// Not SMTP, answers without end, or an answer that nobody asked for.
    #[error("the mail server's answers cannot be understood")]
    Answer,
    /// The message needs what the server does not offer, such as addresses in other scripts (RFC 6531).
    #[error("the mail server cannot carry such a message")]
    Message,
}

impl SmtpError {
    /// Whether the same message can never be delivered, however often it is tried.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Message)
    }
}

/// Delivers to one server.
pub struct Smtp {
    server: SmtpServer,
    tls: Arc<ClientConfig>,
    resolve: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Over this server; its address is found through the system's resolver.
    ///
    /// # Errors
    /// When the extra certificate authorities or the resolver's configuration cannot be read.
    pub fn new(server: SmtpServer, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let resolve = Arc::new(DnsResolve::system()?);
        Self::with_resolver(server, clock, resolve)
    }

    /// The same; addresses are found through `resolve`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_resolver(
        server: SmtpServer,
        clock: Arc<dyn Clock>,
        resolve: Arc<dyn Resolve>,
    ) -> Result<Self, SetupError> {
        // RFC 7301 is not used by SMTP: no protocol name is offered.
        let tls = client_config_for(server.extra_roots.as_deref(), &[])?;
        Ok(Self { server, tls, resolve, clock })
    }

    /// Delivers one message, within [`DELIVERY`].
    ///
    /// # Errors
    /// Why the server did not take it.
    pub async fn deliver(&self, message: &Message) -> Result<(), SmtpError> {
        match tokio::time::timeout(DELIVERY, self.attempt(message)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SmtpError::Timeout(DELIVERY)),
        }
    }

    async fn attempt(&self, message: &Message) -> Result<(), SmtpError> {
        let sender = (self.server.from_name.as_str(), &self.server.from);
        let (envelope, bytes) = compose(message, sender, self.clock.now())?;
        let stream = connect(&self.addresses().await?).await?;
        let stream = self.secure(stream).await?;
        let hello = self.hello();
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &hello)
            .await
            .map_err(|error| told(&error))?;
        if let Some((name, password)) = &self.server.credentials {
            let credentials = Credentials::new(name.clone(), password.expose().clone());
            let tried = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            tried.map_err(|error| refused_credentials(&error))?;
        }
        connection.send(&envelope, bytes.expose()).await.map_err(|error| told(&error))?;
        // The message is the server's from here on, whatever becomes of the farewell.
        let _ = connection.quit().await;
        Ok(())
    }

    /// What we call ourselves: the domain that writes, since the machine's own name means nothing outside.
    fn hello(&self) -> ClientId {
        ClientId::Domain(self.server.from.halves().1.to_owned())
    }

    async fn secure(&self, stream: TcpStream) -> Result<Box<dyn AsyncTokioStream>, SmtpError> {
        let peer = stream.peer_addr().map_err(unreachable)?;
        let stream = match self.server.security {
            Security::Plain => return Ok(Box::new(Greeted::awaiting(stream, peer))),
            Security::Tls => Greeted::awaiting(self.handshake(stream).await?, peer),
            Security::StartTls => {
                let stream = prepare(stream, self.server.from.halves().1).await?;
                Greeted::already(self.handshake(stream).await?, peer)
            }
        };
        Ok(Box::new(stream))
    }

    async fn handshake(
        &self,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, SmtpError> {
        let name = ServerName::try_from(self.server.host.clone())
            .map_err(|_| SmtpError::Tls("the server's name is no host name".to_owned()))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        tls.connect(name, stream).await.map_err(|error| SmtpError::Tls(error.to_string()))
    }

    /// The socket addresses that may be connected to.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, SmtpError> {
        let host = self.server.host.as_str();
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.resolve.resolve(host).await.map_err(unreachable)?.addresses,
        };
        // INVARIANT: without TLS, every address is judged, and only a judged one is connected to.
        if self.server.security == Security::Plain && !found.iter().copied().all(is_near) {
            return Err(SmtpError::Public);
        }
        let port = self.server.port;
        Ok(found.into_iter().take(ADDRESSES_TRIED).map(|it| SocketAddr::new(it, port)).collect())
    }
}

/// Whether an address is this machine's or in a private network (RFC 1918, RFC 4193): where mail may go without TLS.
pub fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => it.is_loopback() || it.is_private(),
        IpAddr::V6(it) => it == Ipv6Addr::LOCALHOST || it.is_unique_local(),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, SmtpError> {
    let mut last = SmtpError::Unreachable("the name has no address".to_owned());
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = unreachable(error),
            Err(_) => last = SmtpError::Unreachable("no connection in time".to_owned()),
        }
    }
    Err(last)
}

pub(super) fn unreachable(error: impl std::error::Error) -> SmtpError {
    SmtpError::Unreachable(error.to_string())
}

/// What an error of the dialogue means. Its text is left behind: it holds what the server said.
fn told(error: &lettre::transport::smtp::Error) -> SmtpError {
    match error.status().map(u16::from) {
        Some(code) if error.is_permanent() => SmtpError::Refused(code),
        Some(code) => SmtpError::Later(code),
        None if error.is_client() => SmtpError::Message,
        None if error.is_response() => SmtpError::Answer,
        None => SmtpError::Unreachable("the connection broke".to_owned()),
    }
}

/// RFC 4954 §6: a refusal of credentials is the operator's to mend, not the message's fault, so it is tried again.
fn refused_credentials(error: &lettre::transport::smtp::Error) -> SmtpError {
    match told(error) {
        SmtpError::Refused(_) | SmtpError::Message => SmtpError::Credentials,
        other => other,
    }
}

#[cfg(test)]
mod tests;
