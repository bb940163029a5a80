//! What Mesos does for a task and is not done yet: refused aloud, never passed over. What is only to be shown or handed on
//! (discovery, what the executor of a framework's own does for its tasks) is not refused.

use super::{Invalid, refuse};
use crate::wire::v1::{self, container_info::Type};

/// A task's parts that the vocabulary does not speak. The container of a task of a framework's own executor is that executor's
/// to read.
pub(super) fn task(task: &v1::TaskInfo, command_executor: bool) -> Result<(), Invalid> {
    if !task.limits.is_empty() {
        return refuse("'limits' of a task are not supported yet: leave them out".into());
    }
    if !command_executor {
        return Ok(());
    }
    task.container.as_ref().map_or(Ok(()), |asked| container("task", asked))
}

/// An executor's parts that the vocabulary does not speak.
pub(super) fn executor(executor: &v1::ExecutorInfo) -> Result<(), Invalid> {
    executor.container.as_ref().map_or(Ok(()), |asked| container("executor", asked))
}

/// A container: one of type MESOS that asks for nothing is what everybody has.
fn container(whose: &str, asked: &v1::ContainerInfo) -> Result<(), Invalid> {
    let joins = |network: &v1::NetworkInfo| *network != v1::NetworkInfo::default();
    let image = asked.mesos.as_ref().is_some_and(|mesos| mesos.image.is_some());
    let limited = asked.rlimit_info.as_ref().is_some_and(|limits| !limits.rlimits.is_empty());
    let linux = asked.linux_info.as_ref().is_some_and(|linux| *linux != v1::LinuxInfo::default());
    let parts = [
        (asked.r#type() == Type::Docker, "it is of type DOCKER: use MESOS, without an image"),
        (image, "it has an image: leave 'mesos.image' out"),
        (!asked.volumes.is_empty(), "it has volumes: leave 'volumes' out"),
        (asked.hostname.is_some(), "it has a host name of its own: leave 'hostname' out"),
        (asked.network_infos.iter().any(joins), "it joins a network: leave 'network_infos' out"),
        (linux, "it asks for privileges or namespaces: leave 'linux_info' out"),
        (limited, "it has limits of processes: leave 'rlimit_info' out"),
        (asked.tty_info.is_some(), "it has a terminal: leave 'tty_info' out"),
    ];
    match parts.iter().find(|(asked, _)| *asked) {
        Some((_, why)) => refuse(format!("The container of the {whose} is not supported yet: {why}")),
        None => Ok(()),
    }
}
