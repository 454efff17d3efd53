//! The control addresses: health, the authority, and the API for whom the authority knows.

use super::crowd::{Crowd, turn_away};
use super::{ACCEPT_PAUSE, Connections, Door, Edge, HEAD_TIMEOUT, Shutdown, connection, stopped};
use crate::api::Api;
use crate::guard::{Names, Surface};
use crate::input::Via;
use crate::oauth::Issuer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections at once. Scrapers and load balancers hold a few; a thousand slow ones cost 100 MB at most,
/// and the next waits in the kernel's queue.
pub(super) const CONNECTIONS: usize = 1024;
/// How long one connection may live, so that a peer who never reads cannot hold its place.
const CONNECTION_AGE: Duration = Duration::from_secs(300);

/// What one address serves, and under which names.
#[derive(Debug)]
pub struct Front {
    /// The API, health and pages.
    pub api: Api,
    /// The authority. Without it no token is known, and requests have no ids.
    pub issuer: Option<Issuer>,
    /// The names that it may be asked under; health excepted.
    pub names: Names,
    /// Which part of it all.
    pub surface: Surface,
    /// Whether callers reach it over TLS even where it speaks plain HTTP: a proxy in front does.
    pub secure: bool,
    /// TLS and proxies; what comes in force concerns new connections.
    pub door: watch::Receiver<Door>,
}

/// Serves `listener` until `shutdown`.
pub async fn serve_tcp(listener: TcpListener, front: Front, mut shutdown: Shutdown) {
    let mut edge = Edge::new(front.api, front.issuer, front.names, front.surface);
    edge.secure = front.secure;
    let crowd = Arc::new(Crowd::default());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = Connections::new(edge.api.clone());
    loop {
        let accepting = async {
            let permit = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let accepted = tokio::select! {
            () = stopped(&mut shutdown) => break,
            accepted = accepting => accepted,
        };
        match accepted {
            Some((permit, Ok((stream, peer)))) => {
                // Latency only; a socket that refuses it still works.
                let _ = stream.set_nodelay(true);
                let door = front.door.borrow().clone();
                let serving = establish(
                    (stream, peer),
                    (edge.clone(), door),
                    crowd.clone(),
                    shutdown.clone(),
                );
                connections.spawn(permit, async move {
                    let _ = tokio::time::timeout(CONNECTION_AGE, serving).await;
                });
            }
            Some((_, Err(_))) => tokio::time::sleep(ACCEPT_PAUSE).await,
            None => break,
        }
    }
    drop(listener);
    connections.drain().await;
}

/// The PROXY header and TLS, where they are; then HTTP.
async fn establish(
    (mut stream, peer): (TcpStream, SocketAddr),
    (mut edge, door): (Edge, Door),
    crowd: Arc<Crowd>,
    shutdown: Shutdown,
) {
    let Ok(local) = stream.local_addr() else { return };
    let named = door.proxies.peer(&mut stream, peer.ip());
    let Ok(Ok(ip)) = tokio::time::timeout(HEAD_TIMEOUT, named).await else { return };
    // A trusted proxy brings many callers.
    let mut seat = None;
    if !door.proxies.trusted.contains(ip) {
        seat = crowd.enter(ip);
        if seat.is_none() {
            edge.api.witness.crowded(ip);
            if door.tls.is_none() {
                let _ = tokio::time::timeout(HEAD_TIMEOUT, turn_away(&mut stream)).await;
            }
            return;
        }
    }
    let _seat = seat;
    edge.secure |= door.tls.is_some();
    let via = Via::Tcp { local, peer: SocketAddr::new(ip, peer.port()) };
    let Some(tls) = door.tls else {
        return connection(stream, edge, (via, door.proxies), shutdown).await;
    };
    let handshake = tls.acceptor().accept(stream);
    let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIMEOUT, handshake).await else { return };
    connection(stream, edge, (via, door.proxies), shutdown).await;
}
