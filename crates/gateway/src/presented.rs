//! What a request presents: credentials, proofs that their key is at hand, and a browser's session.

use crate::browser::{ShownSession, is_own};
use crate::head::{Known, RequestHead};
use crate::serve::Connection;
use crate::settings::Act;
use access::Denial;
use access::judge::Admitted;
use access::policy::Policy;
use access::schemes::{Presented, dpop};
use base::{Phase, code};
use smallvec::SmallVec;

/// What a request shows of possession (RFC 9449), and of who sits before it.
#[derive(Default)]
pub(crate) struct Shown<'r> {
    proofs: SmallVec<[&'r [u8]; 1]>,
    uri: String,
    session: Option<ShownSession<'r>>,
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
        (admitted, policy): (&Admitted<Act>, &Policy<Act>),
    ) -> Self {
        let session = match admitted.route().session_limits() {
            Some(_) => ShownSession::of(connection, head, policy, host),
            None => None,
        };
        let proofs: SmallVec<_> = head.headers.all(Known::Dpop).collect();
        // WHY: hardly any request has a proof; the others build no URL.
        if proofs.is_empty() {
            return Self { session, ..Self::default() };
        }
        let settings = connection.listener.settings();
        let public = &settings.public;
        let named = admitted.route().act.by_host || (is_own(&public.host) && is_own(host));
        let uri = public.url(named.then_some(host), path);
        Self { proofs, uri, session }
    }

    /// The session, where the route takes one and the browser has one.
    pub(crate) fn session(&self) -> Option<&ShownSession<'r>> {
        self.session.as_ref()
    }

    pub(crate) fn borrow<'s>(&'s self, head: &'s RequestHead) -> dpop::Shown<'s> {
        dpop::Shown { proofs: &self.proofs, method: head.method.as_str(), uri: &self.uri }
    }
}

/// The credentials of a request, one of a kind.
///
/// # Errors
/// When there are several of a kind.
pub(crate) fn presented<'s>(
    head: &'s RequestHead,
    shown: &'s Shown<'_>,
) -> Result<Presented<'s>, Denial> {
    let one = |known| {
        let mut values = head.headers.all(known);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Denial::new(code::CREDENTIAL_MULTIPLE, Phase::Authenticate)),
        }
    };
    Ok(Presented {
        authorization: one(Known::Authorization)?,
        api_key: one(Known::XApiKey)?,
        dpop: shown.borrow(head),
        session: shown.session().map(|it| it.borrow(head)),
    })
}
