//! An agent that is emptied runs nothing new, and is empty in the end.

use std::collections::BTreeSet;

use libactor::sim::Seen;
use libactor::{Pid, Time};
use protocol::messages::AgentEvent;

use super::{Invariant, ensure};
use crate::sim::{Cluster, Message};

/// Agents that masters want emptied.
#[derive(Debug, Default)]
pub struct Drains {
    /// Which master has told which agent, and has not taken it back.
    told: BTreeSet<(Pid, Pid)>,
}

impl Invariant for Drains {
    fn seen(&mut self, _now: Time, seen: &Seen<'_, Message>) {
        let Seen::Sent { from, to, message: Message::AgentEvent(event) } = seen else { return };
        let pair = ((*from).clone(), (*to).clone());
        match event {
            AgentEvent::Drain { .. } => {
                self.told.insert(pair);
            }
            // Told again right behind a registration, if it is still wanted.
            AgentEvent::Registered { .. } | AgentEvent::Reregistered { .. } | AgentEvent::Reactivate => {
                self.told.remove(&pair);
            }
            AgentEvent::RunTask { task, .. } => {
                assert!(!self.told.contains(&pair), "{to} is drained, and told to run {}", task.task_id);
            }
            AgentEvent::RunTaskGroup { executor, .. } => {
                let id = &executor.executor_id;
                assert!(!self.told.contains(&pair), "{to} is drained, and told to run a group on {id}");
            }
            _ => {}
        }
    }

    fn converged(&self, cluster: &Cluster) -> Result<(), String> {
        let master = cluster.master().ok_or("one master leads")?;
        let registry = cluster.registry().ok_or("there is a registry")?;
        for (pid, host) in cluster.agents() {
            let Some(id) = host.machine().id() else { continue };
            let wish = registry.admitted.get(id).map(|agent| agent.wish.clone()).unwrap_or_default();
            ensure!(
                host.machine().is_draining() == wish.drain.is_some(),
                "{pid} knows whether it is to be drained"
            );
            let Some(drain) = wish.drain else { continue };
            ensure!(drain.drained, "{pid} is drained");
            ensure!(!drain.mark_gone, "{pid} is gone, since it is drained");
            let known = master.machine().agents().get(id);
            ensure!(
                known.is_some_and(|known| known.tasks.is_empty()),
                "the master knows of nothing on {pid}"
            );
            let frameworks = host.machine().frameworks().values();
            let mut tasks = frameworks.flat_map(|framework| framework.tasks.values());
            ensure!(tasks.all(|task| task.state.is_terminal()), "{pid} runs nothing");
        }
        Ok(())
    }
}
