//! The SchedulerDriver: write frameworks for Meseta.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Scheduler`], [`SchedulerDriver`] | to write frameworks: callbacks, and the handle to the master |
//! | [`core`] | the session with the leading master, as plain data |
//! | [`limits`] | every bound and wait |
//!
//! ```no_run
//! use scheduler_driver::protocol::{CommandInfo, FrameworkInfo, Offer, TaskInfo, TaskStatus};
//! use scheduler_driver::{Scheduler, SchedulerDriver};
//!
//! struct Hello;
//!
//! impl Scheduler for Hello {
//!     fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
//!         for offer in offers {
//!             let resources = "cpus:0.1;mem:32".parse().expect("resources");
//!             let command = CommandInfo::shell("echo hello");
//!             let task = TaskInfo::command(offer.id.as_str(), offer.agent_id.clone(), resources, command);
//!             driver.launch_tasks([offer.id], vec![task]);
//!         }
//!     }
//!
//!     fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
//!         if status.state.is_terminal() {
//!             driver.stop(false);
//!         }
//!     }
//! }
//!
//! SchedulerDriver::new(Hello, FrameworkInfo::new("hello"), "localhost:5050")?.run();
//! # Ok::<(), scheduler_driver::MasterAddressError>(())
//! ```

pub mod core;
mod driver;
mod host;
pub mod limits;
mod shared;
mod traits;

pub use protocol;

pub use driver::{Builder, SchedulerDriver};
pub use libactor::detect::{Address as MasterAddress, AddressError as MasterAddressError};
pub use protocol::driver::Status;
pub use traits::Scheduler;
