//! Making connections to upstream servers.

use crate::h1::Conn;
use crate::settings::UpstreamProtocol;
use crate::stream::Stream;
use crate::upstream::Upstream;
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Bytes that an HTTP/2 upstream may send ahead on one stream, and on a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
/// See [`STREAM_WINDOW`].
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of a response head over HTTP/2.
const HEAD_LIST: u32 = 64 * 1024;

/// A new connection.
pub(crate) enum Connected {
    /// HTTP/1.1.
    H1(Box<Conn<Stream>>),
    /// HTTP/2: shared by many requests; its task runs beside.
    H2(h2::client::SendRequest<Bytes>),
}

/// Connects to server number `index`.
///
/// # Errors
/// A sentence for the record.
pub(crate) async fn connect(upstream: &Upstream, index: usize) -> Result<Connected, String> {
    let limit = upstream.settings.connect_timeout;
    match tokio::time::timeout(limit, dial(upstream, index)).await {
        Ok(result) => result,
        Err(_) => Err(format!("no connection within {limit:?}")),
    }
}

async fn dial(upstream: &Upstream, index: usize) -> Result<Connected, String> {
    let server = upstream.settings.servers.get(index).ok_or("no such server")?;
    let tcp = TcpStream::connect((server.host.as_str(), server.port))
        .await
        .map_err(|error| format!("{}:{}: {error}", server.host, server.port))?;
    // A proxy writes whole messages; waiting for more only adds latency.
    let _ = tcp.set_nodelay(true);
    let stream = if server.tls {
        let tls = upstream.tls.as_ref().ok_or("no TLS settings")?;
        let name = tls.name_for(&server.host)?;
        let connector = TlsConnector::from(tls.config.clone());
        let stream = connector.connect(name, tcp).await.map_err(|error| format!("TLS: {error}"))?;
        Stream::tls(stream.into())
    } else {
        Stream::tcp(tcp)
    };
    match upstream.settings.protocol {
        UpstreamProtocol::Http1 => Ok(Connected::H1(Box::new(Conn::new(stream)))),
        UpstreamProtocol::Http2 => {
            if stream.is_tls() && stream.alpn() != Some(b"h2") {
                return Err("the server does not offer HTTP/2".to_owned());
            }
            let (send, connection) = h2::client::Builder::new()
                .initial_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(HEAD_LIST)
                .enable_push(false)
                .handshake(stream)
                .await
                .map_err(|error| format!("HTTP/2: {error}"))?;
            tokio::task::spawn_local(async move {
                // Its end shows in the requests that it carries.
                let _ = connection.await;
            });
            Ok(Connected::H2(send))
        }
    }
}
