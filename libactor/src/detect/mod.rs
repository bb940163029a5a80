//! Who leads a group of nodes, and how others find out.
//!
//! Each node of the group has an actor that knows who leads. Whoever wants to know sends it [`Watch`] and is answered with
//! [`Leads`], at once and at each change, until it is gone; who watches again is answered again. A watcher watches all nodes of
//! the group that it knows: when one freezes, the others say who took its place.
//!
//! The [`Detector`] is that watcher, as plain data; [`spawn`] runs one behind an actor. [`announce`] starts an actor that tells
//! watchers what it is told itself. For each node that it knows:
//!
//! ```text
//!            due              found: Link, Watch           Leads
//!  Waiting ───────► Resolving ───────────────────► Watching ─────► heard
//!     ▲                │ not found                    │ gone        │ gone
//!     └── 50 ms … 1 s ─┴──────────────────────────────┴─────────────┘
//! ```
//!
//! What it believes:
//! - the newest epoch that any node has named. What is older is ignored, as long as any node that was heard is still there;
//! - a node's word about itself: the leader's own node says when it leads no more. That the others say `None` in its epoch
//!   means that they have not heard yet;
//! - a leader is detected when its own node has been heard, and until that node is gone: nobody could speak to it otherwise.
//!
//! Epochs are part of what is detected: an actor that leads again has forgotten what it knew when it led before.
//!
//! A simulated host, or any other driver of machines, runs a `Detector` beside its own machine:
//!
//! ```
//! use libactor::detect::{Address, Detector, Input, Leader, Leads, Output, Watch};
//! use libactor::{Machine, Pid, Time};
//!
//! /// What travels in that world.
//! enum Message {
//!     Watch(Watch),
//!     Leads(Leads),
//! }
//!
//! struct AgentHost {
//!     detector: Detector,
//!     leader: Option<Leader>,
//! }
//!
//! impl AgentHost {
//!     fn new(seed: u64, now: Time) -> Self {
//!         let masters = Address::list("10.0.0.1:5050,10.0.0.2:5050").expect("these are addresses");
//!         Self { detector: Detector::new("masters", masters, seed, now), leader: None }
//!     }
//!
//!     /// A message has come; also an exit, as `Input::Exited`, beside what it means to the other machine.
//!     fn message(&mut self, now: Time, from: Pid, message: Message, send: &mut dyn FnMut(&Pid, Message)) {
//!         if let Message::Leads(leads) = message {
//!             let mut out = Vec::new();
//!             self.detector.handle(now, Input::Leads { from, leads }, &mut out);
//!             self.carry_out(out, send);
//!         }
//!     }
//!
//!     /// Asked after every call, together with the other machine's.
//!     fn deadline(&self) -> Option<Time> {
//!         self.detector.deadline()
//!     }
//!
//!     /// The first tick is due at once: it begins.
//!     fn tick(&mut self, now: Time, send: &mut dyn FnMut(&Pid, Message)) {
//!         let mut out = Vec::new();
//!         self.detector.tick(now, &mut out);
//!         self.carry_out(out, send);
//!     }
//!
//!     fn carry_out(&mut self, out: Vec<Output>, send: &mut dyn FnMut(&Pid, Message)) {
//!         for output in out {
//!             match output {
//!                 Output::Watch { to } => send(&to, Message::Watch(Watch)),
//!                 Output::Link { pid: _ } | Output::Unlink { pid: _ } => { /* cx.link(&pid), cx.unlink(&pid) */ }
//!                 Output::Resolve { .. } => unreachable!("IP addresses are not looked up"),
//!                 // Hand it to the other machine: `agent::core::Input::MasterDetected`.
//!                 Output::Detected(leader) => self.leader = leader,
//!             }
//!         }
//!     }
//! }
//!
//! let now = Time::default();
//! let mut host = AgentHost::new(1, now);
//! let mut sent = Vec::new();
//! host.tick(now, &mut |to, _| sent.push(to.clone()));
//! assert_eq!(sent.len(), 2);
//! let leader: Pid = "master@10.0.0.2:5050".parse().unwrap();
//! let leads = Leads { epoch: 3, leader: Some(leader.clone()), members: Vec::new() };
//! host.message(now, sent[1].clone(), Message::Leads(leads), &mut |_, _| {});
//! assert_eq!(host.leader, Some(Leader { pid: leader, epoch: 3 }));
//! ```
//!
//! Who links to the leading actor itself takes care that its own [`Unlink`](Output::Unlink)s and the detector's name different
//! actors; they do, as the actor that tells who leads is never the one that leads.

mod actor;
mod address;
mod announcer;
mod belief;
mod detector;
mod place;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::Pid;

pub use actor::{resolve, spawn};
pub use address::{Address, AddressError};
pub use announcer::{Announce, Announced, Announcer, AnnouncerHandle, announce};
pub use detector::{Detector, Input, Output};

/// Tell me who leads, now and at each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "libactor.detect.Watch")]
pub struct Watch;

/// Who leads, as far as the sender knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "libactor.detect.Leads")]
pub struct Leads {
    /// Grows with each leader: what has a smaller one is older news.
    pub epoch: u64,
    /// The leading actor; `None`: nobody leads in this epoch yet, or any more.
    pub leader: Option<Pid>,
    /// Where else to ask: the nodes of the group, as `host:port`.
    pub members: Vec<String>,
}

/// A leader that was detected. Another epoch is another lead, also of the same actor: it begins without what the earlier one was
/// told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The leading actor.
    pub pid: Pid,
    /// Of its lead.
    pub epoch: u64,
}
