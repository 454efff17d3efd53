//! The binary's parts: configuration, command line, wiring. It decides nothing.

pub mod cli;
pub mod config;
pub mod run;
