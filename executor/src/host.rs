//! Where a session lives: its actor on a node, the thread of callbacks, the watchdog.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use libactor::driver::panic_message;
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
pub(crate) type End = (Status, Option<String>);

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

/// Carries out what a session asks for of its own process, however it speaks with its agent.
pub(crate) struct Hands {
    sink: Sink,
    shared: Arc<Shared>,
    /// Whether this process is the executor's own and may be killed.
    own_process: bool,
}

impl Hands {
    pub(crate) fn new(sink: Sink, shared: Arc<Shared>, own_process: bool) -> Self {
        Self { sink, shared, own_process }
    }

    /// Hands a callback over; what the session is to be told where nobody takes it.
    pub(crate) fn call_back(&self, callback: Callback) -> Option<Input> {
        if matches!(callback, Callback::Error(_)) {
            self.shared.settle(Status::Aborted);
        }
        let message = || "nobody takes callbacks".to_owned();
        (!self.sink.deliver(callback)).then(|| Input::CallbackPanicked { message: message() })
    }

    pub(crate) fn watch(&self, after: Duration) {
        if self.own_process {
            watch(after);
        }
    }

    /// Whether calls were lost; asks once.
    pub(crate) fn take_overflow(&self) -> bool {
        self.shared.take_overflow()
    }
}

/// Carries out what the session asks for.
struct AgentEdge {
    /// Gone when the session is over: the receiver then knows.
    hands: Option<Hands>,
    shell: Option<ShellHandle<Input>>,
    ended: Option<oneshot::Sender<End>>,
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
                let taken = self.hands.as_ref().and_then(|hands| hands.call_back(callback));
                taken.into_iter().for_each(|input| self.feed(input));
            }
            Output::Watchdog { after } => self.hands.iter().for_each(|hands| hands.watch(after)),
            Output::Terminate { status, error } => {
                self.hands = None;
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

/// Runs a session to its end; `first` is what it is told first.
pub(crate) async fn attend(
    node: &Node,
    session: Session,
    first: Input,
    hands: Hands,
    calls: &mut mpsc::Receiver<Input>,
) -> End {
    let (sender, mut ended) = oneshot::channel();
    let name = format!("executor-{}", session.config().container_id);
    let shared = hands.shared.clone();
    let edge = AgentEdge { hands: Some(hands), shell: None, ended: Some(sender) };
    let spawned = shell::spawn(node, &name, session, edge, |install| {
        install.message::<ExecutorEvent>();
    });
    let shell = match spawned {
        Ok((_, shell)) => shell,
        Err(error) => return (Status::Aborted, Some(error.to_string())),
    };
    let mut next = Some(first);
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
    mut calls: mpsc::Receiver<Input>,
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
            Ok(_) => {
                let hands = Hands::new(Sink::Thread(sender), shared.clone(), own_process);
                attend(&node, Session::new(config), Input::Start, hands, &mut calls).await
            }
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

/// A node where the agent can reach it.
pub(crate) async fn bind(config: &SessionConfig) -> Result<Node, String> {
    let listen = SocketAddr::new(config.ip.unwrap_or(config.agent.address().ip()), 0);
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
