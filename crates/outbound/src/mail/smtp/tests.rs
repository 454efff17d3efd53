use super::*;
use crate::mail::compose::compose;
use base::UnixMs;
use base::mail::Draft;

fn message(to: &str, subject: &str, text: &str) -> Message {
    Message::new(Draft {
        kind: "test",
        to: MailAddress::parse(to).unwrap(),
        subject: subject.to_owned(),
        text: text.to_owned(),
        html: format!("<p>{text}</p>"),
        useful_for: Duration::from_secs(60),
    })
    .unwrap()
}

fn written(message: &Message, name: &str) -> String {
    let from = MailAddress::parse("no-reply@example.com").unwrap();
    let (_, bytes) = compose(message, (name, &from), UnixMs(1_764_000_000_000)).unwrap();
    String::from_utf8(bytes.expose().clone()).unwrap()
}

#[test]
fn rfc5322_s2_1_a_message_as_it_is_sent() {
    let text = written(&message("ada@example.com", "Hello", "one\n.two\n"), "Northwind");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    for line in [
        "From: Northwind <no-reply@example.com>",
        "To: ada@example.com",
        "Subject: Hello",
        "Date: Mon, 24 Nov 2025 16:00:00 +0000",
        "MIME-Version: 1.0",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(head.lines().any(|it| it == line), "{line:?} is not in {head}");
    }
    assert!(head.contains("multipart/alternative"), "{head}");
    assert!(body.contains("one\r\n.two\r\n"), "{body}");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "a bare line break in {text:?}");
}

#[test]
fn rfc2047_s2_words_of_other_scripts_are_encoded() {
    let text = written(&message("ada@example.com", "Grüße aus Köln", "Grüße"), "Nordwind Büro");
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("Subject: =?utf-8?"), "{text}");
}

#[test]
fn two_messages_share_neither_id_nor_boundary() {
    let message = message("ada@example.com", "Hello", "Hello");
    let ids = |text: &str| {
        let mut lines = text.lines();
        let id = lines.find(|it| it.starts_with("Message-ID: <")).unwrap().to_owned();
        let boundary =
            text.split_once("boundary=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        (id, boundary)
    };
    let (one, other) = (ids(&written(&message, "")), ids(&written(&message, "")));
    assert!(one.0.ends_with("@example.com>"), "{}", one.0);
    assert_ne!(one.0, other.0);
    assert_ne!(one.1, other.1);
}

#[test]
fn what_is_near() {
    for near in
        ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
    {
        assert!(is_near(near.parse().unwrap()), "{near}");
    }
    for far in [
        "8.8.8.8",
        "0.0.0.0",
        "169.254.169.254",
        "100.64.0.1",
        "2001:4860:4860::8888",
        "fe80::1",
        "::",
        "::ffff:8.8.8.8",
    ] {
        assert!(!is_near(far.parse().unwrap()), "{far}");
    }
}

#[test]
fn rfc5321_s4_2_1_which_failures_are_final() {
    for last in [SmtpError::Refused(550), SmtpError::Message] {
        assert!(last.is_final(), "{last}");
    }
    for again in [
        SmtpError::Later(451),
        SmtpError::Credentials,
        SmtpError::NoTls,
        SmtpError::Tls(String::new()),
        SmtpError::Timeout(DELIVERY),
        SmtpError::Unreachable(String::new()),
        SmtpError::Answer,
        SmtpError::Public,
    ] {
        assert!(!again.is_final(), "{again}");
    }
}
