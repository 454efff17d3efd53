//! The control address: health, metrics and page for everybody, everything else needs a credential.

use super::{ACCEPT_PAUSE, Connections, Edge, Shutdown, connection, stopped};
use crate::api::Api;
use crate::guard::Names;
use crate::input::Via;
use crate::oauth::Issuer;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once. Scrapers and load balancers hold a few; a thousand slow ones cost 100 MB at most,
/// and the next waits in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// How long one connection may live, so that a peer who never reads cannot hold its place.
const CONNECTION_AGE: Duration = Duration::from_secs(300);

/// Serves `listener` until `shutdown`; asked under `names` only, health excepted. With `issuer` it serves the
/// authority too.
pub async fn serve_tcp(
    listener: TcpListener,
    api: Api,
    issuer: Option<Issuer>,
    names: Names,
    mut shutdown: Shutdown,
) {
    let edge = Edge::new(api, issuer, names);
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
                let Ok(local) = stream.local_addr() else { continue };
                // Latency only; a socket that refuses it still works.
                let _ = stream.set_nodelay(true);
                let serving =
                    connection(stream, edge.clone(), Via::Tcp { local, peer }, shutdown.clone());
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
