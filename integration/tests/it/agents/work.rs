//! A framework that launches the tasks that it is told to, and writes down what it hears of them.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use libactor::Clock;
use protocol::messages::MasterInfo;
use scheduler_driver::protocol::{
    AgentId, Capability, CommandInfo, ExecutorId, Filters, FrameworkId, FrameworkInfo, Offer, Operation,
    Reason, Resources, TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};
use scheduler_driver::{Scheduler, SchedulerDriver};

use super::site::{MARK, Site};
use crate::http::PATIENCE;

/// What was heard of a task: each update once, in the order of their first coming.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) statuses: Vec<TaskStatus>,
}

impl Heard {
    pub(crate) fn states(&self) -> Vec<TaskState> {
        self.statuses.iter().map(|status| status.state).collect()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.statuses.last().is_some_and(|status| status.state.is_terminal())
    }

    fn uuids(&self) -> impl Iterator<Item = Uuid> {
        self.statuses.iter().filter_map(|status| status.uuid)
    }
}

/// What is to be launched on the agent of an offer.
type Launch = Box<dyn FnOnce(AgentId) -> Operation + Send>;

#[derive(Default)]
struct Inner {
    /// With what an offer must have for it.
    waiting: VecDeque<(Resources, Launch)>,
    /// How many messages executors have sent.
    messages: usize,
    tasks: BTreeMap<TaskId, Heard>,
    wrong: Vec<String>,
    subscribed: bool,
}

type Shared = Arc<(Mutex<Inner>, Condvar)>;

/// The framework, from outside; it is over with its scope.
pub(crate) struct Work {
    shared: Shared,
    site: String,
    notes: PathBuf,
    driver: SchedulerDriver,
}

impl Work {
    /// Subscribes a framework at a site.
    pub(crate) fn start(site: &Site, name: &str, checkpoint: bool) -> Self {
        let shared = Shared::default();
        let framework = FrameworkInfo {
            failover_timeout: Duration::from_secs(3600),
            checkpoint,
            capabilities: [Capability::PartitionAware, Capability::GpuResources].into(),
            ..FrameworkInfo::new(name)
        };
        let scheduler = Worker { shared: shared.clone() };
        let driver = SchedulerDriver::new(scheduler, framework, &site.address.to_string()).unwrap();
        driver.start();
        Self { shared, site: site.name.clone(), notes: site.notes(), driver }
    }

    /// Launches a task as soon as there is an offer: it notes that it runs, and does what the script says.
    pub(crate) fn launch(&self, id: &str, script: &str) {
        self.launch_with(id, "cpus:0.1;mem:32", script);
    }

    /// Launches a task with these resources.
    pub(crate) fn launch_with(&self, id: &str, resources: &str, script: &str) {
        let noted = self.notes.join(id);
        let script = format!("echo runs >> {}; {script}", noted.display());
        let mut command = CommandInfo::shell(&script);
        command.environment.0.push((MARK.to_owned(), self.site.clone()));
        let resources = resources.parse().expect("resources");
        let task_id = TaskId::from(id);
        self.launch_on([id], Resources::default(), move |agent_id| Operation::Launch {
            tasks: vec![TaskInfo::command(task_id, agent_id, resources, command)],
        });
    }

    /// Launches tasks of these ids as soon as there is an offer with these resources.
    pub(crate) fn launch_on<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
        needed: Resources,
        operation: impl FnOnce(AgentId) -> Operation + Send + 'static,
    ) {
        let mut inner = self.lock();
        inner.tasks.extend(ids.into_iter().map(|id| (id.into(), Heard::default())));
        inner.waiting.push_back((needed, Box::new(operation)));
        drop(inner);
        self.driver.revive_offers([]);
    }

    /// Asks for the end of a task.
    pub(crate) fn kill(&self, id: &str) {
        self.driver.kill_task(&id.into());
    }

    /// Sends an executor a message, which may be lost.
    pub(crate) fn say(&self, executor_id: &str, agent_id: &AgentId) {
        self.driver.send_framework_message(&executor_id.into(), agent_id, "a word");
    }

    /// How many messages executors have sent.
    pub(crate) fn messages(&self) -> usize {
        self.lock().messages
    }

    /// Asks what is known of all tasks.
    pub(crate) fn reconcile(&self) {
        self.driver.reconcile_tasks(Vec::new());
    }

    /// How often a task has begun.
    pub(crate) fn runs(&self, id: &str) -> usize {
        std::fs::read_to_string(self.notes.join(id)).map_or(0, |text| text.lines().count())
    }

    pub(crate) fn heard(&self, id: &str) -> Heard {
        self.lock().tasks.get(&TaskId::from(id)).cloned().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> BTreeMap<TaskId, Heard> {
        self.lock().tasks.clone()
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }

    /// How many tasks are not over.
    pub(crate) fn open(&self) -> usize {
        self.lock().tasks.values().filter(|heard| !heard.is_over()).count()
    }

    /// Waits until something holds of what was heard of a task.
    pub(crate) fn wait_for(&self, id: &str, what: &str, holds: impl Fn(&Heard) -> bool) -> Heard {
        self.wait_until(&format!("{id}: {what}"), |tasks| tasks.get(&TaskId::from(id)).is_some_and(&holds));
        self.heard(id)
    }

    pub(crate) fn wait_running(&self, id: &str) {
        self.wait_for(id, "TASK_RUNNING", |heard| heard.states().contains(&TaskState::Running));
    }

    pub(crate) fn wait_over(&self, id: &str) -> Heard {
        self.wait_for(id, "its end", Heard::is_over)
    }

    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&BTreeMap<TaskId, Heard>) -> bool) {
        let clock = Clock::real();
        let begin = clock.now();
        let mut inner = self.lock();
        while !holds(&inner.tasks) {
            let states: Vec<_> = inner
                .tasks
                .iter()
                .filter(|(_, heard)| !heard.is_over())
                .map(|(id, heard)| (id, heard.states()))
                .collect();
            assert!(
                clock.now().since(begin) < PATIENCE,
                "{what} does not come; open: {states:#?}, {:?}",
                inner.wrong
            );
            let (woken, timeout) = self.shared.1.wait_timeout(inner, Duration::from_millis(500)).unwrap();
            inner = woken;
            if timeout.timed_out() && inner.subscribed {
                self.driver.reconcile_tasks(Vec::new());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.0.lock().unwrap()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.driver.stop(false);
        self.driver.join();
    }
}

struct Worker {
    shared: Shared,
}

impl Scheduler for Worker {
    fn registered(&mut self, _: &SchedulerDriver, _: &FrameworkId, _: &MasterInfo) {
        self.shared.0.lock().unwrap().subscribed = true;
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            let mut left = offer.resources.clone();
            let mut operations = Vec::new();
            let mut inner = self.shared.0.lock().unwrap();
            for (needed, launch) in std::mem::take(&mut inner.waiting) {
                if left.contains(&needed) {
                    left -= &needed;
                    operations.push(launch(offer.agent_id.clone()));
                } else {
                    inner.waiting.push_back((needed, launch));
                }
            }
            drop(inner);
            driver.accept_offers([offer.id], operations, Filters { refuse: Duration::from_millis(100) });
        }
    }

    fn status_update(&mut self, _: &SchedulerDriver, status: &TaskStatus) {
        let mut inner = self.shared.0.lock().unwrap();
        let Some(heard) = inner.tasks.get_mut(&status.task_id) else {
            inner.wrong.push(format!("nobody launched {}", status.task_id));
            return;
        };
        let known = match status.uuid {
            Some(uuid) => heard.uuids().any(|known| known == uuid),
            // Without a uuid: reconciliation says again what is known, or the master tells of a loss.
            None => !status.state.is_terminal() || heard.is_over(),
        };
        // Of a task that never came to it, each life of the agent says so, until it is acknowledged.
        let again =
            |last: &TaskStatus| last.state == status.state && status.reason == Some(Reason::Reconciliation);
        let known = known || heard.statuses.last().is_some_and(again);
        let wrong = match heard.statuses.last() {
            Some(last) if !known && last.state.is_terminal() => Some("after its end"),
            Some(last) if !known && rank(status.state) <= rank(last.state) => Some("out of order"),
            _ => None,
        };
        if !known {
            heard.statuses.push(status.clone());
        }
        let sentence = wrong.map(|wrong| {
            let states = heard.states();
            format!("{} {wrong}: {states:?} {:?} {:?}", status.task_id, status.message, status.reason)
        });
        inner.wrong.extend(sentence);
        self.shared.1.notify_all();
    }

    fn framework_message(&mut self, _: &SchedulerDriver, _: &ExecutorId, _: &AgentId, _: Bytes) {
        self.shared.0.lock().unwrap().messages += 1;
    }

    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        self.shared.0.lock().unwrap().wrong.push(format!("the session is over: {message}"));
        self.shared.1.notify_all();
    }
}

/// In which order states come.
fn rank(state: TaskState) -> u8 {
    match state {
        TaskState::Staging => 0,
        TaskState::Starting => 1,
        TaskState::Running => 2,
        TaskState::Killing => 3,
        _ => 4,
    }
}
