//! B5b: the leading master is killed; how long until a task runs that was launched after that. Three masters are processes,
//! the agents actors of this process on nodes of their own, the framework a driver as any other.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libactor::detect::{self, Address, Leader};
use libactor::{Clock, Node, NodeConfig, Pid, Random};
use protocol::{
    CommandInfo, Filters, FrameworkInfo, Offer, Operation, TaskId, TaskInfo, TaskState, TaskStatus,
};
use scheduler_driver::{Scheduler, SchedulerDriver};
use tokio::sync::{mpsc, watch};

use super::super::report::percentiles_ms;
use super::super::{Effort, Figure};
use super::agents::{self, STALLED};
use super::processes::Masters;
use crate::runtime;

const MASTERS: usize = 3;
/// Agents that share a node, and so a connection.
const AGENTS_A_NODE: usize = 50;
/// The longest that a returning agent waits before it registers again: `--registration_backoff_factor`.
const BACKOFF: Duration = Duration::from_secs(1);
pub(super) fn run(effort: Effort, directory: &Path) -> Result<Vec<Figure>, Box<dyn Error>> {
    let (sizes, rounds): (&[usize], _) = match effort {
        Effort::Quick => (&[1_000], 2),
        Effort::Full => (&[1_000, 10_000], 7),
    };
    let mut figures = Vec::new();
    for &agents in sizes {
        let measured = runtime::block_on(measure(&directory.join(agents.to_string()), agents, rounds))?;
        let mut figure = |what: &str, mut times: Vec<Duration>| {
            times.sort_unstable();
            figures.push(Figure {
                name: "B5b",
                params: format!("{agents} simulated agents, {MASTERS} masters, kill -9 of the leader to {what}, median of {rounds}"),
                value: times[times.len() / 2].as_secs_f64(),
                unit: "s",
                percentiles_ms: percentiles_ms(times),
            });
        };
        figure("the next leader at its followers", measured.elected);
        figure("the first new task RUNNING", measured.running);
        figure("all agents registered again", measured.back);
    }
    Ok(figures)
}

#[derive(Default)]
struct Measured {
    elected: Vec<Duration>,
    running: Vec<Duration>,
    back: Vec<Duration>,
}

async fn measure(directory: &Path, count: usize, rounds: usize) -> Result<Measured, Box<dyn Error>> {
    let mut masters = Masters::start(directory, MASTERS)?;
    let mut nodes = Vec::new();
    let (marks, mut reports) = mpsc::channel(2 * count);
    let mut agents = Vec::new();
    for first in (0..count).step_by(AGENTS_A_NODE) {
        let node = Node::bind(NodeConfig::default()).await?;
        agents.extend(agents::spawn(&node, first..count.min(first + AGENTS_A_NODE), |_| None, &marks)?);
        nodes.push(node);
    }
    let mut random = Random::new(1);
    let mut leaders = Leaders::watch(&nodes[0], &masters)?;
    let mut leader = leaders.next(None).await?;
    agents::register(&agents, &leader, Duration::ZERO, &mut random).await;
    agents::all(&mut reports, count).await?;
    let (worker, mut running) = Worker::new();
    let wanted = worker.wanted.clone();
    let driver = SchedulerDriver::new(
        worker,
        FrameworkInfo { failover_timeout: Duration::from_secs(3600), ..FrameworkInfo::new("bench") },
        &masters.list(),
    )?;
    driver.start();
    want(&wanted, "warm");
    tokio::time::timeout(STALLED, running.recv()).await?;
    let clock = Clock::real();
    let mut measured = Measured::default();
    for round in 0..rounds {
        let killed = index(&masters, &leader)?;
        want(&wanted, &format!("task-{round}"));
        let begin = clock.now();
        masters.kill(killed)?;
        leader = leaders.next(Some(&leader)).await?;
        measured.elected.push(clock.now().since(begin));
        let back = async {
            agents::register(&agents, &leader, BACKOFF, &mut random).await;
            agents::all(&mut reports, count).await?;
            Ok::<_, Box<dyn Error>>(clock.now().since(begin))
        };
        let runs = async {
            tokio::time::timeout(STALLED, running.recv()).await?;
            Ok::<_, Box<dyn Error>>(clock.now().since(begin))
        };
        let (back, runs) = tokio::try_join!(back, runs)?;
        measured.back.push(back);
        measured.running.push(runs);
        masters.begin(killed)?;
        leaders.back(&nodes[0], &masters, killed).await?;
    }
    driver.stop(false);
    driver.ended().await;
    for node in nodes {
        node.shutdown().await;
    }
    Ok(measured)
}

/// Who leads, as this process finds out.
struct Leaders(watch::Receiver<Option<Leader>>);

impl Leaders {
    fn watch(node: &Node, masters: &Masters) -> Result<Self, Box<dyn Error>> {
        let addresses = Address::list(&masters.list())?;
        Ok(Self(detect::spawn(node, "detector", master::replication::NAME, addresses)?))
    }

    /// Waits for a leader that is another one than this.
    async fn next(&mut self, but: Option<&Pid>) -> Result<Pid, Box<dyn Error>> {
        let another =
            |leader: &Option<Leader>| leader.as_ref().is_some_and(|leader| Some(&leader.pid) != but);
        let leader = tokio::time::timeout(STALLED, self.0.wait_for(another)).await??.clone();
        leader.map(|leader| leader.pid).ok_or_else(|| "nobody leads".into())
    }

    /// Waits until a master that was started again knows who leads.
    async fn back(&self, node: &Node, masters: &Masters, index: usize) -> Result<(), Box<dyn Error>> {
        let address = Address::list(&masters.addresses[index].to_string())?;
        let mut alone =
            detect::spawn(node, &format!("detector-{index}"), master::replication::NAME, address)?;
        tokio::time::timeout(STALLED, alone.wait_for(Option::is_some)).await??;
        Ok(())
    }
}

fn index(masters: &Masters, leader: &Pid) -> Result<usize, Box<dyn Error>> {
    let index = masters.addresses.iter().position(|address| *address == leader.address());
    index.ok_or_else(|| format!("{leader} is none of the masters").into())
}

type Wanted = Arc<Mutex<Option<String>>>;

fn want(wanted: &Wanted, task: &str) {
    *wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.to_owned());
}

/// Launches the task that is wanted with the next offer, and says when it runs.
struct Worker {
    wanted: Wanted,
    launched: Option<TaskId>,
    running: mpsc::Sender<()>,
}

impl Worker {
    fn new() -> (Self, mpsc::Receiver<()>) {
        let (running, reports) = mpsc::channel(64);
        (Self { wanted: Wanted::default(), launched: None, running }, reports)
    }
}

impl Scheduler for Worker {
    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).take();
            let task = wanted.map(|id| {
                self.launched = Some(id.as_str().into());
                let resources = "cpus:1;mem:128".parse().expect("resources");
                TaskInfo::command(id, offer.agent_id.clone(), resources, CommandInfo::shell("true"))
            });
            let operations = vec![Operation::Launch { tasks: task.into_iter().collect() }];
            driver.accept_offers([offer.id], operations, Filters { refuse: Duration::ZERO });
        }
    }

    fn status_update(&mut self, _: &SchedulerDriver, status: &TaskStatus) {
        if status.state == TaskState::Running
            && self.launched.as_ref() == Some(&status.task_id)
            && self.running.try_send(()).is_err()
        {
            tracing::error!("a report of the benchmark is lost");
        }
    }
}
