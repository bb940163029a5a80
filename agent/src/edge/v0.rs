//! What the older, read-only endpoints show of the agent, in the fields of Mesos.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use libactor::Time;
use protocol::wire::common::VersionInfo;
use protocol::wire::v0::{
    V0Attributes, V0Full, V0Labels, V0Reserved, V0ReservedFull, V0Resources, V0Task, unreserved,
};
use protocol::{Capability, Resources, Role, TaskInfo};
use serde::Serialize;

use super::snapshot::{FrameworkView, Run, Snapshot};
use crate::core::Phase;

/// What of Mesos's agent this one can do.
pub(crate) const CAPABILITIES: [&str; 4] =
    ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING"];

/// What is told besides the machine's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// The program.
    pub(crate) version: &'a VersionInfo,
    /// What it was started with.
    pub(crate) flags: &'a BTreeMap<String, String>,
    /// `--work_dir`: makes sandbox paths absolute.
    pub(crate) work_dir: &'a Path,
    /// Where it logs to, if into a file.
    pub(crate) log_file: Option<&'a Path>,
}

/// `/state`.
#[derive(Serialize)]
pub(crate) struct State<'a> {
    #[serde(flatten)]
    version: &'a VersionInfo,
    start_time: f64,
    id: &'a str,
    pid: String,
    hostname: &'a str,
    capabilities: [&'static str; 4],
    resources: V0Resources<&'a Resources>,
    reserved_resources: V0Reserved<&'a Resources>,
    unreserved_resources: V0Resources<Resources>,
    reserved_resources_full: V0ReservedFull<&'a Resources>,
    unreserved_resources_full: V0Full<Resources>,
    reserved_resources_allocated: V0Reserved<Resources>,
    unreserved_resources_allocated: V0Resources<Resources>,
    resource_providers: [(); 0],
    attributes: V0Attributes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    master_hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_log_file: Option<&'a Path>,
    /// Ours.
    registered: bool,
    flags: &'a BTreeMap<String, String>,
    frameworks: Vec<Framework<'a>>,
    completed_frameworks: Vec<Framework<'a>>,
}

impl<'a> State<'a> {
    /// Puts the page together.
    pub(crate) fn new(snapshot: &'a Snapshot, about: About<'a>) -> Self {
        let info = &snapshot.config.info;
        let views = snapshot.views();
        let allocated: Resources =
            views.iter().flat_map(|view| &view.runs).fold(Resources::new(), |all, run| all + run.resources());
        let free = unreserved(&info.resources);
        Self {
            version: about.version,
            start_time: seconds(snapshot.started_at),
            id: snapshot.id.as_ref().map_or("", |id| id.as_str()),
            pid: snapshot.config.pid.to_string(),
            hostname: &info.hostname,
            capabilities: CAPABILITIES,
            resources: V0Resources(&info.resources),
            reserved_resources: V0Reserved(&info.resources),
            unreserved_resources: V0Resources(free.clone()),
            reserved_resources_full: V0ReservedFull(&info.resources),
            unreserved_resources_full: V0Full::of(free),
            unreserved_resources_allocated: V0Resources(unreserved(&allocated)),
            reserved_resources_allocated: V0Reserved(allocated),
            resource_providers: [],
            attributes: V0Attributes(&info.attributes),
            master_hostname: snapshot.master.as_ref().map(|master| master.address().ip().to_string()),
            external_log_file: about.log_file,
            registered: snapshot.phase == Phase::Running,
            flags: about.flags,
            frameworks: views.into_iter().map(|view| Framework::new(view, about.work_dir)).collect(),
            completed_frameworks: snapshot
                .completed_views()
                .into_iter()
                .map(|view| Framework::new(view, about.work_dir))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct Framework<'a> {
    id: &'a str,
    name: &'a str,
    user: &'a str,
    failover_timeout: f64,
    checkpoint: bool,
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<&'a str>>,
    executors: Vec<Executor<'a>>,
    completed_executors: Vec<Executor<'a>>,
}

impl<'a> Framework<'a> {
    fn new(view: FrameworkView<'a>, work_dir: &Path) -> Self {
        let info = view.info;
        let mut roles = info.roles.iter().map(Role::as_str);
        let (role, roles) = match info.can(Capability::MultiRole) {
            true => (None, Some(roles.collect())),
            false => (roles.next(), None),
        };
        let only = view.only_role();
        let executor = |run| Executor::new(run, only, work_dir);
        Self {
            id: view.id(),
            name: &info.name,
            user: &info.user,
            failover_timeout: info.failover_timeout.as_secs_f64(),
            checkpoint: info.checkpoint,
            hostname: info.hostname.as_deref().unwrap_or_default(),
            principal: info.principal.as_deref(),
            role,
            roles,
            executors: view.runs.into_iter().map(executor).collect(),
            completed_executors: view.completed_runs.into_iter().map(executor).collect(),
        }
    }
}

#[derive(Serialize)]
struct Executor<'a> {
    id: &'a str,
    name: &'a str,
    source: String,
    container: &'a str,
    directory: String,
    resources: V0Resources<Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "V0Labels::is_empty")]
    labels: V0Labels<'a>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    tasks: Vec<V0Task<'a>>,
    queued_tasks: Vec<QueuedTask<'a>>,
    completed_tasks: Vec<V0Task<'a>>,
}

impl<'a> Executor<'a> {
    fn new(run: Run<'a>, role: Option<&'a Role>, work_dir: &Path) -> Self {
        let task = |task| V0Task { task, role };
        Self {
            id: run.info.executor_id.as_str(),
            name: run.info.name.as_deref().unwrap_or_default(),
            source: run.source(),
            container: run.container_id.as_str(),
            directory: work_dir.join(run.sandbox).display().to_string(),
            resources: V0Resources(run.resources()),
            role: role.map(Role::as_str),
            labels: V0Labels(&run.info.labels),
            kind: kind(&run),
            tasks: run.launched.into_iter().map(task).collect(),
            queued_tasks: run.queued.into_iter().map(|task| QueuedTask::new(task, role)).collect(),
            completed_tasks: run.completed.into_iter().chain(run.terminated).map(task).collect(),
        }
    }
}

/// Absent for the executor of a command task.
fn kind(run: &Run<'_>) -> Option<&'static str> {
    use protocol::wire::v1::executor_info::Type;
    if run.command_executor {
        return None;
    }
    let said = run.info.unread.as_ref().and_then(|unread| unread.read().r#type);
    let said = said.and_then(|number| Type::try_from(number).ok());
    Some(said.filter(|kind| *kind != Type::Unknown).unwrap_or(Type::Custom).as_str_name())
}

#[derive(Serialize)]
struct QueuedTask<'a> {
    id: &'a str,
    name: &'a str,
    slave_id: &'a str,
    resources: V0Resources<&'a Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "V0Labels::is_empty")]
    labels: V0Labels<'a>,
}

impl<'a> QueuedTask<'a> {
    fn new(task: &'a TaskInfo, role: Option<&'a Role>) -> Self {
        Self {
            id: task.task_id.as_str(),
            name: &task.name,
            slave_id: task.agent_id.as_str(),
            resources: V0Resources(&task.resources),
            role: task.allocated_to.as_ref().or(role).map(Role::as_str),
            labels: V0Labels(&task.labels),
        }
    }
}

/// Seconds since the epoch.
pub(crate) fn seconds(time: Time) -> f64 {
    Duration::from_nanos(time.as_nanos()).as_secs_f64()
}
