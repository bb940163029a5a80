//! What a container asks for that no chosen isolator gives: such a container does not start. It would have less than it
//! relies on.

use protocol::wire::v1::linux_info::IpcMode;

use super::{Container, IsolationError};

/// Finds what is asked for and not given.
///
/// # Errors
/// There is something: which isolator gives it.
pub(in crate::containerizer) fn check(
    container: &Container<'_>,
    chosen: &[&str],
) -> Result<(), IsolationError> {
    let asked = container.asked();
    let linux = asked.linux_info.clone().unwrap_or_default();
    let capabilities = linux.capability_info.is_some()
        || linux.effective_capabilities.is_some()
        || linux.bounding_capabilities.is_some();
    let demands = [
        (!asked.volumes.is_empty(), "volumes", "filesystem/linux"),
        (
            asked.rlimit_info.is_some_and(|limits| !limits.rlimits.is_empty()),
            "limits of its processes",
            "posix/rlimits",
        ),
        (capabilities, "capabilities", "linux/capabilities"),
        (linux.share_pid_namespace == Some(false), "process ids of its own", "namespaces/pid"),
        (
            linux.ipc_mode() == IpcMode::Private || linux.shm_size.is_some(),
            "shared memory of its own",
            "namespaces/ipc",
        ),
    ];
    match demands.iter().find(|(asked, _, isolator)| *asked && !chosen.contains(isolator)) {
        Some((_, what, isolator)) => Err(IsolationError(format!(
            "the container asks for {what}: that needs '{isolator}' in the agent's --isolation"
        ))),
        None => Ok(()),
    }
}
