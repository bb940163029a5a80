//! The thread that a cluster lives on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use agent::checkpoint::Forgetful;
use agent::core::AgentConfig;
use libactor::detect::Address;
use libactor::{Clock, Node, NodeConfig};
use master::group::{self, GroupHandle, MasterStart};
use master::registry::{DiskId, MemberId};
use master::replication::{self, Recovered, ReplicaConfig};
use protocol::notation::Span;
use protocol::wire::common::VersionInfo;
use protocol::{AgentInfo, Uuid};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use super::containers::InProcess;
use super::disk::Platter;
use super::messages::Rules;
use super::{ClusterConfig, ClusterError};

/// Raft's unit of time among masters that share a thread: a leader that is gone is missed within 40 ms.
const TICK: Duration = Duration::from_millis(4);
/// In ticks.
const HEARTBEAT: usize = 1;
/// In ticks.
const MISSED: usize = 5;

/// How long an election may take on a loaded machine.
const ELECTION: Duration = Duration::from_secs(60);

/// Where the result of an order goes.
pub(super) type Answer<T> = SyncSender<Result<T, ClusterError>>;

/// What the cluster's thread is asked to do.
pub(super) enum Order {
    StopMaster { index: usize, answer: Answer<()> },
    StartMaster { index: usize, answer: Answer<()> },
    StopAgent { index: usize, answer: Answer<()> },
    StartAgent { index: usize, answer: Answer<()> },
    MasterMetrics { index: usize, answer: Answer<BTreeMap<String, f64>> },
    Leader { answer: Answer<usize> },
    End,
}

/// A master or an agent: where it is, and its node while it runs.
struct Part {
    address: SocketAddr,
    node: Option<Node>,
}

/// What a master has beside its node.
struct Member {
    /// Outlives it.
    disk: Platter,
    /// Of its last life.
    handle: Option<GroupHandle>,
}

pub(super) struct Host {
    config: ClusterConfig,
    seed: u64,
    clock: Clock,
    rules: Rules,
    work_dir: PathBuf,
    masters: Vec<Part>,
    members: Vec<Member>,
    agents: Vec<Part>,
    /// Counts the lives of parts, so that each has another seed.
    lives: u64,
}

pub(super) fn agent_dir(work_dir: &Path, index: usize) -> PathBuf {
    work_dir.join(format!("agent-{index}"))
}

fn failed(error: impl ToString) -> ClusterError {
    ClusterError::Start(error.to_string())
}

impl Host {
    pub(super) fn new(
        config: ClusterConfig,
        seed: u64,
        clock: Clock,
        rules: Rules,
        work_dir: PathBuf,
    ) -> Self {
        let (masters, members, agents) = (Vec::new(), Vec::new(), Vec::new());
        Self { config, seed, clock, rules, work_dir, masters, members, agents, lives: 0 }
    }

    /// Starts everything, says where the masters are, and carries orders out until the end.
    pub(super) fn run(
        mut self,
        orders: mpsc::Receiver<Order>,
        ready: SyncSender<Result<Vec<SocketAddr>, ClusterError>>,
    ) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                // Whoever asked is waiting, or gone.
                drop(ready.send(Err(failed(error))));
                return;
            }
        };
        LocalSet::new().block_on(&runtime, async {
            let started = self.start_all().await;
            let begun = started.is_ok();
            drop(ready.send(started));
            if begun {
                self.carry_out(orders).await;
            }
            self.end().await;
        });
    }

    async fn start_all(&mut self) -> Result<Vec<SocketAddr>, ClusterError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // Each is to know where the others are before it begins.
        let mut nodes = Vec::new();
        for _ in 0..self.config.masters {
            nodes.push(self.bind(any, master::NAME).await?);
        }
        let founders = nodes.iter().enumerate();
        let founders: BTreeMap<_, _> =
            founders.map(|(index, node)| (number(index), node.address().to_string())).collect();
        for (index, node) in nodes.into_iter().enumerate() {
            let disk = DiskId(Uuid::from_random(u128::from(self.seed) << 64 | index as u128));
            let disk = Platter::new(Recovered::founders(number(index), disk, &founders));
            self.members.push(Member { disk, handle: None });
            self.masters.push(Part { address: node.address(), node: None });
            self.begin_master(index, node)?;
        }
        leader(self.running()).await?;
        for index in 0..self.config.agents {
            self.agents.push(Part { address: any, node: None });
            self.start_agent(index).await?;
        }
        Ok(self.masters.iter().map(|part| part.address).collect())
    }

    /// The masters that run, by their place.
    fn running(&self) -> Vec<(usize, GroupHandle)> {
        let all = self.members.iter().enumerate().zip(&self.masters);
        let running = all.filter(|(_, part)| part.node.is_some());
        running.filter_map(|((index, member), _)| Some((index, member.handle.clone()?))).collect()
    }

    async fn carry_out(&mut self, mut orders: mpsc::Receiver<Order>) {
        // Who asked and has gone meanwhile misses an answer only.
        while let Some(order) = orders.recv().await {
            match order {
                Order::StopMaster { index, answer } => {
                    drop(answer.send(stop(&mut self.masters, "master", index).await))
                }
                Order::StopAgent { index, answer } => {
                    drop(answer.send(stop(&mut self.agents, "agent", index).await))
                }
                Order::StartMaster { index, answer } => {
                    let may = stopped(&self.masters, "master", index);
                    let result = match may {
                        Ok(()) => self.start_master(index).await,
                        refused => refused,
                    };
                    drop(answer.send(result));
                }
                Order::StartAgent { index, answer } => {
                    let may = stopped(&self.agents, "agent", index);
                    let result = match may {
                        Ok(()) => self.start_agent(index).await,
                        refused => refused,
                    };
                    drop(answer.send(result));
                }
                Order::MasterMetrics { index, answer } => {
                    let part = self.masters.get(index).and_then(|part| part.node.as_ref());
                    let metrics = part.map(|node| node.metrics().snapshot());
                    drop(answer.send(metrics.ok_or(ClusterError::NoSuch { kind: "running master", index })));
                }
                Order::Leader { answer } => {
                    let running = self.running();
                    tokio::task::spawn_local(async move { drop(answer.send(leader(running).await)) });
                }
                Order::End => return,
            }
        }
    }

    async fn end(&mut self) {
        for part in self.agents.iter_mut().chain(&mut self.masters) {
            if let Some(node) = part.node.take() {
                node.shutdown().await;
            }
        }
    }

    async fn bind(&mut self, address: SocketAddr, delegate: &str) -> Result<Node, ClusterError> {
        let config = NodeConfig {
            listen: address,
            clock: self.clock.clone(),
            delegate: Some(delegate.to_owned()),
            check_machines: true,
            version: version_shown(),
            ..NodeConfig::default()
        };
        let node = Node::bind(config).await.map_err(failed)?;
        node.set_filter(Some(self.rules.filter()));
        // The log is the test's: a level that is set is forgotten.
        node.set_log_level_hook(|_| Ok(()));
        Ok(node)
    }

    /// What `/flags` shows.
    fn flags(&self) -> BTreeMap<String, String> {
        let config = &self.config.master;
        let span = |duration| Span(duration).to_string();
        let flags = [
            ("agent_ping_timeout", span(config.agent_ping_timeout)),
            ("agent_reregister_timeout", span(config.agent_reregister_timeout)),
            ("allocation_interval", span(config.allocation_interval)),
            ("hostname", config.hostname.clone()),
            ("max_agent_ping_timeouts", config.max_agent_ping_timeouts.to_string()),
            ("work_dir", self.work_dir.display().to_string()),
        ];
        flags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// One that no other life has.
    fn seed(&mut self) -> u64 {
        self.lives += 1;
        self.seed.wrapping_add(self.lives << 32)
    }

    async fn start_master(&mut self, index: usize) -> Result<(), ClusterError> {
        let node = self.bind(self.masters[index].address, master::NAME).await?;
        self.begin_master(index, node)
    }

    fn begin_master(&mut self, index: usize, node: Node) -> Result<(), ClusterError> {
        let (recovered, storage, events) = self.members[index].disk.open();
        let replica = ReplicaConfig {
            hostname: self.config.master.hostname.clone(),
            tick: TICK,
            heartbeat_ticks: HEARTBEAT,
            election_ticks: MISSED,
            ..ReplicaConfig::new(node.pid(replication::NAME), node.pid(master::NAME))
        };
        let master = MasterStart { flags: self.flags(), ..MasterStart::new(self.config.master.clone()) };
        let (storage, seed) = (Box::new(storage), self.seed());
        let start = master::Start { replica, recovered, storage, events, master, seed };
        // The masters keep sight of one another when the cluster's time stands, or leaps.
        let handle = group::start_with_clock(&node, start, Clock::real()).map_err(failed)?;
        self.members[index].handle = Some(handle);
        self.masters[index].node = Some(node);
        Ok(())
    }

    async fn start_agent(&mut self, index: usize) -> Result<(), ClusterError> {
        let node = self.bind(self.agents[index].address, "slave(1)").await?;
        let work_dir = agent_dir(&self.work_dir, index);
        std::fs::create_dir_all(&work_dir).map_err(failed)?;
        let info = AgentInfo {
            hostname: "localhost".into(),
            port: node.address().port(),
            resources: self.config.resources.clone(),
            attributes: Default::default(),
            id: None,
        };
        let (containerizer, events) =
            InProcess::new(work_dir.clone(), self.clock.clone(), self.seed(), self.config.executors.clone());
        let masters = self.masters.iter().map(|part| Address::from(part.address)).collect();
        let master = agent::shell::detect(&node, masters).map_err(failed)?;
        let start = agent::shell::Start {
            config: AgentConfig::new(node.pid("slave(1)"), info, protocol::wire::API_VERSION),
            seed: self.seed(),
            containerizer,
            events,
            keeping: Forgetful::open(),
            sandbox_gc: Default::default(),
            master,
            work_dir,
            flags: Default::default(),
            version: VersionInfo::new(env!("CARGO_PKG_VERSION")),
            log_file: None,
        };
        agent::shell::start(&node, start).map_err(failed)?;
        self.agents[index] = Part { address: node.address(), node: Some(node) };
        Ok(())
    }
}

/// The number of a master.
fn number(index: usize) -> MemberId {
    MemberId(index as u64 + 1)
}

/// Waits until one of these leads.
async fn leader(masters: Vec<(usize, GroupHandle)>) -> Result<usize, ClusterError> {
    let mut waiting = JoinSet::new();
    for (index, handle) in masters {
        waiting.spawn_local(async move { handle.leads().await.then_some(index) });
    }
    let first = async {
        while let Some(waited) = waiting.join_next().await {
            if let Ok(Some(index)) = waited {
                return Ok(index);
            }
        }
        Err(ClusterError::NoLeader)
    };
    tokio::time::timeout(ELECTION, first).await.unwrap_or(Err(ClusterError::NoLeader))
}

fn stopped(parts: &[Part], kind: &'static str, index: usize) -> Result<(), ClusterError> {
    match parts.get(index) {
        None => Err(ClusterError::NoSuch { kind, index }),
        Some(Part { node: Some(_), .. }) => Err(ClusterError::Already { kind, index, state: "running" }),
        Some(_) => Ok(()),
    }
}

async fn stop(parts: &mut [Part], kind: &'static str, index: usize) -> Result<(), ClusterError> {
    let part = parts.get_mut(index).ok_or(ClusterError::NoSuch { kind, index })?;
    match part.node.take() {
        None => Err(ClusterError::Already { kind, index, state: "stopped" }),
        Some(node) => {
            node.shutdown().await;
            Ok(())
        }
    }
}

/// What `/version` shows.
fn version_shown() -> BTreeMap<String, serde_json::Value> {
    match serde_json::to_value(VersionInfo::new(env!("CARGO_PKG_VERSION"))) {
        Ok(serde_json::Value::Object(shown)) => shown.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}
