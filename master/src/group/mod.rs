//! A master as one of a group: its replica at work, and the master machine beside it while that replica leads.
//!
//! | part | what it does |
//! |---|---|
//! | [`Start`] | what a master is started with |
//! | [`GroupHandle`] | a master that runs |
//! | [`Call`], [`Answer`] | what operators' tools say to it |

mod handle;
mod messages;
mod start;

use libactor::{Node, SpawnError};
use tokio::sync::watch;

pub use handle::{Ended, GroupHandle};
pub use messages::{Answer, Call, MembersAnswer};
pub use start::{MasterStart, Start};

use crate::registry::InMemory;
use crate::replication::Disposition;
use crate::shell;

/// Starts a master on a node, within the node's `LocalSet`. The node's `delegate` should be [`NAME`](crate::NAME), so that
/// `/state` is found as well as `/master/state`.
///
/// # Errors
/// The node has a master already, or is shutting down.
pub fn start(node: &Node, start: Start) -> Result<GroupHandle, SpawnError> {
    let Start { master, seed, .. } = start;
    let MasterStart { config, flags, version, log_file, max_event_subscribers } = master;
    let registry = Box::new(InMemory::default());
    let start = shell::Start { config, seed, registry, flags, version, log_file, max_event_subscribers };
    let master = shell::start(node, start)?;
    // There are no elections yet: it leads.
    let (_, standing) = watch::channel(Disposition::Leading);
    let (end, ended) = watch::channel(None);
    tokio::task::spawn_local(async move { end.closed().await });
    let (_, leading) = watch::channel(Some(master));
    Ok(GroupHandle { node: node.clone(), standing, ended, leading })
}
