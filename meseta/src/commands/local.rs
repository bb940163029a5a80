//! `meseta local`.

use std::process::ExitCode;

use std::io;
use std::path::{Path, PathBuf};

use agent::checkpoint::Forgetful;
use agent::containerizer::ProcessConfig;
use agent::containerizer::isolation::gpu::GpuSettings;
use agent::core::AgentConfig;
use agent::edge::probe;
use agent::shell::AgentHandle;
use libactor::Node;
use master::core::MasterConfig;
use protocol::resources::{Ranges, Value};
use protocol::{
    AgentInfo, Attributes, CommandInfo, FrameworkId, FrameworkInfo, KillPolicy, Resource, Resources, Role,
    Scalar, TaskState, TaskStatus,
};
use scheduler_driver::SchedulerDriver;

use super::daemon::Shown;
use super::{Command, Failure, HTTP_FLAGS, LOG_FLAGS, daemon};
use crate::flags::{Arguments, Flag, Flags, Kind, Surroundings, count, join};
use crate::logging::LogLevel;
use crate::run::{Follower, JobSpec, Lines, Report, RunScheduler, drive};
use crate::runtime::{self, EndSignals, Listen};
use crate::work_dir::WorkDir;

/// The command.
pub const COMMAND: Command = Command {
    name: "local",
    synopsis: "[--run=COMMAND] [flags]",
    summary: "run a cluster in this process: a master and some agents",
    flags: FLAGS,
    hidden: false,
    run: run_local,
};

/// The master's port when nobody says otherwise.
const DEFAULT_PORT: u16 = 5050;

const FLAGS: &[Flag] = &join::<{ count(GROUPS) }>(GROUPS);

const GROUPS: &[&[Flag]] = &[OWN, &HTTP_FLAGS];

/// Those that say what is done, and how the log is written.
const OWN: &[Flag] = &[
    Flag {
        name: "run",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Run this shell command as a task, stream its output, and exit with its status.",
    },
    Flag {
        name: "agents",
        aliases: &["num_slaves", "num_agents"],
        kind: Kind::Number,
        default: Some("2"),
        help: "How many agents.",
    },
    Flag {
        name: "ip",
        aliases: &[],
        kind: Kind::Text,
        default: Some("127.0.0.1"),
        help: "The address to listen on.",
    },
    Flag {
        name: "port",
        aliases: &[],
        kind: Kind::Port,
        default: None,
        help: "The master's port; 0: any free one. Default: 5050, or any free one with --run.",
    },
    Flag {
        name: "work_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Where sandboxes are kept; default: a directory that is removed at the end.",
    },
    Flag {
        name: "resources",
        aliases: &[],
        kind: Kind::Resources,
        default: None,
        help: "What each agent offers; default: its part of this machine.",
    },
    Flag {
        name: "task_resources",
        aliases: &[],
        kind: Kind::Resources,
        default: Some("cpus:0.1;mem:32"),
        help: "What the task of --run uses.",
    },
    Flag {
        name: "verbose",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "With --run: print the changes of the task's state.",
    },
    Flag {
        name: "logging_level",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "As for a master; default: INFO, or WARNING with --run.",
    },
    LOG_FLAGS[1],
    LOG_FLAGS[2],
];

/// The name that the task of `--run` begins with.
const TASK_NAME: &str = "local";
/// More agents than this don't fit into one process's file descriptors.
const MAX_AGENTS: u64 = 1000;

fn run_local(words: &[String]) -> Result<ExitCode, Failure> {
    let flags = Flags::load("local", FLAGS, Arguments::None, words, &Surroundings::of_process(&[]))?;
    let agents = flags.parsed("agents").unwrap_or(2);
    if !(1..=MAX_AGENTS).contains(&agents) {
        return Err(flags.refuse("agents", format!("expected 1 to {MAX_AGENTS}")).into());
    }
    let command = flags.text("run").map(ToOwned::to_owned);
    let mut listen = daemon::listen(&flags)?;
    if flags.text("port").is_none() && command.is_none() {
        listen.port = DEFAULT_PORT;
    }
    let level = daemon::log(&flags, "local", command.is_some().then_some(daemon::LEVEL_OF_JOBS))?;
    let directory = Directory::claim(&flags)?;
    runtime::block_on(async {
        let mut signals = runtime::EndSignals::listen()?;
        let mut cluster = LocalCluster::start(&flags, listen, agents, directory.path()).await?;
        cluster.log_over_http(&level);
        let ended = match &command {
            Some(command) => run_task(&flags, command, &cluster, signals).await,
            None => {
                signals.next().await;
                Ok(ExitCode::SUCCESS)
            }
        };
        cluster.end().await;
        ended
    })
}

/// A work directory that was asked for, or one that goes when the cluster goes.
struct Directory {
    held: Option<WorkDir>,
    temporary: bool,
}

impl Directory {
    fn claim(flags: &Flags) -> Result<Self, Failure> {
        let (path, temporary) = match flags.text("work_dir") {
            Some(path) => (PathBuf::from(path), false),
            None => (std::env::temp_dir().join(format!("meseta-local-{:016x}", daemon::seed()?)), true),
        };
        Ok(Self { held: Some(WorkDir::claim(&path, "local")?), temporary })
    }

    fn path(&self) -> PathBuf {
        self.held.as_ref().map(|held| held.path().to_owned()).unwrap_or_default()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let path = self.path();
        drop(self.held.take());
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&path)
        {
            tracing::warn!(path = %path.display(), %error, "the cluster's directory can't be removed");
        }
    }
}

struct LocalCluster {
    master: Node,
    agents: Vec<(Node, AgentHandle, PathBuf)>,
}

impl LocalCluster {
    async fn start(flags: &Flags, listen: Listen, agents: u64, directory: PathBuf) -> Result<Self, Failure> {
        let master = listen.clone().bind(master::NAME).await?;
        let config = MasterConfig {
            hostname: daemon::hostname(flags),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..MasterConfig::default()
        };
        let handle = super::master::start_alone(&master, daemon::master(flags, "local", config))?;
        handle.leads().await;
        handle.leads().await;
        tracing::info!(directory = %directory.display(), "listening on {}", handle.pid());
        let mut cluster = Self { master, agents: Vec::new() };
        for index in 0..agents {
            cluster.add_agent(flags, listen.clone(), index, agents, &directory).await?;
        }
        Ok(cluster)
    }

    async fn add_agent(
        &mut self,
        flags: &Flags,
        listen: Listen,
        index: u64,
        agents: u64,
        directory: &Path,
    ) -> Result<(), Failure> {
        let work_dir = directory.join(format!("agent-{index}"));
        std::fs::create_dir_all(&work_dir)?;
        let node = Listen { port: 0, advertise_port: None, ..listen }.bind(super::agent::ACTOR).await?;
        // Several agents on one machine can't own its GPUs.
        let gpus = GpuSettings::default();
        let text = flags.text("resources").unwrap_or_default();
        let probed = probe::resources(text, &Role::default(), &work_dir, &gpus)?;
        let resources =
            if flags.text("resources").is_some() { probed } else { share(&probed, index, agents) };
        let info = AgentInfo {
            hostname: daemon::hostname(flags),
            port: node.address().port(),
            resources,
            attributes: Attributes::default(),
            id: None,
        };
        let config = AgentConfig::new(node.pid(super::agent::ACTOR), info, protocol::wire::API_VERSION);
        let containers = ProcessConfig::new(&work_dir)?;
        let masters = vec![self.master.address().into()];
        let handle = super::agent::start(
            &node,
            config,
            containers,
            Forgetful::open(),
            masters,
            Shown::of(flags, "local"),
        )?;
        self.agents.push((node, handle, work_dir));
        Ok(())
    }

    fn log_over_http(&mut self, level: &LogLevel) {
        for node in std::iter::once(&self.master).chain(self.agents.iter().map(|(node, ..)| node)) {
            daemon::adjust_log_over_http(node, level.clone());
        }
    }

    /// The sandbox of a task, on whichever agent it is.
    fn sandbox(&self, framework_id: &FrameworkId, status: &TaskStatus) -> Option<PathBuf> {
        let agent_id = status.agent_id.as_ref()?;
        let executor_id = status.executor_id.as_ref().map_or(status.task_id.as_str(), |id| id.as_str());
        let below = Path::new("slaves").join(agent_id.as_str());
        let (.., work_dir) = self.agents.iter().find(|(.., work_dir)| work_dir.join(&below).is_dir())?;
        let executors = work_dir.join(below).join("frameworks").join(framework_id.as_str()).join("executors");
        Some(executors.join(executor_id).join("runs/latest"))
    }

    /// Agents first: they kill what runs and say so.
    async fn end(self) {
        for (_, handle, _) in &self.agents {
            handle.leave().await;
        }
        for (node, handle, _) in self.agents {
            let ended = handle.ended().await;
            tracing::info!("{}", ended.message);
            node.shutdown().await;
        }
        self.master.shutdown().await;
    }
}

/// An agent's part of this machine: amounts are split, ranges are cut.
fn share(all: &Resources, index: u64, agents: u64) -> Resources {
    let part = |resource: &Resource| {
        let value = match &resource.value {
            Value::Scalar(scalar) => Value::Scalar(Scalar::from_millis(scalar.millis() / agents)),
            Value::Ranges(ranges) => Value::Ranges(cut(ranges, index, agents)),
            Value::Set(set) => Value::Set(set.clone()),
        };
        Resource { value, ..resource.clone() }
    };
    all.iter().map(part).collect()
}

fn cut(ranges: &Ranges, index: u64, agents: u64) -> Ranges {
    let each = |(begin, end): (u64, u64)| {
        let length = (end - begin).saturating_add(1) / agents;
        (length > 0).then(|| (begin + index * length, begin + (index + 1) * length - 1))
    };
    ranges.iter().filter_map(each).collect()
}

async fn run_task(
    flags: &Flags,
    command: &str,
    cluster: &LocalCluster,
    signals: EndSignals,
) -> Result<ExitCode, Failure> {
    let spec = JobSpec {
        name: format!("{TASK_NAME}-{:08x}", daemon::seed()? as u32),
        command: CommandInfo::shell(command),
        resources: Resources::parse(flags.text("task_resources").unwrap_or_default())?,
        instances: 1,
        kill_policy: KillPolicy::default(),
    };
    let (scheduler, mut job) = RunScheduler::new(spec);
    let address = cluster.master.address().to_string();
    let framework = FrameworkInfo::new("meseta local");
    let driver = SchedulerDriver::builder(scheduler, framework, &address).build()?;
    let mut report = Streamed {
        cluster,
        lines: flags.switch("verbose").then(|| Lines::to_stderr(address.clone())),
        notes: Lines::to_stderr(address),
        framework_id: None,
        output: None,
    };
    driver.start();
    let code = drive(&driver, &mut job, signals, &mut report).await?;
    report.finish()?;
    Ok(code)
}

/// Streams the task's output, and its states where they are asked for.
struct Streamed<'a> {
    cluster: &'a LocalCluster,
    lines: Option<Lines>,
    notes: Lines,
    framework_id: Option<FrameworkId>,
    output: Option<Follower>,
}

impl Streamed<'_> {
    fn finish(self) -> Result<(), Failure> {
        match self.output.map(Follower::finish) {
            // Whoever read our output has seen enough.
            Some(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Report for Streamed<'_> {
    fn subscribed(&mut self, framework_id: &FrameworkId) {
        self.framework_id = Some(framework_id.clone());
    }

    fn task(&mut self, status: &TaskStatus) {
        if let Some(lines) = &mut self.lines {
            lines.task(status);
        } else if status.state.is_terminal() && status.state != TaskState::Finished {
            self.notes.task(status);
        }
        let sandbox = self.framework_id.as_ref().and_then(|id| self.cluster.sandbox(id, status));
        let Some(sandbox) = sandbox.filter(|_| self.output.is_none()) else { return };
        match Follower::start(&sandbox) {
            Ok(follower) => self.output = Some(follower),
            Err(error) => {
                self.note(&format!("the task's output in {} can't be read: {error}", sandbox.display()))
            }
        }
    }

    fn note(&mut self, text: &str) {
        self.notes.note(text);
    }

    fn masters(&self) -> &str {
        self.notes.masters()
    }
}
