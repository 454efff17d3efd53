//! The data plane: takes connections, runs the nine phases of a request, forwards, streams, records.
//!
//! Owns: shards, listeners, TLS, HTTP/1.1 and HTTP/2 on both sides, upstream pools and health, header
//! hygiene, the mapping of refusals to problem details.
//!
//! Never does: judge who may pass (that is `access`), know where keys are stored, or wait for the ledger on a
//! normal route.
//!
//! Invariants: nothing is forwarded without a `Permit`; every request is recorded exactly once; a shard is one
//! thread, and nothing in it is shared with another but immutable snapshots, the striped tables of limits and of
//! proofs that were used, and the audit ring.

mod accept;
mod act;
mod assertion;
mod body;
mod browser;
mod caller;
mod connect;
mod cors;
mod deadline;
mod exchange;
mod gate;
pub mod h1;
mod h2side;
pub mod head;
mod health;
mod hygiene;
mod live;
mod log;
mod lookup;
mod metadata;
mod metrics;
mod place;
mod pool;
mod presented;
mod problem;
mod record;
mod serve;
mod settings;
mod shard;
mod stream;
mod tls;
mod tunnel;
mod upstream;

pub use browser::{
    CALLBACK, SignInCode, SignInError, SignInFacts, SignInKept, SignInOrigin, SignInPlace, SignIns,
};
pub use gate::{Bound, Gate, GateError, GateParts};
pub use log::AccessLog;
pub use lookup::{LookupError, Lookups};
pub use metrics::Metrics;
pub use settings::{
    Act, CorsSettings, HeaderRules, HealthSettings, HostHeader, ListenerSettings, Proxies,
    ProxyHeader, PublicOrigin, ServerSettings, Timeouts, TlsFiles, UpstreamProtocol,
    UpstreamSettings, UpstreamTls,
};
pub use upstream::{Upstream, UpstreamError};
