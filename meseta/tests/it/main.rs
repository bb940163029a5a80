//! Acceptance: the real program, real processes, as its user would run them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "these are tests")]

mod agents;
mod cluster;
mod errors;
mod local;
mod masters;
mod support;
