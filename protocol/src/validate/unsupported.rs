//! What Mesos does for a task and is not done yet: refused aloud, never passed over. What is only to be shown or handed on
//! (discovery, what the executor of a framework's own does for its tasks) is not refused.

use super::container::container;
use super::{Invalid, refuse};
use crate::wire::v1;

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
