//! Calls of schedulers: who may make them, and where each goes.
//!
//! A call over the native transport comes from an actor, and is taken if that actor is subscribed under the identity
//! that it names. A call over HTTP comes from anybody who knows the id of the [stream](Pid::stream) that the framework
//! is subscribed on; it waits for an answer. From there on both are the same.

use libactor::Pid;
use protocol::FrameworkId;
use protocol::messages::{AgentEvent, Call, SchedulerCall};

use super::input::{Answer, Ask, Refusal};
use super::{Master, Turn};

impl Master {
    /// A scheduler's actor, or a stream that subscribes, calls.
    pub(super) fn scheduler(
        &mut self,
        turn: &mut Turn<'_>,
        from: Pid,
        SchedulerCall { framework_id, call }: SchedulerCall,
    ) {
        if let Call::Subscribe { framework, suppressed_roles } = call {
            return self.subscribe(turn, from, framework_id, framework, suppressed_roles);
        }
        let Some(id) = framework_id.filter(|id| self.schedulers.get(&from) == Some(id)) else {
            tracing::warn!(%from, "a call of a scheduler that is not subscribed is ignored");
            self.counters.count("dropped_messages");
            return;
        };
        if let Some(Answer::Refused(_, reason)) = self.call(turn, None, id.clone(), call) {
            tracing::warn!(framework_id = %id, reason, "a call is refused");
            self.counters.count("dropped_messages");
        }
    }

    /// A scheduler calls over HTTP.
    pub(super) fn http_call(
        &mut self,
        turn: &mut Turn<'_>,
        ask: Ask,
        framework_id: FrameworkId,
        stream_id: Option<&str>,
        call: Call,
    ) {
        let answer = match self.holds_stream(&framework_id, stream_id) {
            Ok(()) => self.call(turn, Some(ask), framework_id, call),
            Err((refusal, reason)) => Some(Answer::Refused(refusal, reason)),
        };
        if let Some(Answer::Refused(_, reason)) = &answer {
            tracing::debug!(reason, "a call is refused");
        }
        if let Some(answer) = answer {
            turn.answer(ask, answer);
        }
    }

    /// Whether a framework is subscribed on this stream. Source of the order and of the sentences: Mesos 1.11.
    fn holds_stream(&self, id: &FrameworkId, stream_id: Option<&str>) -> Result<(), (Refusal, String)> {
        let refuse = |refusal, reason: &str| Err((refusal, reason.to_owned()));
        let Some(framework) = self.frameworks.get(id) else {
            return refuse(Refusal::Invalid, "Framework cannot be found");
        };
        let Some(pid) = &framework.pid else {
            return refuse(Refusal::Forbidden, "Framework is not subscribed");
        };
        let Some(current) = pid.stream_id() else {
            return refuse(Refusal::Forbidden, "Framework is not connected via HTTP");
        };
        let Some(stream_id) = stream_id else {
            let reason = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
            return refuse(Refusal::Invalid, reason);
        };
        if stream_id != current {
            let reason = format!(
                "The stream ID '{stream_id}' included in this request didn't match the stream ID currently \
                 associated with framework ID {id}"
            );
            return refuse(Refusal::Invalid, &reason);
        }
        Ok(())
    }

    /// A call of a framework that may make it. All but one are only taken note of here: what comes of them is told by
    /// events. That one is answered later.
    fn call(&mut self, turn: &mut Turn<'_>, ask: Option<Ask>, id: FrameworkId, call: Call) -> Option<Answer> {
        if let Some(framework) = self.frameworks.get_mut(&id) {
            framework.counters.call(&call);
        }
        match call {
            Call::Subscribe { .. } => {
                let reason = "A subscription needs a stream of its own".to_owned();
                return Some(Answer::Refused(Refusal::Invalid, reason));
            }
            Call::UpdateFramework { framework, suppressed_roles } => {
                return self.update_framework(turn, ask, &id, framework, suppressed_roles);
            }
            Call::Teardown => self.teardown(turn, &id),
            Call::Accept { offer_ids, operations, filters } => {
                self.accept(turn, &id, &offer_ids, operations, filters);
            }
            Call::Decline { offer_ids, filters } => self.decline(turn, &id, &offer_ids, filters),
            Call::AcceptInverseOffers { .. } | Call::DeclineInverseOffers { .. } => {
                // There are none that could be answered, and unknown ones are ignored.
            }
            Call::Revive { roles } => self.revive(turn, &id, &roles),
            Call::Suppress { roles } => self.suppress(turn, &id, &roles),
            Call::Kill { task_id, agent_id, kill_policy } => {
                self.kill(turn, &id, task_id, agent_id, kill_policy);
            }
            Call::Shutdown { executor_id, agent_id } => {
                self.shutdown_executor(turn, id, &agent_id, executor_id);
            }
            Call::Acknowledge { agent_id, task_id, uuid } => {
                self.acknowledge(turn, &id, &agent_id, task_id, uuid);
            }
            Call::Reconcile { tasks } => self.reconcile(turn, &id, tasks),
            Call::Message { agent_id, executor_id, data } => {
                let event = AgentEvent::Message { framework_id: id, executor_id, data };
                self.framework_message(turn, &agent_id, event);
            }
            Call::Request { requests: _ } => self.request(),
        }
        Some(Answer::Accepted)
    }
}
