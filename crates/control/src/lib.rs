//! The control plane's HTTP edge: the API under `/api/v1`, its description, health, metrics, and the page
//! at the root of the control address.
//!
//! Owns: reading requests, writing answers and problems, the unix socket and the TCP port, and who may come
//! through which.
//!
//! Never does: SQL, and decisions: whether an act is right, what a record means and which rule matches is
//! said by those behind the [`ports`].
//!
//! Invariants: over TCP nothing is answered but what [`PUBLIC_PATHS`] and [`AUTHORITY_PATHS`] list, and the API to whom
//! the authority knows by a token; over the socket nobody is heard but root and the user that runs the gate; an act is
//! acknowledged only once this node's gate knows it.

mod admin;
mod admission;
mod advice;
mod api;
mod guard;
mod health;
mod input;
mod mail;
mod oauth;
mod openapi;
mod pages;
pub mod ports;
mod problem;
mod routes;
mod serve;
mod time;
pub mod views;

pub use api::{Api, Parts};
pub use guard::{AUTHORITY_PATHS, Names, PUBLIC_PATHS, Surface};
pub use health::{Health, Up};
pub use mail::{KeptMail, KeptMessage};
pub use oauth::Issuer;
pub use openapi::document;
pub use problem::Problem;
pub use routes::router;
pub use serve::{
    ControlSocket, Door, Front, Proxies, ProxyHeader, ServeError, ServerTls, Shutdown,
    serve_socket, serve_tcp,
};
pub use time::rfc3339;
