//! Messages to people, and the trait that sends them. `outbound` implements it.
//!
//! Owns: what an address, a subject and a body may hold, so that nobody who sends one can write a header of their own.
//!
//! Invariant: no [`MailAddress`] and no subject holds a line break or another control character (RFC 5322 §2.2).

use crate::{BoxFuture, Secret};
use std::fmt;
use std::time::Duration;

/// Bytes of an address (RFC 5321 §4.5.3.1.3: a path of 256 with its angle brackets).
pub const ADDRESS_BYTES: usize = 254;
/// Bytes of what stands before the `@` (RFC 5321 §4.5.3.1.1).
const LOCAL_BYTES: usize = 64;
/// Bytes of a domain, and of one label of it (RFC 1035 §2.3.4).
const DOMAIN_BYTES: usize = 253;
const LABEL_BYTES: usize = 63;
/// Characters of a subject: more than any of ours has, with the name of an organisation in it.
pub const SUBJECT_CHARS: usize = 200;
/// Bytes of one form of a message; ours have about 4 KB, and a thousand may wait.
pub const BODY_BYTES: usize = 16 * 1024;

/// The address of a mailbox: `local@domain`, without a display name. `Debug` shows nothing of it: addresses stay out
/// of logs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MailAddress(String);

/// Why a text is not an address, or a message cannot be made. Never holds the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not `local@domain` of the characters that mail servers take.
    #[error("this is not a mail address")]
    Address,
    /// The subject is empty, too long or holds a control character.
    #[error("the subject is empty, longer than {SUBJECT_CHARS} characters, or not one line")]
    Subject,
    /// The text or its HTML form is empty, too long or holds a control character other than a line feed or tab.
    #[error("the text is empty, larger than {BODY_BYTES} bytes, or holds control characters")]
    Body,
}

impl MailAddress {
    /// Checks an address: a dot-atom, `@`, a host name (RFC 5321 §4.1.2); letters of other scripts are taken on both
    /// sides (RFC 6531), quoted local parts and address literals are not.
    ///
    /// # Errors
    /// [`MessageError::Address`].
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let (local, domain) = text.rsplit_once('@').ok_or(MessageError::Address)?;
        let sizes = text.len() <= ADDRESS_BYTES
            && local.len() <= LOCAL_BYTES
            && domain.len() <= DOMAIN_BYTES;
        // RFC 5322 §3.2.3: atoms, joined by single dots.
        let atoms = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
        let labels = domain.split('.').all(is_label);
        match sizes && atoms && labels {
            true => Ok(Self(text.to_owned())),
            false => Err(MessageError::Address),
        }
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`, and after it.
    pub fn halves(&self) -> (&str, &str) {
        self.0.rsplit_once('@').unwrap_or((&self.0, ""))
    }
}

impl fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailAddress(…)")
    }
}

fn is_atext(char: char) -> bool {
    char.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(char)
}

fn is_label(label: &str) -> bool {
    let ends = !label.starts_with('-') && !label.ends_with('-');
    let inside = label.chars().all(|char| char.is_alphanumeric() || char == '-');
    !label.is_empty() && label.len() <= LABEL_BYTES && ends && inside
}

/// What a [`Message`] is made of.
pub struct Draft {
    /// Which message it is, for logs and figures: `recovery`.
    pub kind: &'static str,
    /// To whom.
    pub to: MailAddress,
    /// The subject, one line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML, for programs that show it.
    pub html: String,
    /// After how long nobody can use it any more: what has not been sent by then is thrown away.
    pub useful_for: Duration,
}

/// One message to one person. It may hold a link that signs in, so `Debug` shows its kind only.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    kind: &'static str,
    to: MailAddress,
    subject: String,
    text: Secret<String>,
    html: Secret<String>,
    useful_for: Duration,
}

impl Message {
    /// Checks a draft.
    ///
    /// # Errors
    /// [`MessageError::Subject`] and [`MessageError::Body`].
    pub fn new(draft: Draft) -> Result<Self, MessageError> {
        let Draft { kind, to, subject, text, html, useful_for } = draft;
        let (text, html) = (Secret::new(text), Secret::new(html));
        // RFC 5322 §2.2: a header field ends at a line break; one in its value begins another field.
        if subject.is_empty()
            || subject.chars().count() > SUBJECT_CHARS
            || subject.chars().any(breaks_or_controls)
        {
            return Err(MessageError::Subject);
        }
        let fits = |body: &str| {
            let control = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
            !body.is_empty() && body.len() <= BODY_BYTES && !body.chars().any(control)
        };
        if !fits(text.expose()) || !fits(html.expose()) {
            return Err(MessageError::Body);
        }
        Ok(Self { kind, to, subject, text, html, useful_for })
    }

    /// Which message it is: `recovery`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// To whom.
    pub fn to(&self) -> &MailAddress {
        &self.to
    }

    /// The subject: one line.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The text; lines end with a line feed.
    pub fn text(&self) -> &Secret<String> {
        &self.text
    }

    /// The same as HTML.
    pub fn html(&self) -> &Secret<String> {
        &self.html
    }

    /// After how long it is of no use.
    pub fn useful_for(&self) -> Duration {
        self.useful_for
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Control characters, and what Unicode calls a line or paragraph separator.
fn breaks_or_controls(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// As many messages wait as may wait.
    #[error("too many messages wait to be sent")]
    Full,
    /// The process is stopping.
    #[error("mail is no longer sent")]
    Closed,
}

/// Sends messages to people.
pub trait Mail: Send + Sync + fmt::Debug {
    /// Takes a message to be sent. It answers at once and never waits for a mail server, so that how long it takes
    /// says nothing of the address.
    ///
    /// # Errors
    /// The message was not taken.
    fn send(&self, message: Message) -> BoxFuture<'_, Result<(), MailError>>;
}

#[cfg(test)]
mod tests;
