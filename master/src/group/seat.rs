//! The name `master` on a node, and who has it: the master machine while its replica leads, else a standby.
//!
//! One takes the place of the other within one step of the replica's shell. So however fast leads follow one another, each has
//! a machine, lanes and a registry of its own, and what belongs to one that is over reaches nobody.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use libactor::{Random, ShellHandle, SpawnError};
use tokio::sync::watch;

use super::edge::tell_end;
use super::handle::Ended;
use super::lane::Lane;
use super::metrics::Store;
use super::replicated::{self, Replicated};
use super::standby;
use crate::core::MasterConfig;
use crate::edge::metrics::MasterMetrics;
use crate::edge::{Api, Site};
use crate::registry::{Operation, State};
use crate::replication;
use crate::shell::{self, Begin, Begun, GiveUp, NAME};

/// Who has the name.
pub(super) struct Seat {
    site: Site,
    config: MasterConfig,
    max_event_subscribers: usize,
    /// Each lead has a seed of its own.
    seeds: Random,
    metrics: Rc<RefCell<MasterMetrics>>,
    store: Store,
    lead: Option<Lead>,
    /// What the one that leads is asked by; for the process.
    leading: watch::Sender<Option<Arc<Api>>>,
    /// For the process: that it must end.
    end: watch::Sender<Option<Ended>>,
}

/// A lead that is not over.
struct Lead {
    term: u64,
    api: Arc<Api>,
    proposals: Lane<Operation>,
    committed: Lane<Operation>,
}

impl Seat {
    /// With a standby.
    ///
    /// # Errors
    /// As [`libactor::Node::spawn`].
    pub(super) fn new(
        site: Site,
        config: MasterConfig,
        max_event_subscribers: usize,
        seed: u64,
        store: Store,
        leading: watch::Sender<Option<Arc<Api>>>,
        end: watch::Sender<Option<Ended>>,
    ) -> Result<Self, SpawnError> {
        standby::start(&site)?;
        let metrics = MasterMetrics::new(site.node.metrics(), site.about.started_at);
        Ok(Self {
            config,
            max_event_subscribers,
            seeds: Random::new(seed),
            metrics: Rc::new(RefCell::new(metrics)),
            store,
            lead: None,
            leading,
            end,
            site,
        })
    }

    /// A master machine begins with this registry.
    pub(super) fn lead(&mut self, term: u64, state: &State, replica: &ShellHandle<replication::Input>) {
        self.leave();
        let clock = self.site.node.clock().clone();
        let begun_at = clock.now();
        let (proposals, committed) = (Lane::new(), Lane::new());
        let registry = Replicated::new(proposals.clone(), self.store.clone(), clock.clone());
        let begin = Begin {
            site: &self.site,
            config: self.config.clone(),
            seed: self.seeds.next_u64(),
            state,
            registry: Box::new(registry),
            give_up: self.give_up(),
            metrics: self.metrics.clone(),
            max_event_subscribers: self.max_event_subscribers,
        };
        let Begun { api, shell } = match shell::begin(begin) {
            Ok(begun) => begun,
            Err(error) => {
                tracing::info!(term, %error, "elected, but this master is ending");
                return;
            }
        };
        tokio::task::spawn_local(replicated::propose(term, proposals.clone(), replica.clone()));
        tokio::task::spawn_local(replicated::apply(committed.clone(), shell));
        let took: Duration = clock.now().since(begun_at);
        self.store.fetched(took);
        tracing::info!(term, agents = state.admitted.len(), ?took, "the master machine has begun");
        self.leading.send_replace(Some(api.clone()));
        self.lead = Some(Lead { term, api, proposals, committed });
    }

    /// What a master machine ends its process with. Its replica ends at once, so that another one leads.
    fn give_up(&self) -> GiveUp {
        let (end, node) = (self.end.clone(), self.site.node.clone());
        Box::new(move |reason| {
            let message = format!("This master gives up leading: {reason}");
            tracing::error!("{message}");
            tell_end(&end, Ended { message, failed: true });
            // `false` means that it has ended already.
            let _ = node.stop(replication::NAME);
        })
    }

    /// The lead of that term is over: its machine is told nothing more, and a standby has its place.
    pub(super) fn deposed(&mut self, term: u64) {
        if self.lead.as_ref().is_some_and(|lead| lead.term == term) {
            tracing::info!(term, "this master leads no more");
            self.leave();
            if let Err(error) = standby::take_place(&self.site) {
                tracing::debug!(%error, "no standby: this master is ending");
            }
        }
    }

    /// These operations of the lead of that term are in the registry.
    pub(super) fn committed(&mut self, term: u64, operations: Vec<Operation>) {
        if let Some(lead) = self.lead.as_ref().filter(|lead| lead.term == term) {
            self.store.stored(operations.len(), self.site.node.clock().now());
            lead.committed.put(operations);
        }
    }

    /// No lead is any more, and none follows: nobody has the name.
    pub(super) fn end(&mut self) {
        self.leave();
        // `false` means that it has ended already.
        let _ = self.site.node.stop(NAME);
    }

    fn leave(&mut self) {
        if let Some(lead) = self.lead.take() {
            self.leading.send_replace(None);
            lead.proposals.close();
            lead.committed.close();
            lead.api.close();
            self.metrics.borrow_mut().reset();
            self.store.reset();
        }
    }
}

#[cfg(test)]
mod tests;
