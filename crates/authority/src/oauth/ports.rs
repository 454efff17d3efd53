//! The ports of the authority: each method is one whole intention and one transaction, as everywhere in
//! [`crate::ports`]. What changes the gate's state returns the number of its feed row; where there are several, the
//! last one's, so that who has seen that has seen all.
//!
//! A call that changes nothing (`None`, `false`, `Gone`, `Denied`, a poll that must go on) writes no event. A call that
//! ends a grant because something came twice writes `grant.revoked` with the outcome `deny` in place of the event that
//! it was given.
//!
//! A grant is dead when it is revoked, has expired, or was given at or before the `not_before` of a revocation of its
//! person or of its client; of the latter two its record says so in `revoked_at`. Stores judge that at each use.

use super::news::NewsStore;
use super::own_keys::OwnKeyStore;
use super::records::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, DeviceRecord, GrantRecord, GroupRecord,
    KeyStage, LetterRecord, Mac, NewRefresh, PushedRecord, RefreshRecord, Revocation, ScopeRecord,
    SessionRecord, SigningKeyRecord, TrustRecord, UserRecord,
};
use super::scim::DirectoryGroups;
use crate::people::AuthenticatorRecord;
#[cfg(doc)]
use crate::people::records::AUTHENTICATORS_MOST;
use crate::ports::Answer;
use crate::records::{IpEntry, IpId};
use base::{Event, UnixMs};

/// The next part of a listing by text id: after which id (empty: from the start), how many rows at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPage {
    /// Only what comes after this id.
    pub after: String,
    /// At most so many rows.
    pub rows: u32,
}

/// Keeps clients.
pub trait ClientStore: Send + Sync {
    /// Keeps a new client.
    ///
    /// # Errors
    /// `Conflict` when the id exists.
    fn create_client(&self, client: ClientRecord, event: Event) -> Answer<'_, i64>;
    /// Replaces a client if it still is as `before`; `None` when it is not. With `revoke`, that is written in the
    /// same transaction.
    fn replace_client(
        &self,
        before: ClientRecord,
        after: ClientRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>>;
    /// Removes a client (RFC 7592 §2.3) with the revocation of all its tokens, and forgets what people agreed to for
    /// it; `None` when there is none.
    fn remove_client(
        &self,
        id: String,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, Option<i64>>;
    /// The ids of clients that stand in the configuration file, or stood there when it was last read; by id.
    fn declared_clients(&self, page: TextPage) -> Answer<'_, Vec<String>>;
    /// Takes note of one.
    fn put_declared_client(&self, id: String) -> Answer<'_, ()>;
    /// Forgets one, with the revocation of all its tokens; whether it was there. Of any number of calls one writes.
    fn remove_declared_client(
        &self,
        id: String,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, bool>;
    /// The ids of clients of which there is no grant and no consent, at most `rows`.
    fn unused_clients(&self, rows: u32) -> Answer<'_, Vec<String>>;
    /// One client.
    fn client(&self, id: String) -> Answer<'_, Option<ClientRecord>>;
    /// Clients by id.
    fn clients(&self, page: TextPage) -> Answer<'_, Vec<ClientRecord>>;
}

/// Keeps people, their sessions and what they agreed to.
pub trait PeopleStore: Send + Sync {
    /// Keeps a new account.
    ///
    /// # Errors
    /// `Conflict` when the id or the e-mail exists.
    fn create_user(&self, user: UserRecord, event: Event) -> Answer<'_, i64>;
    /// Replaces an account if it still is as `before`; `None` when it is not. With `revoke`, that is written and all
    /// its sessions end in the same transaction.
    fn replace_user(
        &self,
        before: UserRecord,
        after: UserRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>>;
    /// One account.
    fn user(&self, id: String) -> Answer<'_, Option<UserRecord>>;
    /// The account with this e-mail, lower case.
    fn user_by_email(&self, email: String) -> Answer<'_, Option<UserRecord>>;
    /// The accounts that a directory calls so, by id, at most [`crate::PAGE_ROWS`].
    fn users_by_external_id(&self, external: String) -> Answer<'_, Vec<UserRecord>>;
    /// The accounts that stand in the configuration file, by id.
    fn declared_users(&self, page: TextPage) -> Answer<'_, Vec<UserRecord>>;
    /// Accounts by id.
    fn users(&self, page: TextPage) -> Answer<'_, Vec<UserRecord>>;
    /// Keeps a new session.
    fn create_session(&self, mac: Mac, session: SessionRecord, event: Event) -> Answer<'_, ()>;
    /// Puts a session into the place of `before`, which the same browser had until now: another secret, other proofs.
    /// Clients that joined it meanwhile stay, and so do addresses that were let in with it, though no longer than it
    /// lasts now. `false`, and nothing is written, when it has ended or something else was proved in it meanwhile.
    /// `events`: the old one is gone, the new one is there.
    fn renew_session(
        &self,
        before: SessionRecord,
        renewed: (Mac, SessionRecord),
        events: [Event; 2],
    ) -> Answer<'_, bool>;
    /// The session with this secret, unless it has expired at `now`.
    fn session(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<SessionRecord>>;
    /// Replaces a session's record (a fresh proof of who it is, a client more); whether there was one with this id
    /// and person. Clients that joined it meanwhile stay.
    fn replace_session(&self, mac: Mac, session: SessionRecord) -> Answer<'_, bool>;
    /// Ends the session with this id; what it was. The grants given in it go on, but what rests on it at the
    /// gate ends: a revocation of its id is written in the same transaction. `None` when there is none.
    fn end_session(&self, id: String, event: Event) -> Answer<'_, Option<SessionRecord>>;
    /// The sessions of a person that live at `now`, at most [`crate::PAGE_ROWS`].
    fn sessions(&self, user: String, now: UnixMs) -> Answer<'_, Vec<SessionRecord>>;
    /// What a person agreed to for a client.
    fn consent(&self, user: String, client: String) -> Answer<'_, Option<ConsentRecord>>;
    /// Forgets it, so that the person is asked again; whether there was any.
    fn forget_consent(&self, user: String, client: String, event: Event) -> Answer<'_, bool>;
}

/// How many entries there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Of one person.
    pub person: u32,
    /// Of all people in one list.
    pub list: u32,
}

/// What became of an address that a person lets in.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a click, and taken apart at once")]
pub enum PutOwn {
    /// It is kept, at most until the session's end; the feed row.
    Kept(IpEntry, i64),
    /// The session has ended, or the person is not (or not any more) in the group.
    Gone,
    /// The person has as many as there may be.
    TooMany,
    /// The list has as many as there may be.
    Full,
}

/// Keeps the addresses that people let in for themselves. INVARIANT: whatever ends a session, closes its account or takes
/// the group away ends what was let in with it in the same transaction, with an event and a feed row for each.
pub trait OwnAddressStore: Send + Sync {
    /// Keeps an entry with an owner; one of the same list, network and session is replaced and keeps its id.
    fn put_own_address(&self, entry: IpEntry, room: Room, event: Event) -> Answer<'_, PutOwn>;
    /// The entries of a person that hold at `now`, by id.
    fn own_addresses(&self, user: String, now: UnixMs) -> Answer<'_, Vec<IpEntry>>;
    /// Removes an entry of this person; `None` when they have none with this id.
    fn remove_own_address(
        &self,
        user: String,
        id: IpId,
        event: Event,
    ) -> Answer<'_, Option<(IpEntry, i64)>>;
}

/// A letter's code that is used.
#[derive(Debug, Clone)]
pub struct Spent {
    /// The code.
    pub mac: Mac,
    /// Now.
    pub now: UnixMs,
    /// All that was issued for its person.
    pub revoke: Revocation,
}

/// An address that is proved.
#[derive(Debug, Clone)]
pub struct ProvenAddress {
    /// The code.
    pub mac: Mac,
    /// Now.
    pub now: UnixMs,
    /// The session in which it is proved.
    pub session: String,
    /// Whether the person's other sessions end.
    pub ends_others: bool,
}

/// Keeps codes that were mailed, as MACs.
pub trait LetterStore: Send + Sync {
    /// Keeps one. Of its person and purpose, no more than `most` are kept: the oldest go.
    fn put_letter(&self, mac: Mac, letter: LetterRecord, most: u32, event: Event)
    -> Answer<'_, ()>;
    /// The one with this code, unless it has expired at `now`; nothing changes.
    fn letter(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<LetterRecord>>;
    /// Replaces an account as [`PeopleStore::replace_user`] does and removes all its letters in the same transaction, if
    /// this one is there and has not expired; `None` when it is not, or the account is not as `before`. INVARIANT: of
    /// any number of calls, on any number of nodes, at most one changes the account.
    fn spend_letter(
        &self,
        spent: Spent,
        before: UserRecord,
        after: UserRecord,
        event: Event,
    ) -> Answer<'_, Option<i64>>;
    /// Replaces an account without revoking anything, and removes all its letters in the same transaction, if this one is
    /// there for that purpose and has not expired; `None` when it is not, or the account is not as `before`. INVARIANT:
    /// as [`Self::spend_letter`].
    ///
    /// # Errors
    /// `Conflict` when another account has the address, or the session has ended.
    fn prove_address(
        &self,
        proven: ProvenAddress,
        before: UserRecord,
        after: UserRecord,
        event: Event,
    ) -> Answer<'_, Option<i64>>;
}

/// Keeps authenticators. Every change compares the whole record, so that what may be used once is.
pub trait AuthenticatorStore: Send + Sync {
    /// Keeps a new one. With `keep`, all sessions of its person but the one with that id end in the same transaction,
    /// each with its revocation.
    /// Without `event` where a sign-in's own says it (a browser is known from now on, failures are counted).
    ///
    /// # Errors
    /// `Conflict` when its id or handle exists, the person has [`AUTHENTICATORS_MOST`] already, or the session to `keep` has
    /// ended or is another person's.
    fn add_authenticator(
        &self,
        record: AuthenticatorRecord,
        keep: Option<String>,
        event: Option<Event>,
    ) -> Answer<'_, ()>;
    /// Keeps a new account together with its authenticators.
    ///
    /// # Errors
    /// `Conflict` when the id or the e-mail of the account, or the id or handle of one of them, exists; then nothing is
    /// kept.
    fn import_user(
        &self,
        user: UserRecord,
        owned: Vec<AuthenticatorRecord>,
        event: Event,
    ) -> Answer<'_, i64>;
    /// Replaces one if it still is as `before`; whether it was. Without `event` when nothing happened that counts.
    fn replace_authenticator(
        &self,
        before: AuthenticatorRecord,
        after: AuthenticatorRecord,
        event: Option<Event>,
    ) -> Answer<'_, bool>;
    /// Removes one if it still is as `before`; whether it was. `keep` as in [`Self::add_authenticator`].
    ///
    /// # Errors
    /// `Conflict` when the session `keep` has ended.
    fn remove_authenticator(
        &self,
        before: AuthenticatorRecord,
        keep: Option<String>,
        event: Option<Event>,
    ) -> Answer<'_, bool>;
    /// Replaces an account as [`PeopleStore::replace_user`] does, and removes all its authenticators in the same
    /// transaction; how many there were.
    fn reset_user(
        &self,
        before: UserRecord,
        after: UserRecord,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, Option<(i64, u64)>>;
    /// Those of a person, by id.
    fn authenticators(&self, user: String) -> Answer<'_, Vec<AuthenticatorRecord>>;
    /// The one with this handle.
    fn authenticator_by_handle(&self, handle: String) -> Answer<'_, Option<AuthenticatorRecord>>;
}

/// What is written together with a code.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CodeCompany {
    /// The pushed request that it answers, which is spent by it.
    pub pushed: Option<Mac>,
    /// The consent that is to be remembered.
    pub consent: Option<ConsentRecord>,
    /// The session in which it was given: the grant's client joins it. One that has ended meanwhile is passed over.
    pub session: Option<String>,
}

/// When a refresh token is used, and how long ago its use may lie for the same child to be given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Now.
    pub now: UnixMs,
    /// Milliseconds.
    pub length_ms: i64,
}

/// What became of a code that was to be redeemed.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a request, and taken apart at once")]
pub enum Redeemed {
    /// It was good until now, and is spent.
    Now(GrantRecord),
    /// It was spent before: the grant is revoked by this very call, and the change has this number in the feed.
    Twice {
        /// The grant's id.
        grant: String,
        /// The feed row.
        seq: i64,
    },
    /// There is no such code, it has expired, or its grant is dead.
    Gone,
}

/// What became of a refresh token that was to be used.
#[derive(Debug, Clone)]
pub enum Rotated {
    /// It was good until now; the child is kept.
    Now(GrantRecord),
    /// It was spent within the window: this is the child that was made then, sealed.
    Same(GrantRecord, Vec<u8>),
    /// It was spent before, whether or not it would have expired since: the grant is revoked by this very call.
    Reused {
        /// The grant's id.
        grant: String,
        /// The feed row.
        seq: i64,
    },
    /// There is no such token, it has expired, or its grant is dead.
    Gone,
}

/// What of an access token can be revoked. What is absent was not revoked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenNames {
    /// `jti`.
    pub token: Option<String>,
    /// `gid`.
    pub grant: Option<String>,
    /// `client_id`.
    pub client: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `iat`: a revocation of client or subject concerns what was issued at or before its `not_before`.
    pub issued_at: UnixMs,
}

/// When something was last issued on a grant, to the minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantUse {
    /// The grant.
    pub grant: String,
    /// When.
    pub at: UnixMs,
    /// The network that the client asked from: an IPv4 /24 or an IPv6 /48.
    pub network: Option<String>,
}

/// Keeps grants and what belongs to them.
pub trait GrantStore: Send + Sync {
    /// Keeps a grant, its code, and the consent if it is to be remembered; spends the pushed request.
    ///
    /// # Errors
    /// `Conflict` when the pushed request was spent before (then nothing is written).
    fn create_code(
        &self,
        grant: GrantRecord,
        code: (Mac, CodeRecord),
        with: CodeCompany,
        event: Event,
    ) -> Answer<'_, ()>;
    /// The code, spent or not, as long as it is kept; nothing changes.
    fn code(&self, mac: Mac) -> Answer<'_, Option<(CodeRecord, GrantRecord)>>;
    /// As [`Self::code`], with the account of the grant's person as it is at the same moment; `None` where the grant has
    /// no person, or there is no such account.
    fn code_and_person(
        &self,
        mac: Mac,
    ) -> Answer<'_, Option<(CodeRecord, GrantRecord, Option<UserRecord>)>>;
    /// Spends the code, keeping the first refresh token with it. INVARIANT: of any number of calls, on any
    /// number of nodes, at most one ever gets `Now`; each later one revokes the grant.
    fn redeem_code(
        &self,
        mac: Mac,
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Redeemed>;
    /// Keeps a grant that comes with no code (device, exchange), and its first refresh token.
    fn create_grant(
        &self,
        grant: GrantRecord,
        refresh: Option<NewRefresh>,
        event: Event,
    ) -> Answer<'_, ()>;
    /// The refresh token and its grant, spent or not, as long as it is kept; nothing changes.
    fn refresh(&self, mac: Mac) -> Answer<'_, Option<(RefreshRecord, GrantRecord)>>;
    /// As [`Self::refresh`], with the account of the grant's person, as in [`Self::code_and_person`].
    fn refresh_and_person(
        &self,
        mac: Mac,
    ) -> Answer<'_, Option<(RefreshRecord, GrantRecord, Option<UserRecord>)>>;
    /// Spends the parent and keeps the child, or gives the child that was made within the window again, or revokes.
    /// INVARIANT: of any number of calls at once, on any number of nodes, one keeps its child and all others
    /// within the window get that child.
    fn rotate_refresh(
        &self,
        parent: Mac,
        child: NewRefresh,
        within: Window,
        event: Event,
    ) -> Answer<'_, Rotated>;
    /// Moves the idle end of a token that is not rotated, never to an earlier time; `None` when it or its grant is
    /// gone.
    fn keep_refresh(
        &self,
        mac: Mac,
        expires_at: UnixMs,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<GrantRecord>>;
    /// One grant.
    fn grant(&self, id: String) -> Answer<'_, Option<GrantRecord>>;
    /// The grants of a person that live at `now`, the newest first, at most [`crate::PAGE_ROWS`].
    fn grants_of_user(&self, user: String, now: UnixMs) -> Answer<'_, Vec<GrantRecord>>;
    /// When those were last used that were used at all, at most [`crate::PAGE_ROWS`].
    fn uses_of_grants(&self, user: String, now: UnixMs) -> Answer<'_, Vec<GrantUse>>;
    /// Revokes a grant with all its tokens until `until`; `None` when there is none. A second revocation keeps the
    /// first one's time, and is announced again.
    fn revoke_grant(
        &self,
        id: String,
        now: UnixMs,
        until: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>>;
    /// Writes a revocation (of a token by `jti`, of all tokens of a subject or client).
    fn revoke(&self, revocation: Revocation, event: Event) -> Answer<'_, i64>;
    /// The revocation of this kind and value that is in force at `now`.
    fn revocation(
        &self,
        kind: super::records::RevocationKind,
        value: String,
        now: UnixMs,
    ) -> Answer<'_, Option<Revocation>>;
    /// By what an access token was revoked, if it was: by itself, its grant, its client or its subject, the first of
    /// these. One look; a revocation that was acknowledged before it began is seen.
    fn revoked(
        &self,
        token: TokenNames,
        now: UnixMs,
    ) -> Answer<'_, Option<super::records::RevocationKind>>;
    /// Keeps an opaque access token.
    fn put_access(&self, mac: Mac, access: AccessRecord, event: Event) -> Answer<'_, ()>;
    /// An opaque access token that has not expired at `now`.
    fn access(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<AccessRecord>>;
    /// Keeps a pushed request.
    fn push(&self, mac: Mac, pushed: PushedRecord, event: Event) -> Answer<'_, ()>;
    /// A pushed request that is neither spent nor expired at `now`.
    fn pushed(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<PushedRecord>>;
    /// Takes note of something that may happen once until `until`; whether this was the first time. It may still be
    /// remembered some minutes later.
    fn once(&self, what: Mac, until: UnixMs) -> Answer<'_, bool>;
}

/// What a device's poll finds (RFC 8628 §3.5).
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a request, and taken apart at once")]
pub enum Polled {
    /// It came too early; the interval has grown by five seconds.
    TooEarly,
    /// Nobody has decided.
    Waiting,
    /// Somebody has agreed: this is the grant, and the code is spent.
    Allowed(GrantRecord),
    /// Somebody has refused.
    Denied,
    /// There is no such code for this client, it has expired or is spent.
    Gone,
}

/// Keeps device authorizations.
pub trait DeviceStore: Send + Sync {
    /// Keeps a new one.
    ///
    /// # Errors
    /// `Conflict` when the user code is in use at the event's time.
    fn create_device(&self, mac: Mac, device: DeviceRecord, event: Event) -> Answer<'_, ()>;
    /// The one with this user code that waits at `now`.
    fn device_by_user_code(&self, code: String, now: UnixMs) -> Answer<'_, Option<DeviceRecord>>;
    /// Decides it: with a grant, allowed; without, denied. Whether it still waited.
    fn decide_device(
        &self,
        user_code: String,
        grant: Option<GrantRecord>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, bool>;
    /// A poll of the device code with this MAC by this client; keeps `refresh` with the grant when it is allowed (its `grant` is set to that).
    fn poll_device(
        &self,
        device: (Mac, String),
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Polled>;
}

/// Keeps signing keys, trust rules and scopes' words.
pub trait AuthorityStore: Send + Sync {
    /// All signing keys.
    fn signing_keys(&self) -> Answer<'_, Vec<SigningKeyRecord>>;
    /// Keeps a new key, unless there is one of its algorithm in the same stage already; whether it is kept, and the feed row.
    fn add_signing_key(&self, key: SigningKeyRecord, event: Event) -> Answer<'_, Option<i64>>;
    /// Moves a key from one stage to another (`None`: it is removed), if it stands in the first; the feed row.
    #[expect(clippy::too_many_arguments, reason = "one step, compared and set, with its event")]
    fn stage_signing_key(
        &self,
        kid: String,
        from: KeyStage,
        to: Option<KeyStage>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>>;
    /// Keeps a trust rule, replacing the one of the same id.
    fn put_trust(&self, rule: TrustRecord, event: Event) -> Answer<'_, i64>;
    /// Removes one; `None` when there is none.
    fn remove_trust(&self, id: String, event: Event) -> Answer<'_, Option<i64>>;
    /// All trust rules, by id.
    fn trusts(&self) -> Answer<'_, Vec<TrustRecord>>;
    /// Keeps a group, replacing the one of the same name.
    fn put_group(&self, group: GroupRecord, event: Event) -> Answer<'_, i64>;
    /// Removes a group; `None` when there is none.
    fn remove_group(&self, name: String, event: Event) -> Answer<'_, Option<i64>>;
    /// All groups, by name.
    fn groups(&self) -> Answer<'_, Vec<GroupRecord>>;
    /// Keeps a scope's words.
    fn put_scope(&self, scope: ScopeRecord, event: Event) -> Answer<'_, i64>;
    /// Forgets them; `None` when there are none.
    fn remove_scope(&self, name: String, event: Event) -> Answer<'_, Option<i64>>;
    /// All scopes with words, by name.
    fn scopes(&self) -> Answer<'_, Vec<ScopeRecord>>;
}

/// Everything that the OAuth use cases need.
pub trait OAuthStore:
    ClientStore
    + PeopleStore
    + OwnAddressStore
    + LetterStore
    + AuthenticatorStore
    + GrantStore
    + DeviceStore
    + AuthorityStore
    + DirectoryGroups
    + OwnKeyStore
    + NewsStore
{
}
impl<T> OAuthStore for T where
    T: ClientStore
        + PeopleStore
        + OwnAddressStore
        + LetterStore
        + AuthenticatorStore
        + GrantStore
        + DeviceStore
        + AuthorityStore
        + DirectoryGroups
        + OwnKeyStore
        + NewsStore
{
}
