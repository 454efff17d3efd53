//! One HTTP exchange with somebody else's server.
//!
//! Never does: follow a redirect, reuse a connection, decompress, send a cookie.
//!
//! Invariant: the name is resolved once, every address is judged, and only a judged address is connected to.

use crate::SetupError;
use crate::address::refusal;
use crate::target::{Host, Target};
use crate::tls::client_config;
use base::limits::{REQUEST_HEAD_BYTES, REQUEST_HEADERS};
use base::{
    BoxFuture, Fetch, FetchError, FetchRequest, FetchResponse, Resolve, ResolveError, Secret,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT,
};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long one address may take to accept a connection, before the next is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Addresses of one name that are tried, so that a name with hundreds does not hold the caller.
const ADDRESSES_TRIED: usize = 4;
/// What we call ourselves (RFC 9110 §10.1.5).
const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// Fetches documents over HTTP/1.1, with TLS through rustls.
pub struct HttpFetch {
    resolve: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for HttpFetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpFetch").field("resolve", &self.resolve).finish_non_exhaustive()
    }
}

impl HttpFetch {
    /// A client that finds addresses through `resolve` and trusts the system's certificate authorities
    /// and those of `extra_roots` (PEM).
    ///
    /// # Errors
    /// When `extra_roots` holds no readable certificate.
    pub fn new(resolve: Arc<dyn Resolve>, extra_roots: Option<&[u8]>) -> Result<Self, SetupError> {
        Ok(Self { resolve, tls: client_config(extra_roots)? })
    }

    async fn perform(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let target = Target::read(&request.url, request.operator)
            .map_err(|why| FetchError::Refused(why.to_owned()))?;
        let message = compose(&target, &request)?;
        let addresses = self.addresses(&target, request.operator).await?;
        let stream = connect(&addresses).await?;
        if !target.secure {
            return exchange(stream, message, request.max_bytes).await;
        }
        let name = ServerName::try_from(target.host.text())
            .map_err(|_| FetchError::Refused("the host is not a name".to_owned()))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        let stream = tls.connect(name, stream).await.map_err(|e| unreachable(&e))?;
        exchange(stream, message, request.max_bytes).await
    }

    /// The socket addresses that may be connected to, each judged.
    async fn addresses(
        &self,
        target: &Target,
        operator: bool,
    ) -> Result<Vec<SocketAddr>, FetchError> {
        let found = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolve.resolve(name).await.map_err(unresolved)?.addresses,
        };
        if !operator {
            judge(&found)?;
        }
        let addresses: Vec<_> = found
            .into_iter()
            .take(ADDRESSES_TRIED)
            .map(|address| SocketAddr::new(address, target.port))
            .collect();
        Ok(addresses)
    }
}

impl Fetch for HttpFetch {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchError>> {
        let limit = request.timeout;
        Box::pin(async move {
            match tokio::time::timeout(limit, self.perform(request)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(FetchError::Timeout(limit)),
            }
        })
    }
}

/// One address that is not public refuses the name: a name that mixes both serves an attack.
fn judge(addresses: &[IpAddr]) -> Result<(), FetchError> {
    match addresses.iter().find_map(|address| refusal(*address)) {
        Some(why) => Err(FetchError::Refused(format!("it leads to an address that is {why}"))),
        None => Ok(()),
    }
}

fn unresolved(error: ResolveError) -> FetchError {
    FetchError::Unreachable(error.to_string())
}

fn unreachable(error: &dyn std::error::Error) -> FetchError {
    FetchError::Unreachable(error.to_string())
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let mut last = FetchError::Unreachable("the name has no address".to_owned());
    for address in addresses {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Latency only; a socket that refuses it still works.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = unreachable(&error),
            Err(_) => last = FetchError::Unreachable("no connection in time".to_owned()),
        }
    }
    Err(last)
}

fn compose(target: &Target, request: &FetchRequest) -> Result<Request<Full<Bytes>>, FetchError> {
    let (method, body) = match &request.form {
        Some(fields) => (Method::POST, Bytes::from(form(fields))),
        None => (Method::GET, Bytes::new()),
    };
    let length = body.len();
    let posts = method == Method::POST;
    let mut message = Request::builder()
        .method(method)
        .uri(&target.path)
        .header(HOST, &target.authority)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, request.accept)
        .header(CONNECTION, "close")
        .body(Full::new(body))
        .map_err(|_| FetchError::Refused("the request cannot be composed".to_owned()))?;
    let headers = message.headers_mut();
    if posts {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some((user, password)) = &request.basic {
        headers.insert(AUTHORIZATION, basic(user, password)?);
    }
    if let Some(token) = &request.bearer {
        headers.insert(AUTHORIZATION, bearer(token)?);
    }
    Ok(message)
}

/// RFC 6750 §2.1: `b64token`, which has neither spaces nor control characters.
fn bearer(token: &Secret<String>) -> Result<HeaderValue, FetchError> {
    let refused = || FetchError::Refused("the token cannot be sent".to_owned());
    if token.expose().is_empty() || !token.expose().bytes().all(|c| c.is_ascii_graphic()) {
        return Err(refused());
    }
    let text = Secret::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| refused())?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 7617 §2: the user name has no colon, and neither has a control character.
fn basic(user: &str, password: &Secret<String>) -> Result<HeaderValue, FetchError> {
    let refused = || FetchError::Refused("the user name or password cannot be sent".to_owned());
    if user.contains(':') || user.chars().chain(password.expose().chars()).any(char::is_control) {
        return Err(refused());
    }
    let pair = Secret::new(format!("{user}:{}", password.expose()));
    let text = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| refused())?;
    value.set_sensitive(true);
    Ok(value)
}

/// `application/x-www-form-urlencoded` (WHATWG URL §5.2).
fn form(fields: &[(String, Secret<String>)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        escape(name, &mut out);
        out.push('=');
        escape(value.expose(), &mut out);
    }
    out
}

fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                use std::fmt::Write;
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

/// Sends `message` and reads at most `max_bytes` of body. The connection lives in this future: when the
/// caller stops waiting, it is closed.
async fn exchange<S>(
    stream: S,
    message: Request<Full<Bytes>>,
    max_bytes: usize,
) -> Result<FetchResponse, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_headers(REQUEST_HEADERS)
        .max_buf_size(REQUEST_HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| unreachable(&e))?;
    let asking = async {
        let response = sender.send_request(message).await.map_err(|e| unreachable(&e))?;
        read(response, max_bytes).await
    };
    tokio::pin!(asking, connection);
    tokio::select! {
        biased;
        outcome = &mut asking => return outcome,
        _ = &mut connection => {}
    }
    // The connection ended first; what it had read is still handed over.
    asking.await
}

async fn read(response: Response<Incoming>, max_bytes: usize) -> Result<FetchResponse, FetchError> {
    let (head, mut body) = response.into_parts();
    let declared = body.size_hint().lower();
    if usize::try_from(declared).map_or(true, |declared| declared > max_bytes) {
        return Err(FetchError::TooLarge(max_bytes));
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| unreachable(&e))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len().saturating_add(data.len()) > max_bytes {
                return Err(FetchError::TooLarge(max_bytes));
            }
            bytes.extend_from_slice(&data);
        }
    }
    let media_type = head.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    Ok(FetchResponse {
        status: head.status.as_u16(),
        media_type: media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase(),
        body: bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_escaped() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let fields = [
            ("token".to_owned(), secret("a b&c=d/é")),
            ("token_type_hint".to_owned(), secret("access_token")),
        ];
        assert_eq!(form(&fields), "token=a+b%26c%3Dd%2F%C3%A9&token_type_hint=access_token");
    }

    #[test]
    fn rfc7617_s2_a_user_name_has_no_colon() {
        let password = Secret::new("p:w".to_owned());
        assert_eq!(basic("u", &password).unwrap().to_str().unwrap(), "Basic dTpwOnc=");
        assert!(basic("u:v", &password).is_err());
        assert!(basic("u", &Secret::new("p\r\nX: y".to_owned())).is_err());
        assert!(bearer(&password).unwrap().to_str().unwrap().starts_with("Bearer "));
        assert!(bearer(&Secret::new("a b".to_owned())).is_err());
        assert!(bearer(&Secret::new(String::new())).is_err());
        assert!(format!("{:?}", bearer(&password).unwrap()).contains("Sensitive"));
        assert!(format!("{:?}", basic("u", &password).unwrap()).contains("Sensitive"));
    }

    #[test]
    fn one_private_address_refuses_the_name() {
        let public: IpAddr = "8.8.8.8".parse().unwrap();
        let private: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(judge(&[public]).is_ok());
        assert!(judge(&[public, private]).is_err());
    }
}
