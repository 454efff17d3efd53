//! The messages that people get: what each says, as text and as HTML.
//!
//! Owns: the letters ([`Invitation`], [`AddressProof`], [`Recovery`], [`MethodsChanged`], [`NewDevice`],
//! [`AddressAllowed`]), their one
//! form ([`body`]) and their words, one file a language ([`texts`]).
//!
//! Never does: it sends nothing, makes no link and no code, and asks for no time.
//!
//! Invariants:
//! - What a stranger may choose (a browser's name, an address typed into a form) never stands in a message as it came:
//!   a mail program would make a link of it. Names that people give are shown without what could be one.
//! - HTML is escaped in one place; a message loads nothing, and opening it tells nobody.

mod body;
mod browser;
mod texts;

#[cfg(test)]
mod tests;

pub use browser::browser;

use crate::text::hides;
use base::mail::{Draft, MessageError};
use base::{MailAddress, Message, UnixMs};
use body::{Body, render_html, render_text};
use std::net::IpAddr;
use std::time::Duration;
use texts::{Texts, english};

/// How long news is worth sending: the person must learn of it, be it late.
const NEWS: Duration = Duration::from_secs(48 * 3600);
/// Characters of a name that somebody chose, such as that of a passkey.
const NAME_CHARS: usize = 60;

/// Which language a message is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
}

impl Language {
    fn texts(self) -> &'static dyn Texts {
        match self {
            Self::English => &english::English,
        }
    }
}

/// Who writes: stands at the head and foot of each message.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// What the organisation calls itself: `name` of `[authority]`.
    pub name: &'a str,
    /// The authority's own address, the issuer.
    pub url: &'a str,
    /// In which language it writes.
    pub language: Language,
}

/// When and from where something was done.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// When.
    pub at: UnixMs,
    /// The network address, where it is known.
    pub address: Option<IpAddr>,
    /// How the browser or program called itself; only what [`browser`] makes of it is shown.
    pub user_agent: &'a str,
}

/// A secret link, and for how long it works.
#[derive(Clone, Copy)]
pub struct Link<'a> {
    /// An absolute `https` URL, or `http` on this machine.
    pub url: &'a str,
    /// For how long it works.
    pub works_for: Duration,
}

/// "An account was made for you": the first link.
pub struct Invitation<'a> {
    /// Where the account is set up.
    pub link: Link<'a>,
}

/// "Is this your address?": the code to type where it was asked for, and the link that does the same.
pub struct AddressProof<'a> {
    /// The code.
    pub code: &'a str,
    /// The link.
    pub link: Link<'a>,
}

/// "You asked to get back in": the code and the link.
pub struct Recovery<'a> {
    /// The code.
    pub code: &'a str,
    /// The link.
    pub link: Link<'a>,
    /// From where it was asked for.
    pub seen: Seen<'a>,
}

/// What happened to the ways in which somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodChange<'a> {
    /// A password was set for the first time, or anew.
    PasswordSet,
    /// The password was removed.
    PasswordRemoved,
    /// An authenticator app was added, with its name.
    AppAdded(&'a str),
    /// An authenticator app was removed.
    AppRemoved(&'a str),
    /// A passkey or security key was added, with its name.
    PasskeyAdded(&'a str),
    /// A passkey or security key was removed.
    PasskeyRemoved(&'a str),
    /// New recovery codes were made; the old ones are void.
    CodesMade,
    /// A recovery code was used; so many are left.
    CodeUsed(usize),
    /// The mail address was changed, and this is the old one.
    AddressChanged,
    /// An account at another provider was linked, with the provider's name.
    ProviderLinked(&'a str),
    /// Such a link was removed.
    ProviderUnlinked(&'a str),
    /// An administrator asked that everything be set up anew.
    Reset,
}

/// "Your sign-in methods changed".
pub struct MethodsChanged<'a> {
    /// What happened.
    pub change: MethodChange<'a>,
    /// When and from where.
    pub seen: Seen<'a>,
}

/// "Somebody signed in on a device that we did not know".
pub struct NewDevice<'a> {
    /// When and from where.
    pub seen: Seen<'a>,
}

/// "Your network address was let in": for how long, and to what.
pub struct AddressAllowed<'a> {
    /// The name of the list.
    pub list: &'a str,
    /// Until when.
    pub until: UnixMs,
    /// When and from where; this is the address.
    pub seen: Seen<'a>,
}

/// "A copy of your passkey was refused".
pub struct PasskeyCopied<'a> {
    /// What its person calls it.
    pub name: &'a str,
    /// When and from where.
    pub seen: Seen<'a>,
}

/// "An API key of yours was made".
pub struct OwnKeyMade<'a> {
    /// What its person calls it.
    pub name: &'a str,
    /// What it may.
    pub scopes: &'a [String],
    /// When and from where.
    pub seen: Seen<'a>,
}

impl OwnKeyMade<'_> {
    /// The message.
    ///
    /// # Errors
    /// As [`Message::new`] says.
    pub fn to(&self, sender: Sender<'_>, to: MailAddress) -> Result<Message, MessageError> {
        let texts = sender.language.texts();
        let body = texts.own_key_made(&house(sender.name), (self.name, self.scopes), &self.seen);
        compose("own_key_made", sender, to, (body, NEWS))
    }
}

impl PasskeyCopied<'_> {
    /// The message.
    ///
    /// # Errors
    /// As [`Message::new`] says.
    pub fn to(&self, sender: Sender<'_>, to: MailAddress) -> Result<Message, MessageError> {
        let texts = sender.language.texts();
        let body = texts.passkey_copied(&house(sender.name), self.name, &self.seen);
        compose("passkey_copied", sender, to, (body, NEWS))
    }
}

impl Invitation<'_> {
    /// The message.
    ///
    /// # Errors
    /// As [`Message::new`] says: a bug, or a name that no message can hold.
    pub fn to(&self, sender: Sender<'_>, to: MailAddress) -> Result<Message, MessageError> {
        let body = sender.language.texts().invitation(&house(sender.name), &self.link);
        compose("invitation", sender, to, (body, self.link.works_for))
    }
}

impl AddressProof<'_> {
    /// The message.
    ///
    /// # Errors
    /// As [`Message::new`] says.
    pub fn to(&self, sender: Sender<'_>, to: MailAddress) -> Result<Message, MessageError> {
        let texts = sender.language.texts();
        let body = texts.address_proof(&house(sender.name), self.code, &self.link);
        compose("address_proof", sender, to, (body, self.link.works_for))
    }
}

impl Recovery<'_> {
    /// The message.
    ///
    /// # Errors
    /// As [`Message::new`] says.
    pub fn to(&self, sender: Sender<'_>, to: MailAddress) -> Result<Message, MessageError> {
        let texts = sender.language.texts();
        let body = texts.recovery(&house(sender.name), self.code, &self.link, &self.seen);
        compose("recovery", sender, to, (body, self.link.works_for))
    }
}

impl MethodsChanged<'_> {
    /// The message.
    ///
    /// # Errors
    /// As [`Message::new`] says.
    pub fn to(&self, sender: Sender<'_>, to: MailAddress) -> Result<Message, MessageError> {
        let texts = sender.language.texts();
        let body = texts.methods_changed(&house(sender.name), self.change, &self.seen);
        compose("methods_changed", sender, to, (body, NEWS))
    }
}

impl NewDevice<'_> {
    /// The message.
    ///
    /// # Errors
    /// As [`Message::new`] says.
    pub fn to(&self, sender: Sender<'_>, to: MailAddress) -> Result<Message, MessageError> {
        let body = sender.language.texts().new_device(&house(sender.name), &self.seen);
        compose("new_device", sender, to, (body, NEWS))
    }
}

impl AddressAllowed<'_> {
    /// The message.
    ///
    /// # Errors
    /// As [`Message::new`] says.
    pub fn to(&self, sender: Sender<'_>, to: MailAddress) -> Result<Message, MessageError> {
        let texts = sender.language.texts();
        let body = texts.address_allowed(&house(sender.name), (self.list, self.until), &self.seen);
        compose("address_allowed", sender, to, (body, NEWS))
    }
}

fn compose(
    kind: &'static str,
    sender: Sender<'_>,
    to: MailAddress,
    (body, useful_for): (Body, Duration),
) -> Result<Message, MessageError> {
    let texts = sender.language.texts();
    let name = house(sender.name);
    let foot = texts.foot(&name, sender.url);
    Message::new(Draft {
        kind,
        to,
        text: render_text(&body, &foot),
        html: render_html(&body, (&name, texts.code()), &foot),
        subject: body.subject,
        useful_for,
    })
}

/// The organisation's name, which the operator chose, on one line.
fn house(name: &str) -> String {
    let shown: String = name.chars().map(|char| if hides(char) { ' ' } else { char }).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name that somebody chose, so that no mail program makes a link of it: letters, digits and a little more, at most
/// [`NAME_CHARS`]; a dot stays only between digits.
fn name(chosen: &str) -> String {
    let kept: Vec<char> = chosen.chars().take(NAME_CHARS).collect();
    let digit =
        |at: Option<usize>| at.and_then(|at| kept.get(at)).is_some_and(char::is_ascii_digit);
    let shown = kept.iter().enumerate().map(|(at, char)| match char {
        '.' if digit(at.checked_sub(1)) && digit(at.checked_add(1)) => '.',
        ' ' | '-' | '_' | '\'' | '’' | '(' | ')' | '&' | '+' | '#' | ',' | '!' => *char,
        other if other.is_alphanumeric() => *other,
        _ => ' ',
    });
    let shown: String = shown.collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}
