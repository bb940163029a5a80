//! A client that speaks HTTP byte by byte, and one for Mesos's event streams: what a test must see, libraries hide.

mod events;
mod raw;

pub(crate) use events::{Events, Scheduler};
pub(crate) use raw::{Connection, PATIENCE, Response};
