//! Taking connections: limits, the PROXY protocol, TLS, and which HTTP is spoken.

use crate::gate::Listener;
use crate::h1::{Conn, Prefix, is_h2_preface};
use crate::h2side;
use crate::place::Place;
use crate::problem::{self, Told};
use crate::record::Draft;
use crate::serve::{self, Connection};
use crate::settings::ProxyHeader;
use crate::shard::Shard;
use crate::stream::Stream;
use access::Denial;
use access::proxy_protocol::{self, Parse};
use base::{Code, Phase};
use bytes::BytesMut;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown};
use std::rc::Rc;
use std::sync::Arc;
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

/// When a caller for whom there was no place may come back.
const COME_BACK: Duration = Duration::from_secs(1);
/// Bytes that are taken off a connection before it is refused: most heads.
const UNREAD: usize = 4096;

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

fn take(shard: &Rc<Shard>, listener: &Arc<Listener>, tcp: TcpStream, peer: IpAddr) {
    let peer = peer.to_canonical();
    let placed = Place::new(shard, listener).and_then(|mut place| place.of(peer).map(|()| place));
    let place = match placed {
        Ok(place) => place,
        Err(code) => return turn_away(shard, listener, tcp, (peer, code)),
    };
    let _ = tcp.set_nodelay(true);
    let (shard, listener) = (shard.clone(), listener.clone());
    tokio::task::spawn_local(establish(shard, (listener, place), tcp, peer));
}

/// Refuses a connection for which there is no place: recorded, and answered where that costs no waiting.
fn turn_away(
    shard: &Rc<Shard>,
    listener: &Listener,
    tcp: TcpStream,
    (client, code): (IpAddr, Code),
) {
    let mut denial = Denial::new(code, Phase::Accept);
    denial.retry_after = Some(COME_BACK);
    let draft = Draft::refusal(shard, client, &denial);
    let answer = problem::answer(&denial, draft.id(), Told::default());
    // WHY: over TLS an answer would cost a handshake, which is what a full gate has no time for.
    if listener.tls().is_none()
        && let Ok(mut tcp) = tcp.into_std()
    {
        let bytes = problem::last_answer(&answer, &draft.id().text(), &draft.date());
        let _ = tcp.write(&bytes);
        let _ = tcp.shutdown(Shutdown::Write);
        // What was sent and not read would become a reset, which can overtake the answer.
        let _ = tcp.read(&mut [0; UNREAD]);
    }
    draft.finish(answer.status);
}

/// The place is held until the connection ends.
async fn establish(
    shard: Rc<Shard>,
    (listener, mut place): (Arc<Listener>, Place),
    mut tcp: TcpStream,
    peer: IpAddr,
) {
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
            if let Err(code) = place.of(client) {
                return turn_away(&shard, &listener, tcp, (client, code));
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
