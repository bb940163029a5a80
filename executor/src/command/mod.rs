//! The command executor: runs one command as one task.
//!
//! TASK_STARTING and TASK_RUNNING follow the launch; the end of the command's first process decides the terminal state:
//!
//! | end | state | message |
//! |---|---|---|
//! | exits with 0 | TASK_FINISHED | `Command exited with status 0` |
//! | exits with N | TASK_FAILED | `Command exited with status N` |
//! | by a signal | TASK_FAILED | `Command terminated with signal Killed` |
//! | after a kill or a shutdown | TASK_KILLED | as above |
//! | after its health check has failed too often | TASK_KILLED, `healthy` false, REASON_TASK_HEALTH_CHECK_STATUS_UPDATED | which check, how often, why; as above |
//! | after `max_completion_time` | TASK_FAILED, REASON_MAX_COMPLETION_TIME_REACHED | as above |
//! | never starts | TASK_FAILED, REASON_COMMAND_EXECUTOR_FAILED | what the system says |
//!
//! A kill sends TERM to the task's processes and KILL to its whole tree when the grace is over. Whatever the end, nothing of
//! the tree lives when the terminal state is reported: also not what has forked twice and left its session.
//!
//! Between TASK_RUNNING and the end, more TASK_RUNNING say what its health check (`healthy`) and its check (`check_status`) have
//! found, until it is being killed.

pub(crate) mod launch;
mod runner;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use libactor::{Clock, Node};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

pub use launch::TaskOutput;

use crate::core::{Input, Session, SessionConfig};
use crate::host::{self, End, Hands, Sink};
use crate::piped::{self, Parted};
use crate::process::{self, Awaited, Scope};
use crate::{ExecutorDriver, Status};
use launch::Surroundings;
use runner::{Held, Runner};

/// A command executor within a process that has others, as test clusters do.
#[derive(Debug)]
pub struct CommandConfig {
    /// What the agent would tell it in its environment.
    pub session: SessionConfig,
    /// The environment of the task, before what the task adds.
    pub environment: Vec<(String, String)>,
    /// Where the task starts.
    pub sandbox: PathBuf,
    /// Where its output goes.
    pub output: TaskOutput,
}

/// A command executor that runs. Clones are the same one; dropping them changes nothing.
#[derive(Clone, Debug)]
pub struct CommandExecutor {
    driver: ExecutorDriver,
    destroy: Arc<Notify>,
}

impl CommandExecutor {
    /// Waits until it has ended and nothing of its task is left.
    pub async fn ended(&self) -> Status {
        self.driver.shared().ended().await
    }

    /// Kills the task's whole tree now and ends without another word to the agent.
    pub fn destroy(&self) {
        self.destroy.notify_one();
    }
}

/// Starts a command executor on a node, on the node's thread. Its task is told from others by its process group, its descent,
/// and `MESOS_CONTAINER_ID` in its environment: a process that leaves all three behind gets away.
pub fn start(node: &Node, config: CommandConfig) -> CommandExecutor {
    let mark = ("MESOS_CONTAINER_ID".to_owned(), config.session.container_id.to_string());
    let scope = Scope::Marked(format!("{}={}", mark.0, mark.1));
    let environment = config
        .environment
        .into_iter()
        .chain([mark])
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let around = Surroundings {
        environment,
        sandbox: Some(config.sandbox),
        output: config.output,
        awaited: Awaited::default(),
    };
    let (executor, work) =
        prepare(Way::Shared(node.clone()), node.clock().clone(), config.session, around, scope);
    tokio::task::spawn_local(work);
    executor
}

/// What a process that is to be a command executor was born with.
#[derive(Debug)]
pub struct Birth {
    /// Its environment, which is its task's too: what the agent tells it is in there.
    pub environment: Vec<(String, String)>,
    /// A socket whose other end the agent holds, for messages of [`libactor::pipe::VERSION`]; absent: it looks for the agent
    /// by its address.
    pub pipe: Option<UnixStream>,
}

impl Birth {
    /// As any process is born.
    pub fn of_this_process() -> Self {
        Self { environment: std::env::vars().collect(), pipe: None }
    }
}

/// The command executor as this process's only work: what an agent starts for a command task. Output is inherited. Returns the
/// process's exit status.
#[allow(clippy::print_stderr, reason = "the sandbox's stderr is where people look")]
pub fn main(birth: Birth) -> u8 {
    match run(birth) {
        Ok(()) => 0,
        Err(message) => {
            eprintln!("the command executor ends: {message}");
            1
        }
    }
}

fn run(birth: Birth) -> Result<(), String> {
    let Birth { environment, pipe } = birth;
    let variable =
        |wanted: &str| environment.iter().rfind(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let session = SessionConfig::from_variables(variable, host::seed()).map_err(|error| error.to_string())?;
    process::become_subreaper().map_err(|error| format!("orphans can't be adopted: {error}"))?;
    let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let awaited = Awaited::default();
    let around =
        Surroundings { environment, sandbox: None, output: TaskOutput::Inherited, awaited: awaited.clone() };
    let work = async {
        let orphans = awaited.reap_others();
        let way = pipe.map_or(Way::OwnNode, Way::Pipe);
        let (executor, work) = prepare(way, Clock::real(), session, around, Scope::Own);
        let signals = end_on_signals(executor.driver.clone())?;
        tokio::select! {
            () = work => {}
            () = signals => {}
            Err(error) = orphans => return Err(format!("the ends of processes can't be seen: {error}")),
        }
        executor.driver.error().map_or(Ok(()), Err)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let outcome = runtime.block_on(work);
    // The process ends: the system takes it all back at once.
    std::mem::forget(runtime);
    outcome
}

/// TERM and INT mean what a shutdown by the agent means. It does not end.
fn end_on_signals(driver: ExecutorDriver) -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals can't be handled: {error}"));
    let (mut term, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            driver.shut_down();
        }
    })
}

/// How an executor speaks with its agent.
enum Way {
    /// Through a node that it shares with others.
    Shared(Node),
    /// Through a node of its own, in a process of its own.
    OwnNode,
    /// Through the socket that its process was born with, and through a node of its own once that is closed.
    Pipe(UnixStream),
}

/// An executor and the work of its life.
fn prepare(
    way: Way,
    clock: Clock,
    session: SessionConfig,
    around: Surroundings,
    scope: Scope,
) -> (CommandExecutor, impl Future<Output = ()>) {
    let (driver, calls) = ExecutorDriver::unattended();
    driver.shared().start();
    let destroy = Arc::new(Notify::new());
    let (sender, callbacks) = mpsc::channel(1);
    let runner = Runner {
        driver: driver.clone(),
        callbacks,
        destroy: destroy.clone(),
        clock: clock.clone(),
        around: Arc::new(around),
        scope,
        shutdown_grace: session.shutdown_grace,
        tells_killing: false,
        held: Held::default(),
    };
    let shared = driver.shared().clone();
    let own_process = !matches!(way, Way::Shared(_));
    let hands = Hands::new(Sink::Task(sender), shared.clone(), own_process);
    let work = async move {
        let session = live(way, &clock, Session::new(session), hands, calls);
        let ((status, error), ()) = tokio::join!(session, Box::pin(runner.run()));
        shared.end(status, error);
    };
    (CommandExecutor { driver, destroy }, work)
}

/// A session from its start to its end.
async fn live(
    way: Way,
    clock: &Clock,
    session: Session,
    hands: Hands,
    mut calls: mpsc::Receiver<Input>,
) -> End {
    let aborted = |error: String| (Status::Aborted, Some(error));
    let (session, first) = match way {
        Way::Shared(node) => {
            return Box::pin(host::attend(&node, session, Input::Start, hands, &mut calls)).await;
        }
        Way::OwnNode => (session, Input::Start),
        Way::Pipe(stream) => match piped::attend(stream, session, &hands, clock, &mut calls).await {
            Err(error) => return aborted(format!("the agent's socket can't be watched: {error}")),
            Ok(Parted::Ended(end)) => return end,
            Ok(Parted::Alone(session)) => {
                let pid = session.config().agent.clone();
                (*session, Input::Exited { pid })
            }
        },
    };
    let through_node = async {
        let node = match host::bind(session.config()).await {
            Ok(node) => node,
            Err(error) => return aborted(error),
        };
        let end = host::attend(&node, session, first, hands, &mut calls).await;
        node.shutdown().await;
        end
    };
    // On the heap: most executors end without it, and their stack is small.
    Box::pin(LocalSet::new().run_until(through_node)).await
}

/// As the environment of a process is given.
type Variables = Vec<(OsString, OsString)>;
