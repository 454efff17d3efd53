use super::*;

fn draft() -> Draft {
    Draft {
        kind: "test",
        to: MailAddress::parse("ada@example.com").unwrap(),
        subject: "Hello".to_owned(),
        text: "Hello\n".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        useful_for: Duration::from_secs(60),
    }
}

#[test]
fn rfc5321_s4_1_2_addresses_that_are_taken() {
    for text in [
        "ada@example.com",
        "ada.lovelace+gate@mail.example.com",
        "o'brien_x=1@example.com",
        "jürgen@bücher.example",
        "root@localhost",
    ] {
        assert_eq!(MailAddress::parse(text).unwrap().as_str(), text);
    }
    assert_eq!(MailAddress::parse("a@b.example").unwrap().halves(), ("a", "b.example"));
}

#[test]
fn rfc5322_s2_2_no_address_holds_what_could_end_a_header_or_a_command() {
    let long = format!("{}@example.com", "a".repeat(65));
    let wide = format!("a@{}.example", "b".repeat(64));
    let endless = format!("a@{}", vec!["b".repeat(60); 5].join("."));
    for text in [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\n",
        "ada\r@example.com",
        "ada\0@example.com",
        "ada@exam ple.com",
        "ada lovelace@example.com",
        "Ada <ada@example.com>",
        "ada@example.com>",
        "\"ada\"@example.com",
        "ada@example.com,eve@example.com",
        "ada@[127.0.0.1]",
        ".ada@example.com",
        "a..b@example.com",
        "ada@-example.com",
        "ada@example..com",
        "ada@example.com.",
        "ada\u{2028}@example.com",
        "ada@eve@example.com",
        long.as_str(),
        wide.as_str(),
        endless.as_str(),
    ] {
        assert_eq!(MailAddress::parse(text), Err(MessageError::Address), "{text:?}");
    }
}

#[test]
fn rfc5322_s2_2_a_subject_is_one_line() {
    let long = "x".repeat(SUBJECT_CHARS + 1);
    for subject in
        ["", "a\r\nBcc: eve@example.com", "a\nb", "a\rb", "a\0", "a\u{2028}b", "a\u{85}b", &long]
    {
        let message = Message::new(Draft { subject: subject.to_owned(), ..draft() });
        assert_eq!(message.map(|_| ()), Err(MessageError::Subject), "{subject:?}");
    }
    let message = Message::new(Draft { subject: "x".repeat(SUBJECT_CHARS), ..draft() });
    assert!(message.is_ok());
}

#[test]
fn bodies_have_a_bound_and_no_controls() {
    let large = "x".repeat(BODY_BYTES + 1);
    for body in ["", "a\r\n", "a\0b", "a\u{1b}[2J", &large] {
        let text = Message::new(Draft { text: body.to_owned(), ..draft() });
        assert_eq!(text.map(|_| ()), Err(MessageError::Body), "{body:.20?}");
        let html = Message::new(Draft { html: body.to_owned(), ..draft() });
        assert_eq!(html.map(|_| ()), Err(MessageError::Body), "{body:.20?}");
    }
    assert!(Message::new(Draft { text: "x".repeat(BODY_BYTES), ..draft() }).is_ok());
}

#[test]
fn debug_shows_neither_address_nor_text() {
    let message = Message::new(draft()).unwrap();
    let shown = format!("{message:?} {:?}", message.to());
    assert!(shown.contains("test"));
    assert!(!shown.contains("ada") && !shown.contains("Hello"), "{shown}");
}
