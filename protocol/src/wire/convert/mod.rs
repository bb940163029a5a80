//! Between the messages of [`v1`](super::v1) and the vocabulary, both ways.
//!
//! What a message asks and the vocabulary has a word for is turned into it. What it has no word for is carried beside it
//! ([`Carried`](crate::Carried)) where it is only to be shown or handed on; a task that asks for what can't be carried
//! says so in [`TaskInfo::problem`](crate::TaskInfo::problem). Nothing here panics, whatever the message holds.
//!
//! | from the wire | to the wire | |
//! |---|---|---|
//! | [`scheduler_call`] | [`scheduler_event`] | between a scheduler and the master |
//! | [`executor_call`] | [`executor_event`] | between an executor and its agent |
//! | [`task_info`] | [`task_info_to_wire`], [`task_to_wire`] | |
//! | [`task_status`] | [`task_status_to_wire`] | |
//! | [`executor_info`] | [`executor_info_to_wire`] | |
//! | [`check`], [`health_check`] | | |
//! | [`command`], [`kill_policy`], [`labels`] | `…_to_wire` | |
//! | [`framework_info`], [`agent_info`] | `…_to_wire` | |
//! | [`resources`], [`allocated_to`], [`attributes`] | `…_to_wire` | |
//! | | [`offer_to_wire`], [`master_info_to_wire`], [`weight_to_wire`] | |
//! | [`duration`], [`time`], [`seconds`] | `…_to_wire` | |
//! | `From`, both ways | | identities: `v1::TaskId::from(&task_id)` |
//!
//! Resources travel in two formats: the older (`role`, `reservation`) and the refined (`reservations`). Both are read; to
//! the wire `refined` says which: that of those who have the capability RESERVATION_REFINEMENT.

mod agent_info;
mod attributes;
mod check;
mod command;
mod error;
mod executor_call;
mod executor_event;
mod executor_info;
mod framework_info;
mod ids;
mod labels;
mod master_info;
mod offer;
mod operation;
mod resource;
mod resources;
mod scheduler_call;
mod scheduler_event;
mod task;
mod task_info;
mod task_status;
#[cfg(test)]
mod tests;
mod times;

pub use agent_info::{agent_info, agent_info_to_wire};
pub use attributes::{attributes, attributes_to_wire};
pub use check::{check, health_check};
pub use command::{command, command_to_wire};
pub use error::CallError;
pub use executor_call::executor_call;
pub use executor_event::{ExecutorEventContext, executor_event};
pub use executor_info::{executor_info, executor_info_to_wire};
pub use framework_info::{framework_info, framework_info_to_wire};
pub use labels::{labels, labels_to_wire};
pub use master_info::master_info_to_wire;
pub use offer::{offer_to_wire, weight_to_wire};
pub use resources::{allocated_to, resources, resources_to_wire};
pub use scheduler_call::scheduler_call;
pub use scheduler_event::{EventContext, scheduler_event};
pub use task::task_to_wire;
pub use task_info::{task_info, task_info_to_wire};
pub use task_status::{task_status, task_status_to_wire};
pub use times::{duration, duration_to_wire, kill_policy, kill_policy_to_wire, seconds, time, time_to_wire};
