//! Tests of the conversions.

mod calls;
mod checks;
mod events;
mod properties;
mod recorded;
mod strategies;
mod tasks;

use crate::wire::{Format, WireMessage, decode};

/// A message from its JSON.
#[track_caller]
fn read<M: WireMessage>(json: &str) -> M {
    decode(Format::Json, json.as_bytes()).unwrap_or_else(|why| panic!("{json}: {why}"))
}
