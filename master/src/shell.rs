//! The machine at work: an actor that feeds it, and what carries out what it asks for.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use libactor::shell::{self, Accept, Edge, ShellHandle};
use libactor::{Me, Pid, SpawnError, Time};
use protocol::messages::{AgentCall, SchedulerCall};

use crate::core::allocator::{AllocatorConfig, Hierarchical};
use crate::core::{Change, Input, Master, MasterConfig, Output};
use crate::edge::metrics::MasterMetrics;
use crate::edge::mirror::Mirror;
use crate::edge::undelivered::Substitute;
use crate::edge::{Api, Site, routes};
use crate::registry::{Operation, State};

/// The name of the master's actor.
pub const NAME: &str = "master";

/// Messages that wait for the master; a sender that can wait does so beyond it. Ours: some seconds of work.
const MAILBOX: usize = 64 * 1024;

/// Where operations are made durable.
pub(crate) trait Registry {
    /// Takes an operation; it is reported as [`Input::Applied`] when it is durable, in the order of the calls.
    fn apply(&mut self, operation: Operation);

    /// A turn has ended: what was taken in it can go on together.
    fn flush(&mut self);
}

/// Ends the process for a reason.
pub(crate) type GiveUp = Box<dyn Fn(String)>;

/// What a master machine begins with.
pub(crate) struct Begin<'a> {
    pub(crate) site: &'a Site,
    pub(crate) config: MasterConfig,
    /// Differs from lead to lead: the master's identity comes from it.
    pub(crate) seed: u64,
    /// All that the registry holds.
    pub(crate) state: &'a State,
    pub(crate) registry: Box<dyn Registry>,
    /// Ends the process, so that another master leads.
    pub(crate) give_up: GiveUp,
    pub(crate) metrics: Rc<RefCell<MasterMetrics>>,
    pub(crate) max_event_subscribers: usize,
}

/// A master machine at work.
pub(crate) struct Begun {
    pub(crate) api: Arc<Api>,
    pub(crate) shell: ShellHandle<Input>,
}

/// Starts a master machine as the actor [`NAME`], in the place of the one that has the name.
///
/// # Errors
/// The node is shutting down.
pub(crate) fn begin(begin: Begin<'_>) -> Result<Begun, SpawnError> {
    let Begin { site, mut config, seed, state, registry, give_up, metrics, max_event_subscribers } = begin;
    config.pid = site.node.pid(NAME).to_string();
    let allocator_config =
        AllocatorConfig { allocation_interval: config.allocation_interval, ..config.allocator.clone() };
    let allocator = Box::new(Hierarchical::new(allocator_config, seed));
    let api = Api::new(site, true, max_event_subscribers);
    let now = site.node.clock().now();
    let mut machine = Master::new(config, seed, now, allocator);
    machine.recover(now, state);
    let edge = MasterEdge {
        give_up,
        registry,
        metrics,
        mirror: Mirror::new(&machine, now),
        changes: Vec::new(),
        api: api.clone(),
        shell: None,
    };
    let (_, shell) = shell::spawn_in_place(&site.node, NAME, machine, edge, |install| {
        install.mailbox(MAILBOX);
        install.message::<SchedulerCall>();
        install.message::<AgentCall>();
        routes::install(install, &api);
    })?;
    Ok(Begun { api, shell })
}

struct MasterEdge {
    give_up: GiveUp,
    registry: Box<dyn Registry>,
    metrics: Rc<RefCell<MasterMetrics>>,
    mirror: Mirror,
    /// Of this turn, for those who watch.
    changes: Vec<Change>,
    api: Arc<Api>,
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
                self.metrics.borrow_mut().note(&change);
                self.changes.push(change);
            }
            Output::Apply { operation } => self.registry.apply(operation),
            Output::GiveUp { reason } => (self.give_up)(reason),
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }

    fn after(&mut self, machine: &Master, now: Time) {
        self.registry.flush();
        self.metrics.borrow_mut().update(machine, &mut self.mirror, now);
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
