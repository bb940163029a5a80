//! The machine at work: an actor that feeds it, and what carries out what it asks for.

use std::fmt;
use std::sync::Arc;

use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use libactor::shell::{self, Accept, Edge, ShellHandle, ShellInstall};
use libactor::{Me, Node, Pid, SpawnError, Time};
use protocol::messages::{AgentCall, SchedulerCall};
use serde_json::{Value, json};

use crate::core::allocator::{AllocatorConfig, Hierarchical};
use crate::core::{Input, Master, MasterConfig, Output};
use crate::edge::metrics::MasterMetrics;
use crate::edge::snapshot::Snapshot;
use crate::edge::state;
use crate::edge::undelivered::Substitute;
use crate::edge::view::View;
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
}

impl Start {
    /// A master whose registry dies with it.
    pub fn in_memory(config: MasterConfig, seed: u64) -> Self {
        Self { config, seed, registry: Box::new(InMemory::default()) }
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
    view: Arc<View>,
}

impl MasterHandle {
    /// The master's actor.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// What the master knows now; `None` where it is ending, or too many ask.
    pub async fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.view.ask().await
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
    let Start { mut config, seed, registry } = start;
    config.pid = node.pid(NAME).to_string();
    let allocator_config =
        AllocatorConfig { allocation_interval: config.allocation_interval, ..config.allocator.clone() };
    let allocator = Box::new(Hierarchical::new(allocator_config, seed));
    let version = json!({ "version": config.version });
    let machine = Master::new(config, seed, node.clock().now(), allocator);
    let view = Arc::new(View::default());
    let edge =
        MasterEdge { registry, metrics: MasterMetrics::new(node.metrics()), view: view.clone(), shell: None };
    let shown = view.clone();
    let (pid, _) = shell::spawn(node, NAME, machine, edge, move |install| {
        install.mailbox(MAILBOX);
        install.message::<SchedulerCall>();
        install.message::<AgentCall>();
        routes(install, &shown, version);
    })?;
    Ok(MasterHandle { pid, node: node.clone(), view })
}

fn routes(install: &mut ShellInstall<'_, Master, MasterEdge>, view: &Arc<View>, version: Value) {
    type Show = fn(&Snapshot) -> Value;
    let pages: [(&str, &str, Show); 4] = [
        ("/state", "All that the master knows, as JSON.", state::state),
        ("/state.json", "As /state.", state::state),
        ("/slaves", "The agents, as JSON.", |snapshot| json!({ "slaves": state::slaves(snapshot) })),
        ("/frameworks", "The frameworks, as JSON.", |snapshot| {
            json!({
                "frameworks": state::frameworks(&snapshot.frameworks),
                "completed_frameworks": state::frameworks(&snapshot.completed_frameworks),
            })
        }),
    ];
    for (path, help, show) in pages {
        let view = view.clone();
        install.route(path, help, move |_: HttpRequest| respond(view.clone(), show));
    }
    install
        .route("/health", "200 while the master runs.", |_| async { HttpResponse::text(StatusCode::OK, "") });
    install.route("/version", "The version of the program, as JSON.", move |_| {
        let response = HttpResponse::json(&version);
        async move { response }
    });
}

/// Takes a snapshot and turns it into JSON on another thread: the master's goes on meanwhile.
async fn respond(view: Arc<View>, show: fn(&Snapshot) -> Value) -> HttpResponse {
    let unable = || HttpResponse::text(StatusCode::SERVICE_UNAVAILABLE, "the master can't tell now\n");
    let Some(snapshot) = view.ask().await else { return unable() };
    let made = tokio::task::spawn_blocking(move || HttpResponse::json(&show(&snapshot))).await;
    made.unwrap_or_else(|_| unable())
}

struct MasterEdge {
    registry: Box<dyn Registry>,
    metrics: MasterMetrics,
    view: Arc<View>,
    /// Set when the actor starts.
    shell: Option<ShellHandle<Input>>,
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
        self.view.begin(shell.clone());
        self.shell = Some(shell.clone());
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::ToScheduler { to, event } => {
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
            Output::Link { pid } => me.link(&pid),
            Output::Unlink { pid } => me.unlink(&pid),
            Output::Answer { .. } | Output::Changed(_) => {}
            Output::Apply { operation } => {
                let shell = self.shell.clone();
                let done = move |operation| {
                    if let Some(shell) = shell {
                        tokio::spawn(async move {
                            // An error means that the master has ended.
                            let _ = shell.feed(Input::Applied { operation }).await;
                        });
                    }
                };
                self.registry.apply(operation, Box::new(done));
            }
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }

    fn after(&mut self, machine: &Master, now: Time) {
        self.metrics.update(machine, now);
        self.view.serve(|| Snapshot::take(machine, now));
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
