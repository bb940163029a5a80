//! B7: real processes on one agent. The real master, agent, containerizer and executors; tasks of `true`, from the
//! framework's start to the last terminal update, in containers that are held to nothing and in such that are kept apart;
//! single tasks, one after the other; and tasks that run, from the wish that all end to the last terminal update.
//!
//! Beside each, in the same run, what the kernel alone takes to start as many, in as many processes at once as there are
//! CPUs.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::JoinHandle;
use std::time::Duration;

use agent::checkpoint::Forgetful;
use agent::containerizer::ProcessConfig;
use agent::core::AgentConfig;
use agent::shell::AgentHandle;
use libactor::{Clock, Node, NodeConfig};
use protocol::{AgentInfo, Attributes, CommandInfo, FrameworkInfo, KillPolicy, TaskState};
use scheduler_driver::SchedulerDriver;
use tokio::sync::oneshot;

use super::report::percentiles_ms;
use super::{Effort, Figure};
use crate::commands::{seed, start_agent};
use crate::run::{JobHandle, JobSpec, Progress, RunScheduler};
use crate::runtime;

/// Nothing has come for this long: something is lost, and the figure would be a lie.
const STALLED: Duration = Duration::from_secs(120);

/// How many tasks are run one after the other.
const ALONE: usize = 50;

/// How containers are held.
struct Held {
    /// In words.
    shown: &'static str,
    /// `--isolation`.
    isolation: &'static str,
    /// Cgroups in which the kernel is asked to do the same: the second version's first. Those that are not there are left
    /// out.
    cgroups: &'static [&'static str],
}

const PLAIN: Held = Held { shown: "posix/cpu,posix/mem", isolation: "posix/cpu,posix/mem", cgroups: &[] };
const APART: Held = Held {
    shown: "namespaces/pid, filesystem/linux, cgroups",
    isolation: "cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid,filesystem/linux",
    cgroups: &[
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/cpu",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/pids",
    ],
};

pub(super) fn run(effort: Effort) -> Result<Vec<Figure>, Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("meseta-bench-{:016x}", seed()?));
    std::fs::create_dir_all(&directory)?;
    let figures = measure(effort, &directory);
    // At the end, and not after each part: ext4 makes new files slowly for a while after many were removed.
    std::fs::remove_dir_all(&directory)?;
    figures
}

fn measure(effort: Effort, directory: &Path) -> Result<Vec<Figure>, Box<dyn Error>> {
    let tasks = match effort {
        Effort::Quick => 100,
        Effort::Full => 1_000,
    };
    let mut figures = Vec::new();
    let figure =
        |params: String, value: f64, unit| Figure { name: "B7", params, value, unit, percentiles_ms: None };
    for held in [PLAIN, APART] {
        let kernel = kernel_alone(tasks, &held)?;
        let (elapsed, latencies) =
            runtime::block_on(in_cluster(&held, directory, |world| world.run_all(tasks)))?;
        let rate = |duration: Duration| tasks as f64 / duration.as_secs_f64();
        let shown = held.shown;
        figures.extend([
            Figure {
                percentiles_ms: percentiles_ms(latencies),
                ..figure(
                    format!("{tasks} x true, one agent, launch to terminal update; {shown}"),
                    rate(elapsed),
                    "tasks/s",
                )
            },
            figure(
                format!("{tasks} x true, the kernel alone, on all CPUs; {shown}"),
                rate(kernel),
                "tasks/s",
            ),
            figure(
                format!("{tasks} x true, part of what the kernel alone allows; {shown}"),
                kernel.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
                "%",
            ),
        ]);
    }
    for held in [PLAIN, APART] {
        let alone = runtime::block_on(in_cluster(&held, directory, |world| world.run_alone(ALONE)))?;
        let shown = held.shown;
        let params =
            format!("one task of true alone, from its framework's start to its end, {ALONE} runs; {shown}");
        let middle = alone[alone.len() / 2].as_secs_f64() * 1_000.0;
        figures.push(Figure { percentiles_ms: percentiles_ms(alone), ..figure(params, middle, "ms") });
    }
    for held in [PLAIN, APART] {
        let killed = runtime::block_on(in_cluster(&held, directory, |world| world.kill_all(tasks)))?;
        figures.push(figure(
            format!("{tasks} running tasks, kill to the last terminal update; {}", held.shown),
            killed.as_secs_f64() * 1_000.0,
            "ms",
        ));
    }
    Ok(figures)
}

/// How long the kernel takes for so many, as many at once as there are CPUs.
fn kernel_alone(tasks: u64, held: &Held) -> Result<Duration, Box<dyn Error>> {
    let cgroups: Vec<PathBuf> = held.cgroups.iter().map(PathBuf::from).filter(|path| path.is_dir()).collect();
    let at_once = std::thread::available_parallelism()?.get() as u64;
    let program = std::env::current_exe()?;
    let clock = Clock::real();
    let begin = clock.now();
    let start = |index: u64| {
        let share = tasks / at_once + u64::from(index < tasks % at_once);
        Command::new(&program).args(["launch", "floor", &share.to_string()]).args(&cgroups).spawn()
    };
    let running: Vec<Child> = (0..at_once).map(start).collect::<Result<_, _>>()?;
    for mut child in running {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("the kernel alone could not: {status}").into());
        }
    }
    Ok(clock.now().since(begin))
}

/// A master, an agent and a job.
struct World {
    clock: Clock,
    masters: String,
}

/// Does something in a cluster of one agent, which is given a directory of its own below this one; the time and what else it
/// measures.
async fn in_cluster<T, W: Future<Output = Result<T, Box<dyn Error>>>>(
    held: &Held,
    below: &Path,
    work: impl FnOnce(World) -> W,
) -> Result<T, Box<dyn Error>> {
    let directory = below.join(format!("{:016x}", seed()?));
    std::fs::create_dir_all(&directory)?;
    let master = Master::start().await?;
    let node = Node::bind(NodeConfig::default()).await?;
    let agent = agent(master.address, &node, held, &directory)?;
    let measured = work(World { clock: Clock::real(), masters: master.address.to_string() }).await;
    agent.leave().await;
    agent.ended().await;
    node.shutdown().await;
    master.end()?;
    measured
}

/// A master on a thread of its own, as in a cluster it has a process of its own.
struct Master {
    address: SocketAddr,
    /// Dropped: it is to end.
    stay: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), String>>,
}

impl Master {
    async fn start() -> Result<Self, Box<dyn Error>> {
        let (told, address) = oneshot::channel();
        let (stay, over) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("master".into()).spawn(move || {
            let life = async {
                let node = Node::bind(NodeConfig::default()).await.map_err(io::Error::other)?;
                let start = master::Start::alone(&node, master::core::MasterConfig::default(), 1);
                master::start(&node, start).map_err(io::Error::other)?.leads().await;
                // Whoever has gone meanwhile has dropped the other as well.
                let _ = told.send(node.address());
                let _ = over.await;
                node.shutdown().await;
                Ok::<(), io::Error>(())
            };
            runtime::block_on(life).map_err(|error| error.to_string())
        })?;
        match address.await {
            Ok(address) => Ok(Self { address, stay, thread }),
            Err(_) => {
                let ended = thread.join().map_err(|_| "the master's thread has panicked")?;
                Err(ended.err().unwrap_or_else(|| "the master has ended".to_owned()).into())
            }
        }
    }

    fn end(self) -> Result<(), Box<dyn Error>> {
        drop(self.stay);
        Ok(self.thread.join().map_err(|_| "the master's thread has panicked")??)
    }
}

fn agent(
    master: SocketAddr,
    agent_node: &Node,
    held: &Held,
    directory: &Path,
) -> Result<AgentHandle, Box<dyn Error>> {
    let info = AgentInfo {
        hostname: "localhost".into(),
        port: agent_node.address().port(),
        resources: "cpus:100;mem:100000;disk:100000".parse()?,
        attributes: Attributes::default(),
        id: None,
    };
    let config = AgentConfig::new(agent_node.pid("slave(1)"), info, protocol::wire::API_VERSION);
    let containers = ProcessConfig { isolation: held.isolation.to_owned(), ..ProcessConfig::new(directory)? };
    let masters = vec![master.into()];
    start_agent(agent_node, config, containers, Forgetful::open(), masters, Default::default())
}

impl World {
    fn start(
        &self,
        tasks: u64,
        command: CommandInfo,
    ) -> Result<(SchedulerDriver, JobHandle), Box<dyn Error>> {
        let spec = JobSpec {
            name: "task".into(),
            command,
            resources: "cpus:0.1;mem:32".parse()?,
            instances: tasks,
            kill_policy: KillPolicy::default(),
        };
        let (scheduler, job) = RunScheduler::new(spec);
        let driver =
            SchedulerDriver::builder(scheduler, FrameworkInfo::new("bench"), &self.masters).build()?;
        driver.start();
        Ok((driver, job))
    }

    /// How long all took, and each from its STARTING to its end.
    async fn run_all(self, tasks: u64) -> Result<(Duration, Vec<Duration>), Box<dyn Error>> {
        let begin = self.clock.now();
        let (driver, mut job) = self.start(tasks, CommandInfo::argv("true", ["true"]))?;
        let mut started = BTreeMap::new();
        let mut latencies = Vec::new();
        let code = loop {
            match next(&mut job).await? {
                Progress::Task(status) if status.state == TaskState::Starting => {
                    started.insert(status.task_id, self.clock.now());
                }
                Progress::Task(status) if status.state.is_terminal() => {
                    latencies.extend(started.remove(&status.task_id).map(|at| self.clock.now().since(at)));
                }
                Progress::Done(code) => break code,
                _ => {}
            }
        };
        let elapsed = self.clock.now().since(begin);
        driver.stop(false);
        driver.ended().await;
        match code {
            0 => Ok((elapsed, latencies)),
            code => Err(format!("a task of 'true' ended with {code}").into()),
        }
    }

    /// How long single tasks take, in order: nothing else runs, and each has a framework of its own.
    async fn run_alone(self, tasks: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
        let mut all = Vec::new();
        for _ in 0..tasks {
            let begin = self.clock.now();
            let (driver, mut job) = self.start(1, CommandInfo::argv("true", ["true"]))?;
            loop {
                match next(&mut job).await? {
                    Progress::Done(0) => break,
                    Progress::Done(code) => return Err(format!("a task of 'true' ended with {code}").into()),
                    _ => {}
                }
            }
            all.push(self.clock.now().since(begin));
            driver.stop(false);
            driver.ended().await;
        }
        all.sort_unstable();
        Ok(all)
    }

    /// How long it takes from the wish that all end until they have.
    async fn kill_all(self, tasks: u64) -> Result<Duration, Box<dyn Error>> {
        let (driver, mut job) = self.start(tasks, CommandInfo::argv("sleep", ["sleep", "1000"]))?;
        let mut running = 0;
        while running < tasks {
            match next(&mut job).await? {
                Progress::Task(status) if status.state == TaskState::Running => running += 1,
                Progress::Task(status) if status.state.is_terminal() => {
                    return Err(format!("a task that sleeps has ended: {status:?}").into());
                }
                _ => {}
            }
        }
        let begin = self.clock.now();
        job.cancel(&driver);
        while !matches!(next(&mut job).await?, Progress::Done(_)) {}
        let elapsed = self.clock.now().since(begin);
        driver.stop(false);
        driver.ended().await;
        Ok(elapsed)
    }
}

async fn next(job: &mut JobHandle) -> Result<Progress, Box<dyn Error>> {
    match tokio::time::timeout(STALLED, job.progress.recv()).await? {
        Some(Progress::Failed(message)) => Err(message.into()),
        Some(progress) => Ok(progress),
        None => Err("the driver has ended".into()),
    }
}
