//! Where executors run. The agent asks for launches and kills; the containerizer answers with events.
//!
//! | module | what it holds |
//! |---|---|
//! | [`process`] | containers as plain processes |
//! | `start`, `supervise`, `asked`, `running` | the life of one of them |
//! | `records`, `recover`, `leftovers`, `identity` | what an earlier life of the agent has left |
//! | `zygote` | the process that makes their first processes, as the agent sees it |
//! | [`launch`] | that process, and what happens in a new one before it is the executor |
//! | [`isolation`] | what holds a container to what it asked for, of all kinds |
//! | [`logger`] | the sizes of their output |
//! | `sandbox` | the directories |
//! | `tree`, `cgroup`, `posix` | keeping a container's processes together, and ending them all |
//! | [`usage`] | what containers use |
//! | `walk` | paths below a directory that is a container's |
//! | `syscalls` | what needs `unsafe` |

mod asked;
mod cgroup;
mod identity;
pub mod isolation;
pub mod launch;
mod leftovers;
pub mod logger;
mod posix;
pub mod process;
mod records;
mod recover;
mod running;
mod sandbox;
mod start;
mod supervise;
mod syscalls;
mod tree;
pub mod usage;
mod walk;
mod zygote;

pub use process::{ProcessConfig, ProcessContainerizer};
pub use tree::LauncherKind;
pub use usage::{Meter, Usage};

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use libactor::Metrics;
use protocol::{ContainerId, Resources};

use crate::core::{ContainerEnd, ContainerSpec, Found};

/// What a containerizer reports; the shell turns it into the machine's inputs.
#[derive(Debug)]
pub enum ContainerEvent {
    /// An executor speaks through a socket that it was born with; before [`ContainerEvent::Launched`].
    Piped {
        /// Whose.
        container_id: ContainerId,
        /// The agent's end, for messages as [`libactor::pipe`] knows them.
        stream: UnixStream,
    },
    /// A launch has come to something.
    Launched {
        /// Which.
        container_id: ContainerId,
        /// The process id, or why there is none.
        result: Result<u32, String>,
    },
    /// The executor has ended and nothing of its tree is left; once for every successful launch, and for every container
    /// that was found again as running.
    Exited {
        /// Which.
        container_id: ContainerId,
        /// How.
        end: ContainerEnd,
    },
    /// What [`Containerizer::recover`] has found, once.
    Recovered {
        /// Of every container that was named, what has become of it.
        containers: BTreeMap<ContainerId, Found>,
    },
    /// What the machine offers has changed: a device has fallen ill, or is well again.
    Resources {
        /// All that it offers from now on.
        total: Resources,
    },
}

/// Starts and kills containers. Calls return at once; results come as [`ContainerEvent`]s through the sender that the
/// containerizer was made with.
pub trait Containerizer: 'static {
    /// Finds the containers of an earlier life again, and ends those that are not named. Called once, before any other;
    /// one [`ContainerEvent::Recovered`] follows. `rebooted`: the machine was started anew since, none of them can live.
    fn recover(&mut self, containers: Vec<ContainerId>, rebooted: bool);
    /// Makes the sandbox and starts the executor.
    fn launch(&mut self, spec: ContainerSpec);
    /// What a container may use has changed. One that can't be given it is ended with a limitation
    /// (`REASON_CONTAINER_UPDATE_FAILED`).
    fn update(&mut self, container_id: &ContainerId, resources: &Resources) {
        let _ = (container_id, resources);
    }
    /// Kills the whole tree of a container.
    fn destroy(&mut self, container_id: &ContainerId);
    /// Shows what it counts, under Mesos's names.
    fn show(&self, metrics: &Metrics) {
        let _ = metrics;
    }
    /// What tells how much containers use; `None`: nobody can.
    fn meter(&self) -> Option<Arc<dyn Meter>> {
        None
    }
}

/// What has become of containers that nobody can have kept alive: an answer to [`Containerizer::recover`].
pub fn all_ended(containers: Vec<ContainerId>) -> BTreeMap<ContainerId, Found> {
    containers.into_iter().map(|container_id| (container_id, Found::Ended(ContainerEnd::default()))).collect()
}
