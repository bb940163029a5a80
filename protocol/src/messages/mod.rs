//! What travels between components. A `…Call` goes up, an `…Event` comes down; one type a direction.
//!
//! | from | to | type |
//! |---|---|---|
//! | scheduler | master | [`SchedulerCall`] |
//! | master | scheduler | [`Event`] |
//! | agent | master | [`AgentCall`] |
//! | master | agent | [`AgentEvent`] |
//! | executor | agent | [`ExecutorCall`] |
//! | agent | executor | [`ExecutorEvent`] |

mod agent;
mod executor;
mod scheduler;

pub use agent::{AgentCall, AgentEvent};
pub use executor::{ExecutorCall, ExecutorCallKind, ExecutorEvent};
pub use scheduler::{Call, Event, MasterInfo, ReconcileTask, Request, SchedulerCall};
