//! Servers that say exactly what a test wants.

use base::{BoxFuture, FetchError, FetchRequest, Resolve, ResolveError, Resolved};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Answers each name with the next of its lists, and counts how often it was asked.
#[derive(Debug)]
pub(crate) struct Names {
    answers: Vec<Vec<IpAddr>>,
    pub(crate) asked: AtomicUsize,
}

impl Names {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|it| it.parse().unwrap()).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Resolved, ResolveError>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(turn).cloned();
        Box::pin(async move {
            let addresses = answer.ok_or(ResolveError::NoAddress)?;
            Ok(Resolved { addresses, ttl: Duration::from_secs(60) })
        })
    }
}

/// Reads one request: head, and as many bytes of body as its Content-Length says.
pub(crate) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0u8; 1];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.unwrap_or(0) == 1 {
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |it| it.trim().parse().unwrap());
    let mut body = vec![0u8; length];
    stream.read_exact(&mut body).await.unwrap();
    bytes.extend(body);
    String::from_utf8(bytes).unwrap()
}

/// Answers one exchange over `stream` and keeps the connection open until the peer goes.
pub(crate) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    says: &[u8],
) -> String {
    let request = read_request(&mut stream).await;
    let _ = stream.write_all(says).await;
    let _ = stream.flush().await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    request
}

/// A server that answers every connection with `says`; the requests come out of the channel.
pub(crate) async fn plain(says: &'static [u8]) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let requests = requests.clone();
            tokio::spawn(async move {
                let _ = requests.send(answer(stream, says).await);
            });
        }
    });
    (address, receiver)
}

/// A request as the operator's file would have it made.
pub(crate) fn operator(url: String) -> FetchRequest {
    FetchRequest {
        url,
        form: None,
        bearer: None,
        basic: None,
        accept: "application/json",
        operator: true,
        timeout: Duration::from_secs(10),
        max_bytes: 1024,
    }
}

/// Whether the refusal was ours, before any connection.
pub(crate) fn refused(error: &FetchError) -> bool {
    matches!(error, FetchError::Refused(_))
}
