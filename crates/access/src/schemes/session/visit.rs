//! A visit to the sign-in: what a browser brings back from the authority (ADR 12).
//!
//! INVARIANT: who comes back with a code is the browser that was sent: `state` is a hash of a cookie that no other has.
//! INVARIANT: one returns to a path of the same host, never to a URL.

use super::{SealError, Sealer};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base::{Secret, UnixMs};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The cookie's name over HTTPS, before the mark of the visit: several tabs may be on their way at once.
pub const COOKIE: &str = "__Host-portcullis-visit-";
/// Its name where a listener that only this machine reaches speaks plain HTTP.
pub const PLAIN_COOKIE: &str = "portcullis-visit-";
/// How long a person may take to sign in.
pub const LONGEST: Duration = Duration::from_secs(600);
/// Bytes of the place to return to; a longer one is not remembered, and one returns to `/`.
const BACK_BYTES: usize = 2_000;
/// Characters of `state` that name the cookie.
const MARK: usize = 12;
/// What a visit is sealed as.
const VISIT: &[u8] = b"visit 1";

/// What waits for the browser to come back.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Path and query to return to.
    pub back: Box<str>,
    /// The PKCE verifier (RFC 7636 §4.1).
    pub verifier: Secret<String>,
    /// The ID token's `nonce`.
    pub nonce: Box<str>,
    /// When the browser was sent.
    pub began_at: UnixMs,
}

/// A visit as it leaves with the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// `state` of the request.
    pub state: String,
    /// What follows [`COOKIE`] in the cookie's name.
    pub mark: String,
    /// The cookie's value.
    pub value: String,
}

impl Visit {
    /// Seals it for `host`.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, sealer: &Sealer, host: &str) -> Result<Sent, SealError> {
        let back = if returns_here(&self.back) { &*self.back } else { "/" };
        let text = json!({
            "p": back, "k": self.verifier.expose(), "n": &*self.nonce, "b": self.began_at.0,
        });
        let value = sealer.close(VISIT, host, text.to_string().into_bytes())?;
        let state = state(value.as_bytes());
        Ok(Sent { mark: mark(&state).unwrap_or_default().to_owned(), state, value })
    }

    /// The visit of the browser that came back with `state` and this cookie.
    pub fn open(
        sealer: &Sealer,
        host: &str,
        (returned, value): (&str, &[u8]),
        now: UnixMs,
    ) -> Option<Self> {
        // RFC 9700 §4.7.1: `state` is bound to the browser, and compared before anything is done with the code.
        verify_slices_are_equal(returned.as_bytes(), state(value).as_bytes()).ok()?;
        let plain = sealer.unclose(VISIT, host, value)?;
        let read: Map<String, Value> = serde_json::from_slice(&plain).ok()?;
        let text = |name: &str| read.get(name)?.as_str();
        let began_at = UnixMs(read.get("b")?.as_i64()?);
        let ahead = now.plus(base::limits::CLOCK_SKEW);
        if began_at > ahead || now >= began_at.plus(LONGEST) {
            return None;
        }
        Some(Self {
            back: text("p").filter(|it| returns_here(it))?.into(),
            verifier: Secret::new(text("k")?.to_owned()),
            nonce: text("n")?.into(),
            began_at,
        })
    }
}

/// When the visit in a cookie began, whatever its `state`; `None` for what is none of ours. It says which of several
/// is the oldest, and nothing else.
pub fn began(sealer: &Sealer, host: &str, value: &[u8]) -> Option<UnixMs> {
    let plain = sealer.unclose(VISIT, host, value)?;
    let read: Map<String, Value> = serde_json::from_slice(&plain).ok()?;
    read.get("b")?.as_i64().map(UnixMs)
}

/// What follows [`COOKIE`] in the name of the cookie that belongs to `state`.
pub fn mark(state: &str) -> Option<&str> {
    let mark = state.get(..MARK)?;
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    mark.chars().all(sound).then_some(mark)
}

fn state(value: &[u8]) -> String {
    protocol::b64::encode(digest(&SHA256, value))
}

/// Whether `Location: back` stays at this host, however a browser reads it.
///
/// WHY: `//evil.example` is a host, browsers read `\` as `/` and drop tabs and line ends (WHATWG URL §4.4).
fn returns_here(back: &str) -> bool {
    back.len() <= BACK_BYTES
        && back.starts_with('/')
        && !back.starts_with("//")
        && back.chars().all(|c| c.is_ascii_graphic() && c != '\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);
    const HOST: &str = "api.example.com";

    fn sealer() -> Sealer {
        Sealer::new(&Secret::new([3; 32])).expect("a key")
    }

    fn visit(back: &str) -> Visit {
        Visit {
            back: back.into(),
            verifier: Secret::new("v".repeat(43)),
            nonce: "n1".into(),
            began_at: NOW,
        }
    }

    fn back_of(sent: &Sent, host: &str, state: &str, now: UnixMs) -> Option<String> {
        let opened = Visit::open(&sealer(), host, (state, sent.value.as_bytes()), now)?;
        assert_eq!((opened.verifier.expose().as_str(), &*opened.nonce), (&*"v".repeat(43), "n1"));
        Some(opened.back.into())
    }

    #[test]
    fn rfc9700_s4_7_1_only_the_browser_that_was_sent_comes_back() {
        let sent = visit("/a?b=c").seal(&sealer(), HOST).expect("a visit");
        let other = visit("/a?b=c").seal(&sealer(), HOST).expect("a visit");
        assert_eq!(mark(&sent.state), Some(sent.mark.as_str()));
        assert_eq!(back_of(&sent, HOST, &sent.state, NOW).as_deref(), Some("/a?b=c"));
        assert_eq!(back_of(&sent, HOST, &other.state, NOW), None);
        assert_eq!(back_of(&sent, HOST, "", NOW), None);
        assert_eq!(back_of(&sent, "other.example.com", &sent.state, NOW), None);
        let last = NOW.plus(LONGEST);
        assert!(back_of(&sent, HOST, &sent.state, UnixMs(last.0 - 1)).is_some());
        assert_eq!(back_of(&sent, HOST, &sent.state, last), None);
        assert_eq!(back_of(&sent, HOST, &sent.state, UnixMs(NOW.0 - 31_000)), None);
    }

    #[test]
    fn a_visit_is_no_session_and_a_session_no_visit() {
        let sent = visit("/").seal(&sealer(), HOST).expect("a visit");
        assert_eq!(sealer().open(sent.value.as_bytes(), HOST), None);
        let session = super::super::tests::session();
        let value = sealer().seal(&session, HOST).expect("a session");
        let opened =
            Visit::open(&sealer(), HOST, (&state(value.as_bytes()), value.as_bytes()), NOW);
        assert!(opened.is_none());
    }

    #[test]
    fn attack_open_redirect() {
        for back in [
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/a\r\nset-cookie: x=y",
            "/a b",
            "/ü",
            "",
        ] {
            let sent = visit(back).seal(&sealer(), HOST).expect("a visit");
            assert_eq!(back_of(&sent, HOST, &sent.state, NOW).as_deref(), Some("/"), "{back:?}");
        }
        let long = format!("/{}", "a".repeat(BACK_BYTES));
        let sent = visit(&long).seal(&sealer(), HOST).expect("a visit");
        assert_eq!(back_of(&sent, HOST, &sent.state, NOW).as_deref(), Some("/"));
    }

    #[test]
    fn a_mark_can_stand_in_a_cookies_name() {
        assert_eq!(mark("short"), None);
        assert_eq!(mark("abc;def=ghijkl"), None);
        assert_eq!(mark("ääääääääääää"), None);
        assert_eq!(mark("abcDEF-_0123rest"), Some("abcDEF-_0123"));
    }

    proptest! {
        #[test]
        fn one_returns_to_a_path_of_this_host(back in any::<String>(), tail in "[ -~]{0,40}") {
            for back in [back, format!("/{tail}")] {
                let sent = visit(&back).seal(&sealer(), HOST).expect("a visit");
                let to = back_of(&sent, HOST, &sent.state, NOW).expect("a place");
                let second = to.as_bytes().get(1).copied();
                prop_assert!(to.starts_with('/') && !matches!(second, Some(b'/' | b'\\')));
                prop_assert!(to == back || to == "/");
            }
        }
    }
}
