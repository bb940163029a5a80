//! The runtime as its users see it: nodes with real sockets, in one process.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod bodies;
mod client;
mod files;
mod hostile;
mod http;
mod kit;
mod links;
mod local;
mod remote;
mod requests;
mod semantics;
mod shell;
mod streams;
mod supervise;
