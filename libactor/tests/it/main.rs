//! The runtime as its users see it: nodes with real sockets, in one process.

mod hostile;
mod http;
mod kit;
mod links;
mod local;
mod remote;
mod shell;
mod supervise;
