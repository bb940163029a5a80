//! A master with agents that bring their tasks, and a scheduler that launches one task at a time.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use actix::fut::WrapFuture as _;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context};
use libactor::{Clock, Me, Node, NodeConfig, Pid, Receive, Time};
use protocol::messages::{AgentCall, AgentEvent, Call, Event, SchedulerCall};
use protocol::{
    AgentId, AgentInfo, Attributes, CommandInfo, Filters, FrameworkId, FrameworkInfo, Label, OfferId,
    Operation, Resources, Source, StatusUpdate, Task, TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};
use tokio::sync::mpsc;

use super::Size;

/// How many frameworks the tasks are spread over.
const FRAMEWORKS: usize = 50;
/// Between the end of one launch and the next.
const PACE: Duration = Duration::from_millis(2);
/// Nothing has come for this long: something is lost.
const STALLED: Duration = Duration::from_secs(60);

/// A cluster of one process.
pub(super) struct Cluster {
    node: Node,
    master: Pid,
}

/// What actors report.
enum Mark {
    Registered,
    Running(Duration),
}

impl Cluster {
    /// Starts it and waits until all agents are there.
    pub(super) async fn start(size: Size) -> Result<Self, Box<dyn Error>> {
        let node =
            Node::bind(NodeConfig { delegate: Some(master::NAME.into()), ..NodeConfig::default() }).await?;
        let start = master::Start::alone(&node, master::core::MasterConfig::default(), 1);
        let master = master::start(&node, start)?;
        master.leads().await;
        let master = master.pid();
        let (marks, mut reports) = mpsc::channel(size.agents);
        for index in 0..size.agents {
            let (asked, marks) = (master.clone(), marks.clone());
            node.spawn(
                &format!("slave({index})"),
                move |me| Agent { me, master: asked, index, tasks: size.tasks_per_agent, updates: 0, marks },
                |install| {
                    install.mailbox(64).message::<AgentEvent>();
                },
            )?;
        }
        for _ in 0..size.agents {
            tokio::time::timeout(STALLED, reports.recv()).await?;
        }
        Ok(Self { node, master })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// Launches tasks for a while, each when the one before it runs: how long each took from accept to RUNNING.
    pub(super) async fn launch_for(&self, time: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
        let clock = Clock::real();
        let (marks, mut reports) = mpsc::channel(16);
        let (asked, at) = (self.master.clone(), clock.clone());
        let make = move |me| Scheduler {
            me,
            master: asked,
            id: None,
            offers: Vec::new(),
            accepted: None,
            clock: at,
            marks,
        };
        let pid = self.node.spawn("scheduler", make, |install| {
            install.mailbox(1 << 16).message::<Event>();
        })?;
        let mut took = Vec::new();
        // Offers of a large cluster take a while to be made: time runs from the first task.
        let mut until = None;
        while until.is_none_or(|until| clock.now() < until) {
            if let Some(Mark::Running(latency)) = tokio::time::timeout(STALLED, reports.recv()).await? {
                until.get_or_insert(clock.now() + time);
                took.push(latency);
            }
        }
        self.node.stop(pid.name());
        Ok(took)
    }

    pub(super) async fn end(self) {
        self.node.shutdown().await;
    }
}

fn framework_id(index: usize) -> FrameworkId {
    FrameworkId::from(format!("20261121-000000-{:04}", index % FRAMEWORKS))
}

struct Agent {
    me: Me,
    master: Pid,
    index: usize,
    tasks: usize,
    updates: u64,
    marks: mpsc::Sender<Mark>,
}

impl Agent {
    fn id(&self) -> AgentId {
        AgentId::from(format!("3f9d808c-bench-S{}", self.index))
    }

    fn tell(&self, call: AgentCall) {
        if let Err(error) = self.me.tell(&self.master, call) {
            tracing::error!(%error, "the master's mailbox is too small for this benchmark");
        }
    }

    fn status(&mut self, task_id: TaskId) -> TaskStatus {
        self.updates += 1;
        let mut status = TaskStatus::new(task_id, TaskState::Running, Source::Executor);
        status.uuid = Some(Uuid::from_random(((self.index as u128) << 64) | u128::from(self.updates)));
        status.agent_id = Some(self.id());
        status.timestamp = Some(protocol::UnixTime(1_700_000_000_000_000_000));
        status
    }

    /// A task as a web service has it.
    fn task(&mut self, number: usize) -> Task {
        let resources: Resources =
            format!("cpus:1;mem:512;ports:[{0}-{0}]", 31_000 + number).parse().expect("resources");
        let id = format!("web_frontend.{}-{number}", self.index);
        let info = TaskInfo {
            name: "frontend.web".into(),
            labels: vec![Label { key: "team".into(), value: Some("web".into()) }],
            ..TaskInfo::command(id, self.id(), resources, CommandInfo::shell("exec server"))
        };
        let mut task = Task::new(framework_id(self.index), &info, TaskState::Running);
        task.statuses = vec![self.status(task.task_id.clone())];
        task
    }
}

impl Actor for Agent {
    type Context = Context<Self>;

    fn started(&mut self, _ctx: &mut Self::Context) {
        let tasks = (0..self.tasks).map(|number| self.task(number)).collect();
        let agent = AgentInfo {
            hostname: format!("host-{}.example.org", self.index),
            port: 5051,
            resources: "cpus:32;mem:131072;disk:1000000;ports:[31000-32000]".parse().expect("resources"),
            attributes: "rack:r1;zone:a".parse::<Attributes>().expect("attributes"),
            id: Some(self.id()),
        };
        let framework = FrameworkInfo {
            id: Some(framework_id(self.index)),
            ..FrameworkInfo::new("a framework of web services")
        };
        let version = "1".to_owned();
        self.tell(AgentCall::Reregister {
            agent,
            version,
            executors: Vec::new(),
            tasks,
            frameworks: vec![framework],
        });
    }
}

impl Receive<AgentEvent> for Agent {
    fn receive(&mut self, event: AgentEvent, _from: Option<Pid>, _ctx: &mut Context<Self>) {
        match event {
            AgentEvent::Reregistered { .. } => {
                self.marks.try_send(Mark::Registered).expect("there is room for all")
            }
            AgentEvent::RunTask { framework, task, .. } => {
                let Some(framework_id) = framework.id else { return };
                let status = self.status(task.task_id);
                let update = StatusUpdate { framework_id, status, latest_state: TaskState::Running };
                self.tell(AgentCall::Update(update));
            }
            AgentEvent::Ping { .. } => self.tell(AgentCall::Pong),
            _ => {}
        }
    }
}

struct Scheduler {
    me: Me,
    master: Pid,
    id: Option<FrameworkId>,
    offers: Vec<(OfferId, AgentId)>,
    accepted: Option<Time>,
    clock: Clock,
    marks: mpsc::Sender<Mark>,
}

impl Scheduler {
    fn call(&self, call: Call) {
        let call = SchedulerCall { framework_id: self.id.clone(), call };
        if let Err(error) = self.me.tell(&self.master, call) {
            tracing::error!(%error, "the master's mailbox is too small for this benchmark");
        }
    }

    fn launch(&mut self) {
        let Some((offer_id, agent_id)) = self.offers.pop() else { return };
        let resources: Resources = "cpus:0.1;mem:32".parse().expect("resources");
        let task = TaskInfo::command(
            format!("launched-{offer_id}"),
            agent_id,
            resources,
            CommandInfo::shell("true"),
        );
        self.accepted = Some(self.clock.now());
        let filters = Filters { refuse: Duration::ZERO };
        let operations = vec![Operation::Launch { tasks: vec![task] }];
        self.call(Call::Accept { offer_ids: vec![offer_id], operations, filters });
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, _ctx: &mut Self::Context) {
        let framework = FrameworkInfo::new("bench");
        self.call(Call::Subscribe { framework, suppressed_roles: Default::default() });
    }
}

impl Receive<Event> for Scheduler {
    fn receive(&mut self, event: Event, _from: Option<Pid>, ctx: &mut Context<Self>) {
        match event {
            Event::Subscribed { framework_id, .. } => self.id = Some(framework_id),
            Event::Offers(offers) => {
                self.offers.extend(offers.into_iter().map(|offer| (offer.id, offer.agent_id)));
                if self.accepted.is_none() {
                    self.launch();
                }
            }
            Event::Update(status) => {
                let (Some(agent_id), Some(uuid)) = (status.agent_id, status.uuid) else {
                    tracing::error!(task = %status.task_id, state = %status.state, "a task was refused");
                    return;
                };
                self.call(Call::Acknowledge { agent_id, task_id: status.task_id, uuid });
                if let Some(accepted) = self.accepted.take() {
                    // Nobody listens once the time is over.
                    let _ = self.marks.try_send(Mark::Running(self.clock.now().since(accepted)));
                }
                // What an offer leaves is offered again in the next round: a pace makes the offers last until then.
                let pause = self.clock.sleep(PACE);
                ctx.spawn(pause.into_actor(self).map(|(), scheduler, _| scheduler.launch()));
            }
            _ => {}
        }
    }
}
