//! What the executor asks for.

use libactor::Time;
use protocol::messages::ExecutorCallKind;
use protocol::{Source, StatusUpdate, TaskStatus, UnixTime, Uuid};

use super::{DriverCall, Life, Link, Output, Session};
use crate::Status;
use crate::limits::MAX_UNACKNOWLEDGED;

impl Session {
    pub(super) fn call(&mut self, now: Time, call: DriverCall, out: &mut Vec<Output>) {
        if self.link == Link::Idle || !matches!(self.life, Life::Running | Life::ShuttingDown) {
            if call == DriverCall::Abort {
                self.end(Status::Aborted, out);
            }
            return;
        }
        match call {
            DriverCall::Update(status) => self.update(now, status, out),
            DriverCall::Message(data) => {
                if self.link == Link::Subscribed {
                    self.send(ExecutorCallKind::Message(data), out);
                }
            }
            DriverCall::Stop => self.drain(now, Status::Stopped, out),
            DriverCall::Abort => self.end(Status::Aborted, out),
            DriverCall::ShutDown => self.shut_down(out),
        }
    }

    /// Keeps an update until it is acknowledged, and sends it if there is an agent.
    fn update(&mut self, now: Time, status: TaskStatus, out: &mut Vec<Output>) {
        if self.updates.len() >= MAX_UNACKNOWLEDGED {
            return self.fail(format!("more than {MAX_UNACKNOWLEDGED} updates are not acknowledged"), out);
        }
        let status = TaskStatus {
            uuid: Some(Uuid::from_random(self.random.next_u128())),
            source: Source::Executor,
            executor_id: Some(self.config.executor_id.clone()),
            timestamp: Some(status.timestamp.unwrap_or(UnixTime(now.as_nanos()))),
            ..status
        };
        self.updates.push_back(StatusUpdate {
            framework_id: self.config.framework_id.clone(),
            latest_state: status.state,
            status: status.clone(),
        });
        if self.link == Link::Subscribed {
            self.send(ExecutorCallKind::Update(status), out);
        }
    }
}
