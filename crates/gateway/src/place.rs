//! Places on a listener: how many connections it holds, in all and from one address.
//!
//! INVARIANT: what was counted in is counted out when its place is dropped, however the connection ended.

use crate::gate::Listener;
use crate::shard::Shard;
use base::{Code, Event, EventId, Kind, Outcome, code};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections of one listener by address; it holds no more than the listener does.
///
/// WHY a lock: it is taken twice in the life of a connection, never for a request.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<HashMap<IpAddr, usize>>);

impl Crowd {
    /// Counts one more of `address`, unless there are `most` already.
    fn enter(&self, address: IpAddr, most: usize) -> bool {
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = crowd.entry(address).or_default();
        let fits = *open < most;
        if fits {
            *open += 1;
        }
        fits
    }

    fn leave(&self, address: IpAddr) {
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = crowd.get_mut(&address) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                crowd.remove(&address);
            }
        }
    }
}

/// Whose connections count together: an IPv4 address, or the /64 that one subscriber holds whole.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A connection's place.
pub(crate) struct Place {
    shard: Rc<Shard>,
    listener: Arc<Listener>,
    address: Option<IpAddr>,
}

impl Place {
    /// Counts a connection in.
    ///
    /// # Errors
    /// [`code::OVERLOADED`] when the listener is full.
    pub(crate) fn new(shard: &Rc<Shard>, listener: &Arc<Listener>) -> Result<Self, Code> {
        let open = listener.open.fetch_add(1, Ordering::Relaxed);
        shard.gate.open.fetch_add(1, Ordering::Relaxed);
        shard.gate.metrics.connections.inc();
        shard.gate.metrics.accepted.inc();
        let place = Self { shard: shard.clone(), listener: listener.clone(), address: None };
        if open < listener.settings().max_connections { Ok(place) } else { Err(code::OVERLOADED) }
    }

    /// Counts it for `client` as well, once it is known; trusted proxies bring many callers and are not counted.
    ///
    /// # Errors
    /// [`code::CROWDED`] when the address holds its share already.
    pub(crate) fn of(&mut self, client: IpAddr) -> Result<(), Code> {
        let settings = self.listener.settings();
        if self.address.is_some() || settings.proxies.trusted.contains(client) {
            return Ok(());
        }
        let address = neighbourhood(client);
        if !self.listener.crowd.enter(address, settings.max_per_address) {
            return Err(code::CROWDED);
        }
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.listener.crowd.leave(address);
        }
        self.listener.open.fetch_sub(1, Ordering::Relaxed);
        let gate = &self.shard.gate;
        gate.open.fetch_sub(1, Ordering::Relaxed);
        gate.metrics.connections.dec();
        if std::thread::panicking() {
            gate.metrics.panics.inc();
            if let Ok(id) = EventId::random() {
                let mut event =
                    Event::new(id, gate.clock.now(), gate.node, Kind::System, code::PANIC);
                event.outcome = Outcome::Error;
                self.shard.recorder.record(&event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_no_more_than_its_share() {
        let crowd = Crowd::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        assert!(crowd.enter(one, 2) && crowd.enter(one, 2));
        assert!(!crowd.enter(one, 2) && crowd.enter(other, 2));
        crowd.leave(one);
        assert!(crowd.enter(one, 2) && !crowd.enter(one, 2));
        for address in [one, one, other] {
            crowd.leave(address);
        }
        assert!(crowd.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_subscriber_is_one_address() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
