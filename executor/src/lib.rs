//! Executors: what runs tasks on an agent.
//!
//! | module | what it holds |
//! |---|---|
//! | [`core`] | the session with the agent, as plain data |
//! | [`Executor`], [`ExecutorDriver`] | to write executors: callbacks, and the handle to the agent |
//! | [`command`] | the command executor, which agents use for tasks without an executor of their own |
//! | [`limits`] | every bound and wait |
//!
//! An executor is a process of its own that an agent starts. What it needs to know is in its environment:
//!
//! ```no_run
//! use executor::{Executor, ExecutorDriver};
//! use executor::protocol::{Source, TaskInfo, TaskState, TaskStatus};
//!
//! struct Quick;
//!
//! impl Executor for Quick {
//!     fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
//!         driver.send_status_update(TaskStatus::new(task.task_id.clone(), TaskState::Running, Source::Executor));
//!         driver.send_status_update(TaskStatus::new(task.task_id, TaskState::Finished, Source::Executor));
//!     }
//! }
//!
//! ExecutorDriver::new(Quick)?.run();
//! # Ok::<(), executor::EnvironmentError>(())
//! ```

mod checks;
pub mod command;
pub mod core;
mod driver;
mod environment;
#[cfg(test)]
#[path = "../../libactor/tests/support/golden.rs"]
mod golden;
mod host;
pub mod limits;
mod piped;
mod process;
mod shared;
mod traits;

pub use protocol;

pub use core::SessionConfig;
pub use driver::ExecutorDriver;
pub use environment::EnvironmentError;
pub use protocol::driver::Status;
pub use traits::Executor;
