//! The outputs of the scripts.

use libactor::Pid;
use protocol::messages::{AgentCall, ExecutorEvent};
use protocol::{ContainerId, Source, Task, TaskStatus, Uuid};

use super::super::Output;
use super::super::checkpoint::{Change, Key, Record};
use super::World;

pub(super) fn output(world: &mut World, output: &Output) -> String {
    match output {
        Output::ToMaster { to, call } => format!("{} <- {}", pid(to), agent_call(world, call)),
        Output::ToExecutor { to, event } => format!("{} <- {}", pid(to), executor_event(world, event)),
        Output::Answer { ask, answer: Ok(()) } => format!("answer {} ok", ask.0),
        Output::Answer { ask, answer: Err((refusal, why)) } => format!("answer {} {refusal:?}: {why}", ask.0),
        Output::Link { pid: to } => format!("link {}", pid(to)),
        Output::Unlink { pid: to } => format!("unlink {}", pid(to)),
        Output::Launch(spec) => {
            let mut text = format!(
                "launch {} executor={} command_executor={} user={} resources={}\n    {}",
                container(world, &spec.container_id),
                spec.executor.executor_id,
                spec.command_executor,
                spec.user.as_deref().unwrap_or("-"),
                spec.resources,
                spec.sandbox.display(),
            );
            // The environment is the same for all: once a script is enough.
            let shown = if world.containers.len() == 1 { spec.environment.as_slice() } else { &[] };
            for (name, value) in shown {
                text.push_str(&format!("\n    {name}={value}"));
            }
            text.replace(spec.container_id.as_str(), &container(world, &spec.container_id))
        }
        Output::Destroy { container_id } => format!("destroy {}", container(world, container_id)),
        Output::Forget { framework_id, executor_id, container_id, last, .. } => {
            format!("forget {framework_id}/{executor_id} {} last={last}", container(world, container_id))
        }
        Output::Checkpoint(batch) => {
            let changes: Vec<String> = batch.changes.iter().map(change).collect();
            format!("checkpoint {}: {}", batch.number, changes.join(" "))
        }
        Output::Recover { containers, rebooted } => {
            let names: Vec<String> = containers.iter().map(|id| container(world, id)).collect();
            format!("recover [{}] rebooted={rebooted}", names.join(" "))
        }
        Output::Update { container_id, resources } => {
            format!("update-container {} {resources}", container(world, container_id))
        }
        Output::Terminate { message, failed } => format!("terminate failed={failed}: {message}"),
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Put(record) => match &**record {
            Record::Executor(executor) if executor.subscribed => {
                format!("+{} subscribed", key(&record.key()))
            }
            Record::Task(task) if task.info.is_some() => format!("+{} to hand over", key(&record.key())),
            Record::Update(update) if update.acknowledged => format!("+{} acknowledged", key(&record.key())),
            _ => format!("+{}", key(&record.key())),
        },
        Change::Remove(removed) => format!("-{}", key(removed)),
    }
}

fn key(key: &Key) -> String {
    match key {
        Key::Agent => "agent".to_string(),
        Key::Drain => "drain".to_string(),
        Key::Framework(framework) => format!("{framework}"),
        Key::Executor(framework, executor) => format!("executor:{framework}/{executor}"),
        Key::Task(framework, task) => format!("task:{framework}/{task}"),
        Key::Update(framework, task, number) => format!("update:{framework}/{task}/{number}"),
    }
}

fn pid(pid: &Pid) -> String {
    match pid.to_string().as_str() {
        "master@10.0.0.1:5050" => "M".to_string(),
        "master@10.0.0.2:5050" => "N".to_string(),
        _ => pid.stream_id().unwrap_or(pid.name()).to_string(),
    }
}

fn container(world: &World, id: &ContainerId) -> String {
    match world.containers.iter().position(|known| known == id) {
        Some(at) => format!("c{}", at + 1),
        None => id.to_string(),
    }
}

fn uuid(world: &mut World, uuid: Option<Uuid>) -> String {
    let Some(uuid) = uuid else { return "-".to_string() };
    let next = world.uuids.values().filter(|name| name[1..].parse::<u32>().is_ok()).count() + 1;
    world.uuids.entry(uuid).or_insert_with(|| format!("#{next}")).clone()
}

fn agent_call(world: &mut World, call: &AgentCall) -> String {
    match call {
        AgentCall::Register { agent, version } => {
            assert!(agent.id.is_none());
            format!("register {} {version} {}", agent.hostname, agent.resources)
        }
        AgentCall::Reregister { agent, executors, tasks, frameworks, .. } => {
            let mut text = format!("reregister {}", agent.id.as_ref().unwrap());
            for framework in frameworks {
                text.push_str(&format!(" framework={}", framework.id.as_ref().unwrap()));
            }
            for (framework, executor) in executors {
                text.push_str(&format!(" executor={framework}/{}", executor.executor_id));
            }
            for task in tasks {
                text.push_str(&format!(" task={}", task_text(world, task)));
            }
            text
        }
        AgentCall::Pong => "pong".to_string(),
        AgentCall::Update(update) => format!(
            "update {}/{} latest={}",
            update.framework_id,
            status(world, &update.status),
            update.latest_state
        ),
        AgentCall::Message { framework_id, executor_id, data } => {
            format!("message {framework_id}/{executor_id} {data:?}")
        }
        AgentCall::ExecutorExited { framework_id, executor_id, status } => {
            format!("executor-exited {framework_id}/{executor_id} {status}")
        }
        AgentCall::Unregister => "unregister".to_string(),
        AgentCall::UpdateResources { total } => format!("update-resources {total}"),
    }
}

fn task_text(world: &mut World, task: &Task) -> String {
    let uuid = uuid(world, task.status_update_uuid);
    format!("{}/{}:{}:{uuid}", task.framework_id, task.task_id, task.state)
}

fn status(world: &mut World, status: &TaskStatus) -> String {
    assert!(status.agent_id.is_some() && status.timestamp.is_some());
    let mut text =
        format!("{} {} {} by {:?}", status.task_id, status.state, uuid(world, status.uuid), status.source);
    if let Some(executor) = &status.executor_id {
        text.push_str(&format!(" executor={executor}"));
    }
    if status.source == Source::Executor {
        let told = status.unread.as_ref().and_then(|unread| unread.read().container_status).unwrap();
        let id = told.container_id.unwrap().value;
        assert!(world.containers.iter().any(|known| known.as_str() == id), "it says where the task runs");
        assert_eq!(told.network_infos[0].ip_addresses[0].ip_address.as_deref(), Some("10.0.0.9"));
    }
    if let Some(reason) = status.reason {
        text.push_str(&format!(" {}", reason.name()));
    }
    if let Some(message) = &status.message {
        text.push_str(&format!(" '{message}'"));
    }
    let limitation = status.unread.as_ref().and_then(|unread| unread.read().limitation);
    if let Some(limitation) = limitation {
        let names: Vec<String> = limitation.resources.into_iter().map(|resource| resource.name).collect();
        text.push_str(&format!(" limitation={}", names.join(",")));
    }
    text
}

fn executor_event(world: &mut World, event: &ExecutorEvent) -> String {
    match event {
        ExecutorEvent::Subscribed { executor, framework, agent_id, agent } => {
            assert_eq!(agent.id.as_ref(), Some(agent_id));
            let name = executor.name.as_deref().unwrap_or("-");
            format!("subscribed {} of {} ({name})", executor.executor_id, framework.name)
        }
        ExecutorEvent::Launch(task) => format!("launch {}", task.task_id),
        ExecutorEvent::LaunchGroup(tasks) => {
            let tasks: Vec<_> = tasks.iter().map(|task| task.task_id.as_str()).collect();
            format!("launch group {}", tasks.join(" "))
        }
        ExecutorEvent::Heartbeat => "heartbeat".to_string(),
        ExecutorEvent::Kill { task_id, kill_policy } => {
            let grace = kill_policy.and_then(|policy| policy.grace_period);
            format!("kill {task_id} grace={grace:?}")
        }
        ExecutorEvent::Acknowledged { task_id, uuid: id } => {
            format!("acknowledged {task_id} {}", uuid(world, Some(*id)))
        }
        ExecutorEvent::Message(data) => format!("message {data:?}"),
        ExecutorEvent::Shutdown => "shutdown".to_string(),
        ExecutorEvent::Error(message) => format!("error '{message}'"),
    }
}
