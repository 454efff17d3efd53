//! Hosts at which browsers have sessions, and their cookies.
//!
//! INVARIANT: a cookie is for one host (RFC 6265bis §4.1.3.2), and over TLS only but where nobody else can listen.

use crate::head::{Known, RequestHead};
use crate::serve::Connection;
use access::policy::Sessions;
use access::schemes::session::{self, cookie, visit};
use std::net::IpAddr;

/// A host, as browsers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// Its name, without port; sessions are sealed for it.
    pub(crate) host: Box<str>,
    /// Its origin.
    pub(crate) origin: String,
    secure: bool,
}

/// Where a request is, as far as sessions are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// At a host with sessions.
    Here(Site),
    /// At another name of the listener: its own is at this origin.
    Elsewhere(String),
    /// Where nobody has sessions.
    Nowhere,
}

/// Cookies of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie<'a> {
    /// The session.
    Session,
    /// A visit to the sign-in, by its mark.
    Visit(&'a str),
}

impl Site {
    /// Where a request for `host` is.
    pub(crate) fn of(connection: &Connection, sessions: &Sessions, host: &str) -> Whereabouts {
        let settings = connection.listener.settings();
        let public = &settings.public;
        // WHY: over plain HTTP a cookie is anybody's who listens on the way.
        if !public.https && !is_own(&public.host) {
            return Whereabouts::Nowhere;
        }
        let at = |host: &str| {
            // WHY again: a listener that has no name of its own is called `localhost` and may be reached by others.
            if !public.https && !is_own(host) {
                return Whereabouts::Nowhere;
            }
            let origin = public.url(Some(host), "");
            Whereabouts::Here(Self { host: host.into(), origin, secure: public.https })
        };
        if sessions.hosts.iter().any(|it| **it == *host) {
            return at(host);
        }
        if !sessions.anywhere {
            return Whereabouts::Nowhere;
        }
        // A proxy in front may ask for us by another name than browsers do.
        if *host == *public.host || settings.proxies.trusted.contains(connection.client) {
            return at(&public.host);
        }
        Whereabouts::Elsewhere(public.url(None, ""))
    }

    fn name(&self, of: Cookie<'_>) -> String {
        match (of, self.secure) {
            (Cookie::Session, true) => session::COOKIE.to_owned(),
            (Cookie::Session, false) => session::PLAIN_COOKIE.to_owned(),
            (Cookie::Visit(mark), true) => format!("{}{mark}", visit::COOKIE),
            (Cookie::Visit(mark), false) => format!("{}{mark}", visit::PLAIN_COOKIE),
        }
    }

    /// The value of a cookie that came exactly once.
    pub(crate) fn read<'r>(&self, head: &'r RequestHead, of: Cookie<'_>) -> Option<&'r [u8]> {
        cookie(head.headers.all(Known::Cookie), &self.name(of))
    }

    /// The marks and values of all visits that the browser has begun here.
    pub(crate) fn visits<'r>(&self, head: &'r RequestHead) -> Vec<(&'r str, &'r [u8])> {
        let prefix = self.name(Cookie::Visit(""));
        let pairs = head.headers.all(Known::Cookie).flat_map(|line| line.split(|c| *c == b';'));
        let visit = |pair: &'r [u8]| {
            let rest = pair.trim_ascii().strip_prefix(prefix.as_bytes())?;
            let at = rest.iter().position(|c| *c == b'=')?;
            let (mark, value) = rest.split_at_checked(at)?;
            let mark = std::str::from_utf8(mark).ok().filter(|it| visit::mark(it) == Some(it))?;
            Some((mark, value.get(1..)?))
        };
        pairs.filter_map(visit).collect()
    }

    /// The header that sets a cookie. `SameSite=Lax`: it comes along when the authority sends the browser back.
    pub(crate) fn set(&self, of: Cookie<'_>, value: &str) -> String {
        let life = match of {
            Cookie::Session => String::new(),
            Cookie::Visit(_) => format!("; Max-Age={}", visit::LONGEST.as_secs()),
        };
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{life}", self.name(of))
    }

    /// The header that removes one.
    pub(crate) fn clear(&self, of: Cookie<'_>) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}=; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age=0", self.name(of))
    }

    /// Where the authority sends browsers back to.
    pub(crate) fn callback(&self) -> String {
        format!("{}{}", self.origin, super::CALLBACK)
    }
}

/// Whether this is one of the names that a machine has for itself.
pub(crate) fn is_own(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
