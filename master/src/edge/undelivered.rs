//! What becomes of a message that a full queue did not take.
//!
//! Most of them are repeated by those who need them: calls until they are answered, updates until they are acknowledged,
//! kills by their frameworks. Two are not, and are turned into what the receiver might have answered: offers are
//! declined for a moment, and tasks that an agent is not told to run are dropped, with the executor they were to bring.

use libactor::Pid;
use protocol::messages::{AgentCall, AgentEvent, Call, Event, SchedulerCall};
use protocol::{
    ExecutorId, Filters, FrameworkId, OfferId, Reason, Source, StatusUpdate, TaskId, TaskState, TaskStatus,
};

use crate::core::Input;

/// How an executor that never started has ended. Source: Mesos.
const NEVER_STARTED: i32 = -1;

/// What is kept of a message while it is sent, in case it is not.
pub(crate) enum Substitute {
    /// Offers and whose they are.
    Decline(FrameworkId, Vec<OfferId>),
    /// Tasks that do not start, and the custom executor that was to be started for them.
    Drop(FrameworkId, Vec<TaskId>, Option<ExecutorId>),
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
        let (framework, tasks, executor, launch_executor) = match event {
            AgentEvent::RunTask { framework, task, launch_executor } => {
                (framework, std::slice::from_ref(task), task.executor.as_ref(), launch_executor)
            }
            AgentEvent::RunTaskGroup { framework, executor, tasks, launch_executor } => {
                (framework, tasks.as_slice(), Some(executor), launch_executor)
            }
            _ => return None,
        };
        let custom = executor.filter(|_| *launch_executor);
        let executor_id = custom.map(|executor| executor.executor_id.clone());
        let task_ids = tasks.iter().map(|task| task.task_id.clone()).collect();
        Some(Self::Drop(framework.id.clone()?, task_ids, executor_id))
    }

    /// What the machine is told in place of the receiver's answer, in order.
    pub(crate) fn inputs(self, from: Pid) -> Vec<Input> {
        match self {
            Self::Decline(framework_id, offer_ids) => {
                let call = Call::Decline { offer_ids, filters: Filters::default() };
                vec![Input::Scheduler {
                    from,
                    call: SchedulerCall { framework_id: Some(framework_id), call },
                }]
            }
            Self::Drop(framework_id, task_ids, executor_id) => {
                let message = "The agent could not be told to run the task";
                let owner = framework_id.clone();
                let dropped = task_ids.into_iter().map(move |task_id| {
                    let status = TaskStatus::new(task_id, TaskState::Dropped, Source::Master)
                        .because(Reason::AgentDisconnected, message);
                    AgentCall::Update(StatusUpdate {
                        framework_id: owner.clone(),
                        status,
                        latest_state: TaskState::Dropped,
                    })
                });
                let ended = executor_id.map(|executor_id| AgentCall::ExecutorExited {
                    framework_id,
                    executor_id,
                    status: NEVER_STARTED,
                });
                let calls = dropped.chain(ended);
                calls.map(|call| Input::Agent { from: from.clone(), call }).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{CommandInfo, ExecutorInfo, FrameworkInfo, TaskInfo};

    use super::*;

    #[test]
    fn a_task_that_can_not_be_sent_takes_its_new_executor_with_it() {
        let executor = ExecutorInfo::new("e", CommandInfo::shell("true"));
        let task = TaskInfo::with_executor("t", "S0".into(), "cpus:1".parse().unwrap(), executor);
        let framework = FrameworkInfo { id: Some("F".into()), ..FrameworkInfo::new("f") };
        for (launch_executor, calls) in [(false, 1), (true, 2)] {
            let (framework, task) = (framework.clone(), task.clone());
            let event = AgentEvent::RunTask { framework, task, launch_executor };
            let inputs = Substitute::of_agent_event(&event).unwrap().inputs("a@10.0.0.2:1".parse().unwrap());
            assert_eq!(inputs.len(), calls);
            let Input::Agent { call: AgentCall::Update(update), .. } = &inputs[0] else {
                panic!("{inputs:?}")
            };
            assert_eq!((update.status.state, update.status.uuid), (TaskState::Dropped, None));
            let exits =
                |input: &Input| matches!(input, Input::Agent { call: AgentCall::ExecutorExited { .. }, .. });
            assert!(inputs[1..].iter().all(exits), "{inputs:?}");
        }
    }

    #[test]
    fn a_group_that_can_not_be_sent_is_dropped_as_a_whole() {
        let executor = ExecutorInfo::new("e", CommandInfo::shell("true"));
        let task =
            |id: &str| TaskInfo::with_executor(id, "S0".into(), "cpus:1".parse().unwrap(), executor.clone());
        let framework = FrameworkInfo { id: Some("F".into()), ..FrameworkInfo::new("f") };
        let tasks = vec![task("t1"), task("t2")];
        let event =
            AgentEvent::RunTaskGroup { framework, executor: executor.clone(), tasks, launch_executor: true };
        let inputs = Substitute::of_agent_event(&event).unwrap().inputs("a@10.0.0.2:1".parse().unwrap());
        assert_eq!(inputs.len(), 3, "{inputs:?}");
    }
}
