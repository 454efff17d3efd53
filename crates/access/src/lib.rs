//! Who is this, and may they.
//!
//! Owns: request schemes (`schemes/`), the decision (`decide`), address lists, route matching, limits, the
//! snapshot types that shards judge by, and the phases as types ([`judge`]) at whose end stands a
//! [`judge::Permit`].
//!
//! Never does: wait, or any input and output. What cannot be known without asking is a
//! [`schemes::Lookup`] that the gateway carries out.
//!
//! Invariants: only this crate constructs a `Permit`; a missing rule never opens anything; a credential is
//! judged only by the scheme that its syntax names.

pub mod address;
pub mod credential;
pub mod decide;
pub mod denial;
pub mod iplist;
pub mod issuer;
pub mod judge;
pub mod limit;
pub mod live;
pub mod mfa;
pub mod path;
pub mod policy;
pub mod proxy_protocol;
pub mod replay;
pub mod resource;
pub mod revoked;
pub mod schemes;
pub mod snapshot;
pub mod table;
pub mod verified;

pub use credential::Credential;
pub use denial::Denial;
pub use judge::{Judge, Permit};
pub use policy::{Policy, Route};
pub use snapshot::{NamedList, Snapshot, Snapshots};
