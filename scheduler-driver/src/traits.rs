//! What a framework's scheduler implements.

use bytes::Bytes;
use protocol::messages::MasterInfo;
use protocol::{AgentId, ExecutorId, FrameworkId, Offer, OfferId, TaskStatus};

use crate::SchedulerDriver;

/// The scheduler of a framework. Callbacks come one at a time, on a thread of their own; a slow one delays only those that
/// follow (see [`crate::core`] for what is shed then). A panic in a callback aborts the driver (where panics unwind, as in debug builds).
pub trait Scheduler: Send + 'static {
    /// Subscribed for the first time in this driver's life: new, or as a framework that was there before.
    fn registered(&mut self, driver: &SchedulerDriver, framework_id: &FrameworkId, master: &MasterInfo) {
        let _ = (driver, framework_id, master);
    }

    /// Subscribed again after [`disconnected`](Self::disconnected), maybe at another master.
    fn reregistered(&mut self, driver: &SchedulerDriver, master: &MasterInfo) {
        let _ = (driver, master);
    }

    /// The master is gone; offers are void, tasks run on.
    fn disconnected(&mut self, driver: &SchedulerDriver) {
        let _ = driver;
    }

    /// New offers. Each is to be accepted or declined: resources of an offer that is kept go to nobody else.
    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>);

    /// An offer is no more; using it would lose the tasks.
    fn offer_rescinded(&mut self, driver: &SchedulerDriver, offer_id: &OfferId) {
        let _ = (driver, offer_id);
    }

    /// A task's state. The same update may come more than once. With implicit acknowledgements it is acknowledged when this
    /// returns, and the next one of the same task comes only then.
    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus);

    /// Bytes from an executor.
    fn framework_message(
        &mut self,
        driver: &SchedulerDriver,
        executor_id: &ExecutorId,
        agent_id: &AgentId,
        data: Bytes,
    ) {
        let _ = (driver, executor_id, agent_id, data);
    }

    /// An agent is lost: updates tell of its tasks.
    #[doc(alias = "slave_lost")]
    fn agent_lost(&mut self, driver: &SchedulerDriver, agent_id: &AgentId) {
        let _ = (driver, agent_id);
    }

    /// An executor of the framework's own has ended, with this exit status, or 128 + signal, or -1 where that is not known.
    fn executor_lost(
        &mut self,
        driver: &SchedulerDriver,
        executor_id: &ExecutorId,
        agent_id: &AgentId,
        status: i32,
    ) {
        let _ = (driver, executor_id, agent_id, status);
    }

    /// The session is over and the driver has aborted: nothing follows.
    fn error(&mut self, driver: &SchedulerDriver, message: &str) {
        let _ = (driver, message);
    }
}
