//! What always holds.

use protocol::{TaskId, TaskState};

use super::queue::Queued;
use super::registration::Phase;
use super::state::{Agent, ExecutorState, Timer};

impl Agent {
    pub(super) fn check_invariants(&self) {
        self.gate.check();
        if self.over {
            return;
        }
        self.check_executors();
        self.check_tasks();
        self.check_streams();
        self.check_history();
        self.check_recovery();
        let registration = &self.registration;
        assert_eq!(registration.phase == Phase::Recovering, self.recovery.is_some());
        assert!(registration.phase != Phase::Disconnected || registration.master.is_none());
        assert!(registration.master.is_some() || registration.phase <= Phase::Disconnected);
        assert_eq!(registration.phase == Phase::Registering, self.timers.is_set(&Timer::Register));
        assert_eq!(registration.phase == Phase::Running, self.timers.is_set(&Timer::Ping));
        assert!(registration.phase != Phase::Running || self.id.is_some(), "a registered agent has an id");
    }

    fn check_executors(&self) {
        let executors: usize = self.frameworks.values().map(|framework| framework.executors.len()).sum();
        assert_eq!(executors, self.containers.len(), "each container has one executor");
        for (container_id, (framework_id, executor_id)) in &self.containers {
            let executor = &self.frameworks[framework_id].executors[executor_id];
            assert_eq!(executor.container_id, *container_id);
            let found = self.recovery.is_none();
            let registering = executor.state == ExecutorState::Registering && found;
            let timer = Timer::ExecutorRegistration(container_id.clone());
            assert_eq!(registering, self.timers.is_set(&timer), "who has not subscribed is waited for");
            assert!(!registering || !executor.queued.is_empty(), "an executor is launched for a task");
            let away = executor.state == ExecutorState::Away && found;
            let timer = Timer::ExecutorReturn(container_id.clone());
            assert_eq!(away, self.timers.is_set(&timer), "who is away is waited for");
            let stream = executor.state.pid().is_some_and(|pid| pid.stream_id().is_some());
            let timer = Timer::Heartbeat(container_id.clone());
            assert_eq!(stream, self.timers.is_set(&timer), "a stream is kept open");
            let running = matches!(executor.state, ExecutorState::Running(_));
            assert!(!running || executor.queued.is_empty(), "a running executor has its tasks");
            assert!(executor.subscribed || executor.handed.is_empty(), "nobody else can be handed a task");
            assert!(!executor.command_executor || executor.kills.len() <= 1);
            if let Some(pid) = executor.state.pid() {
                assert_eq!(self.subscribed.get(pid), Some(container_id), "a subscribed executor is linked");
            }
        }
        for (pid, container_id) in &self.subscribed {
            let (framework_id, executor_id) = &self.containers[container_id];
            let executor = &self.frameworks[framework_id].executors[executor_id];
            assert_eq!(executor.state.pid(), Some(pid));
        }
    }

    fn check_tasks(&self) {
        for (framework_id, framework) in &self.frameworks {
            assert_eq!(framework.info.id.as_ref(), Some(framework_id));
            assert!(
                !framework.executors.is_empty() || !framework.tasks.is_empty(),
                "an idle framework is forgotten"
            );
            for (task_id, task) in &framework.tasks {
                let key = (framework_id.clone(), task_id.clone());
                if task.state.is_terminal() {
                    assert!(
                        self.streams.contains_key(&key),
                        "a task that has ended is kept for its last update"
                    );
                } else {
                    assert!(
                        framework.executors.contains_key(&task.executor_id),
                        "a live task has an executor"
                    );
                }
            }
            for (executor_id, executor) in &framework.executors {
                let live = framework.live_of(executor_id);
                assert_eq!(*executor.live.sum(), live, "what {executor_id}'s tasks use is their sum");
                for queued in executor.queued.iter().chain(&executor.handed).flat_map(Queued::tasks) {
                    let task = framework.tasks.get(&queued.task_id);
                    assert!(
                        task.is_some_and(|task| task.state == TaskState::Staging),
                        "a queued task is known, and nobody has spoken of it"
                    );
                }
                let waits =
                    |id: &TaskId| executor.has_queued(id) || executor.handed.iter().any(|one| one.holds(id));
                let own =
                    framework.tasks.values().filter(|task| task.executor_id == executor.info.executor_id);
                let staging = own.filter(|task| task.state == TaskState::Staging);
                for task in staging {
                    assert!(waits(&task.task_id), "{} can be told again", task.task_id);
                }
                assert!(executor.queued.iter().all(|queued| !queued.tasks().is_empty()), "a group has tasks");
            }
        }
    }

    fn check_streams(&self) {
        for ((framework_id, task_id), stream) in &self.streams {
            stream.check_order();
            let framework = self.frameworks.get(framework_id);
            assert!(framework.is_none_or(|framework| !framework.removed), "nobody would acknowledge");
            let task = framework.and_then(|framework| framework.tasks.get(task_id));
            if stream.is_empty() {
                assert!(
                    task.is_some_and(|task| !task.state.is_terminal()),
                    "a stream that is done is forgotten"
                );
            }
            let timer = Timer::Retry(framework_id.clone(), task_id.clone());
            let waits = self.registration.phase == Phase::Running && !stream.is_empty();
            assert_eq!(waits, self.timers.is_set(&timer), "what is outstanding is sent again");
        }
    }
}
