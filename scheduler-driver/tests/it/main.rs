//! Drivers against masters that the tests play.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use libactor::detect::{self, AnnouncerHandle, Leads};
use libactor::{Me, Node, NodeConfig, Pid, Receive};
use scheduler_driver::protocol::messages::{Call, Event, MASTERS, MasterInfo, SchedulerCall};
use scheduler_driver::protocol::{
    Attributes, CommandInfo, FrameworkId, FrameworkInfo, Offer, OfferId, Resources, Role, Source, TaskInfo,
    TaskState, TaskStatus, Uuid,
};
use scheduler_driver::{Scheduler, SchedulerDriver, Status};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// A master whose decisions are the test's.
struct Master {
    node: Node,
    me: Me,
    calls: mpsc::Receiver<(Pid, SchedulerCall)>,
    announcer: AnnouncerHandle,
}

struct MasterActor(mpsc::Sender<(Pid, SchedulerCall)>);

impl actix::Actor for MasterActor {
    type Context = actix::Context<Self>;
}

impl Receive<SchedulerCall> for MasterActor {
    fn receive(&mut self, message: SchedulerCall, from: Option<Pid>, _: &mut actix::Context<Self>) {
        self.0.try_send((from.expect("drivers are actors"), message)).expect("the test listens");
    }
}

impl Master {
    async fn start() -> Self {
        let node = node().await;
        let (sender, calls) = mpsc::channel(1_000);
        let (me_sender, me) = std::sync::mpsc::sync_channel(1);
        node.spawn(
            "master",
            |me: Me| {
                me_sender.send(me).unwrap();
                MasterActor(sender)
            },
            |install| {
                install.message::<SchedulerCall>();
            },
        )
        .unwrap();
        let announcer = detect::announce(&node, MASTERS, leads(1, &node)).unwrap();
        Self { node, me: me.recv().unwrap(), calls, announcer }
    }

    fn address(&self) -> String {
        self.node.address().to_string()
    }

    /// What it says of who leads.
    async fn say(&self, epoch: u64, leader: &Node) {
        self.announcer.announce(leads(epoch, leader)).await.unwrap();
    }

    /// The next call.
    async fn call(&mut self) -> (Pid, SchedulerCall) {
        self.calls.recv().await.expect("the driver calls")
    }

    async fn subscription(&mut self) -> (Pid, FrameworkInfo, BTreeSet<Role>) {
        match self.call().await {
            (from, SchedulerCall { call: Call::Subscribe { framework, suppressed_roles }, .. }) => {
                (from, framework, suppressed_roles)
            }
            (_, other) => panic!("expected a subscription, not {other:?}"),
        }
    }

    fn tell(&self, to: &Pid, event: Event) {
        self.me.tell(to, event).unwrap();
    }

    /// Takes a subscription.
    async fn subscribe(&mut self) -> Pid {
        let (driver, _, _) = self.subscription().await;
        let master = MasterInfo {
            id: "m".into(),
            pid: self.me.pid().to_string(),
            hostname: "host".into(),
            version: "0".into(),
        };
        self.tell(&driver, Event::Subscribed { framework_id: "f".into(), master, resubscribed: false });
        driver
    }
}

fn leads(epoch: u64, leader: &Node) -> Leads {
    Leads { epoch, leader: Some(leader.pid("master")), members: Vec::new() }
}

async fn node() -> Node {
    Node::bind(NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), ..NodeConfig::default() }).await.unwrap()
}

fn offer(id: &str) -> Offer {
    Offer {
        id: id.into(),
        framework_id: "f".into(),
        agent_id: "a".into(),
        hostname: "host".into(),
        address: "127.0.0.1:1".into(),
        role: Role::default(),
        resources: "cpus:1".parse().unwrap(),
        attributes: Attributes::default(),
        executor_ids: Vec::new(),
    }
}

fn update(task: &str, state: TaskState, uuid: u8) -> TaskStatus {
    let mut status = TaskStatus::new(task.into(), state, Source::Executor);
    status.agent_id = Some("a".into());
    status.uuid = Some(Uuid([uuid; 16]));
    status
}

/// What a test's scheduler has seen.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Registered,
    Reregistered,
    Disconnected,
    Offers(Vec<OfferId>),
    Update(TaskState),
    Error(String),
}

/// Reports what it sees, launches a task on each offer, and waits in callbacks when told to.
struct Reporter {
    seen: mpsc::Sender<Seen>,
    /// Taken from before `Registered` returns.
    gate: Option<std::sync::mpsc::Receiver<()>>,
    panics: bool,
}

impl Reporter {
    fn new() -> (Self, mpsc::Receiver<Seen>) {
        let (seen, receiver) = mpsc::channel(1_000);
        (Self { seen, gate: None, panics: false }, receiver)
    }

    fn see(&self, seen: Seen) {
        self.seen.try_send(seen).unwrap();
    }
}

impl Scheduler for Reporter {
    fn registered(&mut self, driver: &SchedulerDriver, id: &FrameworkId, _: &MasterInfo) {
        assert_eq!((id.as_str(), driver.status()), ("f", Status::Running));
        self.see(Seen::Registered);
        if let Some(gate) = self.gate.take() {
            gate.recv().unwrap();
        }
        assert!(!self.panics, "as the test wants");
    }

    fn reregistered(&mut self, _: &SchedulerDriver, _: &MasterInfo) {
        self.see(Seen::Reregistered);
    }

    fn disconnected(&mut self, _: &SchedulerDriver) {
        self.see(Seen::Disconnected);
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        self.see(Seen::Offers(offers.iter().map(|offer| offer.id.clone()).collect()));
        for offer in offers {
            let task =
                TaskInfo::command("t", offer.agent_id, Resources::default(), CommandInfo::shell("true"));
            assert_eq!(driver.launch_tasks([offer.id], vec![task]), Status::Running);
        }
    }

    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        self.see(Seen::Update(status.state));
        if status.state == TaskState::Finished {
            assert_eq!(driver.stop(false), Status::Stopped);
            // Joining from a callback doesn't wait for itself.
            assert_eq!(driver.join(), Status::Stopped);
        }
    }

    fn error(&mut self, driver: &SchedulerDriver, message: &str) {
        assert_eq!(driver.status(), Status::Aborted);
        self.see(Seen::Error(message.to_owned()));
    }
}

/// Runs a test on a thread that may have actors; a test that hangs fails.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(15), test).await.expect("the test ends");
    });
}

#[test]
fn a_framework_from_its_subscription_to_its_teardown() {
    run(async {
        let mut master = Master::start().await;
        let (scheduler, mut seen) = Reporter::new();
        let driver = SchedulerDriver::new(scheduler, FrameworkInfo::new("test"), &master.address()).unwrap();
        assert_eq!(
            (driver.status(), driver.kill_task(&"t".into())),
            (Status::NotStarted, Status::NotStarted)
        );
        assert_eq!(driver.join(), Status::NotStarted);
        assert_eq!(driver.start(), Status::Running);
        let pid = master.subscribe().await;
        assert!(pid.name().starts_with("scheduler-"));
        assert_eq!(seen.recv().await, Some(Seen::Registered));

        master.tell(&pid, Event::Offers(vec![offer("o1")]));
        assert_eq!(seen.recv().await, Some(Seen::Offers(vec!["o1".into()])));
        let (_, call) = master.call().await;
        assert_eq!(call.framework_id, Some("f".into()));
        assert!(matches!(call.call, Call::Accept { offer_ids, .. } if offer_ids == ["o1".into()]));

        master.tell(&pid, Event::Update(update("t", TaskState::Running, 1)));
        assert_eq!(seen.recv().await, Some(Seen::Update(TaskState::Running)));
        let (_, call) = master.call().await;
        let uuid = Uuid([1; 16]);
        let acknowledge = Call::Acknowledge { agent_id: "a".into(), task_id: "t".into(), uuid };
        assert_eq!(call.call, acknowledge);

        // Stopped in the callback: the update is not acknowledged.
        master.tell(&pid, Event::Update(update("t", TaskState::Finished, 2)));
        assert_eq!(master.call().await.1.call, Call::Teardown);
        assert_eq!(driver.ended().await, Status::Stopped);
        assert_eq!(driver.join(), Status::Stopped);
        assert_eq!(driver.kill_task(&"t".into()), Status::Stopped);
        assert_eq!(driver.error(), None);
        master.node.shutdown().await;
    });
}

#[test]
fn a_slow_callback_delays_only_callbacks() {
    run(async {
        let mut master = Master::start().await;
        let (mut scheduler, mut seen) = Reporter::new();
        let (open, gate) = std::sync::mpsc::sync_channel(1);
        scheduler.gate = Some(gate);
        // On one node what is told is in the mailbox at once: the kill comes after the rescind.
        let driver = SchedulerDriver::builder(scheduler, FrameworkInfo::new("test"), &master.address())
            .node(&master.node)
            .build()
            .unwrap();
        driver.start();
        let pid = master.subscribe().await;
        assert_eq!(seen.recv().await, Some(Seen::Registered));
        // The callback does not return; the session goes on.
        master.tell(&pid, Event::Offers(vec![offer("o1"), offer("o2")]));
        master.tell(&pid, Event::Rescind("o1".into()));
        driver.kill_task(&"t".into());
        assert!(matches!(master.call().await.1.call, Call::Kill { .. }));
        open.send(()).unwrap();
        assert_eq!(seen.recv().await, Some(Seen::Offers(vec!["o2".into()])));
        driver.stop(true);
        assert_eq!(driver.ended().await, Status::Stopped);
        master.node.shutdown().await;
    });
}

#[test]
fn a_panic_aborts_the_driver_and_nothing_else() {
    run(async {
        let mut master = Master::start().await;
        let (mut scheduler, _seen) = Reporter::new();
        scheduler.panics = true;
        let driver = SchedulerDriver::new(scheduler, FrameworkInfo::new("test"), &master.address()).unwrap();
        driver.start();
        master.subscribe().await;
        assert_eq!(driver.ended().await, Status::Aborted);
        assert!(driver.error().unwrap().contains("as the test wants"));
        master.node.shutdown().await;
    });
}

#[test]
fn a_refusal_is_an_error_and_an_end() {
    run(async {
        let mut master = Master::start().await;
        let (scheduler, mut seen) = Reporter::new();
        let driver = SchedulerDriver::new(scheduler, FrameworkInfo::new("test"), &master.address()).unwrap();
        driver.start();
        let (pid, _, _) = master.subscription().await;
        master.tell(&pid, Event::Error("Framework has been removed".into()));
        assert_eq!(seen.recv().await, Some(Seen::Error("Framework has been removed".into())));
        assert_eq!(driver.ended().await, Status::Aborted);
        master.node.shutdown().await;
    });
}

#[test]
fn a_driver_follows_the_leader_with_its_identity_and_its_suppressed_roles() {
    run(async {
        let (mut first, mut second) = (Master::start().await, Master::start().await);
        second.say(1, &first.node).await;
        let (scheduler, mut seen) = Reporter::new();
        let own = node().await;
        let masters = format!("master@{},{}", first.address(), second.address());
        let driver = SchedulerDriver::builder(scheduler, FrameworkInfo::new("test"), &masters)
            .node(&own)
            .build()
            .unwrap();
        driver.start();
        let pid = first.subscribe().await;
        assert_eq!(pid.address(), own.address());
        assert_eq!(seen.recv().await, Some(Seen::Registered));
        driver.suppress_offers([]);
        assert!(matches!(first.call().await.1.call, Call::Suppress { .. }));
        // The first one does not know yet that it was deposed: what it says has no effect.
        second.say(2, &second.node).await;
        assert_eq!(seen.recv().await, Some(Seen::Disconnected));
        first.tell(&pid, Event::Update(update("t", TaskState::Running, 1)));
        // Tasks launched now are lost.
        let task = TaskInfo::command("t", "a".into(), Resources::default(), CommandInfo::shell("true"));
        let (from, framework, suppressed) = second.subscription().await;
        assert_eq!((framework.id, suppressed), (Some("f".into()), BTreeSet::from([Role::default()])));
        driver.launch_tasks(["o1".into()], vec![task]);
        assert_eq!(seen.recv().await, Some(Seen::Update(TaskState::Lost)));
        let master = MasterInfo {
            id: "n".into(),
            pid: String::new(),
            hostname: String::new(),
            version: String::new(),
        };
        second.tell(&from, Event::Subscribed { framework_id: "f".into(), master, resubscribed: true });
        assert_eq!(seen.recv().await, Some(Seen::Reregistered));
        // Another epoch is another lead, also of the same master.
        second.say(3, &second.node).await;
        assert_eq!(seen.recv().await, Some(Seen::Disconnected));
        assert_eq!(second.subscribe().await, from);
        assert_eq!(seen.recv().await, Some(Seen::Reregistered));
        // The master's process is gone.
        second.node.shutdown().await;
        assert_eq!(seen.recv().await, Some(Seen::Disconnected));
        driver.abort();
        assert_eq!(driver.ended().await, Status::Aborted);
        first.node.shutdown().await;
        own.shutdown().await;
    });
}

#[test]
fn masters_that_cannot_be_read_are_refused() {
    let (scheduler, _) = Reporter::new();
    let refused = SchedulerDriver::new(scheduler, FrameworkInfo::new("test"), "zk://somewhere").unwrap_err();
    assert!(refused.to_string().contains("zk://somewhere"));
}
