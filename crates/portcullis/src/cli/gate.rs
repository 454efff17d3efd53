//! The client of a running gate: HTTP/1.1 over the socket in its data folder, or over the network with a token.
//!
//! Invariants: every answer is bounded in bytes and, unless it is followed, in time; no redirect is followed, so a token
//! goes to the gate that was named and nowhere else.

use super::error::{CliError, Refusal};
use super::login;
use super::web::Origin;
use base::Secret;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Bytes of one answer. A page of 1000 rows has some 500 KB, a query's rows may have more.
const ANSWER_BYTES: usize = 64 << 20;
/// Bytes of one line of a followed answer.
const LINE_BYTES: usize = 1 << 20;
/// How long an answer may take; the gate gives a query 60 s.
const ANSWER_TIME: Duration = Duration::from_secs(75);
/// Rows of one page.
const PAGE: usize = 1000;
/// Rows of a whole listing; beyond, the API's pages are the way.
const ROWS: usize = 100_000;

/// A gate, by its data folder or its URL.
#[derive(Debug)]
pub(super) struct Gate {
    data: PathBuf,
    remote: Option<Origin>,
}

impl Gate {
    /// The gate of a data folder, or the one at `url`.
    ///
    /// # Errors
    /// When the URL is none that a token may be sent to.
    pub(super) fn new(data: &Path, url: Option<&str>) -> Result<Self, CliError> {
        let remote = url.map(Origin::parse).transpose()?;
        Ok(Self { data: data.to_path_buf(), remote })
    }

    /// Whether it is reached over the network.
    pub(super) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// The data folder.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// GET.
    pub(super) async fn fetch(&self, path: &str) -> Result<Value, CliError> {
        self.ask(Method::GET, path, None).await
    }

    /// POST.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// DELETE.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.ask(Method::DELETE, path, None).await
    }

    /// All rows of a listing, whose pages lie under `name`.
    pub(super) async fn list(
        &self,
        path: &str,
        query: &[(&str, &str)],
        name: &str,
    ) -> Result<Vec<Value>, CliError> {
        let mut rows = Vec::new();
        let mut after: Option<String> = None;
        let limit = PAGE.to_string();
        while rows.len() < ROWS {
            let mut query = query.to_vec();
            query.push(("limit", &limit));
            if let Some(after) = &after {
                query.push(("after", after));
            }
            let mut page = self.fetch(&target(path, &query)).await?;
            match page.get_mut(name).map(Value::take) {
                Some(Value::Array(items)) => rows.extend(items),
                _ => return Err(CliError::Broken(format!("the answer has no `{name}`"))),
            }
            let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() || next == after {
                return Ok(rows);
            }
            after = next;
        }
        Err(CliError::Broken(format!("more than {ROWS} rows; ask {path} for its pages")))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CliError> {
        let exchange = async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
            let bytes = body.map_err(|error| CliError::Broken(error.to_string()))?.to_bytes();
            read_answer(status, &bytes)
        };
        match tokio::time::timeout(ANSWER_TIME, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(CliError::Broken("it took longer than 75 s".to_owned())),
        }
    }

    /// A followed answer, line by line.
    pub(super) async fn follow(&self, path: &str) -> Result<Lines, CliError> {
        let response = self.send(Method::GET, path, None).await?;
        if response.status().is_success() {
            return Ok(Lines { body: response.into_body(), buffer: BytesMut::new() });
        }
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        let bytes = body.map_err(|error| CliError::Broken(error.to_string()))?.to_bytes();
        Err(match read_answer(status, &bytes) {
            Err(error) => error,
            Ok(_) => CliError::Broken(format!("status {status}")),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, CliError> {
        let broken = |error: &dyn std::error::Error| CliError::Broken(error.to_string());
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| broken(&error))?,
            None => Vec::new(),
        };
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        request = request.header(ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let mut request =
            request.body(Full::new(Bytes::from(bytes))).map_err(|error| broken(&error))?;
        if let Some(origin) = &self.remote {
            let token = login::token(origin).await?;
            let value = Secret::new(format!("Bearer {}", token.expose()));
            let mut value =
                HeaderValue::try_from(value.expose()).map_err(|error| broken(&error))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
            let response = origin.send(request).await?;
            return match response.status() {
                StatusCode::UNAUTHORIZED => Err(CliError::SignIn(origin.text().to_owned())),
                _ => Ok(response),
            };
        }
        let stream = self.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        // The connection ends with its one exchange; its error, if any, is also the exchange's.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| broken(&error))
    }

    async fn connect(&self) -> Result<UnixStream, CliError> {
        let socket = self.data.join("control.sock");
        let stream = UnixStream::connect(&socket).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                CliError::NoGate(self.data.clone())
            }
            ErrorKind::PermissionDenied => CliError::Forbidden(self.data.clone()),
            _ => CliError::Broken(format!("{}: {error}", socket.display())),
        })?;
        // WHY: in a folder of somebody else, somebody else may listen, take what is typed and answer with a
        // key of their own making. Root may be a client of any user's gate, and knows whose folder it names.
        let peer = stream.peer_cred().map_err(|error| CliError::Broken(error.to_string()))?.uid();
        if !trusted(peer, nix::unistd::geteuid().as_raw()) {
            return Err(CliError::Forbidden(self.data.clone()));
        }
        Ok(stream)
    }
}

/// Whether a gate that runs as `peer` may serve a client that runs as `us`.
fn trusted(peer: u32, us: u32) -> bool {
    us == 0 || peer == us || peer == 0
}

fn read_answer(status: StatusCode, bytes: &[u8]) -> Result<Value, CliError> {
    if status.is_success() {
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        return serde_json::from_slice(bytes)
            .map_err(|_| CliError::Broken("the answer is not JSON".to_owned()));
    }
    match serde_json::from_slice::<Refusal>(bytes) {
        Ok(refusal) if !refusal.code.is_empty() => Err(CliError::Refused(refusal)),
        _ => Err(CliError::Broken(format!("status {status}"))),
    }
}

/// Lines of a followed answer.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// The next line as JSON; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, CliError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let value = serde_json::from_slice(&line)
                    .map_err(|_| CliError::Broken("a line is not JSON".to_owned()))?;
                return Ok(Some(value));
            }
            if self.buffer.len() > LINE_BYTES {
                return Err(CliError::Broken("a line is longer than 1 MiB".to_owned()));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| CliError::Broken(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// A path with a query.
pub(super) fn target(path: &str, query: &[(&str, &str)]) -> String {
    let mut target = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        let mark = if index == 0 { '?' } else { '&' };
        // Writing to a String cannot fail.
        let _ = write!(target, "{mark}{name}={}", escape(value));
    }
    target
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3); one segment stays one segment.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_of_another_user_is_not_talked_to() {
        assert!(trusted(1000, 1000) && trusted(0, 1000) && trusted(1000, 0));
        assert!(!trusted(1001, 1000));
    }

    #[test]
    fn a_segment_stays_one_segment() {
        assert_eq!(target("/a", &[("x", "../b c&d=é")]), "/a?x=%2E%2E%2Fb%20c%26d%3D%C3%A9");
    }
}
