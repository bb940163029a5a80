//! The agent's actor between a master and an executor that the test plays.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::{Actor, Context};
use agent::containerizer::{ContainerEvent, Containerizer};
use agent::core::{AgentConfig, ContainerSpec};
use agent::shell::{self, AgentHandle, Ended, Start};
use libactor::{Me, Message, Node, NodeConfig, Pid, Receive};
use protocol::messages::{AgentCall, AgentEvent, ExecutorCall, ExecutorCallKind, ExecutorEvent};
use protocol::wire::common::VersionInfo;
use protocol::{
    AgentInfo, CommandInfo, ContainerId, FrameworkInfo, Source, TaskInfo, TaskState, TaskStatus, Uuid,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

const PATIENCE: Duration = Duration::from_secs(30);

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
struct Made(mpsc::Sender<Asked>);

#[derive(Debug)]
enum Asked {
    Launch(Box<ContainerSpec>),
    Destroy(ContainerId),
}

impl Containerizer for Made {
    fn launch(&mut self, spec: ContainerSpec) {
        self.0.try_send(Asked::Launch(Box::new(spec))).expect("the test listens");
    }
    fn destroy(&mut self, container_id: &ContainerId) {
        self.0.try_send(Asked::Destroy(container_id.clone())).expect("the test listens");
    }
}

async fn next<T>(receiver: &mut mpsc::Receiver<T>) -> T {
    tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("it comes").expect("somebody sends")
}

/// An actor that hears one kind of message, and what it hears.
fn listen<M: Message>(node: &Node, name: &str) -> (Me, mpsc::Receiver<(Pid, M)>) {
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

struct World {
    agent_node: Node,
    other_node: Node,
    agent: AgentHandle,
    master: Me,
    executor: Me,
    master_hears: mpsc::Receiver<(Pid, AgentCall)>,
    executor_hears: mpsc::Receiver<(Pid, ExecutorEvent)>,
    asked: mpsc::Receiver<Asked>,
    containers: mpsc::Sender<ContainerEvent>,
}

impl World {
    async fn new() -> Self {
        let bind =
            || Node::bind(NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), ..NodeConfig::default() });
        let (agent_node, other_node) = (bind().await.unwrap(), bind().await.unwrap());
        let (master, master_hears) = listen::<AgentCall>(&other_node, "master");
        let (executor, executor_hears) = listen::<ExecutorEvent>(&other_node, "executor");
        let info = AgentInfo {
            hostname: "host".into(),
            port: agent_node.address().port(),
            resources: "cpus:4;mem:100".parse().unwrap(),
            attributes: Default::default(),
            id: None,
        };
        let (asks, asked) = mpsc::channel(64);
        let (containers, events) = mpsc::channel(64);
        let agent = shell::start(
            &agent_node,
            Start {
                config: AgentConfig::new(agent_node.pid("slave(1)"), info, "0.1.0"),
                seed: 1,
                containerizer: Made(asks),
                events,
                master: watch::channel(Some(master.pid().clone())).1,
                work_dir: "/work".into(),
                flags: BTreeMap::from([("work_dir".to_string(), "/work".to_string())]),
                version: VersionInfo::new("0.1.0"),
                log_file: None,
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
        }
    }

    fn master_says(&self, event: AgentEvent) {
        self.say_as(&self.master, event);
    }

    fn say_as<M: Message>(&self, from: &Me, message: M) {
        from.tell(self.agent.pid(), message).unwrap();
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.agent_node.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }
}

#[tokio::test]
async fn a_task_runs_from_the_registration_to_the_end() {
    LocalSet::new().run_until(life_of_a_task()).await;
}

async fn life_of_a_task() {
    let mut world = World::new().await;
    let (from, call) = next(&mut world.master_hears).await;
    assert_eq!(&from, world.agent.pid());
    assert!(matches!(call, AgentCall::Register { .. }), "{call:?}");
    world.master_says(AgentEvent::Registered { agent_id: "S0".into(), ping_timeout: PATIENCE });
    let mut framework = FrameworkInfo::new("f");
    framework.id = Some("F".into());
    let task = TaskInfo::command("T", "S0".into(), "cpus:1".parse().unwrap(), CommandInfo::shell("true"));
    world.master_says(AgentEvent::RunTask { framework, task, launch_executor: true });
    let Asked::Launch(spec) = next(&mut world.asked).await else { panic!("a launch") };
    let container_id = spec.container_id.clone();
    world
        .containers
        .send(ContainerEvent::Launched { container_id: container_id.clone(), result: Ok(7) })
        .await
        .unwrap();
    let call = |call| ExecutorCall {
        framework_id: "F".into(),
        executor_id: "T".into(),
        container_id: container_id.clone(),
        call,
    };
    world.say_as(
        &world.executor,
        call(ExecutorCallKind::Subscribe { tasks: Vec::new(), updates: Vec::new() }),
    );
    assert!(matches!(next(&mut world.executor_hears).await.1, ExecutorEvent::Subscribed { .. }));
    assert!(matches!(next(&mut world.executor_hears).await.1, ExecutorEvent::Launch(_)));

    let snapshot = world.agent.snapshot().await.unwrap();
    let views = snapshot.views();
    let run = &views[0].runs[0];
    let sandbox = format!("slaves/S0/frameworks/F/executors/T/runs/{container_id}");
    assert_eq!(run.sandbox, std::path::Path::new(&sandbox));
    assert_eq!(run.launched[0].state, TaskState::Staging);
    assert_eq!(world.agent_node.metrics().snapshot()["slave/executors_running"], 1.0);

    let mut status = TaskStatus::new("T".into(), TaskState::Finished, Source::Executor);
    status.uuid = Some(Uuid([1; 16]));
    world.say_as(&world.executor, call(ExecutorCallKind::Update(status)));
    assert!(matches!(next(&mut world.executor_hears).await.1, ExecutorEvent::Acknowledged { .. }));
    let (_, AgentCall::Update(update)) = next(&mut world.master_hears).await else { panic!("an update") };
    assert_eq!((update.status.state, update.latest_state), (TaskState::Finished, TaskState::Finished));

    world.agent.leave().await;
    world.agent.leave().await;
    let Asked::Destroy(destroyed) = next(&mut world.asked).await else { panic!("a kill") };
    assert_eq!(destroyed, container_id);
    world.containers.send(ContainerEvent::Exited { container_id, status: 137, message: None }).await.unwrap();
    assert!(matches!(next(&mut world.master_hears).await.1, AgentCall::Unregister));
    assert_eq!(world.agent.ended().await, Ended { message: "asked to leave".into(), failed: false });
    world.agent_node.shutdown().await;
    world.other_node.shutdown().await;
}

#[tokio::test]
async fn the_state_is_shown_over_http() {
    let pages = async {
        let world = World::new().await;
        let state = world.get("/slave(1)/state").await;
        assert!(state.starts_with("HTTP/1.1 200") && state.contains("\"hostname\":\"host\""), "{state}");
        assert!(world.get("/slave(1)/health").await.starts_with("HTTP/1.1 200"));
        assert!(world.get("/slave(1)/version").await.contains("0.1.0"));
    };
    LocalSet::new().run_until(pages).await;
}
