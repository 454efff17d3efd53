//! English.

use super::{Texts, civil};
use crate::mail::body::{Block, Body};
use crate::mail::{Link, MethodChange, Seen, browser, name as chosen};
use base::UnixMs;
use std::time::Duration;

/// The language.
pub(in crate::mail) struct English;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// For who gets what they did not ask for.
const IGNORE: &str = "If you did not ask for this, you need not do anything: nothing changes unless \
                      the code or the link is used. Give them to nobody, whoever asks.";

impl Texts for English {
    fn code(&self) -> &'static str {
        "en"
    }

    fn invitation(&self, name: &str, link: &Link<'_>) -> Body {
        Body {
            subject: format!("Set up your account at {name}"),
            blocks: vec![
                text(format!(
                    "An administrator of {name} has made an account for you. Choose how you want to sign in; it \
                     takes two minutes."
                )),
                follow("Set up my account", link),
                text(format!(
                    "The link works once, for {}. After that, ask the administrator for a new one.",
                    span(link.works_for)
                )),
                text("If you do not know what this is about, delete this message.".to_owned()),
            ],
        }
    }

    fn address_proof(&self, name: &str, code: &str, link: &Link<'_>) -> Body {
        Body {
            subject: format!("Confirm your e-mail address for {name}"),
            blocks: vec![
                text("Type this code where it was asked for:".to_owned()),
                Block::Code(code.to_owned()),
                text("Or open this link in the browser in which you began:".to_owned()),
                follow("Confirm my address", link),
                text(format!("Either works once, for {}.", span(link.works_for))),
                text(IGNORE.to_owned()),
            ],
        }
    }

    fn recovery(&self, name: &str, code: &str, link: &Link<'_>, seen: &Seen<'_>) -> Body {
        Body {
            subject: format!("Get back into your account at {name}"),
            blocks: vec![
                text("Somebody, we hope you, asked for a new way into your account. Type this code where \
                      it was asked for:"
                    .to_owned()),
                Block::Code(code.to_owned()),
                text("Or open this link in the browser in which you began:".to_owned()),
                follow("Go on", link),
                text(format!(
                    "Either works once, for {}. If you have a second factor, you will still be asked for it.",
                    span(link.works_for)
                )),
                facts(seen),
                text(IGNORE.to_owned()),
            ],
        }
    }

    fn methods_changed(&self, name: &str, change: MethodChange<'_>, seen: &Seen<'_>) -> Body {
        Body {
            subject: format!("Your sign-in methods at {name} changed"),
            blocks: vec![
                text(what(change)),
                facts(seen),
                text("If this was you, all is well.".to_owned()),
                not_you(name),
            ],
        }
    }

    fn new_device(&self, name: &str, seen: &Seen<'_>) -> Body {
        Body {
            subject: format!("New sign-in to your account at {name}"),
            blocks: vec![
                text(
                    "Somebody signed in to your account on a device that we have not seen before."
                        .to_owned(),
                ),
                facts(seen),
                text("If this was you, all is well.".to_owned()),
                not_you(name),
            ],
        }
    }

    fn address_allowed(&self, name: &str, (list, until): (&str, UnixMs), seen: &Seen<'_>) -> Body {
        let list = match chosen(list) {
            none if none.is_empty() => String::new(),
            list => format!(" to “{list}”"),
        };
        Body {
            subject: format!("Your network address was let in at {name}"),
            blocks: vec![
                text(format!(
                    "With your account, the network address below was let in{list} until {}, or until your session ends.",
                    moment(until)
                )),
                facts(seen),
                text("If this was you, all is well.".to_owned()),
                not_you(name),
            ],
        }
    }

    fn passkey_copied(&self, name: &str, key: &str, seen: &Seen<'_>) -> Body {
        let key = match chosen(key) {
            none if none.is_empty() => "one of your passkeys".to_owned(),
            given => format!("your passkey “{given}”"),
        };
        Body {
            subject: format!("A passkey of yours was refused at {name}"),
            blocks: vec![
                text(format!(
                    "Somebody tried to sign in with {key}, and was refused: its counter has gone backwards. So there \
                     may be a copy of it, and somebody else may have the copy."
                )),
                facts(seen),
                text("Sign in in another way, remove this passkey and add a new one. If you have only put your device \
                      back from a backup, do the same."
                    .to_owned()),
                not_you(name),
            ],
        }
    }

    fn own_key_made(&self, name: &str, (key, scopes): (&str, &[String]), seen: &Seen<'_>) -> Body {
        let key = match chosen(key) {
            none if none.is_empty() => "An API key of your account was made".to_owned(),
            given => format!("An API key of your account, “{given}”, was made"),
        };
        Body {
            subject: format!("A new API key of your account at {name}"),
            blocks: vec![
                text(format!("{key}. Whoever has it may use: {}.", scopes.join(", "))),
                facts(seen),
                text("If this was you, all is well.".to_owned()),
                text(format!(
                    "If it was not you, sign in now, end the key on the page of your account, end all other sessions \
                     and change your sign-in methods; if you cannot, tell an administrator of {name}. Type the \
                     address yourself rather than following a link in a message."
                )),
            ],
        }
    }

    fn foot(&self, name: &str, url: &str) -> String {
        format!("{name} sent this because it concerns your account at {url}.")
    }
}

fn text(text: String) -> Block {
    Block::Text(text)
}

fn follow(label: &'static str, link: &Link<'_>) -> Block {
    Block::Link { label, url: link.url.to_owned() }
}

fn not_you(name: &str) -> Block {
    text(format!(
        "If it was not you, sign in now, end all other sessions and change your sign-in methods; if you cannot, tell \
         an administrator of {name}. Type the address yourself rather than following a link in a message."
    ))
}

fn facts(seen: &Seen<'_>) -> Block {
    let from = match seen.address {
        Some(address) => address.to_string(),
        None => "an address that is not known".to_owned(),
    };
    let with = match browser(seen.user_agent) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        (None, Some(system)) => format!("a program on {system}"),
        (None, None) => "a program that is not known".to_owned(),
    };
    Block::Facts(vec![("When", moment(seen.at)), ("From", from), ("With", with)])
}

fn what(change: MethodChange<'_>) -> String {
    let named = |what: &str, given: &str, done: &str| match chosen(given) {
        none if none.is_empty() => format!("{what} was {done}."),
        given => format!("{what}, “{given}”, was {done}."),
    };
    match change {
        MethodChange::PasswordSet => "A new password was set.".to_owned(),
        MethodChange::PasswordRemoved => "Your password was removed.".to_owned(),
        MethodChange::AppAdded(it) => named("An authenticator app", it, "added"),
        MethodChange::AppRemoved(it) => named("An authenticator app", it, "removed"),
        MethodChange::PasskeyAdded(it) => named("A passkey", it, "added"),
        MethodChange::PasskeyRemoved(it) => named("A passkey", it, "removed"),
        MethodChange::CodesMade => {
            "New recovery codes were made; the old ones no longer work.".to_owned()
        }
        MethodChange::CodeUsed(0) => {
            "The last of your recovery codes was used. Make new ones.".to_owned()
        }
        MethodChange::CodeUsed(1) => "A recovery code was used. One is left.".to_owned(),
        MethodChange::CodeUsed(left) => format!("A recovery code was used. {left} are left."),
        MethodChange::AddressChanged => {
            "The e-mail address of your account was changed; this is the last message to this one."
                .to_owned()
        }
        MethodChange::ProviderLinked(it) => named("An account elsewhere", it, "linked"),
        MethodChange::ProviderUnlinked(it) => named("An account elsewhere", it, "unlinked"),
        MethodChange::Reset => {
            "An administrator removed your sign-in methods; you will be asked to set them up anew."
                .to_owned()
        }
    }
}

/// `24 November 2026, 17:05 UTC`.
fn moment(at: UnixMs) -> String {
    let (year, month, day, hour, minute) = civil(at);
    let month = usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).copied();
    format!("{day} {} {year}, {hour:02}:{minute:02} UTC", month.unwrap_or("January"))
}

/// `10 minutes`, `1 hour`, `7 days`: the largest unit that divides it.
fn span(span: Duration) -> String {
    let minutes = span.as_secs().div_euclid(60).max(1);
    let (count, unit) = match minutes {
        _ if minutes.is_multiple_of(1440) => (minutes / 1440, "day"),
        _ if minutes.is_multiple_of(60) => (minutes / 60, "hour"),
        _ => (minutes, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
