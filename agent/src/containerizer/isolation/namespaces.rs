//! `namespaces/pid` and `namespaces/ipc`: containers that see no processes, or no shared memory, of others.

use std::sync::Arc;

use protocol::ContainerId;
use protocol::wire::v1::linux_info::IpcMode;
use serde_json::Value;

use super::plan::Mount;
use super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings};
use crate::os;

/// Settings of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespaceSettings {
    /// `--disallow_sharing_agent_pid_namespace`.
    pub no_shared_pid: bool,
    /// `--disallow_sharing_agent_ipc_namespace`.
    pub no_shared_ipc: bool,
    /// `--default_container_shm_size`, bytes; absent: as much as the kernel gives.
    pub shm_bytes: Option<u64>,
}

fn only_root<T: Isolator>(isolator: T) -> Result<Arc<dyn Isolator>, String> {
    match os::is_root() {
        true => Ok(Arc::new(isolator)),
        false => Err("the agent is not root, so it can't make namespaces".to_owned()),
    }
}

/// `namespaces/pid`: the first process of a container is 1 in its own `/proc`, and all others end with it.
pub struct PidNamespace(NamespaceSettings);

impl PidNamespace {
    /// Makes it.
    ///
    /// # Errors
    /// The agent is not root.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        only_root(Self(around.settings.namespaces))
    }
}

impl Isolator for PidNamespace {
    fn name(&self) -> &'static str {
        "namespaces/pid"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let asked = container.asked().linux_info.unwrap_or_default();
        let shares = asked.share_pid_namespace == Some(true);
        if shares && self.0.no_shared_pid {
            return Err(IsolationError(
                "the container asks for the agent's namespace of processes, which \
                 --disallow_sharing_agent_pid_namespace forbids"
                    .to_owned(),
            ));
        }
        plan.namespaces.pid = !shares;
        Ok(Value::Null)
    }

    fn recover(&self, _known: &Known<'_>) -> Result<(), IsolationError> {
        Ok(())
    }

    fn cleanup(&self, _container_id: &ContainerId) -> Result<(), IsolationError> {
        Ok(())
    }
}

/// `namespaces/ipc`: System V objects, message queues and `/dev/shm` of its own.
pub struct IpcNamespace(NamespaceSettings);

impl IpcNamespace {
    /// Makes it.
    ///
    /// # Errors
    /// The agent is not root.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        only_root(Self(around.settings.namespaces))
    }
}

impl Isolator for IpcNamespace {
    fn name(&self) -> &'static str {
        "namespaces/ipc"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let asked = container.asked().linux_info.unwrap_or_default();
        if asked.ipc_mode() == IpcMode::ShareParent {
            let refused =
                |why: &str| Err(IsolationError(format!("the container shares the agent's memory: {why}")));
            if self.0.no_shared_ipc {
                return refused("--disallow_sharing_agent_ipc_namespace forbids that");
            }
            if asked.shm_size.is_some() {
                return refused(
                    "'shm_size' is for a container with a /dev/shm of its own (ipc_mode PRIVATE)",
                );
            }
            return Ok(Value::Null);
        }
        plan.namespaces.ipc = true;
        let size = asked.shm_size.map(|megabytes| u64::from(megabytes) << 20).or(self.0.shm_bytes);
        let size = size.map(|bytes| format!(",size={bytes}")).unwrap_or_default();
        plan.mounts.push(Mount {
            source: Some("shm".into()),
            target: "/dev/shm".into(),
            kind: Some("tmpfs".to_owned()),
            options: format!("nosuid,nodev,noexec,mode=1777{size}"),
            read_only: false,
        });
        Ok(Value::Null)
    }

    fn recover(&self, _known: &Known<'_>) -> Result<(), IsolationError> {
        Ok(())
    }

    fn cleanup(&self, _container_id: &ContainerId) -> Result<(), IsolationError> {
        Ok(())
    }
}
