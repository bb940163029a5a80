//! Where the agent keeps what it must not forget: the records of [`core::checkpoint`](crate::core::checkpoint).
//!
//! | kind | what it is |
//! |---|---|
//! | [`Disk`] | keeps all, in a directory |
//! | [`Forgetful`] | keeps nothing: the agent begins anew each time. For agents that live within a test or `meseta local` |
//!
//! What [`Disk`] has reported survives the end of the process and of the machine. What is damaged is found when it is opened, and
//! then said ([`CheckpointError`]) with the way out; only an end that was never reported is cut.

mod codec;
mod disk;
mod error;
mod forgetful;
mod kept;
mod open;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use tokio::sync::watch;

use crate::core::checkpoint::{Batch, Records};

pub use disk::{Disk, directory, look};
pub use error::CheckpointError;
pub use forgetful::Forgetful;

/// Keeps what the machine asks for. Nothing here waits: what takes time is done elsewhere, in the order of the calls, and
/// reported through the receiver that the store was made with.
pub trait Store: 'static {
    /// As [`Output::Checkpoint`](crate::core::Output::Checkpoint).
    fn write(&mut self, batch: Batch);
}

/// A store that is open.
pub struct Keeping {
    /// Keeps what comes.
    pub store: Box<dyn Store>,
    /// What it reports.
    pub durable: watch::Receiver<Durable>,
    /// What an earlier life has kept; nothing: the agent is new.
    pub records: Records,
    /// How many records could not be read, and were set aside.
    pub errors: u64,
}

/// What a store reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The number of the newest batch that is durable, with all before it.
    pub number: u64,
    /// Nothing more is kept: why, for the operator. The agent must end: its executors live on, what it was told last is
    /// told again.
    pub failure: Option<Arc<str>>,
}
