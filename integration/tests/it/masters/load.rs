//! A framework that always has work: a few tasks that run on for ever, and short ones all the time. It writes down what it is
//! told, and what must not have been told.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use libactor::{Clock, Time};
use protocol::messages::{MasterInfo, ReconcileTask};
use scheduler_driver::protocol::{
    Capability, CommandInfo, Filters, FrameworkId, FrameworkInfo, Offer, Operation, TaskId, TaskInfo,
    TaskState, TaskStatus,
};
use scheduler_driver::{Scheduler, SchedulerDriver};

use crate::http::PATIENCE;

/// Tasks that run on for ever.
const LONG: usize = 3;
/// Short tasks that are under way at a time, at most.
const SHORT: usize = 4;

/// What is known of one task.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) launched: Time,
    pub(crate) states: Vec<TaskState>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) framework_id: Option<FrameworkId>,
    pub(crate) subscribed: usize,
    pub(crate) tasks: BTreeMap<TaskId, Known>,
    pub(crate) wrong: Vec<String>,
    next: usize,
}

/// The framework, from outside.
pub(crate) struct Load {
    clock: Clock,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    driver: SchedulerDriver,
}

impl Load {
    /// Starts it on the network of the calling thread.
    pub(crate) fn start(masters: &str) -> Self {
        let clock = Clock::real();
        let seen: Arc<(Mutex<Seen>, Condvar)> = Arc::default();
        let framework = FrameworkInfo {
            failover_timeout: Duration::from_secs(3600),
            checkpoint: true,
            capabilities: [Capability::PartitionAware].into(),
            ..FrameworkInfo::new("load")
        };
        let driver =
            SchedulerDriver::new(Worker { clock: clock.clone(), seen: seen.clone() }, framework, masters)
                .unwrap();
        driver.start();
        Self { clock, seen, driver }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().unwrap()
    }

    /// Waits until something holds of what was seen; meanwhile asks about tasks of which nothing was heard.
    pub(crate) fn wait_for(&self, what: &str, holds: impl Fn(&Seen) -> bool) -> Duration {
        let begin = self.clock.now();
        let mut seen = self.seen();
        while !holds(&seen) {
            assert!(self.clock.now().since(begin) < PATIENCE, "{what} does not come; seen: {seen:#?}");
            let silent = seen.silent(self.clock.now());
            if !silent.is_empty() {
                self.driver.reconcile_tasks(silent);
            }
            seen = self.seen.1.wait_timeout(seen, Duration::from_millis(500)).unwrap().0;
        }
        self.clock.now().since(begin)
    }

    /// Waits until all long tasks run.
    pub(crate) fn settle(&self) {
        self.wait_for("a running task", |seen| {
            let running = seen.long().filter(|known| known.states.contains(&TaskState::Running));
            running.count() == LONG
        });
    }

    /// Waits until a task runs that was launched from now on.
    pub(crate) fn runs_something_new(&self) -> Duration {
        let begin = self.clock.now();
        self.wait_for("a new task", |seen| {
            let new = |known: &Known| known.launched >= begin && known.states.contains(&TaskState::Running);
            seen.tasks.values().any(new)
        })
    }

    pub(crate) fn stop(&self) {
        self.driver.stop(false);
        self.driver.join();
    }
}

impl Seen {
    fn long(&self) -> impl Iterator<Item = &Known> {
        self.tasks.iter().filter(|(id, _)| id.as_str().starts_with("long")).map(|(_, known)| known)
    }

    /// Tasks that were launched a while ago and of which nothing is known: the call may have been lost with its master.
    fn silent(&self, now: Time) -> Vec<ReconcileTask> {
        let late =
            |known: &Known| known.states.is_empty() && now.since(known.launched) > Duration::from_secs(2);
        let silent = self.tasks.iter().filter(|(_, known)| late(known));
        silent.map(|(task_id, _)| ReconcileTask { task_id: task_id.clone(), agent_id: None }).collect()
    }

    fn told(&mut self, status: &TaskStatus) {
        let Some(known) = self.tasks.get_mut(&status.task_id) else {
            return self.wrong.push(format!("nobody launched {}", status.task_id));
        };
        let (long, ran) =
            (status.task_id.as_str().starts_with("long"), known.states.contains(&TaskState::Running));
        let over = known.states.last().is_some_and(|state| state.is_terminal());
        let again = known.states.last() == Some(&status.state);
        let wrong = match status.state {
            TaskState::Staging | TaskState::Starting | TaskState::Running => over,
            TaskState::Finished => long,
            // What never ran may have been lost on its way.
            _ => ran || (over && !again),
        };
        known.states.push(status.state);
        if wrong {
            let states = known.states.clone();
            self.wrong.push(format!("{} went through {states:?}: {:?}", status.task_id, status.message));
        }
    }
}

struct Worker {
    clock: Clock,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Worker {
    fn tasks_for(&self, offer: &Offer) -> Vec<TaskInfo> {
        let mut seen = self.seen.0.lock().unwrap();
        let alive = |known: &&Known| known.states.last().is_none_or(|state| !state.is_terminal());
        let long = seen.long().filter(alive).count();
        let all = seen.tasks.values().filter(alive).count();
        let (name, script) = if long < LONG {
            ("long", "exec sleep 100000")
        } else if all < LONG + SHORT {
            ("short", "exec sleep 0.1")
        } else {
            return Vec::new();
        };
        seen.next += 1;
        let now = self.clock.now();
        let id = format!("{name}-{}", seen.next);
        seen.tasks.insert(id.as_str().into(), Known { launched: now, states: Vec::new() });
        let resources = "cpus:0.1;mem:32".parse().expect("resources");
        vec![TaskInfo::command(id, offer.agent_id.clone(), resources, CommandInfo::shell(script))]
    }
}

impl Scheduler for Worker {
    fn registered(&mut self, _: &SchedulerDriver, framework_id: &FrameworkId, _: &MasterInfo) {
        let mut seen = self.seen.0.lock().unwrap();
        seen.framework_id = Some(framework_id.clone());
        seen.subscribed += 1;
        self.seen.1.notify_all();
    }

    fn reregistered(&mut self, driver: &SchedulerDriver, _: &MasterInfo) {
        self.seen.0.lock().unwrap().subscribed += 1;
        driver.reconcile_tasks(Vec::new());
        self.seen.1.notify_all();
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            let operations = vec![Operation::Launch { tasks: self.tasks_for(&offer) }];
            driver.accept_offers([offer.id], operations, Filters { refuse: Duration::from_millis(100) });
        }
    }

    fn status_update(&mut self, _: &SchedulerDriver, status: &TaskStatus) {
        self.seen.0.lock().unwrap().told(status);
        self.seen.1.notify_all();
    }

    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        self.seen.0.lock().unwrap().wrong.push(format!("the session is over: {message}"));
        self.seen.1.notify_all();
    }
}
