//! Whatever schedulers, operators and masters do while the registry takes its time: who is told SUBSCRIBED is in it, and in the
//! end it holds what the machine knows.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::{Machine, Random};
use protocol::messages::{Call, Event, SchedulerCall};

use super::super::allocator::{AllocatorConfig, Hierarchical};
use super::super::{Input, MasterConfig, OperatorRequest, Output};
use super::*;
use crate::registry::State;

struct World {
    master: Master,
    now: Time,
    registry: State,
    /// What is not durable yet.
    held: VecDeque<Operation>,
    /// Who is subscribed as what, by what it was told.
    told: BTreeMap<Pid, FrameworkId>,
    ids: BTreeSet<FrameworkId>,
    removed: BTreeSet<FrameworkId>,
    asked: u64,
    open: BTreeSet<Ask>,
    happened: BTreeMap<&'static str, usize>,
}

fn begin(seed: u64, now: Time, registry: &State) -> Master {
    let allocator = Box::new(Hierarchical::new(AllocatorConfig::default(), seed));
    let mut master = Master::new(MasterConfig::default(), seed, now, allocator);
    master.recover(now, registry);
    master.check();
    master
}

impl World {
    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.master.handle(self.now, input, &mut out);
        self.carry_out(out);
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        let mut out = Vec::new();
        self.master.tick(self.now, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        self.master.check();
        for output in out {
            match output {
                Output::Apply { operation } => self.held.push_back(operation),
                Output::ToScheduler { to, event: Event::Subscribed { framework_id, .. } } => {
                    let stored = &self.registry.frameworks[&framework_id];
                    assert_eq!(*stored.info, self.master.frameworks[&framework_id].info);
                    assert!(!self.removed.contains(&framework_id), "{framework_id} is over");
                    *self.happened.entry("subscribed").or_default() += 1;
                    self.ids.insert(framework_id.clone());
                    self.told.insert(to, framework_id);
                }
                Output::ToScheduler { event: Event::Error(why), .. } => {
                    let why = if why.contains("failed over") { "failed over" } else { "refused" };
                    *self.happened.entry(why).or_default() += 1;
                }
                Output::Unlink { pid } => drop(self.told.remove(&pid)),
                Output::Answer { ask, .. } => assert!(self.open.remove(&ask), "{ask:?} is answered once"),
                _ => {}
            }
        }
    }

    fn apply(&mut self) {
        let Some(operation) = self.held.pop_front() else { return };
        self.registry.apply(&operation);
        if let Operation::RemoveFramework { framework_id, .. } = &operation {
            *self.happened.entry("removed").or_default() += 1;
            self.removed.insert(framework_id.clone());
        }
        self.input(Input::Applied { operation });
    }

    fn ask(&mut self) -> Ask {
        self.asked += 1;
        self.open.insert(Ask(self.asked));
        Ask(self.asked)
    }

    fn pick(&self, random: &mut Random) -> Option<FrameworkId> {
        let ids: Vec<_> = self.ids.iter().cloned().collect();
        (!ids.is_empty()).then(|| ids[random.below(ids.len() as u64) as usize].clone())
    }

    fn step(&mut self, random: &mut Random) {
        let number = random.below(5);
        let pid: Pid = match number % 2 {
            0 => format!("s{number}@10.0.0.1:5051").parse().unwrap(),
            _ => Pid::stream(&format!("h{number}"), "10.0.0.1:5050".parse().unwrap()),
        };
        let info = |id: Option<FrameworkId>, random: &mut Random| FrameworkInfo {
            id,
            failover_timeout: Duration::from_secs([0, 20, 20, 60][random.below(4) as usize]),
            user: ["u", "v"][random.below(2) as usize].to_owned(),
            ..FrameworkInfo::new("f")
        };
        match random.below(20) {
            0..=5 => {
                let id = match random.below(8) {
                    0 => None,
                    1 => Some(FrameworkId::from(format!("F{}", random.below(40)))),
                    _ => self.told.get(&pid).cloned().or_else(|| self.pick(random)),
                };
                let framework = info(id.clone(), random);
                let call = Call::Subscribe { framework, suppressed_roles: BTreeSet::new() };
                let call = SchedulerCall { framework_id: id, call };
                self.input(Input::Scheduler { from: pid, call });
            }
            6..=8 => {
                self.told.remove(&pid);
                self.input(Input::Exited { pid });
            }
            9 | 10 => {
                let Some(framework_id) = self.told.get(&pid).cloned() else { return };
                let user = self.master.frameworks.get(&framework_id).map(|one| one.info.user.clone());
                let framework = FrameworkInfo { user: user.unwrap_or_default(), ..info(None, random) };
                let call = Call::UpdateFramework { framework, suppressed_roles: BTreeSet::new() };
                match pid.stream_id().map(str::to_owned) {
                    Some(stream_id) => {
                        let (ask, stream_id) = (self.ask(), Some(stream_id));
                        self.input(Input::Call { ask, framework_id, stream_id, call });
                    }
                    None => {
                        let call = SchedulerCall { framework_id: Some(framework_id), call };
                        self.input(Input::Scheduler { from: pid, call });
                    }
                }
            }
            11 if random.chance(300) => {
                if let Some(framework_id) = self.pick(random) {
                    let (ask, request) = (self.ask(), OperatorRequest::Teardown { framework_id });
                    self.input(Input::Operator { ask, request });
                }
            }
            11 if random.chance(200) => {
                *self.happened.entry("masters").or_default() += 1;
                self.held.clear();
                self.told.clear();
                self.open.clear();
                self.master = begin(random.next_u64(), self.now, &self.registry);
            }
            11..=13 => self.pass(random.below(30)),
            _ => self.apply(),
        }
    }

    /// All is durable: both know the same.
    fn compare(&mut self) {
        while !self.held.is_empty() {
            self.apply();
        }
        assert!(self.open.is_empty(), "all are answered: {:?}", self.open);
        assert!(self.master.subscribing.is_empty() && self.master.subscribers.is_empty());
        let stored = self.registry.frameworks.iter();
        let stored = stored.map(|(id, one)| (id.clone(), (*one.info).clone(), one.disconnected.is_none()));
        let known = self.master.frameworks.values();
        let known = known.map(|one| (one.id.clone(), one.info.clone(), one.stored == Stored::Connected));
        assert!(stored.eq(known), "{:#?}\n{:#?}", self.registry.frameworks, self.master.frameworks);
        for framework in self.master.frameworks.values() {
            assert!(
                framework.pid.is_some() || framework.away_until.is_some(),
                "{} is waited for",
                framework.id
            );
            let there = framework.stored == Stored::Connected && !framework.recovered;
            assert_eq!(framework.pid.is_some(), there, "{}: is there as the registry says", framework.id);
        }
        let removed: BTreeSet<_> = self.registry.removed_frameworks.keys().cloned().collect();
        assert_eq!(removed, self.removed);
    }
}

#[test]
fn the_registry_holds_what_frameworks_were_told() {
    let mut happened: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (now, registry) = (Time::from_nanos(1_000_000_000_000), State::default());
        let mut world = World {
            master: begin(random.next_u64(), now, &registry),
            now,
            registry,
            held: VecDeque::new(),
            told: BTreeMap::new(),
            ids: BTreeSet::new(),
            removed: BTreeSet::new(),
            asked: 0,
            open: BTreeSet::new(),
            happened: BTreeMap::new(),
        };
        for number in 0..200 {
            world.step(&mut random);
            if number % 50 == 49 {
                world.compare();
            }
        }
        for (what, often) in world.happened {
            *happened.entry(what).or_default() += often;
        }
    }
    assert_eq!(happened.len(), 5, "{happened:?}");
    assert!(happened.values().all(|often| *often > 20), "{happened:?}");
}
