//! Golden scripts, and random inputs.

#[path = "../../../libactor/tests/support/golden.rs"]
mod golden;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use libactor::detect::Leader;
use libactor::{Machine, Pid, Time};
use protocol::messages::{Call, Event, MasterInfo, SchedulerCall};
use protocol::{
    Attributes, Capability, CommandInfo, Filters, FrameworkInfo, MasterId, Offer, OfferId, Operation,
    Resources, Role, Source, TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};

use super::*;

/// An offer with an id and nothing of interest.
pub(super) fn offer(id: &str) -> Offer {
    Offer {
        id: id.into(),
        framework_id: "f".into(),
        agent_id: "a".into(),
        hostname: "host".into(),
        address: "10.0.0.9:5051".into(),
        role: Role::default(),
        resources: Resources::default(),
        attributes: Attributes::default(),
        executor_ids: Vec::new(),
    }
}

/// `m1` is `master@10.0.0.1:5050`.
fn pid(short: &str) -> Pid {
    let number = short.strip_prefix('m').expect("masters are m1, m2, ...");
    format!("master@10.0.0.{number}:5050").parse().unwrap()
}

fn short(pid: &Pid) -> String {
    let address = pid.address().ip().to_string();
    format!("m{}", address.rsplit('.').next().unwrap())
}

fn status(task: &str, state: &str, uuid: &str) -> TaskStatus {
    let state = TaskState::ALL.into_iter().find(|known| known.name() == format!("TASK_{state}")).unwrap();
    let mut status = TaskStatus::new(task.into(), state, Source::Executor);
    status.agent_id = Some("a".into());
    status.uuid = uuid.parse().ok().map(|byte| Uuid([byte; 16]));
    status
}

fn task(id: &str) -> TaskInfo {
    TaskInfo::command(id, "a".into(), Resources::default(), CommandInfo::shell("true"))
}

struct Script {
    session: Option<Session>,
    now: Time,
}

impl Script {
    /// `session explicit id=f partition_aware roles=a,b suppressed=a`
    fn session(&mut self, words: &[&str]) {
        let mut framework = FrameworkInfo::new("test");
        let mut config = SessionConfig {
            framework: framework.clone(),
            implicit_acknowledgements: true,
            suppressed_roles: BTreeSet::new(),
            seed: 1,
        };
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("explicit", _) => config.implicit_acknowledgements = false,
                ("id", id) => framework.id = Some(id.into()),
                ("partition_aware", _) => {
                    framework.capabilities.insert(Capability::PartitionAware);
                }
                ("roles", roles) => framework.roles = set(&[roles]),
                ("suppressed", roles) => config.suppressed_roles = set(&[roles]),
                other => panic!("unknown option {other:?}"),
            }
        }
        config.framework = framework;
        self.session = Some(Session::new(config));
    }

    fn step(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "session" {
            self.session(&words[1..]);
            return Vec::new();
        }
        let session = self.session.as_mut().expect("the script opens with a session");
        if words[0] == "state" {
            let due = session.deadline().map(|at| at.since(self.now).as_millis());
            return vec![format!("{} due={due:?} waiting={}", session.status(), session.callbacks.len())];
        }
        let mut out = Vec::new();
        if words[0] == "wait" {
            self.now = session.deadline().expect("something is due").max(self.now);
            session.tick(self.now, &mut out);
            session.pump(&mut out);
        } else {
            self.now = self.now + Duration::from_millis(1);
            session.handle(self.now, input(&words), &mut out);
        }
        session.check();
        out.iter().map(describe).collect()
    }
}

fn set(words: &[&str]) -> BTreeSet<Role> {
    words.iter().flat_map(|word| word.split(',')).filter(|role| !role.is_empty()).map(Role::from).collect()
}

fn input(words: &[&str]) -> Input {
    let from_master = |event| Input::Master { from: pid(words[1]), event };
    match words[0] {
        "start" => Input::Start,
        "detected" => {
            let epoch = words.get(2).map_or(1, |epoch| epoch.parse().unwrap());
            let master = (words[1] != "none").then(|| Leader { pid: pid(words[1]), epoch });
            Input::MasterDetected { master }
        }
        "subscribed" => from_master(Event::Subscribed {
            framework_id: words[2].into(),
            master: MasterInfo {
                id: MasterId::from(words[1]),
                pid: pid(words[1]).to_string(),
                hostname: "host".into(),
                version: "0".into(),
            },
            resubscribed: false,
        }),
        "offers" => from_master(Event::Offers(words[2..].iter().map(|id| offer(id)).collect())),
        "rescind" => from_master(Event::Rescind(words[2].into())),
        "update" => from_master(Event::Update(status(words[2], words[3], words[4]))),
        "message" => from_master(Event::Message {
            agent_id: "a".into(),
            executor_id: "e".into(),
            data: Bytes::copy_from_slice(words[2].as_bytes()),
        }),
        "agent-lost" => {
            from_master(Event::Failure { agent_id: words[2].into(), executor_id: None, status: None })
        }
        "executor-lost" => from_master(Event::Failure {
            agent_id: "a".into(),
            executor_id: Some(words[2].into()),
            status: Some(137),
        }),
        "error" => from_master(Event::Error(words[2..].join(" "))),
        "heartbeat" => from_master(Event::Heartbeat),
        "exited" => Input::Exited { pid: pid(words[1]) },
        "returned" => Input::CallbackReturned,
        "panicked" => Input::CallbackPanicked { message: "boom".into() },
        "overflowed" => Input::CallsOverflowed,
        "not-sent" => {
            let operations = vec![Operation::Launch { tasks: vec![task(words[1])] }];
            let call = Call::Accept { offer_ids: Vec::new(), operations, filters: Filters::default() };
            Input::NotSent { call: Box::new(SchedulerCall { framework_id: None, call }) }
        }
        _ => Input::Call(driver_call(words)),
    }
}

fn driver_call(words: &[&str]) -> DriverCall {
    match words[0] {
        "stop" => DriverCall::Stop { failover: words.get(1) == Some(&"failover") },
        "abort" => DriverCall::Abort,
        "accept" => DriverCall::Accept {
            offer_ids: vec![OfferId::from(words[1])],
            operations: vec![Operation::Launch { tasks: words[2..].iter().map(|id| task(id)).collect() }],
            filters: Filters::default(),
        },
        "decline" => {
            DriverCall::Decline { offer_ids: vec![OfferId::from(words[1])], filters: Filters::default() }
        }
        "suppress" => DriverCall::Suppress { roles: set(&words[1..]) },
        "revive" => DriverCall::Revive { roles: set(&words[1..]) },
        "kill" => DriverCall::Kill { task_id: TaskId::from(words[1]), kill_policy: None },
        "ack" => DriverCall::Acknowledge {
            agent_id: "a".into(),
            task_id: words[1].into(),
            uuid: Uuid([words[2].parse().unwrap(); 16]),
        },
        "send" => DriverCall::Message {
            agent_id: "a".into(),
            executor_id: "e".into(),
            data: Bytes::copy_from_slice(words[1].as_bytes()),
        },
        "reconcile" => DriverCall::Reconcile { tasks: Vec::new() },
        other => panic!("unknown line {other}"),
    }
}

fn describe(output: &Output) -> String {
    match output {
        Output::Link { pid } => format!("link {}", short(pid)),
        Output::Unlink { pid } => format!("unlink {}", short(pid)),
        Output::Send { to, call } => {
            let id = call.framework_id.as_ref().map_or("-", |id| id.as_str());
            format!("send {} as {id}: {}", short(to), describe_call(&call.call))
        }
        Output::Callback(callback) => format!("callback {}", describe_callback(callback)),
        Output::Terminate { status, error } => format!("terminate {status} {error:?}"),
    }
}

#[allow(irrefutable_let_patterns, reason = "operations will grow")]
fn describe_call(call: &Call) -> String {
    match call {
        Call::Subscribe { framework, suppressed_roles } => {
            format!("subscribe id={:?} suppressed={suppressed_roles:?}", framework.id)
        }
        Call::Accept { offer_ids, operations, .. } => {
            let Operation::Launch { tasks } = &operations[0] else { panic!("scripts only launch") };
            format!("accept {offer_ids:?} {:?}", tasks.iter().map(|task| &task.task_id).collect::<Vec<_>>())
        }
        Call::Acknowledge { task_id, uuid, .. } => format!("acknowledge {task_id} {}", uuid.0[0]),
        Call::Decline { offer_ids, .. } => format!("decline {offer_ids:?}"),
        other => format!("{other:?}"),
    }
}

fn describe_callback(callback: &Callback) -> String {
    match callback {
        Callback::Registered { framework_id, master } => {
            format!("registered {framework_id} by {}", master.id)
        }
        Callback::Reregistered { master } => format!("reregistered by {}", master.id),
        Callback::Offers(offers) => {
            format!("offers {:?}", offers.iter().map(|offer| &offer.id).collect::<Vec<_>>())
        }
        Callback::Update(status) => format!(
            "update {} {} uuid={:?} reason={:?} message={:?}",
            status.task_id,
            status.state,
            status.uuid.map(|uuid| uuid.0[0]),
            status.reason,
            status.message
        ),
        other => format!("{other:?}"),
    }
}

#[test]
fn golden_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core/golden");
    golden::scripts(&folder, 6, |_| {
        let mut script = Script { session: None, now: Time::from_nanos(1_000_000_000) };
        move |input| script.step(input)
    });
}

/// Anything may come at any time: one callback at a time, nothing after the end, and the invariants hold.
#[test]
#[expect(clippy::too_many_lines, reason = "a test with its cases")]
fn random_inputs_keep_the_invariants() {
    const LINES: [&str; 30] = [
        "start",
        "start",
        "detected m1 1",
        "detected m1 2",
        "detected m2 3",
        "detected none",
        "subscribed m1 f",
        "subscribed m2 f",
        "offers m1 o1 o2",
        "offers m2 o3",
        "rescind m1 o1",
        "update m1 t1 RUNNING 1",
        "update m1 t1 RUNNING 2",
        "update m2 t1 LOST -",
        "message m1 x",
        "agent-lost m1 a",
        "executor-lost m2 e",
        "exited m1",
        "exited m2",
        "accept o1 t1 t2",
        "decline o1",
        "suppress a",
        "revive",
        "kill t1",
        "ack t1 1",
        "send x",
        "reconcile",
        "not-sent t3",
        "heartbeat m1",
        "wait",
    ];
    const ENDS: [&str; 5] = ["stop", "abort", "panicked", "overflowed", "error m1 no"];
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut session = Session::new(SessionConfig {
            framework: FrameworkInfo::new("test"),
            implicit_acknowledgements: seed % 2 == 0,
            suppressed_roles: BTreeSet::new(),
            seed,
        });
        let (mut now, mut running, mut ended) = (Time::from_nanos(1_000_000_000), false, false);
        for _ in 0..500 {
            let line = match random.below(1_000) {
                0 => ENDS[random.below(5) as usize],
                // A callback returns only if one runs.
                1..300 if running => "returned",
                _ => LINES[random.below(30) as usize],
            };
            let mut out = Vec::new();
            now = now + Duration::from_millis(random.below(200));
            match line {
                "panicked" if !running => continue,
                "wait" => session.tick(now, &mut out),
                line => {
                    running &= !matches!(line, "returned" | "panicked");
                    session.handle(now, input(&line.split(' ').collect::<Vec<_>>()), &mut out);
                }
            }
            session.check();
            for output in out {
                assert!(!ended, "seed {seed}: {} after the end", describe(&output));
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
