//! Who may pass: issuers, keys, lists, limits and revocation, against the running binary over the network.

mod access;
mod addresses;
mod introspection;
mod issuers;
mod keys;
mod ledger;
mod limits;
mod postgres;
mod reload;
mod revocation;
mod setup;
