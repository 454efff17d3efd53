//! Tests of the codec, by table.

mod bodies;
mod connections;
mod random;
mod requests;
mod responses;
mod smuggling;
mod written;
