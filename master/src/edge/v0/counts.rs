//! Tasks counted by state.

use protocol::TaskState;
use serde::ser::SerializeMap;

/// The states that are shown, in this order.
const SHOWN: [TaskState; 10] = [
    TaskState::Staging,
    TaskState::Starting,
    TaskState::Running,
    TaskState::Killing,
    TaskState::Finished,
    TaskState::Killed,
    TaskState::Failed,
    TaskState::Lost,
    TaskState::Error,
    TaskState::Unreachable,
];

/// How many tasks are in each of the states that are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StateCounts([usize; SHOWN.len()]);

impl StateCounts {
    /// Counts one task.
    pub(crate) fn add(&mut self, state: TaskState) {
        if let Some(index) = SHOWN.iter().position(|shown| *shown == state) {
            self.0[index] += 1;
        }
    }

    /// Writes one entry a state.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        SHOWN.iter().zip(self.0).try_for_each(|(state, count)| map.serialize_entry(state.name(), &count))
    }
}
