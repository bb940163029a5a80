//! Agents that are actors: they register, and say RUNNING of each task at once. Who the leader is
//! they are told by the benchmark.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use actix::{Actor, Context};
use libactor::{Clock, Me, Node, Pid, Random, Receive, SpawnError};
use protocol::messages::{AgentCall, AgentEvent};
use protocol::{
    AgentId, AgentInfo, Attributes, FrameworkId, FrameworkInfo, Source, StatusUpdate, Task, TaskId,
    TaskState, TaskStatus, Uuid,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Room in an agent's mailbox.
const MAILBOX: usize = 64;

/// Nothing has come for this long: something is lost, and the figure would be a lie.
pub(super) const STALLED: Duration = Duration::from_secs(60);

/// What agents report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// One is registered, for the first time or again.
    Registered,
}

/// Register with this master.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename = "meseta.bench.Register")]
struct Register {
    leader: Pid,
}

/// Starts agents on a node; each reports to `marks` whenever it is registered. `tasks`: what each runs already.
pub(super) fn spawn(
    node: &Node,
    numbers: std::ops::Range<usize>,
    tasks: impl Fn(usize) -> Option<(AgentId, FrameworkInfo, Vec<Task>)>,
    marks: &mpsc::Sender<Mark>,
) -> Result<Vec<(Node, Pid)>, SpawnError> {
    let mut agents = Vec::new();
    for number in numbers {
        let marks = marks.clone();
        let known = tasks(number);
        let pid = node.spawn(
            &format!("slave({number})"),
            move |me| {
                Agent {
                    me,
                    number,
                    agent_id: None,
                    leader: None,
                    updates: 0,
                    tasks: BTreeMap::new(),
                    frameworks: BTreeMap::new(),
                    marks,
                }
                .with(known)
            },
            |install| {
                install.mailbox(MAILBOX).message::<AgentEvent>().message::<Register>();
            },
        )?;
        agents.push((node.clone(), pid));
    }
    Ok(agents)
}

struct Agent {
    me: Me,
    number: usize,
    agent_id: Option<AgentId>,
    leader: Option<Pid>,
    updates: u64,
    tasks: BTreeMap<TaskId, Task>,
    frameworks: BTreeMap<FrameworkId, FrameworkInfo>,
    marks: mpsc::Sender<Mark>,
}

impl Agent {
    /// One that was there before, with what it runs.
    fn with(mut self, known: Option<(AgentId, FrameworkInfo, Vec<Task>)>) -> Self {
        let Some((agent_id, framework, tasks)) = known else { return self };
        self.agent_id = Some(agent_id);
        self.frameworks.extend(framework.id.clone().map(|id| (id, framework)));
        self.tasks.extend(tasks.into_iter().map(|task| (task.task_id.clone(), task)));
        self
    }

    fn tell(&self, call: AgentCall) {
        // A leader that is gone is followed by another one, which is told anew.
        if let Some(leader) = &self.leader {
            drop(self.me.tell(leader, call));
        }
    }

    fn register(&self) {
        let version = "bench".to_owned();
        let agent = AgentInfo { id: self.agent_id.clone(), ..info(self.number) };
        self.tell(match self.agent_id {
            None => AgentCall::Register { agent, version },
            Some(_) => AgentCall::Reregister {
                agent,
                version,
                executors: Vec::new(),
                tasks: self.tasks.values().cloned().collect(),
                frameworks: self.frameworks.values().cloned().collect(),
            },
        });
    }

    fn registered(&self) {
        if self.marks.try_send(Mark::Registered).is_err() {
            tracing::error!("a report of the benchmark is lost");
        }
    }

    fn run(&mut self, framework: FrameworkInfo, task: &protocol::TaskInfo) {
        let Some(framework_id) = framework.id.clone() else { return };
        self.updates += 1;
        let mut status = TaskStatus::new(task.task_id.clone(), TaskState::Running, Source::Executor);
        status.uuid = Some(Uuid::from_random(((self.number as u128) << 64) | u128::from(self.updates)));
        status.agent_id = self.agent_id.clone();
        let running = Task::new(framework_id.clone(), task, TaskState::Running);
        self.tasks.insert(task.task_id.clone(), running);
        self.frameworks.insert(framework_id.clone(), framework);
        self.tell(AgentCall::Update(StatusUpdate { framework_id, status, latest_state: TaskState::Running }));
    }
}

/// What an agent of this number has.
pub(super) fn info(number: usize) -> AgentInfo {
    AgentInfo {
        hostname: format!("host-{number}"),
        port: 1,
        resources: "cpus:10;mem:10240;disk:10240;ports:[31000-32000]".parse().expect("resources"),
        attributes: Attributes::default(),
        id: None,
    }
}

impl Actor for Agent {
    type Context = Context<Self>;
}

impl Receive<Register> for Agent {
    fn receive(&mut self, Register { leader }: Register, _from: Option<Pid>, _ctx: &mut Context<Self>) {
        self.leader = Some(leader);
        self.register();
    }
}

impl Receive<AgentEvent> for Agent {
    fn receive(&mut self, event: AgentEvent, from: Option<Pid>, _ctx: &mut Context<Self>) {
        if from != self.leader {
            return;
        }
        match event {
            AgentEvent::Registered { agent_id, .. } => {
                self.agent_id = Some(agent_id);
                self.registered();
            }
            AgentEvent::Reregistered { .. } => self.registered(),
            AgentEvent::RunTask { framework, task, .. } => self.run(framework, &task),
            AgentEvent::Ping { connected: true } => self.tell(AgentCall::Pong),
            AgentEvent::Ping { connected: false } => self.register(),
            _ => {}
        }
    }
}

/// Tells agents to register with a leader: all at once, or each after a random part of a duration.
pub(super) async fn register(agents: &[(Node, Pid)], leader: &Pid, within: Duration, random: &mut Random) {
    let mut order: Vec<(Duration, usize)> = (0..agents.len())
        .map(|index| (within.mul_f64(random.below(1 << 20) as f64 / (1 << 20) as f64), index))
        .collect();
    order.sort_unstable();
    let clock = Clock::real();
    let begin = clock.now();
    for (wait, index) in order {
        // Timers count in milliseconds: who is late already goes on at once.
        let early = wait.saturating_sub(clock.now().since(begin));
        if !early.is_zero() {
            tokio::time::sleep(early).await;
        }
        let (node, pid) = &agents[index];
        if let Err(error) = node.tell(pid, Register { leader: leader.clone() }) {
            tracing::error!(%error, "an agent of the benchmark is lost");
        }
    }
}

/// Waits until so many agents have reported.
///
/// # Errors
/// None has for a minute.
pub(super) async fn all(reports: &mut mpsc::Receiver<Mark>, mut left: usize) -> Result<(), Box<dyn Error>> {
    while left > 0 {
        let mark = tokio::time::timeout(STALLED, reports.recv()).await?;
        let Mark::Registered = mark.ok_or("the agents have ended")?;
        left -= 1;
    }
    Ok(())
}
