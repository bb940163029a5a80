//! What containers use, as it is shown: asked of the kernel on another thread, for all containers at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use libactor::Time;
use protocol::ContainerId;
use protocol::wire::v0::V0Message;
use protocol::wire::v1;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::limits::MEASURING;
use super::snapshot::{Run, Snapshot};
use super::v0::seconds;
use crate::containerizer::{Meter, Usage};

/// Asks what containers use, one question at a time.
pub(crate) struct Statistics {
    meter: Option<Arc<dyn Meter>>,
    turn: Arc<Semaphore>,
}

impl Statistics {
    pub(crate) fn new(meter: Option<Arc<dyn Meter>>) -> Self {
        Self { meter, turn: Arc::new(Semaphore::new(1)) }
    }

    /// What the containers of a snapshot use; those of which nothing can be told in time are missing.
    pub(crate) async fn read(&self, snapshot: &Snapshot) -> BTreeMap<ContainerId, Usage> {
        let Some(meter) = self.meter.clone() else { return BTreeMap::new() };
        let runs = snapshot.views().into_iter().flat_map(|view| view.runs);
        let launched = runs.filter_map(|run| Some((run.container_id.clone(), run.os_pid?)));
        let containers: Vec<(ContainerId, u32)> = launched.collect();
        if containers.is_empty() {
            return BTreeMap::new();
        }
        let turn = self.turn.clone();
        let read = async move {
            let turn = turn.acquire_owned().await.ok()?;
            let thread = tokio::task::spawn_blocking(move || {
                // Held until it is done, also if nobody waits any more.
                let _turn = turn;
                meter.read(&containers)
            });
            thread.await.ok()
        };
        tokio::time::timeout(MEASURING, read).await.ok().flatten().unwrap_or_default()
    }
}

/// A container, as it is shown in one of three places.
pub(crate) struct Container<'a> {
    pub(crate) run: Run<'a>,
    pub(crate) statistics: v1::ResourceStatistics,
}

/// The containers of a snapshot that run: one that ended before it could be measured is left out.
pub(crate) fn containers<'a>(
    snapshot: &'a Snapshot,
    usage: &BTreeMap<ContainerId, Usage>,
    now: Time,
) -> Vec<Container<'a>> {
    let runs = snapshot.views().into_iter().flat_map(|view| view.runs);
    let shown = runs.filter_map(|run| {
        let statistics = statistics(&run, usage.get(run.container_id)?, now);
        Some(Container { run, statistics })
    });
    shown.collect()
}

/// What a run uses, beside what it may use.
fn statistics(run: &Run<'_>, usage: &Usage, now: Time) -> v1::ResourceStatistics {
    let allocated = run.resources();
    let cpus = allocated.cpus().as_f64();
    let mem_bytes = allocated.mem().millis().saturating_mul(1 << 20) / 1000;
    v1::ResourceStatistics {
        timestamp: seconds(now),
        processes: Some(usage.processes),
        threads: Some(usage.threads),
        cpus_user_time_secs: Some(usage.cpus_user.as_secs_f64()),
        cpus_system_time_secs: Some(usage.cpus_system.as_secs_f64()),
        // Nothing holds a container to it yet; collectors divide by it all the same.
        cpus_limit: Some(cpus),
        cpus_soft_limit: Some(cpus),
        mem_limit_bytes: Some(mem_bytes),
        mem_soft_limit_bytes: Some(mem_bytes),
        mem_rss_bytes: Some(usage.mem_rss_bytes),
        mem_total_bytes: usage.mem_total_bytes,
        mem_anon_bytes: usage.mem_anon_bytes,
        mem_file_bytes: usage.mem_file_bytes,
        mem_mapped_file_bytes: usage.mem_mapped_file_bytes,
        ..Default::default()
    }
}

/// What is known of a container besides what it uses.
pub(crate) fn status(run: &Run<'_>) -> v1::ContainerStatus {
    v1::ContainerStatus {
        container_id: Some(v1::ContainerId { value: run.container_id.to_string(), parent: None }),
        executor_pid: run.os_pid,
        ..Default::default()
    }
}

/// One entry of `/monitor/statistics`; with a container's id and status one of `/containers`.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
    executor_id: &'a str,
    executor_name: &'a str,
    framework_id: &'a str,
    source: String,
    statistics: V0Message<'a, v1::ResourceStatistics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    container_id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    executor_pid: Option<u32>,
}

#[derive(Serialize)]
struct Value {
    value: String,
}

impl<'a> Container<'a> {
    /// For `/monitor/statistics`.
    pub(crate) fn measured(&'a self) -> Shown<'a> {
        let info = self.run.info;
        Shown {
            container_id: None,
            executor_id: info.executor_id.as_str(),
            executor_name: info.name.as_deref().unwrap_or_default(),
            framework_id: self.run.framework_id.as_str(),
            source: self.run.source(),
            statistics: V0Message(&self.statistics),
            status: None,
        }
    }

    /// For `/containers`.
    pub(crate) fn shown(&'a self) -> Shown<'a> {
        let container_id = self.run.container_id.as_str();
        let status =
            Status { container_id: Value { value: container_id.to_owned() }, executor_pid: self.run.os_pid };
        Shown { container_id: Some(container_id), status: Some(status), ..self.measured() }
    }
}
