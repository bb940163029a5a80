//! The detector at work: an actor that feeds it, and what carries out what it asks for.

use std::net::SocketAddr;

use tokio::sync::watch;

use super::{Address, Detector, Input, Leader, Leads, Output, Watch};
use crate::shell::{self, Accept, Edge, ShellHandle};
use crate::{Me, Node, Pid, SpawnError, entropy};

/// Starts an actor called `name` that finds out who leads: it asks the actors called `watched` on these nodes, and on those of
/// the group that it hears of. It ends when nobody holds the receiver any more, or with the node.
///
/// # Errors
/// As [`Node::spawn`].
///
/// # Panics
/// If there are more than [`DETECT_ADDRESSES`](crate::limits::DETECT_ADDRESSES) nodes.
pub fn spawn(
    node: &Node,
    name: &str,
    watched: &str,
    nodes: Vec<Address>,
) -> Result<watch::Receiver<Option<Leader>>, SpawnError> {
    let now = node.clock().now();
    // Only waits depend on it: without randomness the time is good enough.
    let seed = entropy().map_or(now.as_nanos(), |bits| bits as u64);
    let (sender, receiver) = watch::channel(None);
    let edge = DetectorEdge { sender, shell: None };
    shell::spawn(node, name, Detector::new(watched, nodes, seed, now), edge, |install| {
        install.message::<Leads>();
    })?;
    Ok(receiver)
}

struct DetectorEdge {
    sender: watch::Sender<Option<Leader>>,
    /// Set when the actor starts.
    shell: Option<ShellHandle<Input>>,
}

impl Edge<Detector> for DetectorEdge {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.shell = Some(shell.clone());
        let (sender, me) = (self.sender.clone(), shell.me().clone());
        me.node().clone().spawn_task(async move {
            tokio::select! {
                () = sender.closed() => me.stop(),
                () = me.entry.mailbox.closed() => {}
            }
        });
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::Watch { to } => {
                if let Err(error) = me.tell(&to, Watch) {
                    tracing::debug!(%to, %error, "can't be asked who leads");
                }
            }
            Output::Link { pid } => me.link(&pid),
            Output::Unlink { pid } => me.unlink(&pid),
            Output::Resolve { index, address } => {
                let Some(shell) = self.shell.clone() else { return };
                me.node().spawn_task(async move {
                    let result = resolve(&address).await;
                    // The actor has ended if there is nobody to take it.
                    let _ = shell.feed(Input::Resolved { index, result }).await;
                });
            }
            Output::Detected(leader) => {
                self.sender.send_replace(leader);
            }
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }
}

impl Accept<Leads, Detector> for DetectorEdge {
    fn input(&mut self, from: Pid, leads: Leads) -> Option<Input> {
        Some(Input::Leads { from, leads })
    }
}

/// Where a node may be: IPv4 first.
///
/// # Errors
/// Why that is not known.
///
/// # Cancel safety
/// Dropping it is all that is needed.
pub async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, String> {
    if let Some(ip) = address.ip() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let mut found: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.dedup();
    Ok(found)
}
