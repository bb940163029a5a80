//! Masters that only drill their peers: one kind of component at a time, without the real master.

mod agents;
mod schedulers;

pub use agents::DrillMaster;
pub use schedulers::SchedulerDrill;
