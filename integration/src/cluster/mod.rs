//! A whole cluster inside one process, for tests of frameworks.
//!
//! Masters and agents are the real ones, each on a node of its own with a socket on a free port of the loopback address; they
//! share one thread. The masters are a group that replicates its registry; their disks are memory. Tasks of the command executor are real processes that the cluster starts directly, so that no
//! other program is needed; custom executors are made by the test ([`ClusterConfig::executors`]) and run in this process.
//! Starting takes some milliseconds. Dropping the cluster ends everything that it started: actors, threads, sockets,
//! processes, sandboxes.
//!
//! A test can stop time and move it ([`Cluster::pause`], [`Cluster::advance`]), drop or watch chosen messages
//! ([`Cluster::drop_messages`], [`Cluster::watch`]), and stop and restart masters and agents.
//!
//! ```
//! use integration::cluster::{Cluster, ClusterConfig};
//! use scheduler_driver::protocol::{CommandInfo, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus};
//! use scheduler_driver::{Scheduler, SchedulerDriver};
//!
//! struct Once;
//!
//! impl Scheduler for Once {
//!     fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
//!         for offer in offers {
//!             let resources = "cpus:0.1;mem:32".parse().expect("resources");
//!             let task = TaskInfo::command("once", offer.agent_id, resources, CommandInfo::shell("true"));
//!             driver.launch_tasks([offer.id], vec![task]);
//!         }
//!     }
//!
//!     fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
//!         if status.state == TaskState::Finished {
//!             driver.stop(false);
//!         }
//!     }
//! }
//!
//! let cluster = Cluster::start(ClusterConfig::default())?;
//! SchedulerDriver::new(Once, FrameworkInfo::new("test"), &cluster.masters())?.run();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod containers;
mod disk;
mod host;
mod messages;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use executor::Executor;
use libactor::{Clock, Time};
use protocol::{ExecutorInfo, Resources};
use tempfile::TempDir;
use tokio::sync::mpsc;

use host::{Host, Order};
pub use messages::{Messages, Seen, Watch};

/// Makes the executor that a framework asked for; `None` if the test knows none of that kind: the launch fails.
pub type ExecutorFactory = Arc<dyn Fn(&ExecutorInfo) -> Option<Box<dyn Executor>> + Send + Sync>;

/// How many orders may wait for the cluster's thread.
const MAX_ORDERS: usize = 64;

/// What a cluster is made of.
#[derive(Clone)]
pub struct ClusterConfig {
    /// How many masters, of which one leads.
    pub masters: usize,
    /// How many agents, all registered with the master that leads.
    pub agents: usize,
    /// What each agent offers.
    pub resources: Resources,
    /// Settings of masters; their addresses are filled in.
    pub master: master::core::MasterConfig,
    /// Makes custom executors.
    pub executors: ExecutorFactory,
}

impl Default for ClusterConfig {
    /// One master, one agent with 4 CPUs and 4 GB, no custom executors.
    fn default() -> Self {
        Self {
            masters: 1,
            agents: 1,
            resources: "cpus:4;mem:4096;disk:10240;ports:[31000-32000]".parse().expect("resources"),
            master: master::core::MasterConfig::default(),
            executors: Arc::new(|_| None),
        }
    }
}

impl fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConfig")
            .field("masters", &self.masters)
            .field("agents", &self.agents)
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}

/// Why a cluster, or a part of it, could not be started or reached.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A directory, a thread or a socket could not be had.
    #[error("the cluster can't start: {0}")]
    Start(String),
    /// There is no such part.
    #[error("the cluster has no {kind} {index}")]
    NoSuch {
        /// `master` or `agent`.
        kind: &'static str,
        /// Which.
        index: usize,
    },
    /// The part is in that state already.
    #[error("{kind} {index} is {state} already")]
    Already {
        /// `master` or `agent`.
        kind: &'static str,
        /// Which.
        index: usize,
        /// `running` or `stopped`.
        state: &'static str,
    },
    /// No master leads: a majority of them is stopped.
    #[error("no master leads: is a majority of them running?")]
    NoLeader,
    /// The cluster's thread has ended: a part of it panicked.
    #[error("the cluster's thread has ended")]
    Gone,
}

/// A cluster that runs. Dropping it ends all that it started.
#[derive(Debug)]
pub struct Cluster {
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
    clock: Clock,
    masters: Vec<SocketAddr>,
    messages: messages::Rules,
    work_dir: TempDir,
}

impl Cluster {
    /// Starts masters and agents; they find each other by themselves.
    ///
    /// # Errors
    /// No socket, thread or directory.
    pub fn start(config: ClusterConfig) -> Result<Self, ClusterError> {
        let failed = |error: &dyn fmt::Display| ClusterError::Start(error.to_string());
        if config.masters == 0 {
            return Err(failed(&"a cluster has at least one master"));
        }
        let work_dir =
            tempfile::Builder::new().prefix("meseta-cluster-").tempdir().map_err(|e| failed(&e))?;
        let clock = Clock::manual(Clock::real().now());
        clock.resume();
        let messages = messages::Rules::default();
        let (orders, receiver) = mpsc::channel(MAX_ORDERS);
        let (ready, started) = sync_channel(1);
        // Containers of two clusters must not have the same ids: a container's processes are found by them.
        let seed = getrandom::u64().map_err(|error| failed(&error))?;
        let host = Host::new(config, seed, clock.clone(), messages.clone(), work_dir.path().to_owned());
        let thread = std::thread::Builder::new()
            .name("meseta-cluster".into())
            .spawn(move || host.run(receiver, ready))
            .map_err(|error| failed(&error))?;
        let masters = started.recv().map_err(|_| ClusterError::Gone)??;
        Ok(Self { orders, thread: Some(thread), clock, masters, messages, work_dir })
    }

    /// The masters' addresses as drivers take them, `ip:port,ip:port`.
    pub fn masters(&self) -> String {
        self.masters.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// The address of one master.
    ///
    /// # Panics
    /// If there is no such master.
    pub fn master(&self, index: usize) -> SocketAddr {
        self.masters[index]
    }

    /// Where agents keep their sandboxes: `agent-<index>/slaves/...`.
    pub fn work_dir(&self) -> &Path {
        self.work_dir.path()
    }

    /// The work directory of one agent.
    pub fn agent_dir(&self, index: usize) -> PathBuf {
        host::agent_dir(self.work_dir.path(), index)
    }

    /// What the cluster's clock shows.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Stops the time of masters and agents: no allocation, ping or retry happens until it is moved. Sockets, processes, drivers
    /// and elections go by the time of the world.
    pub fn pause(&self) {
        self.clock.pause();
    }

    /// Moves time; all that was due by then happens.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Lets time run again.
    pub fn resume(&self) {
        self.clock.resume();
    }

    /// Drops the next `count` messages of a kind before they reach their actor.
    pub fn drop_messages(&self, which: Messages, count: usize) {
        self.messages.drop(which, count);
    }

    /// Sees every message of a kind from now on, as it reaches its actor.
    pub fn watch(&self, which: Messages) -> Watch {
        self.messages.watch(which)
    }

    /// Forgets all that was said about messages.
    pub fn clear_messages(&self) {
        self.messages.clear();
    }

    /// Which master leads; waits until one does.
    ///
    /// # Errors
    /// None does within a minute.
    pub fn leader(&self) -> Result<usize, ClusterError> {
        self.order(|answer| Order::Leader { answer })
    }

    /// Ends a master without a word, as `kill -9` would: its sockets close, what it knew is lost but for its disk.
    ///
    /// # Errors
    /// There is none, or it is stopped already.
    pub fn stop_master(&self, index: usize) -> Result<(), ClusterError> {
        self.order(|answer| Order::StopMaster { index, answer })
    }

    /// Starts a stopped master anew on its old port, with its disk.
    ///
    /// # Errors
    /// There is none, it runs already, or its port was taken meanwhile.
    pub fn start_master(&self, index: usize) -> Result<(), ClusterError> {
        self.order(|answer| Order::StartMaster { index, answer })
    }

    /// Ends an agent without a word, with all that runs on it, as the loss of its host would.
    ///
    /// # Errors
    /// There is none, or it is stopped already.
    pub fn stop_agent(&self, index: usize) -> Result<(), ClusterError> {
        self.order(|answer| Order::StopAgent { index, answer })
    }

    /// Starts a stopped agent anew on its old port.
    ///
    /// # Errors
    /// There is none, it runs already, or its port was taken meanwhile.
    pub fn start_agent(&self, index: usize) -> Result<(), ClusterError> {
        self.order(|answer| Order::StartAgent { index, answer })
    }

    /// The metrics of a master, as `/metrics/snapshot` gives them.
    ///
    /// # Errors
    /// There is no such master, or it is stopped.
    pub fn master_metrics(&self, index: usize) -> Result<BTreeMap<String, f64>, ClusterError> {
        self.order(|answer| Order::MasterMetrics { index, answer })
    }

    fn order<T>(&self, make: impl FnOnce(host::Answer<T>) -> Order) -> Result<T, ClusterError> {
        let (answer, answered) = sync_channel(1);
        self.orders.try_send(make(answer)).map_err(|_| ClusterError::Gone)?;
        answered.recv().map_err(|_| ClusterError::Gone)?
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The thread ends by this order, or has ended already.
        drop(self.orders.try_send(Order::End));
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Err(panic)) = ended
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}
