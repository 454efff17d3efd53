//! A message as it goes over the wire (RFC 5322, RFC 2045).

use super::smtp::SmtpError;
use base::{MailAddress, Message, Secret, UnixMs, random_array};
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use std::time::{Duration, UNIX_EPOCH};

/// Envelope and bytes of `message`, from who writes, now.
///
/// # Errors
/// [`SmtpError::Message`]: an address that SMTP does not know.
pub(super) fn compose(
    message: &Message,
    (name, from): (&str, &MailAddress),
    now: UnixMs,
) -> Result<(Envelope, Secret<Vec<u8>>), SmtpError> {
    let name = (!name.is_empty()).then(|| name.to_owned());
    let from_mailbox = Mailbox::new(name, address(from)?);
    let to = Mailbox::new(None, address(message.to())?);
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    // RFC 5322 §3.6.4: unique, and nothing in it tells of the machine.
    let id = format!("<{}@{}>", token()?, from.halves().1);
    let both = MultiPart::builder()
        // WHY of our own: what a body holds must not be able to hold the boundary.
        .kind(lettre::message::MultiPartKind::Alternative)
        .boundary(token()?)
        .singlepart(part(ContentType::TEXT_PLAIN, message.text()))
        .singlepart(part(ContentType::TEXT_HTML, message.html()));
    let made = lettre::Message::builder()
        .from(from_mailbox)
        .to(to)
        .subject(message.subject())
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(id))
        // RFC 3834 §5: nobody's absence notice answers it.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .multipart(both)
        .map_err(|_| SmtpError::Message)?;
    let bytes = Secret::new(made.formatted());
    Ok((made.envelope().clone(), bytes))
}

fn part(kind: ContentType, body: &Secret<String>) -> SinglePart {
    SinglePart::builder().header(kind).body(body.expose().clone())
}

fn address(address: &MailAddress) -> Result<lettre::Address, SmtpError> {
    let (local, domain) = address.halves();
    lettre::Address::new(local, domain).map_err(|_| SmtpError::Message)
}

/// 128 bits that nobody can foretell, in hexadecimal digits.
fn token() -> Result<String, SmtpError> {
    let bytes: [u8; 16] =
        random_array().map_err(|_| SmtpError::Unreachable("no random numbers".to_owned()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
