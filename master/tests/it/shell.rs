//! A master on a real node: what actors elsewhere are told, what its metrics and snapshots show.

use std::collections::BTreeSet;

use actix::{Actor, Context};
use libactor::{Me, Node, NodeConfig, Pid, Receive};
use master::core::MasterConfig;
use master::{GroupHandle, Start};
use protocol::messages::{AgentCall, AgentEvent, Call, Event, SchedulerCall};
use protocol::{
    AgentInfo, Attributes, CommandInfo, Filters, FrameworkInfo, Operation, Source, StatusUpdate, TaskInfo,
    TaskState, TaskStatus, Uuid,
};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// An actor that keeps what it is told.
struct Ear<T>(mpsc::Sender<T>);

impl<T: 'static> Actor for Ear<T> {
    type Context = Context<Self>;
}

impl<T: libactor::Message + Unpin> Receive<T> for Ear<T> {
    fn receive(&mut self, message: T, _: Option<Pid>, _: &mut Context<Self>) {
        self.0.try_send(message).expect("a test reads what it is told");
    }
}

/// An actor of a test: what it says, and what it was told.
pub(crate) struct Person<T> {
    pub(crate) me: Me,
    told: mpsc::Receiver<T>,
}

impl<T: libactor::Message + Unpin> Person<T> {
    pub(crate) fn new(node: &Node, name: &str) -> Self {
        let (sender, told) = mpsc::channel(4096);
        let mut kept = None;
        let make = |me: Me| {
            kept = Some(me);
            Ear(sender)
        };
        node.spawn(name, make, |install| {
            install.message::<T>();
        })
        .expect("the name is free");
        Self { me: kept.expect("an actor is made when it is spawned"), told }
    }

    pub(crate) async fn next(&mut self) -> T {
        self.told.recv().await.expect("it is told something")
    }
}

pub(crate) async fn node() -> Node {
    let config = NodeConfig { check_machines: true, ..NodeConfig::default() };
    Node::bind(config).await.expect("a free port")
}

fn run(test: impl AsyncFnOnce(Node, Node, GroupHandle)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let (here, there) = (node().await, node().await);
        let start = || Start::alone(&here, MasterConfig::default(), 7);
        let handle = master::start(&here, start()).expect("it starts");
        assert!(master::start(&here, start()).is_err(), "one a node");
        assert!(handle.leads().await);
        test(here.clone(), there.clone(), handle).await;
        there.shutdown().await;
        here.shutdown().await;
    });
}

pub(crate) fn agent_info() -> AgentInfo {
    AgentInfo {
        hostname: "h1".to_owned(),
        port: 5051,
        resources: "cpus:4;mem:1024;ports:[1-9]".parse().expect("resources"),
        attributes: Attributes::default(),
        id: None,
    }
}

#[test]
fn a_task_goes_through() {
    run(async |here, there, master| {
        let mut scheduler = Person::<Event>::new(&there, "s1");
        let mut agent = Person::<AgentEvent>::new(&there, "a1");
        let subscribe =
            Call::Subscribe { framework: FrameworkInfo::new("f"), suppressed_roles: BTreeSet::new() };
        let call = SchedulerCall { framework_id: None, call: subscribe };
        scheduler.me.tell(&master.pid(), call).expect("the call is sent");
        let Event::Subscribed { framework_id, master: info, .. } = scheduler.next().await else {
            panic!("subscribed first");
        };
        assert_eq!(info.pid, master.pid().to_string());
        let register = AgentCall::Register { agent: agent_info(), version: "1".to_owned() };
        agent.me.tell(&master.pid(), register).expect("the call is sent");
        let AgentEvent::Registered { agent_id, .. } = agent.next().await else { panic!("registered first") };
        assert!(matches!(agent.next().await, AgentEvent::Ping { connected: true }));
        let Event::Offers(offers) = scheduler.next().await else { panic!("offers") };
        let resources = "cpus:1;mem:64".parse().expect("resources");
        let task = TaskInfo::command("t1", agent_id, resources, CommandInfo::shell("true"));
        let accept = Call::Accept {
            offer_ids: vec![offers[0].id.clone()],
            operations: vec![Operation::Launch { tasks: vec![task] }],
            filters: Filters::default(),
        };
        let call = SchedulerCall { framework_id: Some(framework_id.clone()), call: accept };
        scheduler.me.tell(&master.pid(), call).expect("the call is sent");
        assert!(matches!(agent.next().await, AgentEvent::RunTask { .. }));
        let mut status = TaskStatus::new("t1".into(), TaskState::Running, Source::Executor);
        status.uuid = Some(Uuid([1; 16]));
        let update = StatusUpdate { framework_id, status, latest_state: TaskState::Running };
        agent.me.tell(&master.pid(), AgentCall::Update(update)).expect("the call is sent");
        assert!(
            matches!(scheduler.next().await, Event::Update(status) if status.state == TaskState::Running)
        );

        let snapshot = master.snapshot().await.expect("the master runs");
        assert_eq!(
            snapshot.frameworks.values().next().expect("one").tasks.values().next().expect("one").task.state,
            TaskState::Running
        );
        assert_eq!(snapshot.agents.values().next().expect("one").used.to_string(), "cpus:1;mem:64");
        let metrics = here.metrics().snapshot();
        assert_eq!(metrics["master/tasks_running"], 1.0);
        assert_eq!(metrics["master/messages_status_update"], 1.0);
        assert_eq!(metrics["master/cpus_used"], 1.0);
        assert_eq!(metrics["master/cpus_percent"], 0.25);
        assert_eq!(metrics["master/slaves_active"], 1.0);
    });
}

#[test]
fn the_end_of_a_scheduler_is_noticed() {
    run(async |_, there, master| {
        let scheduler = Person::<Event>::new(&there, "s1");
        let mut other = Person::<Event>::new(&there, "s2");
        for person in [&scheduler, &other] {
            let subscribe =
                Call::Subscribe { framework: FrameworkInfo::new("f"), suppressed_roles: BTreeSet::new() };
            let call = SchedulerCall { framework_id: None, call: subscribe };
            person.me.tell(&master.pid(), call).expect("the call is sent");
        }
        assert!(matches!(other.next().await, Event::Subscribed { .. }));
        scheduler.me.stop();
        // Without a failover timeout it is removed; there is nothing that tells of it but a look.
        while master.snapshot().await.expect("the master runs").completed_frameworks.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(master.snapshot().await.expect("the master runs").frameworks.len(), 1);
        master.stop();
    });
}
