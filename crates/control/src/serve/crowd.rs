//! How many connections of a control address one client may hold.
//!
//! INVARIANT: what was counted in is counted out when its seat is dropped, however the connection ended.

use crate::problem::TYPE_PREFIX;
use base::code;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Connections of one address: a quarter of all, as at listeners, so that four clients are needed to keep the others
/// out. A browser holds six, a scraper one, a proxy that nobody named some dozens.
pub(super) const OF_ONE_ADDRESS: usize = super::tcp::CONNECTIONS / 4;

/// Open connections by address; as many entries as connections at most.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<HashMap<IpAddr, usize>>);

/// One connection's seat.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    /// A seat for one more of `address`; `None` when it holds its share already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = neighbourhood(address);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= OF_ONE_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Seat { crowd: self.clone(), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.address);
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

/// Tells who is turned away why, before a request was read.
pub(super) async fn turn_away(stream: &mut (impl AsyncWrite + Unpin)) {
    let code = code::CROWDED;
    let title = code.info().map_or("Refused", |info| info.title);
    let body = format!(
        "{{\"type\":\"{TYPE_PREFIX}{code}\",\"title\":\"{title}\",\"status\":429,\"code\":\"{code}\"}}"
    );
    let head = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/problem+json\r\n\
                cache-control: no-store\r\nretry-after: 10\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    // Whoever is gone or does not read needs no answer.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_holds_its_share_and_no_more() {
        let crowd = Arc::new(Crowd::default());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|it| it.parse().unwrap());
        let mut seats: Vec<Seat> = (0..OF_ONE_ADDRESS).map(|_| crowd.enter(one).unwrap()).collect();
        assert!(crowd.enter(one).is_none());
        assert!(crowd.enter("::ffff:192.0.2.1".parse().unwrap()).is_none(), "the same address");
        assert!(crowd.enter(other).is_some());
        seats.pop();
        assert!(crowd.enter(one).is_some());
        drop(seats);
        assert!(crowd.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_subscriber_holds_a_whole_64() {
        let crowd = Arc::new(Crowd::default());
        let seats: Vec<Option<Seat>> = (0..=OF_ONE_ADDRESS)
            .map(|number| crowd.enter(format!("2001:db8::{number:x}").parse().unwrap()))
            .collect();
        assert_eq!(seats.iter().filter(|seat| seat.is_none()).count(), 1);
        assert!(crowd.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
