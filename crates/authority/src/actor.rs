//! Who acts.

use base::Scheme;
use std::net::IpAddr;
use std::sync::Arc;

/// Whoever asks for a change; stands in the audit event of every act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The subject: at the control socket `uid:1000` or the user's name.
    pub principal: Arc<str>,
    /// How the actor proved itself.
    pub scheme: Scheme,
    /// From where, when it came over the network.
    pub client_ip: Option<IpAddr>,
}

impl Actor {
    /// The operating system's user at the control socket.
    pub fn local(principal: &str) -> Self {
        Self { principal: Arc::from(principal), scheme: Scheme::Local, client_ip: None }
    }
}
