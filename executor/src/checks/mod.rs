//! Checks and health checks of a task, while it runs.
//!
//! | module | what it holds |
//! |---|---|
//! | `machine` | when to look, and what the answers mean: plain data |
//! | `checker` | its shell: the clock, and the probes under way |
//! | `probe` | what is asked: a command, an HTTP server, a port |
//! | `http`, `tls` | one GET; no process and no thread is made for it |

mod checker;
mod http;
mod machine;
mod probe;
mod tls;

pub(crate) use checker::{Asked, Checker, Finding};
pub(crate) use probe::Prober;

#[cfg(test)]
mod tests;
