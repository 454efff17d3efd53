//! A client that sends exactly the bytes it is given.

use crate::http::{self, Body, Framing, Reader};
use crate::tls::{self, Authority};
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long it waits for the other side, unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An answer as it arrived.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The exact bytes up to and with the empty line.
    pub head: Vec<u8>,
    /// The header lines, in their order and spelling.
    pub headers: Vec<(String, String)>,
    /// The body, freed of its chunks.
    pub body: Body,
    /// The heads of interim (1xx) answers that came before.
    pub interim: Vec<Vec<u8>>,
}

impl Response {
    /// The first value of `name`, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.values(name).first().copied()
    }

    /// The values of every line called `name`, whatever its case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        http::values(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.kept).into_owned()
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body.kept).unwrap_or_default()
    }

    /// The `code` of a problem (RFC 9457); empty where it is none.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct RawClient {
    reader: Reader<Stream>,
}

impl RawClient {
    /// A connection to `HOST:PORT`, with or without `http://` before it and a path behind it.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn connect(to: &str) -> Self {
        let address = resolve(to);
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("a connection");
        Self::over(stream)
    }

    /// The same from a local address, so that a gate on 127.0.0.1 sees another client: any of 127.0.0.0/8.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn connect_from(from: IpAddr, to: &str) -> Self {
        let address = resolve(to);
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(from, 0).into()).expect("a local address");
        socket.connect_timeout(&address.into(), PATIENCE).expect("a connection");
        Self::over(socket.into())
    }

    /// Over a connection that was made elsewhere.
    pub fn over(stream: TcpStream) -> Self {
        Self::of(Stream::Plain(stream))
    }

    /// A TLS connection to `to` that asks for the server `name`, trusts `authority` alone and offers the
    /// protocols of `alpn`.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn connect_tls(to: &str, name: &str, authority: &Authority, alpn: &[&str]) -> Self {
        let stream = TcpStream::connect_timeout(&resolve(to), PATIENCE).expect("a connection");
        let _ = stream.set_read_timeout(Some(PATIENCE));
        Self::of(Stream::Tls(Box::new(tls::over(stream, name, authority.client(alpn)))))
    }

    fn of(stream: Stream) -> Self {
        let _ = stream.socket().set_nodelay(true);
        let client = Self { reader: Reader::new(stream) };
        client.patience(PATIENCE);
        client
    }

    /// The TLS connection, with what was agreed on once bytes have gone both ways.
    pub fn tls(&self) -> Option<&ClientConnection> {
        match &self.reader.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(&stream.conn),
        }
    }

    /// How long to wait for bytes from now on.
    pub fn patience(&self, patience: Duration) {
        let _ = self.reader.stream.socket().set_read_timeout(Some(patience));
        let _ = self.reader.stream.socket().set_write_timeout(Some(patience));
    }

    /// The local end.
    ///
    /// # Panics
    /// When the connection has none any more.
    pub fn local(&self) -> SocketAddr {
        self.reader.stream.socket().local_addr().expect("a local address")
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        self.reader.stream.socket()
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    /// When the other side does not take them.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.stream.write_all(bytes)?;
        self.reader.stream.flush()
    }

    /// Sends exactly these bytes.
    ///
    /// # Panics
    /// When the other side does not take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the bytes are taken");
    }

    /// Says that no more will be sent.
    pub fn finish(&self) {
        let _ = self.reader.stream.socket().shutdown(Shutdown::Write);
    }

    /// The answer to a request of `method`.
    ///
    /// # Errors
    /// When none comes in time, the connection ends, or it is not HTTP.
    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let mut interim = Vec::new();
        loop {
            let head = self.reader.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = status(&head)?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(head);
                continue;
            }
            let headers = http::headers(&head);
            // RFC 9112 §6.3: these have no body whatever their headers say.
            let bare = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let framing = match bare {
                true => Framing::None,
                false => http::framing(&headers, Framing::Close),
            };
            let body = self.reader.body(framing)?;
            return Ok(Response { status, head, headers, body, interim });
        }
    }

    /// The answer to a request that was no HEAD.
    ///
    /// # Panics
    /// As [`Self::try_response`] fails.
    pub fn response(&mut self) -> Response {
        self.try_response("GET").expect("an answer")
    }

    /// The answer's head alone, leaving the body to [`Self::read_some`]; for streams.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn response_head(&mut self) -> Response {
        let head = self.reader.head().expect("an answer").expect("an answer before the end");
        let (status, headers) = (status(&head).expect("a status line"), http::headers(&head));
        Response { status, head, headers, body: Body::default(), interim: Vec::new() }
    }

    /// Sends `bytes` and waits for the answer.
    ///
    /// # Panics
    /// When the bytes are not taken or no answer comes in time.
    pub fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        self.send(bytes);
        self.response()
    }

    /// Whatever bytes come next, as they are; empty at the end of the stream.
    ///
    /// # Errors
    /// When none come in time.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        let buffered = self.reader.take_buffered();
        if !buffered.is_empty() {
            return Ok(buffered);
        }
        let mut chunk = vec![0; 64 * 1024];
        let read = self.reader.stream.read(&mut chunk)?;
        chunk.truncate(read);
        Ok(chunk)
    }

    /// Whether the other side ends the connection within `within`; bytes that still come are dropped.
    pub fn is_closed(&mut self, within: Duration) -> bool {
        self.patience(within);
        let closed = loop {
            match self.read_some() {
                Ok(bytes) if bytes.is_empty() => break true,
                Ok(_) => {}
                Err(error) => {
                    break !matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    );
                }
            }
        };
        self.patience(PATIENCE);
        closed
    }
}

/// One request over a connection of its own: `url` is `http://HOST:PORT/PATH`.
///
/// # Panics
/// When no answer comes.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let (authority, path) = split(url);
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut client = RawClient::connect(authority);
    // A refusal may come, and the connection end, before the whole body is taken.
    let _ = client.try_send(&[head.as_bytes(), b"\r\n", body].concat());
    client.try_response(method).expect("an answer")
}

/// GET over a connection of its own.
///
/// # Panics
/// When no answer comes.
pub fn get(url: &str, headers: &[(&str, &str)]) -> Response {
    request("GET", url, headers, &[])
}

fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    (authority, if path.is_empty() { "/" } else { path })
}

fn resolve(to: &str) -> SocketAddr {
    let (authority, _) = split(to);
    let mut all: Vec<SocketAddr> = authority.to_socket_addrs().expect("HOST:PORT").collect();
    // `localhost` may name ::1 first, where the gate need not listen.
    all.sort_by_key(SocketAddr::is_ipv6);
    *all.first().expect("an address")
}

fn status(head: &[u8]) -> io::Result<u16> {
    let line = http::first_line(head);
    let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    code.and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other(format!("not a status line: {line:?}")))
}
