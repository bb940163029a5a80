//! Executors, as the world has them.

use libactor::Pid;
use protocol::messages::{ExecutorCall, ExecutorCallKind};
use protocol::{
    CommandInfo, ContainerId, Source, StatusUpdate, TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};

use super::super::{Ask, ContainerEnd, Input};
use super::{Container, World};

impl Container {
    /// Whether a task may go on to a state.
    fn state_is_news(&self, task_id: &TaskId, state: TaskState) -> bool {
        self.tasks.get(task_id).is_some_and(|before| state != TaskState::Unknown && before.may_become(state))
    }
}

impl World {
    pub(super) fn handed_over(&mut self, to: &Pid, tasks: Vec<TaskInfo>) {
        let is_it =
            |one: &(&ContainerId, &mut Container)| one.1.pid == *to || one.1.stream.as_ref() == Some(to);
        let found = self.containers.iter_mut().find(is_it);
        let Some((container_id, container)) = found else {
            // It has ended while the agent waited for its disk.
            return assert!(!self.fast, "a task is given to a living executor");
        };
        let container_id = container_id.clone();
        for task in tasks {
            let key = (container.framework_id.clone(), task.task_id.clone());
            let elsewhere =
                self.handed.insert(key, container_id.clone()).filter(|known| *known != container_id);
            assert_eq!(elsewhere, None, "seed {}: a task comes to one executor", self.seed);
            let before = container.tasks.insert(task.task_id, TaskState::Staging);
            assert_eq!(before, None, "a task is handed over once");
        }
    }

    pub(super) fn some_container(&mut self) -> Option<ContainerId> {
        let count = self.containers.len() as u64;
        let at = if count == 0 { return None } else { self.random.below(count) as usize };
        self.containers.keys().nth(at).cloned()
    }

    pub(super) fn call(&mut self, id: &ContainerId, call: ExecutorCallKind) {
        let container = &self.containers[id];
        let call = ExecutorCall {
            framework_id: container.framework_id.clone(),
            executor_id: container.executor_id.clone(),
            container_id: id.clone(),
            call,
        };
        self.feed(Input::Executor { from: container.pid.clone(), call });
    }

    /// Calls over HTTP; says whether it was taken.
    pub(super) fn call_http(
        &mut self,
        id: &ContainerId,
        stream: Option<Pid>,
        call: ExecutorCallKind,
    ) -> bool {
        let container = &self.containers[id];
        self.next_ask += 1;
        let ask = Ask(self.next_ask);
        let (framework_id, executor_id) = (container.framework_id.clone(), container.executor_id.clone());
        self.feed(Input::Call { ask, framework_id, executor_id, stream, call });
        if self.answer.is_none() {
            self.write();
        }
        let (answered, taken) = self.answer.take().expect("every call is answered");
        assert_eq!(answered, ask);
        taken
    }

    pub(super) fn subscribe(&mut self, id: &ContainerId) {
        self.next_pid += 1;
        let stream = Pid::stream(&format!("s{}", self.next_pid), "10.0.0.9:5051".parse().unwrap());
        let container = self.containers.get_mut(id).unwrap();
        let framework_id = container.framework_id.clone();
        let said = |status: &TaskStatus| StatusUpdate {
            framework_id: framework_id.clone(),
            status: status.clone(),
            latest_state: status.state,
        };
        let updates = container.unacknowledged.iter().map(said).collect();
        let unspoken = container.tasks.iter().filter(|(_, state)| **state == TaskState::Staging);
        let task = |id: &TaskId| {
            TaskInfo::command(id.clone(), "S".into(), Default::default(), CommandInfo::shell(""))
        };
        let tasks = unspoken.map(|(id, _)| task(id)).collect();
        if !container.http {
            return self.call(id, ExecutorCallKind::Subscribe { tasks, updates });
        }
        let before = container.stream.replace(stream.clone());
        if !self.call_http(id, Some(stream), ExecutorCallKind::Subscribe { tasks, updates }) {
            self.containers.get_mut(id).unwrap().stream = before;
        }
    }

    /// Its connection breaks; of what was last told some never came.
    pub(super) fn disconnect(&mut self, id: &ContainerId) {
        let forgets = self.random.chance(300);
        let container = self.containers.get_mut(id).unwrap();
        if !container.http {
            let pid = container.pid.clone();
            return self.feed(Input::Exited { pid });
        }
        if forgets {
            container.tasks.retain(|_, state| *state != TaskState::Staging);
        }
        if let Some(pid) = container.stream.take() {
            self.feed(Input::Exited { pid });
        }
    }

    pub(super) fn step_container(&mut self) {
        let Some(id) = self.some_container() else { return };
        if !self.containers[&id].launched {
            let fails = self.random.chance(200);
            let result = if fails { Err("no".to_string()) } else { Ok(1) };
            if fails {
                self.containers.remove(&id);
            } else {
                self.containers.get_mut(&id).unwrap().launched = true;
            }
            return self.feed(Input::Launched { container_id: id, result });
        }
        match self.random.below(10) {
            0..3 => self.subscribe(&id),
            3..8 => self.update(&id),
            8 => self.disconnect(&id),
            _ => self.exit(&id),
        }
    }

    pub(super) fn exit(&mut self, id: &ContainerId) {
        self.containers.remove(id);
        self.feed(Input::ContainerExited { container_id: id.clone(), end: ContainerEnd::with_status(1) });
    }

    /// It is told that the agent holds an update.
    pub(super) fn held_by_agent(&mut self, to: &Pid, task_id: &TaskId, uuid: Uuid) {
        let is_it = |one: &&mut Container| one.pid == *to || one.stream.as_ref() == Some(to);
        let Some(container) = self.containers.values_mut().find(is_it) else { return };
        let held = container.unacknowledged.iter().position(|status| status.uuid == Some(uuid));
        let Some(status) = held.map(|at| container.unacknowledged.remove(at)) else { return };
        if status.state.is_terminal() {
            let key = (container.framework_id.clone(), task_id.clone());
            if self.asked.contains(&key) {
                self.ends.entry(key).or_insert(status.state);
            }
        }
    }

    pub(super) fn update(&mut self, id: &ContainerId) {
        use TaskState::*;
        // What has ended is not spoken of any more, as a rule.
        let confused = self.random.chance(50);
        let tasks = self.containers[id].tasks.iter();
        let tasks: Vec<TaskId> =
            tasks.filter(|(_, state)| confused || !state.is_terminal()).map(|(id, _)| id.clone()).collect();
        if tasks.is_empty() {
            return;
        }
        let task_id = tasks[self.random.below(tasks.len() as u64) as usize].clone();
        let state = [Starting, Running, Killing, Finished, Killed, Unknown][self.random.below(6) as usize];
        let mut status = TaskStatus::new(task_id.clone(), state, Source::Executor);
        // Over HTTP it is refused without.
        if !self.containers[id].http || self.random.chance(700) {
            status.uuid = Some(Uuid::from_random(self.random.next_u128()));
        }
        let ended = self.containers[id].tasks[&task_id].is_terminal();
        let waits = self.containers[id].unacknowledged.iter().any(|status| status.task_id == task_id);
        if ended && waits {
            return; // It does not contradict what the agent may not have heard.
        }
        let container = self.containers.get_mut(id).unwrap();
        if container.state_is_news(&task_id, state) && !ended && status.uuid.is_some() {
            container.tasks.insert(task_id, state);
            container.unacknowledged.push(status.clone());
        }
        // Some lose their way.
        match self.containers[id].http != self.random.chance(50) {
            true => {
                let has_uuid = status.uuid.is_some();
                let taken = self.call_http(id, None, ExecutorCallKind::Update(status));
                assert!(has_uuid || !taken);
            }
            false => self.call(id, ExecutorCallKind::Update(status)),
        }
    }
}
