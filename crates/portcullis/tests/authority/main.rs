//! The authority against clients that we did not write, over the network.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backchannel;
mod code;
mod crash;
mod declared;
mod exchanged;
mod fapi;
mod federation;
mod machines;
mod mcp;
mod openid;
mod others;
mod rules_outside;
mod rules_requests;
mod rules_stage;
mod rules_tokens;
mod setup;
mod step_up;
