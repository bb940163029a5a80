//! Containers without processes of their own: executors run in this process, only the tasks of the command executor are
//! processes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use agent::containerizer::{ContainerEvent, Containerizer, all_ended};
use agent::core::{ContainerEnd, ContainerSpec};
use executor::command::{self, CommandConfig, CommandExecutor, TaskOutput};
use executor::{ExecutorDriver, SessionConfig, Status};
use libactor::{Clock, Node, NodeConfig};
use protocol::ContainerId;
use tokio::sync::mpsc;

use super::ExecutorFactory;

/// How many reports may wait for the agent.
const MAX_EVENTS: usize = 4096;

/// What runs in a container.
#[derive(Clone)]
enum Running {
    Command(CommandExecutor),
    Custom(ExecutorDriver),
}

/// What the containerizer and its tasks share; all on one thread.
#[derive(Default)]
struct Containers {
    running: BTreeMap<ContainerId, Running>,
    /// Asked to die before they ran.
    doomed: std::collections::BTreeSet<ContainerId>,
}

/// Starts executors within this process.
pub(super) struct InProcess {
    work_dir: PathBuf,
    clock: Clock,
    seed: u64,
    executors: ExecutorFactory,
    events: mpsc::Sender<ContainerEvent>,
    containers: std::rc::Rc<std::cell::RefCell<Containers>>,
}

impl InProcess {
    pub(super) fn new(
        work_dir: PathBuf,
        clock: Clock,
        seed: u64,
        executors: ExecutorFactory,
    ) -> (Self, mpsc::Receiver<ContainerEvent>) {
        let (events, receiver) = mpsc::channel(MAX_EVENTS);
        (Self { work_dir, clock, seed, executors, events, containers: Default::default() }, receiver)
    }
}

impl Drop for InProcess {
    /// An agent that is stopped takes its containers along.
    fn drop(&mut self) {
        for running in self.containers.borrow().running.values() {
            end(running);
        }
    }
}

fn end(running: &Running) {
    match running {
        Running::Command(executor) => executor.destroy(),
        Running::Custom(driver) => {
            driver.abort();
        }
    }
}

impl Containerizer for InProcess {
    /// An agent that is stopped has taken its containers along.
    fn recover(&mut self, containers: Vec<ContainerId>, _rebooted: bool) {
        let events = self.events.clone();
        tokio::task::spawn_local(async move {
            tell(&events, ContainerEvent::Recovered { containers: all_ended(containers) }).await;
        });
    }

    fn launch(&mut self, spec: ContainerSpec) {
        self.seed = self.seed.wrapping_add(1);
        let sandbox = self.work_dir.join(&spec.sandbox);
        let launch = Launch {
            seed: self.seed,
            sandbox,
            clock: self.clock.clone(),
            executors: self.executors.clone(),
            spec,
        };
        let (events, containers) = (self.events.clone(), self.containers.clone());
        tokio::task::spawn_local(async move {
            let container_id = launch.spec.container_id.clone();
            let started = launch.start().await;
            let (result, running) = match started {
                Ok(running) => (Ok(std::process::id()), Some(running)),
                Err(error) => (Err(error), None),
            };
            if let Some(running) = &running {
                let mut containers = containers.borrow_mut();
                containers.running.insert(container_id.clone(), running.clone());
                if containers.doomed.remove(&container_id) {
                    end(running);
                }
            }
            let launched = ContainerEvent::Launched { container_id: container_id.clone(), result };
            let Some(running) = running else {
                tell(&events, launched).await;
                return;
            };
            tell(&events, launched).await;
            let status = match running {
                Running::Command(executor) => executor.ended().await,
                Running::Custom(driver) => driver.ended().await,
            };
            containers.borrow_mut().running.remove(&container_id);
            let end = ContainerEnd::with_status(i32::from(status != Status::Stopped));
            tell(&events, ContainerEvent::Exited { container_id, end }).await;
        });
    }

    fn destroy(&mut self, container_id: &ContainerId) {
        let mut containers = self.containers.borrow_mut();
        match containers.running.get(container_id) {
            Some(running) => end(running),
            None => {
                containers.doomed.insert(container_id.clone());
            }
        }
    }
}

async fn tell(events: &mpsc::Sender<ContainerEvent>, event: ContainerEvent) {
    if events.send(event).await.is_err() {
        tracing::debug!("an agent was stopped before its container's report");
    }
}

struct Launch {
    spec: ContainerSpec,
    seed: u64,
    sandbox: PathBuf,
    clock: Clock,
    executors: ExecutorFactory,
}

impl Launch {
    async fn start(&self) -> Result<Running, String> {
        let output = self.make_sandbox().map_err(|error| format!("no sandbox: {error}"))?;
        let mut environment = self.spec.environment.clone();
        for name in ["MESOS_SANDBOX", "MESOS_DIRECTORY"] {
            environment.push((name.into(), self.sandbox.display().to_string()));
        }
        let variable = |wanted: &str| {
            environment.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let session =
            SessionConfig::from_variables(variable, self.seed).map_err(|error| error.to_string())?;
        if self.spec.command_executor {
            let config = NodeConfig { clock: self.clock.clone(), ..NodeConfig::default() };
            let node = Node::bind(config).await.map_err(|error| error.to_string())?;
            let path = ("PATH".to_owned(), std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into()));
            environment.insert(0, path);
            let config = CommandConfig { session, environment, sandbox: self.sandbox.clone(), output };
            let executor = command::start(&node, config);
            let ended = executor.clone();
            tokio::task::spawn_local(async move {
                ended.ended().await;
                node.shutdown().await;
            });
            return Ok(Running::Command(executor));
        }
        let made = (self.executors)(&self.spec.executor);
        let executor = made.ok_or_else(|| {
            format!(
                "the test makes no executor '{}': see ClusterConfig::executors",
                self.spec.executor.executor_id
            )
        })?;
        let driver = ExecutorDriver::with_config(executor, session);
        driver.start();
        Ok(Running::Custom(driver))
    }

    fn make_sandbox(&self) -> io::Result<TaskOutput> {
        std::fs::create_dir_all(&self.sandbox)?;
        let stdout = File::create(self.sandbox.join("stdout"))?;
        let stderr = File::create(self.sandbox.join("stderr"))?;
        Ok(TaskOutput::Files { stdout, stderr })
    }
}
