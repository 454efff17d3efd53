//! What tests stand on: the real binary, a scripted upstream, a client that sends exact bytes, an issuer
//! that lies when told to.
//!
//! Owns: starting and ending those. Never does: use the product's own parsing or signing, so that a mistake
//! there shows; need a runtime: everything runs on threads of its own and can be used from any test.
//!
//! Invariant: what is started ends when it is dropped.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up fails there and then"
)]

mod browser;
mod builder;
mod client;
mod command;
mod dialogue;
mod gate;
mod http;
mod issuer;
pub mod jose;
mod name_server;
mod node;
mod person;
mod places;
pub mod postgres;
mod tls;
mod upstream;
pub mod wait;
mod watched;
mod webauthn;
mod webdriver;

pub use browser::{Browser, Form, Landing, Page, encode, escape, parameter};
pub use builder::Builder;
pub use client::{PATIENCE, RawClient, Response, get, request};
pub use command::{Output, run};
pub use dialogue::{converse, converse_python};
pub use gate::Gate;
pub use http::{BODY_KEPT, Body};
pub use issuer::{Behaviour, Endpoint, Issuer};
pub use jose::{Algorithm, Key};
pub use name_server::NameServer;
pub use node::{Node, node};
pub use person::{Arrival, Person};
pub use places::{binary, free_port, parts, rounds, screens, soak, workspace};
pub use tls::Authority;
pub use upstream::{Answer, Seen, Takeover, Upstream};
pub use watched::Asked;
pub use webauthn::{Abilities, Authenticator, Credential};
pub use webdriver::{ENTER, TAB, WebDriver};
