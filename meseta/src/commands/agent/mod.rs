//! `meseta agent`.

mod cgroups;
mod containers;
mod flags;
mod gpu;
mod recovery;
mod sandbox;

use std::process::ExitCode;

use std::path::Path;

use agent::checkpoint::Keeping;
use agent::containerizer::isolation::gpu::GpuSettings;
use agent::containerizer::{ProcessConfig, ProcessContainerizer};
use agent::core::AgentConfig;
use agent::edge::probe;
use agent::shell::{AgentHandle, Start};
use libactor::Node;
use libactor::detect::Address;
use protocol::{AgentInfo, Attributes, Role};

use super::daemon::Shown;
use super::{Command, Failure, daemon, environment};
use crate::about;
use crate::flags::{Arguments, FlagError, Flags, Surroundings};
use crate::memory::let_go_of_the_start;
use crate::runtime;
use crate::work_dir::WorkDir;

/// The command.
pub const COMMAND: Command = Command {
    name: "agent",
    synopsis: "--master=HOST:PORT[,HOST:PORT...] --work_dir=DIR [flags]",
    summary: "run an agent",
    flags: flags::FLAGS,
    hidden: false,
    run: run_agent,
};

/// The name of the agent's actor. Source: Mesos.
pub(super) const ACTOR: &str = "slave(1)";

fn run_agent(words: &[String]) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        // First of all: what is asked of an agent that only begins is done once it can be.
        let asked = Asked { end: runtime::EndSignals::listen()?, leave: runtime::LeaveSignal::listen()? };
        run(words, asked).await
    })
}

/// What is asked of an agent by signals.
struct Asked {
    end: runtime::EndSignals,
    leave: runtime::LeaveSignal,
}

async fn run(words: &[String], mut asked: Asked) -> Result<ExitCode, Failure> {
    let surroundings = Surroundings::of_process(&["/etc/mesos-agent", "/etc/mesos-slave"]);
    let flags = Flags::load("agent", flags::FLAGS, Arguments::None, words, &surroundings)?;
    let listen = daemon::listen(&flags)?;
    let work_dir = flags.needed("work_dir")?;
    let masters = masters(&flags)?;
    let work_dir = WorkDir::claim(Path::new(work_dir), "agent")?;
    let level = daemon::log(&flags, "agent", None)?;
    let keeping = recovery::open(&flags, work_dir.path())?;
    let node = recovery::bind(listen, ACTOR, &keeping).await?;
    daemon::adjust_log_over_http(&node, level);
    let mut containers = containers::settings(&flags, work_dir.path())?;
    containers.settings.cgroups = cgroups::settings(&flags)?;
    let gpus = &mut containers.settings.gpu;
    *gpus = gpu::find(&flags, &containers.isolation)?;
    gpus.remember(&containers.runtime_dir)?;
    let config = settings(&flags, &node, work_dir.path(), gpus)?;
    gpus.total = config.info.resources.clone();
    daemon::log_flags(&flags);
    tokio::task::spawn_local(let_go_of_the_start(node.clock().clone()));
    tracing::info!(work_dir = %work_dir.path().display(), resources = %config.info.resources, "listening on {}", config.pid);
    sandbox::contents(&flags, &config.info.resources, &mut containers)?;
    let handle = start(&node, config, containers, keeping, masters, Shown::of(&flags, "agent"))?;
    // After the launcher was started: containers have what this process was given.
    runtime::open_many_files();
    let ended = loop {
        tokio::select! {
            biased;
            ended = handle.ended() => break ended,
            signal = asked.end.next() => {
                recovery::take_leave(&handle, signal).await;
                node.shutdown().await;
                return Ok(ExitCode::SUCCESS);
            }
            () = asked.leave.next() => {
                tracing::info!("leaving; once more to kill at once");
                handle.leave().await;
            }
        }
    };
    node.shutdown().await;
    if ended.failed {
        return Err(ended.message.into());
    }
    tracing::info!("{}", ended.message);
    Ok(ExitCode::SUCCESS)
}

/// Starts an agent whose executors are processes.
pub fn start(
    node: &Node,
    config: AgentConfig,
    containers: ProcessConfig,
    keeping: Keeping,
    masters: Vec<Address>,
    shown: Shown,
) -> Result<AgentHandle, Failure> {
    let work_dir = containers.work_dir.clone();
    let sandbox_gc = containers.sandbox_gc;
    let (containerizer, events) = ProcessContainerizer::new(containers)?;
    let master = agent::shell::detect(node, masters)?;
    let seed = daemon::seed()?;
    let Shown { flags, log_file } = shown;
    let version = about::version();
    let start = Start {
        config,
        seed,
        containerizer,
        events,
        keeping,
        master,
        work_dir,
        sandbox_gc,
        flags,
        version,
        log_file,
    };
    Ok(agent::shell::start(node, start)?)
}

fn settings(flags: &Flags, node: &Node, work_dir: &Path, gpus: &GpuSettings) -> Result<AgentConfig, Failure> {
    let role = Role::from(flags.text("default_role").unwrap_or(Role::DEFAULT));
    protocol::validate::role(&role).map_err(|invalid| flags.refuse("default_role", invalid.to_string()))?;
    let resources = probe::resources(flags.text("resources").unwrap_or_default(), &role, work_dir, gpus)?;
    let info = AgentInfo {
        hostname: daemon::hostname(flags),
        port: node.address().port(),
        resources,
        attributes: flags.parsed::<Attributes>("attributes").unwrap_or_default(),
        id: None,
    };
    let mut config = AgentConfig::new(node.pid(ACTOR), info, protocol::wire::API_VERSION);
    let take = |name, into: &mut std::time::Duration| *into = flags.duration(name).unwrap_or(*into);
    take("registration_backoff_factor", &mut config.registration_backoff_factor);
    take("executor_registration_timeout", &mut config.executor_registration_timeout);
    take("executor_shutdown_grace_period", &mut config.executor_shutdown_grace_period);
    recovery::settings(flags, &mut config);
    config.switch_user = flags.switch("switch_user");
    config.executor_environment = environment::read(flags, "executor_environment_variables")?;
    Ok(config)
}

/// Where the masters are: `host:port`, `ip:port`, or `master@ip:port`, several separated by commas.
fn masters(flags: &Flags) -> Result<Vec<Address>, FlagError> {
    Address::list(flags.needed("master")?).map_err(|error| flags.refuse("master", error.to_string()))
}
