//! The agent's actor between a master and an executor that the test plays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use agent::checkpoint::{Forgetful, Keeping};
use agent::containerizer::usage::{DeviceIo, Pids, Throttling};
use agent::containerizer::{ContainerEvent, Containerizer, Meter, Usage, all_ended};
use agent::core::{AgentConfig, ContainerEnd, ContainerSpec, Found};
use agent::edge::snapshot::Snapshot;
use agent::shell::{self, AgentHandle, Start};
use libactor::detect::Leader;
use libactor::{Me, Message, Node, NodeConfig, Pid, Receive};
use protocol::messages::{AgentCall, AgentEvent, ExecutorCall, ExecutorCallKind, ExecutorEvent};
use protocol::wire::common::VersionInfo;
use protocol::{
    AgentInfo, CommandInfo, ContainerId, FrameworkInfo, Source, TaskInfo, TaskState, TaskStatus, Uuid,
};
use tokio::sync::{mpsc, watch};

use crate::client::{Client, Response};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Writes down what it is told, and by whom.
struct Ear<M>(mpsc::Sender<(Pid, M)>);

impl<M: 'static> Actor for Ear<M> {
    type Context = Context<Self>;
}

impl<M: Message> Receive<M> for Ear<M> {
    fn receive(&mut self, message: M, from: Option<Pid>, _: &mut Context<Self>) {
        self.0.try_send((from.expect("it has a sender"), message)).expect("the test listens");
    }
}

/// Containers that the test makes up.
struct Made {
    asked: mpsc::Sender<Asked>,
    events: mpsc::Sender<ContainerEvent>,
    finds: Finds,
}

/// What is found of containers of an earlier life.
pub(crate) type Finds = fn(Vec<ContainerId>) -> BTreeMap<ContainerId, Found>;

#[derive(Debug)]
pub(crate) enum Asked {
    Launch(Box<ContainerSpec>),
    Destroy(ContainerId),
}

impl Containerizer for Made {
    fn recover(&mut self, containers: Vec<ContainerId>, _rebooted: bool) {
        let containers = (self.finds)(containers);
        self.events.try_send(ContainerEvent::Recovered { containers }).expect("there is room");
    }
    fn launch(&mut self, spec: ContainerSpec) {
        self.asked.try_send(Asked::Launch(Box::new(spec))).expect("the test listens");
    }
    fn destroy(&mut self, container_id: &ContainerId) {
        self.asked.try_send(Asked::Destroy(container_id.clone())).expect("the test listens");
    }
    fn meter(&self) -> Option<Arc<dyn Meter>> {
        Some(Arc::new(Measured))
    }
}

/// What all containers use that the test makes up.
struct Measured;

impl Meter for Measured {
    fn read(&self, containers: &[(ContainerId, u32)]) -> BTreeMap<ContainerId, Usage> {
        let usage = Usage {
            processes: 2,
            threads: 3,
            cpus_user: Duration::from_millis(60),
            cpus_system: Duration::from_millis(40),
            mem_rss_bytes: 143_904_768,
            mem_limit_bytes: Some(96 << 20),
            cpus_limit: Some(0.5),
            cpu_throttling: Some(Throttling { periods: 7, throttled: 3, time: Duration::from_millis(5) }),
            pids: Some(Pids { current: 4, limit: Some(5), refused: 6 }),
            io: vec![DeviceIo { device: (254, 0), read_bytes: 1, written_bytes: 2, reads: 3, writes: 4 }],
            ..Usage::default()
        };
        containers.iter().map(|(container_id, _)| (container_id.clone(), usage.clone())).collect()
    }
}

pub(crate) async fn next<T>(receiver: &mut mpsc::Receiver<T>) -> T {
    tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("it comes").expect("somebody sends")
}

/// An actor that hears one kind of message, and what it hears.
pub(crate) fn listen<M: Message>(node: &Node, name: &str) -> (Me, mpsc::Receiver<(Pid, M)>) {
    let (sender, receiver) = mpsc::channel(64);
    let (mine, own) = std::sync::mpsc::sync_channel(1);
    let make = move |me: Me| {
        mine.send(me).expect("it is waited for");
        Ear(sender)
    };
    node.spawn(name, make, |install| {
        install.message::<M>();
    })
    .unwrap();
    (own.recv().expect("it has been made"), receiver)
}

pub(crate) struct World {
    pub(crate) agent_node: Node,
    pub(crate) other_node: Node,
    pub(crate) agent: AgentHandle,
    pub(crate) master: Me,
    pub(crate) executor: Me,
    pub(crate) master_hears: mpsc::Receiver<(Pid, AgentCall)>,
    pub(crate) executor_hears: mpsc::Receiver<(Pid, ExecutorEvent)>,
    pub(crate) asked: mpsc::Receiver<Asked>,
    pub(crate) containers: mpsc::Sender<ContainerEvent>,
    pub(crate) work_dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::after(tempfile::tempdir().unwrap(), Forgetful::open(), all_ended).await
    }

    /// An agent with an earlier life, which has left this behind.
    pub(crate) async fn after(work_dir: tempfile::TempDir, keeping: Keeping, finds: Finds) -> Self {
        let bind =
            || Node::bind(NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), ..NodeConfig::default() });
        let (agent_node, other_node) = (bind().await.unwrap(), bind().await.unwrap());
        agent_node.set_delegate("slave(1)");
        let (master, master_hears) = listen::<AgentCall>(&other_node, "master");
        let (executor, executor_hears) = listen::<ExecutorEvent>(&other_node, "executor");
        let info = AgentInfo {
            hostname: "host".into(),
            port: agent_node.address().port(),
            resources: "cpus:4;mem:1000;ports:[31000-32000]".parse().unwrap(),
            attributes: "rack:r1;zone:z1".parse().unwrap(),
            id: None,
        };
        let log_file = work_dir.path().join("agent.log");
        std::fs::write(&log_file, "a line\n").unwrap();
        let (asks, asked) = mpsc::channel(64);
        let (containers, events) = mpsc::channel(64);
        let mut config = AgentConfig::new(agent_node.pid("slave(1)"), info, "0.1.0");
        config.boot_id = "now".to_owned();
        let agent = shell::start(
            &agent_node,
            Start {
                config,
                seed: 1,
                containerizer: Made { asked: asks, events: containers.clone(), finds },
                events,
                keeping,
                sandbox_gc: Default::default(),
                master: watch::channel(Some(Leader { pid: master.pid().clone(), epoch: 1 })).1,
                work_dir: work_dir.path().into(),
                flags: BTreeMap::from([("work_dir".to_string(), "/work".to_string())]),
                version: VersionInfo::new("0.1.0"),
                log_file: Some(log_file),
            },
        )
        .unwrap();
        Self {
            agent_node,
            other_node,
            agent,
            master,
            executor,
            master_hears,
            executor_hears,
            asked,
            containers,
            work_dir,
        }
    }

    /// An agent whose master has registered it.
    pub(crate) async fn registered() -> Self {
        let mut world = Self::new().await;
        assert!(matches!(next(&mut world.master_hears).await.1, AgentCall::Register { .. }));
        world.master_says(AgentEvent::Registered { agent_id: "S0".into(), ping_timeout: PATIENCE });
        world.until(|snapshot| snapshot.id.is_some()).await;
        world
    }

    /// Waits until the agent's state is as it is said.
    pub(crate) async fn until(&self, reached: impl Fn(&Snapshot) -> bool) {
        let wait = async {
            while !reached(&self.agent.snapshot().await.unwrap()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it is reached");
    }

    /// The master has a task run; the container that is asked for it is made.
    pub(crate) async fn run(&mut self, framework: &str, task: TaskInfo) -> ContainerId {
        let mut info = FrameworkInfo::new("f");
        info.id = Some(framework.into());
        info.user = "root".into();
        self.master_says(AgentEvent::RunTask { framework: info, task, launch_executor: true });
        let Asked::Launch(spec) = next(&mut self.asked).await else { panic!("a launch") };
        std::fs::create_dir_all(self.work_dir.path().join(&spec.sandbox)).unwrap();
        std::fs::write(self.work_dir.path().join(&spec.sandbox).join("stdout"), "hello").unwrap();
        let container_id = spec.container_id.clone();
        let event = ContainerEvent::Launched { container_id: container_id.clone(), result: Ok(7) };
        self.containers.send(event).await.unwrap();
        let launched = |snapshot: &Snapshot| {
            let mut runs = snapshot.views().into_iter().flat_map(|view| view.runs);
            runs.any(|run| *run.container_id == container_id && run.os_pid.is_some())
        };
        self.until(launched).await;
        container_id
    }

    /// A command task.
    pub(crate) fn task(name: &str) -> TaskInfo {
        let resources = "cpus:1;mem:128".parse().unwrap();
        TaskInfo::command(name, "S0".into(), resources, CommandInfo::shell("sleep 600"))
    }

    /// The executor of a command task calls.
    pub(crate) fn executor_calls(
        &self,
        framework: &str,
        task: &str,
        container_id: &ContainerId,
        call: ExecutorCallKind,
    ) {
        let call = ExecutorCall {
            framework_id: framework.into(),
            executor_id: task.into(),
            container_id: container_id.clone(),
            call,
        };
        self.say_as(&self.executor, call);
    }

    /// A command task that has come to some state, which the framework has acknowledged.
    pub(crate) async fn run_to(&mut self, framework: &str, task: &str, state: TaskState) -> ContainerId {
        let container_id = self.run(framework, Self::task(task)).await;
        let subscribe = ExecutorCallKind::Subscribe { tasks: Vec::new(), updates: Vec::new() };
        self.executor_calls(framework, task, &container_id, subscribe);
        assert!(matches!(next(&mut self.executor_hears).await.1, ExecutorEvent::Subscribed { .. }));
        assert!(matches!(next(&mut self.executor_hears).await.1, ExecutorEvent::Launch(_)));
        let mut status = TaskStatus::new(task.into(), state, Source::Executor);
        let uuid = Uuid::from_random(u128::from(state.number()) + 1);
        status.uuid = Some(uuid);
        self.executor_calls(framework, task, &container_id, ExecutorCallKind::Update(status));
        assert!(matches!(next(&mut self.executor_hears).await.1, ExecutorEvent::Acknowledged { .. }));
        assert!(matches!(next(&mut self.master_hears).await.1, AgentCall::Update(_)));
        let (framework_id, task_id) = (framework.into(), task.into());
        self.master_says(AgentEvent::Acknowledge { framework_id, task_id, uuid });
        container_id
    }

    /// A container ends.
    pub(crate) async fn end(&self, container_id: ContainerId) {
        let exited = ContainerEvent::Exited { container_id, end: ContainerEnd::with_status(0) };
        self.containers.send(exited).await.unwrap();
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.agent_node.address()).await
    }

    /// What a page answers.
    pub(crate) async fn page(&self, path: &str) -> Response {
        let mut client = self.client().await;
        client.send("GET", path, &[], b"").await;
        client.response().await
    }

    /// What the operator API answers to a call in JSON.
    pub(crate) async fn call(&self, call: &str) -> Response {
        let mut client = self.client().await;
        client.send("POST", "/api/v1", &[("Content-Type", "application/json")], call.as_bytes()).await;
        client.response().await
    }

    pub(crate) fn master_says(&self, event: AgentEvent) {
        self.say_as(&self.master, event);
    }

    pub(crate) fn say_as<M: Message>(&self, from: &Me, message: M) {
        from.tell(self.agent.pid(), message).unwrap();
    }
}
