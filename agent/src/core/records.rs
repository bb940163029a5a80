//! What the machine keeps of what it holds: see [`checkpoint`](super::checkpoint).
//!
//! All of a framework that checkpoints is kept, nothing of one that does not: its executors end with the agent.

use protocol::{ContainerId, FrameworkId, TaskId, TaskState, TaskStatus};

use super::checkpoint::{AgentRecord, DrainRecord, ExecutorRecord, Key, Record, TaskRecord, UpdateRecord};
use super::queue::Queued;
use super::state::Agent;
use super::stream::Stream;

impl Agent {
    /// Whether a framework is here and checkpoints.
    pub(super) fn keeps(&self, framework_id: &FrameworkId) -> bool {
        self.frameworks.get(framework_id).is_some_and(|framework| framework.info.checkpoint)
    }

    /// The agent itself: who it is, what it offers, since which start of the machine.
    pub(super) fn keep_agent(&mut self) {
        if let Some(id) = self.id.clone() {
            let info = protocol::AgentInfo { id: Some(id), ..self.config.info.clone() };
            self.gate.put(Record::Agent(AgentRecord { info, boot_id: self.config.boot_id.clone() }));
        }
    }

    pub(super) fn keep_drain(&mut self) {
        match self.drain {
            Some(max_grace_period) => self.gate.put(Record::Drain(DrainRecord { max_grace_period })),
            None => self.gate.remove(Key::Drain),
        }
    }

    pub(super) fn keep_framework(&mut self, framework_id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get(framework_id)
            && framework.info.checkpoint
        {
            self.gate.put(Record::Framework(framework.info.clone()));
        }
    }

    /// The run of a container that is there.
    pub(super) fn keep_executor(&mut self, container_id: &ContainerId) {
        let Some((framework_id, executor_id)) = self.containers.get(container_id) else { return };
        let framework = &self.frameworks[framework_id];
        if !framework.info.checkpoint {
            return;
        }
        let executor = &framework.executors[executor_id];
        self.gate.put(Record::Executor(ExecutorRecord {
            framework_id: framework_id.clone(),
            info: executor.info.clone(),
            command_executor: executor.command_executor,
            container_id: executor.container_id.clone(),
            sandbox: executor.sandbox.clone(),
            subscribed: executor.subscribed,
            relaunched: executor.relaunched,
        }));
    }

    /// Tasks that have come and may have to be handed over, also by a later life.
    pub(super) fn keep_work(&mut self, framework_id: &FrameworkId, work: &Queued) {
        if !self.keeps(framework_id) {
            return;
        }
        let group: Vec<TaskId> = match work {
            Queued::Task(_) => Vec::new(),
            Queued::Group(tasks) => tasks.iter().map(|task| task.task_id.clone()).collect(),
        };
        for info in work.tasks() {
            let task = self.frameworks[framework_id].tasks[&info.task_id].clone();
            let (group, order) = (group.clone(), self.arrivals);
            self.gate.put(Record::Task(TaskRecord { task, info: Some(info.clone()), group, order }));
        }
        self.arrivals += 1;
    }

    /// A task that nobody has to be told of any more.
    pub(super) fn keep_task(&mut self, framework_id: &FrameworkId, task_id: &TaskId) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        if let (true, Some(task)) = (framework.info.checkpoint, framework.tasks.get(task_id)) {
            let task = task.clone();
            self.gate.put(Record::Task(TaskRecord { task, info: None, group: Vec::new(), order: 0 }));
        }
    }

    /// The states of tasks whose updates are not kept any more.
    pub(super) fn keep_states(&mut self, framework_id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let spoken = framework.tasks.values().filter(|task| task.state != TaskState::Staging);
        for task_id in spoken.map(|task| task.task_id.clone()).collect::<Vec<_>>() {
            self.keep_task(framework_id, &task_id);
        }
    }

    pub(super) fn keep_update(&mut self, framework_id: &FrameworkId, number: u64, status: TaskStatus) {
        let framework_id = framework_id.clone();
        self.gate.put(Record::Update(UpdateRecord { framework_id, number, status, acknowledged: false }));
    }

    /// An update is acknowledged, and kept to be known again.
    pub(super) fn keep_acknowledged(&mut self, framework_id: &FrameworkId, number: u64, status: TaskStatus) {
        let framework_id = framework_id.clone();
        let status = TaskStatus { data: Default::default(), ..status };
        self.gate.put(Record::Update(UpdateRecord { framework_id, number, status, acknowledged: true }));
    }

    pub(super) fn drop_stream(&mut self, framework_id: &FrameworkId, task_id: &TaskId) {
        let stream = self.streams.remove(&(framework_id.clone(), task_id.clone()));
        for key in stream.iter().flat_map(|stream| stream_keys(framework_id, task_id, stream)) {
            self.gate.remove(key);
        }
    }

    /// Nothing is kept any more: the next life is that of a new agent.
    pub(super) fn forget_all(&mut self) {
        for key in self.kept() {
            self.gate.remove(key);
        }
    }

    /// The keys of all that is kept.
    pub(super) fn kept(&self) -> Vec<Key> {
        let mut kept: Vec<Key> = Vec::new();
        kept.extend(self.id.is_some().then_some(Key::Agent));
        kept.extend(self.drain.is_some().then_some(Key::Drain));
        for (framework_id, framework) in
            self.frameworks.iter().filter(|(_, framework)| framework.info.checkpoint)
        {
            let id = || framework_id.clone();
            kept.push(Key::Framework(id()));
            kept.extend(
                framework.executors.keys().map(|executor_id| Key::Executor(id(), executor_id.clone())),
            );
            kept.extend(framework.tasks.keys().map(|task_id| Key::Task(id(), task_id.clone())));
        }
        let streams = self.streams.iter();
        kept.extend(streams.flat_map(|((framework_id, task_id), stream)| {
            stream_keys(framework_id, task_id, stream).collect::<Vec<_>>()
        }));
        kept
    }
}

fn stream_keys<'a>(
    framework_id: &'a FrameworkId,
    task_id: &'a TaskId,
    stream: &'a Stream,
) -> impl Iterator<Item = Key> + 'a {
    let numbers = stream.kept.then(|| stream.numbers()).into_iter().flatten();
    numbers.map(|number| Key::Update(framework_id.clone(), task_id.clone(), number))
}
