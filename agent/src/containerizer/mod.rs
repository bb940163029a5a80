//! Where executors run. The agent asks for launches and kills; the containerizer answers with events.
//!
//! | module | what it holds |
//! |---|---|
//! | [`process`] | containers as plain processes |
//! | [`launch`] | what happens in the new process before it is the executor |
//! | `sandbox` | the directories |
//! | `tree`, `cgroup`, `posix` | keeping a container's processes together, and ending them all |
//! | [`usage`] | what containers use |

mod cgroup;
pub mod launch;
mod leftovers;
mod posix;
pub mod process;
mod sandbox;
mod tree;
pub mod usage;

pub use process::{ProcessConfig, ProcessContainerizer};
pub use tree::LauncherKind;
pub use usage::{Meter, Usage};

use std::sync::Arc;

use protocol::ContainerId;

use crate::core::ContainerSpec;

/// What a containerizer reports; the shell turns it into the machine's inputs.
#[derive(Clone, Debug)]
pub enum ContainerEvent {
    /// A launch has come to something.
    Launched {
        /// Which.
        container_id: ContainerId,
        /// The process id, or why there is none.
        result: Result<u32, String>,
    },
    /// The executor has ended and nothing of its tree is left; once for every successful launch.
    Exited {
        /// Which.
        container_id: ContainerId,
        /// Exit status, or 128 + signal.
        status: i32,
        /// Why, where it is known.
        message: Option<String>,
    },
}

/// Starts and kills containers. Calls return at once; results come as [`ContainerEvent`]s through the sender that the
/// containerizer was made with.
pub trait Containerizer: 'static {
    /// Makes the sandbox and starts the executor.
    fn launch(&mut self, spec: ContainerSpec);
    /// Kills the whole tree of a container.
    fn destroy(&mut self, container_id: &ContainerId);
    /// What tells how much containers use; `None`: nobody can.
    fn meter(&self) -> Option<Arc<dyn Meter>> {
        None
    }
}
