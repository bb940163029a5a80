//! What a master is started with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use libactor::{Node, Random};
use protocol::Uuid;
use protocol::wire::common::VersionInfo;
use tokio::sync::mpsc;

use crate::core::MasterConfig;
use crate::disk::{DiskEvent, Memory, Storage};
use crate::edge::events::MAX_WATCHERS;
use crate::registry::{DiskId, MemberId};
use crate::replication::{self, Recovered, ReplicaConfig};
use crate::shell::NAME;

/// Reports of a disk that may wait for the replica. Ours.
const DISK_EVENTS: usize = 1024;

/// What the master machine and its edges are started with, each time that this master begins to lead.
#[derive(Clone, Debug)]
pub struct MasterStart {
    /// The machine's settings; `pid` is filled in.
    pub config: MasterConfig,
    /// The flags in effect, by name: what `/flags` shows.
    pub flags: BTreeMap<String, String>,
    /// What `/state` and GET_VERSION show.
    pub version: VersionInfo,
    /// Where the log is written, if to a file: served as `/master/log`.
    pub log_file: Option<PathBuf>,
    /// How many may watch the events of the operator API. `--max_operator_event_stream_subscribers`.
    pub max_event_subscribers: usize,
}

impl MasterStart {
    /// With these settings, and nothing of the rest.
    pub fn new(config: MasterConfig) -> Self {
        Self {
            config,
            flags: BTreeMap::new(),
            version: VersionInfo::new(env!("CARGO_PKG_VERSION")),
            log_file: None,
            max_event_subscribers: MAX_WATCHERS,
        }
    }
}

/// What a master is started with.
pub struct Start {
    /// The replica's settings.
    pub replica: ReplicaConfig,
    /// What its disk held.
    pub recovered: Recovered,
    /// Its disk.
    pub storage: Box<dyn Storage>,
    /// What its disk reports.
    pub events: mpsc::Receiver<DiskEvent>,
    /// For the times when it leads.
    pub master: MasterStart,
    /// Differs from start to start: elections and identities come from it.
    pub seed: u64,
}

impl Start {
    /// A master that is the only one of its cluster, and whose registry dies with it.
    pub fn alone(node: &Node, config: MasterConfig, seed: u64) -> Self {
        let (report, events) = mpsc::channel(DISK_EVENTS);
        let id = MemberId(1);
        let disk = DiskId(Uuid::from_random(Random::new(seed).next_u128()));
        let address = node.address().to_string();
        let mut replica = ReplicaConfig::new(node.pid(replication::NAME), node.pid(NAME));
        replica.hostname.clone_from(&config.hostname);
        replica.version.clone_from(&config.version);
        Self {
            replica,
            recovered: Recovered::founders(id, disk, &BTreeMap::from([(id, address)])),
            storage: Box::new(Memory::new(report)),
            events,
            master: MasterStart::new(config),
            seed,
        }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("replica", &self.replica).finish_non_exhaustive()
    }
}
