//! What is left to do of a job, as plain data.

use std::collections::BTreeMap;

use protocol::{CommandInfo, KillPolicy, Offer, Reason, Resources, TaskId, TaskInfo, TaskState, TaskStatus};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The task's id; with several instances, what their ids begin with.
    pub name: String,
    /// What.
    pub command: CommandInfo,
    /// What each uses.
    pub resources: Resources,
    /// How many.
    pub instances: u64,
    /// How each is killed.
    pub kill_policy: KillPolicy,
}

/// A job on its way.
#[derive(Debug)]
pub struct Job {
    spec: JobSpec,
    /// Not launched yet.
    pending: Vec<TaskId>,
    /// Launched, and how they are; terminal ones stay.
    launched: BTreeMap<TaskId, TaskState>,
    /// The status of the first task that did not end well.
    failure: Option<i32>,
    cancelled: bool,
    /// The offer with the most CPUs, then memory, that was too small.
    biggest: Option<Resources>,
}

impl Job {
    /// Nothing of it launched.
    pub fn new(spec: JobSpec) -> Self {
        let mut pending: Vec<TaskId> = match spec.instances {
            1 => vec![TaskId::from(spec.name.as_str())],
            many => (0..many).map(|index| TaskId::from(format!("{}-{index}", spec.name))).collect(),
        };
        pending.reverse();
        Self { spec, pending, launched: BTreeMap::new(), failure: None, cancelled: false, biggest: None }
    }

    /// Whether something waits for an offer.
    pub fn wants_offers(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes as many tasks as an offer holds.
    pub fn launch(&mut self, offer: &Offer) -> Vec<TaskInfo> {
        let mut left = offer.resources.clone();
        let mut tasks = Vec::new();
        while !self.pending.is_empty() {
            let Some(resources) = left.find(&self.spec.resources, &offer.role) else { break };
            left -= &resources;
            let Some(task_id) = self.pending.pop() else { break };
            self.launched.insert(task_id.clone(), TaskState::Staging);
            let mut task =
                TaskInfo::command(task_id, offer.agent_id.clone(), resources, self.spec.command.clone());
            task.name = self.spec.name.clone();
            task.kill_policy = Some(self.spec.kill_policy);
            tasks.push(task);
        }
        let size = |resources: &Resources| (resources.cpus(), resources.mem());
        if tasks.is_empty()
            && self.biggest.as_ref().is_none_or(|biggest| size(biggest) < size(&offer.resources))
        {
            self.biggest = Some(offer.resources.clone());
        }
        tasks
    }

    /// Why nothing has been launched yet, for people; `None`: something has, or nothing is to be.
    pub fn stuck(&self) -> Option<String> {
        if !self.launched.is_empty() || self.pending.is_empty() {
            return None;
        }
        let wanted = &self.spec.resources;
        let offered = match &self.biggest {
            Some(biggest) => format!("the biggest offer so far is {biggest}"),
            None => "nothing has been offered so far".to_owned(),
        };
        Some(format!("no task is launched yet: each needs {wanted}; {offered}; waiting for more"))
    }

    /// Takes a status; says whether it was news. A task that never started because its offer was gone waits again.
    pub fn update(&mut self, status: &TaskStatus) -> bool {
        let Some(state) = self.launched.get_mut(&status.task_id) else { return false };
        if state.is_terminal() || *state == status.state {
            return false;
        }
        let offer_was_gone = matches!(status.state, TaskState::Dropped | TaskState::Lost)
            && matches!(status.reason, Some(Reason::InvalidOffers | Reason::MasterDisconnected));
        if offer_was_gone && !self.cancelled {
            self.launched.remove(&status.task_id);
            self.pending.push(status.task_id.clone());
            return false;
        }
        *state = status.state;
        if status.state.is_terminal() && status.state != TaskState::Finished && self.failure.is_none() {
            self.failure = Some(status.exit_status.filter(|code| *code != 0).unwrap_or(1));
        }
        true
    }

    /// Forgets what was not launched; says what is to be killed.
    pub fn cancel(&mut self) -> Vec<TaskId> {
        self.cancelled = true;
        if !self.pending.is_empty() {
            self.pending.clear();
            self.failure.get_or_insert(1);
        }
        let alive = self.launched.iter().filter(|(_, state)| !state.is_terminal());
        alive.map(|(task_id, _)| task_id.clone()).collect()
    }

    /// The exit status of the whole, once all of it has ended.
    pub fn outcome(&self) -> Option<i32> {
        let ended = self.pending.is_empty() && self.launched.values().all(|state| state.is_terminal());
        ended.then(|| self.failure.unwrap_or(0))
    }

    /// The tasks that have not ended, for reconciliation.
    pub fn alive(&self) -> impl Iterator<Item = &TaskId> {
        self.launched.iter().filter(|(_, state)| !state.is_terminal()).map(|(task_id, _)| task_id)
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Role, Source};

    use super::*;

    fn job(instances: u64) -> Job {
        Job::new(JobSpec {
            name: "job".into(),
            command: CommandInfo::shell("true"),
            resources: "cpus:1;mem:10".parse().unwrap(),
            instances,
            kill_policy: KillPolicy::default(),
        })
    }

    fn offer(resources: &str) -> Offer {
        Offer {
            id: "o".into(),
            framework_id: "f".into(),
            agent_id: "a".into(),
            hostname: "h".into(),
            address: "127.0.0.1:1".into(),
            role: Role::default(),
            resources: resources.parse().unwrap(),
            attributes: Default::default(),
            executor_ids: Vec::new(),
        }
    }

    fn status(task_id: &str, state: TaskState) -> TaskStatus {
        TaskStatus::new(task_id.into(), state, Source::Executor)
    }

    #[test]
    fn an_offer_takes_as_many_tasks_as_it_holds() {
        let mut job = job(5);
        assert_eq!(job.launch(&offer("cpus:2.5;mem:1000")).len(), 2);
        assert_eq!(job.launch(&offer("cpus:9;mem:9")).len(), 0);
        let rest = job.launch(&offer("cpus:9;mem:900"));
        assert_eq!(
            rest.iter().map(|task| task.task_id.as_str()).collect::<Vec<_>>(),
            ["job-2", "job-3", "job-4"]
        );
        assert!(!job.wants_offers() && job.outcome().is_none());
    }

    #[test]
    fn what_fits_no_offer_is_told_with_the_biggest() {
        let mut job = job(1);
        assert!(job.stuck().unwrap().contains("nothing has been offered"));
        for small in ["cpus:0.5;mem:500", "cpus:0.75;mem:5", "cpus:0.25;mem:999"] {
            assert!(job.launch(&offer(small)).is_empty());
        }
        let why = job.stuck().unwrap();
        assert!(why.contains("each needs cpus:1;mem:10;") && why.contains("cpus:0.75;mem:5"), "{why}");
        job.launch(&offer("cpus:9;mem:900"));
        assert_eq!(job.stuck(), None);
    }

    #[test]
    fn the_outcome_is_that_of_the_first_task_that_failed() {
        let mut job = job(3);
        job.launch(&offer("cpus:9;mem:900"));
        assert!(job.update(&status("job-0", TaskState::Finished)));
        assert!(!job.update(&status("job-0", TaskState::Finished)), "a duplicate is no news");
        let mut failed = status("job-1", TaskState::Failed);
        failed.exit_status = Some(42);
        job.update(&failed);
        job.update(&status("job-2", TaskState::Killed));
        assert_eq!(job.outcome(), Some(42));
    }

    #[test]
    fn a_task_whose_offer_was_gone_waits_for_another() {
        let mut job = job(1);
        job.launch(&offer("cpus:9;mem:900"));
        let lost = status("job", TaskState::Dropped).because(Reason::InvalidOffers, "gone");
        assert!(!job.update(&lost) && job.wants_offers());
        assert_eq!(job.launch(&offer("cpus:9;mem:900")).len(), 1);
        assert_eq!(job.cancel(), [TaskId::from("job")]);
        job.update(&lost);
        assert_eq!(job.outcome(), Some(1), "after cancelling nothing is tried again");
    }
}
