//! Agents that leave: they do not answer, they go, others take their place, or an operator says that they are gone.
//!
//! | why | its tasks, where frameworks tell the kinds of loss apart | may it come back? |
//! |---|---|---|
//! | it does not answer | TASK_UNREACHABLE | yes, with its tasks |
//! | it unregistered, or another one speaks from its address | TASK_GONE | no: as a new one |
//! | an operator says so | TASK_GONE_BY_OPERATOR | no, and it is told to end |

use protocol::messages::{AgentEvent, Event};
use protocol::{AgentId, Reason, Source, TaskState, UnixTime};

use super::agents::Leaving;
use super::input::{Answer, Ask, Change, Refusal};
use super::tasks::{Loss, tell_loss};
use super::{Master, Timer, Turn, limits};
use crate::registry::Operation;

/// What agents, frameworks and people are told of an agent that is gone. Source: Mesos.
pub(super) const GONE: &str = "Agent has been marked gone";

impl Master {
    /// The agent says that it leaves.
    pub(super) fn unregister_agent(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        self.counters.count("messages_unregister_slave");
        self.start_leaving(turn, id, Leaving::Removed("the agent unregistered"));
    }

    /// Asks the registry; until it has answered, the agent counts as there but is not used.
    pub(super) fn start_leaving(&mut self, turn: &mut Turn<'_>, id: &AgentId, why: Leaving) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        match (agent.leaving, why) {
            (None, _) | (Some(Leaving::Unreachable(_)), Leaving::Removed(_)) => agent.leaving = Some(why),
            (Some(_), _) => return,
        }
        self.cancel_removal(id);
        turn.changed(Change::AgentUpdated(id.clone()));
        self.allocator.set_agent_active(id, false);
        self.rescind_offers_of_agent(turn, id);
        self.timers.cancel(&Timer::Ping(id.clone()));
        self.timers.cancel(&Timer::Reregister(id.clone()));
        let agent_id = id.clone();
        turn.apply(match why {
            Leaving::Unreachable(since) => Operation::MarkAgentUnreachable { agent_id, since },
            Leaving::Removed(_) => Operation::RemoveAgent { agent_id },
            Leaving::Gone(since) => Operation::MarkAgentGone { agent_id, since },
        });
    }

    /// The registry knows that an agent does not answer.
    pub(super) fn agent_unreachable(&mut self, turn: &mut Turn<'_>, id: &AgentId, since: UnixTime) {
        self.expiring.remove(id);
        if self.gone.contains_key(id) || self.removed.contains_key(id) {
            return; // It was decided earlier that it does not come back.
        }
        match self.agents.get(id).and_then(|agent| agent.leaving) {
            // It was decided meanwhile that it leaves for good: that operation follows.
            Some(Leaving::Removed(_) | Leaving::Gone(_)) => return,
            Some(Leaving::Unreachable(_)) => {
                self.counters.count("slave_unreachable_completed");
                self.counters.count("slave_removals/reason_unhealthy");
            }
            None => {
                if self.recovered.remove(id).is_none() {
                    return; // It is back meanwhile: what makes it reachable follows.
                }
                // A recovered one that did not come back.
                self.counters.count("slave_unreachable_completed");
                self.counters.count("recovery_slave_removals");
                let event = Event::Failure { agent_id: id.clone(), executor_id: None, status: None };
                self.tell_all_frameworks(turn, &event);
            }
        }
        turn.changed(Change::AgentMoved(id.clone()));
        if let Some(forgotten) = self.unreachable.insert(id.clone(), since) {
            self.forget_wish(&forgotten);
            turn.changed(Change::AgentMoved(forgotten));
        }
        let message = self.agents.get(id).map(|agent| format!("Agent {} unreachable", agent.info.hostname));
        let loss = Loss {
            state: TaskState::Unreachable,
            reason: Reason::AgentRemoved,
            message: &message.unwrap_or_default(),
            unreachable_since: Some(since),
        };
        self.lose_agent(turn, id, &loss);
        self.look_whether_empty(id);
    }

    /// The registry knows that an agent has left.
    pub(super) fn agent_removed(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        self.removed.insert(id.clone(), ());
        self.unreachable.remove(id);
        self.forget_wish(id);
        turn.changed(Change::AgentMoved(id.clone()));
        let why = match self.agents.get(id).and_then(|agent| agent.leaving) {
            Some(Leaving::Removed(why)) => why,
            Some(Leaving::Unreachable(_) | Leaving::Gone(_)) | None => "removed",
        };
        self.counters.count(match why {
            "the agent unregistered" => "slave_removals/reason_unregistered",
            _ => "slave_removals/reason_registered",
        });
        let hostname = self.agents.get(id).map(|agent| agent.info.hostname.clone()).unwrap_or_default();
        let loss = Loss {
            state: TaskState::Gone,
            reason: Reason::AgentRemoved,
            message: &format!("Agent {hostname} removed: {why}"),
            unreachable_since: None,
        };
        self.lose_agent(turn, id, &loss);
    }

    /// An operator says that an agent is gone: once the registry knows, it is answered. Source of the sentences: Mesos.
    pub(super) fn mark_agent_gone(&mut self, turn: &mut Turn<'_>, ask: Ask, id: AgentId) {
        let transition = match self.agents.get(&id).and_then(|agent| agent.leaving) {
            _ if self.marking_gone.contains_key(&id) => Some("already being transitioned to gone"),
            Some(Leaving::Removed(_)) => Some("being transitioned to removed"),
            Some(Leaving::Unreachable(_)) => Some("being transitioned to unreachable"),
            Some(Leaving::Gone(_)) | None => None,
        };
        let known = self.is_remembered(&id);
        let answer = if self.gone.contains_key(&id) {
            Answer::Done
        } else if let Some(transition) = transition {
            Answer::Refused(Refusal::Unavailable, format!("Agent '{id}' is {transition}"))
        } else if !known {
            Answer::Refused(Refusal::Unknown, format!("Agent '{id}' not found"))
        } else if self.marking_gone.len() >= limits::MAX_OPERATOR_REQUESTS {
            Answer::Refused(Refusal::Unavailable, super::operator::TOO_MANY.to_owned())
        } else {
            return self.begin_gone(turn, &id, Some(ask));
        };
        turn.answer(ask, answer);
    }

    /// Asks the registry, unless something else of the kind is under way.
    pub(super) fn begin_gone(&mut self, turn: &mut Turn<'_>, id: &AgentId, ask: Option<Ask>) {
        let leaving = self.agents.get(id).is_some_and(|agent| agent.leaving.is_some());
        if leaving || self.marking_gone.contains_key(id) {
            return;
        }
        let since = turn.unix_time();
        self.marking_gone.insert(id.clone(), ask);
        self.timers.cancel(&Timer::Recovered(id.clone()));
        self.cancel_removal(id);
        if self.agents.contains_key(id) {
            self.start_leaving(turn, id, Leaving::Gone(since));
        } else {
            turn.apply(Operation::MarkAgentGone { agent_id: id.clone(), since });
        }
    }

    /// The registry knows that an agent is gone.
    pub(super) fn agent_gone(&mut self, turn: &mut Turn<'_>, id: &AgentId, since: UnixTime) {
        let loss = Loss {
            state: TaskState::GoneByOperator,
            reason: Reason::AgentRemovedByOperator,
            message: GONE,
            unreachable_since: None,
        };
        tracing::info!(agent_id = %id, "the agent is gone, by an operator's word");
        turn.changed(Change::AgentMoved(id.clone()));
        if let Some(forgotten) = self.gone.insert(id.clone(), since) {
            turn.changed(Change::AgentMoved(forgotten));
        }
        self.recovered.remove(id);
        self.forget_wish(id);
        self.timers.cancel(&Timer::Recovered(id.clone()));
        if self.unreachable.remove(id).is_some() {
            self.lose_unreachable_tasks(turn, id, &loss);
        }
        // It may have come back while the registry decided.
        if self.agents.get(id).is_some_and(|agent| agent.leaving.is_none()) {
            self.allocator.set_agent_active(id, false);
            self.rescind_offers_of_agent(turn, id);
        }
        self.tell_agent(turn, id, AgentEvent::Shutdown { message: GONE.to_owned() });
        self.lose_agent(turn, id, &loss);
        if let Some(Some(ask)) = self.marking_gone.remove(id) {
            turn.answer(ask, Answer::Done);
        }
    }

    /// What was to come back with an agent is lost with it.
    fn lose_unreachable_tasks(&mut self, turn: &mut Turn<'_>, id: &AgentId, loss: &Loss<'_>) {
        for framework in self.frameworks.values_mut() {
            let theirs = framework.unreachable.iter().filter(|(_, record)| record.task.agent_id == *id);
            let task_ids: Vec<_> = theirs.map(|(task_id, _)| task_id.clone()).collect();
            for task_id in task_ids {
                let Some(mut record) = framework.unreachable.remove(&task_id) else { continue };
                let status = loss.status(&framework.info, &record.task, turn);
                self.counters.ended(status.state, Source::Master, status.reason);
                framework.counters.ended(status.state);
                tell_loss(&mut record.task, &status);
                turn.changed(Change::TaskUpdated { task: record.task.clone(), status: status.clone() });
                framework.complete(turn, record.task);
                framework.tell(turn, Event::Update(status));
            }
        }
    }

    /// All that was on an agent is lost, and every framework hears of it.
    fn lose_agent(&mut self, turn: &mut Turn<'_>, id: &AgentId, loss: &Loss<'_>) {
        let Some(agent) = self.agents.get(id) else { return };
        tracing::info!(agent_id = %id, how = loss.message, "the agent is lost");
        self.counters.count("slave_removals");
        let tasks: Vec<_> = agent.tasks.iter().cloned().collect();
        let executors: Vec<_> = agent.executors.keys().cloned().collect();
        for (framework_id, task_id) in tasks {
            self.lose_task(turn, &framework_id, &task_id, loss);
        }
        for (framework_id, executor_id) in executors {
            self.drop_executor(turn, id, &framework_id, &executor_id);
        }
        self.unbind(turn, id);
        self.timers.cancel(&Timer::Ping(id.clone()));
        self.timers.cancel(&Timer::Reregister(id.clone()));
        self.allocator.remove_agent(id);
        self.agents.remove(id);
        turn.changed(Change::AgentRemoved(id.clone()));
        let event = Event::Failure { agent_id: id.clone(), executor_id: None, status: None };
        self.tell_all_frameworks(turn, &event);
    }

    fn tell_all_frameworks(&mut self, turn: &mut Turn<'_>, event: &Event) {
        for framework in self.frameworks.values_mut() {
            framework.tell(turn, event.clone());
        }
    }
}
