//! What the tests of checkpoints share.

mod crash;
mod damage;
mod model;
mod plain;
mod recorded;
#[path = "../../../../libactor/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use protocol::{
    AgentInfo, Carried, CommandInfo, ExecutorInfo, FrameworkInfo, KillPolicy, Label, Reason, Source, Task,
    TaskInfo, TaskState, TaskStatus, UnixTime, Uuid,
};

use super::*;
use crate::core::checkpoint::{
    AgentRecord, Change, DrainRecord, ExecutorRecord, Key, Record, TaskRecord, UpdateRecord,
};

fn label() -> Vec<Label> {
    vec![Label { key: "k".into(), value: Some("v".into()) }, Label { key: "alone".into(), value: None }]
}

fn agent() -> Record {
    let info = AgentInfo {
        hostname: "h1".into(),
        port: 5051,
        resources: "cpus:4.125;mem:2048;cpus(prod):1;ports:[31000-31009,31020-31029];zones:{a,b}"
            .parse()
            .unwrap(),
        attributes: "rack:r1;level:10;ports:[1-3]".parse().unwrap(),
        id: Some("S1".into()),
    };
    Record::Agent(AgentRecord { info, boot_id: "b1".into() })
}

fn framework() -> Record {
    let info = FrameworkInfo { id: Some("F1".into()), checkpoint: true, ..FrameworkInfo::new("f") };
    Record::Framework(FrameworkInfo { labels: label(), failover_timeout: Duration::new(9, 7), ..info })
}

fn executor(id: &str) -> Record {
    let mut info = ExecutorInfo::new(id, CommandInfo::shell("exec me"));
    info.resources = "cpus:0.1".parse().unwrap();
    info.data = Bytes::from_static(&[0, 1, 255]);
    info.shutdown_grace_period = Some(Duration::from_millis(1_500));
    Record::Executor(ExecutorRecord {
        framework_id: "F1".into(),
        info,
        command_executor: true,
        container_id: "c1".into(),
        sandbox: "slaves/S1/frameworks/F1".into(),
        subscribed: true,
        relaunched: true,
    })
}

fn task(id: &str, bytes: usize) -> Record {
    let mut info =
        TaskInfo::command(id, "S1".into(), "cpus:1;ports:[1-2]".parse().unwrap(), CommandInfo::shell("x"));
    info.data = Bytes::from(vec![7; bytes]);
    info.kill_policy = Some(KillPolicy { grace_period: Some(Duration::from_secs(3)) });
    info.labels = label();
    let mut task = Task::new("F1".into(), &info, TaskState::Running);
    task.statuses.push(status(id, 1));
    task.unread = Carried::new(&protocol::wire::v1::Task { name: "n".into(), ..Default::default() });
    Record::Task(TaskRecord { task, info: Some(info), group: vec![id.into(), "other".into()], order: 9 })
}

fn status(task: &str, number: u64) -> TaskStatus {
    TaskStatus {
        message: Some("so".into()),
        reason: Some(Reason::ContainerLimitationMemory),
        data: Bytes::from_static(b"\0data"),
        agent_id: Some("S1".into()),
        executor_id: Some("E1".into()),
        timestamp: Some(UnixTime(1_795_000_000_000_000_000)),
        uuid: Some(Uuid([u8::try_from(number % 256).unwrap(); 16])),
        healthy: Some(false),
        labels: label(),
        exit_status: Some(-3),
        ..TaskStatus::new(task.into(), TaskState::Failed, Source::Executor)
    }
}

fn update(task: &str, number: u64, acknowledged: bool) -> Record {
    Record::Update(UpdateRecord {
        framework_id: "F1".into(),
        number,
        status: status(task, number),
        acknowledged,
    })
}

fn drain() -> Record {
    Record::Drain(DrainRecord { max_grace_period: Some(Duration::from_secs(60)) })
}

/// One of each.
fn all_kinds() -> Vec<Record> {
    vec![agent(), drain(), framework(), executor("E1"), task("t1", 10), update("t1", 3, true)]
}

fn put(record: Record) -> Change {
    Change::Put(Box::new(record))
}

/// A store and the numbers of its batches.
struct Open {
    keeping: Keeping,
    number: u64,
}

fn open(directory: &Path) -> Result<Open, CheckpointError> {
    open_as(directory, true)
}

fn open_as(directory: &Path, strict: bool) -> Result<Open, CheckpointError> {
    Ok(Open { keeping: Disk::open(directory, strict)?, number: 0 })
}

impl Open {
    fn records(&self) -> &Records {
        &self.keeping.records
    }

    /// Writes, and does not wait.
    fn begin(&mut self, changes: Vec<Change>) -> u64 {
        self.number += 1;
        self.keeping.store.write(Batch { number: self.number, changes });
        self.number
    }

    /// Waits until a batch is durable, or nothing will be any more.
    fn wait(&mut self, number: u64) -> Durable {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let durable = self.keeping.durable.wait_for(|told| told.number >= number || told.failure.is_some());
        let told = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), durable).await });
        told.expect("a store reports within a minute").expect("the store is there").clone()
    }

    /// Writes, and waits until it is durable.
    fn write(&mut self, changes: Vec<Change>) {
        let number = self.begin(changes);
        assert_eq!(self.wait(number), Durable { number, failure: None });
    }
}
