//! Several replicas, and what is done to them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use libactor::detect::Leads;
use libactor::sim::{Context, Fault, Host, Network, Seen, World};
use libactor::{Pid, Time};
use protocol::Uuid;

use super::disk::Disk;
use super::host::{Disks, ReplicaHost, Word, address, config, pid};
use super::ledger::Ledger;
use crate::registry::{DiskId, MemberId};
use crate::replication::{
    Disposition, HardState, Identity, MembersRequest, Recovered, Replica, ReplicaAnswer, ReplicaConfig,
    Snapshot,
};

/// An operator: asks, and keeps the answers.
#[derive(Default)]
pub(super) struct Operator {
    pub(super) answers: Vec<ReplicaAnswer>,
    asks: Vec<(Time, Pid, MembersRequest)>,
}

impl Host for Operator {
    type Message = Word;
    fn start(&mut self, _now: Time, _me: &Pid, _cx: &mut Context<Word>) {}
    fn message(&mut self, _now: Time, _from: Pid, message: Word, _cx: &mut Context<Word>) {
        if let Word::Answer(answer) = message {
            self.answers.push(answer);
        }
    }
    fn exited(&mut self, _now: Time, _pid: Pid, _cx: &mut Context<Word>) {}
    fn deadline(&self) -> Option<Time> {
        self.asks.first().map(|(at, ..)| *at)
    }
    fn tick(&mut self, now: Time, cx: &mut Context<Word>) {
        while self.asks.first().is_some_and(|(at, ..)| *at <= now) {
            let (_, to, request) = self.asks.remove(0);
            cx.send(&to, Word::Ask(request));
        }
    }
}

#[derive(Default)]
struct Watcher {
    of: Vec<Pid>,
    heard: BTreeMap<Pid, Leads>,
}

impl Host for Watcher {
    type Message = Word;
    fn start(&mut self, _now: Time, _me: &Pid, cx: &mut Context<Word>) {
        self.of.iter().for_each(|pid| cx.send(pid, Word::Watch));
    }
    fn message(&mut self, _now: Time, from: Pid, message: Word, _cx: &mut Context<Word>) {
        if let Word::Leads(leads) = message {
            self.heard.insert(from, leads);
        }
    }
    fn exited(&mut self, _now: Time, _pid: Pid, _cx: &mut Context<Word>) {}
    fn deadline(&self) -> Option<Time> {
        None
    }
    fn tick(&mut self, _now: Time, _cx: &mut Context<Word>) {}
}

pub(super) struct Group {
    pub(super) world: World<Word>,
    pub(super) disks: Disks,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    seed: u64,
    operators: u16,
}

pub(super) fn machine(id: u64) -> IpAddr {
    pid(id).address().ip()
}

pub(super) fn disk_id(id: u64, number: u64) -> DiskId {
    DiskId(Uuid::from_random(u128::from(id) << 64 | u128::from(number)))
}

impl Group {
    /// Masters 1 to `founders` found a cluster; as many newcomers as are wanted run beside them.
    pub(super) fn new(seed: u64, founders: u64, newcomers: u64, pace: Duration) -> Self {
        Self::with(seed, founders, newcomers, pace, config)
    }

    pub(super) fn with(
        seed: u64,
        founders: u64,
        newcomers: u64,
        pace: Duration,
        config: impl Fn(u64) -> ReplicaConfig,
    ) -> Self {
        let mut group = Self {
            world: World::new(seed, Network::default()),
            disks: Disks::default(),
            ledger: Rc::default(),
            seed,
            operators: 0,
        };
        let lines = std::env::var("MESETA_SIM_LINES").ok().and_then(|lines| lines.parse().ok());
        group.world.keep_trace(lines.unwrap_or(0));
        let ledger = group.ledger.clone();
        group.world.observe(Box::new(move |_, seen| {
            if let Seen::Ended { process } = seen {
                ledger.borrow_mut().gone(*process);
            }
        }));
        let masters: BTreeMap<_, _> = (1..=founders).map(|id| (MemberId(id), address(id))).collect();
        for id in 1..=founders + newcomers {
            let member = MemberId(id);
            let recovered = if id <= founders {
                Recovered::founders(member, disk_id(id, 1), &masters)
            } else {
                Recovered::newcomer(member, disk_id(id, 1), None)
            };
            group.insert(id, recovered, config(id), pace);
        }
        group
    }

    pub(super) fn insert(&mut self, id: u64, recovered: Recovered, config: ReplicaConfig, pace: Duration) {
        let member = MemberId(id);
        self.disks.borrow_mut().insert(member, Disk::new(recovered, self.seed ^ id));
        let (disks, ledger) = (self.disks.clone(), self.ledger.clone());
        let factory = move |life| {
            let host = ReplicaHost::new(config.clone(), member, life, disks.clone(), ledger.clone(), pace);
            Box::new(host) as Box<dyn Host<Message = Word>>
        };
        self.world.add(&pid(id), Box::new(factory));
    }

    /// A master somewhere else, with a disk that the group does not know.
    pub(super) fn insert_at(&mut self, at: Pid, id: u64, recovered: Recovered, config: ReplicaConfig) {
        let member = MemberId(id);
        let disks = Disks::default();
        disks.borrow_mut().insert(member, Disk::new(recovered, self.seed ^ id));
        let ledger = self.ledger.clone();
        let factory = move |life| {
            let (disks, ledger) = (disks.clone(), ledger.clone());
            let host = ReplicaHost::new(config.clone(), member, life, disks, ledger, Duration::ZERO);
            Box::new(host) as Box<dyn Host<Message = Word>>
        };
        self.world.add(&at, Box::new(factory));
    }

    /// Somebody who wants to know who leads.
    pub(super) fn watch(&mut self, of: &[u64]) -> Pid {
        self.operators += 1;
        let me = Pid::new("watcher", SocketAddr::from(([10, 0, 1, 1], 1000 + self.operators)));
        let of: Vec<Pid> = of.iter().map(|id| pid(*id)).collect();
        let watcher = move |_| {
            Box::new(Watcher { of: of.clone(), ..Watcher::default() }) as Box<dyn Host<Message = Word>>
        };
        self.world.add(&me, Box::new(watcher));
        me
    }

    /// What the watcher was told last, by whom.
    pub(super) fn heard(&self, watcher: &Pid) -> BTreeMap<Pid, Leads> {
        self.world.host::<Watcher>(watcher).expect("watchers live").heard.clone()
    }

    pub(super) fn host(&self, id: u64) -> Option<&ReplicaHost> {
        self.world.host::<ReplicaHost>(&pid(id))
    }

    pub(super) fn replica(&self, id: u64) -> &Replica {
        &self.host(id).expect("the master lives").replica
    }

    pub(super) fn run(&mut self, seconds: u64) {
        self.world.run_for(Duration::from_secs(seconds));
    }

    /// Who leads, as the ledger knows.
    pub(super) fn leader(&self) -> Option<u64> {
        self.ledger.borrow().leading().map(|(id, _)| id.0)
    }

    /// Runs until somebody leads who is not among these.
    pub(super) fn await_leader(&mut self, not: &[u64]) -> u64 {
        for _ in 0..600 {
            if let Some(leader) = self.leader().filter(|id| !not.contains(id)) {
                return leader;
            }
            self.world.run_for(Duration::from_millis(100));
        }
        panic!("nobody leads but {not:?}");
    }

    pub(super) fn crash(&mut self, id: u64) {
        self.world.inflict(Fault::Crash { process: pid(id).address() });
    }

    pub(super) fn restart(&mut self, id: u64) {
        self.world.inflict(Fault::Restart { process: pid(id).address() });
    }

    pub(super) fn pause(&mut self, id: u64) {
        self.world.inflict(Fault::Pause { process: pid(id).address() });
    }

    pub(super) fn resume(&mut self, id: u64) {
        self.world.inflict(Fault::Resume { process: pid(id).address() });
    }

    /// Nothing gets from these to those, nor back.
    pub(super) fn part(&mut self, these: &[u64], those: &[u64]) {
        for (a, b) in these.iter().flat_map(|a| those.iter().map(move |b| (*a, *b))) {
            self.world.inflict(Fault::Block { from: machine(a), to: machine(b) });
            self.world.inflict(Fault::Block { from: machine(b), to: machine(a) });
        }
    }

    pub(super) fn heal(&mut self, these: &[u64], those: &[u64]) {
        for (a, b) in these.iter().flat_map(|a| those.iter().map(move |b| (*a, *b))) {
            self.world.inflict(Fault::Unblock { from: machine(a), to: machine(b) });
            self.world.inflict(Fault::Unblock { from: machine(b), to: machine(a) });
        }
    }

    /// Asks one master; the answer is [`Group::answer`]'s.
    pub(super) fn ask(&mut self, id: u64, request: MembersRequest) -> Pid {
        let at = self.world.now();
        self.ask_at(&[(at, id, request)])
    }

    pub(super) fn ask_at(&mut self, asks: &[(Time, u64, MembersRequest)]) -> Pid {
        self.operators += 1;
        let me = Pid::new("operator", SocketAddr::from(([10, 0, 1, 1], 1000 + self.operators)));
        let asks: Vec<_> = asks.iter().map(|(at, id, request)| (*at, pid(*id), request.clone())).collect();
        let operator = move |_| {
            Box::new(Operator { answers: Vec::new(), asks: asks.clone() }) as Box<dyn Host<Message = Word>>
        };
        self.world.add(&me, Box::new(operator));
        me
    }

    pub(super) fn answers(&self, operator: &Pid) -> &[ReplicaAnswer] {
        &self.world.host::<Operator>(operator).expect("operators live").answers
    }

    pub(super) fn await_answer(&mut self, operator: &Pid, seconds: u64) -> ReplicaAnswer {
        for _ in 0..seconds * 10 {
            if let Some(answer) = self.answers(operator).first() {
                return answer.clone();
            }
            self.world.run_for(Duration::from_millis(100));
        }
        panic!("no answer within {seconds} s");
    }

    /// Asks and waits.
    pub(super) fn answer(&mut self, id: u64, request: MembersRequest) -> ReplicaAnswer {
        let operator = self.ask(id, request);
        self.await_answer(&operator, 120)
    }

    /// A master's directory is empty, or another one's.
    pub(super) fn wipe(&mut self, id: u64, recovered: Recovered) {
        self.disks.borrow_mut().insert(MemberId(id), Disk::new(recovered, self.seed ^ id));
    }

    /// All is well, and these are the members.
    pub(super) fn assert_settled(&mut self, members: &[u64]) {
        assert_eq!(self.settle(), members);
    }

    /// One leads, the members of its registry follow it and hold the same: these.
    pub(super) fn settle(&mut self) -> Vec<u64> {
        let leader = self.await_leader(&[]);
        let before = self.replica(leader).applied();
        self.run(20);
        let leader = self.await_leader(&[]);
        let state = self.replica(leader).state().clone();
        let members: Vec<u64> = state.masters.keys().map(|id| id.0).collect();
        let busy = self.host(leader).is_some_and(|host| !host.pace.is_zero());
        assert!(!busy || self.replica(leader).applied() > before, "it goes on");
        let newest = self.replica(leader).applied();
        for id in &members {
            let host = self
                .host(*id)
                .unwrap_or_else(|| panic!("master {id} lives: {:?}", self.ledger.borrow().ended));
            let follows = Disposition::Following { leader: Pid::new("master", pid(leader).address()) };
            let expected = if *id == leader { Disposition::Leading } else { follows };
            assert_eq!(host.standing, expected, "of master {id}");
            // What is proposed within three seconds may be under way.
            let under_way = 20 + Duration::from_secs(6).as_millis() / host.pace.as_millis().max(1000 / 50);
            let applied = host.replica.applied();
            assert!(
                u128::from(newest.saturating_sub(applied)) <= under_way,
                "master {id} has {applied} of {newest}"
            );
            assert_eq!(host.replica.state().cluster, state.cluster);
            assert!(state.masters[&MemberId(*id)].disk.is_some(), "master {id} is known by its disk");
        }
        let lost: Vec<_> = self
            .ledger
            .borrow()
            .acknowledged
            .iter()
            .filter(|id| !state.gone.contains_key(id))
            .cloned()
            .collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        members
    }
}

/// A run that fails shows what happened, as much of it as `MESETA_SIM_LINES` says.
impl Drop for Group {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.world.trace().lines() {
                eprintln!("{line}");
            }
        }
    }
}

/// A disk of its own for a number: nothing is on it.
pub(super) fn blank(id: u64, disk: u64) -> Recovered {
    Recovered {
        identity: Identity { id: MemberId(id), disk: disk_id(id, disk), cluster: None },
        hard_state: HardState::default(),
        snapshot: Snapshot::default(),
        entries: Vec::new(),
    }
}
