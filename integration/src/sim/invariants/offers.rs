//! An offer is used once, and nothing runs that was not taken out of an offer.

use std::collections::{BTreeMap, BTreeSet};

use libactor::sim::Seen;
use libactor::{Pid, Time};
use protocol::messages::{AgentEvent, Call, Event, SchedulerCall};
use protocol::{AgentId, Offer, OfferId, Operation, Resources, TaskId, TaskInfo};

use super::Invariant;
use crate::sim::Message;

/// What was offered and not yet used, declined or rescinded, by the messages alone.
#[derive(Debug, Default)]
pub struct Offers {
    made: BTreeSet<OfferId>,
    outstanding: BTreeMap<OfferId, Outstanding>,
    /// Tasks that may run, by the place of their acceptance.
    accepted: BTreeMap<TaskId, usize>,
    acceptances: Vec<Acceptance>,
    run: BTreeSet<TaskId>,
}

#[derive(Debug)]
struct Outstanding {
    /// Who may use it.
    to: Pid,
    /// The master that made it. When its lead is over the offer is nothing: another lead, also of the same master, knows
    /// nothing of it.
    by: Pid,
    offer: Offer,
}

/// Offers that were used together.
#[derive(Debug)]
struct Acceptance {
    agent_id: AgentId,
    rest: Resources,
}

impl Invariant for Offers {
    fn seen(&mut self, _now: Time, seen: &Seen<'_, Message>) {
        match seen {
            Seen::Sent { from, to, message } => match message {
                Message::AgentEvent(AgentEvent::RunTask { task, .. }) => self.launched(task),
                Message::AgentEvent(AgentEvent::RunTaskGroup { tasks, .. }) => {
                    tasks.iter().for_each(|task| self.launched(task));
                }
                message => match message.event() {
                    Some(Event::Offers(offers)) => {
                        offers.iter().for_each(|offer| self.offered(from, to, offer));
                    }
                    Some(Event::Rescind(id)) => drop(self.outstanding.remove(id)),
                    _ => {}
                },
            },
            Seen::Delivered { from, to, message } => {
                if let Some(SchedulerCall { call, .. }) = message.scheduler_call() {
                    self.called(from, to, call);
                }
            }
            Seen::Started { pid } => self.outstanding.retain(|_, offer| offer.by != **pid),
            Seen::Ended { process } => self.outstanding.retain(|_, offer| offer.by.address() != *process),
        }
    }
}

impl Offers {
    fn offered(&mut self, by: &Pid, to: &Pid, offer: &Offer) {
        let id = &offer.id;
        assert!(self.made.insert(id.clone()), "offer {id} is made twice");
        assert!(!offer.resources.is_empty(), "offer {id} offers nothing");
        let fits = offer.resources.iter().all(|resource| resource.allocatable_to(&offer.role));
        assert!(fits, "offer {id} offers {} to role {}", offer.resources, offer.role);
        let outstanding = Outstanding { to: to.clone(), by: by.clone(), offer: offer.clone() };
        self.outstanding.insert(id.clone(), outstanding);
    }

    fn called(&mut self, from: &Pid, at: &Pid, call: &Call) {
        match call {
            Call::Decline { offer_ids, .. } => {
                for id in offer_ids {
                    self.take(from, at, id);
                }
            }
            Call::Accept { offer_ids, operations, .. } => {
                self.accepted(from, at, offer_ids, operations);
            }
            _ => {}
        }
    }

    /// Takes an offer from those that can be used, if it is this scheduler's and that master's.
    fn take(&mut self, from: &Pid, at: &Pid, id: &OfferId) -> Option<Offer> {
        let known = self.outstanding.get(id)?;
        if known.to != *from || known.by != *at {
            return None;
        }
        self.outstanding.remove(id).map(|known| known.offer)
    }

    fn accepted(&mut self, from: &Pid, at: &Pid, offer_ids: &[OfferId], operations: &[Operation]) {
        let offers: Vec<Option<Offer>> = offer_ids.iter().map(|id| self.take(from, at, id)).collect();
        let Some(offers) = offers.into_iter().collect::<Option<Vec<Offer>>>() else { return };
        let Some(first) = offers.first() else { return };
        if offers.iter().any(|offer| offer.agent_id != first.agent_id) {
            return;
        }
        let rest = offers.iter().map(|offer| &offer.resources).sum();
        self.acceptances.push(Acceptance { agent_id: first.agent_id.clone(), rest });
        for task in operations.iter().flat_map(Operation::tasks) {
            self.accepted.insert(task.task_id.clone(), self.acceptances.len() - 1);
        }
    }

    fn launched(&mut self, task: &TaskInfo) {
        let id = &task.task_id;
        assert!(self.run.insert(id.clone()), "task {id} is launched twice");
        let Some(place) = self.accepted.get(id) else { panic!("task {id} runs without an offer") };
        let acceptance = &mut self.acceptances[*place];
        assert_eq!(acceptance.agent_id, task.agent_id, "task {id} runs where it was offered");
        let enough = acceptance.rest.contains(&task.resources);
        assert!(enough, "task {id} uses {} of {} that are left", task.resources, acceptance.rest);
        acceptance.rest -= &task.resources;
    }
}
