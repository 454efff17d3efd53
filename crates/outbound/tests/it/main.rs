//! The client and the resolver against small servers on the loopback interface.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod dns;
mod fetch;
mod inward;
mod server;
mod tls;
