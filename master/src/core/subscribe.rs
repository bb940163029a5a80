//! Subscriptions: a framework's first, those that follow it, and how it describes itself meanwhile.
//!
//! What a framework says of itself is put into the registry before it is answered (`subscribing`), unless it is there already.
//! Over HTTP each subscription is a [stream](Pid::stream) of its own: it gets a heartbeat at once, and then one each 15 s.

use std::collections::{BTreeMap, BTreeSet};

use libactor::Pid;
use protocol::messages::{AgentEvent, Event};
use protocol::{FrameworkId, FrameworkInfo, Role};

use super::framework_counters::FrameworkCounters;
use super::frameworks::{Framework, Stored};
use super::input::{Answer, Ask, Change, Refusal};
use super::ring::Ring;
use super::{Master, Timer, Turn, limits, validate};

impl Master {
    /// A scheduler subscribes, for the first time or again.
    pub(super) fn subscribe(
        &mut self,
        turn: &mut Turn<'_>,
        from: Pid,
        claimed: Option<FrameworkId>,
        mut info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
    ) {
        let again = info.id.is_some();
        self.counters.count(if again {
            "messages_reregister_framework"
        } else {
            "messages_register_framework"
        });
        if info.roles.is_empty() {
            info.roles.insert(Role::default());
        }
        if let Err(reason) = validate::subscription(claimed.as_ref(), &info) {
            return self.refuse_subscription(turn, from, reason);
        }
        if info.id.as_ref().is_some_and(|id| self.is_removed_framework(id)) {
            return self.refuse_subscription(turn, from, "Framework has been removed".to_owned());
        }
        if let Err(reason) = validate::suppressed(&info, &suppressed) {
            return self.refuse_subscription(turn, from, reason);
        }
        let bound = self.schedulers.get(&from).or_else(|| self.subscribers.get(&from)).cloned();
        let again = info.id.is_some();
        let id = match (info.id.clone(), bound) {
            (Some(id), Some(bound)) if id != bound => {
                let reason = format!("This scheduler is already subscribed as framework {bound}");
                return self.refuse_subscription(turn, from, reason);
            }
            (Some(id), _) => id,
            // The answer to its first call has not reached it yet: it gets it again.
            (None, Some(bound)) => bound,
            (None, None) if self.frameworks_full() => return self.refuse_one_too_many(turn, from),
            (None, None) => self.next_framework_id(),
        };
        let known = self.frameworks.contains_key(&id) || self.subscribing.contains_key(&id);
        if !known && self.frameworks_full() {
            return self.refuse_one_too_many(turn, from);
        }
        info.id = Some(id.clone());
        if let Err(reason) = self.merge(&id, &mut info) {
            return self.refuse_subscription(turn, from, reason);
        }
        let told = |framework: &Framework| framework.stored == Stored::Connected && framework.info == info;
        if !self.subscribing.contains_key(&id) && self.frameworks.get(&id).is_some_and(told) {
            if !self.schedulers.contains_key(&from) {
                turn.link(from.clone());
            }
            self.resubscribe(turn, &id, from, info, suppressed, again);
        } else {
            self.ask_to_subscribe(turn, &id, from, info, suppressed, again);
        }
    }

    /// What of a framework's description can't change stays as it was (E.25). Of one that is known from agents alone nothing
    /// is sure but its principal.
    fn merge(&self, id: &FrameworkId, info: &mut FrameworkInfo) -> Result<(), String> {
        let framework = self.frameworks.get(id);
        let under_way = self.subscribing.get(id).map(|waiting| &*waiting.info);
        let Some(before) = under_way.or(framework.map(|framework| &framework.info)) else { return Ok(()) };
        if before.principal != info.principal {
            return Err(validate::PRINCIPAL.to_owned());
        }
        if under_way.is_some() || framework.is_some_and(|framework| framework.stored != Stored::Unknown) {
            info.user.clone_from(&before.user);
            info.checkpoint = before.checkpoint;
        }
        Ok(())
    }

    fn next_framework_id(&mut self) -> FrameworkId {
        let number = self.next_framework;
        self.next_framework += 1;
        FrameworkId::from(format!("{}-{number:04}", self.info.id))
    }

    /// Whether this master has as many frameworks as it takes on.
    pub(super) fn frameworks_full(&self) -> bool {
        let most = self.config.bounds.frameworks;
        let new = || self.subscribing.keys().filter(|id| !self.frameworks.contains_key(id)).count();
        // They are counted only where it may matter.
        self.frameworks.len() + self.subscribing.len() >= most && self.frameworks.len() + new() >= most
    }

    fn refuse_one_too_many(&mut self, turn: &mut Turn<'_>, from: Pid) {
        let reason = format!("This master has {} frameworks and takes no more", self.frameworks.len());
        self.refuse_subscription(turn, from, reason);
    }

    fn refuse_subscription(&mut self, turn: &mut Turn<'_>, from: Pid, reason: String) {
        tracing::info!(%from, reason, "a subscription is refused");
        self.counters.count("refused_subscriptions");
        turn.tell_scheduler(from, Event::Error(reason));
    }

    /// Whether a framework of this id was here and is not to come back. Identities that this master gave out are
    /// known for ever, others as long as they are among the completed frameworks or the registry remembers them.
    pub(super) fn is_removed_framework(&self, id: &FrameworkId) -> bool {
        if self.frameworks.contains_key(id) || self.subscribing.contains_key(id) {
            return false;
        }
        let number = id
            .as_str()
            .strip_prefix(self.info.id.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|number| number.parse::<u64>().ok());
        self.completed_frameworks.contains_key(id)
            || self.removed_frameworks.contains_key(id)
            || number.is_some_and(|number| number < self.next_framework)
    }

    /// A framework is subscribed for the first time. Its scheduler is linked already.
    pub(super) fn add_subscriber(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        from: Pid,
        info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
    ) {
        tracing::info!(framework_id = %id, name = info.name, pid = %from, "the framework is subscribed");
        let mut framework = self.new_framework(id.clone(), info);
        framework.stored = Stored::Connected;
        framework.pid = Some(from.clone());
        framework.registered_at = Some(turn.now);
        framework.suppressed = suppressed;
        self.allocator.add_framework(id, framework.demand(), &BTreeMap::new());
        self.frameworks.insert(id.clone(), framework);
        self.schedulers.insert(from, id.clone());
        self.answer_subscription(turn, id, false);
        turn.changed(Change::FrameworkAdded(id.clone()));
    }

    pub(super) fn new_framework(&self, id: FrameworkId, info: FrameworkInfo) -> Framework {
        Framework {
            id,
            info,
            pid: None,
            recovered: false,
            stored: Stored::Unknown,
            away_until: None,
            registered_at: None,
            reregistered_at: None,
            unregistered_at: None,
            suppressed: BTreeSet::new(),
            offers: BTreeSet::new(),
            counters: FrameworkCounters::default(),
            tasks: BTreeMap::new(),
            unreachable: Ring::new(self.config.max_unreachable_tasks_per_framework),
            completed: Ring::new(self.config.max_completed_tasks_per_framework),
        }
    }

    /// An agent runs tasks of a framework that has not subscribed here: it is known from now on.
    pub(super) fn add_recovered(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, info: FrameworkInfo) {
        let info = FrameworkInfo { id: Some(id.clone()), ..info };
        let mut framework = self.new_framework(id.clone(), info);
        framework.recovered = true;
        if self.subscribing.contains_key(id) {
            framework.stored = Stored::Connected;
        }
        self.allocator.add_framework(id, framework.demand(), &BTreeMap::new());
        self.frameworks.insert(id.clone(), framework);
        turn.changed(Change::FrameworkAdded(id.clone()));
    }

    fn answer_subscription(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, resubscribed: bool) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        framework.counters.subscribed();
        let event = Event::Subscribed { framework_id: id.clone(), master: self.info.clone(), resubscribed };
        framework.tell(turn, event);
        if framework.pid.as_ref().is_some_and(|pid| pid.stream_id().is_some()) {
            self.heartbeat(turn, id);
        } else {
            self.timers.cancel(&Timer::Heartbeat(id.clone()));
        }
        self.allocate_soon(turn.now);
    }

    /// A framework on a stream is told that the master is there, and will be told again.
    pub(super) fn heartbeat(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get_mut(id)
            && framework.tell(turn, Event::Heartbeat)
        {
            self.timers.set(Timer::Heartbeat(id.clone()), turn.now + limits::HEARTBEAT_INTERVAL);
        }
    }

    /// A framework is subscribed again, as it describes itself now. Its scheduler is linked already.
    pub(super) fn resubscribe(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        from: Pid,
        info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
        again: bool,
    ) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let older = framework.pid.take();
        let failover = older.as_ref() != Some(&from);
        // Going inactive clears the filters: they were the older scheduler's.
        let demand = framework.demand();
        if !failover {
            framework.pid = Some(from.clone());
        }
        self.allocator.update_framework(id, demand);
        self.remove_offers_of_framework(turn, id, !failover);
        if failover {
            if let Some(older) = older {
                self.tell_off(turn, id, &older, "Framework failed over");
                self.schedulers.remove(&older);
                turn.unlink(older);
            }
            self.schedulers.insert(from.clone(), id.clone());
        }
        self.timers.cancel(&Timer::Failover(id.clone()));
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        framework.recovered = false;
        framework.away_until = None;
        match framework.registered_at {
            Some(_) => framework.reregistered_at = Some(turn.now),
            None => framework.registered_at = Some(turn.now),
        }
        tracing::info!(framework_id = %id, name = info.name, pid = %from, failover, "the framework is subscribed again");
        framework.info = info;
        framework.suppressed = suppressed;
        framework.pid = Some(from.clone());
        let demand = framework.demand();
        let info = framework.info.clone();
        self.allocator.update_framework(id, demand);
        self.answer_subscription(turn, id, again);
        turn.changed(Change::FrameworkUpdated(id.clone()));
        self.tell_agents_of(turn, info);
    }

    /// Tells one that was subscribed as a framework, and is not any more, why.
    pub(super) fn tell_off(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, to: &Pid, why: &str) {
        let event = Event::Error(why.to_owned());
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.counters.event(&event);
        }
        turn.tell_scheduler(to.clone(), event);
    }

    /// A framework describes itself anew without subscribing: answered when the registry knows. Source of the sentences:
    /// Mesos.
    pub(super) fn update_framework(
        &mut self,
        turn: &mut Turn<'_>,
        ask: Option<Ask>,
        id: &FrameworkId,
        mut info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
    ) -> Option<Answer> {
        let refuse = |reason: String| Some(Answer::Refused(Refusal::Invalid, reason));
        let Some(framework) = self.frameworks.get(id) else {
            return refuse("Framework cannot be found".to_owned());
        };
        if info.roles.is_empty() {
            info.roles.insert(Role::default());
        }
        if info.id.get_or_insert_with(|| id.clone()) != id {
            return refuse("'framework_id' differs from 'update_framework.framework_info.id'".to_owned());
        }
        if let Err(reason) = protocol::validate::framework(&info) {
            return refuse(format!("Supplied FrameworkInfo is not valid: {reason}"));
        }
        let under_way = self.subscribing.get(id).map(|waiting| &*waiting.info);
        if let Err(reason) = validate::update(under_way.unwrap_or(&framework.info), &info) {
            return refuse(format!("FrameworkInfo update is not valid: {reason}"));
        }
        if let Err(reason) = validate::suppressed(&info, &suppressed) {
            return refuse(format!("'UpdateFramework' call is not valid: {reason}"));
        }
        if under_way.is_none() && framework.info == info {
            self.describe(turn, id, info, Some(suppressed));
            return Some(Answer::Done);
        }
        self.ask_to_update(turn, ask, id, info, suppressed)
    }

    /// A framework is described otherwise. Offers of roles that it leaves are void; what it runs in them goes on.
    pub(super) fn describe(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        info: FrameworkInfo,
        suppressed: Option<BTreeSet<Role>>,
    ) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        tracing::info!(framework_id = %id, name = info.name, "the framework describes itself anew");
        let changed = framework.info != info;
        if framework.info.failover_timeout != info.failover_timeout
            && let Some(since) = framework.unregistered_at
            && let Some(until) = &mut framework.away_until
        {
            *until = since + info.failover_timeout;
        }
        framework.info = info.clone();
        match suppressed {
            Some(suppressed) => framework.suppressed = suppressed,
            None => framework.suppressed.retain(|role| info.roles.contains(role)),
        }
        let demand = framework.demand();
        let offers = framework.offers.iter().filter(|offer_id| {
            let offer = self.offers.get(offer_id);
            offer.is_some_and(|offer| !info.roles.contains(&offer.role))
        });
        let void: Vec<_> = offers.cloned().collect();
        for offer_id in void {
            self.rescind(turn, &offer_id);
        }
        self.allocator.update_framework(id, demand);
        self.allocate_soon(turn.now);
        self.set_failover(id);
        if changed {
            turn.changed(Change::FrameworkUpdated(id.clone()));
            self.tell_agents_of(turn, info);
        } else {
            turn.changed(Change::FrameworkState(id.clone()));
        }
    }

    /// Agents that work for a framework learn that somebody listens again.
    fn tell_agents_of(&self, turn: &mut Turn<'_>, info: FrameworkInfo) {
        let Some(id) = &info.id else { return };
        for agent in self.agents.values().filter(|agent| agent.connected && agent.works_for(id)) {
            turn.tell_agent(agent.pid.clone(), AgentEvent::UpdateFramework { framework: info.clone() });
        }
    }
}
