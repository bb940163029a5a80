//! B7: real processes on one agent. The real master, agent, containerizer and executors; tasks of `true`, from the
//! framework's start to the last terminal update. Beside it, in the same run, what the kernel alone takes to start as many.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use agent::checkpoint::Forgetful;
use agent::containerizer::ProcessConfig;
use agent::core::AgentConfig;
use libactor::{Clock, Node, NodeConfig};
use protocol::{AgentInfo, Attributes, CommandInfo, FrameworkInfo, KillPolicy, TaskState};
use scheduler_driver::SchedulerDriver;

use super::report::percentiles_ms;
use super::{Effort, Figure};
use crate::commands::{seed, start_agent};
use crate::run::{JobSpec, Progress, RunScheduler};
use crate::runtime;

/// Nothing has come for this long: something is lost, and the figure would be a lie.
const STALLED: Duration = Duration::from_secs(120);

pub(super) fn run(effort: Effort) -> Result<Vec<Figure>, Box<dyn Error>> {
    let tasks = match effort {
        Effort::Quick => 100,
        Effort::Full => 1_000,
    };
    let kernel = kernel_alone(tasks)?;
    let (elapsed, latencies) = runtime::block_on(through_agent(tasks))?;
    let rate = |duration: Duration| tasks as f64 / duration.as_secs_f64();
    let figure =
        |params: String, value: f64, unit| Figure { name: "B7", params, value, unit, percentiles_ms: None };
    Ok(vec![
        Figure {
            percentiles_ms: percentiles_ms(latencies),
            ..figure(
                format!("{tasks} x true, one agent, launch to terminal update"),
                rate(elapsed),
                "tasks/s",
            )
        },
        figure(
            format!("{tasks} x true, spawn and wait, one after another, no cluster"),
            rate(kernel),
            "tasks/s",
        ),
        figure(
            format!("{tasks} x true, part of what spawn and wait alone allow"),
            kernel.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
            "%",
        ),
    ])
}

fn kernel_alone(tasks: u64) -> Result<Duration, Box<dyn Error>> {
    let clock = Clock::real();
    let begin = clock.now();
    for _ in 0..tasks {
        let status = Command::new("true").status()?;
        if !status.success() {
            return Err(format!("'true' ended with {status}").into());
        }
    }
    Ok(clock.now().since(begin))
}

/// How long all took, and each from its STARTING to its end.
async fn through_agent(tasks: u64) -> Result<(Duration, Vec<Duration>), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("meseta-bench-{:016x}", seed()?));
    std::fs::create_dir_all(&directory)?;
    let measured = in_directory(tasks, &directory).await;
    std::fs::remove_dir_all(&directory)?;
    measured
}

async fn in_directory(
    tasks: u64,
    directory: &std::path::Path,
) -> Result<(Duration, Vec<Duration>), Box<dyn Error>> {
    let node = Node::bind(NodeConfig::default()).await?;
    let start = master::Start::alone(&node, master::core::MasterConfig::default(), 1);
    master::start(&node, start)?.leads().await;
    let agent_node = Node::bind(NodeConfig::default()).await?;
    let info = AgentInfo {
        hostname: "localhost".into(),
        port: agent_node.address().port(),
        resources: "cpus:100;mem:100000;disk:100000".parse()?,
        attributes: Attributes::default(),
        id: None,
    };
    let config = AgentConfig::new(agent_node.pid("slave(1)"), info, protocol::wire::API_VERSION);
    let agent = start_agent(
        &agent_node,
        config,
        ProcessConfig::new(directory)?,
        Forgetful::open(),
        vec![node.address().into()],
        Default::default(),
    )?;
    let spec = JobSpec {
        name: "true".into(),
        command: CommandInfo::argv("true", ["true"]),
        resources: "cpus:0.1;mem:32".parse()?,
        instances: tasks,
        kill_policy: KillPolicy::default(),
    };
    let (scheduler, mut job) = RunScheduler::new(spec);
    let masters = node.address().to_string();
    let driver = SchedulerDriver::builder(scheduler, FrameworkInfo::new("bench"), &masters).build()?;
    let clock = Clock::real();
    let begin = clock.now();
    driver.start();
    let mut started = std::collections::BTreeMap::new();
    let mut latencies = Vec::new();
    let code = loop {
        match tokio::time::timeout(STALLED, job.progress.recv()).await? {
            Some(Progress::Task(status)) if status.state == TaskState::Starting => {
                started.insert(status.task_id, clock.now());
            }
            Some(Progress::Task(status)) if status.state.is_terminal() => {
                latencies.extend(started.remove(&status.task_id).map(|at| clock.now().since(at)));
            }
            Some(Progress::Done(code)) => break code,
            Some(Progress::Failed(message)) => return Err(message.into()),
            Some(_) => {}
            None => return Err("the driver has ended".into()),
        }
    };
    let elapsed = clock.now().since(begin);
    driver.stop(false);
    driver.ended().await;
    agent.leave().await;
    agent.ended().await;
    agent_node.shutdown().await;
    node.shutdown().await;
    if code != 0 {
        return Err(format!("a task of 'true' ended with {code}").into());
    }
    Ok((elapsed, latencies))
}
