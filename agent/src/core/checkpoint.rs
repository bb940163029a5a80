//! What the agent must not forget: records by key, and changes of them.
//!
//! The machine says what is to be kept ([`Output::Checkpoint`](super::Output::Checkpoint)) and holds back all that it says
//! after that until it is durable. A record stands for itself: the newest one of a key counts. What an older program has
//! written is read by a newer one: fields may be added to what is kept, with a default; none changes its meaning.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{
    AgentInfo, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Task, TaskId, TaskInfo,
    TaskStatus,
};
use serde::{Deserialize, Serialize};

/// Changes that become durable together, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// One more than that of the batch before; the first of a life is 1.
    pub number: u64,
    /// In the order in which they count.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Takes the place of the record of the same key, if there is one.
    Put(Box<Record>),
    /// There is no such record any more.
    Remove(Key),
}

/// Names a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    /// The agent itself.
    Agent,
    /// The operator wants the agent drained.
    Drain,
    /// A framework with something on the agent.
    Framework(FrameworkId),
    /// A run of an executor whose container is not gone.
    Executor(FrameworkId, ExecutorId),
    /// A task that is not terminal, or whose terminal update is not acknowledged.
    Task(FrameworkId, TaskId),
    /// A status update, by its number within its task's stream.
    Update(FrameworkId, TaskId, u64),
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// See [`Key::Agent`].
    Agent(AgentRecord),
    /// See [`Key::Drain`].
    Drain(DrainRecord),
    /// See [`Key::Framework`]; `id` is set.
    Framework(FrameworkInfo),
    /// See [`Key::Executor`].
    Executor(ExecutorRecord),
    /// See [`Key::Task`].
    Task(TaskRecord),
    /// See [`Key::Update`].
    Update(UpdateRecord),
}

/// The agent, as a master has admitted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// `id` is set.
    pub info: AgentInfo,
    /// `/proc/sys/kernel/random/boot_id` of the machine when this was written.
    pub boot_id: String,
}

/// The operator wants the agent drained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRecord {
    /// As in [`AgentEvent::Drain`](protocol::messages::AgentEvent::Drain).
    pub max_grace_period: Option<Duration>,
}

/// A run of an executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorRecord {
    /// Whose.
    pub framework_id: FrameworkId,
    /// As its framework asked for it, or as the agent made it for a command task.
    pub info: ExecutorInfo,
    /// Whether the agent made it for one command task.
    pub command_executor: bool,
    /// This run.
    pub container_id: ContainerId,
    /// Relative to the work directory.
    pub sandbox: PathBuf,
    /// Whether it has ever subscribed. Before that no task was handed over to it.
    #[serde(default)]
    pub subscribed: bool,
    /// Whether it takes the place of a run that was asked for by an earlier life of the agent and never subscribed.
    #[serde(default)]
    pub relaunched: bool,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// As it is shown and told to the master.
    pub task: Task,
    /// As the framework asked for it, as long as its executor may have to be told of it.
    pub info: Option<TaskInfo>,
    /// The tasks that it was launched with, itself included; empty: it came alone.
    #[serde(default)]
    pub group: Vec<TaskId>,
    /// Executors are handed their tasks in this order.
    #[serde(default)]
    pub order: u64,
}

/// A status update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateRecord {
    /// Whose.
    pub framework_id: FrameworkId,
    /// Its number within its task's stream: they go out in this order.
    pub number: u64,
    /// The update. Of one that is acknowledged, all but its data.
    pub status: TaskStatus,
    /// Whether the framework has acknowledged it, or a newer one has taken its place. It is kept to be known when its
    /// executor says it again, and shown.
    pub acknowledged: bool,
}

impl Record {
    /// What names it.
    pub fn key(&self) -> Key {
        match self {
            Record::Agent(_) => Key::Agent,
            Record::Drain(_) => Key::Drain,
            Record::Framework(info) => Key::Framework(info.id.clone().unwrap_or_else(|| "".into())),
            Record::Executor(record) => {
                Key::Executor(record.framework_id.clone(), record.info.executor_id.clone())
            }
            Record::Task(record) => Key::Task(record.task.framework_id.clone(), record.task.task_id.clone()),
            Record::Update(record) => {
                Key::Update(record.framework_id.clone(), record.status.task_id.clone(), record.number)
            }
        }
    }
}

/// All that an earlier life has kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(pub BTreeMap<Key, Record>);

impl Records {
    /// Makes a change.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Put(record) => drop(self.0.insert(record.key(), *record)),
            Change::Remove(key) => drop(self.0.remove(&key)),
        }
    }
}
