//! What goes over the wire: the real peers of a gate (curl, WebSocket, gRPC, nginx, HTTP/2 servers), bodies of
//! any size, and what happens when one of them breaks.
//!
//! The same tests run in short in `cargo xtask test` and at full length in `cargo xtask soak`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bulk;
mod crash;
mod curl;
mod faults;
mod grpc;
mod h1;
mod slow;
mod stage;
mod tls;
mod upstreams;
mod websocket;
