//! What becomes of a message that a full queue did not take.
//!
//! Most of them are repeated by those who need them: calls until they are answered, updates until they are acknowledged,
//! kills by their frameworks. Two are not, and are turned into what the receiver might have answered: offers are
//! declined for a moment, and a task that an agent is not told to run is dropped.

use libactor::Pid;
use protocol::messages::{AgentCall, AgentEvent, Call, Event, SchedulerCall};
use protocol::{Filters, FrameworkId, OfferId, Reason, Source, StatusUpdate, TaskId, TaskState, TaskStatus};

use crate::core::Input;

/// What is kept of a message while it is sent, in case it is not.
pub(crate) enum Substitute {
    /// Offers and whose they are.
    Decline(FrameworkId, Vec<OfferId>),
    /// A task that does not start.
    Drop(FrameworkId, TaskId),
}

impl Substitute {
    /// For a message to a scheduler.
    pub(crate) fn of_event(event: &Event) -> Option<Self> {
        let Event::Offers(offers) = event else { return None };
        let framework_id = offers.first()?.framework_id.clone();
        Some(Self::Decline(framework_id, offers.iter().map(|offer| offer.id.clone()).collect()))
    }

    /// For a message to an agent.
    pub(crate) fn of_agent_event(event: &AgentEvent) -> Option<Self> {
        let AgentEvent::RunTask { framework, task, .. } = event else { return None };
        Some(Self::Drop(framework.id.clone()?, task.task_id.clone()))
    }

    /// What the machine is told in place of the receiver's answer.
    pub(crate) fn input(self, from: Pid) -> Input {
        match self {
            Self::Decline(framework_id, offer_ids) => {
                let call = Call::Decline { offer_ids, filters: Filters::default() };
                Input::Scheduler { from, call: SchedulerCall { framework_id: Some(framework_id), call } }
            }
            Self::Drop(framework_id, task_id) => {
                let message = "The agent could not be told to run the task";
                let status = TaskStatus::new(task_id, TaskState::Dropped, Source::Master)
                    .because(Reason::AgentDisconnected, message);
                let update = StatusUpdate { framework_id, status, latest_state: TaskState::Dropped };
                Input::Agent { from, call: AgentCall::Update(update) }
            }
        }
    }
}
