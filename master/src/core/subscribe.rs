//! Subscriptions: a framework's first, those that follow it, and how it describes itself meanwhile.
//!
//! Over HTTP each subscription is a [stream](Pid::stream) of its own: it gets a heartbeat at once, and then one each 15 s.

use std::collections::{BTreeMap, BTreeSet};

use libactor::Pid;
use protocol::messages::{AgentEvent, Event};
use protocol::{FrameworkId, FrameworkInfo, Role};

use super::framework_counters::FrameworkCounters;
use super::frameworks::Framework;
use super::input::{Answer, Change, Refusal};
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
        let bound = self.schedulers.get(&from).cloned();
        let Some(id) = info.id.clone() else {
            match bound {
                // The answer to its first call has not reached it yet: it gets it again.
                Some(id) => self.resubscribe(turn, &id, from, info, suppressed, false),
                None => self.welcome(turn, from, info, suppressed),
            }
            return;
        };
        if let Some(other) = bound.filter(|bound| *bound != id) {
            let reason = format!("This scheduler is already subscribed as framework {other}");
            return self.refuse_subscription(turn, from, reason);
        }
        if self.frameworks.contains_key(&id) {
            self.resubscribe(turn, &id, from, info, suppressed, true);
        } else {
            self.welcome(turn, from, info, suppressed);
        }
    }

    /// Whether this master has as many frameworks as it takes on.
    pub(super) fn frameworks_full(&self) -> bool {
        self.frameworks.len() >= self.config.bounds.frameworks
    }

    /// A framework that is not known subscribes.
    fn welcome(&mut self, turn: &mut Turn<'_>, from: Pid, info: FrameworkInfo, suppressed: BTreeSet<Role>) {
        if self.frameworks_full() {
            let reason = format!("This master has {} frameworks and takes no more", self.frameworks.len());
            return self.refuse_subscription(turn, from, reason);
        }
        self.add_subscriber(turn, from, info, suppressed);
    }

    fn refuse_subscription(&mut self, turn: &mut Turn<'_>, from: Pid, reason: String) {
        tracing::info!(%from, reason, "a subscription is refused");
        self.counters.count("refused_subscriptions");
        turn.tell_scheduler(from, Event::Error(reason));
    }

    /// Whether a framework of this id was here and is not to come back. Identities that this master gave out are
    /// known for ever, others as long as they are among the completed frameworks.
    pub(super) fn is_removed_framework(&self, id: &FrameworkId) -> bool {
        if self.frameworks.contains_key(id) {
            return false;
        }
        let number = id
            .as_str()
            .strip_prefix(self.info.id.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|number| number.parse::<u64>().ok());
        self.completed_frameworks.contains_key(id)
            || number.is_some_and(|number| number < self.next_framework)
    }

    fn add_subscriber(
        &mut self,
        turn: &mut Turn<'_>,
        from: Pid,
        mut info: FrameworkInfo,
        roles: BTreeSet<Role>,
    ) {
        let id = info.id.clone().unwrap_or_else(|| {
            let number = self.next_framework;
            self.next_framework += 1;
            FrameworkId::from(format!("{}-{number:04}", self.info.id))
        });
        info.id = Some(id.clone());
        tracing::info!(framework_id = %id, name = info.name, pid = %from, "the framework is subscribed");
        let mut framework = self.new_framework(id.clone(), info);
        framework.pid = Some(from.clone());
        framework.registered_at = Some(turn.now);
        framework.suppressed = roles;
        self.allocator.add_framework(&id, framework.demand(), &BTreeMap::new());
        self.frameworks.insert(id.clone(), framework);
        self.schedulers.insert(from.clone(), id.clone());
        turn.link(from);
        self.answer_subscription(turn, &id, false);
        turn.changed(Change::FrameworkAdded(id));
    }

    fn new_framework(&self, id: FrameworkId, info: FrameworkInfo) -> Framework {
        Framework {
            id,
            info,
            pid: None,
            recovered: false,
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

    fn resubscribe(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        from: Pid,
        info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
        again: bool,
    ) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if framework.info.principal != info.principal {
            return self.refuse_subscription(turn, from, validate::PRINCIPAL.to_owned());
        }
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
            turn.link(from.clone());
        }
        self.timers.cancel(&Timer::Failover(id.clone()));
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if framework.recovered {
            framework.info = FrameworkInfo { id: Some(id.clone()), ..info };
            framework.recovered = false;
            framework.registered_at = Some(turn.now);
        } else {
            // The user and the checkpoint flag stay as they were (E.25).
            let checkpoint = framework.info.checkpoint;
            let user = std::mem::take(&mut framework.info.user);
            framework.info = FrameworkInfo { id: Some(id.clone()), user, checkpoint, ..info };
            framework.reregistered_at = Some(turn.now);
        }
        let name = framework.info.name.as_str();
        tracing::info!(framework_id = %id, name, pid = %from, failover, "the framework is subscribed again");
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

    /// A framework describes itself anew without subscribing. Offers of roles that it leaves are void; what it runs in
    /// them goes on. Source of the sentences: Mesos.
    pub(super) fn update_framework(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        mut info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
    ) -> Answer {
        let refuse = |reason: String| Answer::Refused(Refusal::Invalid, reason);
        let Some(framework) = self.frameworks.get_mut(id) else {
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
        if let Err(reason) = validate::update(&framework.info, &info) {
            return refuse(format!("FrameworkInfo update is not valid: {reason}"));
        }
        if let Err(reason) = validate::suppressed(&info, &suppressed) {
            return refuse(format!("'UpdateFramework' call is not valid: {reason}"));
        }
        tracing::info!(framework_id = %id, name = info.name, "the framework describes itself anew");
        let changed = framework.info != info;
        framework.info = info.clone();
        framework.suppressed = suppressed;
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
        if changed {
            turn.changed(Change::FrameworkUpdated(id.clone()));
            self.tell_agents_of(turn, info);
        } else {
            turn.changed(Change::FrameworkState(id.clone()));
        }
        Answer::Done
    }

    /// Agents that work for a framework learn that somebody listens again.
    fn tell_agents_of(&self, turn: &mut Turn<'_>, info: FrameworkInfo) {
        let Some(id) = &info.id else { return };
        for agent in self.agents.values().filter(|agent| agent.connected && agent.works_for(id)) {
            turn.tell_agent(agent.pid.clone(), AgentEvent::UpdateFramework { framework: info.clone() });
        }
    }
}
