//! What containers use, as it is shown: asked of the kernel on another thread, for all containers at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use libactor::Time;
use protocol::ContainerId;
use protocol::wire::v0::V0Message;
use protocol::wire::v1;
use protocol::wire::v1::cgroup_info::blkio;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::limits::MEASURING;
use super::snapshot::{Run, Snapshot};
use super::v0::seconds;
use crate::containerizer::isolation::gpu::GpuUsage;
use crate::containerizer::usage::{DeviceIo, Pids, Pressure};
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

    /// What is known of the containers of a snapshot; those of which nothing can be told in time are missing.
    pub(crate) async fn read(&self, snapshot: &Snapshot) -> BTreeMap<ContainerId, Measured> {
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
                let measured = |(container_id, usage): (ContainerId, Usage)| {
                    let mut status = v1::ContainerStatus::default();
                    meter.status(&container_id, &mut status);
                    (container_id, Measured { usage, status })
                };
                meter.read(&containers).into_iter().map(measured).collect()
            });
            thread.await.ok()
        };
        tokio::time::timeout(MEASURING, read).await.ok().flatten().unwrap_or_default()
    }
}

/// What is known of a container besides what the machine knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    usage: Usage,
    status: v1::ContainerStatus,
}

/// A container, as it is shown in one of three places.
pub(crate) struct Container<'a> {
    pub(crate) run: Run<'a>,
    pub(crate) statistics: v1::ResourceStatistics,
    pub(crate) status: v1::ContainerStatus,
    usage: &'a Usage,
}

/// The containers of a snapshot that run: one that ended before it could be measured is left out.
pub(crate) fn containers<'a>(
    snapshot: &'a Snapshot,
    measured: &'a BTreeMap<ContainerId, Measured>,
    now: Time,
) -> Vec<Container<'a>> {
    let runs = snapshot.views().into_iter().flat_map(|view| view.runs);
    let shown = runs.filter_map(|run| {
        let Measured { usage, status } = measured.get(run.container_id)?;
        let statistics = statistics(&run, usage, now);
        let container_id = Some(v1::ContainerId { value: run.container_id.to_string(), parent: None });
        let status = v1::ContainerStatus { container_id, executor_pid: run.os_pid, ..status.clone() };
        Some(Container { run, statistics, status, usage })
    });
    shown.collect()
}

/// What a run uses, beside what it may use.
fn statistics(run: &Run<'_>, usage: &Usage, now: Time) -> v1::ResourceStatistics {
    let allocated = run.resources();
    let mem_bytes = allocated.mem().millis().saturating_mul(1 << 20) / 1000;
    let throttling = usage.cpu_throttling;
    let [low, medium, critical] = usage.mem_pressure.map_or([None; 3], |counts| counts.map(Some));
    v1::ResourceStatistics {
        timestamp: seconds(now),
        processes: Some(usage.processes),
        threads: Some(usage.threads),
        cpus_user_time_secs: Some(usage.cpus_user.as_secs_f64()),
        cpus_system_time_secs: Some(usage.cpus_system.as_secs_f64()),
        // Only where it is one. Source: Mesos.
        cpus_limit: usage.cpus_limit,
        cpus_soft_limit: Some(allocated.cpus().as_f64()),
        cpus_nr_periods: throttling.map(|throttling| small(throttling.periods)),
        cpus_nr_throttled: throttling.map(|throttling| small(throttling.throttled)),
        cpus_throttled_time_secs: throttling.map(|throttling| throttling.time.as_secs_f64()),
        // What the kernel holds it to; else what it asked for: collectors divide by it. Source: Mesos.
        mem_limit_bytes: usage.mem_limit_bytes.or(Some(mem_bytes)),
        mem_soft_limit_bytes: usage.mem_soft_limit_bytes.or(Some(mem_bytes)),
        mem_rss_bytes: Some(usage.mem_rss_bytes),
        mem_total_bytes: usage.mem_total_bytes,
        mem_anon_bytes: usage.mem_anon_bytes,
        mem_file_bytes: usage.mem_file_bytes,
        // The same by its older name. Source: Mesos.
        mem_cache_bytes: usage.mem_file_bytes,
        mem_mapped_file_bytes: usage.mem_mapped_file_bytes,
        mem_swap_bytes: usage.mem_swap_bytes,
        mem_unevictable_bytes: usage.mem_unevictable_bytes,
        mem_low_pressure_counter: low,
        mem_medium_pressure_counter: medium,
        mem_critical_pressure_counter: critical,
        disk_limit_bytes: usage.disk_limit_bytes,
        disk_used_bytes: usage.disk_used_bytes,
        blkio_statistics: block_devices(usage),
        ..Default::default()
    }
}

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn block_devices(usage: &Usage) -> Option<blkio::Statistics> {
    let values = |read: u64, written: u64| {
        let value = |op: blkio::Operation, value| blkio::Value { op: Some(op.into()), value: Some(value) };
        vec![value(blkio::Operation::Read, read), value(blkio::Operation::Write, written)]
    };
    let device = |io: &DeviceIo| blkio::throttling::Statistics {
        device: Some(v1::device::Number {
            major_number: u64::from(io.device.0),
            minor_number: u64::from(io.device.1),
        }),
        io_serviced: values(io.reads, io.writes),
        io_service_bytes: values(io.read_bytes, io.written_bytes),
    };
    let throttling: Vec<_> = usage.io.iter().map(device).collect();
    (!throttling.is_empty()).then(|| blkio::Statistics { throttling, ..Default::default() })
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
    status: Option<V0Message<'a, v1::ContainerStatus>>,
    /// Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pids: Option<Pids>,
    /// Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pressure: Option<Pressure>,
    /// Ours.
    #[serde(skip_serializing_if = "<[GpuUsage]>::is_empty")]
    gpus: &'a [GpuUsage],
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
            pids: self.usage.pids,
            pressure: self.usage.pressure,
            gpus: &self.usage.gpus,
        }
    }

    /// For `/containers`.
    pub(crate) fn shown(&'a self) -> Shown<'a> {
        let container_id = self.run.container_id.as_str();
        let status = Some(V0Message(&self.status));
        Shown { container_id: Some(container_id), status, ..self.measured() }
    }
}
