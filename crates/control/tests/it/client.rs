//! Raw HTTP over a socket or a port.

use crate::fakes::World;
use control::{ControlSocket, Door, Front, Issuer, Names, Surface, serve_socket, serve_tcp};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// An answer taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header, once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.head.lines().filter_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        let first = found.next();
        assert!(found.next().is_none(), "{name} stands twice");
        first
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks that this is a problem with this status and code, and gives its detail.
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        assert_eq!(body["code"], code);
        assert_eq!(body["status"], status);
        assert!(body["type"].as_str().unwrap().ends_with(code));
        assert!(!body["title"].as_str().unwrap().is_empty());
        body["detail"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends `request` and reads until the peer closes.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &str,
) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A reset after the answer is not of interest.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// One request that closes its connection.
pub(crate) fn message(method: &str, path: &str, host: &str, body: Option<&str>) -> String {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    match body {
        Some(body) => format!(
            "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        None => format!("{head}\r\n"),
    }
}

/// The edge on a socket.
pub(crate) struct OnSocket {
    pub(crate) world: World,
    pub(crate) path: PathBuf,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) task: JoinHandle<()>,
    pub(crate) folder: tempfile::TempDir,
}

impl OnSocket {
    pub(crate) async fn start() -> Self {
        Self::start_with(crate::fakes::world()).await
    }

    pub(crate) async fn start_with(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = ControlSocket::open(folder.path()).unwrap();
        let path = socket.path().to_owned();
        let (stop, shutdown) = watch::channel(false);
        let task = tokio::spawn(serve_socket(socket, world.api.clone(), shutdown));
        Self { world, path, stop, task, folder }
    }

    pub(crate) async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.unwrap()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        exchange(self.connect().await, &message(method, path, "portcullis", body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, Some(body)).await
    }
}

/// The edge on a port of the loopback interface.
pub(crate) struct OnPort {
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) task: JoinHandle<()>,
    pub(crate) door: watch::Sender<Door>,
}

impl OnPort {
    pub(crate) async fn start() -> Self {
        Self::start_with(crate::fakes::world(), None, Surface::ALL).await
    }

    pub(crate) async fn start_with(world: World, issuer: Option<Issuer>, surface: Surface) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, shutdown) = watch::channel(false);
        let names = Names::new(["https://login.example"]);
        let (door, receiver) = watch::channel(Door::default());
        let front =
            Front { api: world.api.clone(), issuer, names, surface, secure: false, door: receiver };
        let task = tokio::spawn(serve_tcp(listener, front, shutdown));
        Self { world, address, stop, task, door }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn send(&self, request: &str) -> Answer {
        exchange(self.connect().await, request).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        self.send(&message(method, path, "localhost", body)).await
    }

    /// The same with further header lines.
    pub(crate) async fn call_with(
        &self,
        (method, path): (&str, &str),
        body: Option<&str>,
        lines: &str,
    ) -> Answer {
        let message = message(method, path, "localhost", body);
        self.send(&message.replacen(
            "Host: localhost\r\n",
            &format!("Host: localhost\r\n{lines}"),
            1,
        ))
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }
}
