//! The table of stable codes. `docs/errors.md` is generated from it.

use std::borrow::Cow;
use std::fmt;

/// A stable code such as `token.expired`. Comparing and cloning the built-in ones is free.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// A built-in code.
    pub const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// A code read back from a record: the built-in one where the table knows it.
    pub fn read(text: &str) -> Self {
        match CodeInfo::find(text) {
            Some(info) => Self::new(info.code),
            None => Self(Cow::Owned(text.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the table says of it.
    pub fn info(&self) -> Option<&'static CodeInfo> {
        CodeInfo::find(&self.0)
    }

    /// The HTTP status it answers with; 500 for one that the table does not know.
    pub fn status(&self) -> u16 {
        self.info().map_or(500, |info| info.status)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.0)
    }
}

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever sent the request.
    Caller,
    /// The service behind, or an issuer.
    Peer,
    /// Whoever runs the gate.
    Operator,
    /// Us.
    Bug,
    /// Nobody: it went well, or it is news.
    Nobody,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct CodeInfo {
    /// The code.
    pub code: &'static str,
    /// The HTTP status; 0 for codes that answer no request.
    pub status: u16,
    /// Who has to act.
    pub blame: Blame,
    /// A short title, shown to the caller.
    pub title: &'static str,
    /// What it means; `explain` shows it as the reason.
    pub reason: &'static str,
    /// What to do; `explain` and `docs/errors.md` show it.
    pub fix: &'static str,
}

impl CodeInfo {
    /// The row of `code`.
    pub fn find(code: &str) -> Option<&'static Self> {
        TABLE.iter().find(|row| row.code == code)
    }

    /// The whole table, in the order of the documentation.
    pub fn all() -> &'static [Self] {
        TABLE
    }
}

macro_rules! codes {
    ($( $name:ident = $code:literal, $status:literal, $blame:ident, $title:literal, $reason:literal, $fix:literal; )*) => {
        /// The built-in codes.
        pub mod code {
            use super::Code;
            $( #[doc = $title] pub const $name: Code = Code::new($code); )*
        }
        const TABLE: &[CodeInfo] = &[
            $( CodeInfo { code: $code, status: $status, blame: Blame::$blame, title: $title, reason: $reason, fix: $fix }, )*
        ];
    };
}

codes! {
    OK = "ok", 0, Nobody, "Let through", "Every condition of the route held.", "Nothing to do.";

    REQUEST_MALFORMED = "request.malformed", 400, Caller, "The request is malformed", "The request could not be read as HTTP.", "Send a well-formed HTTP request; the record names the part that was not.";
    PATH_AMBIGUOUS = "path.ambiguous", 400, Caller, "The path is ambiguous", "The path can be read in more than one way (dot segments, encoded slashes, double slashes, `;`, `\\`, double escapes, spaces at the end of a segment, invalid UTF-8), so what is judged might not be what is served.", "Send the path in its plain form, without `.` and `..` segments, `//`, `;`, `\\` and encoded `/`, `\\`, `.` or NUL.";
    HOST_AMBIGUOUS = "host.ambiguous", 400, Caller, "The host is ambiguous", "The request names no host, several hosts, or one that is not a host name.", "Send exactly one `Host` header (or `:authority`).";
    FRAMING_AMBIGUOUS = "framing.ambiguous", 400, Caller, "The body's length is ambiguous", "The request states the length of its body in more than one way, or in a way that proxies read differently.", "Send either one `Content-Length` or `Transfer-Encoding: chunked`, never both, and over HTTP/1.1.";
    HEADER_FORBIDDEN = "header.forbidden", 400, Caller, "A header may not be sent like this", "A header asks for something that would change how the request is read further on (for example `Connection: Content-Length`).", "Leave the named header out.";
    ADDRESS_MALFORMED = "address.malformed", 400, Caller, "The address header is malformed", "A trusted proxy sent an address header that cannot be read, or one that is too long.", "Look at what the proxy in front sends; the record names the header.";
    KEY_IN_URL = "key.in_url", 400, Caller, "A credential stands in the URL", "An API key or token was sent in the URL, where logs and histories keep it.", "Send it as `Authorization: Bearer …` or `X-API-Key: …`, and rotate the one that was in the URL.";
    CREDENTIAL_MULTIPLE = "credential.multiple", 400, Caller, "More than one credential of a kind", "The request carries several `Authorization` or `X-API-Key` headers.", "Send one.";
    ROUTE_NOT_FOUND = "route.not_found", 404, Caller, "Nothing is served here", "No route matches the host and path.", "Check the address; routes are declared as [[route]] in the configuration.";
    METHOD_NOT_ALLOWED = "route.method_not_allowed", 405, Caller, "The method is not allowed here", "A route matches the path, but not with this method.", "Use one of the methods in the `Allow` header.";
    HOST_MISDIRECTED = "host.misdirected", 421, Caller, "The request went to the wrong place", "The connection was made for another host than the request names.", "Open a connection for the host that you ask for.";
    BODY_TOO_LARGE = "body.too_large", 413, Caller, "The body is too large", "The body is larger than the route allows.", "Send less, or raise `max_body` of the route.";
    TARGET_TOO_LONG = "target.too_long", 414, Caller, "The address is too long", "The request's address is longer than 8 KiB.", "Send long values in the body.";
    HEAD_TOO_LARGE = "head.too_large", 431, Caller, "The headers are too large", "The request's headers are too many or too long.", "Send at most 100 headers and 32 KiB in all.";
    HEAD_TIMEOUT = "head.timeout", 408, Caller, "The request took too long to arrive", "The request's headers did not arrive in time.", "Send the headers without pauses.";
    BODY_TIMEOUT = "body.timeout", 408, Caller, "The body took too long to arrive", "No byte of the body arrived for too long, or fewer than 16 a second.", "Send the body without long pauses.";
    RATE_EXCEEDED = "rate.exceeded", 429, Caller, "Too many requests", "A limit of the route was reached.", "Wait as long as `Retry-After` says.";
    EXPECTATION_FAILED = "request.expectation", 417, Caller, "The expectation cannot be met", "The request has an `Expect` header other than `100-continue`.", "Leave the header out.";

    CREDENTIAL_MISSING = "credential.missing", 401, Caller, "A credential is needed", "The request carries no credential, and the route needs one.", "Send an API key or token as `Authorization: Bearer …`.";
    CREDENTIAL_WRONG_KIND = "credential.wrong_kind", 401, Caller, "This kind of credential is not taken here", "The request carries a credential, but none of a kind that the route takes.", "Use one of the kinds that `WWW-Authenticate` names.";
    CREDENTIAL_MALFORMED = "credential.malformed", 401, Caller, "The credential is malformed", "The `Authorization` header cannot be read.", "Send `Authorization: Bearer` and one token, at most 16 KiB.";
    TOKEN_MALFORMED = "token.malformed", 401, Caller, "The token is malformed", "The token is not a well-formed signed JWT.", "Ask the issuer for a token and send it unchanged.";
    TOKEN_EXPIRED = "token.expired", 401, Caller, "The token is expired", "The token's `exp` has passed.", "Ask the issuer for a new token.";
    TOKEN_NOT_YET_VALID = "token.not_yet_valid", 401, Caller, "The token is not valid yet", "The token's `nbf` or `iat` lies in the future.", "Compare the clocks of the issuer and of the gate; 30 s are forgiven.";
    TOKEN_WRONG_AUDIENCE = "token.wrong_audience", 401, Caller, "The token is for somebody else", "The token's `aud` is none that the route's issuer is configured with.", "Ask for a token for this API, or add its audience to the [[issuer]].";
    TOKEN_WRONG_ISSUER = "token.wrong_issuer", 401, Caller, "The token is of another issuer", "The token's issuer is known, but not one that this route takes.", "Use a token of the issuer that the route names.";
    TOKEN_UNKNOWN_ISSUER = "token.unknown_issuer", 401, Caller, "The token's issuer is unknown", "The token's `iss` is no configured issuer.", "Use a token of a configured issuer, or declare it as [[issuer]].";
    TOKEN_UNKNOWN_KEY = "token.unknown_key", 401, Caller, "The token's key is unknown", "The issuer's key set has no key with the token's `kid` and algorithm.", "Ask the issuer for a new token; if it persists, look whether the issuer publishes the key.";
    TOKEN_BAD_SIGNATURE = "token.bad_signature", 401, Caller, "The token's signature is wrong", "The signature does not belong to the token and the issuer's key.", "Ask the issuer for a token and send it unchanged.";
    TOKEN_ALGORITHM = "token.algorithm_refused", 401, Caller, "The token's algorithm is refused", "The token's `alg` is not one that its issuer is configured with.", "Let the issuer sign with one of the algorithms of the [[issuer]].";
    TOKEN_WRONG_TYPE = "token.wrong_type", 401, Caller, "The token is of the wrong type", "The token's `typ` is not that of an access token.", "Send the access token, not the ID token or another.";
    TOKEN_CRITICAL = "token.critical_header", 401, Caller, "The token has a header that is not understood", "The token's `crit` names an extension that is not understood (RFC 7515 §4.1.11).", "Let the issuer leave the extension out.";
    TOKEN_CLAIM = "token.claim_invalid", 401, Caller, "A claim of the token is invalid", "A claim is missing, or not of the type that RFC 7519 gives it.", "The record names the claim; ask the issuer to correct it.";
    TOKEN_PROOF_MISSING = "token.proof_missing", 401, Caller, "The token's proof is missing", "The token is bound to a key or certificate (`cnf`), and the request does not prove possession of it.", "Send the token together with its proof.";
    DPOP_MISSING = "dpop.missing", 401, Caller, "The DPoP proof is missing", "The token came under the DPoP scheme, and the request has no `DPoP` header (RFC 9449 §4.3).", "Send a fresh proof in one `DPoP` header with each request.";
    DPOP_INVALID = "dpop.invalid", 401, Caller, "The DPoP proof is invalid", "There are several `DPoP` headers, or the proof's form, type, algorithm, key, signature or `jti` is wrong (RFC 9449 §4.3).", "Send one proof, made as RFC 9449 §4.2 says; the record names what is wrong.";
    DPOP_WRONG_REQUEST = "dpop.wrong_request", 401, Caller, "The DPoP proof is for another request", "The proof's `htm` or `htu` is not the request's method or URL (RFC 9449 §4.3).", "Make the proof for this method and for the URL that callers use, without query; behind a proxy the operator sets the listener's `public_url`.";
    DPOP_WRONG_TOKEN = "dpop.wrong_token", 401, Caller, "The DPoP proof is for another token", "The proof's `ath` is not the hash of the access token (RFC 9449 §4.3).", "Make the proof with the hash of the token that it is sent with.";
    DPOP_STALE = "dpop.stale", 401, Caller, "The DPoP proof is too old or from the future", "The proof's `iat` is more than 60 s old, or in the future; 30 s between the clocks are forgiven (RFC 9449 §11.1).", "Make a proof for each request, and compare the clocks.";
    DPOP_WRONG_KEY = "dpop.wrong_key", 401, Caller, "The DPoP proof is by another key", "The proof was signed by another key than the one that the token is bound to (`cnf.jkt`, RFC 9449 §7.1).", "Use the key that the token was asked for with.";
    DPOP_NOT_BOUND = "dpop.not_bound", 401, Caller, "The token is not bound to a key", "A token that names no key (`cnf.jkt`) came under the DPoP scheme (RFC 9449 §7.1).", "Send it as `Authorization: Bearer …`, or ask for a token that is bound.";
    DPOP_REPLAYED = "dpop.replayed", 401, Caller, "The DPoP proof was used before", "A proof with the same key and `jti` has been taken already (RFC 9449 §11.1).", "Make a new proof, with a `jti` of its own, for each request.";
    DPOP_NONCE = "dpop.nonce", 401, Caller, "The DPoP proof needs a nonce of this server", "The route takes proofs that carry a nonce of the gate's, and this one carries none, or one that is over (RFC 9449 §9).", "Make the proof again with the nonce in the answer's `DPoP-Nonce` header.";
    DPOP_REQUIRED = "dpop.required", 401, Caller, "The route takes only what is bound to a key", "The route asks for tokens that are bound to a key (RFC 9449), and what came is a bearer token, a key or a cookie.", "Ask for the token with a DPoP proof, and send it with one.";
    TOKEN_REVOKED = "token.revoked", 401, Caller, "The token is revoked", "The token, its subject or its client is blocked.", "Ask whoever runs the API; `portcullis block list` shows it.";
    TOKEN_INACTIVE = "token.inactive", 401, Caller, "The token is not active", "The issuer says that the token is unknown, expired or revoked.", "Ask the issuer for a new token.";
    KEY_MALFORMED = "key.malformed", 401, Caller, "The API key is malformed", "The key's form or check characters are wrong: a typing or copying mistake.", "Copy the whole key again.";
    KEY_UNKNOWN = "key.unknown", 401, Caller, "The API key is unknown", "No key has this id and secret.", "Use a key of this installation; make one with `portcullis key create`.";
    KEY_EXPIRED = "key.expired", 401, Caller, "The API key is expired", "The key's time has passed.", "Make a new key with `portcullis key create`.";
    KEY_ROUTE = "key.wrong_route", 403, Caller, "The API key is not for this route", "The key is limited to other routes.", "Use a key that is limited to no route or to this one.";
    KEY_REVOKED = "key.revoked", 401, Caller, "The API key is revoked", "The key was revoked.", "Make a new key with `portcullis key create`.";

    STEP_UP_REQUIRED = "step_up.required", 401, Caller, "A stronger or fresher sign-in is needed", "The credential is valid, but the person behind it did not sign in as strongly or as lately as the route asks (RFC 9470), or it is no person's.", "Sign in again with the `acr_values` and `max_age` that `WWW-Authenticate` names, and send the new token; API keys and tokens that a client got for itself never suffice.";
    SCOPE_MISSING = "scope.missing", 403, Caller, "A scope is missing", "The credential is valid, but lacks a scope that the route asks for.", "Ask for a credential with the scopes that `WWW-Authenticate` names.";
    CLAIM_MISMATCH = "claim.mismatch", 403, Caller, "A claim does not meet the route's rule", "The token is valid, but a claim is not what the route asks for.", "The record names the claim and the rule.";
    GROUP_MISSING = "group.missing", 403, Caller, "A group is missing", "The browser's session is valid, but its person is in none of the groups that the route asks for.", "Let an administrator put the person in one of the groups; a session notices within five minutes.";
    SESSION_CROSS_SITE = "session.cross_site", 403, Caller, "The request comes from another site", "A request that changes something came with nothing but a browser's session, and not from a page of the same origin (`Sec-Fetch-Site`, `Origin`).", "Send it from a page of the same host; programs send a token or an API key instead of the cookie.";
    SESSION_RETURN = "session.return_refused", 400, Caller, "The sign-in cannot be completed", "A browser came back from the authority with an answer that belongs to no sign-in which it began, or to one that is too old or was completed before.", "Open the page again that you were going to.";
    SESSION_REFUSED = "session.refused", 403, Caller, "The sign-in was refused", "The authority refused the sign-in, or the gate does not take its person.", "The record says why; sign in again, or ask whoever runs the gate.";
    ADDRESS_NOT_LISTED = "address.not_listed", 403, Caller, "The address is not allowed", "The client's address is in none of the route's lists.", "`portcullis ip test ADDRESS` shows what matches; `portcullis ip allow ADDRESS --list NAME --for 8h` lets it in.";
    ADDRESS_DENIED = "address.denied", 403, Caller, "The address is denied", "The client's address is on the deny side of the route's list.", "`portcullis ip test ADDRESS` shows the entry.";
    ORIGIN_REFUSED = "cors.origin_refused", 403, Caller, "The origin is not allowed", "The preflight's origin, method or header is not allowed by the route.", "Add it to `cors` of the route.";

    UPSTREAM_UNREACHABLE = "upstream.unreachable", 502, Peer, "The service cannot be reached", "No connection to the upstream could be made.", "Look whether the upstream runs at its configured address.";
    UPSTREAM_BROKEN = "upstream.broken", 502, Peer, "The service gave no usable answer", "The upstream closed the connection, or its answer is not well-formed HTTP.", "Look at the upstream's log.";
    UPSTREAM_TIMEOUT = "upstream.timeout", 504, Peer, "The service took too long", "The upstream's answer did not begin in time.", "Look at the upstream, or raise `timeout` of the [[upstream]].";
    UPSTREAM_UNHEALTHY = "upstream.unhealthy", 503, Peer, "The service is unavailable", "No server of the upstream is healthy.", "Look at the upstream's health check.";
    ISSUER_UNAVAILABLE = "issuer.unavailable", 503, Peer, "The issuer cannot be asked", "The token's issuer did not answer, or answered nonsense, and the token cannot be judged without it.", "Look whether the issuer can be reached from the gate.";
    DPOP_FULL = "dpop.full", 503, Operator, "No more DPoP proofs can be remembered", "So many proofs came within the time in which each can be replayed that the gate cannot tell a new one from a used one any more.", "Wait a minute; limit the route by principal.";
    LEDGER_UNAVAILABLE = "ledger.unavailable", 503, Operator, "The request cannot be recorded", "The route is strict, and its decision could not be recorded.", "Free space for the ledger; `portcullis audit verify` tells its state.";
    STATE_STALE = "state.stale", 503, Operator, "The gate has lost its state", "The gate could not follow changes (revocations among them) for longer than `stale_limit`.", "Look whether the database can be reached.";
    OVERLOADED = "gate.overloaded", 503, Operator, "The gate is full", "The gate holds as many connections as it may.", "Try again soon; raise `max_connections` of the listener.";
    CROWDED = "address.crowded", 429, Caller, "Too many connections from one address", "The address holds as many connections as one address may.", "Close connections that are not in use, or keep fewer; the operator may raise `max_connections_per_address` of the listener.";
    SHUTTING_DOWN = "gate.draining", 503, Operator, "The gate is stopping", "The gate is draining its connections.", "Try again at another node.";
    INTERNAL = "gate.internal", 500, Bug, "The gate failed", "Something broke inside the gate.", "Report it with the request id.";

    API_INVALID = "api.invalid", 400, Caller, "The request is not what the API takes", "The control API could not read the request's body, query or path, or a value breaks its rule.", "The answer's detail names the field and the place; `/api/openapi.json` describes each.";
    API_UNAUTHENTICATED = "api.unauthenticated", 401, Caller, "The control API does not know you", "Over the network the control API takes only access tokens of this gate's own authority that were made for it and are alive.", "Sign in with `portcullis login --url URL`, or use the command line on the gate's machine, which needs no token.";
    API_NOT_FOUND = "api.not_found", 404, Caller, "There is no such thing", "The control API has no such address, or nothing with this id.", "Look at the list that it should be in, or at `/api/openapi.json`.";
    API_CONFLICT = "api.conflict", 409, Caller, "It exists already", "What was to be made exists already.", "Look at the list, and change or remove what is there.";
    API_LOCAL = "api.local", 403, Caller, "This is done on the machine itself", "What was asked for is answered at the socket of the gate's own machine only, never over the network.", "Run the command on that machine, as the user that runs the gate.";
    API_MEDIA_TYPE = "api.media_type", 415, Caller, "The body is not JSON", "The control API takes bodies as `application/json` only.", "Send `Content-Type: application/json`.";
    API_BUSY = "api.busy", 503, Operator, "Too much is asked at once", "As much of this (queries, followers, passwords being hashed) is under way as the control plane allows; nothing was changed.", "Try again in a moment.";
    QUERY_INVALID = "query.invalid", 400, Caller, "The query cannot be answered", "The query is not one that the ledger can answer, or asks for too much.", "The answer's detail says what; ask about fewer rows or columns.";
    STORE_UNAVAILABLE = "store.unavailable", 503, Operator, "The store cannot be reached", "The store did not answer, and nothing was changed.", "Look whether the database runs and has space, then try again.";
    STORE_UNCERTAIN = "store.uncertain", 503, Operator, "It may or may not be done", "The store broke off while the change was being made.", "Look at the list before trying again.";
    ACT_NOT_IN_FORCE = "act.not_in_force", 503, Operator, "It is kept, but not yet in force here", "The change is durable, but this node did not take it up in time.", "Look at `/readyz` of the node and at the list; trying again does no harm.";
    NODE_STARTING = "gate.starting", 503, Operator, "The gate is starting", "The gate is not ready yet.", "Wait a moment and ask again.";

    CALLER_GONE = "caller.gone", 499, Caller, "The caller went away", "The caller closed the connection before the answer was complete.", "Nothing to do.";
    STREAM_CUT = "stream.cut", 0, Nobody, "A live stream was cut", "The credential of a live stream was revoked or expired.", "Nothing to do.";

    KEY_CREATED = "key.created", 0, Nobody, "An API key was made", "An API key was made.", "Nothing to do.";
    KEY_REVOKED_ACT = "key.revoke", 0, Nobody, "An API key was revoked", "An API key was revoked.", "Nothing to do.";
    BLOCK_ADDED = "block.added", 0, Nobody, "A block was set", "A subject, client or token was blocked.", "Nothing to do.";
    BLOCK_REMOVED = "block.removed", 0, Nobody, "A block was lifted", "A block was lifted.", "Nothing to do.";
    IP_ALLOWED = "ip.allowed", 0, Nobody, "An address was let in", "An address was added to a list for a time.", "Nothing to do.";
    IP_REMOVED = "ip.removed", 0, Nobody, "An address entry was removed", "A run-time entry was removed from a list.", "Nothing to do.";
    CLIENT_CREATED = "client.created", 0, Nobody, "A client was made", "A client was made or registered.", "Nothing to do.";
    CLIENT_CHANGED = "client.changed", 0, Nobody, "A client was changed", "A client's metadata, secret or state was changed.", "Nothing to do.";
    CLIENT_REMOVED = "client.removed", 0, Nobody, "A client was removed", "A client was removed; all its tokens are dead.", "Nothing to do.";
    CLIENT_DOCUMENT_CHANGED = "client.document_changed", 0, Nobody, "A client's metadata document changed", "The document at a client's id says something else than before.", "Nothing to do.";
    USER_CREATED = "user.created", 0, Nobody, "An account was made", "An account was made.", "Nothing to do.";
    USER_CHANGED = "user.changed", 0, Nobody, "An account was changed", "An account was changed.", "Nothing to do.";
    RECOVERY_ASKED = "recovery.asked", 0, Nobody, "A letter to set a new password was asked for", "Somebody asked for a code and link to set a new password of an account, and they were sent to its address.", "Nothing to do; many of them for one account are somebody's attempt to annoy.";
    USERS_EXPORTED = "user.exported", 0, Nobody, "Accounts were exported", "An administrator took accounts out, to bring them elsewhere; the detail says how many, and whether hashes of passwords were among them.", "See that it was meant: hashes can be guessed at elsewhere.";
    AUTHENTICATOR_ADDED = "authenticator.added", 0, Nobody, "A way of signing in was added", "A person added an authenticator app, a passkey, recovery codes or an account elsewhere.", "Nothing to do.";
    AUTHENTICATOR_REMOVED = "authenticator.removed", 0, Nobody, "A way of signing in was removed", "A person or an administrator removed one or all of them.", "Nothing to do.";
    BREAK_GLASS = "break_glass", 0, Nobody, "An account was reset from the machine itself", "Whoever runs the server took all ways of signing in of an account, to let its person begin anew.", "See that it was meant: who can do this can do everything.";
    KEY_NARROWED = "key.narrowed", 0, Nobody, "A key lost scopes", "A person's key was narrowed to what the groups of its owner still give.", "Nothing to do; where the scopes are needed, its owner makes another key.";
    LOGIN = "login", 0, Nobody, "Somebody signed in", "A person proved who they are; a session began or was renewed.", "Nothing to do.";
    LOGOUT = "logout", 0, Nobody, "Somebody signed out", "A session was ended.", "Nothing to do.";
    SESSION_BEGUN = "session.begun", 0, Nobody, "A browser's session at the gate began", "A person signed in at a host of the gate.", "Nothing to do.";
    SESSION_ENDED = "session.ended", 0, Nobody, "A browser's session at the gate was ended", "A person signed out at a host of the gate.", "Nothing to do.";
    GRANT_GIVEN = "grant.given", 0, Nobody, "A grant was given", "A person or client was granted scopes.", "Nothing to do.";
    GRANT_REVOKED = "grant.revoked", 0, Nobody, "A grant was revoked", "A grant and all its tokens were revoked.", "Nothing to do.";
    GRANT_DENIED = "grant.denied", 0, Nobody, "A grant was refused by the person", "A person said no to what a client asked.", "Nothing to do.";
    TOKEN_ISSUED = "token.issued", 0, Nobody, "A token was issued", "An access token was issued.", "Nothing to do.";
    TOKEN_REFRESHED = "token.refreshed", 0, Nobody, "A token was refreshed", "A refresh token was used.", "Nothing to do.";
    TOKEN_REVOKED_ACT = "token.revoke", 0, Nobody, "A token was revoked", "A client gave a token back.", "Nothing to do.";
    CODE_REUSED = "code.reused", 0, Nobody, "A code was used twice", "An authorization code came a second time; its grant is revoked.", "Nothing to do.";
    REFRESH_REUSED = "refresh.reused", 0, Nobody, "A spent refresh token came back", "A spent refresh token was used again; its grant is revoked.", "Nothing to do.";
    REQUEST_PUSHED = "authorize.pushed", 0, Nobody, "A request was pushed", "An authorization request was pushed (RFC 9126).", "Nothing to do.";
    DEVICE_ASKED = "device.asked", 0, Nobody, "A device asked", "A device asked for authorization (RFC 8628).", "Nothing to do.";
    SIGNING_KEY_ADDED = "signing_key.added", 0, Nobody, "A signing key was made", "A signing key was made and published.", "Nothing to do.";
    SIGNING_KEY_STAGED = "signing_key.staged", 0, Nobody, "A signing key moved on", "A signing key began to sign, was retired or was removed.", "Nothing to do.";
    TRUST_CHANGED = "trust.changed", 0, Nobody, "A trust rule was changed", "A trust rule for workload identity was made, changed or removed.", "Nothing to do.";
    GROUP_CHANGED = "group.changed", 0, Nobody, "A group was changed", "A group, or which scopes only its members may give, was made, changed or removed.", "Nothing to do.";
    SCOPE_CHANGED = "scope.changed", 0, Nobody, "A scope's words were changed", "The description of a scope was changed.", "Nothing to do.";
    LOGIN_FAILED = "login.failed", 0, Caller, "A sign-in failed", "The e-mail and what proves it do not belong together, or the account is closed.", "The record says why; a growing number of them is an attack.";
    OAUTH_REFUSED = "oauth.refused", 0, Caller, "The authority refused a request", "An authorization, token or other request broke a rule.", "The record's detail names the rule, the parameter and what to change.";
    ACT_REFUSED = "act.refused", 0, Caller, "An administrative act was refused", "The act was not allowed or not possible.", "The record says why.";

    NODE_STARTED = "node.started", 0, Nobody, "The node started", "The node started.", "Nothing to do.";
    NODE_STOPPED = "node.stopped", 0, Nobody, "The node stopped", "The node stopped in order.", "Nothing to do.";
    CONFIG_RELOADED = "config.reloaded", 0, Nobody, "The configuration was reloaded", "A new configuration is in force.", "Nothing to do.";
    CONFIG_REFUSED = "config.refused", 0, Operator, "A configuration was refused", "The changed file has mistakes; the running configuration stays.", "Run `portcullis check`.";
    MAIL_FAILED = "mail.failed", 0, Operator, "A message was not sent", "The mail server did not take a message to a person, or not in time.", "The record names the kind of message and why; look at `[mail]` and the mail server.";
    MAIL_SHOWN = "mail.shown", 0, Nobody, "A kept message was shown", "No mail server is configured; an administrator read a message, which may hold a link that signs in.", "See that the look was meant; configure `[mail]`.";
    NAME_CHANGED = "ip.name_changed", 0, Operator, "A name in an address list changed", "A `dns:` entry resolved to other addresses than before.", "See that the change was meant.";
    NAME_UNRESOLVED = "ip.name_unresolved", 0, Operator, "A name in an address list did not resolve", "A `dns:` entry gave no answer; the last good one is kept for a while.", "Look at the name and the resolver.";
    ISSUER_KEYS_CHANGED = "issuer.keys_changed", 0, Nobody, "An issuer's keys changed", "The key set of an issuer changed.", "Nothing to do.";
    ISSUER_UNREACHABLE = "issuer.unreachable", 0, Peer, "An issuer did not answer", "The key set of an issuer could not be fetched; known keys go on.", "Look whether the issuer can be reached from the gate.";
    UPSTREAM_DOWN = "upstream.down", 0, Peer, "A server is down", "A server of an upstream fails its health check.", "Look at the server.";
    UPSTREAM_UP = "upstream.up", 0, Nobody, "A server is up", "A server of an upstream is healthy again.", "Nothing to do.";
    PANIC = "gate.panic", 0, Bug, "A connection failed inside the gate", "A panic ended one connection; no other was harmed.", "Report it.";
    LEDGER_GAP = "ledger.gap", 0, Operator, "Records are missing", "Some events could not be recorded; the count and the reason are known.", "Free space for the ledger.";
    LEDGER_CUT = "ledger.cut", 0, Operator, "The ledger's tail was cut", "The node stopped without order; records of its last moments may be missing.", "Nothing to do; strict records are complete.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_read_back() {
        let mut seen = HashSet::new();
        for row in CodeInfo::all() {
            assert!(seen.insert(row.code), "{} twice", row.code);
            assert_eq!(Code::read(row.code).status(), row.status);
            assert!(row.title.len() < 80 && row.fix.ends_with('.') && row.reason.ends_with('.'));
        }
        assert_eq!(Code::read("no.such").as_str(), "no.such");
    }
}
