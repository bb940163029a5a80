//! Waits for a job's end while people look on and may interrupt.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use libactor::{Clock, Time};
use protocol::{FrameworkId, TaskStatus};
use scheduler_driver::SchedulerDriver;

use super::{JobHandle, Progress};
use crate::commands::Failure;
use crate::runtime::EndSignals;

/// After so long without a master people are told that it is still being looked for.
const IMPATIENCE: Duration = Duration::from_secs(3);
/// After so long with a master but without a task people are told what is asked and what is offered.
const NOTHING_FITS: Duration = Duration::from_secs(5);
/// After an interrupt, how long tasks may take to die before the framework is torn down over them: longer than any
/// grace that `meseta run` gives by default.
const FAREWELL: Duration = Duration::from_secs(30);

/// What people see of a job.
pub trait Report {
    /// A master knows the framework.
    fn subscribed(&mut self, framework_id: &FrameworkId) {
        tracing::debug!(%framework_id, "subscribed");
    }
    /// A task's state has changed.
    fn task(&mut self, status: &TaskStatus);
    /// Something else that they should know.
    fn note(&mut self, text: &str);
    /// Which masters it is about, for people.
    fn masters(&self) -> &str;
}

/// One line a change.
#[derive(Debug)]
pub struct Lines {
    masters: String,
    stdout: bool,
}

impl Lines {
    /// The states are the command's product.
    pub fn to_stdout(masters: String) -> Self {
        Self { masters, stdout: true }
    }

    /// The states are beside the point.
    pub fn to_stderr(masters: String) -> Self {
        Self { masters, stdout: false }
    }
}

impl Report for Lines {
    fn task(&mut self, status: &TaskStatus) {
        let mut line = format!("{} {}", status.task_id, status.state);
        if let Some(agent_id) = &status.agent_id {
            line.push_str(&format!(" on {agent_id}"));
        }
        if let Some(reason) = status.reason {
            line.push_str(&format!(" ({})", reason.name()));
        }
        if let Some(message) = &status.message {
            line.push_str(&format!(": {message}"));
        }
        line.push('\n');
        // The job goes on when nobody reads about it any more.
        let _ = match self.stdout {
            true => io::stdout().lock().write_all(line.as_bytes()),
            false => io::stderr().lock().write_all(line.as_bytes()),
        };
    }

    fn note(&mut self, text: &str) {
        let _ = io::stderr().lock().write_all(format!("meseta: {text}\n").as_bytes());
    }

    fn masters(&self) -> &str {
        &self.masters
    }
}

/// Waits for the end. An interrupt kills the tasks and waits for their end; a second one doesn't wait.
///
/// # Errors
/// The framework was refused, or its driver ended with an error.
pub async fn drive(
    driver: &SchedulerDriver,
    job: &mut JobHandle,
    mut signals: EndSignals,
    report: &mut dyn Report,
) -> Result<ExitCode, Failure> {
    let clock = Clock::real();
    let mut subscribed = false;
    let mut fits_by: Option<Time> = None;
    let mut interrupted: Option<i32> = None;
    let mut wait = clock.now() + IMPATIENCE;
    let code = loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                let again = interrupted.replace(signal).is_some();
                if again || job.cancel(driver) || !subscribed {
                    break 128 + signal;
                }
                wait = clock.now() + FAREWELL;
            }
            progress = job.progress.recv() => match progress {
                Some(Progress::Subscribed(framework_id)) => {
                    subscribed = true;
                    fits_by = Some(clock.now() + NOTHING_FITS);
                    report.subscribed(&framework_id);
                }
                Some(Progress::Disconnected) => report.note("the master is away; looking for it"),
                Some(Progress::Task(status)) => report.task(&status),
                Some(Progress::Done(code)) => break interrupted.map_or(code, |signal| 128 + signal),
                Some(Progress::Failed(message)) => return Err(message.into()),
                None => return Err(driver.error().unwrap_or_else(|| "the driver has ended".into()).into()),
            },
            () = clock.sleep_until(fits_by.unwrap_or(wait)), if fits_by.is_some() => {
                fits_by = None;
                if let Some(why) = job.stuck() {
                    report.note(&why);
                }
            }
            () = clock.sleep_until(wait), if !subscribed || interrupted.is_some() => {
                if let Some(signal) = interrupted {
                    break 128 + signal;
                }
                report.note(&format!("no master at {} yet; trying on, interrupt to give up", report.masters()));
                wait = clock.now() + IMPATIENCE * 10;
            }
        }
    };
    driver.stop(false);
    driver.ended().await;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
