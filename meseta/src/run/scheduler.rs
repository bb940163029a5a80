//! Brings a job to offers, and its progress to whoever waits for its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::messages::{MasterInfo, ReconcileTask};
use protocol::{Filters, FrameworkId, Offer, Operation, TaskStatus};
use scheduler_driver::{Scheduler, SchedulerDriver};
use tokio::sync::mpsc;

use super::{Job, JobSpec};

/// How long an offer that the job has no use for stays away.
const NO_USE: Filters = Filters { refuse: Duration::from_secs(60) };
/// How many reports may wait for whoever reads them; a callback waits for room beyond that.
const MAX_WAITING: usize = 1024;

/// What happened to the job; nothing is said twice.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A master knows the framework.
    Subscribed(FrameworkId),
    /// The master is away.
    Disconnected,
    /// A task's state has changed.
    Task(Box<TaskStatus>),
    /// All tasks have ended; the exit status of the whole.
    Done(i32),
    /// The framework was refused.
    Failed(String),
}

/// The framework.
#[derive(Debug)]
pub struct RunScheduler {
    job: Arc<Mutex<Job>>,
    progress: mpsc::Sender<Progress>,
}

/// What the command line holds of the job: to read its progress, and to give it up.
#[derive(Debug)]
pub struct JobHandle {
    job: Arc<Mutex<Job>>,
    /// What happened, in order.
    pub progress: mpsc::Receiver<Progress>,
}

impl JobHandle {
    /// Why nothing has been launched yet, for people; `None`: something has.
    pub fn stuck(&self) -> Option<String> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner).stuck()
    }

    /// Kills what runs and forgets what waits; says whether nothing is left to wait for.
    pub fn cancel(&self, driver: &SchedulerDriver) -> bool {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        for task_id in job.cancel() {
            driver.kill_task(&task_id);
        }
        job.outcome().is_some()
    }
}

impl RunScheduler {
    /// A framework that has not subscribed yet.
    pub fn new(spec: JobSpec) -> (Self, JobHandle) {
        let (progress, receiver) = mpsc::channel(MAX_WAITING);
        let job = Arc::new(Mutex::new(Job::new(spec)));
        (Self { job: job.clone(), progress }, JobHandle { job, progress: receiver })
    }

    fn say(&self, progress: Progress) {
        // Callbacks run on a thread of their own, where waiting is allowed. Nobody listening: nobody cares.
        if self.progress.blocking_send(progress).is_err() {
            tracing::debug!("nobody reads the job's progress any more");
        }
    }

    fn with_job<T>(&self, act: impl FnOnce(&mut Job) -> T) -> T {
        act(&mut self.job.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Scheduler for RunScheduler {
    fn registered(&mut self, _driver: &SchedulerDriver, framework_id: &FrameworkId, _master: &MasterInfo) {
        self.say(Progress::Subscribed(framework_id.clone()));
    }

    fn reregistered(&mut self, driver: &SchedulerDriver, _master: &MasterInfo) {
        // What was said while the master was away may be lost: ask.
        let alive = self.with_job(|job| job.alive().cloned().collect::<Vec<_>>());
        if !alive.is_empty() {
            let ask = |task_id| ReconcileTask { task_id, agent_id: None };
            driver.reconcile_tasks(alive.into_iter().map(ask).collect());
        }
    }

    fn disconnected(&mut self, _driver: &SchedulerDriver) {
        self.say(Progress::Disconnected);
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            let tasks = self.with_job(|job| job.launch(&offer));
            if tasks.is_empty() {
                driver.decline_offers([offer.id], NO_USE);
            } else {
                driver.accept_offers([offer.id], vec![Operation::Launch { tasks }], NO_USE);
            }
        }
        if !self.with_job(|job| job.wants_offers()) {
            driver.suppress_offers([]);
        }
    }

    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        let (news, outcome, waits) =
            self.with_job(|job| (job.update(status), job.outcome(), job.wants_offers()));
        if news {
            self.say(Progress::Task(Box::new(status.clone())));
        }
        match outcome {
            Some(code) => self.say(Progress::Done(code)),
            None if waits => {
                driver.revive_offers([]);
            }
            None => {}
        }
    }

    fn error(&mut self, _driver: &SchedulerDriver, message: &str) {
        self.say(Progress::Failed(message.to_owned()));
    }
}
