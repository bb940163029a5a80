//! What the replica asks for, carried out: messages to other replicas, its disk, the master machine beside it.

use std::sync::Arc;

use libactor::detect::Watch;
use libactor::shell::{Accept, Edge, ShellHandle};
use libactor::{Counter, Feeder, Me, Pid, Time};
use tokio::sync::{mpsc, watch};

use super::callers::{self, Callers};
use super::handle::Ended;
use super::lookups::Lookups;
use super::messages::Call;
use super::metrics::ReplicaMetrics;
use super::seat::Seat;
use crate::disk::{DiskEvent, Storage};
use crate::edge::leader::Leader;
use crate::edge::masters::Questions;
use crate::replication::{Disposition, Input, Output, Parcel, Replica};

/// Reports of the disk that are taken at a time.
const EVENTS_A_TURN: usize = 64;

/// The world of a replica.
pub(super) struct GroupEdge {
    pub(super) seat: Seat,
    pub(super) storage: Box<dyn Storage>,
    /// Until the actor starts.
    pub(super) events: Option<mpsc::Receiver<DiskEvent>>,
    pub(super) feeder: Arc<Feeder<Input>>,
    /// Over HTTP.
    pub(super) questions: Arc<Questions>,
    /// Of actors.
    pub(super) callers: Callers,
    pub(super) lookups: Lookups,
    pub(super) metrics: ReplicaMetrics,
    pub(super) lost: Counter,
    /// `ip:port` of this master: clients reach it where agents do, whether its name can be looked up or not.
    pub(super) own: String,
    /// For HTTP.
    pub(super) leader: watch::Sender<Leader>,
    /// For the process.
    pub(super) standing: watch::Sender<Disposition>,
    pub(super) end: watch::Sender<Option<Ended>>,
    /// Set when the actor starts.
    pub(super) shell: Option<ShellHandle<Input>>,
}

impl GroupEdge {
    /// The process must end: nothing more is promised here.
    fn end(&mut self, message: String, failed: bool, me: &Me) {
        if failed {
            tracing::error!("{message}");
        } else {
            tracing::info!("{message}");
        }
        tell_end(&self.end, Ended { message, failed });
        self.seat.end();
        me.stop();
    }

    /// Says who leads, where that is another one than before.
    fn say_who_leads(&mut self, replica: &Replica) {
        let disposition = replica.disposition();
        let as_before = *disposition == *self.standing.borrow();
        if as_before && *disposition != Disposition::Leaderless {
            return;
        }
        let known = match disposition {
            Disposition::Leading => Leader::Here(self.own.clone()),
            Disposition::Following { leader } => Leader::Elsewhere(leader.address().to_string()),
            Disposition::Leaderless => {
                let status = replica.status();
                if status.leader == Some(status.id) { Leader::Here(self.own.clone()) } else { Leader::Nobody }
            }
        };
        self.leader.send_if_modified(|before| replace(before, known));
        let disposition = disposition.clone();
        if self.standing.send_if_modified(|before| replace(before, disposition.clone())) {
            self.metrics.leader_changed(&disposition);
        }
    }
}

/// The first that says it is heard.
pub(super) fn tell_end(end: &watch::Sender<Option<Ended>>, why: Ended) {
    end.send_if_modified(|before| {
        let first = before.is_none();
        before.get_or_insert(why);
        first
    });
}

fn replace<T: PartialEq>(before: &mut T, now: T) -> bool {
    let changed = *before != now;
    *before = now;
    changed
}

impl Edge<Replica> for GroupEdge {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.shell = Some(shell.clone());
        self.feeder.open(shell.clone());
        if let Some(events) = self.events.take() {
            tokio::task::spawn_local(report(events, shell.clone()));
        }
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::Send { to, parcel } => {
                if let Err(error) = me.tell(&to, parcel) {
                    // Raft repeats what matters.
                    tracing::debug!(%to, %error, "a message to another master can't be sent");
                    self.lost.increment();
                }
            }
            Output::Link { pid } => me.link(&pid),
            Output::Unlink { pid } => me.unlink(&pid),
            Output::Resolve { id, address } => {
                if let Some(shell) = &self.shell {
                    self.lookups.start(id, address, shell);
                }
            }
            Output::Persist(persist) => self.storage.persist(persist),
            Output::SaveSnapshot(snapshot) => self.storage.save(snapshot),
            Output::Compact { before } => self.storage.compact(before),
            Output::SendPiece { to, parcel, index, offset } => {
                self.storage.read_piece(to, parcel, index, offset);
            }
            Output::Lead { term, state } => {
                if let Some(shell) = &self.shell {
                    self.seat.lead(term, &state, shell);
                }
            }
            Output::Deposed { term } => self.seat.deposed(term),
            Output::Committed { term, operations } => self.seat.committed(term, operations),
            Output::Refused { operation, reason, .. } => {
                tracing::debug!(?operation, "refused");
                let message = format!("The registry does not take what this master must store: {reason}");
                self.end(message, true, me);
            }
            // Told at the end of the turn.
            Output::Standing(_) => {}
            Output::Leads { to, leads } => {
                if let Err(error) = me.tell(&to, leads) {
                    tracing::warn!(%to, %error, "who leads can't be told");
                    self.lost.increment();
                }
            }
            Output::Answer { ask, answer } => {
                if let Some(answer) = self.callers.answer(ask, answer, me) {
                    self.questions.answer(ask, answer);
                }
            }
            Output::End { message, failed } => self.end(message, failed, me),
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }

    fn after(&mut self, replica: &Replica, now: Time) {
        self.say_who_leads(replica);
        self.metrics.update(replica, now);
    }

    fn stopped(&mut self, _: &Replica) {
        // The first word counts; one that panics has none.
        if !std::thread::panicking() {
            tell_end(&self.end, Ended { message: "The master was stopped".to_owned(), failed: false });
        }
        self.feeder.close();
        self.questions.close();
        self.seat.end();
        self.leader.send_replace(Leader::Nobody);
        self.standing.send_replace(Disposition::Leaderless);
    }
}

impl Accept<Parcel, Replica> for GroupEdge {
    fn input(&mut self, from: Pid, parcel: Parcel) -> Option<Input> {
        Some(Input::Peer { from, parcel })
    }
}

impl Accept<Watch, Replica> for GroupEdge {
    fn input(&mut self, from: Pid, _: Watch) -> Option<Input> {
        Some(Input::Watch { from })
    }
}

impl Accept<Call, Replica> for GroupEdge {
    fn input(&mut self, from: Pid, call: Call) -> Option<Input> {
        match self.callers.open(from.clone(), call) {
            Ok(input) => Some(input),
            Err(refusal) => {
                if let Some(shell) = &self.shell {
                    callers::tell(shell.me(), &from, refusal.number, refusal.answer);
                }
                None
            }
        }
    }
}

/// Tells the replica what its disk reports, in order.
async fn report(mut events: mpsc::Receiver<DiskEvent>, shell: ShellHandle<Input>) {
    let mut fresh = Vec::new();
    while events.recv_many(&mut fresh, EVENTS_A_TURN).await > 0 {
        for event in fresh.drain(..) {
            let input = match event {
                DiskEvent::Persisted(number) => Input::Persisted { number },
                DiskEvent::Saved(index, bytes) => Input::SnapshotSaved { index, bytes },
                DiskEvent::Failed(message) => Input::DiskFailed { message },
                DiskEvent::Piece(to, parcel) => {
                    if let Err(error) = shell.me().tell(&to, parcel) {
                        // It is asked for again.
                        tracing::debug!(%to, %error, "a piece of a snapshot can't be sent");
                    }
                    continue;
                }
            };
            if shell.feed(input).await.is_err() {
                return;
            }
        }
    }
    // As long as the replica has its disk, that has something to report with.
    let message = "The thread of the disk has ended".to_owned();
    // An error means that the replica has ended, and its disk with it.
    let _ = shell.feed(Input::DiskFailed { message }).await;
}
