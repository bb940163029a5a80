//! Opens what a master keeps, or begins it: its directory, or memory.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use master::disk::{self, DiskError, DiskEvent, Memory, Sled, Storage};
use master::registry::DiskId;
use master::replication::{Identity, Recovered};
use protocol::Uuid;
use tokio::sync::mpsc;

use super::super::{Failure, daemon, look};
use super::member::{Begin, Plan};
use crate::flags::{FlagError, Flags};

/// Reports of a disk that may wait for the replica. Ours: each turn makes one or two.
const MAX_EVENTS: usize = 1024;

/// What a replica begins with, and where it is kept.
pub struct Begun {
    /// What is kept there.
    pub recovered: Recovered,
    /// Where what follows is kept.
    pub storage: Box<dyn Storage>,
    /// What is reported of it.
    pub events: mpsc::Receiver<DiskEvent>,
    /// Whether it had nothing: this is the master's first life.
    pub first: bool,
    /// Where it is, for people.
    pub place: String,
}

/// Opens the replica of a work directory, or begins it as planned; `own` is the `host:port` of a master that begins alone.
///
/// # Errors
/// The directory can't be used, is damaged, or is another master's than `--id` says.
pub fn open(flags: &Flags, plan: &Plan, work_dir: &Path, own: &str) -> Result<Begun, Failure> {
    if flags.text("registry") == Some("in_memory") {
        return in_memory(plan, own);
    }
    let directory = disk::directory(work_dir);
    if let Some(identity) = disk::identity(&directory) {
        check(flags, plan, &identity, work_dir)?;
    }
    let (sender, events) = mpsc::channel(MAX_EVENTS);
    let first = Cell::new(false);
    let begin = |disk| {
        first.set(true);
        plan.first_life(disk, own)
    };
    look::at("master", &directory, false).map_err(DiskError::from)?;
    let (sled, recovered) = Sled::open(&directory, begin, new_disk()?, sender)?;
    check(flags, plan, &recovered.identity, work_dir)?;
    let (storage, place) = (Box::new(sled), directory.display().to_string());
    Ok(Begun { recovered, storage, events, first: first.get(), place })
}

/// A master that forgets everything at its end.
///
/// # Errors
/// The system has no randomness to give.
pub fn in_memory(plan: &Plan, own: &str) -> Result<Begun, Failure> {
    let (sender, events) = mpsc::channel(MAX_EVENTS);
    let recovered = plan.first_life(new_disk()?, own);
    let storage = Box::new(Memory::new(sender).holding(recovered.snapshot.clone()));
    Ok(Begun { recovered, storage, events, first: true, place: "memory".to_owned() })
}

impl Plan {
    fn first_life(&self, disk: DiskId, own: &str) -> Recovered {
        let id = self.first_id();
        match &self.begin {
            Begin::Alone => Recovered::founders(id, disk, &BTreeMap::from([(id, own.to_owned())])),
            Begin::Founder(peers) => Recovered::founders(id, disk, peers),
            Begin::Newcomer(_) => Recovered::newcomer(id, disk, None),
        }
    }
}

/// A directory is one master's for good.
fn check(flags: &Flags, plan: &Plan, identity: &Identity, work_dir: &Path) -> Result<(), FlagError> {
    match plan.id {
        Some(id) if id != identity.id => {
            let (own, work_dir) = (identity.id, work_dir.display());
            Err(flags.refuse(
                "id",
                format!(
                    "work directory {work_dir} is master {own}'s; give --id={own}, or another --work_dir"
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// An id that no other disk has.
///
/// # Errors
/// The system has no randomness to give.
pub fn new_disk() -> Result<DiskId, Failure> {
    let (high, low) = (u128::from(daemon::seed()?), u128::from(daemon::seed()?));
    Ok(DiskId(Uuid::from_random(high << 64 | low)))
}
