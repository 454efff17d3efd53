//! What a request presents: credentials, and proofs that their key is at hand.

use crate::head::{Known, RequestHead};
use crate::serve::Connection;
use crate::settings::Act;
use access::Denial;
use access::judge::Admitted;
use access::schemes::{Presented, dpop};
use base::{Phase, code};
use smallvec::SmallVec;
use std::net::IpAddr;

/// What a request shows of possession (RFC 9449).
#[derive(Default)]
pub(crate) struct Shown<'r> {
    proofs: SmallVec<[&'r [u8]; 1]>,
    uri: String,
}

impl<'r> Shown<'r> {
    /// Gathers it, for the route that was found.
    ///
    /// RFC 9449 §4.3 check 9 compares with the URL that the client asked for: the listener's public name, since what
    /// a proxy in front was asked for does not show in the request; where a route is found by its host, that; and for
    /// a listener that only this machine reaches, whichever of the machine's own names was asked for.
    pub(crate) fn of(
        connection: &Connection,
        head: &'r RequestHead,
        (host, path): (&str, &str),
        admitted: &Admitted<Act>,
    ) -> Self {
        let proofs: SmallVec<_> = head.headers.all(Known::Dpop).collect();
        // WHY: hardly any request has a proof; the others build no URL.
        if proofs.is_empty() {
            return Self::default();
        }
        let settings = connection.listener.settings();
        let public = &settings.public;
        let named = admitted.route().act.by_host || (is_own(&public.host) && is_own(host));
        let uri = public.url(named.then_some(host), path);
        Self { proofs, uri }
    }

    pub(crate) fn borrow<'s>(&'s self, head: &'s RequestHead) -> dpop::Shown<'s> {
        dpop::Shown { proofs: &self.proofs, method: head.method.as_str(), uri: &self.uri }
    }
}

/// Whether this is one of the names that a machine has for itself.
fn is_own(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The credentials of a request, one of a kind.
///
/// # Errors
/// When there are several of a kind.
pub(crate) fn presented<'s>(
    head: &'s RequestHead,
    dpop: dpop::Shown<'s>,
) -> Result<Presented<'s>, Denial> {
    let one = |known| {
        let mut values = head.headers.all(known);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Denial::new(code::CREDENTIAL_MULTIPLE, Phase::Authenticate)),
        }
    };
    Ok(Presented { authorization: one(Known::Authorization)?, api_key: one(Known::XApiKey)?, dpop })
}
