//! The accept loops. Our own, since the peer of a unix socket must be asked who it is before a byte is read.
//!
//! Invariants: connections, heads, and waits for heads are bounded; one connection's failure ends only it.

mod crowd;
mod door;
mod socket;
mod tcp;

pub use door::{Door, Proxies, ProxyHeader, ServerTls};
pub use socket::{ControlSocket, serve_socket};
pub use tcp::{Front, serve_tcp};

use crate::api::Api;
use crate::guard::{Names, Surface, TRANSPORT, admit, caught, harden, is_public_name};
use crate::input::Via;
use crate::oauth::{Issuer, Tagged};
use axum::Router;
use axum::response::{IntoResponse, Response};
use base::limits::{REQUEST_HEAD_BYTES, REQUEST_HEADERS};
use http::header::STRICT_TRANSPORT_SECURITY;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::{JoinError, JoinSet};
use tower_service::Service;

/// How long a request head may take to arrive, and a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may go on after the node was told to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// The pause after a failed accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Tells the loops to stop: they do once it holds `true` or its sender is gone.
pub type Shutdown = watch::Receiver<bool>;

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder belongs to somebody else, or is none.
    #[error("{0} is not a folder of this user")]
    Folder(PathBuf),
    /// Somebody answers at the socket: another node runs on this data folder.
    #[error("another process answers at {0}")]
    Taken(PathBuf),
    /// Something that is no socket stands in its place.
    #[error("{0} is not a socket")]
    InTheWay(PathBuf),
    /// The operating system refused.
    #[error("{0} cannot be opened")]
    Io(PathBuf, #[source] std::io::Error),
}

/// What every connection of one loop shares.
#[derive(Clone)]
struct Edge {
    api: Api,
    issuer: Option<Issuer>,
    router: Router,
    names: Arc<Names>,
    surface: Surface,
    /// Whether callers reach it over TLS.
    secure: bool,
}

impl Edge {
    fn new(api: Api, issuer: Option<Issuer>, names: Names, surface: Surface) -> Self {
        let mut router = crate::router(api.clone());
        if let Some(issuer) = issuer.as_ref().filter(|_| surface.authority) {
            router = router.merge(crate::oauth::routes(issuer.clone()));
        }
        Self { api, issuer, router, names: Arc::new(names), surface, secure: false }
    }

    async fn answer(self, request: Request<Incoming>, via: Via, proxies: &Proxies) -> Response {
        let mut request = request.map(axum::body::Body::new);
        let id = self.issuer.as_ref().map(Issuer::next_id);
        if let Some(id) = id {
            request.extensions_mut().insert(Tagged(id));
        }
        let admitted = proxies.client(request.headers(), via).and_then(|via| {
            request.extensions_mut().insert(via);
            admit(&request, &self.names, self.surface)
        });
        let transport = admitted.is_ok() && self.secure && is_public_name(request.headers());
        let mut response = match admitted {
            Ok(()) => {
                let mut router = self.router;
                let handled = async move {
                    let Ok(response) = router.call(request).await;
                    response
                };
                caught(&self.api, handled).await
            }
            Err(problem) => problem.into_response(),
        };
        harden(response.headers_mut());
        if transport {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, TRANSPORT);
        }
        if let Some(value) = id.and_then(|id| HeaderValue::try_from(id.to_string()).ok()) {
            response.headers_mut().insert("x-request-id", value);
        }
        response
    }
}

/// Serves one connection until it ends or the node stops.
async fn connection<S>(
    stream: S,
    edge: Edge,
    (via, proxies): (Via, Arc<Proxies>),
    mut shutdown: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (edge, proxies) = (edge.clone(), proxies.clone());
        async move { Ok::<_, Infallible>(edge.answer(request, via, &proxies).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(REQUEST_HEADERS)
        .max_header_size(REQUEST_HEAD_BYTES)
        .max_buf_size(REQUEST_HEAD_BYTES * 2)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        // A connection that breaks is its peer's affair: there is nobody left to tell.
        _ = &mut serving => return,
        () = stopped(&mut shutdown) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(DRAIN, serving).await;
}

/// Ends when the node is told to stop.
async fn stopped(shutdown: &mut Shutdown) {
    // An error means that the sender is gone, and so is the node.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// The tasks of one loop. Finished ones are reaped as new ones come, so that their number stays bounded by
/// the loop's permits.
struct Connections {
    tasks: JoinSet<()>,
    api: Api,
}

impl Connections {
    fn new(api: Api) -> Self {
        Self { tasks: JoinSet::new(), api }
    }

    fn spawn(
        &mut self,
        permit: OwnedSemaphorePermit,
        serving: impl Future<Output = ()> + Send + 'static,
    ) {
        while let Some(ended) = self.tasks.try_join_next() {
            note(&self.api, &ended);
        }
        self.tasks.spawn(async move {
            serving.await;
            drop(permit);
        });
    }

    /// Waits for open requests, at most [`DRAIN`] and a little; what remains is cut.
    async fn drain(mut self) {
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                note(&self.api, &ended);
            }
        };
        let _ = tokio::time::timeout(DRAIN + ACCEPT_PAUSE, all).await;
        self.tasks.abort_all();
    }
}

/// A panic outside a handler (in a stream, say) ended its connection; it is recorded all the same.
fn note(api: &Api, ended: &Result<(), JoinError>) {
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        api.witness.panicked();
    }
}
