//! The masters of a simulated cluster: their machines, disks and processes, and what happens to them besides faults.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use libactor::sim::{Fault, Plan, World};
use libactor::{Pid, Random, Time};
use master::registry::{DiskId, MemberId};
use master::replication::{self, Recovered, ReplicaConfig};
use protocol::Uuid;

use super::Message;
use super::agent::Terminated;
use super::disk::{Disk, Speed};
use super::framework::Season;
use super::invariants::Ledger;
use super::master::{MasterHost, MasterSetup, Standby};
use super::operator::{self, Operator, OperatorSetup, Place};
use super::replica::{Ended, ReplicaHost, ReplicaSetup};

/// Raft's unit of time, so long that few things happen.
const TICK: Duration = Duration::from_millis(200);
/// How long a master that has ended stays so.
const RESTART_MS: u64 = 8_000;

/// All masters.
#[derive(Debug)]
pub struct Fleet {
    places: Vec<Place>,
    ledger: Rc<RefCell<Ledger>>,
    ended: Ended,
    wiped: Terminated,
    operated: bool,
    /// What has ended by itself, and when it is started again.
    restarts: BTreeMap<SocketAddr, Time>,
    /// When the leader is next harassed, and until when.
    harass: (Time, Time),
    random: Random,
}

impl Fleet {
    /// Draws masters: how many there are, whether somebody changes that, how their disks are. They are added to the world by
    /// [`Fleet::start`].
    pub fn new(seed: u64, begin: Time, calm: Time) -> Self {
        let mut random = Random::new(seed);
        let founders = [1, 3, 3, 3, 3, 3, 5][random.below(7) as usize];
        let operated = random.chance(600);
        let spares = if operated { 1 + random.below(2) } else { 0 };
        let addresses: BTreeMap<MemberId, String> =
            (1..=founders).map(|id| (MemberId(id), address(id).to_string())).collect();
        let places = (1..=founders + spares).map(|number| {
            let (id, disk) = (MemberId(number), DiskId(Uuid::from_random(random.next_u128())));
            let recovered = match addresses.contains_key(&id) {
                true => Recovered::founders(id, disk, &addresses),
                false => Recovered::newcomer(id, disk, None),
            };
            Place { id, pid: Pid::new(replication::NAME, address(number)), disk: Disk::new(recovered) }
        });
        let places = places.collect();
        Self {
            places,
            ledger: Rc::default(),
            ended: Ended::default(),
            wiped: Terminated::default(),
            operated,
            restarts: BTreeMap::new(),
            harass: (begin, calm),
            random,
        }
    }

    /// Puts them into the world. `meddled`: when an operator asks the leader for this and that, if ever.
    pub fn start(&mut self, world: &mut World<Message>, meddled: Option<Rc<Cell<Season>>>) {
        let slow = self.random.chance(300);
        let small = self.random.chance(600);
        for place in &self.places {
            let master = Pid::new(master::NAME, place.pid.address());
            let mut config = ReplicaConfig::new(place.pid.clone(), master.clone());
            config.hostname = format!("master{}", place.id);
            (config.tick, config.election_ticks, config.heartbeat_ticks) = (TICK, 10, 4);
            if small {
                config.snapshot_entries = 5 + self.random.below(30);
                config.kept_entries = self.random.below(20);
            }
            let speed = Speed {
                sync: Duration::from_millis(1 + self.random.below(30)),
                slow_thousandths: if slow { self.random.below(60) } else { 5 },
                slowest: Duration::from_millis(3_000),
                fails: if self.random.chance(100) { 100 } else { 0 },
                piece: 256 + self.random.below(4096) as usize,
            };
            let setup = ReplicaSetup {
                config,
                disk: place.disk.clone(),
                speed,
                ledger: self.ledger.clone(),
                ended: self.ended.clone(),
            };
            world.add(&place.pid, Box::new(move |life| Box::new(ReplicaHost::new(setup.clone(), life))));
            let setup = MasterSetup::new(master.clone(), place.pid.clone(), meddled.clone());
            world.add(&master, Box::new(move |life| Box::new(Standby::new(setup.clone(), life))));
        }
        let setup = OperatorSetup {
            places: self.places.clone(),
            until: if self.operated { self.harass.1 } else { Time::default() },
            every: Duration::from_secs(5 + self.random.below(40)),
            restarts: self.wiped.clone(),
            ledger: self.ledger.clone(),
        };
        let operator = operator::address();
        world.add(&operator, Box::new(move |life| Box::new(Operator::new(setup.clone(), life))));
    }

    /// The actors of all masters, by the name that leads.
    pub fn masters(&self) -> Vec<Pid> {
        self.places.iter().map(|place| Pid::new(master::NAME, place.pid.address())).collect()
    }

    /// The actors of all replicas.
    pub fn replicas(&self) -> impl Iterator<Item = &Pid> {
        self.places.iter().map(|place| &place.pid)
    }

    /// Those that lead, as far as they know.
    pub fn leading<'a>(&self, world: &'a World<Message>) -> impl Iterator<Item = &'a MasterHost> {
        self.masters().into_iter().filter_map(|pid| world.host(&pid))
    }

    /// What replicas have applied.
    pub fn ledger(&self) -> std::cell::Ref<'_, Ledger> {
        self.ledger.borrow()
    }

    /// What has happened how often.
    pub fn happened(&self) -> BTreeMap<&'static str, u64> {
        let disks = self.places.iter().map(|place| place.disk.counted());
        let (saved, installed, lost) =
            disks.fold((0, 0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1, sum.2 + it.2));
        let leads = self.ledger().leads();
        BTreeMap::from([
            ("leads", leads),
            ("snapshots saved", saved),
            ("snapshots installed", installed),
            ("writes lost", lost),
        ])
    }

    /// What an init system and an operator with a screwdriver do, and somebody who has it in for the leader.
    pub fn supervise(&mut self, world: &mut World<Message>) {
        let now = world.now();
        for process in std::mem::take(&mut *self.wiped.borrow_mut()) {
            world.inflict(Fault::Crash { process });
            world.inflict(Fault::Restart { process });
        }
        for (pid, _, _) in self.ended.borrow_mut().drain(..) {
            let at = now + Duration::from_millis(1_000 + self.random.below(RESTART_MS));
            self.restarts.insert(pid.address(), at);
        }
        let due: Vec<SocketAddr> =
            self.restarts.iter().filter(|(_, at)| **at <= now).map(|(process, _)| *process).collect();
        for process in due {
            self.restarts.remove(&process);
            world.inflict(Fault::Restart { process });
        }
        if self.harass.0 <= now && now < self.harass.1 {
            self.harass.0 = now + Duration::from_secs(5 + self.random.below(40));
            self.harass_leader(world);
        }
    }

    /// The leader is killed, stands still or is cut off from the other masters, for a while.
    fn harass_leader(&mut self, world: &mut World<Message>) {
        let now = world.now();
        let master = self.masters().into_iter().find(|pid| world.host::<MasterHost>(pid).is_some());
        let Some(process) = master.map(|pid| pid.address()) else { return };
        let until = now + Duration::from_millis(200 + self.random.below(15_000));
        let mut faults = Vec::new();
        match self.random.below(4) {
            0 => {
                // A process that begins goes by its machine's clock, which somebody has set meanwhile.
                let ahead = self.random.below(120_000_000_000) as i64 - 60_000_000_000;
                world.set_clock(process.ip(), ahead);
                faults.extend([(now, Fault::Crash { process }), (until, Fault::Restart { process })]);
            }
            1 => faults.extend([(now, Fault::Pause { process }), (until, Fault::Resume { process })]),
            way => {
                for other in self.places.iter().map(|place| place.pid.address().ip()) {
                    let (from, to) = (process.ip(), other);
                    if from != to {
                        faults.push((now, Fault::Block { from, to }));
                        faults.push((until, Fault::Unblock { from, to }));
                    }
                    if from != to && way == 2 {
                        faults.push((now, Fault::Block { from: to, to: from }));
                        faults.push((until, Fault::Unblock { from: to, to: from }));
                    }
                }
            }
        }
        // What is to be mended after all is calm is mended then.
        faults.retain(|(at, _)| *at < self.harass.1);
        world.schedule(Plan { faults });
    }
}

/// Where a master is.
fn address(number: u64) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number as u8], 5050))
}
