//! B6: tasks through the master. The real master, its actor and allocator, in one process with simulated agents: each
//! agent is an actor that says RUNNING at once; the scheduler is an actor that accepts, and acknowledges each update.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use actix::{Actor, Context};
use libactor::{Clock, Me, Node, NodeConfig, Pid, Receive, Time};
use protocol::messages::{AgentCall, AgentEvent, Call, Event, SchedulerCall};
use protocol::{
    AgentId, AgentInfo, Attributes, CommandInfo, Filters, FrameworkId, FrameworkInfo, Operation, Resources,
    Source, StatusUpdate, TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};
use tokio::sync::mpsc;

use super::report::percentiles_ms;
use super::{Effort, Figure};
use crate::runtime;

/// What one agent is asked to run.
const TASKS_PER_AGENT: usize = 5;
/// Nothing has come for this long: something is lost, and the figure would be a lie.
const STALLED: Duration = Duration::from_secs(60);

pub(super) fn run(effort: Effort) -> Result<Vec<Figure>, Box<dyn Error>> {
    let agents = match effort {
        Effort::Quick => 1_000,
        Effort::Full => 10_000,
    };
    let measured = runtime::block_on(measure(agents))?;
    let tasks = agents * TASKS_PER_AGENT;
    let params = |what: &str| format!("{tasks} tasks, {agents} simulated agents, in-proc, {what}");
    let seconds = |duration: Duration| duration.as_secs_f64();
    Ok(vec![
        Figure {
            name: "B6",
            params: params("subscription to the last RUNNING"),
            value: seconds(measured.running),
            unit: "s",
            percentiles_ms: percentiles_ms(measured.latencies),
        },
        Figure {
            name: "B6",
            params: params("RUNNING a second"),
            value: tasks as f64 / seconds(measured.running),
            unit: "tasks/s",
            percentiles_ms: None,
        },
        Figure {
            name: "B6",
            params: params("subscription to the last acknowledgement at an agent"),
            value: seconds(measured.acknowledged),
            unit: "s",
            percentiles_ms: None,
        },
        Figure {
            name: "B6",
            params: format!("{agents} simulated agents registered, in-proc"),
            value: seconds(measured.registered),
            unit: "s",
            percentiles_ms: None,
        },
    ])
}

struct Measured {
    registered: Duration,
    running: Duration,
    acknowledged: Duration,
    /// From accept to RUNNING, each task.
    latencies: Vec<Duration>,
}

/// What the actors report.
enum Mark {
    Registered,
    Running(Duration),
    Acknowledged,
}

async fn measure(agents: usize) -> Result<Measured, Box<dyn Error>> {
    let node = Node::bind(NodeConfig::default()).await?;
    let start = master::Start::alone(&node, master::core::MasterConfig::default(), 1);
    let master = master::start(&node, start)?;
    master.leads().await;
    let master = master.pid();
    // Every actor reports each task twice at most.
    let (marks, mut reports) = mpsc::channel(agents * (2 * TASKS_PER_AGENT + 1));
    let clock = Clock::real();
    let begin = clock.now();
    for index in 0..agents {
        let (master, marks) = (master.clone(), marks.clone());
        node.spawn(
            &format!("slave({index})"),
            move |me| SimulatedAgent { me, master, index, agent_id: None, updates: 0, marks },
            |install| {
                install.mailbox(MAILBOX).message::<AgentEvent>();
            },
        )?;
    }
    wait_for(&mut reports, agents, |mark| matches!(mark, Mark::Registered)).await?;
    let registered = clock.now().since(begin);
    let begin = clock.now();
    let (asked, at) = (master.clone(), clock.clone());
    node.spawn(
        "scheduler",
        move |me| SimulatedScheduler {
            me,
            master: asked,
            framework_id: None,
            accepted: BTreeMap::new(),
            clock: at,
            marks,
        },
        |install| {
            install.mailbox(agents * (TASKS_PER_AGENT + 1)).message::<Event>();
        },
    )?;
    let tasks = agents * TASKS_PER_AGENT;
    let mut latencies = Vec::with_capacity(tasks);
    let (mut running, mut acknowledged) = (Duration::ZERO, 0);
    while acknowledged < tasks {
        match tokio::time::timeout(STALLED, reports.recv()).await? {
            Some(Mark::Running(latency)) => {
                latencies.push(latency);
                if latencies.len() == tasks {
                    running = clock.now().since(begin);
                }
            }
            Some(Mark::Acknowledged) => acknowledged += 1,
            Some(Mark::Registered) => {}
            None => return Err("the actors have ended".into()),
        }
    }
    let acknowledged = clock.now().since(begin);
    node.shutdown().await;
    Ok(Measured { registered, running, acknowledged, latencies })
}

async fn wait_for(
    reports: &mut mpsc::Receiver<Mark>,
    mut left: usize,
    counts: impl Fn(&Mark) -> bool,
) -> Result<(), Box<dyn Error>> {
    while left > 0 {
        let mark = tokio::time::timeout(STALLED, reports.recv()).await?.ok_or("the actors have ended")?;
        left -= usize::from(counts(&mark));
    }
    Ok(())
}

/// Room in an agent's mailbox.
const MAILBOX: usize = 64;

struct SimulatedAgent {
    me: Me,
    master: Pid,
    index: usize,
    agent_id: Option<AgentId>,
    updates: u64,
    marks: mpsc::Sender<Mark>,
}

impl SimulatedAgent {
    fn tell(&self, call: AgentCall) {
        if let Err(error) = self.me.tell(&self.master, call) {
            tracing::error!(%error, "the master's mailbox is too small for this benchmark");
        }
    }

    fn mark(&self, mark: Mark) {
        if self.marks.try_send(mark).is_err() {
            tracing::error!("a report of the benchmark is lost");
        }
    }
}

impl Actor for SimulatedAgent {
    type Context = Context<Self>;

    fn started(&mut self, _ctx: &mut Self::Context) {
        let agent = AgentInfo {
            hostname: format!("host-{}", self.index),
            port: 1,
            resources: "cpus:10;mem:10240;disk:10240;ports:[31000-32000]".parse().expect("resources"),
            attributes: Attributes::default(),
            id: None,
        };
        self.tell(AgentCall::Register { agent, version: "bench".into() });
    }
}

impl Receive<AgentEvent> for SimulatedAgent {
    fn receive(&mut self, event: AgentEvent, _from: Option<Pid>, _ctx: &mut Context<Self>) {
        match event {
            AgentEvent::Registered { agent_id, .. } => {
                self.agent_id = Some(agent_id);
                self.mark(Mark::Registered);
            }
            AgentEvent::RunTask { framework, task, .. } => {
                let Some(framework_id) = framework.id else { return };
                self.updates += 1;
                let mut status = TaskStatus::new(task.task_id, TaskState::Running, Source::Executor);
                status.uuid =
                    Some(Uuid::from_random(((self.index as u128) << 64) | u128::from(self.updates)));
                status.agent_id = self.agent_id.clone();
                let update = StatusUpdate { framework_id, status, latest_state: TaskState::Running };
                self.tell(AgentCall::Update(update));
            }
            AgentEvent::Acknowledge { .. } => self.mark(Mark::Acknowledged),
            AgentEvent::Ping { .. } => self.tell(AgentCall::Pong),
            _ => {}
        }
    }
}

struct SimulatedScheduler {
    me: Me,
    master: Pid,
    framework_id: Option<FrameworkId>,
    accepted: BTreeMap<TaskId, Time>,
    clock: Clock,
    marks: mpsc::Sender<Mark>,
}

impl SimulatedScheduler {
    fn call(&self, call: Call) {
        let call = SchedulerCall { framework_id: self.framework_id.clone(), call };
        if let Err(error) = self.me.tell(&self.master, call) {
            tracing::error!(%error, "the master's mailbox is too small for this benchmark");
        }
    }

    fn accept(&mut self, offer: protocol::Offer) {
        let resources: Resources = "cpus:1;mem:128".parse().expect("resources");
        let now = self.clock.now();
        let task = |index| {
            let id = format!("{}-{index}", offer.agent_id);
            TaskInfo::command(id, offer.agent_id.clone(), resources.clone(), CommandInfo::shell("true"))
        };
        let tasks: Vec<TaskInfo> = (0..TASKS_PER_AGENT).map(task).collect();
        self.accepted.extend(tasks.iter().map(|task| (task.task_id.clone(), now)));
        let filters = Filters { refuse: Duration::from_secs(3600) };
        self.call(Call::Accept {
            offer_ids: vec![offer.id],
            operations: vec![Operation::Launch { tasks }],
            filters,
        });
    }
}

impl Actor for SimulatedScheduler {
    type Context = Context<Self>;

    fn started(&mut self, _ctx: &mut Self::Context) {
        let framework = FrameworkInfo::new("bench");
        self.call(Call::Subscribe { framework, suppressed_roles: Default::default() });
    }
}

impl Receive<Event> for SimulatedScheduler {
    fn receive(&mut self, event: Event, _from: Option<Pid>, _ctx: &mut Context<Self>) {
        match event {
            Event::Subscribed { framework_id, .. } => self.framework_id = Some(framework_id),
            Event::Offers(offers) => offers.into_iter().for_each(|offer| self.accept(offer)),
            Event::Update(status) => {
                let (Some(agent_id), Some(uuid)) = (status.agent_id, status.uuid) else {
                    tracing::error!(task = %status.task_id, state = %status.state, "a task was refused");
                    return;
                };
                if let Some(accepted) = self.accepted.remove(&status.task_id) {
                    let latency = self.clock.now().since(accepted);
                    if self.marks.try_send(Mark::Running(latency)).is_err() {
                        tracing::error!("a report of the benchmark is lost");
                    }
                }
                self.call(Call::Acknowledge { agent_id, task_id: status.task_id, uuid });
            }
            _ => {}
        }
    }
}
