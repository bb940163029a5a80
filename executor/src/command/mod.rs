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
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libactor::Node;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};

pub use launch::TaskOutput;

use crate::core::SessionConfig;
use crate::host::{self, Sink};
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
    let (executor, work) = prepare(node.clone(), config.session, around, scope, false);
    tokio::task::spawn_local(work);
    executor
}

/// The command executor as this process's only work: what an agent starts for a command task. All it needs is in the
/// environment; output is inherited.
#[allow(clippy::print_stderr, reason = "the sandbox's stderr is where people look")]
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("the command executor ends: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let session = SessionConfig::from_environment(host::seed()).map_err(|error| error.to_string())?;
    process::become_subreaper().map_err(|error| format!("orphans can't be adopted: {error}"))?;
    let around = Surroundings {
        environment: std::env::vars_os().collect(),
        sandbox: None,
        output: TaskOutput::Inherited,
        awaited: Awaited::default(),
    };
    let work = async {
        let node = host::bind(&session).await?;
        let orphans = around.awaited.clone().reap_others();
        let (executor, work) = prepare(node.clone(), session, around, Scope::Own, true);
        let shut_down = end_on_signals(executor.driver.clone())?;
        tokio::select! {
            () = work => {}
            Err(error) = orphans => return Err(format!("the ends of processes can't be seen: {error}")),
        }
        shut_down.abort();
        node.shutdown().await;
        executor.driver.error().map_or(Ok(()), Err)
    };
    host::block_on(work).map_err(|error| error.to_string())?
}

/// TERM and INT mean what a shutdown by the agent means.
fn end_on_signals(driver: ExecutorDriver) -> Result<tokio::task::JoinHandle<()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals can't be handled: {error}"));
    let (mut term, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            driver.shut_down();
        }
    }))
}

/// An executor and the work of its life.
fn prepare(
    node: Node,
    session: SessionConfig,
    around: Surroundings,
    scope: Scope,
    own_process: bool,
) -> (CommandExecutor, impl Future<Output = ()>) {
    let (driver, calls) = ExecutorDriver::unattended();
    driver.shared().start();
    let destroy = Arc::new(Notify::new());
    let (sender, callbacks) = mpsc::channel(1);
    let runner = Runner {
        driver: driver.clone(),
        callbacks,
        destroy: destroy.clone(),
        clock: node.clock().clone(),
        around: Arc::new(around),
        scope,
        shutdown_grace: session.shutdown_grace,
        tells_killing: false,
        held: Held::default(),
    };
    let shared = driver.shared().clone();
    let work = async move {
        let session = host::attend(&node, session, Sink::Task(sender), calls, shared.clone(), own_process);
        let ((status, error), ()) = tokio::join!(session, runner.run());
        shared.end(status, error);
    };
    (CommandExecutor { driver, destroy }, work)
}

/// As the environment of a process is given.
type Variables = Vec<(OsString, OsString)>;
