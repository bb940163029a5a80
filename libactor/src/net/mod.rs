//! Between nodes: one TCP connection a direction.
//!
//! A node dials each peer that it sends to. Messages, requests and links go from the dialer to the acceptor only; answers and
//! `Exited` notices come back on the same connection. So the order of one sender's messages is that of one connection.
//!
//! A connection begins with a preface each way ([`frame`]); whatever does not begin like one is HTTP. Everything about sockets
//! is measured in the time of the world, also where the node has a manual clock: a test that jumps an hour does not cut
//! its own connections.

mod accept;
pub(crate) mod frame;
mod inbound;
mod peer;
mod writer;

pub(crate) use accept::accept;
pub(crate) use peer::{Peer, Refused, encode_body};
pub(crate) use writer::Outgoing;
