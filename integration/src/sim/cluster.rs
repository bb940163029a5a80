//! One cluster, made and run from one seed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use agent::core::AgentConfig;
use libactor::sim::{Ingredients, Network, Plan, World};
use libactor::{Pid, Random, Time};
use protocol::{AgentInfo, Capability, FrameworkId, FrameworkInfo, Role, TaskId};

use super::Message;
use super::agent::{AgentHost, AgentSetup, Terminated};
use super::executor::ExecutorHost;
use super::framework::{FrameworkHost, FrameworkSetup, Memory};
use super::invariants::{Invariant, Offers, States, Updates, Views, WithinTotal};
use super::master::{MasterHost, MasterSetup};

/// Before the first fault.
const START: Duration = Duration::from_secs(10);
/// How long there are faults.
const FAULTS: Duration = Duration::from_secs(180);
/// How long frameworks go on launching without faults.
const BUSY: Duration = Duration::from_secs(30);
/// How long all may take to come to rest: the longest timeout that a fault may have started, and some.
const REST: Duration = Duration::from_secs(600);
/// How long the killing of all that is left may take.
const END: Duration = Duration::from_secs(200);
/// How often the whole cluster is looked at.
const SLICE: Duration = Duration::from_secs(1);

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Faults are on: nothing bad may happen.
    Faults,
    /// They are off, and nothing new is launched: all must come to rest.
    Rested,
    /// All that lived was killed.
    Ended,
}

/// A cluster of one master, some agents and some frameworks.
pub struct Cluster {
    world: World<Message>,
    master: Pid,
    agents: Vec<Pid>,
    frameworks: Vec<(Pid, Rc<RefCell<Memory>>)>,
    terminated: Terminated,
    invariants: Rc<RefCell<Vec<Box<dyn Invariant>>>>,
    start: Time,
    phase: Phase,
}

impl Cluster {
    /// Makes a cluster whose shape, work and faults all come from a seed. `keep`: how many lines of the trace to keep.
    /// `shared_fate`: see [`Network::shared_fate`].
    pub fn new(seed: u64, keep: usize, shared_fate: bool) -> Self {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut world = World::new(seed, Network { shared_fate, ..Network::default() });
        world.keep_trace(keep);
        let start = world.now();
        let mut cluster = Self {
            world,
            master: "master@10.0.0.1:5050".parse().expect("this is an address"),
            agents: Vec::new(),
            frameworks: Vec::new(),
            terminated: Terminated::default(),
            invariants: Rc::new(RefCell::new(vec![
                Box::new(WithinTotal),
                Box::new(Offers::default()),
                Box::new(States::default()),
                Box::new(Updates::default()),
                Box::new(Views),
            ])),
            start,
            phase: Phase::Faults,
        };
        let invariants = cluster.invariants.clone();
        cluster.world.observe(Box::new(move |now, seen| {
            invariants.borrow_mut().iter_mut().for_each(|invariant| invariant.seen(now, seen));
        }));
        let operator = random.chance(300).then(|| start + START + FAULTS);
        cluster.add_master(operator);
        for number in 1..=1 + random.below(3) {
            cluster.add_agent(number, &mut random);
        }
        for number in 1..=1 + random.below(3) {
            cluster.add_framework(number, &mut random);
        }
        cluster.plan_faults(seed, &mut random);
        cluster
    }

    fn add_master(&mut self, operator: Option<Time>) {
        let setup = MasterSetup::new(self.master.clone(), operator);
        self.world.add(&self.master, Box::new(move |life| Box::new(MasterHost::new(setup.clone(), life))));
    }

    fn add_agent(&mut self, number: u64, random: &mut Random) {
        let pid: Pid = format!("slave(1)@10.0.1.{number}:5051").parse().expect("this is an address");
        let (cpus, mem) = (1 + random.below(6), 512 * (1 + random.below(8)));
        let reserved = if random.chance(300) { ";cpus(a):1" } else { "" };
        let resources = format!("cpus:{cpus};mem:{mem};disk:1000;ports:[31000-32000]{reserved}");
        let info = AgentInfo {
            hostname: format!("agent{number}"),
            port: pid.address().port(),
            resources: resources.parse().expect("these are resources"),
            attributes: Default::default(),
            id: None,
        };
        let mut config = AgentConfig::new(pid.clone(), info, "simulated");
        config.recovery_timeout = Duration::from_secs(60);
        let setup = AgentSetup {
            config,
            master: self.master.clone(),
            launch_fails_thousandths: random.below(60),
            slowest_launch: Duration::from_secs(3),
            terminated: self.terminated.clone(),
            living: Default::default(),
        };
        self.world
            .add(&pid, Box::new(move |life| Box::new(AgentHost::new(setup.clone(), life.seed, life.began))));
        self.agents.push(pid);
    }

    fn add_framework(&mut self, number: u64, random: &mut Random) {
        let pid: Pid = format!("scheduler@10.0.2.{number}:6000").parse().expect("this is an address");
        let memory = Rc::new(RefCell::new(Memory::default()));
        let failover_secs = [0, 20, 604_800, 604_800][random.below(4) as usize];
        let mut capabilities = BTreeSet::new();
        for capability in [Capability::PartitionAware, Capability::TaskKillingState] {
            if random.chance(500) {
                capabilities.insert(capability);
            }
        }
        let mut roles = BTreeSet::from([Role::from(["*", "a", "b"][random.below(3) as usize])]);
        if random.chance(300) {
            roles.insert(Role::from("c"));
            capabilities.insert(Capability::MultiRole);
        }
        let setup = FrameworkSetup {
            info: FrameworkInfo {
                failover_timeout: Duration::from_secs(failover_secs),
                checkpoint: random.chance(500),
                capabilities,
                roles,
                ..FrameworkInfo::new(format!("f{number}"))
            },
            master: self.master.clone(),
            http: random.chance(400),
            implicit_acknowledgements: random.chance(500),
            quiet_at: self.start + START + FAULTS + BUSY,
            end_at: self.start + START + FAULTS + BUSY + REST,
            terminated: self.terminated.clone(),
            memory: memory.clone(),
        };
        self.world.add(&pid, Box::new(move |life| Box::new(FrameworkHost::new(setup.clone(), life))));
        self.frameworks.push((pid, memory));
    }

    fn plan_faults(&mut self, seed: u64, random: &mut Random) {
        let schedulers = self.frameworks.iter().map(|(pid, _)| pid);
        let pids: Vec<&Pid> = self.agents.iter().chain(schedulers).chain([&self.master]).collect();
        let ingredients = Ingredients {
            processes: pids.iter().map(|pid| pid.address()).collect(),
            machines: pids.iter().map(|pid| pid.address().ip()).collect(),
            every: Duration::from_secs(5 + random.below(30)),
            longest: Duration::from_secs(10 + random.below(110)),
            weights: [2, 2, 2, 1, 1],
            hostile: Default::default(),
        };
        self.world.schedule(Plan::generate(!seed, self.start + START, FAULTS, &ingredients));
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn run(&mut self) {
        let rested = self.start + START + FAULTS + BUSY + REST;
        self.run_until(rested);
        self.phase = Phase::Rested;
        self.converged();
        self.run_until(rested + END);
        self.phase = Phase::Ended;
        self.converged();
    }

    fn run_until(&mut self, time: Time) {
        while self.world.now() < time {
            self.world.run_for(SLICE);
            self.invariants.borrow().iter().for_each(|invariant| invariant.always(self));
            self.supervise();
        }
    }

    fn converged(&self) {
        self.invariants.borrow().iter().for_each(|invariant| invariant.converged(self));
    }

    /// Starts what has ended by its own decision, as an init system would.
    fn supervise(&mut self) {
        let ended = std::mem::take(&mut *self.terminated.borrow_mut());
        for process in ended {
            self.world.inflict(libactor::sim::Fault::Restart { process });
        }
    }

    /// The world it lives in.
    pub fn world(&self) -> &World<Message> {
        &self.world
    }

    /// Where the run stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The master, while it lives.
    pub fn master(&self) -> Option<&MasterHost> {
        self.world.host(&self.master)
    }

    /// Living agents.
    pub fn agents(&self) -> impl Iterator<Item = (&Pid, &AgentHost)> {
        self.agents.iter().filter_map(|pid| Some((pid, self.world.host(pid)?)))
    }

    /// All frameworks, and their schedulers where they live.
    pub fn frameworks(&self) -> impl Iterator<Item = (&Pid, Option<&FrameworkHost>)> {
        self.frameworks.iter().map(|(pid, _)| (pid, self.world.host(pid)))
    }

    /// What frameworks remember.
    pub fn memories(&self) -> impl Iterator<Item = &Rc<RefCell<Memory>>> {
        self.frameworks.iter().map(|(_, memory)| memory)
    }

    /// Living executors.
    pub fn executors(&self) -> impl Iterator<Item = (&Pid, &ExecutorHost)> {
        self.world.living().filter_map(|pid| Some((pid, self.world.host(pid)?)))
    }

    /// Whether a framework goes by this id now.
    pub fn is_current(&self, framework_id: &FrameworkId) -> bool {
        self.memories().any(|memory| memory.borrow().id.as_ref() == Some(framework_id))
    }

    /// Whether a task has ended, as far as its framework knows.
    pub fn knows_end(&self, task_id: &TaskId) -> bool {
        self.memories()
            .any(|memory| memory.borrow().tasks.get(task_id).is_some_and(|known| known.state.is_terminal()))
    }
}
