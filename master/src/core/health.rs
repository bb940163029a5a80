//! Whether agents are alive: a ping each 15 s, and what follows when five of them stay without an answer.

use libactor::Pid;
use protocol::AgentId;
use protocol::messages::AgentEvent;

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
            self.schedule_removal(turn, id);
        }
        // While it waits for its turn to be removed it may still answer.
        if self.agents.get(id).is_some_and(|agent| agent.leaving.is_none()) {
            self.ping(turn, id);
        }
    }

    /// An answer. It counts from whoever the agent is, connected or not.
    pub(super) fn pong(&mut self, from: &Pid) {
        let Some(agent) = self.agent_pids.get(from).and_then(|id| self.agents.get_mut(id)) else {
            return self.counters.count("invalid_agent_calls");
        };
        agent.heard = true;
        agent.ponged = true;
        agent.missed_pings = 0;
        let id = agent.id.clone();
        self.cancel_removal(&id);
    }
}
