//! Address entries that are added at run time and end by themselves.

use crate::actor::Actor;
use crate::authority::{Authority, Done};
use crate::error::Error;
use crate::ports::Page;
use crate::records::{IpEntry, IpId};
use crate::text;
use base::code;
use ipnet::{IpNet, Ipv4Net};
use std::time::Duration;

/// The longest that an entry may hold; what is meant for longer belongs into the configuration file.
pub const ALLOW_LONGEST: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// The widest IPv4 network that may be let in at run time. A wider one is more likely a slip than meant.
const WIDEST_V4: u8 = 8;
/// The widest IPv6 network.
const WIDEST_V6: u8 = 16;

/// Which addresses shall be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowIp {
    /// The name of an `[[ip_list]]`. Whether there is such a list is the caller's to check.
    pub list: String,
    /// An address (/32, /128) or network, without host bits.
    pub net: IpNet,
    /// How long, 1 s to 90 days.
    pub expires: Duration,
    /// Why; at most 500 characters.
    pub note: Option<String>,
}

impl Authority {
    /// Lets addresses into a list for a time. An entry for the same list and network is replaced.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an input breaks its rule (recorded as `act.refused`).
    pub async fn allow_ip(&self, actor: &Actor, ask: AllowIp) -> Result<Done<IpEntry>, Error> {
        let entry = match self.draft_ip(actor, &ask) {
            Ok(entry) => entry,
            Err(refusal) => return self.refused(actor, code::IP_ALLOWED, None, refusal).await,
        };
        let note = entry.note.as_deref().unwrap_or_default();
        let detail =
            format!("{} into {}, until {}: {note}", entry.net, entry.list, entry.expires_at.0);
        let event = self.event(actor, code::IP_ALLOWED, Some(entry.id.as_str()), &detail)?;
        Ok(self.registry.put_ip(entry, event).await?.into())
    }

    fn draft_ip(&self, actor: &Actor, ask: &AllowIp) -> Result<IpEntry, Error> {
        if !(Duration::from_secs(1)..=ALLOW_LONGEST).contains(&ask.expires) {
            return Err(Error::invalid("for", "must lie between 1 second and 90 days"));
        }
        let now = self.clock.now();
        Ok(IpEntry {
            id: IpId::random()?,
            list: text::config_name("list", &ask.list)?,
            net: network(ask.net)?,
            created_at: now,
            expires_at: now.plus(ask.expires),
            note: text::optional_line("note", ask.note.as_deref(), text::NOTE_CHARS)?,
            created_by: actor.principal.to_string(),
            owner: None,
        })
    }

    /// The entries that hold now, of one list or of all, by id.
    ///
    /// # Errors
    /// As the store says.
    pub async fn ips(&self, list: Option<&str>, page: Page) -> Result<Vec<IpEntry>, Error> {
        Ok(self.registry.ips(list.map(str::to_owned), self.clock.now(), page).await?)
    }

    /// Removes an entry before its time.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none (recorded as `act.refused`).
    pub async fn remove_ip(&self, actor: &Actor, id: IpId) -> Result<Done<IpEntry>, Error> {
        let event = self.event(actor, code::IP_REMOVED, Some(id.as_str()), "")?;
        match self.registry.remove_ip(id, event).await? {
            Some(done) => Ok(done.into()),
            None => {
                let refusal = Error::NotFound { what: "address entry", id: id.to_string() };
                self.refused(actor, code::IP_REMOVED, Some(id.as_str()), refusal).await
            }
        }
    }
}

/// The network in its one form: IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) as IPv4.
fn network(net: IpNet) -> Result<IpNet, Error> {
    if net.trunc() != net {
        return Err(Error::invalid(
            "address",
            format!("{net} names a host inside a network: say {} or {}", net.trunc(), net.addr()),
        ));
    }
    let net = unmapped(net);
    let widest = if matches!(net, IpNet::V4(_)) { WIDEST_V4 } else { WIDEST_V6 };
    if net.prefix_len() < widest {
        return Err(Error::invalid(
            "address",
            format!("{net} is wider than /{widest}: networks of that size belong into the file"),
        ));
    }
    Ok(net)
}

fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(six) = net else { return net };
    let four = six.addr().to_ipv4_mapped();
    match (four, six.prefix_len().checked_sub(96)) {
        (Some(four), Some(prefix)) => Ipv4Net::new(four, prefix).map_or(net, IpNet::V4),
        _ => net,
    }
}
