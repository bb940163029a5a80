//! The connection to the agent, and what the agent says.

use std::time::Duration;

use libactor::{Pid, Time};
use protocol::messages::{ExecutorCallKind, ExecutorEvent};
use protocol::{TaskId, Uuid};

use super::{Callback, Life, Link, Output, Session};
use crate::limits::{MIN_BACKOFF, SUBSCRIBE_REPEAT, UPDATE_REPEAT};

impl Session {
    pub(super) fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.link == Link::Idle {
            self.subscribe(now, out);
        }
    }

    fn subscribe(&mut self, now: Time, out: &mut Vec<Output>) {
        self.link = Link::Subscribing { until: now + SUBSCRIBE_REPEAT.min(self.config.backoff_max) };
        out.push(Output::Link { pid: self.config.agent.clone() });
        let tasks = self.tasks.values().cloned().collect();
        let updates = self.updates.iter().cloned().collect();
        self.told = self.updates.back().and_then(|update| update.status.uuid);
        self.send(ExecutorCallKind::Subscribe { tasks, updates }, out);
    }

    pub(super) fn exited(&mut self, now: Time, pid: &Pid, out: &mut Vec<Output>) {
        if *pid != self.config.agent || matches!(self.link, Link::Idle | Link::Lost) {
            return;
        }
        if !self.config.checkpoint {
            tracing::warn!(agent = %pid, "the agent is gone: the executor shuts down");
            self.link = Link::Lost;
            self.shut_down(out);
            return self.end_if_drained(out);
        }
        self.drain_without_end();
        let subscribed = self.link == Link::Subscribed;
        self.wait(now);
        if subscribed {
            tracing::warn!(agent = %pid, "the agent is gone: waiting for it to come back");
            if matches!(self.life, Life::Running | Life::ShuttingDown) {
                self.push(Callback::Disconnected, out);
            }
        }
        if self.give_up.is_none() {
            self.give_up = Some(now + self.config.recovery_timeout);
        }
        self.end_if_drained(out);
    }

    /// Waits before the next subscription: at random in the upper half of a bound that doubles.
    fn wait(&mut self, now: Time) {
        let longest = MIN_BACKOFF.saturating_mul(1 << self.attempts.min(20)).min(self.config.backoff_max);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.attempts = self.attempts.saturating_add(1);
        self.link =
            Link::Waiting { until: now + Duration::from_nanos(nanos - self.random.below(nanos / 2 + 1)) };
    }

    pub(super) fn tick_link(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.give_up.is_some_and(|until| until <= now) {
            tracing::warn!("the agent has not come back: the executor shuts down");
            self.give_up = None;
            self.link = Link::Lost;
            out.push(Output::Unlink { pid: self.config.agent.clone() });
            self.shut_down(out);
            return self.end_if_drained(out);
        }
        match self.link {
            Link::Subscribing { until } | Link::Waiting { until } if until <= now => self.subscribe(now, out),
            _ => {}
        }
        if self.repeat.is_some_and(|until| until <= now) {
            self.repeat = None;
            if self.link == Link::Subscribed {
                for update in self.updates.clone() {
                    self.send(ExecutorCallKind::Update(update.status), out);
                }
            }
        }
    }

    /// Something for the agent is gone: if it was an update, all that are not acknowledged are sent again a little later.
    pub(super) fn not_sent(&mut self, now: Time) {
        if self.repeat.is_none() {
            self.repeat = Some(now + UPDATE_REPEAT);
        }
    }

    pub(super) fn agent_speaks(
        &mut self,
        now: Time,
        from: &Pid,
        event: ExecutorEvent,
        out: &mut Vec<Output>,
    ) {
        if *from != self.config.agent {
            return;
        }
        // Nothing reaches the executor before `Registered`, nor once it shuts down.
        let open = self.life == Life::Running && self.registered;
        match event {
            ExecutorEvent::Subscribed { executor, framework, agent_id, agent } => {
                if !matches!(self.link, Link::Subscribing { .. } | Link::Waiting { .. }) {
                    return;
                }
                self.link = Link::Subscribed;
                self.give_up = None;
                self.attempts = 0;
                self.drain_until(now);
                let callback = match std::mem::replace(&mut self.registered, true) {
                    false => Callback::Registered { executor, framework, agent_id, agent },
                    true => Callback::Reregistered { agent_id, agent },
                };
                if self.life == Life::Running {
                    self.push(callback, out);
                }
                self.tell_the_rest(out);
            }
            ExecutorEvent::Launch(task) if open => {
                self.tasks.insert(task.task_id.clone(), task.clone());
                self.push(Callback::Launch(task), out);
            }
            // What belongs together is the executor's to know: it is handed the tasks one by one, as by `Launch`.
            ExecutorEvent::LaunchGroup(tasks) if open => {
                for task in tasks {
                    self.tasks.insert(task.task_id.clone(), task.clone());
                    self.push(Callback::Launch(task), out);
                }
            }
            ExecutorEvent::Kill { task_id, kill_policy } if open => {
                self.push(Callback::Kill { task_id, kill_policy }, out);
            }
            ExecutorEvent::Message(data) if open => self.push(Callback::Message(data), out),
            ExecutorEvent::Launch(_)
            | ExecutorEvent::LaunchGroup(_)
            | ExecutorEvent::Kill { .. }
            | ExecutorEvent::Message(_)
            | ExecutorEvent::Heartbeat => {}
            ExecutorEvent::Acknowledged { task_id, uuid } => self.acknowledged(&task_id, uuid, out),
            ExecutorEvent::Shutdown => self.shut_down(out),
            ExecutorEvent::Error(message) => self.fail(message, out),
        }
    }

    /// Sends the updates that came after the subscription was asked for.
    fn tell_the_rest(&mut self, out: &mut Vec<Output>) {
        let told = self.updates.iter().position(|update| update.status.uuid == self.told);
        for update in self.updates.iter().skip(told.map_or(0, |place| place + 1)).cloned().collect::<Vec<_>>()
        {
            self.send(ExecutorCallKind::Update(update.status), out);
        }
    }

    fn acknowledged(&mut self, task_id: &TaskId, uuid: Uuid, out: &mut Vec<Output>) {
        let before = self.updates.len();
        self.updates.retain(|update| update.status.uuid != Some(uuid) || update.status.task_id != *task_id);
        if self.updates.len() < before {
            self.tasks.remove(task_id);
        }
        self.end_if_drained(out);
    }
}
