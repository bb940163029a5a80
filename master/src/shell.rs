//! The machine at work: an actor that feeds it, and what carries out what it asks for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use libactor::shell::{self, Accept, Edge, ShellHandle};
use libactor::{Me, Metrics, Node, Pid, SpawnError, Time};
use protocol::messages::{AgentCall, SchedulerCall};
use protocol::wire::common::VersionInfo;

use crate::core::allocator::{AllocatorConfig, Hierarchical};
use crate::core::{Change, Input, Master, MasterConfig, Output};
use crate::edge::about::About;
use crate::edge::events::MAX_WATCHERS;
use crate::edge::metrics::MasterMetrics;
use crate::edge::mirror::Mirror;
use crate::edge::snapshot::Snapshot;
use crate::edge::undelivered::Substitute;
use crate::edge::{Api, routes};
use crate::registry::{InMemory, Registry};

/// The name of the master's actor.
pub const NAME: &str = "master";

/// Messages that wait for the master; a sender that can wait does so beyond it. Ours: some seconds of work.
const MAILBOX: usize = 64 * 1024;

/// What a master is started with.
pub struct Start {
    /// The machine's settings; `pid` is set by [`start`].
    pub config: MasterConfig,
    /// Differs from start to start: the master's identity comes from it.
    pub seed: u64,
    /// Where operations are made durable.
    pub registry: Box<dyn Registry>,
    /// The flags in effect, by name: what `/flags` shows.
    pub flags: BTreeMap<String, String>,
    /// What `/state` and GET_VERSION show.
    pub version: VersionInfo,
    /// Where the log is written, if to a file: served as `/master/log`.
    pub log_file: Option<PathBuf>,
    /// How many may watch the events of the operator API. `--max_operator_event_stream_subscribers`.
    pub max_event_subscribers: usize,
}

impl Start {
    /// A master whose registry dies with it.
    pub fn in_memory(config: MasterConfig, seed: u64) -> Self {
        Self {
            config,
            seed,
            registry: Box::new(InMemory::default()),
            flags: BTreeMap::new(),
            version: VersionInfo::new(env!("CARGO_PKG_VERSION")),
            log_file: None,
            max_event_subscribers: MAX_WATCHERS,
        }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A master that runs. Clones are the same master; dropping them does not end it.
#[derive(Clone)]
pub struct MasterHandle {
    pid: Pid,
    node: Node,
    api: Arc<Api>,
}

impl MasterHandle {
    /// The master's actor.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// What the master knows now; `None` where it is ending, or too many ask.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        self.api.view.ask().await
    }

    /// Ends the master: those who are linked to it are told.
    pub fn stop(&self) {
        // `false` means that it has ended already.
        let _ = self.node.stop(self.pid.name());
    }
}

impl fmt::Debug for MasterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterHandle({})", self.pid)
    }
}

/// Starts a master on a node, within the node's `LocalSet`. The node's `delegate` should be [`NAME`], so that `/state` is
/// found as well as `/master/state`.
///
/// # Errors
/// The node has a master already, or is shutting down.
pub fn start(node: &Node, start: Start) -> Result<MasterHandle, SpawnError> {
    let Start { mut config, seed, registry, flags, version, log_file, max_event_subscribers } = start;
    config.pid = node.pid(NAME).to_string();
    let allocator_config =
        AllocatorConfig { allocation_interval: config.allocation_interval, ..config.allocator.clone() };
    let allocator = Box::new(Hierarchical::new(allocator_config, seed));
    let about = About { version, flags, log_file };
    let api = Api::new(node, &config.hostname, about, max_event_subscribers);
    let now = node.clock().now();
    let machine = Master::new(config, seed, now, allocator);
    let edge = MasterEdge {
        node: node.clone(),
        registry,
        metrics: MasterMetrics::new(node.metrics()),
        mirror: Mirror::new(&machine, now),
        changes: Vec::new(),
        api: api.clone(),
        queued: Queued::new(node.metrics()),
        shell: None,
    };
    let (pid, _) = shell::spawn(node, NAME, machine, edge, |install| {
        install.mailbox(MAILBOX);
        install.message::<SchedulerCall>();
        install.message::<AgentCall>();
        routes::install(install, &api);
    })?;
    api.attach_log();
    Ok(MasterHandle { pid, node: node.clone(), api })
}

struct MasterEdge {
    node: Node,
    registry: Box<dyn Registry>,
    metrics: MasterMetrics,
    mirror: Mirror,
    /// Of this turn, for those who watch.
    changes: Vec<Change>,
    api: Arc<Api>,
    /// Operations that the registry has not answered.
    queued: Queued,
    /// Set when the actor starts.
    shell: Option<ShellHandle<Input>>,
}

/// How many operations wait for the registry.
#[derive(Clone)]
struct Queued(Arc<AtomicI64>);

impl Queued {
    fn new(metrics: &Metrics) -> Self {
        let queued = Self(Arc::default());
        let shown = queued.clone();
        metrics.pulled("registrar/queued_operations", move || shown.0.load(Ordering::Relaxed) as f64);
        queued
    }

    fn change(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl MasterEdge {
    /// Reports something to the machine, after what waits for it already.
    fn report(&self, input: Input) {
        if let Some(shell) = self.shell.clone() {
            tokio::spawn(async move {
                // An error means that the master has ended.
                let _ = shell.feed(input).await;
            });
        }
    }

    fn undelivered(&self, to: Pid, error: &libactor::SendError, substitute: Option<Substitute>) {
        tracing::warn!(%to, %error, "a message can't be sent");
        if let Some(substitute) = substitute {
            substitute.inputs(to).into_iter().for_each(|input| self.report(input));
        }
    }
}

impl Edge<Master> for MasterEdge {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.api.begin(shell);
        self.shell = Some(shell.clone());
    }

    fn stopped(&mut self, _: &Master) {
        self.api.close();
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::ToScheduler { to, event } => {
                if let Some(id) = to.stream_id() {
                    return self.api.streams.tell(id, &event);
                }
                let substitute = Substitute::of_event(&event);
                if let Err(error) = me.tell(&to, event) {
                    self.undelivered(to, &error, substitute);
                }
            }
            Output::ToAgent { to, event } => {
                let substitute = Substitute::of_agent_event(&event);
                if let Err(error) = me.tell(&to, event) {
                    self.undelivered(to, &error, substitute);
                }
            }
            Output::Link { pid } => match pid.stream_id() {
                None => me.link(&pid),
                Some(id) if self.api.streams.link(id) => {}
                Some(_) => self.report(Input::Exited { pid }),
            },
            Output::Unlink { pid } => match pid.stream_id() {
                None => me.unlink(&pid),
                Some(id) => self.api.streams.finish(id),
            },
            Output::Answer { ask, answer } => self.api.asks.answer(ask, answer),
            Output::Changed(change) => {
                self.mirror.note(&change);
                self.metrics.note(&change);
                self.changes.push(change);
            }
            Output::Apply { operation } => {
                let (shell, queued) = (self.shell.clone(), self.queued.clone());
                queued.change(1);
                let done = move |operation| {
                    queued.change(-1);
                    if let Some(shell) = shell {
                        tokio::spawn(async move {
                            // An error means that the master has ended.
                            let _ = shell.feed(Input::Applied { operation }).await;
                        });
                    }
                };
                self.registry.apply(operation, Box::new(done));
            }
            Output::GiveUp { reason } => {
                tracing::error!(reason, "this master ends: another one is to lead");
                // `false` means that it is ending already.
                let _ = self.node.stop(NAME);
            }
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }

    fn after(&mut self, machine: &Master, now: Time) {
        self.metrics.update(machine, &mut self.mirror, now);
        self.api.hub.publish(machine, &self.changes);
        self.changes.clear();
        self.mirror.keep_up(machine);
        self.api.hub.admit(|| self.mirror.snapshot(machine, now));
        self.api.view.serve(|| self.mirror.snapshot(machine, now));
    }
}

impl Accept<SchedulerCall, Master> for MasterEdge {
    fn input(&mut self, from: Pid, call: SchedulerCall) -> Option<Input> {
        Some(Input::Scheduler { from, call })
    }
}

impl Accept<AgentCall, Master> for MasterEdge {
    fn input(&mut self, from: Pid, call: AgentCall) -> Option<Input> {
        Some(Input::Agent { from, call })
    }
}
