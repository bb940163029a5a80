//! The inputs of the scripts.

use std::time::Duration;

use bytes::Bytes;
use libactor::Pid;
use libactor::detect::Leader;
use protocol::messages::{AgentEvent, ExecutorCall, ExecutorCallKind};
use protocol::{
    Capability, CommandInfo, ContainerId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, Reason,
    Source, StatusUpdate, TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};

use super::super::{
    AgentConfig, Ask, ContainerEnd, Found, Input, Limitation, ReconfigurationPolicy, Recover,
};
use super::World;

pub(super) fn command(world: &mut World, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["advance", duration] => world.advance(seconds(duration)),
        ["detect", "none"] => world.feed(Input::MasterDetected { master: None }),
        ["detect", name, epoch @ ..] => {
            let epoch = epoch.first().map_or(1, |epoch| epoch.parse().unwrap());
            world.feed(Input::MasterDetected { master: Some(Leader { pid: pid(name), epoch }) });
        }
        ["exited", name] => world.feed(Input::Exited { pid: pid(name) }),
        ["leave"] => world.feed(Input::Leave),
        ["resources", total] => world.feed(Input::Resources { total: total.parse().unwrap() }),
        ["limited", container, reason, resources, rest @ ..] => {
            let limitation = Limitation {
                reason: Reason::from_name(reason).unwrap(),
                message: rest.join(" "),
                resources: resources.parse().unwrap(),
            };
            let container_id = container_id(world, container);
            let end = ContainerEnd { limitation: Some(limitation), ..ContainerEnd::with_status(137) };
            world.feed(Input::ContainerExited { container_id, end });
        }
        ["counted"] => {
            let ignored = world.agent.counters().ignored_master_messages;
            world.note(&format!("messages of masters ignored: {ignored}"));
        }
        ["launched", container, "error", rest @ ..] => {
            let container_id = container_id(world, container);
            world.feed(Input::Launched { container_id, result: Err(rest.join(" ")) });
        }
        ["launched", container, os_pid] => {
            let container_id = container_id(world, container);
            world.feed(Input::Launched { container_id, result: Ok(os_pid.parse().unwrap()) });
        }
        ["container-exited", container, status, rest @ ..] => {
            let container_id = container_id(world, container);
            let message = (!rest.is_empty()).then(|| rest.join(" "));
            let end = ContainerEnd { status: Some(status.parse().unwrap()), message, limitation: None };
            world.feed(Input::ContainerExited { container_id, end });
        }
        ["call", ask, framework, executor, stream, kind, rest @ ..] => {
            let call = executor_call(world, kind, rest);
            world.feed(Input::Call {
                ask: Ask(ask.parse().unwrap()),
                framework_id: (*framework).into(),
                executor_id: (*executor).into(),
                stream: (*stream != "-").then(|| pid(stream)),
                call,
            });
        }
        [from @ ("M" | "N"), rest @ ..] => {
            let event = event(world, rest);
            world.feed(Input::Master { from: pid(from), event });
        }
        [from, kind, framework, executor, container, rest @ ..] => {
            let call = ExecutorCall {
                framework_id: FrameworkId::from(*framework),
                executor_id: (*executor).into(),
                container_id: container_id(world, container),
                call: executor_call(world, kind, rest),
            };
            world.feed(Input::Executor { from: pid(from), call });
        }
        words => life(world, words),
    }
}

/// What becomes of the agent's process and its disk.
fn life(world: &mut World, words: &[&str]) {
    match words {
        ["hold"] => world.holds = true,
        ["release"] => {
            world.holds = false;
            let newest = world.batches.last().map(|batch| batch.number);
            newest.into_iter().for_each(|number| world.durable(number, None));
        }
        ["durable", number] => world.durable(number.parse().unwrap(), None),
        ["crash"] => world.batches.clear(),
        ["recover", changed @ ..] => world.recover(changed_config(changed)),
        ["found", containers @ ..] => {
            let found = containers.iter().map(|word| word.split_once('=').unwrap());
            let containers = found.map(|(name, what)| (container_id(world, name), found_as(what))).collect();
            world.feed(Input::Recovered { containers });
        }
        _ => panic!("not understood: {words:?}"),
    }
}

fn changed_config(changed: &[&str]) -> AgentConfig {
    let mut config = super::config();
    for (name, value) in changed.iter().map(|word| word.split_once('=').unwrap()) {
        match name {
            "boot" => config.boot_id = value.into(),
            "mode" => config.recover = Recover::Cleanup,
            "resources" => config.info.resources = value.parse().unwrap(),
            "attributes" => config.info.attributes = value.parse().unwrap(),
            "policy" => config.reconfiguration_policy = ReconfigurationPolicy::Additive,
            _ => panic!("not understood: {name}"),
        }
    }
    config
}

fn found_as(what: &str) -> Found {
    match what.split_once(':') {
        Some(("ended", status)) => Found::Ended(ContainerEnd::with_status(status.parse().unwrap())),
        Some(_) => panic!("not understood: {what}"),
        None if what == "ended" => Found::Ended(ContainerEnd::default()),
        None => Found::Running(what.parse().unwrap()),
    }
}

fn event(world: &World, words: &[&str]) -> AgentEvent {
    match words {
        ["drain", grace @ ..] => {
            AgentEvent::Drain { max_grace_period: grace.first().map(|grace| seconds(grace)) }
        }
        ["reactivate"] => AgentEvent::Reactivate,
        ["registered", id, timeout] => {
            AgentEvent::Registered { agent_id: (*id).into(), ping_timeout: seconds(timeout) }
        }
        ["reregistered", id, timeout, tasks @ ..] => AgentEvent::Reregistered {
            agent_id: (*id).into(),
            ping_timeout: seconds(timeout),
            reconcile: tasks
                .iter()
                .map(|task| task.split_once('/').unwrap())
                .map(|(framework, task)| (framework.into(), task.into()))
                .collect(),
        },
        ["ping"] => AgentEvent::Ping { connected: true },
        ["ping", "disconnected"] => AgentEvent::Ping { connected: false },
        ["run" | "run-group", ..] => work(words),
        ["kill", framework, task, rest @ ..] => AgentEvent::KillTask {
            framework_id: (*framework).into(),
            task_id: (*task).into(),
            kill_policy: rest.first().map(|grace| KillPolicy { grace_period: Some(seconds(grace)) }),
        },
        ["ack", framework, task, name] => AgentEvent::Acknowledge {
            framework_id: (*framework).into(),
            task_id: (*task).into(),
            uuid: world
                .uuids
                .iter()
                .find_map(|(uuid, known)| (known == name).then_some(*uuid))
                .unwrap_or(Uuid([0xff; 16])),
        },
        ["message", framework, executor, text] => AgentEvent::Message {
            framework_id: (*framework).into(),
            executor_id: (*executor).into(),
            data: Bytes::from((*text).to_string()),
        },
        ["shutdown-executor", framework, executor] => AgentEvent::ShutdownExecutor {
            framework_id: (*framework).into(),
            executor_id: (*executor).into(),
        },
        ["update-framework", id] => AgentEvent::UpdateFramework { framework: framework(id) },
        ["shutdown-framework", framework] => {
            AgentEvent::ShutdownFramework { framework_id: (*framework).into() }
        }
        ["shutdown", rest @ ..] => AgentEvent::Shutdown { message: rest.join(" ") },
        _ => panic!("not understood: {words:?}"),
    }
}

fn work(words: &[&str]) -> AgentEvent {
    match words {
        ["run", framework_id, task, kind @ ("executor" | "running-executor" | "bad-executor"), id] => {
            let task = executor_task(task, executor(kind, id));
            let launch_executor = *kind != "running-executor";
            AgentEvent::RunTask { framework: framework(framework_id), task, launch_executor }
        }
        ["run-group", framework_id, kind, id, tasks @ ..] => {
            let executor = executor(kind, id);
            AgentEvent::RunTaskGroup {
                framework: framework(framework_id),
                tasks: tasks.iter().map(|task| executor_task(task, executor.clone())).collect(),
                executor,
                launch_executor: *kind != "running-executor",
            }
        }
        ["run", framework_id, task, "nothing"] => {
            let mut task = command_task(task, "true");
            task.command = None;
            AgentEvent::RunTask { framework: framework(framework_id), task, launch_executor: true }
        }
        ["run", framework_id, task, "command", rest @ ..] => AgentEvent::RunTask {
            framework: framework(framework_id),
            task: command_task(task, &rest.join(" ")),
            launch_executor: true,
        },
        _ => panic!("not understood: {words:?}"),
    }
}

fn executor(kind: &str, id: &str) -> ExecutorInfo {
    let command = if kind == "bad-executor" { "a\0b" } else { "./run" };
    let mut executor = ExecutorInfo::new(id, CommandInfo::shell(command).env("COLOUR", "red"));
    executor.resources = "cpus:0.5".parse().unwrap();
    executor
}

fn executor_task(task: &str, executor: ExecutorInfo) -> TaskInfo {
    TaskInfo::with_executor(task, "S0".into(), "cpus:1".parse().unwrap(), executor)
}

fn command_task(task: &str, command: &str) -> TaskInfo {
    TaskInfo::command(task, "S0".into(), "cpus:1".parse().unwrap(), CommandInfo::shell(command))
}

fn framework(id: &str) -> FrameworkInfo {
    let mut framework = FrameworkInfo::new(format!("framework {id}"));
    framework.id = Some(id.into());
    framework.user = "nobody".into();
    framework.checkpoint = id.starts_with(['C', 'Q']);
    if id.starts_with(['P', 'Q']) {
        framework.capabilities.insert(Capability::PartitionAware);
    }
    framework
}

fn executor_call(world: &mut World, kind: &str, words: &[&str]) -> ExecutorCallKind {
    match (kind, words) {
        // What is not confirmed: tasks, and updates as `T1:RUNNING:#a`.
        ("subscribe", known) => {
            let (updates, tasks): (Vec<&str>, Vec<&str>) = known.iter().partition(|word| word.contains(':'));
            let update = |word: &str| {
                let words: Vec<&str> = word.split(':').collect();
                let status = status(world, &words);
                StatusUpdate { framework_id: "".into(), latest_state: status.state, status }
            };
            ExecutorCallKind::Subscribe {
                tasks: tasks.into_iter().map(|task| command_task(task, "true")).collect(),
                updates: updates.into_iter().map(update).collect(),
            }
        }
        ("update", words) => ExecutorCallKind::Update(status(world, words)),
        ("heartbeat", []) => ExecutorCallKind::Heartbeat,
        ("message", [text]) => ExecutorCallKind::Message(Bytes::from((*text).to_string())),
        _ => panic!("not understood: {kind} {words:?}"),
    }
}

fn status(world: &mut World, words: &[&str]) -> TaskStatus {
    let [task, state, rest @ ..] = words else { panic!("no status: {words:?}") };
    let state = all_states().find(|known| known.name() == format!("TASK_{state}")).unwrap();
    let mut status = TaskStatus::new(TaskId::from(*task), state, Source::Executor);
    if let Some(name) = rest.first() {
        let mut bytes = [0; 16];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        world.uuids.insert(Uuid(bytes), (*name).to_string());
        status.uuid = Some(Uuid(bytes));
    }
    status.executor_id = rest.get(1).map(|executor| (*executor).into());
    status
}

fn all_states() -> impl Iterator<Item = TaskState> {
    use TaskState::*;
    [Staging, Starting, Running, Killing, Finished, Failed, Killed, Error, Lost, Dropped, Unknown].into_iter()
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.strip_suffix('s').unwrap().parse().unwrap())
}

fn pid(name: &str) -> Pid {
    if name.starts_with('h') {
        return Pid::stream(name, "10.0.0.9:5051".parse().unwrap());
    }
    let text = match name {
        "M" => "master@10.0.0.1:5050".to_string(),
        "N" => "master@10.0.0.2:5050".to_string(),
        other => format!("{other}@127.0.0.1:9000"),
    };
    text.parse().unwrap()
}

fn container_id(world: &World, name: &str) -> ContainerId {
    let number = name.strip_prefix('c').and_then(|number| number.parse::<usize>().ok());
    match number.and_then(|number| world.containers.get(number - 1)) {
        Some(id) => id.clone(),
        None => ContainerId::from(name),
    }
}
