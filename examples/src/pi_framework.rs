//! Computes pi by the series of Leibniz, cut into many small tasks. A custom executor runs them; parts of the sum
//! travel as the tasks' and the updates' data.
//!
//! ```text
//! cargo run -p examples --bin pi_framework -- --master=127.0.0.1:5050
//! ```
//!
//! The executor is this program with the argument `executor`: agents must find it at the same path.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to people")]

use std::collections::{BTreeSet, VecDeque};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use executor::{Executor, ExecutorDriver};
use scheduler_driver::protocol::{
    CommandInfo, ExecutorId, ExecutorInfo, FrameworkInfo, Offer, Resources, Source, TaskInfo, TaskState,
    TaskStatus,
};
use scheduler_driver::{Scheduler, SchedulerDriver};

/// How many tasks.
const TASKS: u64 = 64;
/// Terms of the series in each.
const TERMS: u64 = 500_000;

/// Runs on agents: one process for all tasks of an agent.
struct Summer;

impl Executor for Summer {
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        let driver = driver.clone();
        // A callback doesn't wait for its task.
        std::thread::spawn(move || {
            let update = |state| TaskStatus::new(task.task_id.clone(), state, Source::Executor);
            driver.send_status_update(update(TaskState::Running));
            let last = match <[u8; 8]>::try_from(&task.data[..]) {
                Ok(number) => TaskStatus {
                    data: Bytes::copy_from_slice(&part(u64::from_le_bytes(number)).to_le_bytes()),
                    ..update(TaskState::Finished)
                },
                Err(_) => TaskStatus {
                    message: Some("the task's data is not a number".into()),
                    ..update(TaskState::Failed)
                },
            };
            driver.send_status_update(last);
        });
    }
}

/// One part of the sum 4 - 4/3 + 4/5 - ...
fn part(number: u64) -> f64 {
    let first = number * TERMS;
    (first..first + TERMS).map(|term| if term % 2 == 0 { 4.0 } else { -4.0 } / (2 * term + 1) as f64).sum()
}

/// Runs in the framework.
struct Pi {
    executor: ExecutorInfo,
    wanted: Resources,
    waiting: VecDeque<u64>,
    running: BTreeSet<String>,
    sum: Arc<Mutex<f64>>,
}

impl Pi {
    /// As many tasks as an offer has room for.
    fn tasks(&mut self, offer: &Offer) -> Vec<TaskInfo> {
        let mut left = offer.resources.clone();
        if !offer.executor_ids.contains(&self.executor.executor_id) {
            if !left.contains(&self.executor.resources) {
                return Vec::new();
            }
            left = left - self.executor.resources.clone();
        }
        let mut tasks = Vec::new();
        while left.contains(&self.wanted) {
            let Some(number) = self.waiting.pop_front() else { break };
            left = left - self.wanted.clone();
            let name = format!("part-{number}");
            self.running.insert(name.clone());
            let agent_id = offer.agent_id.clone();
            let mut task =
                TaskInfo::with_executor(name, agent_id, self.wanted.clone(), self.executor.clone());
            task.data = Bytes::copy_from_slice(&number.to_le_bytes());
            tasks.push(task);
        }
        tasks
    }
}

impl Scheduler for Pi {
    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            let tasks = self.tasks(&offer);
            driver.launch_tasks([offer.id], tasks);
        }
    }

    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        // The same update may come twice: only the first one counts.
        if !status.state.is_terminal() || !self.running.remove(status.task_id.as_str()) {
            return;
        }
        match <[u8; 8]>::try_from(&status.data[..]) {
            Ok(bytes) if status.state == TaskState::Finished => {
                *self.sum.lock().expect("nobody panics") += f64::from_le_bytes(bytes);
            }
            _ => {
                eprintln!("{} {}: {:?}", status.task_id, status.state, status.message);
                driver.abort();
            }
        }
        if self.waiting.is_empty() && self.running.is_empty() {
            driver.stop(false);
        } else {
            // Room has become free: don't wait until the filter of an earlier offer is over.
            driver.revive_offers([]);
        }
    }

    fn executor_lost(
        &mut self,
        _: &SchedulerDriver,
        executor_id: &ExecutorId,
        agent_id: &executor::protocol::AgentId,
        status: i32,
    ) {
        eprintln!("executor {executor_id} on {agent_id} has ended with {status}");
    }

    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        eprintln!("error: {message}");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match (&arguments[..], examples::master(&arguments)) {
        ([word], _) if word == "executor" => run_executor(),
        (_, Some(master)) => run_framework(master),
        _ => Err("usage: pi_framework [--master=host:port]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run_executor() -> Result<(), Box<dyn std::error::Error>> {
    let driver = ExecutorDriver::new(Summer)?;
    driver.run();
    // Shutdowns are how executors end; only what went wrong is worth a word.
    driver.error().map_or(Ok(()), |error| Err(error.into()))
}

fn run_framework(master: &str) -> Result<(), Box<dyn std::error::Error>> {
    let program = std::env::current_exe()?.display().to_string();
    let mut executor =
        ExecutorInfo::new("pi", CommandInfo::argv(program.clone(), [program, "executor".into()]));
    executor.resources = "cpus:0.1;mem:32".parse()?;
    let sum = Arc::new(Mutex::new(0.0));
    let pi = Pi {
        executor,
        wanted: "cpus:0.1;mem:16".parse()?,
        waiting: (0..TASKS).collect(),
        running: BTreeSet::new(),
        sum: sum.clone(),
    };
    let driver = SchedulerDriver::new(pi, FrameworkInfo::new("pi"), master)?;
    let status = driver.run();
    if status != scheduler_driver::Status::Stopped {
        return Err(format!("{status}: {}", driver.error().unwrap_or_default()).into());
    }
    println!("pi is about {:.9}", *sum.lock().expect("nobody panics"));
    Ok(())
}
