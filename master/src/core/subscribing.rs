//! Frameworks on their way into the registry. Whoever is told SUBSCRIBED is known to the next master, too.
//!
//! ```text
//!   Subscribe ──► what the registry says already? ── yes ──► subscribed at once
//!                        │ no
//!                        ▼
//!                  an intent waits ── Applied(SubscribeFramework) ──► subscribed
//! ```
//! | meanwhile | then |
//! |---|---|
//! | its scheduler goes away | the framework is known and away: its failover clock runs |
//! | another one subscribes as the same framework | the earlier one is told that the framework failed over |
//! | the same one repeats itself | nothing: one answer |
//! | the framework is torn down, or its older scheduler tears it down | who waits is told that it has been removed |
//! | nobody is left who has ever heard the new id | it is removed again |

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use libactor::{Pid, Time};
use protocol::{FrameworkId, FrameworkInfo, Role};

use super::frameworks::{Framework, Stored};
use super::input::{Answer, Ask, Change, Refusal};
use super::{Master, Timer, Turn, limits};
use crate::registry::{self, Operation};

/// A framework whose description the registry is being told.
#[derive(Clone, Debug)]
pub(super) struct Subscribing {
    /// As the registry will know it.
    pub(super) info: Arc<FrameworkInfo>,
    /// Its id is new, and nobody has been told it.
    unheard: bool,
    /// What follows from each operation that is under way, in their order; never empty.
    intents: VecDeque<Intent>,
}

/// What follows when the registry holds an operation.
#[derive(Clone, Debug)]
enum Intent {
    Subscribe {
        /// Absent: gone, or another one has taken its place.
        pid: Option<Pid>,
        suppressed: BTreeSet<Role>,
        /// Whether it has said who it is.
        again: bool,
    },
    /// A description without a subscription.
    Update {
        /// Who waits for the answer; absent: an actor, who hears none.
        ask: Option<Ask>,
        suppressed: BTreeSet<Role>,
    },
}

impl Intent {
    fn take_pid(&mut self) -> Option<Pid> {
        match self {
            Intent::Subscribe { pid, .. } => pid.take(),
            Intent::Update { .. } => None,
        }
    }
}

impl Subscribing {
    /// How many operations are under way.
    pub(super) fn under_way(&self) -> usize {
        self.intents.len()
    }

    /// The scheduler that will be subscribed.
    pub(super) fn pid(&self) -> Option<&Pid> {
        self.intents.iter().find_map(|intent| match intent {
            Intent::Subscribe { pid, .. } => pid.as_ref(),
            Intent::Update { .. } => None,
        })
    }
}

impl Master {
    /// Tells the registry who subscribes; the rest follows when it knows.
    pub(super) fn ask_to_subscribe(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        from: Pid,
        info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
        again: bool,
    ) {
        let linked = self.schedulers.contains_key(&from) || self.subscribers.contains_key(&from);
        let unheard = !again && !self.frameworks.contains_key(id);
        let info = Arc::new(info);
        let fresh = || Subscribing { info: info.clone(), unheard, intents: VecDeque::new() };
        let waiting = self.subscribing.entry(id.clone()).or_insert_with(fresh);
        waiting.unheard &= !again;
        // Said already, and not decided yet: it is enough to know who said it last.
        let newest = matches!(waiting.intents.back(), Some(Intent::Subscribe { .. }));
        let told = self.frameworks.get(id).is_none_or(|framework| framework.stored == Stored::Connected);
        let repeated = newest && told && waiting.info == info;
        if !repeated && waiting.intents.len() >= limits::MAX_SUBSCRIPTIONS_UNDER_WAY {
            tracing::warn!(framework_id = %id, pid = %from, "too many subscriptions of one framework are under way");
            self.counters.count("dropped_messages");
            if !linked {
                // Ends a stream; an actor asks again.
                turn.unlink(from);
            }
            return;
        }
        let older: Vec<Pid> = waiting.intents.iter_mut().filter_map(Intent::take_pid).collect();
        if repeated {
            waiting.intents.pop_back();
        }
        waiting.info = info.clone();
        waiting.intents.push_back(Intent::Subscribe { pid: Some(from.clone()), suppressed, again });
        for pid in older.into_iter().filter(|pid| *pid != from) {
            self.dismiss(turn, id, pid, "Framework failed over");
        }
        if !linked {
            turn.link(from.clone());
        }
        self.subscribers.insert(from, id.clone());
        self.timers.cancel(&Timer::Failover(id.clone()));
        if !repeated {
            self.tell_registry(turn, id, info);
        }
    }

    /// Tells the registry how a framework describes itself without subscribing.
    pub(super) fn ask_to_update(
        &mut self,
        turn: &mut Turn<'_>,
        ask: Option<Ask>,
        id: &FrameworkId,
        info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
    ) -> Option<Answer> {
        let info = Arc::new(info);
        let fresh = || Subscribing { info: info.clone(), unheard: false, intents: VecDeque::new() };
        let waiting = self.subscribing.entry(id.clone()).or_insert_with(fresh);
        if waiting.intents.len() >= limits::MAX_SUBSCRIPTIONS_UNDER_WAY {
            return Some(Answer::Refused(Refusal::Unavailable, super::operator::TOO_MANY.to_owned()));
        }
        waiting.info = info.clone();
        waiting.intents.push_back(Intent::Update { ask, suppressed });
        self.tell_registry(turn, id, info);
        None
    }

    fn tell_registry(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, framework: Arc<FrameworkInfo>) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.stored = Stored::Connected;
        }
        let at = turn.unix_time();
        turn.apply(Operation::SubscribeFramework { framework, at });
    }

    /// Whether a scheduler is about to be subscribed.
    pub(super) fn expects_subscriber(&self, id: &FrameworkId) -> bool {
        self.subscribing.get(id).is_some_and(|waiting| waiting.pid().is_some())
    }

    /// One that was about to be subscribed is not any more. It may be subscribed all the same, since before.
    fn dismiss(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, pid: Pid, why: &str) {
        self.subscribers.remove(&pid);
        if !self.schedulers.contains_key(&pid) {
            self.tell_off(turn, id, &pid, why);
            turn.unlink(pid);
        }
    }

    /// One that waits to be subscribed is gone.
    pub(super) fn subscriber_gone(&mut self, pid: &Pid) {
        let Some(id) = self.subscribers.remove(pid) else { return };
        let Some(waiting) = self.subscribing.get_mut(&id) else { return };
        waiting.intents.iter_mut().for_each(|intent| drop(intent.take_pid()));
        self.set_failover(&id);
    }

    /// Has the failover clock of a framework run whose scheduler is away.
    pub(super) fn set_failover(&mut self, id: &FrameworkId) {
        let awaited = self.expects_subscriber(id);
        if let Some(framework) = self.frameworks.get(id)
            && framework.pid.is_none()
            && !awaited
            && let Some(until) = framework.away_until
        {
            self.timers.set(Timer::Failover(id.clone()), until);
        }
    }

    /// A framework is removed: nobody is subscribed as it any more. Says whether anything was under way.
    pub(super) fn forget_subscribing(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) -> bool {
        let Some(waiting) = self.subscribing.remove(id) else { return false };
        for mut intent in waiting.intents {
            if let Some(pid) = intent.take_pid() {
                self.dismiss(turn, id, pid, "Framework has been removed");
            }
            if let Intent::Update { ask: Some(ask), .. } = intent {
                let gone = "Framework cannot be found".to_owned();
                turn.answer(ask, Answer::Refused(Refusal::Invalid, gone));
            }
        }
        true
    }

    /// The registry knows a framework as it describes itself.
    pub(super) fn framework_stored(&mut self, turn: &mut Turn<'_>, info: Arc<FrameworkInfo>) {
        let Some(id) = info.id.clone() else { return };
        // None waits where the framework was removed meanwhile: that operation follows.
        let Some(waiting) = self.subscribing.get_mut(&id) else { return };
        let Some(intent) = waiting.intents.pop_front() else { return };
        let (last, unheard) = (waiting.intents.is_empty(), waiting.unheard);
        if last {
            self.subscribing.remove(&id);
        }
        let known = self.frameworks.contains_key(&id);
        let info = Arc::unwrap_or_clone(info);
        match intent {
            Intent::Subscribe { pid: Some(pid), suppressed, again } => {
                self.subscribers.remove(&pid);
                if let Some(waiting) = self.subscribing.get_mut(&id) {
                    waiting.unheard = false;
                }
                if known {
                    self.resubscribe(turn, &id, pid, info, suppressed, again);
                } else {
                    self.add_subscriber(turn, &id, pid, info, suppressed);
                }
            }
            Intent::Subscribe { pid: None, .. } if known => self.describe(turn, &id, info, None),
            Intent::Subscribe { pid: None, .. } if last && unheard => {
                tracing::info!(framework_id = %id, "a scheduler is gone before it was subscribed");
                self.tell_removed(turn, &id);
            }
            Intent::Subscribe { pid: None, .. } if last => self.add_absent(turn, &id, info),
            // Another one is under way, who takes its place.
            Intent::Subscribe { pid: None, .. } => {}
            Intent::Update { ask, suppressed } => {
                self.describe(turn, &id, info, Some(suppressed));
                if let Some(ask) = ask {
                    turn.answer(ask, Answer::Done);
                }
            }
        }
        if last {
            self.correct_registry(turn, &id);
        }
    }

    /// The scheduler of a framework that subscribed with an id is gone before it was answered.
    fn add_absent(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, info: FrameworkInfo) {
        let timeout = info.failover_timeout;
        let mut framework = self.new_framework(id.clone(), info);
        framework.stored = Stored::Connected;
        framework.registered_at = Some(turn.now);
        framework.unregistered_at = Some(turn.now);
        framework.away_until = Some(turn.now + timeout);
        self.insert_framework(framework);
        turn.changed(Change::FrameworkAdded(id.clone()));
        self.set_failover(id);
    }

    /// What the registry was told last says that somebody is there who is not.
    fn correct_registry(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if framework.pid.is_none() && framework.stored == Stored::Connected {
            let since = framework.unregistered_at.unwrap_or(turn.now);
            let until = turn.now + framework.info.failover_timeout;
            framework.away_until.get_or_insert(until);
            self.tell_disconnected(turn, id, since);
            self.set_failover(id);
        }
    }

    /// Tells the registry that a framework's scheduler is gone.
    pub(super) fn tell_disconnected(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, since: Time) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        framework.stored = Stored::Disconnected;
        let since = protocol::UnixTime(since.as_nanos());
        turn.apply(Operation::DisconnectFramework { framework_id: id.clone(), since });
    }

    /// Tells the registry that a framework is over: its id is refused from here on.
    pub(super) fn tell_removed(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        self.removed_frameworks.insert(id.clone(), ());
        let at = turn.unix_time();
        turn.apply(Operation::RemoveFramework { framework_id: id.clone(), at });
    }

    /// Takes over a framework that the registry knows. Its scheduler has the rest of its failover timeout to come back, if it
    /// was away when the last master led; if it was there, the whole of it, and at least as long as agents have.
    ///
    /// In Mesos this clock lives in the leader's memory alone: there a framework that does not come back to a new master is
    /// known from agents only, and waits for ever.
    pub(super) fn recover_framework(&mut self, now: Time, id: &FrameworkId, known: &registry::Subscribed) {
        let timeout = known.info.failover_timeout;
        let mut framework = self.new_framework(id.clone(), (*known.info).clone());
        framework.recovered = true;
        framework.registered_at = Some(Time::from_nanos(known.since.0));
        let left = match known.disconnected {
            Some(since) => {
                let since = Time::from_nanos(since.0);
                framework.stored = Stored::Disconnected;
                framework.unregistered_at = Some(since);
                // Clocks of masters may differ: what lies ahead has taken no time.
                timeout.saturating_sub(now.since(since))
            }
            None => {
                framework.stored = Stored::Connected;
                timeout.max(self.config.agent_reregister_timeout)
            }
        };
        framework.away_until = Some(now + left);
        self.insert_framework(framework);
        self.set_failover(id);
    }

    fn insert_framework(&mut self, framework: Framework) {
        self.allocator.add_framework(&framework.id, framework.demand(), &Default::default());
        self.frameworks.insert(framework.id.clone(), framework);
    }
}

#[cfg(test)]
mod tests;
