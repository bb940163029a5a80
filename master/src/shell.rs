//! The machine at work: an actor that feeds it, and what carries out what it asks for.

use std::collections::BTreeMap;

use libactor::shell::{self, Accept, Edge, ShellHandle};
use libactor::{Me, Node, Pid, SpawnError};
use protocol::Role;
use protocol::messages::{AgentCall, SchedulerCall};

use crate::core::allocator::{Allocator as _, AllocatorConfig, Hierarchical};
use crate::core::{Input, Master, MasterConfig, Output};
use crate::registry::{InMemory, Registry};

/// The name of the master's actor.
pub const ACTOR: &str = "master";

/// What a master is started with.
#[derive(Debug)]
pub struct Start {
    /// The machine's settings.
    pub config: MasterConfig,
    /// The allocator's.
    pub allocator: AllocatorConfig,
    /// Weights of roles, in thousandths.
    pub weights: BTreeMap<Role, u64>,
    /// Differs from start to start: ids come from it.
    pub seed: u64,
}

impl Start {
    /// With the allocator's defaults, no weights and a fixed seed.
    pub fn new(config: MasterConfig) -> Self {
        Self { config, allocator: AllocatorConfig::default(), weights: BTreeMap::new(), seed: 1 }
    }
}

/// A master that runs.
#[derive(Clone, Debug)]
pub struct MasterHandle {
    pid: Pid,
}

impl MasterHandle {
    /// Its actor.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }
}

/// Starts a master on a node.
///
/// # Errors
/// The name is taken.
pub fn start(node: &Node, start: Start) -> Result<MasterHandle, SpawnError> {
    let mut allocator = Hierarchical::new(start.allocator, start.seed);
    allocator.set_weights(&start.weights);
    let machine = Master::new(start.config, start.seed, node.clock().now(), Box::new(allocator));
    let edge = MasterEdge { registry: InMemory::default(), shell: None };
    let (pid, _) = shell::spawn(node, ACTOR, machine, edge, |install| {
        install.mailbox(1 << 20);
        install.message::<SchedulerCall>();
        install.message::<AgentCall>();
    })?;
    Ok(MasterHandle { pid })
}

struct MasterEdge {
    registry: InMemory,
    shell: Option<ShellHandle<Input>>,
}

impl Edge<Master> for MasterEdge {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.shell = Some(shell.clone());
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::ToScheduler { to, event } => {
                if let Err(error) = me.tell(&to, event) {
                    tracing::warn!(%error, "scheduler");
                }
            }
            Output::ToAgent { to, event } => {
                if let Err(error) = me.tell(&to, event) {
                    tracing::warn!(%error, "agent");
                }
            }
            Output::Link { pid } => me.link(&pid),
            Output::Unlink { pid } => me.unlink(&pid),
            Output::Apply { operation } => {
                if let Some(shell) = self.shell.clone() {
                    self.registry.apply(operation, Box::new(move |operation| {
                        drop(shell.try_feed(Input::Applied { operation }));
                    }));
                }
            }
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
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
