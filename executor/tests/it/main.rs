//! Executors against agents that the tests play.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod orphans;

use std::fs::File;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use executor::command::{self, CommandConfig, TaskOutput};
use executor::protocol::messages::{ExecutorCall, ExecutorCallKind, ExecutorEvent};
use executor::protocol::{
    AgentInfo, Attributes, CommandInfo, ContainerId, ExecutorInfo, FrameworkInfo, KillPolicy, Reason,
    Resources, Source, TaskInfo, TaskState, TaskStatus,
};
use executor::{Executor, ExecutorDriver, SessionConfig, Status};
use libactor::{Me, Node, NodeConfig, Pid, Receive};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// An agent whose decisions are the test's.
struct Agent {
    node: Node,
    me: Me,
    calls: mpsc::Receiver<(Pid, ExecutorCall)>,
}

struct AgentActor(mpsc::Sender<(Pid, ExecutorCall)>);

impl actix::Actor for AgentActor {
    type Context = actix::Context<Self>;
}

impl Receive<ExecutorCall> for AgentActor {
    fn receive(&mut self, message: ExecutorCall, from: Option<Pid>, _: &mut actix::Context<Self>) {
        self.0.try_send((from.expect("executors are actors"), message)).expect("the test listens");
    }
}

impl Agent {
    async fn start() -> Self {
        let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), ..NodeConfig::default() };
        let node = Node::bind(config).await.unwrap();
        let (sender, calls) = mpsc::channel(1_000);
        let (me_sender, me) = std::sync::mpsc::sync_channel(1);
        node.spawn(
            "slave(1)",
            |me: Me| {
                me_sender.send(me).unwrap();
                AgentActor(sender)
            },
            |install| {
                install.message::<ExecutorCall>();
            },
        )
        .unwrap();
        Self { node, me: me.recv().unwrap(), calls }
    }

    /// One of each test's own: what carries it is killed with the container.
    fn container(&self) -> ContainerId {
        ContainerId::from(format!("c-{}-{}", std::process::id(), self.node.address().port()))
    }

    fn session(&self) -> SessionConfig {
        SessionConfig {
            framework_id: "f".into(),
            executor_id: "e".into(),
            container_id: self.container(),
            agent: self.me.pid().clone(),
            checkpoint: false,
            recovery_timeout: Duration::from_secs(10),
            backoff_max: Duration::from_millis(100),
            shutdown_grace: Duration::from_secs(10),
            ip: None,
            seed: 1,
        }
    }

    async fn call(&mut self) -> (Pid, ExecutorCallKind) {
        let (from, call) = self.calls.recv().await.expect("the executor calls");
        assert_eq!(call.container_id, self.container());
        (from, call.call)
    }

    fn tell(&self, to: &Pid, event: ExecutorEvent) {
        self.me.tell(to, event).unwrap();
    }

    /// Takes a subscription and launches a task.
    async fn launch(&mut self, command: &str) -> Pid {
        let command = CommandInfo::shell(command);
        self.launch_task(TaskInfo::command("t", "a".into(), Resources::default(), command)).await
    }

    async fn launch_task(&mut self, task: TaskInfo) -> Pid {
        let (from, call) = self.call().await;
        assert!(matches!(call, ExecutorCallKind::Subscribe { .. }), "{call:?}");
        self.tell(
            &from,
            ExecutorEvent::Subscribed {
                executor: ExecutorInfo::new("e", CommandInfo::shell("")),
                framework: FrameworkInfo::new("test"),
                agent_id: "a".into(),
                agent: AgentInfo {
                    hostname: "host".into(),
                    port: 1,
                    resources: Resources::default(),
                    attributes: Attributes::default(),
                    id: None,
                },
            },
        );
        self.tell(&from, ExecutorEvent::Launch(task));
        from
    }

    /// The next update, acknowledged.
    async fn update(&mut self) -> TaskStatus {
        let (from, call) = self.call().await;
        let ExecutorCallKind::Update(status) = call else { panic!("expected an update, not {call:?}") };
        let uuid = status.uuid.expect("updates carry a uuid");
        self.tell(&from, ExecutorEvent::Acknowledged { task_id: status.task_id.clone(), uuid });
        status
    }
}

/// Runs a test on a thread that may have actors; a test that hangs fails.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(15), test).await.expect("the test ends");
    });
}

/// Answers messages; its task lasts until the shutdown.
struct Echo;

impl Executor for Echo {
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        driver.send_status_update(TaskStatus::new(task.task_id, TaskState::Running, Source::Executor));
    }

    fn framework_message(&mut self, driver: &ExecutorDriver, data: Bytes) {
        assert!(&data[..] != b"panic", "as the test wants");
        driver.send_framework_message(data);
    }

    fn shutdown(&mut self, driver: &ExecutorDriver) {
        driver.send_status_update(TaskStatus::new("t".into(), TaskState::Killed, Source::Executor));
    }
}

#[test]
fn a_custom_executor_from_its_subscription_to_its_shutdown() {
    run(async {
        let mut agent = Agent::start().await;
        // No watchdog fires: the process is the test's, and it is told to be patient.
        let config = SessionConfig { shutdown_grace: Duration::from_secs(3600), ..agent.session() };
        let driver = ExecutorDriver::with_config(Echo, config);
        assert_eq!(driver.start(), Status::Running);
        let pid = agent.launch("").await;
        let status = agent.update().await;
        assert_eq!(
            (status.state, status.source, status.executor_id),
            (TaskState::Running, Source::Executor, Some("e".into()))
        );
        agent.tell(&pid, ExecutorEvent::Message(Bytes::from_static(b"hello")));
        assert_eq!(agent.call().await.1, ExecutorCallKind::Message(Bytes::from_static(b"hello")));
        agent.tell(&pid, ExecutorEvent::Shutdown);
        assert_eq!(agent.update().await.state, TaskState::Killed);
        assert_eq!(driver.ended().await, Status::Aborted);
        agent.node.shutdown().await;
    });
}

#[test]
fn a_panic_ends_the_driver() {
    run(async {
        let mut agent = Agent::start().await;
        let config = SessionConfig { shutdown_grace: Duration::from_secs(3600), ..agent.session() };
        let driver = ExecutorDriver::with_config(Echo, config);
        driver.start();
        let pid = agent.launch("").await;
        agent.update().await;
        agent.tell(&pid, ExecutorEvent::Message(Bytes::from_static(b"panic")));
        assert_eq!(driver.ended().await, Status::Aborted);
        assert!(driver.error().unwrap().contains("as the test wants"));
        agent.node.shutdown().await;
    });
}

#[test]
fn command_executors_share_a_process_and_a_node() {
    run(async {
        let sandbox = tempfile::tempdir().unwrap();
        let file = |name| File::create(sandbox.path().join(name)).unwrap();
        let mut agent = Agent::start().await;
        let config = CommandConfig {
            session: agent.session(),
            environment: vec![("PATH".into(), std::env::var("PATH").unwrap())],
            sandbox: sandbox.path().to_owned(),
            output: TaskOutput::Files { stdout: file("stdout"), stderr: file("stderr") },
        };
        let executor = command::start(&agent.node, config);
        agent.launch("echo hello from $MESOS_TASK_ID in $MESOS_CONTAINER_ID").await;
        for state in [TaskState::Starting, TaskState::Running, TaskState::Finished] {
            assert_eq!(agent.update().await.state, state);
        }
        assert_eq!(executor.ended().await, Status::Stopped);
        assert_eq!(
            std::fs::read_to_string(sandbox.path().join("stdout")).unwrap(),
            format!("hello from t in {}\n", agent.container())
        );
        agent.node.shutdown().await;
    });
}

/// Starts this test binary as an executor.
fn spawn_executor(agent: &Agent, test: &str, grace: &str) -> tokio::process::Child {
    as_executor(tokio::process::Command::new(std::env::current_exe().unwrap()), agent, test, grace)
}

fn as_executor(
    mut command: tokio::process::Command,
    agent: &Agent,
    test: &str,
    grace: &str,
) -> tokio::process::Child {
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("MESOS_FRAMEWORK_ID", "f")
        .env("MESOS_EXECUTOR_ID", "e")
        .env("MESOS_CONTAINER_ID", agent.container().as_str())
        .env("MESOS_SLAVE_PID", agent.me.pid().to_string())
        .env("MESOS_CHECKPOINT", "0")
        .env("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", grace)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "a command executor: started by tests"]
fn as_a_command_executor() {
    assert_eq!(command::main(command::Birth::of_this_process()), 0);
}

/// Starts a process and does not come back from its shutdown.
struct Stuck;

impl Executor for Stuck {
    #[allow(clippy::zombie_processes, reason = "what is left behind is the point")]
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        driver.send_framework_message(child.id().to_string());
        driver.send_status_update(TaskStatus::new(task.task_id, TaskState::Running, Source::Executor));
    }

    fn shutdown(&mut self, _: &ExecutorDriver) {
        let (_keep, never) = std::sync::mpsc::sync_channel::<()>(1);
        never.recv().unwrap();
    }
}

#[test]
#[ignore = "an executor: started by tests"]
fn as_a_stuck_executor() {
    ExecutorDriver::new(Stuck).unwrap().run();
}

#[test]
fn an_executor_that_does_not_end_is_killed_with_all_it_has_started() {
    run(async {
        let mut agent = Agent::start().await;
        let mut executor = spawn_executor(&agent, "as_a_stuck_executor", "50ms");
        let pid = agent.launch("").await;
        let ExecutorCallKind::Message(child) = agent.call().await.1 else {
            panic!("expected the child's id")
        };
        assert_eq!(agent.update().await.state, TaskState::Running);
        let child = std::path::Path::new("/proc").join(String::from_utf8_lossy(&child).as_ref()).join("exe");
        assert!(child.exists());
        agent.tell(&pid, ExecutorEvent::Shutdown);
        let status = executor.wait().await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        // A process that has been killed has no program any more, though its entry may wait to be reaped.
        while child.exists() {
            tokio::task::yield_now().await;
        }
        agent.node.shutdown().await;
    });
}

#[test]
fn a_command_executor_in_a_process_of_its_own_ends_with_its_task() {
    run(async {
        let mut agent = Agent::start().await;
        let executor = spawn_executor(&agent, "as_a_command_executor", "5secs");
        agent.launch("echo hello; exit 3").await;
        for state in [TaskState::Starting, TaskState::Running] {
            assert_eq!(agent.update().await.state, state);
        }
        let status = agent.update().await;
        assert_eq!((status.state, status.exit_status), (TaskState::Failed, Some(3)));
        let output = executor.wait_with_output().await.unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("hello"));
        agent.node.shutdown().await;
    });
}

#[test]
fn nothing_outlives_an_agent_that_is_gone() {
    run(async {
        let sandbox = tempfile::tempdir().unwrap();
        let note = sandbox.path().join("pid");
        let mut agent = Agent::start().await;
        let mut executor = spawn_executor(&agent, "as_a_command_executor", "5secs");
        agent.launch(&format!("echo $$ > {}; sleep 1000", note.display())).await;
        for state in [TaskState::Starting, TaskState::Running] {
            assert_eq!(agent.update().await.state, state);
        }
        agent.node.shutdown().await;
        assert!(executor.wait().await.unwrap().success());
        // Killed before it could write its note, or written and gone.
        let pid = std::fs::read_to_string(note).unwrap_or_default();
        assert!(pid.is_empty() || !std::path::Path::new("/proc").join(pid.trim()).join("exe").exists());
    });
}
