//! Answers that are made of a snapshot.
//!
//! As JSON, Mesos shows the lists of tasks, executors and frameworks also where they are empty, unlike those of all other
//! messages: clients look into them without asking.

use std::collections::BTreeMap;

use libactor::Time;
use protocol::wire::v1::agent::call::Type;
use protocol::wire::v1::agent::{Response, response};
use protocol::wire::{self, Format, WireMessage, convert, v1};
use protocol::{ContainerId, Role, Task, TaskState};

use super::super::snapshot::{FrameworkView, Run, Snapshot};
use super::super::statistics;

/// GET_CONTAINERS.
pub(super) fn containers(
    snapshot: &Snapshot,
    measured: &BTreeMap<ContainerId, statistics::Measured>,
    now: Time,
) -> Response {
    let containers = statistics::containers(snapshot, measured, now);
    let container = |container: statistics::Container<'_>| {
        let run = &container.run;
        response::get_containers::Container {
            framework_id: Some(run.framework_id.into()),
            executor_id: Some((&run.info.executor_id).into()),
            executor_name: run.info.name.clone(),
            container_id: v1::ContainerId { value: run.container_id.to_string(), parent: None },
            container_status: Some(container.status),
            resource_statistics: Some(container.statistics),
        }
    };
    let containers = containers.into_iter().map(container).collect();
    Response {
        r#type: Some(response::Type::GetContainers.into()),
        get_containers: Some(response::GetContainers { containers }),
        ..Default::default()
    }
}

/// Encodes the answer to a call that only needs a snapshot.
pub(super) fn of_snapshot(kind: Type, snapshot: &Snapshot, format: Format) -> Vec<u8> {
    let mut answer = Response::default();
    let of = match kind {
        Type::GetTasks => {
            answer.get_tasks = Some(tasks(snapshot));
            response::Type::GetTasks
        }
        Type::GetExecutors => {
            answer.get_executors = Some(executors(snapshot));
            response::Type::GetExecutors
        }
        Type::GetFrameworks => {
            answer.get_frameworks = Some(frameworks(snapshot));
            response::Type::GetFrameworks
        }
        Type::GetOperations => {
            answer.get_operations = Some(response::GetOperations::default());
            response::Type::GetOperations
        }
        Type::GetResourceProviders => {
            answer.get_resource_providers = Some(response::GetResourceProviders::default());
            response::Type::GetResourceProviders
        }
        Type::GetAgent => {
            let info = protocol::AgentInfo { id: snapshot.id.clone(), ..snapshot.config.info.clone() };
            let agent_info = Some(convert::agent_info_to_wire(&info, true));
            answer.get_agent = Some(response::GetAgent { agent_info, ..Default::default() });
            response::Type::GetAgent
        }
        _ => {
            answer.get_state = Some(response::GetState {
                get_tasks: Some(tasks(snapshot)),
                get_executors: Some(executors(snapshot)),
                get_frameworks: Some(frameworks(snapshot)),
            });
            response::Type::GetState
        }
    };
    answer.r#type = Some(of.into());
    match format {
        Format::Protobuf => wire::encode(format, &answer),
        Format::Json => with_empty_lists(of, &answer),
    }
}

fn tasks(snapshot: &Snapshot) -> response::GetTasks {
    let mut all = response::GetTasks::default();
    for view in snapshot.views().into_iter().chain(snapshot.completed_views()) {
        let role = view.only_role();
        let shown = |task: &&Task| convert::task_to_wire(task, role, true);
        for run in view.runs.iter().chain(&view.completed_runs) {
            all.queued_tasks.extend(run.queued.iter().map(|info| {
                let task = Task::new(run.framework_id.clone(), info, TaskState::Staging);
                convert::task_to_wire(&task, info.allocated_to.as_ref().or(role), true)
            }));
            all.launched_tasks.extend(run.launched.iter().map(shown));
            all.terminated_tasks.extend(run.terminated.iter().map(shown));
            all.completed_tasks.extend(run.completed.iter().map(shown));
        }
    }
    all
}

fn executors(snapshot: &Snapshot) -> response::GetExecutors {
    let mut all = response::GetExecutors::default();
    for view in snapshot.views().into_iter().chain(snapshot.completed_views()) {
        let role = view.only_role();
        all.executors.extend(view.runs.iter().map(|run| executor(run, role)));
        all.completed_executors.extend(view.completed_runs.iter().map(|run| executor(run, role)));
    }
    all
}

fn executor(run: &Run<'_>, role: Option<&Role>) -> response::get_executors::Executor {
    let mut executor_info = convert::executor_info_to_wire(run.info, role, true);
    executor_info.framework_id.get_or_insert_with(|| run.framework_id.into());
    let source = run.source();
    if executor_info.source.is_none() && !source.is_empty() {
        executor_info.source = Some(source);
    }
    response::get_executors::Executor { executor_info }
}

fn frameworks(snapshot: &Snapshot) -> response::GetFrameworks {
    let framework = |view: FrameworkView<'_>| response::get_frameworks::Framework {
        framework_info: convert::framework_info_to_wire(view.info),
    };
    response::GetFrameworks {
        frameworks: snapshot.views().into_iter().map(framework).collect(),
        completed_frameworks: snapshot.completed_views().into_iter().map(framework).collect(),
    }
}

/// An answer as JSON, with its empty lists.
fn with_empty_lists(kind: response::Type, answer: &Response) -> Vec<u8> {
    let state = answer.get_state.as_ref();
    let tasks = answer.get_tasks.as_ref().or(state.and_then(|state| state.get_tasks.as_ref()));
    let executors = answer.get_executors.as_ref().or(state.and_then(|state| state.get_executors.as_ref()));
    let frameworks = answer.get_frameworks.as_ref().or(state.and_then(|state| state.get_frameworks.as_ref()));
    let lists = [
        tasks.map(|all| ("get_tasks", task_lists(all))),
        executors.map(|all| ("get_executors", executor_lists(all))),
        frameworks.map(|all| ("get_frameworks", framework_lists(all))),
    ];
    let lists: Vec<(&str, String)> = lists.into_iter().flatten().collect();
    if lists.is_empty() {
        return wire::encode(Format::Json, answer);
    }
    let kind = ("type", format!("\"{}\"", kind.as_str_name()));
    let answer = match state {
        Some(_) => object(vec![kind, ("get_state", object(lists))]),
        None => object(std::iter::once(kind).chain(lists)),
    };
    answer.into_bytes()
}

fn task_lists(all: &response::GetTasks) -> String {
    object([
        ("pending_tasks", list(&all.pending_tasks)),
        ("queued_tasks", list(&all.queued_tasks)),
        ("launched_tasks", list(&all.launched_tasks)),
        ("terminated_tasks", list(&all.terminated_tasks)),
        ("completed_tasks", list(&all.completed_tasks)),
    ])
}

fn executor_lists(all: &response::GetExecutors) -> String {
    let completed = list(&all.completed_executors);
    object([("executors", list(&all.executors)), ("completed_executors", completed)])
}

fn framework_lists(all: &response::GetFrameworks) -> String {
    let completed = list(&all.completed_frameworks);
    object([("frameworks", list(&all.frameworks)), ("completed_frameworks", completed)])
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn list<M: WireMessage>(messages: &[M]) -> String {
    let mut json = Vec::new();
    wire::to_json_list(messages, &mut json);
    String::from_utf8_lossy(&json).into_owned()
}
