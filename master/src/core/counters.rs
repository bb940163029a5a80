//! What the master counts. Names are those of Mesos's `/metrics/snapshot`, without the `master/` before them.

use std::collections::BTreeMap;

use protocol::{Reason, Source, TaskState};

/// Names of things that do not exist here, or not yet: dashboards find them at zero.
const ABSENT: [&str; 11] = [
    "invalid_operation_status_update_acknowledgements",
    "invalid_operation_status_updates",
    "messages_authenticate",
    "messages_deactivate_framework",
    "messages_operation_status_update",
    "messages_operation_status_update_acknowledgement",
    "messages_reconcile_operations",
    "slave_shutdowns_canceled",
    "slave_shutdowns_scheduled",
    "valid_operation_status_update_acknowledgements",
    "valid_operation_status_updates",
];

/// Counters that exist from the start, so that a dashboard finds them at zero.
const NAMES: [&str; 52] = [
    "dropped_messages",
    "invalid_agent_calls",
    "invalid_executor_to_framework_messages",
    "invalid_framework_to_executor_messages",
    "invalid_status_update_acknowledgements",
    "invalid_status_updates",
    "messages_decline_offers",
    "messages_executor_to_framework",
    "messages_exited_executor",
    "messages_framework_to_executor",
    "messages_kill_task",
    "messages_launch_tasks",
    "messages_reconcile_tasks",
    "messages_register_framework",
    "messages_register_slave",
    "messages_reregister_framework",
    "messages_reregister_slave",
    "messages_resource_request",
    "messages_revive_offers",
    "messages_shutdown_executor",
    "messages_status_update",
    "messages_status_update_acknowledgement",
    "messages_suppress_offers",
    "messages_unregister_framework",
    "messages_unregister_slave",
    "messages_update_slave",
    "offers_declined",
    "offers_rescinded",
    "offers_sent",
    "recovery_slave_removals",
    "refused_subscriptions",
    "slave_registrations",
    "slave_removals",
    "slave_removals/reason_registered",
    "slave_removals/reason_unhealthy",
    "slave_removals/reason_unregistered",
    "slave_reregistrations",
    "slave_shutdowns_completed",
    "slave_unreachable_canceled",
    "slave_unreachable_completed",
    "slave_unreachable_scheduled",
    "tasks_dropped",
    "tasks_error",
    "tasks_failed",
    "tasks_finished",
    "tasks_gone",
    "tasks_gone_by_operator",
    "tasks_killed",
    "tasks_lost",
    "valid_executor_to_framework_messages",
    "valid_framework_to_executor_messages",
    "valid_status_updates",
];

/// Counters by name, and the ends of tasks by state, source and reason.
#[derive(Clone, Debug)]
pub struct Counters {
    named: BTreeMap<&'static str, u64>,
    ended: BTreeMap<(TaskState, Source, Option<Reason>), u64>,
    /// Tasks in each state that is not terminal, and the unreachable ones.
    live: BTreeMap<TaskState, u64>,
}

impl Default for Counters {
    fn default() -> Self {
        let mut named: BTreeMap<&'static str, u64> =
            NAMES.iter().chain(&ABSENT).map(|name| (*name, 0)).collect();
        named.insert("valid_status_update_acknowledgements", 0);
        Self { named, ended: BTreeMap::new(), live: BTreeMap::new() }
    }
}

impl Counters {
    /// Counts one.
    pub(super) fn count(&mut self, name: &'static str) {
        self.add(name, 1);
    }

    /// Counts several.
    pub(super) fn add(&mut self, name: &'static str, many: u64) {
        *self.named.entry(name).or_insert(0) += many;
    }

    /// A task has reached a terminal state.
    pub(super) fn ended(&mut self, state: TaskState, source: Source, reason: Option<Reason>) {
        let name = match state {
            TaskState::Finished => "tasks_finished",
            TaskState::Failed => "tasks_failed",
            TaskState::Killed => "tasks_killed",
            TaskState::Error => "tasks_error",
            TaskState::Lost => "tasks_lost",
            TaskState::Dropped => "tasks_dropped",
            TaskState::Gone => "tasks_gone",
            TaskState::GoneByOperator => "tasks_gone_by_operator",
            TaskState::Staging
            | TaskState::Starting
            | TaskState::Running
            | TaskState::Killing
            | TaskState::Unreachable
            | TaskState::Unknown => return,
        };
        self.count(name);
        *self.ended.entry((state, source, reason)).or_insert(0) += 1;
    }

    /// A task has come into a state.
    pub(super) fn enter(&mut self, state: TaskState) {
        if !state.is_terminal() {
            *self.live.entry(state).or_insert(0) += 1;
        }
    }

    /// A task has left a state.
    pub(super) fn leave(&mut self, state: TaskState) {
        if !state.is_terminal() {
            let count = self.live.entry(state).or_insert(0);
            debug_assert!(*count > 0, "a task leaves {state} that never came into it");
            *count = count.saturating_sub(1);
        }
    }

    /// Counters by their names, such as `messages_kill_task`.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.named.iter().map(|(name, value)| (*name, *value))
    }

    /// One counter.
    pub fn value(&self, name: &str) -> u64 {
        self.named.get(name).copied().unwrap_or(0)
    }

    /// How often a task has ended so.
    pub fn ends(&self) -> impl Iterator<Item = (TaskState, Source, Option<Reason>, u64)> {
        self.ended.iter().map(|((state, source, reason), count)| (*state, *source, *reason, *count))
    }

    /// How many tasks are in a state that is not terminal.
    pub fn live(&self, state: TaskState) -> u64 {
        self.live.get(&state).copied().unwrap_or(0)
    }
}
