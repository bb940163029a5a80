//! Where a session lives: its actor on a node, the thread of callbacks, the watchdog.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use libactor::shell::{self, Accept, Edge, ShellHandle};
use libactor::{Me, Node, NodeConfig, Pid};
use protocol::messages::ExecutorEvent;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::core::{Callback, Input, Output, Session, SessionConfig};
use crate::process;
use crate::shared::Shared;
use crate::{Executor, ExecutorDriver, Status};

/// How a session ended, and why where it was not asked to.
type End = (Status, Option<String>);

/// Where callbacks go. There is room for one, and there is never more than one.
pub(crate) enum Sink {
    /// To the thread that calls an [`Executor`].
    Thread(SyncSender<Callback>),
    /// To a task on the same thread.
    Task(mpsc::Sender<Callback>),
}

impl Sink {
    /// Whether it was taken: the receiver may be gone.
    fn deliver(&self, callback: Callback) -> bool {
        match self {
            Sink::Thread(sender) => sender.try_send(callback).is_ok(),
            Sink::Task(sender) => sender.try_send(callback).is_ok(),
        }
    }
}

/// Carries out what the session asks for.
struct AgentEdge {
    /// Gone when the session is over: the receiver then knows.
    sink: Option<Sink>,
    shell: Option<ShellHandle<Input>>,
    shared: Arc<Shared>,
    ended: Option<oneshot::Sender<End>>,
    /// Whether this process is the executor's own and may be killed.
    watchdog: bool,
}

impl Edge<Session> for AgentEdge {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.shell = Some(shell.clone());
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::Link { pid } => me.link(&pid),
            Output::Unlink { pid } => me.unlink(&pid),
            Output::Send { to, call } => {
                if let Err(error) = me.tell(&to, call) {
                    tracing::warn!(%error, "a message to the agent was not sent");
                    self.feed(Input::NotSent);
                }
            }
            Output::Callback(callback) => {
                if matches!(callback, Callback::Error(_)) {
                    self.shared.settle(Status::Aborted);
                }
                if !self.sink.as_ref().is_some_and(|sink| sink.deliver(callback)) {
                    self.feed(Input::CallbackPanicked { message: "nobody takes callbacks".to_owned() });
                }
            }
            Output::Watchdog { after } if self.watchdog => watch(after),
            Output::Watchdog { .. } => {}
            Output::Terminate { status, error } => {
                self.sink = None;
                if let Some(ended) = self.ended.take() {
                    // Nobody waits any more if the node is being shut down.
                    let _ = ended.send((status, error));
                }
            }
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }
}

impl AgentEdge {
    fn feed(&self, input: Input) {
        if let Some(shell) = &self.shell
            && shell.try_feed(input).is_err()
        {
            tracing::warn!("the session's queue is full");
        }
    }
}

impl Accept<ExecutorEvent, Session> for AgentEdge {
    fn input(&mut self, from: Pid, message: ExecutorEvent) -> Option<Input> {
        Some(Input::Agent { from, event: message })
    }
}

/// Runs a session to its end.
pub(crate) async fn attend(
    node: &Node,
    config: SessionConfig,
    sink: Sink,
    mut calls: mpsc::Receiver<Input>,
    shared: Arc<Shared>,
    watchdog: bool,
) -> End {
    let (sender, mut ended) = oneshot::channel();
    let name = format!("executor-{}", config.container_id);
    let edge =
        AgentEdge { sink: Some(sink), shell: None, shared: shared.clone(), ended: Some(sender), watchdog };
    let spawned = shell::spawn(node, &name, Session::new(config), edge, |install| {
        install.message::<ExecutorEvent>();
    });
    let shell = match spawned {
        Ok((_, shell)) => shell,
        Err(error) => return (Status::Aborted, Some(error.to_string())),
    };
    let mut next = Some(Input::Start);
    loop {
        if let Some(input) = next.take() {
            // The end of the session is seen below.
            let _ = shell.feed(input).await;
        }
        if shared.take_overflow() {
            next = Some(Input::CallsOverflowed);
            continue;
        }
        tokio::select! {
            biased;
            end = &mut ended => {
                // Only now: what was fed meanwhile has been taken, and ignored.
                shell.me().stop();
                return end.unwrap_or((Status::Aborted, Some("the node was shut down".to_owned())));
            }
            input = calls.recv() => next = input,
        }
    }
}

/// The thread of an executor that has a process of its own.
pub(crate) fn own_thread(
    driver: ExecutorDriver,
    executor: Box<dyn Executor>,
    config: SessionConfig,
    calls: mpsc::Receiver<Input>,
    own_process: bool,
) {
    let shared = driver.shared().clone();
    let work = async {
        let node = match bind(&config).await {
            Ok(node) => node,
            Err(error) => return (Status::Aborted, Some(error)),
        };
        let (sender, callbacks) = sync_channel(1);
        let spawned = std::thread::Builder::new()
            .name("executor-callbacks".into())
            .spawn(move || call_back(&driver, executor, &callbacks));
        let end = match spawned {
            Ok(_) => attend(&node, config, Sink::Thread(sender), calls, shared.clone(), own_process).await,
            Err(error) => (Status::Aborted, Some(format!("no thread for callbacks: {error}"))),
        };
        node.shutdown().await;
        end
    };
    let (status, error) = match block_on(work) {
        Ok(end) => end,
        Err(error) => (Status::Aborted, Some(error.to_string())),
    };
    shared.end(status, error);
}

/// Runs a future on a runtime of its own, on this thread.
///
/// # Errors
/// If the system gives no runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, std::io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(LocalSet::new().block_on(&runtime, work))
}

/// A node where the agent can reach it: on the agent's own address, for that is on this host, unless `LIBPROCESS_IP` says
/// otherwise.
pub(crate) async fn bind(config: &SessionConfig) -> Result<Node, String> {
    let told = std::env::var("LIBPROCESS_IP").ok().and_then(|ip| ip.parse::<IpAddr>().ok());
    let listen = SocketAddr::new(told.unwrap_or(config.agent.address().ip()), 0);
    Node::bind(NodeConfig { listen, check_machines: cfg!(debug_assertions), ..NodeConfig::default() })
        .await
        .map_err(|error| error.to_string())
}

/// The thread of callbacks.
fn call_back(driver: &ExecutorDriver, mut executor: Box<dyn Executor>, callbacks: &Receiver<Callback>) {
    driver.shared().calls_back_on(std::thread::current().id());
    while let Ok(callback) = callbacks.recv() {
        let result = catch_unwind(AssertUnwindSafe(|| dispatch(driver, &mut *executor, callback)));
        match result {
            Ok(()) => driver.shared().returned(Input::CallbackReturned),
            Err(panic) => {
                driver.shared().returned(Input::CallbackPanicked { message: panic_message(&*panic) });
                // Its state may be broken in the middle of a change: it is not even dropped.
                return std::mem::forget(executor);
            }
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

fn dispatch(driver: &ExecutorDriver, executor: &mut dyn Executor, callback: Callback) {
    match callback {
        Callback::Registered { executor: info, framework, agent_id, agent } => {
            executor.registered(driver, &info, &framework, &agent_id, &agent);
        }
        Callback::Reregistered { agent_id, agent } => executor.reregistered(driver, &agent_id, &agent),
        Callback::Disconnected => executor.disconnected(driver),
        Callback::Launch(task) => executor.launch_task(driver, task),
        Callback::Kill { task_id, kill_policy } => executor.kill_task(driver, &task_id, kill_policy),
        Callback::Message(data) => executor.framework_message(driver, data),
        Callback::Shutdown => executor.shutdown(driver),
        Callback::Error(message) => executor.error(driver, &message),
    }
}

/// After this long, kills all that this process has started, and the process.
fn watch(after: Duration) {
    let spawned = std::thread::Builder::new().name("executor-watchdog".into()).spawn(move || {
        // Nobody sends: the sender is kept to wait the full time.
        let (_keep, never) = sync_channel::<()>(1);
        let _ = never.recv_timeout(after);
        process::kill_self();
    });
    if spawned.is_err() {
        process::kill_self();
    }
}

/// Randomness for jitter and uuids.
///
/// # Panics
/// If the system has none: nothing could tell one update from another.
pub(crate) fn seed() -> u64 {
    getrandom::u64().expect("the system has randomness")
}
