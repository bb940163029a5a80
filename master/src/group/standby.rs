//! The actor `master` of a master that does not lead: it sends requests on to the one that does, and has no word for agents
//! and schedulers. Source: Mesos drops messages to a master that does not lead.

use std::sync::Arc;

use libactor::shell::{self, Accept, Edge, ShellInstall};
use libactor::{Counter, Machine, Me, Message, Node, Pid, SpawnError, Time};
use protocol::messages::{AgentCall, SchedulerCall};

use crate::edge::{Api, Site, routes};
use crate::shell::NAME;

/// Decides nothing.
struct Idle;

impl Machine for Idle {
    type Input = ();
    type Output = ();

    fn handle(&mut self, _: Time, (): (), _: &mut Vec<()>) {}

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn tick(&mut self, _: Time, _: &mut Vec<()>) {}
}

struct StandbyEdge {
    dropped: Counter,
}

impl Edge<Idle> for StandbyEdge {
    fn carry_out(&mut self, (): (), _: &Me) {}

    fn exited(&mut self, _: Pid) -> Option<()> {
        None
    }
}

impl<T: Message> Accept<T, Idle> for StandbyEdge {
    fn input(&mut self, from: Pid, _: T) -> Option<()> {
        tracing::debug!(%from, "a message for the leading master is dropped: this one does not lead");
        self.dropped.increment();
        None
    }
}

/// Starts one where the name is free.
///
/// # Errors
/// As [`Node::spawn`].
pub(super) fn start(site: &Site) -> Result<(), SpawnError> {
    let api = api(site);
    shell::spawn(&site.node, NAME, Idle, edge(&site.node), |all| install(all, &api)).map(drop)
}

/// Starts one in the place of the actor that has the name.
///
/// # Errors
/// The node is shutting down.
pub(super) fn take_place(site: &Site) -> Result<(), SpawnError> {
    let api = api(site);
    shell::spawn_in_place(&site.node, NAME, Idle, edge(&site.node), |all| install(all, &api)).map(drop)
}

/// Nobody watches a standby.
fn api(site: &Site) -> Arc<Api> {
    Api::new(site, false, 0)
}

fn edge(node: &Node) -> StandbyEdge {
    StandbyEdge { dropped: node.metrics().counter("master/dropped_messages") }
}

fn install(install: &mut ShellInstall<'_, Idle, StandbyEdge>, api: &Arc<Api>) {
    install.message::<SchedulerCall>();
    install.message::<AgentCall>();
    routes::install(install, api);
}
