//! What the live tasks of an executor use together: kept as they come and go, so that a change costs what it changes.

use std::collections::BTreeMap;

use protocol::{ExecutorId, Resources, Task, TaskId, TaskState};

use super::state::Framework;

/// A sum of which parts can be taken away again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    sum: Resources,
    /// Whether two parts may hold the same port or item, which stays when one of the two goes.
    entangled: bool,
}

impl Tally {
    /// The sum.
    pub fn sum(&self) -> &Resources {
        &self.sum
    }

    pub(super) fn add(&mut self, part: &Resources) {
        if self.entangled {
            self.sum += part;
            return;
        }
        let before = self.sum.clone();
        self.sum += part;
        self.entangled = self.sum.clone() - part.clone() != before;
    }

    /// Takes a part away; `rest` are those that stay, for a sum that must be made anew.
    pub(super) fn subtract<'a>(&mut self, part: &Resources, rest: impl Iterator<Item = &'a Resources>) {
        if self.entangled {
            *self = rest.collect();
        } else {
            self.sum -= part;
        }
    }
}

impl<'a> FromIterator<&'a Resources> for Tally {
    fn from_iter<I: IntoIterator<Item = &'a Resources>>(parts: I) -> Self {
        let mut tally = Self::default();
        parts.into_iter().for_each(|part| tally.add(part));
        tally
    }
}

impl Framework {
    /// A task is here from now on, in the place of one with its id.
    pub(super) fn enter(&mut self, task: Task) {
        // That one counts no more.
        self.reach(&task.task_id, TaskState::Lost);
        let executor = self.executors.get_mut(&task.executor_id).filter(|_| !task.state.is_terminal());
        if let Some(executor) = executor {
            executor.live.add(&task.resources);
        }
        self.tasks.insert(task.task_id.clone(), task);
    }

    /// A task has come to another state, from which one that is terminal does not lead back.
    pub(super) fn reach(&mut self, task_id: &TaskId, state: TaskState) -> Option<&mut Task> {
        let task = self.tasks.get_mut(task_id)?;
        let ends = !task.state.is_terminal() && state.is_terminal();
        task.state = state;
        if ends && let Some(executor) = self.executors.get_mut(&self.tasks[task_id].executor_id) {
            let rest = live(&self.tasks, &executor.info.executor_id);
            executor.live.subtract(&self.tasks[task_id].resources, rest);
        }
        self.tasks.get_mut(task_id)
    }

    /// What the live tasks of an executor use, each looked at.
    pub(super) fn live_of(&self, executor_id: &ExecutorId) -> Resources {
        live(&self.tasks, executor_id).sum()
    }
}

fn live<'a>(
    tasks: &'a BTreeMap<TaskId, Task>,
    executor_id: &'a ExecutorId,
) -> impl Iterator<Item = &'a Resources> {
    let own =
        tasks.values().filter(move |task| task.executor_id == *executor_id && !task.state.is_terminal());
    own.map(|task| &task.resources)
}

#[cfg(test)]
mod tests {
    use libactor::Machine as _;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use protocol::messages::{AgentEvent, ExecutorCallKind};
    use protocol::{
        CommandInfo, ContainerId, ExecutorInfo, FrameworkInfo, Source, TaskInfo, TaskStatus, Uuid,
    };

    use super::super::history::tests::World;
    use super::super::{Ask, Input};
    use super::*;

    /// Amounts, ports and items of which some are the same as others.
    fn resources() -> impl Strategy<Value = Resources> {
        let one = (0..4000_u64, 0..40_u64, 0..3_u64, 0..6_u8, prop::bool::ANY);
        one.prop_map(|(cpus, port, more, item, ports)| {
            use protocol::Resource;
            use protocol::resources::{Ranges, Scalar, Value};
            let mut all = vec![Resource::scalar("cpus", Scalar::from_millis(cpus))];
            if ports {
                let ranges: Ranges = [(port, port + more)].into_iter().collect();
                all.push(Resource::new("ports", Value::Ranges(ranges)));
                all.push(Resource::new("zones", Value::Set([item.to_string()].into())));
            }
            all.into_iter().collect()
        })
    }

    proptest! {
        #[test]
        fn a_tally_is_the_sum_of_what_is_left(changes in vec((prop::option::of(0..20_usize), resources()), 0..60)) {
            let (mut tally, mut parts) = (Tally::default(), Vec::<Resources>::new());
            for (gone, more) in changes {
                match gone.filter(|_| !parts.is_empty()) {
                    Some(place) => {
                        let part = parts.swap_remove(place % parts.len());
                        tally.subtract(&part, parts.iter());
                    }
                    None => {
                        tally.add(&more);
                        parts.push(more);
                    }
                }
                prop_assert_eq!(tally.sum(), &parts.iter().sum());
            }
        }
    }

    /// A group that names a task twice is refused, and until then both are tasks of the executor.
    #[test]
    fn a_task_that_is_named_twice_counts_once() {
        let mut world = World::new();
        world.run("F", "e");
        let framework = FrameworkInfo { id: Some("F".into()), ..FrameworkInfo::new("f") };
        let executor = ExecutorInfo::new("e", CommandInfo::shell("true"));
        let task = |resources: &str| {
            TaskInfo::with_executor("twice", "S".into(), resources.parse().unwrap(), executor.clone())
        };
        let tasks = vec![task("cpus:1;ports:[1-4]"), task("cpus:2;ports:[5-6]")];
        world.master(AgentEvent::RunTaskGroup {
            framework,
            executor: executor.clone(),
            tasks,
            launch_executor: false,
        });
        world.agent.check();
        let executor = &world.agent.frameworks()[&"F".into()].executors[&"e".into()];
        assert_eq!(*executor.live.sum(), "cpus:0.1".parse().unwrap());
    }

    /// `cargo test -p agent tally -- --ignored --nocapture`
    #[test]
    #[ignore = "measures"]
    fn speed() {
        const TASKS: u32 = 5_000;
        let clock = libactor::Clock::real();
        let mut world = World::new();
        let (first, launched) = world.run("F", "e");
        let container_id: ContainerId = launched.expect("it is launched");
        world.feed(Input::Launched { container_id, result: Ok(1) });
        let call = |call| Input::Call {
            ask: Ask(0),
            framework_id: "F".into(),
            executor_id: "e".into(),
            stream: Some(libactor::Pid::stream("e", "10.0.0.9:5051".parse().unwrap())),
            call,
        };
        world.feed(call(ExecutorCallKind::Subscribe { tasks: Vec::new(), updates: Vec::new() }));
        let mut tasks = vec![first];
        let start = clock.now();
        tasks.extend((1..TASKS).map(|_| world.run("F", "e").0));
        let all_there = clock.now();
        for (number, task_id) in (0..).zip(&tasks) {
            let mut status = TaskStatus::new(task_id.clone(), TaskState::Finished, Source::Executor);
            status.uuid = Some(Uuid::from_random(number));
            world.feed(call(ExecutorCallKind::Update(status)));
        }
        let over = clock.now();
        let rate = |took: std::time::Duration| f64::from(TASKS) / took.as_secs_f64();
        println!(
            "{TASKS} tasks of one executor: {:.0} launches/s, {:.0} ends/s",
            rate(all_there.since(start)),
            rate(over.since(all_there))
        );
    }
}
