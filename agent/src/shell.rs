//! The machine at work: an actor that feeds it, and what carries out what it asks for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use libactor::detect::{self, Address, Leader};
use libactor::files::Files;
use libactor::shell::{self, Accept, Edge, ShellHandle};
use libactor::{Clock, Counter, Gauge, Me, Node, Pid, SpawnError, Time};
use protocol::ContainerId;
use protocol::messages::{AgentCall, AgentEvent, ExecutorCall, ExecutorEvent, MASTERS};
use protocol::wire::common::VersionInfo;
use tokio::sync::{mpsc, watch};

use crate::checkpoint::{Durable, Keeping, Store};
use crate::containerizer::{ContainerEvent, Containerizer};
use crate::core::{Agent, AgentConfig, Found, Incompatible, Input, Output};
use crate::edge::asks::Asks;
use crate::edge::limits::MAX_WAITING;
use crate::edge::metrics::AgentMetrics;
use crate::edge::pipes::{self, Pipes};
use crate::edge::routes;
use crate::edge::sandboxes::Sandboxes;
use crate::edge::site::Site;
use crate::edge::snapshot::Snapshot;
use crate::edge::statistics::Statistics;
use crate::edge::streams::Streams;
use crate::edge::view::{Feeder, View};
use crate::sandbox_gc::{Collector, SandboxGcSettings};
use crate::steps;

/// The log's virtual path among the served files. Source: Mesos.
const LOG_PATH: &str = "/slave/log";

/// The name of the actor that finds out which master leads.
const DETECTOR: &str = "detector";

/// What an agent is started with.
pub struct Start<C> {
    /// The machine's settings; its actor gets the name in `config.pid`.
    pub config: AgentConfig,
    /// Differs from start to start: container ids come from it.
    pub seed: u64,
    /// Where executors run.
    pub containerizer: C,
    /// What the containerizer reports.
    pub events: mpsc::Receiver<ContainerEvent>,
    /// Where the agent keeps what it must not forget, and what an earlier life has kept there.
    pub keeping: Keeping,
    /// The leading master, as far as it is known: what [`detect`] finds out, or a fixed one.
    pub master: watch::Receiver<Option<Leader>>,
    /// `--work_dir`: makes sandbox paths absolute.
    pub work_dir: PathBuf,
    /// What becomes of sandboxes.
    pub sandbox_gc: SandboxGcSettings,
    /// What `/flags` shows: the flags by name, as text.
    pub flags: BTreeMap<String, String>,
    /// What `/version` shows.
    pub version: VersionInfo,
    /// The file that is logged to, if there is one: it is served as `/slave/log`.
    pub log_file: Option<PathBuf>,
}

/// Why an agent can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The actor's name is taken, or the node is shutting down.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It may not take up what an earlier life has left, as it is configured now.
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
}

/// How an agent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why, for people.
    pub message: String,
    /// Whether the process should say that it failed.
    pub failed: bool,
}

/// An agent that runs. Clones are the same agent; dropping them does not end it.
#[derive(Clone)]
pub struct AgentHandle {
    pid: Pid,
    shell: ShellHandle<Input>,
    view: Arc<View>,
    ended: watch::Receiver<Option<Ended>>,
}

impl AgentHandle {
    /// The agent's actor.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// Asks the agent to end its executors and leave; asked a second time it kills them at once.
    pub async fn leave(&self) {
        // An agent that has ended has nothing to leave.
        let _ = self.shell.feed(Input::Leave).await;
    }

    /// What the agent knows now; `None` where it is ending, or too many ask.
    pub async fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.view.ask().await
    }

    /// Waits until the agent has ended.
    pub async fn ended(&self) -> Ended {
        let mut receiver = self.ended.clone();
        let gone = || Ended { message: "the agent's actor was stopped".to_string(), failed: true };
        match receiver.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }
}

/// Finds out which master leads, of these and those that they tell of, for an agent on this node.
///
/// # Errors
/// The node has a detector already, or is shutting down.
pub fn detect(node: &Node, masters: Vec<Address>) -> Result<watch::Receiver<Option<Leader>>, SpawnError> {
    detect::spawn(node, DETECTOR, MASTERS, masters)
}

/// Starts an agent on a node, within the node's `LocalSet`. It takes up what an earlier life has kept.
///
/// # Errors
/// See [`StartError`].
pub fn start<C: Containerizer>(node: &Node, start: Start<C>) -> Result<AgentHandle, StartError> {
    let Keeping { store, durable, records, errors } = start.keeping;
    let began = node.clock().now();
    let machine = Agent::recover(start.config.clone(), start.seed, began, records)?;
    node.metrics().counter("slave/recovery_errors").add(errors);
    let recovery = RecoveryTime {
        began,
        clock: node.clock().clone(),
        shown: node.metrics().gauge("slave/recovery_time_secs"),
    };
    let (ending, ended) = watch::channel(None);
    let name = start.config.pid.name().to_string();
    let feeder = Arc::new(Feeder::default());
    let view = Arc::new(View::new(feeder.clone(), || Input::Look, MAX_WAITING));
    let site = Arc::new(Site {
        feeder: feeder.clone(),
        node: node.clone(),
        view: view.clone(),
        version: start.version,
        flags: start.flags,
        work_dir: start.work_dir.clone(),
        files: files(start.log_file.as_deref()),
        log_file: start.log_file,
        statistics: Statistics::new(start.containerizer.meter()),
        asks: Asks::new(feeder.clone()),
        streams: Arc::new(Streams::new(feeder.clone(), node.address(), node.http_limits().stream())),
    });
    let pipes = Arc::new(Pipes::new(feeder.clone(), node.address()));
    let sandboxes = Sandboxes::new(site.files.clone(), start.work_dir.clone());
    sandboxes.recover(&machine);
    let sandbox_gc = Arc::new(Collector::new(start.sandbox_gc, start.work_dir, node.clock().clone()));
    sandbox_gc.show(node.metrics());
    start.containerizer.show(node.metrics());
    let edge = AgentEdge {
        sandbox_gc,
        containerizer: start.containerizer,
        store,
        sources: Some(Sources { events: start.events, durable, master: start.master, recovery }),
        metrics: AgentMetrics::new(node.metrics()),
        destroy_errors: node.metrics().counter("containerizer/mesos/container_destroy_errors"),
        sandboxes,
        pipes,
        site: site.clone(),
        shell: None,
        ending,
    };
    let (pid, shell) = shell::spawn(node, &name, machine, edge, move |install| {
        install.message::<AgentEvent>();
        install.message::<ExecutorCall>();
        routes::install(&site, install);
    })?;
    Ok(AgentHandle { pid, shell, view, ended })
}

/// The files that are served: the log now, sandboxes as they are made.
fn files(log_file: Option<&std::path::Path>) -> Files {
    let files = Files::new();
    if let Some(log_file) = log_file
        && let Err(error) = files.attach(LOG_PATH, log_file)
    {
        tracing::warn!(%error, "the log can't be served");
    }
    files
}

/// What the machine hears of: taken when the actor starts.
struct Sources {
    events: mpsc::Receiver<ContainerEvent>,
    durable: watch::Receiver<Durable>,
    master: watch::Receiver<Option<Leader>>,
    recovery: RecoveryTime,
}

/// How long it takes until what an earlier life has left is found again.
struct RecoveryTime {
    began: Time,
    clock: Clock,
    shown: Gauge,
}

struct AgentEdge<C> {
    containerizer: C,
    sandbox_gc: Arc<Collector>,
    store: Box<dyn Store>,
    sources: Option<Sources>,
    metrics: AgentMetrics,
    destroy_errors: Counter,
    sandboxes: Arc<Sandboxes>,
    pipes: Arc<Pipes>,
    site: Arc<Site>,
    shell: Option<ShellHandle<Input>>,
    ending: watch::Sender<Option<Ended>>,
}

impl<C: Containerizer> AgentEdge<C> {
    /// An executor that can't be told what it must know is of no use: it counts as gone, and the machine ends it.
    fn tell_executor(&self, to: Pid, event: ExecutorEvent, me: &Me) {
        if to.stream_id().is_some() {
            let container_id = match &event {
                ExecutorEvent::Subscribed { executor, framework, .. } => framework
                    .id
                    .as_ref()
                    .and_then(|framework_id| self.sandboxes.latest(framework_id, &executor.executor_id)),
                _ => None,
            };
            return self.site.streams.tell(&to, &event, container_id);
        }
        if self.pipes.tell(&to, &event) {
            return;
        }
        let may_be_lost = matches!(event, ExecutorEvent::Message(_) | ExecutorEvent::Error(_));
        if let Err(error) = me.tell(&to, event) {
            tracing::warn!(executor = %to, %error, "an executor can't be told");
            if let (false, Some(shell)) = (may_be_lost, self.shell.clone()) {
                tokio::spawn(async move {
                    // An error means that the agent has ended.
                    let _ = shell.feed(Input::Exited { pid: to }).await;
                });
            }
        }
    }
}

impl<C: Containerizer> Edge<Agent> for AgentEdge<C> {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.site.feeder.open(shell.clone());
        self.shell = Some(shell.clone());
        let Some(Sources { events, durable, master, recovery }) = self.sources.take() else { return };
        // The first of all: nothing else has come yet, so there is room.
        if let Err(error) = shell.try_feed(Input::Begin) {
            tracing::error!(%error, "the agent can't begin");
        }
        let reports = Reports {
            shell: shell.clone(),
            sandboxes: self.sandboxes.clone(),
            pipes: self.pipes.clone(),
            sandbox_gc: self.sandbox_gc.clone(),
            destroy_errors: self.destroy_errors.clone(),
            recovery,
        };
        tokio::spawn(reports.of_containers(events));
        tokio::spawn(report_durable(durable, shell.clone(), self.ending.clone()));
        tokio::spawn(report_masters(master, shell.clone()));
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::ToMaster { to, call } => {
                let is_update = matches!(call, AgentCall::Update { .. });
                // What matters is said again: registrations and updates until they are answered.
                if let Err(error) = me.tell(&to, call) {
                    tracing::warn!(master = %to, %error, "the master can't be told");
                }
                if is_update {
                    steps::reached("update-forwarded");
                }
            }
            Output::ToExecutor { to, event } => {
                let step = step_of(&event);
                self.tell_executor(to, event, me);
                step.into_iter().for_each(steps::reached);
            }
            Output::Answer { ask, answer } => self.site.asks.answer(ask, answer),
            Output::Link { pid } if pid.stream_id().is_some() => self.site.streams.watch(pid),
            // The end of a pipe is always reported.
            Output::Link { pid } if self.pipes.reach(&pid) => {}
            Output::Link { pid } => me.link(&pid),
            Output::Unlink { pid } if pid.stream_id().is_some() => self.site.streams.finish(&pid),
            Output::Unlink { pid } => {
                self.pipes.close(&pid);
                me.unlink(&pid);
            }
            Output::Launch(spec) => {
                steps::reached("launch-asked");
                self.sandboxes.launch(&spec);
                self.sandbox_gc.begin(&spec.container_id, &spec.sandbox);
                self.containerizer.launch(*spec);
            }
            Output::Forget { framework_id, executor_id, sandbox, last, .. } => {
                self.sandboxes.forget(&framework_id, &executor_id, &sandbox, last);
            }
            Output::Destroy { container_id } => self.containerizer.destroy(&container_id),
            Output::Update { container_id, resources } => {
                self.containerizer.update(&container_id, &resources);
            }
            Output::Recover { containers, rebooted } => {
                steps::reached("recovery-asked");
                self.sandbox_gc.recovered(&containers);
                self.containerizer.recover(containers, rebooted);
            }
            Output::Checkpoint(batch) => self.store.write(batch),
            Output::Terminate { message, failed } => {
                self.ending.send_replace(Some(Ended { message, failed }));
                me.stop();
            }
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }

    fn after(&mut self, machine: &Agent, now: Time) {
        self.metrics.update(machine, now);
        self.site.view.serve(|| Arc::new(Snapshot::take(machine, now)));
    }

    fn stopped(&mut self, _: &Agent) {
        self.site.asks.close();
        self.site.view.close();
        self.site.streams.close();
        self.pipes.close_all();
        self.site.feeder.close();
    }
}

impl<C: Containerizer> Accept<AgentEvent, Agent> for AgentEdge<C> {
    fn input(&mut self, from: Pid, event: AgentEvent) -> Option<Input> {
        if matches!(event, AgentEvent::Acknowledge { .. }) {
            steps::reached("acknowledged");
        }
        Some(Input::Master { from, event })
    }
}

impl<C: Containerizer> Accept<ExecutorCall, Agent> for AgentEdge<C> {
    fn input(&mut self, from: Pid, call: ExecutorCall) -> Option<Input> {
        pipes::reached(&call);
        Some(Input::Executor { from, call })
    }
}

/// The moment that telling an executor this stands for.
fn step_of(event: &ExecutorEvent) -> Option<&'static str> {
    match event {
        ExecutorEvent::Subscribed { .. } => Some("subscribed"),
        ExecutorEvent::Launch(_) | ExecutorEvent::LaunchGroup(_) => Some("handed-over"),
        ExecutorEvent::Acknowledged { .. } => Some("update-taken"),
        _ => None,
    }
}

/// Hands the containerizer's reports to the machine.
struct Reports {
    shell: ShellHandle<Input>,
    sandboxes: Arc<Sandboxes>,
    pipes: Arc<Pipes>,
    sandbox_gc: Arc<Collector>,
    destroy_errors: Counter,
    recovery: RecoveryTime,
}

impl Reports {
    /// As long as both live.
    async fn of_containers(self, mut events: mpsc::Receiver<ContainerEvent>) {
        while let Some(event) = events.recv().await {
            let Some(input) = self.input(event).await else { continue };
            if self.shell.feed(input).await.is_err() {
                return;
            }
        }
    }

    /// Has those of these sandboxes served that are there. The file system is asked; where that fails one is not served, which
    /// is said.
    async fn serve(&self, containers: Vec<ContainerId>) {
        let sandboxes = self.sandboxes.clone();
        let serve = move || containers.iter().for_each(|container_id| sandboxes.attach(container_id, false));
        let _ = tokio::task::spawn_blocking(serve).await;
    }

    async fn input(&self, event: ContainerEvent) -> Option<Input> {
        Some(match event {
            ContainerEvent::Piped { container_id, stream } => {
                self.pipes.open(container_id, stream);
                return None;
            }
            ContainerEvent::Launched { container_id, result } => {
                steps::reached("launched");
                if result.is_ok() {
                    self.sandboxes.attach(&container_id, true);
                } else {
                    self.serve(vec![container_id.clone()]).await;
                    self.sandbox_gc.end(&container_id);
                }
                Input::Launched { container_id, result }
            }
            ContainerEvent::Exited { container_id, end } => {
                steps::reached("container-exited");
                self.destroy_errors.add(u64::from(end.message.is_some()));
                self.sandbox_gc.end(&container_id);
                Input::ContainerExited { container_id, end }
            }
            ContainerEvent::Recovered { containers } => {
                steps::reached("recovered");
                let RecoveryTime { began, clock, shown } = &self.recovery;
                shown.set(clock.now().since(*began).as_secs_f64());
                let ended = containers.iter().filter(|(_, found)| matches!(found, Found::Ended(_)));
                ended.for_each(|(container_id, _)| self.sandbox_gc.end(container_id));
                self.serve(containers.keys().cloned().collect()).await;
                Input::Recovered { containers }
            }
            ContainerEvent::Resources { total } => Input::Resources { total },
        })
    }
}

/// Tells the machine what is durable. Where nothing more can be made so, the agent ends at once, before it says anything that
/// it may forget.
async fn report_durable(
    mut durable: watch::Receiver<Durable>,
    shell: ShellHandle<Input>,
    ending: watch::Sender<Option<Ended>>,
) {
    while durable.changed().await.is_ok() {
        let Durable { number, failure } = durable.borrow_and_update().clone();
        if let Some(failure) = failure {
            let message =
                format!("{failure}; once that is mended, start the agent again: its executors wait for it");
            ending.send_replace(Some(Ended { message, failed: true }));
            return shell.me().stop();
        }
        if shell.feed(Input::Checkpointed { number }).await.is_err() {
            return;
        }
    }
}

/// Hands the known master, and every change of it, to the machine.
async fn report_masters(mut master: watch::Receiver<Option<Leader>>, shell: ShellHandle<Input>) {
    loop {
        let known = master.borrow_and_update().clone();
        if shell.feed(Input::MasterDetected { master: known }).await.is_err() {
            return;
        }
        if master.changed().await.is_err() {
            return;
        }
    }
}
