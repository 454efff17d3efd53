//! Incidents of other gateways and authorizers, each a test of the running binary over the network, named after its
//! row in the list.
//!
//! What is not here, and why:
//!
//! | row | omitted | reason |
//! |---|---|---|
//! | 12 | all: fragmented ClientHello, server name against Host, wildcard names | client certificates are not built yet; that the server name must be the Host is in `answers` (421) |
//! | 13 | rules on headers with repeated and joined values | routes have no condition on headers yet; repeated and joined credentials and addresses are here |
//! | 14 | all: NUL in a SAN, a URI that poses as DNS | client certificates are not built yet |
//! | 15 | all: CRLs | client certificates are not built yet |
//! | 18 | OCSP and shared counters | neither is built yet; key sets, discovery and introspection are here |
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod answers;
mod framing;
mod headers;
mod http2;
mod nesting;
mod outside;
mod paths;
mod stage;
mod tokens;
mod unheard;
