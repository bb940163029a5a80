//! The framework behind `meseta run` and `meseta local --run`: one command, as one or more tasks, to their end.

mod drive;
mod follow;
mod job;
mod scheduler;

pub use drive::{Lines, Report, drive};
pub use follow::Follower;
pub use job::{Job, JobSpec};
pub use scheduler::{JobHandle, Progress, RunScheduler};
