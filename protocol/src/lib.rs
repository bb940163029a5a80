//! The vocabulary that Meseta's components share: identities, resources, tasks, offers, statuses, and the
//! messages that masters, agents, executors and schedulers exchange.
//!
//! Everything here is a plain value. There is no behaviour beyond arithmetic, parsing, printing and the
//! validation of one value; nothing acts, waits or reads a clock.
//!
//! | module | what it holds |
//! |---|---|
//! | [`id`] | identities as newtypes, [`Uuid`] |
//! | [`resources`] | scalars in thousandths, ranges, sets, [`Resources`] and their arithmetic, text and JSON forms |
//! | [`attribute`] | what an agent says of itself besides resources |
//! | [`notation`] | Mesos's notation of durations, sizes and rates (`15secs`, `512MB`) |
//! | [`framework`], [`agent`], [`executor`], [`command`], [`task`], [`check`], [`status`], [`offer`], [`driver`] | the nouns |
//! | [`validate`] | what one value must satisfy, whoever sends it |
//! | [`messages`] | what travels: [`messages::SchedulerCall`], [`messages::Event`], and the rest |
//!
//! ```
//! use protocol::resources::Resources;
//!
//! let total: Resources = "cpus:4;mem:2048;ports:[31000-32000]".parse()?;
//! let task: Resources = "cpus:0.1;mem:32".parse()?;
//! assert!(total.contains(&task));
//! assert_eq!((total - task).to_string(), "cpus:3.9;mem:2016;ports:[31000-32000]");
//! # Ok::<(), protocol::resources::ParseResourcesError>(())
//! ```

pub mod agent;
pub mod attribute;
mod carried;
pub mod check;
pub mod command;
pub mod driver;
pub mod executor;
pub mod framework;
pub mod id;
pub mod limits;
pub mod messages;
pub mod notation;
pub mod offer;
mod reason;
pub mod resources;
pub mod status;
pub mod task;
mod task_state;
#[cfg(test)]
mod testing;
pub mod time;
pub mod validate;
pub mod wire;

pub use agent::AgentInfo;
pub use attribute::{Attribute, AttributeValue, Attributes};
pub use carried::Carried;
pub use check::{Check, CheckStatus, HealthCheck, Pace, Probe};
pub use command::{Command, CommandInfo, Environment, Uri};
pub use executor::ExecutorInfo;
pub use framework::{Capability, FrameworkInfo};
pub use id::{AgentId, ContainerId, ExecutorId, FrameworkId, MasterId, OfferId, Role, TaskId, Uuid};
pub use offer::{Filters, Offer, Operation};
pub use resources::{Ranges, Resource, Resources, Scalar};
pub use status::{Reason, Source, StatusUpdate, TaskStatus};
pub use task::{KillPolicy, Label, Task, TaskInfo, TaskState};
pub use time::UnixTime;
