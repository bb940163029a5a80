//! What a simulated framework asks for.

use libactor::Time;
use protocol::resources::Scalar;
use protocol::{
    AgentId, CommandInfo, ExecutorInfo, Offer, Operation, Resource, Resources, TaskId, TaskInfo, TaskState,
};

use super::framework::{FrameworkHost, Known};

impl FrameworkHost {
    /// A few tasks out of some offers of one agent; now and then one that must be refused.
    pub(super) fn make_tasks(&mut self, now: Time, offers: &[Offer]) -> Vec<TaskInfo> {
        let mut rest: Resources = offers.iter().map(|offer| &offer.resources).sum();
        let agent_id = &offers[0].agent_id;
        let mut tasks = Vec::new();
        for _ in 0..=self.random.below(3) {
            let mut wanted = Resources::from(scalar("cpus", 100 + 100 * self.random.below(15)));
            wanted += &Resources::from(scalar("mem", 1000 * (32 + self.random.below(500))));
            let greedy = self.random.chance(30);
            if greedy {
                wanted = rest.clone() + Resources::from(scalar("cpus", 1000));
            }
            let custom = self.random.chance(400);
            let overhead = if custom { executor_resources() } else { Resources::new() };
            let Some(take) =
                rest.find(&(wanted.clone() + overhead), &offers[0].role).or(greedy.then_some(wanted.clone()))
            else {
                break;
            };
            let task = self.make_task(now, agent_id, wanted, custom);
            if !greedy {
                rest -= &take;
            }
            tasks.push(task);
        }
        tasks
    }

    /// Tasks that start together, or are all refused.
    pub(super) fn make_group(&mut self, now: Time, offers: &[Offer]) -> Operation {
        let executor_id = format!("{}-g{}", self.setup.info.name, self.random.below(2));
        let mut executor = ExecutorInfo::new(executor_id, CommandInfo::shell("./executor"));
        executor.resources = executor_resources() + Resources::from(scalar("disk", 10_000));
        let cpus = if self.random.chance(100) { 9_000 } else { 100 * (1 + self.random.below(5)) };
        let wanted = Resources::from(scalar("cpus", cpus)) + Resources::from(scalar("mem", 32_000));
        let mut tasks = Vec::new();
        for _ in 0..=self.random.below(3) {
            let task = self.make_task(now, &offers[0].agent_id, wanted.clone(), false);
            tasks.push(TaskInfo { command: None, ..task });
        }
        Operation::LaunchGroup { executor, tasks }
    }

    fn make_task(&mut self, now: Time, agent_id: &AgentId, resources: Resources, custom: bool) -> TaskInfo {
        let mut memory = self.setup.memory.borrow_mut();
        let task_id = TaskId::from(format!("{}-{}", self.setup.info.name, memory.next_task));
        memory.next_task += 1;
        let framework_id = self.session.framework().id.clone().expect("offers come to the subscribed");
        memory.tasks.insert(
            task_id.clone(),
            Known {
                agent_id: agent_id.clone(),
                framework_id,
                state: TaskState::Staging,
                since: now,
                told: Default::default(),
            },
        );
        let agent_id = agent_id.clone();
        if custom {
            // Few ids, so that some tasks share an executor and some executors come back under their id.
            let executor_id = format!("{}-x{}", self.setup.info.name, self.random.below(3));
            let mut executor = ExecutorInfo::new(executor_id, CommandInfo::shell("./executor"));
            executor.resources = executor_resources();
            TaskInfo::with_executor(task_id, agent_id, resources, executor)
        } else {
            TaskInfo::command(task_id, agent_id, resources, CommandInfo::shell("true"))
        }
    }
}

fn scalar(name: &str, millis: u64) -> Resource {
    Resource::scalar(name, Scalar::from_millis(millis))
}

fn executor_resources() -> Resources {
    Resources::from(scalar("cpus", 100)) + Resources::from(scalar("mem", 32_000))
}
