//! Where the agent keeps what it must not forget: the records of [`core::checkpoint`](crate::core::checkpoint).
//!
//! | kind | what it is |
//! |---|---|
//! | [`Forgetful`] | keeps nothing: the agent begins anew each time. For agents that live within a test or `meseta local` |

mod forgetful;

use crate::core::checkpoint::Batch;

pub use forgetful::Forgetful;

/// Keeps what the machine asks for. Nothing here waits: what takes time is done elsewhere, in the order of the calls, and
/// the number of the newest batch that is durable is
/// reported through the receiver that the store was made with.
pub trait Store: 'static {
    /// As [`Output::Checkpoint`](crate::core::Output::Checkpoint).
    fn write(&mut self, batch: Batch);
}
