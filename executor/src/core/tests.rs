//! Golden scripts, and random inputs.

use std::path::Path;

use bytes::Bytes;
use libactor::Machine;
use protocol::messages::ExecutorEvent;
use protocol::{
    AgentInfo, Attributes, CommandInfo, ExecutorInfo, FrameworkInfo, Resources, Source, TaskState,
    TaskStatus, Uuid,
};

use super::*;
use crate::golden;

fn agent() -> Pid {
    "slave(1)@10.0.0.1:5051".parse().unwrap()
}

fn config(checkpoint: bool) -> SessionConfig {
    SessionConfig {
        framework_id: "f".into(),
        executor_id: "e".into(),
        container_id: "c".into(),
        agent: agent(),
        checkpoint,
        recovery_timeout: Duration::from_secs(8),
        backoff_max: Duration::from_secs(2),
        shutdown_grace: Duration::from_secs(5),
        ip: None,
        seed: 1,
    }
}

fn task(id: &str) -> TaskInfo {
    TaskInfo::command(id, "a".into(), Resources::default(), CommandInfo::shell("true"))
}

#[derive(Default)]
struct Script {
    session: Option<Session>,
    now: Time,
    /// Uuids in the order of their first appearance: scripts call them 1, 2, ...
    uuids: Vec<Uuid>,
}

impl Script {
    fn step(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "session" {
            *self = Self::default();
            self.session = Some(Session::new(config(words.get(1) == Some(&"checkpoint"))));
            return Vec::new();
        }
        let input = if matches!(words[0], "state" | "wait") { None } else { Some(self.input(&words)) };
        let session = self.session.as_mut().expect("the script opens with a session");
        let mut out = Vec::new();
        if words[0] == "state" {
            let due = session.deadline().map(|at| at.since(self.now).as_millis());
            return vec![format!("{} due={due:?} link={:?}", session.status(), link(session.link))];
        }
        match input {
            Some(input) => {
                self.now = self.now + Duration::from_millis(1);
                session.handle(self.now, input, &mut out);
            }
            None => {
                let Some(due) = session.deadline() else { return vec!["nothing is due".to_owned()] };
                self.now = due.max(self.now);
                session.tick(self.now, &mut out);
            }
        }
        session.check();
        out.iter().map(|output| self.describe(output)).collect()
    }

    fn input(&self, words: &[&str]) -> Input {
        let from_agent = |event| Input::Agent { from: agent(), event };
        match words[0] {
            "start" => Input::Start,
            "subscribed" => from_agent(ExecutorEvent::Subscribed {
                executor: ExecutorInfo::new("e", CommandInfo::shell("true")),
                framework: FrameworkInfo::new("test"),
                agent_id: "a".into(),
                agent: AgentInfo {
                    hostname: "host".into(),
                    port: 5051,
                    resources: Resources::default(),
                    attributes: Attributes::default(),
                    id: None,
                },
            }),
            "launch" => from_agent(ExecutorEvent::Launch(task(words[1]))),
            "kill" => from_agent(ExecutorEvent::Kill { task_id: words[1].into(), kill_policy: None }),
            "message" => from_agent(ExecutorEvent::Message(Bytes::from_static(b"hello"))),
            "shutdown" => from_agent(ExecutorEvent::Shutdown),
            "error" => from_agent(ExecutorEvent::Error(words[1..].join(" "))),
            "acknowledged" => from_agent(ExecutorEvent::Acknowledged {
                task_id: words[1].into(),
                uuid: self.uuids[words[2].parse::<usize>().unwrap() - 1],
            }),
            "stranger" => {
                Input::Agent { from: "x@10.0.0.2:1".parse().unwrap(), event: ExecutorEvent::Shutdown }
            }
            "exited" => Input::Exited { pid: agent() },
            "returned" => Input::CallbackReturned,
            "panicked" => Input::CallbackPanicked { message: "boom".into() },
            "overflowed" => Input::CallsOverflowed,
            "not-sent" => Input::NotSent,
            "update" => {
                let name = format!("TASK_{}", words[2]);
                let state = TaskState::ALL.into_iter().find(|known| known.name() == name).unwrap();
                Input::Call(DriverCall::Update(TaskStatus::new(words[1].into(), state, Source::Executor)))
            }
            "send" => Input::Call(DriverCall::Message(Bytes::from_static(b"hi"))),
            "stop" => Input::Call(DriverCall::Stop),
            "shut-down" => Input::Call(DriverCall::ShutDown),
            "abort" => Input::Call(DriverCall::Abort),
            other => panic!("unknown line {other}"),
        }
    }

    fn describe(&mut self, output: &Output) -> String {
        match output {
            Output::Link { .. } => "link".into(),
            Output::Unlink { .. } => "unlink".into(),
            Output::Send { call, .. } => match &call.call {
                ExecutorCallKind::Subscribe { tasks, updates } => {
                    let tasks: Vec<_> = tasks.iter().map(|task| &task.task_id).collect();
                    let updates: Vec<_> = updates.iter().map(|update| self.status(&update.status)).collect();
                    format!("send subscribe tasks={tasks:?} updates={updates:?}")
                }
                ExecutorCallKind::Update(status) => format!("send update {}", self.status(status)),
                ExecutorCallKind::Message(data) => format!("send message {data:?}"),
                ExecutorCallKind::Heartbeat => "send heartbeat".into(),
            },
            Output::Callback(callback) => match callback {
                Callback::Registered { agent_id, .. } => format!("callback registered at {agent_id}"),
                Callback::Reregistered { agent_id, .. } => format!("callback reregistered at {agent_id}"),
                Callback::Launch(task) => format!("callback launch {}", task.task_id),
                other => format!("callback {other:?}"),
            },
            Output::Watchdog { after } => format!("watchdog {after:?}"),
            Output::Terminate { status, error } => format!("terminate {status} {error:?}"),
        }
    }

    fn status(&mut self, status: &TaskStatus) -> String {
        let uuid = status.uuid.expect("updates of an executor carry a uuid");
        let number = self.uuids.iter().position(|known| *known == uuid).unwrap_or_else(|| {
            self.uuids.push(uuid);
            self.uuids.len() - 1
        });
        format!("{} {} #{}", status.task_id, status.state, number + 1)
    }
}

fn link(link: Link) -> String {
    format!("{link:?}").split_whitespace().next().expect("a name").to_owned()
}

#[test]
fn golden_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core/golden");
    golden::scripts(&folder, 4, |_| {
        let mut script = Script::default();
        move |input| script.step(input)
    });
}

/// Anything may come at any time: one callback at a time, nothing after the end, and the invariants hold.
#[test]
fn random_inputs_keep_the_invariants() {
    const LINES: [&str; 16] = [
        "start",
        "subscribed",
        "subscribed",
        "launch t1",
        "launch t2",
        "kill t1",
        "message",
        "stranger",
        "exited",
        "not-sent",
        "update t1 RUNNING",
        "update t2 FINISHED",
        "send",
        "acknowledge",
        "acknowledge",
        "tick",
    ];
    const ENDS: [&str; 7] = ["stop", "abort", "shutdown", "shut-down", "error no", "overflowed", "panicked"];
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut session = Session::new(config(seed % 2 == 0));
        let (mut now, mut running, mut ended) = (Time::default(), false, false);
        for _ in 0..500 {
            let line = match random.below(1_000) {
                0..3 => ENDS[random.below(7) as usize],
                // A callback returns only if one runs.
                3..300 if running => "returned",
                _ => LINES[random.below(16) as usize],
            };
            let mut out = Vec::new();
            now = now + Duration::from_millis(random.below(200));
            match line {
                "panicked" if !running => continue,
                "tick" => session.tick(now, &mut out),
                "acknowledge" => {
                    let Some(update) = session.updates.front().cloned() else { continue };
                    let uuid = update.status.uuid.unwrap();
                    let event = ExecutorEvent::Acknowledged { task_id: update.status.task_id, uuid };
                    session.handle(now, Input::Agent { from: agent(), event }, &mut out);
                }
                line => {
                    running &= !matches!(line, "returned" | "panicked");
                    let input = Script::default().input(&line.split(' ').collect::<Vec<_>>());
                    session.handle(now, input, &mut out);
                }
            }
            session.check();
            for output in out {
                assert!(!ended, "seed {seed}: {output:?} after the end");
                match output {
                    Output::Callback(_) => {
                        assert!(!std::mem::replace(&mut running, true), "seed {seed}: two at a time")
                    }
                    Output::Terminate { .. } => ended = true,
                    _ => {}
                }
            }
        }
    }
}
