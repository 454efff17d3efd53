use super::*;

const AT: UnixMs = UnixMs(1_764_000_000_000);
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn sender() -> Sender<'static> {
    Sender {
        name: "Northwind <APIs> & Co.",
        url: "https://login.example",
        language: Language::English,
    }
}

fn ada() -> MailAddress {
    MailAddress::parse("ada@example.com").unwrap()
}

fn seen(user_agent: &str) -> Seen<'_> {
    Seen { at: AT, address: Some("192.0.2.7".parse().unwrap()), user_agent }
}

fn link(url: &str) -> Link<'_> {
    Link { url, works_for: Duration::from_secs(600) }
}

/// All messages, with what a stranger may choose set to `chosen`.
fn all(chosen: &str) -> Vec<Message> {
    let url = "https://login.example/recover#s=abc&t=1";
    let (sender, to) = (sender(), ada);
    let changes = [
        MethodChange::PasswordSet,
        MethodChange::PasswordRemoved,
        MethodChange::AppAdded(chosen),
        MethodChange::AppRemoved(chosen),
        MethodChange::PasskeyAdded(chosen),
        MethodChange::PasskeyRemoved(chosen),
        MethodChange::CodesMade,
        MethodChange::CodeUsed(0),
        MethodChange::CodeUsed(1),
        MethodChange::CodeUsed(7),
        MethodChange::AddressChanged,
        MethodChange::ProviderLinked(chosen),
        MethodChange::ProviderUnlinked(chosen),
        MethodChange::Reset,
    ];
    let recovery = Recovery { code: "123 456", link: link(url), seen: seen(chosen) };
    let mut all = vec![
        Invitation { link: link(url) }.to(sender, to()).unwrap(),
        AddressProof { code: "123 456", link: link(url) }.to(sender, to()).unwrap(),
        recovery.to(sender, to()).unwrap(),
        NewDevice { seen: seen(chosen) }.to(sender, to()).unwrap(),
        OwnKeyMade { name: chosen, scopes: &["orders:read".to_owned()], seen: seen(chosen) }
            .to(sender, to())
            .unwrap(),
        PasskeyCopied { name: chosen, seen: seen(chosen) }.to(sender, to()).unwrap(),
    ];
    all.extend(
        changes
            .map(|change| MethodsChanged { change, seen: seen(chosen) }.to(sender, to()).unwrap()),
    );
    all
}

#[test]
fn the_message_of_recovery_as_a_whole() {
    let url = "https://login.example/recover#s=abc&t=1";
    let letter = Recovery { code: "123 456", link: link(url), seen: seen(FIREFOX) };
    let message = letter.to(sender(), ada()).unwrap();
    assert_eq!(message.kind(), "recovery");
    assert_eq!(message.useful_for(), Duration::from_secs(600));
    assert_eq!(message.subject(), "Get back into your account at Northwind <APIs> & Co.");
    let text = message.text().expose();
    assert!(text.contains("\n    123 456\n"), "{text}");
    assert!(text.contains("\nGo on:\nhttps://login.example/recover#s=abc&t=1\n"), "{text}");
    assert!(text.contains("Either works once, for 10 minutes."), "{text}");
    assert!(
        text.contains(
            "    When: 24 November 2025, 16:00 UTC\n    From: 192.0.2.7\n    With: Firefox on Linux\n"
        ),
        "{text}"
    );
    let html = message.html().expose();
    let href = "href=\"https://login.example/recover#s=abc&amp;t=1\"";
    assert!(html.contains(href), "{html}");
    assert!(html.contains("<p class=\"code\">123 456</p>"), "{html}");
    assert!(html.contains("Northwind &lt;APIs&gt; &amp; Co."), "{html}");
    assert!(!html.contains("<APIs>"), "{html}");
}

#[test]
fn both_forms_say_the_same() {
    for message in all("Key 5.1") {
        let (text, html) = (message.text().expose(), message.html().expose());
        assert!(text.starts_with(message.subject()), "{text}");
        for line in text.lines().filter(|it| !it.is_empty() && *it != "-- ") {
            // Names of facts and links stand apart in HTML.
            let said = line.trim().rsplit(": ").next().unwrap().trim_end_matches(':');
            assert!(html.contains(&body::escape(said)), "{said:?} is not in {html}");
        }
    }
}

#[test]
fn a_stranger_writes_nothing_into_a_message() {
    let bait = "<img src=x onerror=alert(1)> https://evil.example/x www.evil.example ada@evil.example\r\nBcc: a@b\u{202e}";
    for message in all(bait) {
        for form in [message.text().expose(), message.html().expose()] {
            for part in ["<img", "evil.example", "@evil", "Bcc:", "\u{202e}", "onerror="] {
                assert!(!form.contains(part), "{part:?} stands in {form}");
            }
        }
    }
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    for message in all("Key") {
        let html = message.html().expose();
        for part in
            ["<img", "<script", "<link", "<iframe", "src=", "url(", "@import", " style=", "<table"]
        {
            assert!(!html.contains(part), "{part:?} stands in {html}");
        }
    }
}

#[test]
fn every_message_says_what_to_do_if_it_was_somebody_else() {
    for message in all("Key") {
        let text = message.text().expose();
        let said =
            ["If it was not you, sign in now", "you need not do anything", "delete this message"];
        assert!(said.iter().any(|it| text.contains(it)), "{text}");
    }
}

#[test]
fn what_is_no_web_address_is_no_link() {
    let letter = Invitation { link: link("javascript:alert(1)") };
    let message = letter.to(sender(), ada()).unwrap();
    assert!(!message.html().expose().contains("href"), "{}", message.html().expose());
}

#[test]
fn names_keep_what_is_no_address() {
    let check = |chosen: &str, expect: &str| assert_eq!(name(chosen), expect, "{chosen:?}");
    check("YubiKey 5.1 (work)", "YubiKey 5.1 (work)");
    check("Adas Schlüssel", "Adas Schlüssel");
    check("www.evil.example", "www evil example");
    check("http://1.2.3.4/x", "http 1.2.3.4 x");
    check("a\nb\tc", "a b c");
    check("...", "");
    check(&"x".repeat(500), &"x".repeat(NAME_CHARS));
}

#[test]
fn browsers_by_their_own_names() {
    let check = |agent: &str, expect| assert_eq!(browser(agent), expect, "{agent}");
    check(FIREFOX, (Some("Firefox"), Some("Linux")));
    check(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
        (Some("Edge"), Some("Windows")),
    );
    check(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
        (Some("Safari"), Some("iPhone")),
    );
    check("", (None, None));
    check("portcullis-cli", (None, None));
}
