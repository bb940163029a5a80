//! What the master says, and what the scheduler has done with it.

use libactor::Pid;
use protocol::messages::{Call, Event, MasterInfo, SchedulerCall};
use protocol::{Filters, FrameworkId};

use super::queue::Admission;
use super::{Callback, Output, Phase, Running, Session};
use crate::Status;
use crate::limits::MAX_CALLBACKS_HARD;

impl Session {
    pub(super) fn master_speaks(&mut self, from: Pid, event: Event, out: &mut Vec<Output>) {
        if self.phase == Phase::Failing {
            return;
        }
        if let Event::Subscribed { framework_id, master, resubscribed: _ } = event {
            return self.subscribed(from, framework_id, master, out);
        }
        // A refusal may come in place of the subscription.
        if let Event::Error(message) = event {
            if self.asks(&from) {
                self.fail(message);
            }
            return;
        }
        if self.master() != Some(&from) {
            tracing::debug!(%from, "an event of another master was ignored");
            return;
        }
        let callback = match event {
            Event::Offers(offers) => Callback::Offers(offers),
            Event::Rescind(offer_id) => Callback::Rescinded(offer_id),
            Event::Update(status) => Callback::Update(status),
            Event::Message { agent_id, executor_id, data } => {
                Callback::Message { executor_id, agent_id, data }
            }
            Event::Failure { agent_id, executor_id: None, .. } => Callback::AgentLost(agent_id),
            Event::Failure { agent_id, executor_id: Some(executor_id), status } => {
                Callback::ExecutorLost { executor_id, agent_id, status: status.unwrap_or(-1) }
            }
            Event::Subscribed { .. } | Event::Error(_) | Event::Heartbeat => return,
        };
        self.push(callback, out);
    }

    /// Whether a master is the leader and has been asked.
    fn asks(&self, master: &Pid) -> bool {
        let asked =
            matches!(self.phase, Phase::Subscribing { .. } | Phase::Waiting { .. } | Phase::Subscribed);
        asked && self.linked && self.leader.as_ref().is_some_and(|leader| leader.pid == *master)
    }

    /// The leader has answered, maybe late. A second answer to a repeated question changes nothing.
    fn subscribed(
        &mut self,
        from: Pid,
        framework_id: FrameworkId,
        master: MasterInfo,
        out: &mut Vec<Output>,
    ) {
        if !self.asks(&from) || self.phase == Phase::Subscribed {
            return;
        }
        if self.framework.id.as_ref().is_some_and(|known| *known != framework_id) {
            return self.fail(format!("the master answered for another framework, {framework_id}"));
        }
        tracing::info!(master = %from, framework = %framework_id, "subscribed");
        self.framework.id = Some(framework_id.clone());
        self.attempts = 0;
        self.complained = false;
        self.phase = Phase::Subscribed;
        let callback = match std::mem::replace(&mut self.registered, true) {
            false => Callback::Registered { framework_id, master },
            true => Callback::Reregistered { master },
        };
        self.push(callback, out);
    }

    /// Queues a callback by the policy of `queue.rs`.
    pub(super) fn push(&mut self, callback: Callback, out: &mut Vec<Output>) {
        if self.phase == Phase::Failing {
            return;
        }
        let mut declined = Vec::new();
        let admission = self.callbacks.push(callback, &mut declined);
        if !declined.is_empty() {
            tracing::warn!(offers = declined.len(), "offers are declined: callbacks are too slow");
            self.send(Call::Decline { offer_ids: declined, filters: Filters::default() }, out);
        }
        match admission {
            Admission::Kept => {}
            Admission::Shed => tracing::warn!("a callback was not queued: callbacks are too slow"),
            Admission::Overflow => {
                self.fail(format!(
                    "more than {MAX_CALLBACKS_HARD} callbacks wait: the scheduler is too slow"
                ));
            }
        }
    }

    pub(super) fn callback_returned(&mut self, out: &mut Vec<Output>) {
        match self.running.take() {
            Some(Running::Update { agent_id: Some(agent_id), task_id, uuid }) => {
                self.send(Call::Acknowledge { agent_id, task_id, uuid }, out);
            }
            Some(Running::Error) => self.end(Status::Aborted, out),
            Some(Running::Update { agent_id: None, .. } | Running::Plain) | None => {}
        }
    }

    /// Tells the master, if there is one; says whether.
    pub(super) fn send(&mut self, call: Call, out: &mut Vec<Output>) -> bool {
        let Some(master) = self.master().cloned() else { return false };
        let framework_id = self.framework.id.clone();
        out.push(Output::Send { to: master, call: SchedulerCall { framework_id, call } });
        true
    }
}
