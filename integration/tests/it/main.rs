//! Whole clusters, tested.

mod agent_drill;
mod scheduler_drill;
