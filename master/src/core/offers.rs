//! Offers: made of what the allocator grants, and taken back.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::Time;
use protocol::messages::Event;
use protocol::{AgentId, Filters, FrameworkId, Offer, OfferId, Resources, Role};

use super::allocator::Grant;
use super::input::Change;
use super::{Master, Timer, Turn, limits};

/// An offer that is not answered. What it says of the agent is not repeated here.
#[derive(Clone, Debug)]
pub struct OfferRecord {
    /// To whom.
    pub framework_id: FrameworkId,
    /// Whose resources.
    pub agent_id: AgentId,
    /// For which role.
    pub role: Role,
    /// What.
    pub resources: Resources,
    /// When it was made.
    pub made_at: Time,
}

impl Master {
    /// An allocation is due in this turn's tick, however many events ask for one.
    pub(super) fn allocate_soon(&mut self, now: Time) {
        if !self.timers.is_set(&Timer::Allocate) {
            self.timers.set(Timer::Allocate, now);
        }
    }

    /// The allocation that comes without being asked for (M-D-10).
    pub(super) fn batch_due(&mut self, turn: &mut Turn<'_>) {
        self.timers.set(Timer::Batch, turn.now + self.config.allocation_interval);
        self.timers.cancel(&Timer::Allocate);
        self.allocate(turn);
    }

    /// Offers what the allocator grants.
    pub(super) fn allocate(&mut self, turn: &mut Turn<'_>) {
        let mut offers: BTreeMap<FrameworkId, Vec<Offer>> = BTreeMap::new();
        for grant in self.allocator.allocate(turn.now) {
            if let Some(offer) = self.make_offer(turn, grant) {
                offers.entry(offer.framework_id.clone()).or_default().push(offer);
            }
        }
        for (framework_id, mut offers) in offers {
            let Some(framework) = self.frameworks.get_mut(&framework_id) else { continue };
            self.counters.add("offers_sent", offers.len() as u64);
            while offers.len() > limits::MAX_OFFERS_PER_EVENT {
                let rest = offers.split_off(limits::MAX_OFFERS_PER_EVENT);
                framework.tell(turn, Event::Offers(offers));
                offers = rest;
            }
            framework.tell(turn, Event::Offers(offers));
        }
    }

    fn make_offer(&mut self, turn: &mut Turn<'_>, grant: Grant) -> Option<Offer> {
        let Grant { framework_id, role, agent_id, resources } = grant;
        let framework = self.frameworks.get_mut(&framework_id).filter(|framework| framework.pid.is_some());
        let agent = self.agents.get_mut(&agent_id).filter(|agent| agent.active());
        let (Some(framework), Some(agent)) = (framework, agent) else {
            debug_assert!(false, "the allocator grants only between those that are there");
            self.allocator.recover(turn.now, &framework_id, &role, &agent_id, &resources, None);
            return None;
        };
        let id = OfferId::from(format!("{}-O{}", self.info.id, self.next_offer));
        self.next_offer += 1;
        framework.offers.insert(id.clone());
        agent.offers.insert(id.clone());
        agent.offered += &resources;
        if let Some(timeout) = self.config.offer_timeout {
            self.timers.set(Timer::Offer(id.clone()), turn.now + timeout);
        }
        let record = OfferRecord {
            framework_id: framework_id.clone(),
            agent_id: agent_id.clone(),
            role: role.clone(),
            resources: resources.clone(),
            made_at: turn.now,
        };
        self.offers.insert(id.clone(), record);
        turn.changed(Change::Offer(framework_id.clone(), agent_id.clone(), id.clone()));
        Some(Offer {
            id,
            hostname: agent.info.hostname.clone(),
            address: agent.pid.address().to_string(),
            attributes: agent.info.attributes.clone(),
            executor_ids: agent.executors_of(&framework_id).cloned().collect(),
            framework_id,
            agent_id,
            role,
            resources,
        })
    }

    /// Takes an offer out of the tables. Its resources stay allocated: the caller uses or recovers them.
    pub(super) fn take_offer(&mut self, turn: &mut Turn<'_>, id: &OfferId) -> Option<OfferRecord> {
        let offer = self.offers.remove(id)?;
        self.timers.cancel(&Timer::Offer(id.clone()));
        if let Some(framework) = self.frameworks.get_mut(&offer.framework_id) {
            framework.offers.remove(id);
        }
        if let Some(agent) = self.agents.get_mut(&offer.agent_id) {
            agent.offers.remove(id);
            agent.offered -= &offer.resources;
        }
        turn.changed(Change::Offer(offer.framework_id.clone(), offer.agent_id.clone(), id.clone()));
        Some(offer)
    }

    /// Gives the resources of an offer back, with a filter or without.
    pub(super) fn return_offer(&mut self, turn: &mut Turn<'_>, id: &OfferId, refuse: Option<Duration>) {
        if let Some(offer) = self.take_offer(turn, id) {
            self.allocator.recover(
                turn.now,
                &offer.framework_id,
                &offer.role,
                &offer.agent_id,
                &offer.resources,
                refuse,
            );
        }
    }

    /// The framework does not want these (M-D-06). This starts no allocation (E.3): the next batch does.
    pub(super) fn decline(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        offer_ids: &[OfferId],
        filters: Filters,
    ) {
        self.counters.count("messages_decline_offers");
        for offer_id in offer_ids {
            if self.offers.get(offer_id).is_some_and(|offer| offer.framework_id == *id) {
                self.counters.count("offers_declined");
                if let Some(framework) = self.frameworks.get_mut(id) {
                    framework.counters.offer_declined();
                }
                self.return_offer(turn, offer_id, refusal(filters));
            } else {
                tracing::debug!(%offer_id, framework_id = %id, "a declined offer is not there: ignored");
            }
        }
    }

    /// Takes an offer back that its framework did not use.
    pub(super) fn rescind(&mut self, turn: &mut Turn<'_>, id: &OfferId) {
        let framework_id = self.offers.get(id).map(|offer| offer.framework_id.clone());
        self.return_offer(turn, id, None);
        if let Some(framework) = framework_id.and_then(|framework_id| self.frameworks.get_mut(&framework_id))
            && framework.tell(turn, Event::Rescind(id.clone()))
        {
            self.counters.count("offers_rescinded");
        }
    }

    /// It has waited too long for an answer (M-D-09).
    pub(super) fn offer_due(&mut self, turn: &mut Turn<'_>, id: &OfferId) {
        self.rescind(turn, id);
    }

    /// Nothing of an agent is on offer any more.
    pub(super) fn rescind_offers_of_agent(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let offers = self.agents.get(id).map(|agent| agent.offers.clone()).unwrap_or_default();
        for offer_id in offers {
            self.rescind(turn, &offer_id);
        }
    }

    /// All offers of a framework are void; it hears of it only if it is to be `told`.
    pub(super) fn remove_offers_of_framework(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, told: bool) {
        let offers = self.frameworks.get(id).map(|framework| framework.offers.clone()).unwrap_or_default();
        for offer_id in offers {
            if told {
                self.rescind(turn, &offer_id);
            } else {
                self.return_offer(turn, &offer_id, None);
            }
        }
    }
}

/// The filter that is meant; zero means none.
pub(super) fn refusal(filters: Filters) -> Option<Duration> {
    (filters.refuse > Duration::ZERO).then(|| filters.refuse.min(Filters::MAX_REFUSE))
}
