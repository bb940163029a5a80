//! Acceptance: the real program, real processes, as its user would run them.

mod cluster;
mod errors;
mod local;
mod support;
