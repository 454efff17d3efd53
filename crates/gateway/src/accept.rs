//! Taking connections: limits, the PROXY protocol, TLS, and which HTTP is spoken.

use crate::gate::Listener;
use crate::h1::{Conn, Prefix, is_h2_preface};
use crate::h2side;
use crate::serve::{self, Connection};
use crate::settings::ProxyHeader;
use crate::shard::Shard;
use crate::stream::Stream;
use access::proxy_protocol::{self, Parse};
use base::{Event, EventId, Kind, Outcome, code};
use bytes::BytesMut;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long to wait when the system has no descriptors left (EMFILE), before it is asked again.
const EXHAUSTED: Duration = Duration::from_millis(50);
/// How soon a half PROXY header is looked at again: at first, and at last.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));
/// The longest PROXY header that is read.
const PROXY_BYTES: usize = 1024;

/// What a caller without TLS reads when the gate is full.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
    content-length: 113\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
    {\"type\":\"urn:portcullis:error:gate.overloaded\",\"title\":\"The gate is full\",\
    \"status\":503,\"code\":\"gate.overloaded\"}\n";

/// Takes connections until the listener is closed.
pub(crate) async fn run(shard: Rc<Shard>, listener: Arc<Listener>, socket: std::net::TcpListener) {
    let socket = match TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, listener = %listener.settings().name, "cannot listen");
            return;
        }
    };
    let mut closed = listener.closed.subscribe();
    loop {
        let taken = tokio::select! {
            taken = socket.accept() => taken,
            _ = closed.wait_for(|closed| *closed) => return,
        };
        match taken {
            Ok((tcp, peer)) => take(&shard, &listener, tcp, peer.ip()),
            Err(_) => tokio::time::sleep(EXHAUSTED).await,
        }
    }
}

/// Counts a connection in and out.
struct Place {
    shard: Rc<Shard>,
    listener: Arc<Listener>,
}

impl Place {
    fn new(shard: &Rc<Shard>, listener: &Arc<Listener>) -> Option<Self> {
        let open = listener.open.fetch_add(1, Ordering::Relaxed);
        shard.gate.open.fetch_add(1, Ordering::Relaxed);
        shard.gate.metrics.connections.inc();
        shard.gate.metrics.accepted.inc();
        let place = Self { shard: shard.clone(), listener: listener.clone() };
        (open < listener.settings().max_connections).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.listener.open.fetch_sub(1, Ordering::Relaxed);
        let gate = &self.shard.gate;
        gate.open.fetch_sub(1, Ordering::Relaxed);
        gate.metrics.connections.dec();
        if std::thread::panicking() {
            gate.metrics.panics.inc();
            if let Ok(id) = EventId::random() {
                let mut event =
                    Event::new(id, gate.clock.now(), gate.node, Kind::System, code::PANIC);
                event.outcome = Outcome::Error;
                self.shard.recorder.record(event);
            }
        }
    }
}

fn take(shard: &Rc<Shard>, listener: &Arc<Listener>, tcp: TcpStream, peer: IpAddr) {
    let Some(place) = Place::new(shard, listener) else {
        // Full: one try at an answer that costs no waiting, then the connection is closed.
        let _ = tcp.try_write(FULL);
        return;
    };
    let _ = tcp.set_nodelay(true);
    let (shard, listener) = (shard.clone(), listener.clone());
    tokio::task::spawn_local(async move {
        let _place = place;
        establish(shard, listener, tcp, peer.to_canonical()).await;
    });
}

async fn establish(shard: Rc<Shard>, listener: Arc<Listener>, mut tcp: TcpStream, peer: IpAddr) {
    // Read before all that it stands for.
    let epoch = listener.epoch();
    // WHY: copied, since a guard that is held while a connection lasts takes the place that a load without a lock needs.
    let settings = listener.settings().clone();
    let (limit, h2c) = (settings.timeouts.head, settings.h2c);
    let mut client = peer;
    if settings.proxies.header == ProxyHeader::ProxyProtocol {
        // Only trusted peers may speak for others; from anybody else the header is not expected, and bytes that
        // look like one are no HTTP.
        if settings.proxies.trusted.contains(peer) {
            match timeout(limit, proxy_header(&mut tcp)).await {
                Ok(Ok(source)) => client = source.unwrap_or(peer).to_canonical(),
                _ => return,
            }
        }
    }
    drop(settings);
    let mut connection = Connection {
        shard,
        listener: listener.clone(),
        epoch,
        client,
        tls: false,
        server_name: None,
    };
    let Some(tls) = listener.tls() else {
        let stream = Stream::tcp(tcp);
        plain(Rc::new(connection), stream, h2c).await;
        return;
    };
    let handshake = TlsAcceptor::from(tls.config.clone()).accept(tcp);
    let Ok(Ok(stream)) = timeout(limit, handshake).await else { return };
    let stream = Stream::tls(stream.into());
    connection.tls = true;
    connection.server_name = stream.server_name().map(Into::into);
    if stream.alpn() == Some(b"h2") {
        h2side::serve(Rc::new(connection), stream).await;
    } else {
        serve::h1(Rc::new(connection), Conn::new(stream)).await;
    }
}

/// Without TLS: HTTP/1.1, or HTTP/2 by prior knowledge where that is configured.
async fn plain(connection: Rc<Connection>, mut stream: Stream, h2c: bool) {
    if !h2c {
        serve::h1(connection, Conn::new(stream)).await;
        return;
    }
    let limit = connection.listener.settings().timeouts.head;
    let mut ahead = BytesMut::new();
    let looked = timeout(limit, async {
        loop {
            match is_h2_preface(&ahead) {
                Prefix::Yes => return Some(true),
                Prefix::No => return Some(false),
                Prefix::NeedMore => {
                    if stream.read_buf(&mut ahead).await.ok()? == 0 {
                        return None;
                    }
                }
            }
        }
    });
    match looked.await {
        Ok(Some(true)) => {
            stream.unread(ahead);
            h2side::serve(connection, stream).await;
        }
        Ok(Some(false)) => serve::h1(connection, Conn::with_read(stream, ahead)).await,
        Ok(None) | Err(_) => {}
    }
}

/// Reads exactly the PROXY header and leaves what follows.
async fn proxy_header(tcp: &mut TcpStream) -> std::io::Result<Option<IpAddr>> {
    let mut look = [0u8; PROXY_BYTES];
    let mut pause = LOOKS.0;
    loop {
        let count = tcp.peek(&mut look).await?;
        let seen = look.get(..count).unwrap_or_default();
        match proxy_protocol::parse(seen) {
            Ok(Parse::Done { header, consumed }) => {
                let mut taken = vec![0; consumed];
                tcp.read_exact(&mut taken).await?;
                return Ok(header.source.map(|source| source.ip()));
            }
            Ok(Parse::Incomplete) if count > 0 && count < PROXY_BYTES => {
                // Peeking shows the same bytes again at once; more of them are waited for, ever more patiently, or
                // a few hundred half headers would keep a core busy.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LOOKS.1);
            }
            _ => return Err(std::io::ErrorKind::InvalidData.into()),
        }
    }
}
