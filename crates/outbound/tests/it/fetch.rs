//! Answers good and bad.

use crate::server::{Names, operator, plain};
use base::{Fetch, FetchError, FetchResponse, Secret};
use outbound::HttpFetch;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

async fn ask(says: &'static [u8]) -> Result<FetchResponse, FetchError> {
    let (address, _requests) = plain(says).await;
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    client.fetch(operator(format!("http://{address}/jwks"))).await
}

#[tokio::test]
async fn a_document_comes_back() {
    let says = b"HTTP/1.1 200 OK\r\nContent-Type: Application/JWK-Set+json; charset=utf-8\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}";
    let (address, mut requests) = plain(says).await;
    let names = Names::new(&[&["127.0.0.1"]]);
    let client = HttpFetch::new(names.clone(), None).unwrap();
    let url = format!("http://issuer.test:{}/jwks?a=b", address.port());
    let response = client.fetch(operator(url)).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.media_type, "application/jwk-set+json");
    assert_eq!(response.body, b"{\"keys\":[]}");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    let request = requests.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("get /jwks?a=b http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: issuer.test:{}\r\n", address.port())));
    assert!(request.contains("accept: application/json\r\n"));
    assert!(!request.contains("authorization"));
}

#[tokio::test]
async fn a_form_is_posted_with_basic_credentials() {
    let says = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let (address, mut requests) = plain(says).await;
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let mut request = operator(format!("http://{address}/introspect"));
    request.form = Some(vec![("token".to_owned(), Secret::new("a b".to_owned()))]);
    request.basic = Some(("gate".to_owned(), Secret::new("pass".to_owned())));
    assert!(!format!("{request:?}").contains("pass"));
    client.fetch(request).await.unwrap();
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /introspect HTTP/1.1\r\n"), "{request}");
    assert!(
        request.to_ascii_lowercase().contains("content-type: application/x-www-form-urlencoded")
    );
    assert!(request.contains("Basic Z2F0ZTpwYXNz"));
    assert!(request.ends_with("\r\n\r\ntoken=a+b"), "{request}");
}

#[tokio::test]
async fn a_body_without_length_ends_with_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        crate::server::read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
    });
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let response = client.fetch(operator(format!("http://{address}/"))).await.unwrap();
    assert_eq!(response.body, b"hello");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let says =
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/secret\r\nContent-Length: 0\r\n\r\n";
    let (address, mut requests) = plain(says).await;
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let response = client.fetch(operator(format!("http://{address}/"))).await.unwrap();
    assert_eq!(response.status, 302);
    assert!(requests.recv().await.is_some());
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let declared = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nxxxx";
    let (address, _requests) = plain(declared).await;
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let url = format!("http://{address}/");
    assert_eq!(client.fetch(operator(url)).await.unwrap_err(), FetchError::TooLarge(1024));
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        crate::server::read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(b"8\r\nxxxxxxxx\r\n").await.is_ok() {}
    });
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let url = format!("http://{address}/");
    assert_eq!(client.fetch(operator(url)).await.unwrap_err(), FetchError::TooLarge(1024));
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for says in [
        b"\x00\x01\x02\x03\r\n\r\n".as_slice(),
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let outcome = ask(says).await;
        assert!(matches!(outcome, Err(FetchError::Unreachable(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        crate::server::read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await.unwrap();
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    });
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let outcome = client.fetch(operator(format!("http://{address}/"))).await;
    assert!(matches!(outcome, Err(FetchError::Unreachable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        crate::server::read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    });
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let outcome = client.fetch(operator(format!("http://{address}/"))).await;
    assert!(matches!(outcome, Err(FetchError::Unreachable(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_drip_ends_by_the_clock() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        crate::server::read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut pace = tokio::time::interval(Duration::from_millis(500));
        loop {
            pace.tick().await;
            if stream.write_all(b"x").await.is_err() {
                break;
            }
        }
    });
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let outcome = client.fetch(operator(format!("http://{address}/"))).await;
    assert_eq!(outcome.unwrap_err(), FetchError::Timeout(Duration::from_secs(10)));
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let says = b"HTTP/1.1 204 No Content\r\n\r\n";
    let (address, _requests) = plain(says).await;
    // 127.0.0.2 has no listener on that port: the server is bound to 127.0.0.1 only.
    let names = Names::new(&[&["127.0.0.2", "127.0.0.1"]]);
    let client = HttpFetch::new(names, None).unwrap();
    let url = format!("http://issuer.test:{}/", address.port());
    assert_eq!(client.fetch(operator(url)).await.unwrap().status, 204);
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let outcome = client.fetch(operator(format!("http://{address}/"))).await;
    assert!(matches!(outcome, Err(FetchError::Unreachable(_))), "{outcome:?}");
    let outcome = client.fetch(operator("http://nowhere.test/".to_owned())).await;
    assert!(matches!(outcome, Err(FetchError::Unreachable(_))), "{outcome:?}");
}
