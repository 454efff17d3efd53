//! `[mail]`: the server that takes messages to people.

use super::pem::read_roots;
use super::problem::ProblemCode;
use super::reader::{Field, Reader, Section};
use super::url::split_authority;
use base::{MailAddress, Secret};
use outbound::mail::{Security, is_near};
use std::net::IpAddr;
use std::path::PathBuf;

/// How a server is written.
const SERVER_HINT: &str =
    "\"smtp://host:587\" (STARTTLS), \"smtps://host:465\" (TLS), or \"smtp+plain://127.0.0.1:25\"";
/// How a sender is written.
const FROM_HINT: &str = "from = \"Portcullis <no-reply@example.com>\"";
/// Characters of a sender's name, as of the organisation's.
const NAME_CHARS: usize = 60;
/// Bytes of a user name: some services have addresses of 254 bytes as such.
const USER_BYTES: usize = 254;

/// `[mail]`. Without it, messages are kept in memory and shown to administrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// `server`, its scheme: how it is spoken to.
    pub security: Security,
    /// `server`, its host: a name, or an address without brackets.
    pub host: String,
    /// `server`, its port. Default 587, 465 and 25.
    pub port: u16,
    /// `from`, the name. Default none.
    pub from_name: String,
    /// `from`, the address.
    pub from: MailAddress,
    /// `username` and `password`. Default none.
    pub credentials: Option<(String, Secret<String>)>,
    /// `ca`: certificate authorities that are trusted beside the system's. Default none.
    pub ca: Option<PathBuf>,
}

/// Reads `[mail]`, which may be absent.
pub(super) fn read_mail(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Option<Mail> {
    let mut section = root.read(reader, "mail", |reader, field| reader.table(field))?;
    let at = section.at.clone();
    let server = section.require(reader, "server", read_server);
    let from = section.require(reader, "from", read_from);
    let username = section.read(reader, "username", read_username);
    let password = section.read(reader, "password", |reader, field| reader.secret(field));
    let asked = (section.has("username"), section.has("password"));
    let has_ca = section.has("ca");
    let ca = section.read(reader, "ca", read_roots);
    section.finish(reader);
    if asked.0 != asked.1 {
        let message = "`username` and `password` go together";
        reader.hinted(ProblemCode::Missing, &at, message, "password = { env = \"NAME\" }");
    }
    let plain = server.as_ref().is_some_and(|it| it.0 == Security::Plain);
    if plain && (asked.0 || asked.1) {
        let message = "the password would be sent without TLS";
        let hint = "use smtp:// or smtps://, or a relay that asks for none";
        reader.hinted(ProblemCode::Conflict, &at, message, hint);
    }
    if plain && has_ca {
        let message = "`ca` has no meaning without TLS";
        reader.hinted(ProblemCode::Conflict, &at, message, "use smtp:// or smtps://");
    }
    let ((security, host, port), (from_name, from)) = (server?, from?);
    let credentials = username.zip(password);
    Some(Mail { security, host, port, from_name, from, credentials, ca })
}

fn read_server(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<(Security, String, u16)> {
    let text = reader.text(field)?;
    let server = parse_server(&text);
    if text.contains('@') {
        // WHY: a password may stand before it.
        reader.hide(field.at.span.clone());
    }
    if let Err(why) = server {
        reader.hinted(ProblemCode::Value, &field.at, why, SERVER_HINT);
    }
    server.ok()
}

fn parse_server(text: &str) -> Result<(Security, String, u16), &'static str> {
    let schemes = [
        ("smtp", Security::StartTls, 587),
        ("smtps", Security::Tls, 465),
        ("smtp+plain", Security::Plain, 25),
    ];
    let unknown = "a mail server begins with smtp://, smtps:// or smtp+plain://";
    let (scheme, authority) = text.split_once("://").ok_or(unknown)?;
    let known = schemes.into_iter().find(|(name, ..)| scheme.eq_ignore_ascii_case(name));
    let (_, security, default) = known.ok_or(unknown)?;
    if authority.contains('@') {
        return Err("user name and password stand in keys of their own");
    }
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#']) {
        return Err("a mail server has a host and a port only");
    }
    let (host, port) = split_authority(authority)
        .map_err(|_| "what follows the scheme must be a host name or address, and a port")?;
    let public = host.parse::<IpAddr>().is_ok_and(|address| !is_near(address));
    if security == Security::Plain && public {
        return Err("without TLS, mail may go to this machine or a private network only");
    }
    Ok((security, host, port.unwrap_or(default)))
}

fn read_from(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<(String, MailAddress)> {
    let text = reader.text(field)?;
    let from = parse_from(&text);
    if let Err(why) = from {
        reader.hinted(ProblemCode::Value, &field.at, why, FROM_HINT);
    }
    from.ok()
}

fn parse_from(text: &str) -> Result<(String, MailAddress), &'static str> {
    let (name, address) = match text.trim().strip_suffix('>') {
        Some(both) => both.rsplit_once('<').ok_or("the address lacks its `<`")?,
        None => ("", text.trim()),
    };
    let name = name.trim();
    let name = name.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(name);
    if name.chars().count() > NAME_CHARS {
        return Err("the name may have at most 60 characters");
    }
    if name.chars().any(|c| c.is_control() || "<>\"\u{2028}\u{2029}".contains(c)) {
        return Err("the name holds a character that cannot stand in it");
    }
    let address = MailAddress::parse(address).map_err(|_| "this is no mail address")?;
    // RFC 5322 §3.4.1: one that takes part in header fields of ASCII.
    if !address.as_str().is_ascii() {
        return Err(
            "the sender's address has ASCII characters only; write the domain in its xn-- form",
        );
    }
    Ok((name.to_owned(), address))
}

fn read_username(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
    let text = reader.text(field)?;
    // RFC 4616 §2: NUL parts the name from the password.
    if text.is_empty() || text.len() > USER_BYTES || text.chars().any(char::is_control) {
        let message = "a user name has 1 to 254 bytes and no control characters";
        reader.problem(ProblemCode::Value, &field.at, message);
    }
    Some(text)
}
