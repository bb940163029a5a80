//! B4 and B5: agents that register with a master in one process, and that come back to one which has just begun to lead.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libactor::{Clock, Node, NodeConfig, Random};
use master::core::MasterConfig;
use master::disk::Sled;
use master::group::Start;
use master::registry::{Admitted, DiskId, MemberId, Wish};
use master::replication::Recovered;
use protocol::{
    AgentId, AgentInfo, CommandInfo, FrameworkId, FrameworkInfo, Task, TaskInfo, TaskState, Uuid,
};
use tokio::sync::mpsc;

use super::super::{Effort, Figure};
use super::agents;
use crate::commands::seed;
use crate::runtime;

/// Room for what the disk reports.
const DISK_EVENTS: usize = 1024;

pub(super) fn register(effort: Effort, directory: &Path) -> Result<Vec<Figure>, Box<dyn Error>> {
    let sizes: &[usize] = match effort {
        Effort::Quick => &[10_000],
        Effort::Full => &[10_000, 50_000],
    };
    let mut figures = Vec::new();
    for &count in sizes {
        let folder = directory.join(count.to_string());
        let elapsed = runtime::block_on(async {
            let node = Node::bind(NodeConfig::default()).await?;
            let start = durable(&node, &folder)?;
            come(&node, start, count, |_| None).await
        })?;
        figures.push(Figure {
            name: "B4",
            params: format!(
                "{count} simulated agents register, in-proc, one master, durable before it is told"
            ),
            value: elapsed.as_secs_f64(),
            unit: "s",
            percentiles_ms: None,
        });
    }
    Ok(figures)
}

pub(super) fn come_back(effort: Effort) -> Result<Vec<Figure>, Box<dyn Error>> {
    let sizes: &[(usize, usize)] = match effort {
        Effort::Quick => &[(10_000, 10)],
        Effort::Full => &[(10_000, 10), (40_000, 10), (50_000, 5)],
    };
    let mut figures = Vec::new();
    for &(count, tasks) in sizes {
        let elapsed = runtime::block_on(async {
            let node = Node::bind(NodeConfig::default()).await?;
            let mut start = Start::alone(&node, MasterConfig::default(), seed()?);
            know(&mut start.recovered, count);
            come(&node, start, count, |number| Some(running(number, tasks))).await
        })?;
        figures.push(Figure {
            name: "B5",
            params: format!(
                "{count} agents with {tasks} tasks each register again with a new leader, in-proc"
            ),
            value: elapsed.as_secs_f64(),
            unit: "s",
            percentiles_ms: None,
        });
    }
    Ok(figures)
}

/// A master with a disk.
fn durable(node: &Node, folder: &Path) -> Result<Start, Box<dyn Error>> {
    let mut start = Start::alone(node, MasterConfig::default(), seed()?);
    let (report, events) = mpsc::channel(DISK_EVENTS);
    let disk = DiskId(Uuid::from_random(u128::from(seed()?)));
    let masters = BTreeMap::from([(MemberId(1), node.address().to_string())]);
    let (storage, recovered) =
        Sled::open(folder, |disk| Recovered::founders(MemberId(1), disk, &masters), disk, report)?;
    (start.storage, start.recovered, start.events) = (Box::new(storage), recovered, events);
    Ok(start)
}

fn agent_id(number: usize) -> AgentId {
    AgentId::from(format!("11111111-2222-3333-4444-555555555555-S{number}"))
}

/// Puts agents into the registry that a master begins with.
fn know(recovered: &mut Recovered, count: usize) {
    let state = Arc::make_mut(&mut recovered.snapshot.state);
    for number in 0..count {
        let id = agent_id(number);
        let info = Arc::new(AgentInfo { id: Some(id.clone()), ..agents::info(number) });
        state.admitted.insert(id, Admitted { info, wish: Wish::default() });
    }
}

/// What an agent of this number runs.
fn running(number: usize, tasks: usize) -> (AgentId, FrameworkInfo, Vec<Task>) {
    let id = FrameworkId::from("11111111-2222-3333-4444-555555555555-0000");
    let framework = FrameworkInfo { id: Some(id.clone()), ..FrameworkInfo::new("bench") };
    let agent = agent_id(number);
    let task = |index: usize| {
        let resources = "cpus:0.5;mem:64".parse().expect("resources");
        let command = CommandInfo::shell("true");
        let info = TaskInfo::command(format!("task-{number}-{index}"), agent.clone(), resources, command);
        Task::new(id.clone(), &info, TaskState::Running)
    };
    (agent.clone(), framework, (0..tasks).map(task).collect())
}

/// Starts a master, lets agents come, and says how long it takes until the last one is told that it is registered.
async fn come(
    node: &Node,
    start: Start,
    count: usize,
    tasks: impl Fn(usize) -> Option<(AgentId, FrameworkInfo, Vec<Task>)>,
) -> Result<Duration, Box<dyn Error>> {
    let master = master::group::start(node, start)?;
    if !master.leads().await {
        return Err("the master has ended".into());
    }
    let (marks, mut reports) = mpsc::channel(2 * count);
    let agents = agents::spawn(node, 0..count, tasks, &marks)?;
    let clock = Clock::real();
    let begin = clock.now();
    agents::register(&agents, &master.pid(), Duration::ZERO, &mut Random::new(1)).await;
    agents::all(&mut reports, count).await?;
    let elapsed = clock.now().since(begin);
    node.shutdown().await;
    Ok(elapsed)
}
