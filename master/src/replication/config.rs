//! Settings of a replica.

use std::time::Duration;

use libactor::Pid;

/// Settings of a replica. The defaults are for one network with round trips of a few milliseconds: a leader that is gone is
/// missed after 250 to 500 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// Its own actor, `masters@ip:port`.
    pub pid: Pid,
    /// The actor of the master machine beside it, `master@ip:port`.
    pub master: Pid,
    /// For people.
    pub hostname: String,
    /// Of the program.
    pub version: String,
    /// Raft's unit of time.
    pub tick: Duration,
    /// A follower that hears nothing of a leader for this many ticks, up to twice as many, asks for votes.
    pub election_ticks: usize,
    /// Between two signs of life of a leader.
    pub heartbeat_ticks: usize,
    /// A snapshot is taken when so many entries follow the last one, or so many bytes.
    pub snapshot_entries: u64,
    /// As above.
    pub snapshot_bytes: u64,
    /// Entries kept behind a snapshot, for followers that lag a little.
    pub kept_entries: u64,
}

impl ReplicaConfig {
    /// The defaults, for a replica at this address.
    pub fn new(pid: Pid, master: Pid) -> Self {
        Self {
            pid,
            master,
            hostname: "localhost".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tick: Duration::from_millis(25),
            election_ticks: 10,
            heartbeat_ticks: 2,
            snapshot_entries: 10_000,
            snapshot_bytes: 32 << 20,
            kept_entries: 5_000,
        }
    }
}
