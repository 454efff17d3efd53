//! Mail over SMTP against npm's `smtp-server`, read with `mailparser`; and against servers that lie.

use base::mail::{Draft, MailAddress};
use base::{
    BoxFuture, FakeClock, Mail as _, Message, Resolve, ResolveError, Resolved, Secret, UnixMs,
};
use outbound::mail::{
    Carried, DELIVERY, Delivery, MailQueue, Security, Smtp, SmtpError, SmtpServer,
};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use testkit::{Authority, Node};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const USER: &str = "portcullis";
const PASSWORD: &str = "correct horse ≠ battery";

/// Every name leads here.
#[derive(Debug)]
struct Leads(IpAddr);

impl Resolve for Leads {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Resolved, ResolveError>> {
        let found = Resolved { addresses: vec![self.0], ttl: Duration::ZERO };
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// A server, its certificate authority, and where its messages lie.
struct Server {
    folder: TempDir,
    authority: Authority,
    node: Node,
}

impl Server {
    /// Asks for TLS as `security` says and for a user; `with` has the last word.
    fn start(security: Security, names: &[&str], with: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let (cert, key) = authority.write(folder.path(), "server", names);
        let mut asked = json!({
            "folder": folder.path(), "cert": cert, "key": key, "user": USER, "password": PASSWORD,
            "secure": security == Security::Tls, "starttls": security == Security::StartTls,
        });
        for (name, value) in with.as_object().unwrap() {
            asked[name] = value.clone();
        }
        let node = Node::start("smtp.mjs", &[&asked.to_string()]);
        Self { folder, authority, node }
    }

    fn port(&self) -> u16 {
        self.node.ready()["port"].as_u64().unwrap().try_into().unwrap()
    }

    fn settings(&self, security: Security) -> SmtpServer {
        SmtpServer {
            credentials: Some((USER.to_owned(), Secret::new(PASSWORD.to_owned()))),
            extra_roots: Some(self.authority.pem().as_bytes().to_vec()),
            ..settings(security, self.port())
        }
    }

    /// The `n`th message, from 1.
    fn message(&self, n: usize) -> Option<Value> {
        let text = std::fs::read(self.folder.path().join(format!("{n}.json"))).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }
}

fn settings(security: Security, port: u16) -> SmtpServer {
    SmtpServer {
        security,
        host: "localhost".to_owned(),
        port,
        credentials: None,
        extra_roots: None,
        from_name: "Northwind".to_owned(),
        from: MailAddress::parse("no-reply@northwind.example").unwrap(),
    }
}

fn smtp(server: SmtpServer) -> Smtp {
    let clock = Arc::new(FakeClock::at(UnixMs(1_764_000_000_000)));
    let here = Arc::new(Leads("127.0.0.1".parse().unwrap()));
    Smtp::with_resolver(server, clock, here).unwrap()
}

fn draft() -> Draft {
    Draft {
        kind: "test",
        to: MailAddress::parse("ada@example.com").unwrap(),
        subject: "Hello".to_owned(),
        text: "Hello\n".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        useful_for: Duration::from_secs(600),
    }
}

fn message() -> Message {
    Message::new(draft()).unwrap()
}

#[tokio::test]
async fn rfc3207_a_message_goes_over_starttls_with_a_password() {
    let server = Server::start(Security::StartTls, &["localhost"], json!({}));
    let smtp = smtp(server.settings(Security::StartTls));
    let long = "x".repeat(3000);
    let text = format!("Grüße\n.\n.dot\nFrom here\n{long}\n");
    let html = format!("<p class=\"a\">Grüße = &amp; {long}</p>");
    let draft = Draft { subject: "Grüße aus Köln".to_owned(), text, html, ..draft() };
    let message = Message::new(draft).unwrap();
    smtp.deliver(&message).await.unwrap();
    let seen = server.message(1).unwrap();
    assert_eq!(seen["secure"], true);
    assert_eq!(seen["user"], USER);
    assert_eq!(seen["from"], "no-reply@northwind.example");
    assert_eq!(seen["fromName"], "Northwind");
    assert_eq!(seen["to"], json!(["ada@example.com"]));
    assert_eq!(seen["hello"], "northwind.example");
    assert_eq!(seen["subject"], "Grüße aus Köln");
    assert_eq!(seen["text"], message.text().expose().as_str());
    assert_eq!(seen["html"], message.html().expose().as_str());
    assert_eq!(seen["attachments"], 0);
    let raw = seen["raw"].as_str().unwrap();
    assert!(raw.is_ascii());
    // RFC 5322 §2.1.1.
    assert!(raw.split("\r\n").all(|line| line.len() <= 998));
}

#[tokio::test]
async fn rfc8314_s3_3_a_message_goes_over_tls_from_the_first_byte() {
    for method in ["PLAIN", "LOGIN"] {
        let with = json!({ "methods": [method] });
        let server = Server::start(Security::Tls, &["localhost"], with);
        smtp(server.settings(Security::Tls)).deliver(&message()).await.unwrap();
        let seen = server.message(1).unwrap();
        assert_eq!((&seen["secure"], &seen["user"]), (&json!(true), &json!(USER)), "{method}");
    }
}

#[tokio::test]
async fn rfc4954_s6_a_wrong_password_is_told_and_may_be_mended() {
    let server = Server::start(Security::Tls, &["localhost"], json!({}));
    let wrong = Some((USER.to_owned(), Secret::new("wrong".to_owned())));
    let smtp = smtp(SmtpServer { credentials: wrong, ..server.settings(Security::Tls) });
    let error = smtp.deliver(&message()).await.unwrap_err();
    assert_eq!(error, SmtpError::Credentials);
    assert!(server.message(1).is_none());
}

#[tokio::test]
async fn rfc8314_s4_a_certificate_that_is_not_trusted_ends_it() {
    for security in [Security::Tls, Security::StartTls] {
        let server = Server::start(security, &["localhost"], json!({}));
        let settings = SmtpServer { extra_roots: None, ..server.settings(security) };
        let error = smtp(settings).deliver(&message()).await.unwrap_err();
        assert!(matches!(&error, SmtpError::Tls(why) if why.contains("UnknownIssuer")), "{error}");
        assert!(server.message(1).is_none());
    }
}

#[tokio::test]
async fn rfc9525_a_certificate_for_another_name_ends_it() {
    for security in [Security::Tls, Security::StartTls] {
        let server = Server::start(security, &["mail.evil.example"], json!({}));
        let error = smtp(server.settings(security)).deliver(&message()).await.unwrap_err();
        assert!(
            matches!(&error, SmtpError::Tls(why) if why.contains("not valid for name")),
            "{error}"
        );
        assert!(server.message(1).is_none());
    }
}

#[tokio::test]
async fn rfc3207_s6_without_starttls_nothing_is_sent() {
    let server = Server::start(Security::Plain, &["localhost"], json!({}));
    let error = smtp(server.settings(Security::StartTls)).deliver(&message()).await.unwrap_err();
    assert_eq!(error, SmtpError::NoTls);
    assert!(server.message(1).is_none());
}

#[tokio::test]
async fn a_relay_on_this_machine_needs_no_tls() {
    let server = Server::start(Security::Plain, &["localhost"], json!({ "user": null }));
    smtp(settings(Security::Plain, server.port())).deliver(&message()).await.unwrap();
    assert_eq!(server.message(1).unwrap()["secure"], false);
}

#[tokio::test]
async fn plain_smtp_never_leads_to_a_public_address() {
    let clock = Arc::new(FakeClock::at(UnixMs(0)));
    for public in ["192.0.2.1", "2001:db8::1", "169.254.169.254"] {
        let leads = Arc::new(Leads(public.parse().unwrap()));
        let settings = settings(Security::Plain, 25);
        let smtp = Smtp::with_resolver(settings, clock.clone(), leads).unwrap();
        assert_eq!(smtp.deliver(&message()).await, Err(SmtpError::Public), "{public}");
    }
}

#[tokio::test]
async fn rfc5321_s4_2_1_refusals_by_their_code_and_without_the_address() {
    for (code, expect) in [(450, SmtpError::Later(450)), (550, SmtpError::Refused(550))] {
        let server = Server::start(Security::Tls, &["localhost"], json!({ "refuse": code }));
        let error = smtp(server.settings(Security::Tls)).deliver(&message()).await.unwrap_err();
        assert_eq!(error, expect);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("ada") && !shown.contains("not here"), "{shown}");
    }
}

#[tokio::test]
async fn rfc5322_s2_2_no_header_is_added_by_what_somebody_typed() {
    let server = Server::start(Security::Tls, &["localhost"], json!({}));
    let smtp = smtp(SmtpServer {
        from_name: "North\"wind <x@y>, Inc".to_owned(),
        ..server.settings(Security::Tls)
    });
    let subjects = ["=?utf-8?q?a=0D=0ABcc:_eve@evil.example?=", "a: b\tc", "\"<>\\;,", "ü\u{a0}x"];
    let mut sent = 0;
    for subject in subjects {
        let Ok(message) = Message::new(Draft { subject: subject.to_owned(), ..draft() }) else {
            // A tab is a control character.
            assert!(subject.contains('\t'));
            continue;
        };
        smtp.deliver(&message).await.unwrap();
        sent += 1;
        let seen = server.message(sent).unwrap();
        assert_eq!(seen["to"], json!(["ada@example.com"]), "{subject}");
        let mut names: Vec<_> = seen["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap().split(':').next().unwrap().to_lowercase())
            .collect();
        names.sort();
        let expect = [
            "auto-submitted",
            "content-type",
            "date",
            "from",
            "message-id",
            "mime-version",
            "subject",
            "to",
        ];
        assert_eq!(names, expect, "{subject}");
    }
    assert_eq!(sent, 3);
}

#[tokio::test]
async fn rfc6531_addresses_in_other_scripts() {
    let server = Server::start(Security::Tls, &["localhost"], json!({}));
    let to = MailAddress::parse("jürgen@bücher.example").unwrap();
    let message = Message::new(Draft { to, ..draft() }).unwrap();
    smtp(server.settings(Security::Tls)).deliver(&message).await.unwrap();
    let seen = server.message(1).unwrap();
    assert!(seen["to"][0].as_str().unwrap().starts_with("jürgen@"), "{}", seen["to"]);
}

/// A server that says these things, one after each thing that it hears, and then listens.
async fn scripted(lines: &'static [&'static str]) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&heard);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        for line in lines {
            stream.write_all(line.as_bytes()).await.unwrap();
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            keep.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        std::future::pending::<()>().await;
    });
    (port, heard)
}

#[tokio::test]
async fn rfc3207_s6_answers_smuggled_before_tls_are_refused() {
    let lines = &[
        "220 mail\r\n",
        "250-mail\r\n250 STARTTLS\r\n",
        "220 go\r\n250-mail\r\n250 AUTH PLAIN\r\n",
    ];
    let (port, heard) = scripted(lines).await;
    let error = smtp(settings(Security::StartTls, port)).deliver(&message()).await.unwrap_err();
    assert_eq!(error, SmtpError::Answer);
    assert_eq!(*heard.lock().unwrap(), "EHLO northwind.example\r\nSTARTTLS\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_left_in_time() {
    for security in [Security::Tls, Security::StartTls, Security::Plain] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = smtp(settings(security, port)).deliver(&message()).await.unwrap_err();
        assert_eq!(error, SmtpError::Timeout(DELIVERY), "{security:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    for (security, piece) in [
        (Security::StartTls, "220-mail\r\n"),
        (Security::StartTls, "220 mail"),
        (Security::Plain, "220-mail\r\n"),
        (Security::Plain, "220 mail"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (bytes, mut said) = (piece.repeat(1000), 0_usize);
            while stream.write_all(bytes.as_bytes()).await.is_ok() {
                said += bytes.len();
            }
            said
        });
        let error = smtp(settings(security, port)).deliver(&message()).await.unwrap_err();
        let closed = matches!(error, SmtpError::Answer | SmtpError::Unreachable(_));
        assert!(closed, "{security:?} {piece:?}: {error:?}");
        // It ends at all, since we closed; what it said lay in the buffers of two sockets.
        assert!(said.await.unwrap() < 64 * 1024 * 1024);
    }
}

#[tokio::test]
async fn the_queue_sends_in_the_background_and_tells_no_address() {
    let server = Server::start(Security::StartTls, &["localhost"], json!({}));
    let log = Arc::new(Mutex::new(Vec::<Delivery>::new()));
    let told = {
        let log = Arc::clone(&log);
        Arc::new(move |delivery: &Delivery| log.lock().unwrap().push(delivery.clone())) as _
    };
    let queue = MailQueue::new(smtp(server.settings(Security::StartTls)), told);
    for _ in 0..6 {
        queue.send(message()).await.unwrap();
    }
    assert_eq!(queue.close(Duration::from_secs(30)).await, 0);
    assert!(server.message(6).is_some());
    let log = log.lock().unwrap();
    assert!(log.len() == 6 && log.iter().all(|it| it.carried == Carried::Sent), "{log:?}");
    assert!(!format!("{log:?} {queue:?}").contains("ada"));
}
