//! Finding the containers of an earlier life again. What the machine does not name is ended: its containers, whatever
//! runs in its cgroups, and whoever names a sandbox of its work directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use protocol::{ContainerId, Reason, Resources};

use super::isolation::{IsolationError, Known};
use super::process::Shared;
use super::records::ContainerRecord;
use super::running::Running;
use super::supervise::{attend, end, on_a_thread};
use super::{ContainerEvent, identity, leftovers};
use crate::core::{ContainerEnd, Found, Limitation};

/// What an earlier life has left.
struct Left {
    /// Named, and alive.
    kept: Vec<ContainerRecord>,
    /// All others, with what is known of them.
    ended: Vec<(ContainerId, Option<ContainerRecord>)>,
}

/// Looks after those that are named and live, ends all others, and says what was found.
pub(super) async fn recover(shared: Arc<Shared>, named: Vec<ContainerId>, rebooted: bool) {
    let named: BTreeSet<ContainerId> = named.into_iter().collect();
    let (other, wanted) = (shared.clone(), named.clone());
    let left = on_a_thread(move || survey(&other, &wanted, rebooted)).await;
    let mut found: BTreeMap<ContainerId, Found> = BTreeMap::new();
    let mut running = Vec::new();
    let mut ended = left.ended;
    for record in left.kept {
        let container_id = record.container_id.clone();
        match Running::open(record.clone()) {
            // It may have ended since it was looked for, and another one begun.
            Ok(process) if identity::lives(record.pid, record.began) => {
                shared.tree.recover(&container_id, record.pid);
                found.insert(container_id, Found::Running(record.pid as u32));
                running.push(process);
            }
            opened => {
                if let (Err(error), true) = (opened, identity::lives(record.pid, record.began)) {
                    tracing::error!(%container_id, %error, "a container can't be looked after: it is ended");
                }
                ended.push((container_id, Some(record)));
            }
        }
    }
    let count = ended.len();
    let endings = ended.into_iter().map(|(container_id, record)| {
        let (shared, wanted) = (shared.clone(), named.contains(&container_id));
        tokio::spawn(
            async move { (end_left(&shared, &container_id, record, wanted).await, container_id, wanted) },
        )
    });
    for ending in Vec::from_iter(endings) {
        let (end, container_id, wanted) = ending.await.expect("ending a container does not panic");
        if wanted {
            found.insert(container_id, Found::Ended(end));
        }
    }
    let (other, kept) = (shared.clone(), sandboxes(&running));
    let processes = on_a_thread(move || leftovers::kill_processes(&other.config.work_dir, &kept)).await;
    tracing::info!(
        running = running.len(),
        ended = count,
        processes,
        "what an earlier life has left was looked through"
    );
    // Their ends are told behind what was found.
    let handles: Vec<_> = running.iter().map(|process| shared.enter(&process.record.container_id)).collect();
    for named in named {
        found.entry(named).or_insert_with(|| Found::Ended(ContainerEnd::default()));
    }
    let failed = isolate_again(&shared, &running).await;
    shared.report(ContainerEvent::Recovered { containers: found }).await;
    for (process, handle) in running.into_iter().zip(handles) {
        let container_id = process.record.container_id.clone();
        if let Some(error) = failed.get(&container_id) {
            handle.limit(Limitation {
                reason: Reason::ContainerLimitation,
                message: format!("The container can't be held to its limits any more: {error}"),
                resources: Resources::new(),
            });
        }
        tokio::spawn(attend(shared.clone(), container_id, process, handle));
    }
}

fn sandboxes(running: &[Running]) -> Vec<PathBuf> {
    running.iter().map(|process| process.record.sandbox.clone()).collect()
}

/// Finds out what there is: by what was kept, and by what the kernel has.
fn survey(shared: &Shared, named: &BTreeSet<ContainerId>, rebooted: bool) -> Left {
    let mut left = Left { kept: Vec::new(), ended: Vec::new() };
    let mut known = BTreeSet::new();
    for record in shared.records.all() {
        let container_id = record.container_id.clone();
        known.insert(container_id.clone());
        let record = Some(record).filter(|record| record.boot_id == shared.records.boot_id);
        match record {
            Some(record)
                if named.contains(&container_id)
                    && !rebooted
                    && identity::lives(record.pid, record.began) =>
            {
                left.kept.push(record);
            }
            record => left.ended.push((container_id, record)),
        }
    }
    let others = shared.tree.containers().into_iter().chain(named.iter().cloned());
    left.ended.extend(others.filter(|other| known.insert(other.clone())).map(|other| (other, None)));
    left
}

/// Ends what is left of a container that is not to be looked after, or has ended.
async fn end_left(
    shared: &Arc<Shared>,
    container_id: &ContainerId,
    record: Option<ContainerRecord>,
    wanted: bool,
) -> ContainerEnd {
    // The process id of a session stays its own as long as one of its processes lives.
    let main = record.as_ref().map(|record| record.pid).filter(|pid| {
        let began = record.as_ref().map(|record| record.began);
        identity::beginning(*pid).is_none_or(|now| Some(now) == began)
    });
    let mut status = None;
    if let Some(record) = record {
        if wanted {
            let (other, record) = (shared.clone(), record.clone());
            // So that it can be told what it has ended of.
            let again = on_a_thread(move || isolate(&other, &record)).await;
            if let Err(error) = again {
                tracing::info!(%container_id, %error, "what held an ended container is gone");
            }
        }
        if main.is_some() {
            shared.tree.recover(container_id, record.pid);
        }
        if identity::lives(record.pid, record.began)
            && let Ok(mut process) = Running::open(record)
        {
            process.kill();
            status = process.wait().await.unwrap_or_default();
        }
    }
    let (limitation, problems) = end(shared, container_id, main).await;
    let message = (!problems.is_empty()).then(|| problems.join("; "));
    ContainerEnd { status, message, limitation }
}

/// Lets isolators take up the containers that run; what they could not.
async fn isolate_again(shared: &Arc<Shared>, running: &[Running]) -> BTreeMap<ContainerId, IsolationError> {
    let records: Vec<ContainerRecord> = running.iter().map(|process| process.record.clone()).collect();
    let shared = shared.clone();
    on_a_thread(move || {
        let failed = records.iter().filter_map(|record| {
            let error = isolate(&shared, record).err()?;
            Some((record.container_id.clone(), error))
        });
        failed.collect()
    })
    .await
}

fn isolate(shared: &Shared, record: &ContainerRecord) -> Result<(), IsolationError> {
    let known = Known {
        container_id: &record.container_id,
        pid: record.pid as u32,
        sandbox: &record.sandbox,
        resources: &record.resources,
        state: &serde_json::Value::Null,
    };
    shared.chosen.recover(&known, &record.states)
}
