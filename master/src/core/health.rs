//! Whether agents are alive: a ping each 15 s, and what follows when five of them stay without an answer.

use libactor::Pid;
use protocol::AgentId;
use protocol::messages::AgentEvent;

use super::agents::Leaving;
use super::{Master, Timer, Turn};

impl Master {
    /// Pings an agent and waits for the answer. A disconnected one learns from it that it is.
    pub(super) fn ping(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.ponged = false;
        turn.tell_agent(agent.pid.clone(), AgentEvent::Ping { connected: agent.connected });
        self.timers.set(Timer::Ping(id.clone()), turn.now + self.config.agent_ping_timeout);
    }

    /// The time for an answer is over.
    pub(super) fn ping_due(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.ponged {
            agent.missed_pings = 0;
        } else {
            agent.missed_pings += 1;
        }
        if agent.missed_pings >= self.config.max_agent_ping_timeouts {
            self.mark_unreachable(turn, id);
        } else {
            self.ping(turn, id);
        }
    }

    /// An answer. It counts from whoever the agent is, connected or not.
    pub(super) fn pong(&mut self, from: &Pid) {
        match self.agent_pids.get(from).and_then(|id| self.agents.get_mut(id)) {
            Some(agent) => {
                agent.heard = true;
                agent.ponged = true;
                agent.missed_pings = 0;
            }
            None => self.counters.count("invalid_agent_calls"),
        }
    }

    /// The agent does not answer: once the registry knows, its tasks are unreachable (M-B-06).
    pub(super) fn mark_unreachable(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        self.counters.count("slave_unreachable_scheduled");
        let since = turn.unix_time();
        self.start_leaving(turn, id, Leaving::Unreachable(since));
    }

    /// An agent that the registry named when this master began has not come back.
    pub(super) fn recovered_due(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        if self.recovered.contains_key(id) && !self.reregistering.contains_key(id) {
            let since = turn.unix_time();
            turn.apply(crate::registry::Operation::MarkAgentUnreachable { agent_id: id.clone(), since });
        }
    }
}
