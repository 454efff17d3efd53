//! The words that every other crate shares.
//!
//! Owns: typed ids, [`Secret`], the audit [`Event`], the table of stable [`Code`]s, named limits, and the
//! traits through which the rest of the program reaches the outside ([`Clock`], [`Fetch`], [`Mail`], [`Resolve`]).
//!
//! Never does: input or output (but for the one real clock and the operating system's random numbers), and
//! it knows nothing of HTTP.
//!
//! Invariant: a value of a type in this crate is valid by construction; what is checked once is not checked
//! again elsewhere.

mod clock;
mod codes;
mod event;
mod ids;
pub mod limits;
pub mod mail;
mod outside;
mod secret;
mod text;

pub use clock::{Clock, FakeClock, Monotonic, SystemClock, UnixMs};
pub use codes::{Blame, Code, CodeInfo, code};
pub use event::{Event, Kind, Outcome, Phase, Scheme};
pub use ids::{EventId, IdError, NodeId, RequestId, RequestIds};
pub use mail::{Mail, MailAddress, MailError, Message};
pub use outside::{
    BoxFuture, Fetch, FetchError, FetchRequest, FetchResponse, Resolve, ResolveError, Resolved,
};
pub use secret::Secret;
pub use text::{base62, crockford, random_array};
