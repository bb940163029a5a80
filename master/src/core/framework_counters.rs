//! What the master counts of one framework. Names are those of Mesos's metrics, without the
//! `master/frameworks/<name>/<id>/` before them. [`Framework::metrics`](super::frameworks::Framework::metrics) has these and
//! the rest.

use protocol::messages::{Call, Event};
use protocol::{Operation, TaskState};

/// Every counter, in order, so that a name is found quickly. What can't happen here yet stays at zero.
const NAMES: [&str; 58] = [
    "calls",
    "calls/accept",
    "calls/accept_inverse_offers",
    "calls/acknowledge",
    "calls/acknowledge_operation_status",
    "calls/decline",
    "calls/decline_inverse_offers",
    "calls/kill",
    "calls/message",
    "calls/reconcile",
    "calls/reconcile_operations",
    "calls/request",
    "calls/revive",
    "calls/shutdown",
    "calls/subscribe",
    "calls/suppress",
    "calls/teardown",
    "calls/update_framework",
    "events",
    "events/error",
    "events/failure",
    "events/heartbeat",
    "events/inverse_offers",
    "events/message",
    "events/offers",
    "events/rescind",
    "events/rescind_inverse_offer",
    "events/subscribed",
    "events/update",
    "events/update_operation_status",
    "offers/accepted",
    "offers/declined",
    "offers/rescinded",
    "offers/sent",
    "operations",
    "operations/create",
    "operations/create_disk",
    "operations/destroy",
    "operations/destroy_disk",
    "operations/grow_volume",
    "operations/launch",
    "operations/launch_group",
    "operations/reserve",
    "operations/shrink_volume",
    "operations/unreserve",
    "tasks/active/task_killing",
    "tasks/active/task_running",
    "tasks/active/task_staging",
    "tasks/active/task_starting",
    "tasks/active/task_unknown",
    "tasks/terminal/task_dropped",
    "tasks/terminal/task_error",
    "tasks/terminal/task_failed",
    "tasks/terminal/task_finished",
    "tasks/terminal/task_gone",
    "tasks/terminal/task_gone_by_operator",
    "tasks/terminal/task_killed",
    "tasks/terminal/task_lost",
];

/// Counters of one framework, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkCounters {
    values: [u64; NAMES.len()],
}

impl Default for FrameworkCounters {
    fn default() -> Self {
        Self { values: [0; NAMES.len()] }
    }
}

impl FrameworkCounters {
    /// Counters by their names, such as `calls/kill`; tasks in a state that is not terminal go up and down.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.values)
    }

    /// One counter.
    pub fn value(&self, name: &str) -> u64 {
        NAMES.binary_search(&name).map_or(0, |index| self.values[index])
    }

    fn slot(&mut self, name: &str) -> Option<&mut u64> {
        let index = NAMES.binary_search(&name).ok();
        debug_assert!(index.is_some(), "{name} is in the table");
        index.map(|index| &mut self.values[index])
    }

    fn add(&mut self, name: &str, many: u64) {
        if let Some(slot) = self.slot(name) {
            *slot += many;
        }
    }

    /// A call of its own.
    pub(super) fn call(&mut self, call: &Call) {
        self.add("calls", 1);
        self.add(name_of_call(call), 1);
    }

    /// A subscription is answered: it was a call of this framework.
    pub(super) fn subscribed(&mut self) {
        self.add("calls", 1);
        self.add("calls/subscribe", 1);
    }

    /// An event that it is told.
    pub(super) fn event(&mut self, event: &Event) {
        self.add("events", 1);
        let name = match event {
            Event::Subscribed { .. } => "events/subscribed",
            Event::Offers(offers) => {
                self.add("offers/sent", offers.len() as u64);
                "events/offers"
            }
            Event::Rescind(_) => {
                self.add("offers/rescinded", 1);
                "events/rescind"
            }
            Event::Update(_) => "events/update",
            Event::Message { .. } => "events/message",
            Event::Failure { .. } => "events/failure",
            Event::Error(_) => "events/error",
            Event::Heartbeat => "events/heartbeat",
        };
        self.add(name, 1);
    }

    /// An operation that it asks for.
    pub(super) fn operation(&mut self, operation: &Operation) {
        self.add("operations", 1);
        self.add(
            match operation {
                Operation::Launch { .. } => "operations/launch",
                Operation::LaunchGroup { .. } => "operations/launch_group",
            },
            1,
        );
    }

    /// Offers that it has used.
    pub(super) fn offers_accepted(&mut self, many: usize) {
        self.add("offers/accepted", many as u64);
    }

    /// An offer that it did not want.
    pub(super) fn offer_declined(&mut self) {
        self.add("offers/declined", 1);
    }

    /// A task has ended, or was refused.
    pub(super) fn ended(&mut self, state: TaskState) {
        if state.is_terminal() {
            self.add(name_of_state(state), 1);
        }
    }

    /// A task of its own has come into a state.
    pub(super) fn enter(&mut self, state: TaskState) {
        if goes_up_and_down(state) {
            self.add(name_of_state(state), 1);
        }
    }

    /// A task of its own has left a state.
    pub(super) fn leave(&mut self, state: TaskState) {
        if goes_up_and_down(state)
            && let Some(slot) = self.slot(name_of_state(state))
        {
            debug_assert!(*slot > 0, "a task leaves {state} that never came into it");
            *slot = slot.saturating_sub(1);
        }
    }
}

/// Unreachable tasks are counted where they are kept.
fn goes_up_and_down(state: TaskState) -> bool {
    !state.is_terminal() && state != TaskState::Unreachable
}

fn name_of_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Staging => "tasks/active/task_staging",
        TaskState::Starting => "tasks/active/task_starting",
        TaskState::Running => "tasks/active/task_running",
        TaskState::Killing => "tasks/active/task_killing",
        TaskState::Unreachable | TaskState::Unknown => "tasks/active/task_unknown",
        TaskState::Finished => "tasks/terminal/task_finished",
        TaskState::Failed => "tasks/terminal/task_failed",
        TaskState::Killed => "tasks/terminal/task_killed",
        TaskState::Error => "tasks/terminal/task_error",
        TaskState::Lost => "tasks/terminal/task_lost",
        TaskState::Dropped => "tasks/terminal/task_dropped",
        TaskState::Gone => "tasks/terminal/task_gone",
        TaskState::GoneByOperator => "tasks/terminal/task_gone_by_operator",
    }
}

fn name_of_call(call: &Call) -> &'static str {
    match call {
        Call::Subscribe { .. } => "calls/subscribe",
        Call::Teardown => "calls/teardown",
        Call::Accept { .. } => "calls/accept",
        Call::Decline { .. } => "calls/decline",
        Call::Revive { .. } => "calls/revive",
        Call::Suppress { .. } => "calls/suppress",
        Call::Kill { .. } => "calls/kill",
        Call::Shutdown { .. } => "calls/shutdown",
        Call::Acknowledge { .. } => "calls/acknowledge",
        Call::Reconcile { .. } => "calls/reconcile",
        Call::Message { .. } => "calls/message",
        Call::Request { .. } => "calls/request",
        Call::UpdateFramework { .. } => "calls/update_framework",
        Call::AcceptInverseOffers { .. } => "calls/accept_inverse_offers",
        Call::DeclineInverseOffers { .. } => "calls/decline_inverse_offers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        assert!(NAMES.is_sorted());
        let mut counters = FrameworkCounters::default();
        counters.call(&Call::Teardown);
        counters.event(&Event::Rescind("O".into()));
        counters.event(&Event::Heartbeat);
        for state in TaskState::ALL {
            counters.enter(state);
            counters.ended(state);
        }
        counters.leave(TaskState::Running);
        let counted: Vec<_> = counters.named().filter(|(_, value)| *value > 0).collect();
        assert_eq!(counted.iter().filter(|(name, _)| name.starts_with("tasks/terminal/")).count(), 8);
        assert_eq!(counted.iter().filter(|(name, _)| name.starts_with("tasks/active/")).count(), 4);
        for (name, value) in [("calls", 1), ("calls/teardown", 1), ("events", 2), ("offers/rescinded", 1)] {
            assert_eq!(counters.value(name), value, "{name}");
        }
    }
}
