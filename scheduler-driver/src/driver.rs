//! The framework's handle to its session.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use libactor::Node;
use libactor::detect::{Address, AddressError};
use protocol::messages::{ReconcileTask, Request};
use protocol::{
    AgentId, ExecutorId, Filters, FrameworkInfo, KillPolicy, OfferId, Operation, Role, TaskId, TaskInfo,
    TaskStatus,
};
use tokio::sync::mpsc;

use crate::core::{DriverCall, Input, SessionConfig};
use crate::host::{self, Start};
use crate::limits::MAX_CALLS;
use crate::shared::{Shared, shared};
use crate::{Scheduler, Status};

/// The framework's handle to its session; clones are the same driver.
///
/// Methods never block (but for [`join`](Self::join) and [`run`](Self::run)) and may be called from callbacks and from any
/// thread. They return the driver's status; a driver that does not run does nothing. A call made while no master leads is dropped, but for
/// the exceptions of [`crate::core`]. More than [`MAX_CALLS`] calls that the session has not taken yet end the driver with an
/// error: none is lost silently.
#[derive(Clone)]
pub struct SchedulerDriver {
    shared: Arc<Shared>,
    pending: Arc<Mutex<Option<Start>>>,
}

/// Describes a driver before it is made.
pub struct Builder {
    scheduler: Box<dyn Scheduler>,
    framework: FrameworkInfo,
    masters: String,
    implicit_acknowledgements: bool,
    suppressed_roles: BTreeSet<Role>,
    listen: Option<SocketAddr>,
    node: Option<Node>,
}

impl Builder {
    /// Whether an update is acknowledged when `status_update` has returned; the default. If not, the framework calls
    /// [`SchedulerDriver::acknowledge_status_update`].
    #[must_use]
    pub fn implicit_acknowledgements(mut self, implicit: bool) -> Self {
        self.implicit_acknowledgements = implicit;
        self
    }

    /// Roles for which no offers are wanted at first.
    #[must_use]
    pub fn suppressed_roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.suppressed_roles = roles.into_iter().collect();
        self
    }

    /// Where the driver's node listens. Absent: `LIBPROCESS_IP` and `LIBPROCESS_PORT`, else any port of the address that
    /// leads to the first master.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Lives on this node, with its clock, in place of a node and a thread of its own: for whole clusters in one process.
    /// [`SchedulerDriver::start`] must then be called on the node's thread, and [`SchedulerDriver::ended`] takes the place of `join`.
    #[must_use]
    pub fn node(mut self, node: &Node) -> Self {
        self.node = Some(node.clone());
        self
    }

    /// Makes the driver.
    ///
    /// # Errors
    /// If the masters can't be read.
    pub fn build(self) -> Result<SchedulerDriver, AddressError> {
        let masters = Address::list(&self.masters)?;
        let config = SessionConfig {
            framework: self.framework,
            implicit_acknowledgements: self.implicit_acknowledgements,
            suppressed_roles: self.suppressed_roles,
            seed: host::seed(),
        };
        let (sender, calls) = mpsc::channel::<Input>(MAX_CALLS);
        let (scheduler, listen, node) = (self.scheduler, self.listen, self.node);
        let start = Start { scheduler, config, masters, calls, listen, node };
        Ok(SchedulerDriver { shared: Arc::new(shared(sender)), pending: Arc::new(Mutex::new(Some(start))) })
    }
}

impl SchedulerDriver {
    /// A driver with implicit acknowledgements and a node of its own. `masters` is `host:port`, or several separated by commas.
    ///
    /// # Errors
    /// If the masters can't be read.
    pub fn new(
        scheduler: impl Scheduler,
        framework: FrameworkInfo,
        masters: &str,
    ) -> Result<Self, AddressError> {
        Self::builder(scheduler, framework, masters).build()
    }

    /// Describes a driver.
    pub fn builder(scheduler: impl Scheduler, framework: FrameworkInfo, masters: &str) -> Builder {
        Builder {
            scheduler: Box::new(scheduler),
            framework,
            masters: masters.to_owned(),
            implicit_acknowledgements: true,
            suppressed_roles: BTreeSet::new(),
            listen: None,
            node: None,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Looks for the leading master and subscribes.
    pub fn start(&self) -> Status {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(start) = pending
            && self.shared.start()
        {
            host::start(self.clone(), start);
        }
        self.shared.status()
    }

    /// Ends the session. Unless another scheduler is to take over (`failover`), the framework is torn down: its tasks are killed.
    pub fn stop(&self, failover: bool) -> Status {
        self.shared.finish(DriverCall::Stop { failover }, Status::Stopped)
    }

    /// Ends the session; the framework stays, as long as its failover timeout allows.
    pub fn abort(&self) -> Status {
        self.shared.finish(DriverCall::Abort, Status::Aborted)
    }

    /// Blocks until the driver has ended and its last messages have left. Called from a callback it returns at once. Don't call it on the
    /// thread of the driver's node: see [`ended`](Self::ended).
    pub fn join(&self) -> Status {
        self.shared.join()
    }

    /// Waits for the end without blocking the thread.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn ended(&self) -> Status {
        self.shared.ended().await
    }

    /// Starts and joins.
    pub fn run(&self) -> Status {
        self.start();
        self.join()
    }

    /// The status now.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Why the driver ended, where it was not asked to.
    pub fn error(&self) -> Option<String> {
        self.shared.error()
    }

    /// Asks for resources. The allocator may ignore it.
    pub fn request_resources(&self, requests: Vec<Request>) -> Status {
        self.shared.call(DriverCall::RequestResources { requests })
    }

    /// Launches tasks on offers of one agent; what they leave is declined for 5 seconds. Without tasks the offers are declined.
    pub fn launch_tasks(&self, offer_ids: impl IntoIterator<Item = OfferId>, tasks: Vec<TaskInfo>) -> Status {
        self.launch_tasks_with(offer_ids, tasks, Filters::default())
    }

    /// As [`launch_tasks`](Self::launch_tasks), with filters for the rest.
    pub fn launch_tasks_with(
        &self,
        offer_ids: impl IntoIterator<Item = OfferId>,
        tasks: Vec<TaskInfo>,
        filters: Filters,
    ) -> Status {
        let operations = if tasks.is_empty() { Vec::new() } else { vec![Operation::Launch { tasks }] };
        self.accept_offers(offer_ids, operations, filters)
    }

    /// Uses offers of one agent and one role. Without operations they are declined.
    pub fn accept_offers(
        &self,
        offer_ids: impl IntoIterator<Item = OfferId>,
        operations: Vec<Operation>,
        filters: Filters,
    ) -> Status {
        let offer_ids = offer_ids.into_iter().collect();
        self.shared.call(match operations.is_empty() {
            true => DriverCall::Decline { offer_ids, filters },
            false => DriverCall::Accept { offer_ids, operations, filters },
        })
    }

    /// Gives an offer back; its resources stay away for 5 seconds.
    pub fn decline_offer(&self, offer_id: OfferId) -> Status {
        self.decline_offers([offer_id], Filters::default())
    }

    /// Gives offers back.
    pub fn decline_offers(&self, offer_ids: impl IntoIterator<Item = OfferId>, filters: Filters) -> Status {
        self.shared.call(DriverCall::Decline { offer_ids: offer_ids.into_iter().collect(), filters })
    }

    /// Clears filters and suppression of these roles; of none given: of all.
    pub fn revive_offers(&self, roles: impl IntoIterator<Item = Role>) -> Status {
        self.shared.call(DriverCall::Revive { roles: roles.into_iter().collect() })
    }

    /// Stops offers for these roles; for none given: for all. Remembered across changes of the master.
    pub fn suppress_offers(&self, roles: impl IntoIterator<Item = Role>) -> Status {
        self.shared.call(DriverCall::Suppress { roles: roles.into_iter().collect() })
    }

    /// Kills a task. Not reliable: repeat it until a terminal update comes.
    pub fn kill_task(&self, task_id: &TaskId) -> Status {
        self.shared.call(DriverCall::Kill { task_id: task_id.clone(), kill_policy: None })
    }

    /// As [`kill_task`](Self::kill_task), with a policy in place of the task's own.
    pub fn kill_task_with(&self, task_id: &TaskId, kill_policy: KillPolicy) -> Status {
        self.shared.call(DriverCall::Kill { task_id: task_id.clone(), kill_policy: Some(kill_policy) })
    }

    /// Shuts an executor of the framework's own down. Not reliable.
    pub fn shutdown_executor(&self, executor_id: &ExecutorId, agent_id: &AgentId) -> Status {
        self.shared.call(DriverCall::ShutdownExecutor {
            executor_id: executor_id.clone(),
            agent_id: agent_id.clone(),
        })
    }

    /// Acknowledges an update, where acknowledgements are explicit. One without a uuid or an agent needs none.
    pub fn acknowledge_status_update(&self, status: &TaskStatus) -> Status {
        let (Some(uuid), Some(agent_id)) = (status.uuid, status.agent_id.clone()) else {
            return self.status();
        };
        self.shared.call(DriverCall::Acknowledge { agent_id, task_id: status.task_id.clone(), uuid })
    }

    /// Sends bytes to an executor; at most once.
    pub fn send_framework_message(
        &self,
        executor_id: &ExecutorId,
        agent_id: &AgentId,
        data: impl Into<Bytes>,
    ) -> Status {
        self.shared.call(DriverCall::Message {
            agent_id: agent_id.clone(),
            executor_id: executor_id.clone(),
            data: data.into(),
        })
    }

    /// Asks for the state of tasks; of none given: of all that the master knows. Answers come as updates; repeat it with growing
    /// pauses for tasks that are not answered.
    pub fn reconcile_tasks(&self, tasks: Vec<ReconcileTask>) -> Status {
        self.shared.call(DriverCall::Reconcile { tasks })
    }
}

impl std::fmt::Debug for SchedulerDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchedulerDriver").field("status", &self.status()).finish()
    }
}
