//! Reading and judging an authorization request.

use super::rules::{Came, must_sign};
use super::{Continued, FIX_CLIENT, Reply, object};
use crate::error::{Error, PortError};
use crate::oauth::par::PUSHED_GRACE;
use crate::oauth::records::{ClientRecord, Mac, Origin as From_, Profile};
use crate::oauth::refusal::Failed;
use crate::oauth::secrets::Purpose;
use crate::oauth::{GATE_CLIENT, OAuth, Origin};
use base::UnixMs;
use base::limits::CREDENTIAL_BYTES;
use protocol::oauth::authorize::{Arrival, PUSHED, ReplyTo};
use protocol::oauth::{
    AuthorizationRequest, ErrorCode, OAuthError, Params, RequestFault, redirect,
};
use std::borrow::Cow;
use std::sync::Arc;

/// Characters of an unknown `client_id` that are recorded: enough to find a typing mistake.
const UNKNOWN_ID_CHARS: usize = 128;

/// Bytes of a request that comes through the browser. Longer ones are pushed: with its MAC and in base64 it must fit one
/// parameter of 32 KiB, in which it waits for a person.
const QUERY_BYTES: usize = 22 * 1024;

/// A request that keeps every rule which does not depend on the person.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) client: Arc<ClientRecord>,
    pub(crate) request: AuthorizationRequest,
    pub(crate) reply: Reply,
    /// The scopes that the client may ask for.
    pub(crate) scopes: Vec<String>,
    /// The resources, as we spell them.
    pub(crate) resources: Vec<String>,
    /// RFC 9449 §10: the key to which the code is bound.
    pub(crate) dpop_jkt: Option<String>,
    /// The pushed request that this is, spent by the code.
    pub(crate) pushed: Option<Mac>,
    /// What may happen once: the `jti` of a request object.
    pub(crate) once: Option<(Mac, UnixMs)>,
    /// When it was first seen.
    pub(crate) seen: UnixMs,
    /// As it came, to go on with.
    pub(crate) query: String,
}

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is shown.
    Page {
        /// The client, where one is known.
        client: Option<String>,
        /// What is shown.
        error: OAuthError,
        /// What the record says.
        rule: Cow<'static, str>,
        /// What to do.
        fix: &'static str,
    },
    /// The client is told.
    Reply {
        /// Where.
        reply: Box<Reply>,
        /// What.
        error: OAuthError,
        /// What the record says.
        rule: Cow<'static, str>,
    },
    /// Something is wrong on our side.
    Broken(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<OAuthError> for Stop {
    fn from(_: OAuthError) -> Self {
        Self::Broken(Error::Busy("nothing can be signed at this moment"))
    }
}

impl Prepared {
    /// A refusal that the client is told.
    pub(crate) fn refuse(
        &self,
        code: ErrorCode,
        description: &'static str,
        rule: &'static str,
    ) -> Stop {
        let error = OAuthError::new(code, description);
        Stop::Reply { reply: Box::new(self.reply.clone()), error, rule: rule.into() }
    }

    fn failed(reply: &Reply, failed: Failed) -> Stop {
        match failed {
            Failed::Refused { error, rule } => {
                Stop::Reply { reply: Box::new(reply.clone()), error, rule }
            }
            Failed::Broken(error) => Stop::Broken(error),
            Failed::Busy(what) => Stop::Broken(Error::Busy(what)),
        }
    }
}

/// A request whose parameters are complete, and how it came.
struct Whole {
    client: Arc<ClientRecord>,
    params: Params,
    pushed: Option<Mac>,
    dpop_jkt: Option<String>,
    signed: bool,
    once: Option<(Mac, UnixMs)>,
}

impl OAuth {
    /// Reads and judges a request.
    pub(crate) async fn prepare(
        &self,
        continued: Continued,
        origin: &Origin,
    ) -> Result<Prepared, Stop> {
        let query = continued.params.encode();
        if query.len() > QUERY_BYTES {
            return Err(too_long());
        }
        let seen = continued.seen;
        let whole = self.whole(&continued, origin).await?;
        let came = Came { pushed: whole.pushed.is_some(), signed: whole.signed };
        let (request, reply) = read(&whole.client, &whole.params)?;
        let (scopes, resources) = self
            .judge(&whole.client, &request, came)
            .map_err(|failed| Prepared::failed(&reply, failed))?;
        let dpop_jkt = whole.dpop_jkt.or_else(|| request.dpop_jkt.as_deref().map(str::to_owned));
        Ok(Prepared {
            client: whole.client,
            request,
            reply,
            scopes,
            resources,
            dpop_jkt,
            pushed: whole.pushed,
            once: whole.once,
            seen,
            query,
        })
    }

    async fn whole(&self, continued: &Continued, origin: &Origin) -> Result<Whole, Stop> {
        let params = &continued.params;
        let client_id = params.get("client_id").unwrap_or_default();
        let arrival = Arrival::of(params).map_err(|fault| page(None, fault))?;
        if client_id.is_empty() {
            return Err(page(None, missing_client()));
        }
        let client = self.client_of_request(client_id, origin).await?;
        let whole = Whole {
            client: Arc::clone(&client),
            params: params.clone(),
            pushed: None,
            dpop_jkt: None,
            signed: false,
            once: None,
        };
        match arrival {
            Arrival::Plain => Ok(whole),
            Arrival::Object { request, .. } => {
                let opened = self.opened(&client, request, continued.seen).await;
                let opened = opened.map_err(|failed| object::refused(&client, params, failed))?;
                Ok(Whole { params: opened.params, signed: true, once: opened.once, ..whole })
            }
            Arrival::Reference { request_uri, .. } => {
                let text = request_uri.strip_prefix(PUSHED);
                let text = text.ok_or_else(|| foreign_reference(&client, params))?;
                let known = self.known_push(text, &client, continued).await?;
                let (mac, pushed) = known.ok_or_else(|| unknown_reference(&client))?;
                let params = Params::parse(pushed.params.as_bytes()).map_err(|_| {
                    Stop::Broken(PortError::Corrupt("a pushed request".to_owned()).into())
                })?;
                // A push of such a client was refused unless it was signed.
                let signed = must_sign(&client);
                Ok(Whole { params, pushed: Some(mac), dpop_jkt: pushed.dpop_jkt, signed, ..whole })
            }
        }
    }

    /// The pushed request, if it is this client's and was still good when this request was first seen.
    async fn known_push(
        &self,
        text: &str,
        client: &ClientRecord,
        continued: &Continued,
    ) -> Result<Option<(Mac, crate::oauth::records::PushedRecord)>, Stop> {
        if text.len() > CREDENTIAL_BYTES {
            return Ok(None);
        }
        let mac = Purpose::Pushed.mac(&self.parts.pepper, text);
        let pushed = self.parts.store.pushed(mac, self.parts.clock.now()).await?;
        // RFC 9126 §2.2, §4: used by the client that pushed it, while it lives. A person who signs in meanwhile has
        // longer: what counts is when the browser brought it.
        let good = pushed.filter(|it| {
            it.client == client.id && continued.seen < it.expires_at.minus(PUSHED_GRACE)
        });
        Ok(good.map(|it| (mac, it)))
    }

    async fn client_of_request(
        &self,
        id: &str,
        origin: &Origin,
    ) -> Result<Arc<ClientRecord>, Stop> {
        let unknown = |rule: &'static str| {
            let error = OAuthError::new(ErrorCode::InvalidClient, "the client is not known here");
            // Whatever was sent as an id stands in the record, but not without bound.
            let id = id.chars().take(UNKNOWN_ID_CHARS).collect();
            Stop::Page { client: Some(id), error, rule: rule.into(), fix: FIX_CLIENT }
        };
        match self.client(id, origin).await? {
            None => Err(unknown("RFC 6749 §4.1.2.1: there is no client with this client_id")),
            Some(client) if client.disabled_at.is_some() => Err(unknown("the client is disabled")),
            Some(client) => Ok(client),
        }
    }
}

/// Reads the parameters, and finds where an answer may be sent before anything else is looked at.
pub(crate) fn read(
    client: &Arc<ClientRecord>,
    params: &Params,
) -> Result<(AuthorizationRequest, Reply), Stop> {
    let id = Some(client.id.clone());
    let reply = reply(client, params)?;
    match AuthorizationRequest::read(params) {
        // RFC 9101 §5: the client in the object is the one beside it.
        Ok(request) if *request.client_id != *client.id => {
            let error = OAuthError::new(ErrorCode::InvalidRequest, "client_id is another");
            let rule = "RFC 9101 §5, RFC 9126 §4: the client_id within is another than outside";
            Err(Stop::Page { client: id, error, rule: rule.into(), fix: FIX_CLIENT })
        }
        Ok(request) => Ok((request, reply)),
        Err(fault) if fault.may_redirect() => {
            let rule = format!("RFC 6749 §4.1.2.1: {fault}").into();
            Err(Stop::Reply { reply: Box::new(reply), error: fault.error, rule })
        }
        Err(fault) => Err(page(id, fault)),
    }
}

/// Where an answer to these parameters may be sent.
pub(super) fn reply(client: &Arc<ClientRecord>, params: &Params) -> Result<Reply, Stop> {
    let to = ReplyTo::read(params).map_err(|fault| page(Some(client.id.clone()), fault))?;
    let openid = params.get("scope").is_some_and(|it| it.split(' ').any(|it| it == "openid"));
    Ok(Reply {
        client: Arc::clone(client),
        redirect_uri: redirect_uri(client, to.redirect_uri.as_deref(), openid)?,
        mode: to.response_mode,
        state: to.state.map(Into::into),
        silent: params.get("prompt") == Some("none"),
    })
}

/// RFC 9700 §4.1.3: the redirect URI is one of the client's, compared as a text.
fn redirect_uri(client: &ClientRecord, asked: Option<&str>, openid: bool) -> Result<String, Stop> {
    let registered = &client.metadata.redirect_uris;
    // RFC 8252 §7.3 lets programs on the person's own machine choose their port; the gate has chosen.
    let same = |own: &String, asked: &str| match client.id == GATE_CLIENT {
        true => own == asked,
        false => redirect::matches(own, asked),
    };
    let wrong = |description: &'static str, rule: &'static str| {
        let error = OAuthError::new(ErrorCode::InvalidRequest, description);
        Stop::Page {
            client: Some(client.id.clone()),
            error,
            rule: rule.into(),
            fix: "Register exactly this redirect URI for the application, or send the registered one.",
        }
    };
    match (asked, registered.as_slice()) {
        (Some(asked), all) => match all.iter().any(|own| same(own, asked)) {
            true => Ok(asked.to_owned()),
            false => Err(wrong(
                "redirect_uri is not one that the application has registered",
                "RFC 9700 §4.1.3: redirect_uri differs from every registered one",
            )),
        },
        // RFC 6749 §3.1.2.3: it may be left out where there is exactly one; OpenID Connect Core §3.1.2.1 and FAPI
        // 2.0 §5.3.2.2 require it.
        (None, [only]) if !openid && client.profile == Profile::Standard => Ok(only.clone()),
        (None, _) => Err(wrong(
            "redirect_uri is missing",
            "OpenID Connect Core §3.1.2.1, RFC 6749 §3.1.2.3: redirect_uri is missing",
        )),
    }
}

fn too_long() -> Stop {
    let error = OAuthError::new(ErrorCode::InvalidRequest, "the request is too long: push it");
    let rule = "RFC 9126 §1: the request has more than 22 KiB and was not pushed";
    Stop::Page { client: None, error, rule: rule.into(), fix: FIX_CLIENT }
}

/// OpenID Connect Core §6.2, RFC 9700 §4.14: nothing is fetched for a browser.
fn foreign_reference(client: &Arc<ClientRecord>, params: &Params) -> Stop {
    let failed = Failed::refused(
        ErrorCode::RequestUriNotSupported,
        "request_uri is taken only from a pushed request",
        "RFC 9126 §2.2: the request_uri is not one of a pushed request",
    );
    object::refused(client, params, failed)
}

fn unknown_reference(client: &ClientRecord) -> Stop {
    let error = OAuthError::new(
        ErrorCode::InvalidRequestUri,
        "the request_uri is unknown, used or expired",
    );
    let rule = "RFC 9126 §2.2: no pushed request of this client has this request_uri, or no longer";
    Stop::Page {
        client: Some(client.id.clone()),
        error,
        rule: rule.into(),
        fix: "Go back to the application and begin again.",
    }
}

fn page(client: Option<String>, fault: RequestFault) -> Stop {
    let rule = format!("RFC 6749 §4.1.2.1: {fault}").into();
    Stop::Page { client, error: fault.error, rule, fix: FIX_CLIENT }
}

fn missing_client() -> RequestFault {
    let error = OAuthError::new(ErrorCode::InvalidRequest, "client_id is missing");
    RequestFault { parameter: "client_id", error }
}

/// Whether nobody here has looked at the client.
pub(crate) fn is_stranger(client: &ClientRecord) -> bool {
    matches!(client.origin, From_::Dynamic | From_::Document)
}
