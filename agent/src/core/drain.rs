//! The machine is to be emptied: all tasks are killed in their own time, and no others run. Source: Mesos, `Slave::drain`.
//!
//! The wish is kept: it outlives the agent's process. It is the master's to end it: by saying so, or by saying nothing of it
//! when the agent registers again.

use std::time::Duration;

use libactor::Time;
use protocol::{ContainerId, FrameworkId, KillPolicy, TaskId};

use super::Output;
use super::state::Agent;

impl Agent {
    /// The operator wants the agent emptied; the newest wish counts.
    pub(super) fn drain(&mut self, now: Time, max_grace_period: Option<Duration>, out: &mut Vec<Output>) {
        if self.drain != Some(max_grace_period) {
            tracing::info!("this agent is to be drained: its tasks are killed, and it runs no others");
            self.drain = Some(max_grace_period);
            self.keep_drain();
        }
        self.drain_tasks(now, out);
    }

    /// Kills all tasks, once for each wish.
    pub(super) fn drain_tasks(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.drain.is_none() || self.drained_for == self.drain {
            return;
        }
        self.drained_for = self.drain;
        let heard = self.frameworks.iter().filter(|(_, framework)| !framework.removed);
        let live: Vec<(FrameworkId, TaskId)> = heard
            .flat_map(|(framework_id, framework)| {
                let live = framework.tasks.values().filter(|task| !task.state.is_terminal());
                live.map(|task| (framework_id.clone(), task.task_id.clone()))
            })
            .collect();
        for (framework_id, task_id) in live {
            // Those of a group end with the first of them.
            let task = self.frameworks.get(&framework_id).and_then(|framework| framework.tasks.get(&task_id));
            if task.is_some_and(|task| !task.state.is_terminal()) {
                self.kill_task(now, framework_id, task_id, None, out);
            }
        }
    }

    /// An executor is away: the kill of its tasks is told when it is back, whether or not it has heard it before.
    pub(super) fn drain_when_back(&mut self, container_id: &ContainerId) {
        let Some((framework_id, executor_id)) = self.containers.get(container_id).cloned() else { return };
        if self.drain.is_none() {
            return;
        }
        let tasks = self.frameworks[&framework_id].tasks.values();
        let live = tasks.filter(|task| task.executor_id == executor_id && !task.state.is_terminal());
        let kills = live
            .filter(|task| !self.frameworks[&framework_id].executors[&executor_id].has_queued(&task.task_id));
        let kills: Vec<_> =
            kills.map(|task| (task.task_id.clone(), self.kill_policy(task.kill_policy, None))).collect();
        if let Some(executor) = self.executor_mut(container_id) {
            executor.kills.extend(kills);
        }
    }

    /// The agent may run tasks again.
    pub(super) fn reactivate(&mut self) {
        if self.drain.take().is_some() {
            tracing::info!("this agent is not to be drained any more");
            self.keep_drain();
        }
    }

    /// How a task is killed: while the agent is drained no task takes longer than the operator wants.
    pub(super) fn kill_policy(
        &self,
        own: Option<KillPolicy>,
        asked: Option<KillPolicy>,
    ) -> Option<KillPolicy> {
        let Some(Some(longest)) = self.drain else { return asked };
        let named = asked.or(own).and_then(|policy| policy.grace_period);
        Some(KillPolicy { grace_period: Some(named.map_or(longest, |grace| grace.min(longest))) })
    }
}
