//! A libprocess-style actor runtime on actix and tokio.

pub mod machine;
mod pid;
#[cfg(feature = "sim")]
pub mod sim;
mod time;

pub use machine::{Machine, Random};
pub use pid::{MAX_NAME_BYTES, ParsePidError, Pid, valid_name};
pub use time::{Time, Timers};
