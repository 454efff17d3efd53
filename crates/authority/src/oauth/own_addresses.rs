//! "Let my current address in": a person opens an address list to the address that they come from, for some hours.
//!
//! Owns: which lists a person may add themselves to, and what is asked of them before.
//!
//! Never does: take an address from anybody's word. It is the one that the request came from, by the rules of the control
//! address for proxies.
//!
//! Invariants:
//! - Nothing is let in without a complete session of two factors, proved within [`FRESH`].
//! - An entry is exactly one address and holds at most as long as the session in which it was let in.
//! - Who may and for how long stands in the file (`self_service` of `[[ip_list]]`); where nothing stands, nobody may.

use super::methods::FRESH;
use super::ports::{PutOwn, Room};
use super::sessions::{Current, SessionText, Standing};
use super::{OAuth, Origin};
use crate::error::Error;
use crate::mail::{AddressAllowed, Seen};
use crate::people::policy::Missing;
use crate::people::{Level, Need, Offers};
use crate::records::{IpEntry, IpId, IpOwner};
use base::code;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The longest that the file may allow: a working day and a night.
pub const SELF_SERVICE_LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long unless the file says otherwise.
pub const SELF_SERVICE: Duration = Duration::from_secs(8 * 60 * 60);
/// Entries of one person in all lists and sessions: a few devices in a few places.
pub const OWN_ADDRESSES_MOST: u32 = 16;
/// Entries of all people in one list: half of what a list holds at run time, so that people never crowd out what an
/// administrator has added.
pub const LIST_ADDRESSES_MOST: u32 = 2_048;

/// A list to which people may add their own address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfService {
    /// The name of the `[[ip_list]]`.
    pub list: String,
    /// Who may: people in any of these groups. Never empty.
    pub groups: Vec<String>,
    /// For how long, at most [`SELF_SERVICE_LONGEST`].
    pub longest: Duration,
    /// Whether addresses that do not belong to one subscriber in the world may be added too.
    pub private: bool,
}

impl SelfService {
    /// The group by which somebody in `groups` may.
    #[must_use]
    pub fn admits(&self, groups: &[String]) -> Option<&str> {
        self.groups.iter().find(|it| groups.contains(it)).map(String::as_str)
    }
}

/// What kind of address somebody comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One of the world's.
    Public,
    /// This machine itself.
    Loopback,
    /// Of a private network (RFC 1918, RFC 4193), or of one link (RFC 3927, RFC 4291 §2.5.6).
    Private,
    /// Shared by a provider's subscribers (RFC 6598).
    Shared,
    /// None from which anybody can come (RFC 6890): unspecified, multicast, reserved, for documentation.
    Nowhere,
}

impl Reach {
    /// Of this address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(it) => {
                let [a, b, ..] = it.octets();
                match it {
                    _ if it.is_loopback() => Self::Loopback,
                    _ if it.is_private() || it.is_link_local() => Self::Private,
                    _ if a == 100 && (64..128).contains(&b) => Self::Shared,
                    _ if it.is_multicast() || a == 0 || a >= 240 => Self::Nowhere,
                    _ => Self::Public,
                }
            }
            IpAddr::V6(it) => match it {
                _ if it.is_loopback() => Self::Loopback,
                _ if it.is_unique_local() || it.is_unicast_link_local() => Self::Private,
                _ if it.is_multicast() || it.is_unspecified() => Self::Nowhere,
                _ => Self::Public,
            },
        }
    }
}

/// An entry of the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAddress {
    /// What is kept.
    pub entry: IpEntry,
    /// Whether it belongs to the session that asks.
    pub this: bool,
}

/// What a person may let in, and has.
#[derive(Debug, Clone)]
pub struct OwnAddresses {
    /// Whose.
    pub current: Current,
    /// From where they come; `None` where that is not known.
    pub address: Option<IpAddr>,
    /// The lists that they may add themselves to, in the order of the file.
    pub lists: Vec<SelfService>,
    /// What is let in now, by list.
    pub entries: Vec<OwnAddress>,
}

/// Why it was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowRefused {
    /// Nobody is signed in.
    NotSignedIn,
    /// One of these is to be proved first.
    Prove(Offers),
    /// The person has no second factor yet.
    Enrol,
    /// Nothing that the person has reaches what is asked for.
    Unreachable,
    /// There is no such list for this person.
    NoList,
    /// It is not known where the person comes from, or such addresses are not let in here.
    Address(Option<Reach>),
    /// The person has as many as there may be.
    TooMany,
    /// The list has as many as there may be.
    Full,
}

impl OAuth {
    /// The lists that somebody in `groups` may add themselves to.
    #[must_use]
    pub fn lists_for(&self, groups: &[String]) -> Vec<SelfService> {
        let settings = self.settings();
        settings.self_service.iter().filter(|it| it.admits(groups).is_some()).cloned().collect()
    }

    /// What a person may let in and has let in; `None` when nobody is signed in, or not enough.
    ///
    /// # Errors
    /// As the store says.
    pub async fn own_addresses(
        &self,
        session: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<Option<OwnAddresses>, Error> {
        let Some(current) = self.current(session).await? else { return Ok(None) };
        let now = self.parts.clock.now();
        let found = self.parts.store.own_addresses(current.user.id.clone(), now).await?;
        let own = |entry: IpEntry| {
            let of = entry.owner.as_ref().map(|it| it.session.as_str());
            OwnAddress { this: of == Some(current.session.id.as_str()), entry }
        };
        let mut entries: Vec<OwnAddress> = found.into_iter().map(own).collect();
        entries.sort_by(|a, b| (&a.entry.list, a.entry.net).cmp(&(&b.entry.list, b.entry.net)));
        Ok(Some(OwnAddresses {
            address: origin.client_ip.map(|it| it.to_canonical()),
            lists: self.lists_for(&current.user.roles),
            entries,
            current,
        }))
    }

    /// Lets the address that the request came from into a list; what is then kept, and its place in the feed.
    ///
    /// # Errors
    /// The outer: as the store says. The inner: why not.
    pub async fn allow_own_address(
        &self,
        session: Option<&SessionText>,
        list: &str,
        origin: &Origin,
    ) -> Result<Result<(IpEntry, i64), AllowRefused>, Error> {
        let standing = match self.may_allow(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let user = &standing.current.user;
        let lists = self.lists_for(&user.roles);
        let Some(list) = lists.into_iter().find(|it| it.list == list) else {
            return Ok(Err(self.not_allowed(&standing, AllowRefused::NoList, origin)?));
        };
        let Some(address) = origin.client_ip.map(|it| it.to_canonical()) else {
            return Ok(Err(AllowRefused::Address(None)));
        };
        let reach = Reach::of(address);
        if reach == Reach::Nowhere || (reach != Reach::Public && !list.private) {
            return Ok(Err(self.not_allowed(
                &standing,
                AllowRefused::Address(Some(reach)),
                origin,
            )?));
        }
        let entry = self.own_entry(&standing, &list, address)?;
        let mut event = self.event(origin, code::IP_ALLOWED)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        // The address itself stands in the field that can be erased.
        let until = entry.owner.as_ref().map_or(entry.expires_at, |it| it.latest).0;
        let detail =
            format!("the person's own address, into {}, until {until} at the latest", list.list);
        event.detail = Some(detail.into());
        let room = Room { person: OWN_ADDRESSES_MOST, list: LIST_ADDRESSES_MOST };
        let (entry, seq) = match self.parts.store.put_own_address(entry, room, event).await? {
            PutOwn::Kept(entry, seq) => (entry, seq),
            PutOwn::Gone => return Ok(Err(AllowRefused::NotSignedIn)),
            PutOwn::TooMany => return Ok(Err(AllowRefused::TooMany)),
            PutOwn::Full => return Ok(Err(AllowRefused::Full)),
        };
        let at = entry.created_at;
        let seen = Seen { at, address: Some(address), user_agent: &origin.user_agent };
        let until = entry.owner.as_ref().map_or(entry.expires_at, |it| it.latest);
        let list = entry.list.as_str();
        self.tell(user, |sender, to| AddressAllowed { list, until, seen }.to(sender, to)).await;
        Ok(Ok((entry, seq)))
    }

    /// The session, if it proves two factors, one of them just now.
    async fn may_allow(
        &self,
        session: Option<&SessionText>,
    ) -> Result<Result<Standing, AllowRefused>, Error> {
        let Some(standing) = self.standing(session).await? else {
            return Ok(Err(AllowRefused::NotSignedIn));
        };
        let now = self.parts.clock.now();
        let mut need: Need = self.baseline(&standing);
        need.level = need.level.max(Level::Aal2);
        need.not_before(now.minus(FRESH));
        Ok(match standing.missing(&need, now) {
            Missing::Nothing => Ok(standing),
            Missing::Proof(offers) => Err(AllowRefused::Prove(offers)),
            Missing::Enrolment => Err(AllowRefused::Enrol),
            Missing::Unreachable => Err(AllowRefused::Unreachable),
        })
    }

    fn own_entry(
        &self,
        standing: &Standing,
        list: &SelfService,
        address: IpAddr,
    ) -> Result<IpEntry, Error> {
        let now = self.parts.clock.now();
        let (user, session) = (&standing.current.user, &standing.current.session);
        let latest = now.plus(list.longest.min(SELF_SERVICE_LONGEST));
        // WHY `session_idle` does not count: eight hours were asked for, by somebody who then works elsewhere. What ends the
        // session ends the entry; that it lies unused only means that whoever comes back signs in again.
        Ok(IpEntry {
            id: IpId::random()?,
            list: list.list.clone(),
            // WHY an IPv6 address alone and not its /64: some hosts share a /64 among strangers, and a browser keeps the
            // address that it uses for a day (RFC 8981 §3.8). Who gets another one lets that in.
            net: IpNet::from(address),
            created_at: now,
            expires_at: latest,
            note: None,
            created_by: user.id.clone(),
            owner: Some(IpOwner {
                user: user.id.clone(),
                session: session.id.clone(),
                group: list.admits(&user.roles).unwrap_or_default().to_owned(),
                latest,
            }),
        })
    }

    /// Records what a person tried that is not theirs.
    fn not_allowed(
        &self,
        standing: &Standing,
        refused: AllowRefused,
        origin: &Origin,
    ) -> Result<AllowRefused, Error> {
        let why = match refused {
            AllowRefused::NoList => "the person may not add themselves to such a list",
            _ => "such an address is not let in",
        };
        let detail = format!("{}: {why}", code::IP_ALLOWED);
        let mut event = self.denial(origin, code::ACT_REFUSED, detail)?;
        event.principal = Some(Arc::from(standing.current.user.id.as_str()));
        self.parts.evidence.record_denial(event);
        Ok(refused)
    }

    /// Ends an entry of the person before its time; its place in the feed, `Some(None)` when they have none with this id,
    /// and `None` when nobody is signed in.
    ///
    /// # Errors
    /// As the store says.
    pub async fn end_own_address(
        &self,
        session: Option<&SessionText>,
        id: &str,
        origin: &Origin,
    ) -> Result<Option<Option<i64>>, Error> {
        let Some(current) = self.current(session).await? else { return Ok(None) };
        let Ok(id) = id.parse::<IpId>() else { return Ok(Some(None)) };
        let mut event = self.event(origin, code::IP_REMOVED)?;
        event.principal = Some(Arc::from(current.user.id.as_str()));
        event.credential_id = Some(Arc::from(id.as_str()));
        event.detail = Some(", ended by the person".into());
        let gone = self.parts.store.remove_own_address(current.user.id, id, event).await?;
        Ok(Some(gone.map(|(_, seq)| seq)))
    }
}

#[cfg(test)]
mod tests;
