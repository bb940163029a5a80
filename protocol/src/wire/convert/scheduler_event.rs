//! What the master tells schedulers.

use super::{master_info_to_wire, offer_to_wire, task_status_to_wire};
use crate::messages::Event;
use crate::wire::v1;
use crate::{Capability, FrameworkInfo};
use v1::scheduler::event::{self, Type};

/// Between two heartbeats of a stream, seconds. Source: Mesos `DEFAULT_HEARTBEAT_INTERVAL`.
const HEARTBEAT_SECONDS: f64 = 15.0;

/// What a framework understands, as far as it changes how events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventContext {
    /// It has RESERVATION_REFINEMENT: resources come in the refined format.
    pub refined: bool,
    /// It has MULTI_ROLE: offers say which role they are allocated to.
    pub multi_role: bool,
}

impl EventContext {
    /// That of a framework.
    pub fn of(framework: &FrameworkInfo) -> Self {
        Self {
            refined: framework.can(Capability::ReservationRefinement),
            multi_role: framework.can(Capability::MultiRole),
        }
    }
}

/// An event, as a framework of that kind is sent it.
pub fn scheduler_event(event: &Event, context: &EventContext) -> v1::scheduler::Event {
    let mut wire = v1::scheduler::Event::default();
    let kind = match event {
        Event::Subscribed { framework_id, master, resubscribed: _ } => {
            wire.subscribed = Some(event::Subscribed {
                framework_id: framework_id.into(),
                heartbeat_interval_seconds: Some(HEARTBEAT_SECONDS),
                master_info: Some(master_info_to_wire(master)),
            });
            Type::Subscribed
        }
        Event::Offers(offers) => {
            let offers = offers.iter().map(|offer| offer_to_wire(offer, context)).collect();
            wire.offers = Some(event::Offers { offers });
            Type::Offers
        }
        Event::Rescind(offer_id) => {
            wire.rescind = Some(event::Rescind { offer_id: offer_id.into() });
            Type::Rescind
        }
        Event::Update(status) => {
            wire.update = Some(event::Update { status: task_status_to_wire(status) });
            Type::Update
        }
        Event::Message { agent_id, executor_id, data } => {
            let (agent_id, executor_id) = (agent_id.into(), executor_id.into());
            wire.message = Some(event::Message { agent_id, executor_id, data: data.clone() });
            Type::Message
        }
        Event::Failure { agent_id, executor_id, status } => {
            wire.failure = Some(event::Failure {
                agent_id: Some(agent_id.into()),
                executor_id: executor_id.as_ref().map(Into::into),
                status: status.map(wait_status),
            });
            Type::Failure
        }
        Event::Error(message) => {
            wire.error = Some(event::Error { message: message.clone() });
            Type::Error
        }
        Event::Heartbeat => Type::Heartbeat,
    };
    wire.r#type = Some(kind.into());
    wire
}

/// How an executor ended, as `waitpid` says it: clients of Mesos take it apart by `WIFEXITED` and its like. Ours is an exit
/// status, or 128 and a signal's number; an exit status that looks like the latter is told as that signal. Negative: it
/// never started.
fn wait_status(status: i32) -> i32 {
    match status {
        0..=128 => status << 8,
        129..=192 => status - 128,
        193..=255 => status << 8,
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::wait_status;

    #[test]
    fn the_end_of_an_executor_is_told_as_the_kernel_does() {
        for (ours, wire) in [(0, 0), (7, 7 << 8), (137, 9), (143, 15), (255, 255 << 8), (-1, -1)] {
            assert_eq!(wait_status(ours), wire, "{ours}");
        }
    }
}
