//! B10: commits of the registry. Three replicas with their disks, each on a thread and a node of its own, over loopback TCP;
//! clients beside the leader propose an operation and wait until it is committed.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use libactor::shell::{self, Accept, Edge, ShellHandle};
use libactor::{Clock, Me, Node, NodeConfig, Pid, Time};
use master::disk::{DiskEvent, Sled, Storage};
use master::registry::{DiskId, MemberId, Operation};
use master::replication::{Input, NAME, Output, Parcel, Recovered, Replica, ReplicaConfig};
use protocol::{Role, Uuid};
use tokio::sync::{mpsc, oneshot};

use super::super::report::percentiles_ms;
use super::super::{Effort, Figure};
use crate::commands::seed;
use crate::runtime;

const MASTERS: u64 = 3;
/// Writes that say what the disk allows.
const SYNCS: usize = 500;
/// Nothing has come for this long: something is lost, and the figure would be a lie.
const STALLED: Duration = Duration::from_secs(60);
/// Room for what the disk reports.
const DISK_EVENTS: usize = 1024;

pub(super) fn run(effort: Effort, directory: &Path) -> Result<Vec<Figure>, Box<dyn Error>> {
    let mut figures = vec![disk_alone(directory)?];
    let (alone, many) = match effort {
        Effort::Quick => (500, 20_000),
        Effort::Full => (5_000, 500_000),
    };
    for (clients, commits) in [(1, alone), (1_000, many)] {
        let measured = measure(&directory.join(clients.to_string()), clients, commits)?;
        figures.push(Figure {
            name: "B10",
            params: format!("{MASTERS} masters, one machine, durable, {clients} clients, {commits} commits"),
            value: commits as f64 / measured.elapsed.as_secs_f64(),
            unit: "commits/s",
            percentiles_ms: percentiles_ms(measured.latencies),
        });
    }
    Ok(figures)
}

/// What the disk itself allows: one small write after the other, each synced.
fn disk_alone(directory: &Path) -> Result<Figure, Box<dyn Error>> {
    let path = directory.join("disk-alone");
    let mut file = File::create(&path)?;
    let clock = Clock::real();
    let begin = clock.now();
    let mut latencies = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let since = clock.now();
        file.write_all(&[7; 256])?;
        file.sync_data()?;
        latencies.push(clock.now().since(since));
    }
    let elapsed = clock.now().since(begin);
    std::fs::remove_file(&path)?;
    Ok(Figure {
        name: "B10",
        params: format!("the disk alone: {SYNCS} x 256 bytes written and synced, one file, no cluster"),
        value: SYNCS as f64 / elapsed.as_secs_f64(),
        unit: "syncs/s",
        percentiles_ms: percentiles_ms(latencies),
    })
}

struct Measured {
    elapsed: Duration,
    latencies: Vec<Duration>,
}

/// A replica on a thread of its own.
struct Member {
    address: SocketAddr,
    begin: Option<oneshot::Sender<BTreeMap<MemberId, String>>>,
    /// Dropped: it ends.
    _stay: oneshot::Sender<()>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

fn measure(directory: &Path, clients: usize, commits: usize) -> Result<Measured, Box<dyn Error>> {
    let (done, measured) = sync_channel(1);
    let mut members: Vec<Member> = Vec::new();
    for id in 1..=MASTERS {
        members.push(start(MemberId(id), &directory.join(id.to_string()), clients, commits, done.clone())?);
    }
    let addresses: BTreeMap<_, _> =
        (1..).map(MemberId).zip(members.iter().map(|one| one.address.to_string())).collect();
    for member in &mut members {
        let begin = member.begin.take().ok_or("a member begins once")?;
        begin.send(addresses.clone()).map_err(|_| "a member has ended")?;
    }
    let measured = measured.recv_timeout(STALLED)?;
    for member in members {
        let Member { _stay: stay, thread, .. } = member;
        drop(stay);
        if let Some(thread) = thread {
            thread.join().map_err(|_| "a member's thread has panicked")??;
        }
    }
    Ok(measured)
}

fn start(
    id: MemberId,
    directory: &Path,
    clients: usize,
    commits: usize,
    done: SyncSender<Measured>,
) -> Result<Member, Box<dyn Error>> {
    let (begin, begins) = oneshot::channel();
    let (stay, stays) = oneshot::channel();
    let (bound, binds): (_, Receiver<SocketAddr>) = sync_channel(1);
    let directory = directory.to_owned();
    let thread = std::thread::spawn(move || {
        let live = async {
            let node = Node::bind(NodeConfig::default()).await.map_err(|error| error.to_string())?;
            bound.send(node.address()).map_err(|error| error.to_string())?;
            let Ok(masters) = begins.await else { return Ok(()) };
            spawn(&node, id, &masters, &directory, Load::new(clients, commits, done))
                .map_err(|error| error.to_string())?;
            // Ends when its other half is dropped.
            drop(stays.await);
            node.shutdown().await;
            Ok::<(), Failure>(())
        };
        runtime::block_on(live).map_err(|Failure(text)| text)
    });
    Ok(Member {
        address: binds.recv_timeout(STALLED)?,
        begin: Some(begin),
        _stay: stay,
        thread: Some(thread),
    })
}

/// Why a member has ended.
struct Failure(String);

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

fn spawn(
    node: &Node,
    id: MemberId,
    masters: &BTreeMap<MemberId, String>,
    directory: &Path,
    load: Load,
) -> Result<(), Box<dyn Error>> {
    let (events, mut reports) = mpsc::channel(DISK_EVENTS);
    let random = || Ok::<_, Box<dyn Error>>(u128::from(seed()?) << 64 | u128::from(seed()?));
    let begin = |disk| Recovered::founders(id, disk, masters);
    let disk = DiskId(Uuid::from_random(random()?));
    let (storage, recovered) = Sled::open(directory, begin, disk, events)?;
    let config = ReplicaConfig::new(node.pid(NAME), node.pid(master::NAME));
    let replica = Replica::new(config, recovered, seed()?, node.clock().now());
    let edge = MemberEdge { storage, load, shell: None };
    let (_, shell) = shell::spawn(node, NAME, replica, edge, |install| {
        install.mailbox(64 * 1024);
        install.message::<Parcel>();
    })?;
    tokio::task::spawn_local(async move {
        while let Some(event) = reports.recv().await {
            let input = match event {
                DiskEvent::Persisted(number) => Input::Persisted { number },
                DiskEvent::Saved(index, bytes) => Input::SnapshotSaved { index, bytes },
                DiskEvent::Failed(message) => Input::DiskFailed { message },
                DiskEvent::Piece(..) => continue,
            };
            if shell.feed(input).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Clients that propose.
struct Load {
    clients: usize,
    left: usize,
    clock: Clock,
    began: Option<Time>,
    waiting: VecDeque<Time>,
    latencies: Vec<Duration>,
    commits: usize,
    done: SyncSender<Measured>,
}

impl Load {
    fn new(clients: usize, commits: usize, done: SyncSender<Measured>) -> Self {
        Self {
            clients,
            left: commits,
            clock: Clock::real(),
            began: None,
            waiting: VecDeque::new(),
            latencies: Vec::with_capacity(commits),
            commits,
            done,
        }
    }

    /// What so many clients that are free propose.
    fn proposals(&mut self, term: u64, free: usize) -> Vec<Input> {
        let now = self.clock.now();
        self.began.get_or_insert(now);
        let count = free.min(self.left);
        self.left -= count;
        let propose = |index: usize| {
            let role = Role::from(format!("a-role-with-a-name-of-the-usual-length-{index}"));
            let operations = vec![Operation::UpdateWeights { weights: BTreeMap::from([(role, 1000)]) }];
            Input::Propose { term, operations }
        };
        self.waiting.extend(std::iter::repeat_n(now, count));
        (0..count).map(propose).collect()
    }

    fn committed(&mut self, count: usize) {
        let now = self.clock.now();
        self.latencies.extend(self.waiting.drain(..count).map(|since| now.since(since)));
        if let Some(began) = self.began
            && self.latencies.len() == self.commits
        {
            let measured =
                Measured { elapsed: now.since(began), latencies: std::mem::take(&mut self.latencies) };
            if self.done.try_send(measured).is_err() {
                tracing::error!("two members have led: the figure is of the first");
            }
        }
    }
}

struct MemberEdge {
    storage: Sled,
    load: Load,
    shell: Option<ShellHandle<Input>>,
}

impl MemberEdge {
    fn feed(&self, inputs: Vec<Input>) {
        for input in inputs {
            if let Some(shell) = &self.shell
                && shell.try_feed(input).is_err()
            {
                tracing::error!("the replica's mailbox is too small for this benchmark");
            }
        }
    }
}

impl Edge<Replica> for MemberEdge {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.shell = Some(shell.clone());
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::Send { to, parcel } => {
                // Raft repeats what is lost.
                drop(me.tell(&to, parcel));
            }
            Output::Link { pid } => me.link(&pid),
            Output::Unlink { pid } => me.unlink(&pid),
            Output::Resolve { id, address } => {
                let pid = address.parse().ok().map(|address| Pid::new(NAME, address));
                self.feed(vec![Input::Resolved { id, pid }]);
            }
            Output::Persist(persist) => self.storage.persist(persist),
            Output::SaveSnapshot(snapshot) => self.storage.save(snapshot),
            Output::Compact { before } => self.storage.compact(before),
            Output::Lead { term, .. } => {
                let free = self.load.clients;
                let inputs = self.load.proposals(term, free);
                self.feed(inputs);
            }
            Output::Committed { term, operations } => {
                self.load.committed(operations.len());
                let inputs = self.load.proposals(term, operations.len());
                self.feed(inputs);
            }
            Output::End { message, .. } => tracing::error!(message, "a member has ended"),
            Output::SendPiece { .. }
            | Output::Deposed { .. }
            | Output::Refused { .. }
            | Output::Standing(_)
            | Output::Leads { .. }
            | Output::Answer { .. } => {}
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }
}

impl Accept<Parcel, Replica> for MemberEdge {
    fn input(&mut self, from: Pid, parcel: Parcel) -> Option<Input> {
        Some(Input::Peer { from, parcel })
    }
}
