//! The smallest framework: runs a few tasks that say hello and prints what becomes of them.
//!
//! ```text
//! cargo run -p examples --bin hello_framework -- --master=127.0.0.1:5050
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to people")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use scheduler_driver::protocol::messages::MasterInfo;
use scheduler_driver::protocol::{
    CommandInfo, FrameworkId, FrameworkInfo, Offer, Resources, TaskInfo, TaskState, TaskStatus,
};
use scheduler_driver::{Scheduler, SchedulerDriver};

/// How many tasks to run.
const TASKS: usize = 5;

struct Hello {
    /// What one task uses.
    wanted: Resources,
    launched: usize,
    ended: usize,
    finished: Arc<AtomicUsize>,
}

impl Scheduler for Hello {
    fn registered(&mut self, _: &SchedulerDriver, framework_id: &FrameworkId, master: &MasterInfo) {
        println!("registered as {framework_id} at {}", master.pid);
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            let mut left = offer.resources.clone();
            let mut tasks = Vec::new();
            while self.launched < TASKS && left.contains(&self.wanted) {
                left = left - self.wanted.clone();
                self.launched += 1;
                let command = CommandInfo::shell("echo hello from $MESOS_TASK_ID");
                let name = format!("hello-{}", self.launched);
                tasks.push(TaskInfo::command(name, offer.agent_id.clone(), self.wanted.clone(), command));
            }
            // Without tasks this declines the offer.
            driver.launch_tasks([offer.id], tasks);
        }
        if self.launched == TASKS {
            driver.suppress_offers([]);
        }
    }

    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        let message = status.message.as_deref().unwrap_or("");
        println!("{} {} {message}", status.task_id, status.state);
        if status.state.is_terminal() {
            self.ended += 1;
            if status.state == TaskState::Finished {
                self.finished.fetch_add(1, Ordering::Relaxed);
            }
            if self.ended == TASKS {
                driver.stop(false);
            }
        }
    }

    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        eprintln!("error: {message}");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(master) = examples::master(&arguments) else {
        eprintln!("usage: hello_framework [--master=host:port]");
        return ExitCode::FAILURE;
    };
    let finished = Arc::new(AtomicUsize::new(0));
    let wanted = "cpus:0.1;mem:32".parse().expect("resources");
    let hello = Hello { wanted, launched: 0, ended: 0, finished: finished.clone() };
    let driver = match SchedulerDriver::new(hello, FrameworkInfo::new("hello"), master) {
        Ok(driver) => driver,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("looking for the master at {master}");
    let status = driver.run();
    println!("{status}: {} of {TASKS} tasks finished", finished.load(Ordering::Relaxed));
    if finished.load(Ordering::Relaxed) == TASKS { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
