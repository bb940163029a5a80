//! A framework with an executor of its own; they send one another messages.
//!
//! ```text
//! cargo run -p examples --bin custom_executor -- --master=127.0.0.1:5050
//! ```
//!
//! The executor is this program with the argument `executor`: agents must find it at the same path.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to people")]

use std::process::ExitCode;

use bytes::Bytes;
use executor::{Executor, ExecutorDriver};
use scheduler_driver::protocol::{
    AgentId, CommandInfo, ExecutorId, ExecutorInfo, FrameworkInfo, KillPolicy, Offer, Source, TaskId,
    TaskInfo, TaskState, TaskStatus,
};
use scheduler_driver::{Scheduler, SchedulerDriver, Status};

/// How often they talk.
const ROUNDS: u32 = 3;

/// Runs on the agent. Its one task lasts until the framework says `bye`.
#[derive(Default)]
struct Echo {
    task: Option<TaskId>,
}

impl Echo {
    fn end(&mut self, driver: &ExecutorDriver, state: TaskState) {
        if let Some(task) = self.task.take() {
            driver.send_status_update(TaskStatus::new(task, state, Source::Executor));
        }
    }
}

impl Executor for Echo {
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        driver.send_status_update(TaskStatus::new(
            task.task_id.clone(),
            TaskState::Running,
            Source::Executor,
        ));
        self.task = Some(task.task_id);
    }

    fn kill_task(&mut self, driver: &ExecutorDriver, _: &TaskId, _: Option<KillPolicy>) {
        self.end(driver, TaskState::Killed);
    }

    fn framework_message(&mut self, driver: &ExecutorDriver, data: Bytes) {
        // The sandbox's stdout.
        println!("received {data:?}");
        if &data[..] == b"bye" {
            self.end(driver, TaskState::Finished);
        } else {
            driver.send_framework_message([b"echo of ", &data[..]].concat());
        }
    }

    fn shutdown(&mut self, driver: &ExecutorDriver) {
        self.end(driver, TaskState::Killed);
    }
}

/// Runs in the framework.
struct Talker {
    executor: ExecutorInfo,
    launched: bool,
    rounds: u32,
}

impl Talker {
    fn say(&mut self, driver: &SchedulerDriver, executor_id: &ExecutorId, agent_id: &AgentId) {
        let words = match self.rounds {
            ROUNDS => "bye".to_owned(),
            round => format!("hello {round}"),
        };
        println!("to the executor: {words}");
        driver.send_framework_message(executor_id, agent_id, words);
    }
}

impl Scheduler for Talker {
    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        let wanted: scheduler_driver::protocol::Resources = "cpus:0.1;mem:32".parse().expect("resources");
        for offer in offers {
            let mut tasks = Vec::new();
            if !self.launched && offer.resources.contains(&(wanted.clone() + self.executor.resources.clone()))
            {
                self.launched = true;
                let agent_id = offer.agent_id.clone();
                tasks.push(TaskInfo::with_executor("talk", agent_id, wanted.clone(), self.executor.clone()));
            }
            driver.launch_tasks([offer.id], tasks);
        }
    }

    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        println!("{} {} {}", status.task_id, status.state, status.message.as_deref().unwrap_or(""));
        if let (TaskState::Running, Some(agent_id)) = (status.state, &status.agent_id) {
            self.say(driver, &self.executor.executor_id.clone(), agent_id);
        } else if status.state == TaskState::Finished {
            driver.stop(false);
        } else if status.state.is_terminal() {
            driver.abort();
        }
    }

    fn framework_message(
        &mut self,
        driver: &SchedulerDriver,
        executor_id: &ExecutorId,
        agent_id: &AgentId,
        data: Bytes,
    ) {
        println!("from the executor: {}", String::from_utf8_lossy(&data));
        self.rounds += 1;
        self.say(driver, executor_id, agent_id);
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
        _ => Err("usage: custom_executor [--master=host:port]".into()),
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
    let driver = ExecutorDriver::new(Echo::default())?;
    driver.run();
    // Shutdowns are how executors end; only what went wrong is worth a word.
    driver.error().map_or(Ok(()), |error| Err(error.into()))
}

fn run_framework(master: &str) -> Result<(), Box<dyn std::error::Error>> {
    let program = std::env::current_exe()?.display().to_string();
    let command = CommandInfo::argv(program.clone(), [program, "executor".into()]);
    let mut executor = ExecutorInfo::new("echo", command);
    executor.resources = "cpus:0.1;mem:32".parse()?;
    let talker = Talker { executor, launched: false, rounds: 0 };
    let driver = SchedulerDriver::new(talker, FrameworkInfo::new("talker"), master)?;
    match driver.run() {
        Status::Stopped => Ok(()),
        status => Err(format!("{status}: {}", driver.error().unwrap_or_default()).into()),
    }
}
