//! What travels between components. A `…Call` goes up, an `…Event` comes down; one type a direction.
//!
//! | from | to | type |
//! |---|---|---|
//! | scheduler | master | [`SchedulerCall`] |
//! | master | scheduler | [`Event`] |
//! | agent | master | [`AgentCall`] |
//! | master | agent | [`AgentEvent`] |
//! | executor | agent | [`ExecutorCall`] |
//! | agent | executor | [`ExecutorEvent`] |

mod agent;
mod executor;
mod scheduler;

pub use agent::{AgentCall, AgentEvent};
pub use executor::{ExecutorCall, ExecutorCallKind, ExecutorEvent};
pub use scheduler::{Call, Event, MasterInfo, ReconcileTask, Request, SchedulerCall};

/// The name of the actors that know which master leads: one beside each master.
pub const MASTERS: &str = "masters";

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::*;

    fn goes_both_ways<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(message: T) {
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(&message, config).unwrap();
        let (back, length): (T, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
        assert_eq!((back, length), (message, bytes.len()));
    }

    /// bincode does not know the names of fields: a message that leaves one out can't be read.
    #[test]
    fn messages_survive_bincode() {
        let resources: Resources = "cpus:0.1;cpus(prod):1;ports:[1-3,5-5];zones:{a,b}".parse().unwrap();
        let command = CommandInfo::argv("ls", ["ls", "-l"]).env("A", "1");
        let task = TaskInfo::command("t1", "S0".into(), resources.clone(), command.clone());
        let executor = ExecutorInfo::new("e1", command);
        let custom = TaskInfo::with_executor("t2", "S0".into(), resources.clone(), executor.clone());
        let mut status = TaskStatus::new("t1".into(), TaskState::Failed, Source::Executor)
            .because(Reason::ContainerLimitationMemory, "too much");
        status.uuid = Some(Uuid::from_random(7));
        let framework = FrameworkInfo::new("f");
        goes_both_ways(SchedulerCall {
            framework_id: None,
            call: Call::Subscribe { framework: framework.clone(), suppressed_roles: framework.roles.clone() },
        });
        goes_both_ways(SchedulerCall {
            framework_id: Some("f1".into()),
            call: Call::Accept {
                offer_ids: vec!["o1".into()],
                operations: vec![Operation::Launch { tasks: vec![task.clone(), custom] }],
                filters: Filters::default(),
            },
        });
        goes_both_ways(Event::Update(status.clone()));
        goes_both_ways(Event::Offers(vec![Offer {
            id: "o1".into(),
            framework_id: "f1".into(),
            agent_id: "S0".into(),
            hostname: "host".into(),
            address: "127.0.0.1:5051".into(),
            role: Role::default(),
            resources: resources.clone(),
            attributes: "rack:r1;level:10;ports:[1-3]".parse().unwrap(),
            executor_ids: vec!["e1".into()],
        }]));
        let agent = AgentInfo {
            hostname: "host".into(),
            port: 5051,
            resources,
            attributes: Attributes::default(),
            id: Some("S0".into()),
        };
        goes_both_ways(AgentCall::Reregister {
            agent,
            version: "1".into(),
            executors: vec![("f1".into(), executor)],
            tasks: vec![Task::new("f1".into(), &task, TaskState::Running)],
            frameworks: vec![framework],
        });
        let update = StatusUpdate { framework_id: "f1".into(), status, latest_state: TaskState::Failed };
        goes_both_ways(AgentCall::Update(update));
    }
}
