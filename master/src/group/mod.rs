//! A master as one of a group: its replica at work, and the master machine beside it while that replica leads.
//!
//! ```text
//!   actor `masters`: edge ── Replica ── disk, other replicas, operators, who looks for the leader
//!                     │ Lead, Deposed, Committed                       ▲ Propose
//!                     ▼                                                │
//!   actor `master`:  seat ── standby, or the shell of the master machine ── lanes
//! ```
//! | part | what it does |
//! |---|---|
//! | [`Start`], [`GroupHandle`] | what a master is started with, and how its process sees it |
//! | `edge` | carries out what the replica asks for |
//! | `seat`, `standby` | who has the name `master` |
//! | `replicated`, `lane` | operations on their way to the replica and back |
//! | [`Call`], [`Answer`], `callers` | what operators' tools ask, and are answered |
//! | `lookups`, `metrics` | addresses of names; numbers |

mod callers;
mod edge;
mod handle;
mod lane;
mod lookups;
mod messages;
mod metrics;
mod replicated;
mod seat;
mod standby;
mod start;

use std::sync::Arc;

use libactor::detect::Watch;
use libactor::{Clock, Feeder, Node, SpawnError, shell};
use tokio::sync::watch;

pub use handle::{Ended, GroupHandle};
pub use messages::{Answer, Call, MembersAnswer};
pub use start::{MasterStart, Start};

use crate::edge::about::About;
use crate::edge::leader::Leader;
use crate::edge::masters::Questions;
use crate::edge::{Site, masters};
use crate::replication::{self, Disposition, Input, Parcel, Replica};
use crate::shell::NAME;
use callers::Callers;
use edge::GroupEdge;
use lookups::Lookups;
use metrics::{ReplicaMetrics, Store};
use seat::Seat;

/// Messages that wait for the replica; a sender that can wait does so beyond it. Ours: some seconds of work.
const MAILBOX: usize = 16 * 1024;

/// Starts a master on a node, within the node's `LocalSet`. The node's `delegate` should be [`NAME`], so that `/state` is
/// found as well as `/master/state`.
///
/// # Errors
/// The node has a master already, or is shutting down.
pub fn start(node: &Node, start: Start) -> Result<GroupHandle, SpawnError> {
    start_with_clock(node, start, node.clock().clone())
}

/// As [`start`], with a replica whose times are measured with another clock than the node's: a test that stops the node's time
/// does not want the masters to lose sight of one another.
///
/// # Errors
/// As there.
pub fn start_with_clock(node: &Node, start: Start, clock: Clock) -> Result<GroupHandle, SpawnError> {
    let Start { replica, recovered, storage, events, master, seed } = start;
    let MasterStart { config, flags, version, log_file, max_event_subscribers } = master;
    let (leader, known) = watch::channel(Leader::Nobody);
    let (standing, stands) = watch::channel(Disposition::Leaderless);
    let (lead, leading) = watch::channel(None);
    let (end, ended) = watch::channel(None);
    let about = About { version, flags, started_at: node.clock().now(), log_file };
    let own = node.address().to_string();
    let site = Site::new(node, about, known);
    let store = Store::new(node.metrics());
    let seat = Seat::new(site, config, max_event_subscribers, seed, store, lead, end.clone())?;
    let feeder: Arc<Feeder<Input>> = Arc::default();
    let questions = Questions::new(feeder.clone(), node.metrics().gauge("masters/open_questions"));
    let questions = Arc::new(questions);
    let edge = GroupEdge {
        seat,
        storage,
        events: Some(events),
        feeder,
        questions: questions.clone(),
        callers: Callers::default(),
        lookups: Lookups::new(),
        metrics: ReplicaMetrics::new(node.metrics()),
        lost: node.metrics().counter("masters/dropped_messages"),
        own,
        leader,
        standing,
        end,
        shell: None,
    };
    let machine = Replica::new(replica, recovered, seed, clock.now());
    let spawned = shell::spawn(node, replication::NAME, machine, edge, |install| {
        install.clock(clock);
        install.mailbox(MAILBOX);
        install.message::<Parcel>();
        install.message::<Watch>();
        install.message::<Call>();
        masters::install(install, &questions);
    });
    if let Err(error) = spawned.and_then(|_| masters::serve_as_registrar(node, &questions)) {
        node.stop(replication::NAME);
        node.stop(NAME);
        return Err(error);
    }
    Ok(GroupHandle { node: node.clone(), standing: stands, ended, leading, questions })
}
