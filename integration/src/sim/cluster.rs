//! One cluster, made and run from one seed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use agent::core::AgentConfig;
use libactor::sim::{Ingredients, Network, Plan, World};
use libactor::{Pid, Random, Time};
use master::registry::State;
use protocol::{AgentInfo, Capability, FrameworkId, FrameworkInfo, Role, TaskId};

use super::Message;
use super::agent::{AgentHost, AgentSetup, Terminated};
use super::agent_disk::AgentDisk;
use super::executor::ExecutorHost;
use super::finder::Masters;
use super::fleet::Fleet;
use super::framework::{FrameworkHost, FrameworkSetup, Heeds, Memory, Season};
use super::invariants::{
    Agreement, Drains, Ends, Invariant, Kept, Leads, Offers, States, Updates, Views, WithinTotal,
};
use super::master::MasterHost;
use super::operator::{self, Operator};
use super::replica::ReplicaHost;

/// Before the first fault.
const START: Duration = Duration::from_secs(10);
/// How long there are faults.
const FAULTS: Duration = Duration::from_secs(120);
/// How long frameworks go on launching without faults.
const BUSY: Duration = Duration::from_secs(20);
/// How long all may take to come to rest: the longest timeout that a fault may have started, and some.
const REST: Duration = Duration::from_secs(600);
/// How long the killing of all that is left may take.
const END: Duration = Duration::from_secs(200);
/// How often it is looked whether all has come to rest, and how long that must last.
const LOOK: Duration = Duration::from_secs(5);
/// So many of a thousand clusters are watched for all of these times, for what comes late.
const PATIENT_THOUSANDTHS: u64 = 50;
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

/// A cluster of some masters, some agents and some frameworks.
pub struct Cluster {
    world: World<Message>,
    fleet: Fleet,
    agents: Vec<Pid>,
    disks: Vec<AgentDisk>,
    frameworks: Vec<(Pid, Rc<RefCell<Memory>>)>,
    terminated: Terminated,
    heeds: Heeds,
    invariants: Rc<RefCell<Vec<Box<dyn Invariant>>>>,
    start: Time,
    season: Rc<Cell<Season>>,
    patient: bool,
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
        let heeds = Heeds::default();
        let mut cluster = Self {
            world,
            fleet: Fleet::new(random.next_u64(), start + START, start + START + FAULTS),
            agents: Vec::new(),
            disks: Vec::new(),
            frameworks: Vec::new(),
            terminated: Terminated::default(),
            heeds: heeds.clone(),
            invariants: Rc::new(RefCell::new(vec![
                Box::new(Agreement),
                Box::new(WithinTotal),
                Box::new(Offers::default()),
                Box::new(States::new(heeds.clone())),
                Box::new(Updates::new(heeds.clone())),
                Box::new(Ends::new(heeds)),
                Box::new(Leads::default()),
                Box::new(Kept::default()),
                Box::new(Drains::default()),
                Box::new(Views),
            ])),
            start,
            season: Rc::default(),
            patient: random.chance(PATIENT_THOUSANDTHS),
            phase: Phase::Faults,
        };
        let invariants = cluster.invariants.clone();
        cluster.world.observe(Box::new(move |now, seen| {
            invariants.borrow_mut().iter_mut().for_each(|invariant| invariant.seen(now, seen));
        }));
        let meddled = random.chance(300);
        cluster.set_clocks(&mut random);
        let season = meddled.then(|| cluster.season.clone());
        cluster.fleet.start(&mut cluster.world, season);
        for number in 1..=1 + random.below(3) {
            cluster.add_agent(number, &mut random);
        }
        for number in 1..=1 + random.below(3) {
            cluster.add_framework(number, &mut random);
        }
        cluster.plan_faults(seed, &mut random);
        cluster
    }

    /// Some machines have clocks that are wrong.
    fn set_clocks(&mut self, random: &mut Random) {
        for (net, hosts) in [(0, 7), (1, 3), (2, 3)] {
            for host in 1..=hosts {
                if random.chance(300) {
                    let ahead = random.below(600_000_000_000) as i64 - 300_000_000_000;
                    self.world.set_clock([10, 0, net, host].into(), ahead);
                }
            }
        }
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
        let disk = AgentDisk::default();
        self.disks.push(disk.clone());
        let setup = AgentSetup {
            config,
            masters: Masters::Among(self.fleet.masters()),
            launch_fails_thousandths: random.below(60),
            slowest_launch: Duration::from_secs(3),
            terminated: self.terminated.clone(),
            disk,
            slowest_disk: Duration::from_millis(1 + random.below(600)),
        };
        self.world.add(&pid, Box::new(move |life| Box::new(AgentHost::new(setup.clone(), life))));
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
                checkpoint: random.chance(700),
                capabilities,
                roles,
                ..FrameworkInfo::new(format!("f{number}"))
            },
            masters: Masters::Among(self.fleet.masters()),
            http: random.chance(400),
            implicit_acknowledgements: random.chance(500),
            season: self.season.clone(),
            terminated: self.terminated.clone(),
            memory: memory.clone(),
            heeds: self.heeds.clone(),
        };
        self.world.add(&pid, Box::new(move |life| Box::new(FrameworkHost::new(setup.clone(), life))));
        self.frameworks.push((pid, memory));
    }

    fn plan_faults(&mut self, seed: u64, random: &mut Random) {
        let schedulers = self.frameworks.iter().map(|(pid, _)| pid);
        let pids: Vec<&Pid> = self.agents.iter().chain(schedulers).chain(self.fleet.replicas()).collect();
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
        self.run_until(self.start + START + FAULTS);
        self.season.set(Season::Busy);
        self.run_until(self.start + START + FAULTS + BUSY);
        self.season.set(Season::Quiet);
        self.come_to_rest(REST);
        self.phase = Phase::Rested;
        self.season.set(Season::End);
        self.run_until(self.world.now() + LOOK);
        self.phase = Phase::Ended;
        self.come_to_rest(END);
    }

    fn run_until(&mut self, time: Time) {
        while self.world.now() < time {
            self.world.run_for(SLICE);
            let invariants = self.invariants.clone();
            invariants.borrow_mut().iter_mut().for_each(|invariant| invariant.always(self));
            self.supervise();
        }
    }

    /// Runs until all holds that must hold when all is calm, and a little longer: it stays so.
    fn come_to_rest(&mut self, most: Duration) {
        let end = self.world.now() + most;
        if self.patient {
            self.run_until(end);
        }
        let mut rested = false;
        loop {
            match self.converged() {
                Ok(()) if rested => return,
                Ok(()) => rested = true,
                Err(why) => {
                    assert!(self.world.now() < end, "after {} seconds of calm: {why}", most.as_secs());
                    rested = false;
                }
            }
            self.run_until(self.world.now() + LOOK);
        }
    }

    fn converged(&self) -> Result<(), String> {
        self.invariants.borrow().iter().try_for_each(|invariant| invariant.converged(self))
    }

    /// Starts what has ended by its own decision, as an init system would.
    fn supervise(&mut self) {
        let ended = std::mem::take(&mut *self.terminated.borrow_mut());
        for process in ended {
            self.world.inflict(libactor::sim::Fault::Restart { process });
        }
        self.fleet.supervise(&mut self.world);
    }

    /// The world it lives in.
    pub fn world(&self) -> &World<Message> {
        &self.world
    }

    /// Where the run stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The one master that leads; `None` if there is none or more than one.
    pub fn master(&self) -> Option<&MasterHost> {
        let mut leading = self.leading();
        leading.next().filter(|_| leading.next().is_none())
    }

    /// Masters that lead, as far as they know.
    pub fn leading(&self) -> impl Iterator<Item = &MasterHost> {
        self.fleet.leading(&self.world)
    }

    /// Living replicas of masters.
    pub fn replicas(&self) -> impl Iterator<Item = (&Pid, &ReplicaHost)> {
        self.fleet.replicas().filter_map(|pid| Some((pid, self.world.host(pid)?)))
    }

    /// The newest registry that any replica has applied.
    pub fn registry(&self) -> Option<Arc<State>> {
        self.fleet.ledger().newest()
    }

    /// Its index.
    pub fn newest_index(&self) -> u64 {
        self.fleet.ledger().newest_index()
    }

    /// What has happened how often: a measure of how much a run is worth.
    pub fn happened(&self) -> BTreeMap<&'static str, u64> {
        let mut happened = self.fleet.happened();
        let changes = self.world.host(&operator::address()).map_or(0, Operator::done);
        happened.insert("changes of members done", changes);
        happened.insert("containers found again", self.disks.iter().map(AgentDisk::found).sum());
        happened
    }

    /// Whether nobody is at changing the masters.
    pub fn operator_idles(&self) -> bool {
        self.world.host(&operator::address()).is_some_and(Operator::idle)
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
