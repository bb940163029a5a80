//! Status-update streams: what is said of a task goes to its framework in order, one at a time, again and again
//! until it is acknowledged.

use libactor::Time;
use protocol::messages::{AgentCall, ExecutorEvent};
use protocol::{
    AgentId, ContainerId, FrameworkId, FrameworkInfo, Reason, Source, StatusUpdate, Task, TaskId, TaskState,
    TaskStatus, UnixTime, Uuid,
};

use super::Output;
use super::checkpoint::Key;
use super::container::{add_container_status, add_limitation};
use super::input::Limitation;
use super::launch::dropped_for;
use super::limits::{MAX_UPDATE_RETRY, MIN_UPDATE_RETRY};
use super::registration::Phase;
use super::state::{Agent, Timer};
use super::stream::Stream;

/// What the agent says, in its own name, of a task that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) state: TaskState,
    pub(super) reason: Reason,
    pub(super) message: &'a str,
    /// The limit that its container broke.
    pub(super) limitation: Option<&'a Limitation>,
}

impl<'a> End<'a> {
    pub(super) fn new(state: TaskState, reason: Reason, message: &'a str) -> Self {
        Self { state, reason, message, limitation: None }
    }
}

impl Agent {
    /// Takes a status that an executor reports.
    pub(super) fn executor_updates(
        &mut self,
        now: Time,
        container_id: &ContainerId,
        mut status: TaskStatus,
        out: &mut Vec<Output>,
    ) {
        let Some((framework_id, executor_id)) = self.containers.get(container_id).cloned() else { return };
        let uuid = *status.uuid.get_or_insert_with(|| Uuid::from_random(self.random.next_u128()));
        self.confirm(container_id, &status.task_id, uuid, out);
        let key = (framework_id.clone(), status.task_id.clone());
        if self.streams.get(&key).is_some_and(|stream| stream.has_seen(uuid)) {
            return;
        }
        let task = self
            .frameworks
            .get(&framework_id)
            .filter(|framework| !framework.executors[&executor_id].has_queued(&status.task_id))
            .and_then(|framework| framework.tasks.get(&status.task_id))
            .filter(|task| task.executor_id == executor_id);
        let legal = task.is_some_and(|task| may_report(status.state) && task.state.may_become(status.state));
        if !legal {
            let state = task.map(|task| task.state);
            tracing::warn!(task = %status.task_id, from = ?state, to = %status.state, "illegal update dropped");
            self.counters.invalid_status_updates += 1;
            return;
        }
        self.counters.valid_status_updates += 1;
        status.source = Source::Executor;
        let address = self.config.pid.address().ip();
        if let Some(executor) = self.executor(&framework_id, &executor_id) {
            add_container_status(&mut status, executor, address);
        }
        if self.drain.is_some() && matches!(status.state, TaskState::Killing | TaskState::Killed) {
            // Whatever else there was: frameworks are to see that the machine is being emptied.
            status.reason = Some(Reason::AgentDraining);
        }
        status.executor_id = Some(executor_id);
        self.spoken_of(container_id, &status.task_id);
        self.report(now, &framework_id, status, out);
        self.end_if_done(now, container_id);
    }

    /// An executor has spoken of a task: it has it, and need not be told of it again.
    fn spoken_of(&mut self, container_id: &ContainerId, task_id: &TaskId) {
        let Some(executor) = self.executor_mut(container_id) else { return };
        if executor.forget_handed(task_id) {
            let framework_id = self.containers[container_id].0.clone();
            self.keep_task(&framework_id, task_id);
        }
    }

    /// Tells an executor that the agent holds its update.
    fn confirm(&mut self, container_id: &ContainerId, task_id: &TaskId, uuid: Uuid, out: &mut Vec<Output>) {
        let pid = self.executor_mut(container_id).and_then(|executor| executor.state.pid().cloned());
        if let Some(to) = pid {
            let event = ExecutorEvent::Acknowledged { task_id: task_id.clone(), uuid };
            out.push(Output::ToExecutor { to, event });
        }
    }

    /// Says of a task that it has ended.
    pub(super) fn report_end(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        end: End<'_>,
        out: &mut Vec<Output>,
    ) {
        let status = TaskStatus::new(task_id.clone(), end.state, Source::Agent);
        let mut status = status.because(end.reason, end.message);
        status.uuid = Some(Uuid::from_random(self.random.next_u128()));
        if let Some(limitation) = end.limitation {
            add_limitation(&mut status, limitation);
        }
        if let Some(framework) = self.frameworks.get_mut(framework_id)
            && let Some(task) = framework.tasks.get(task_id)
        {
            status.executor_id = Some(task.executor_id.clone());
            if let Some(executor) = framework.executors.get_mut(&task.executor_id) {
                executor.forget_handed(task_id);
                executor.kills.remove(task_id);
            }
        }
        self.report(now, framework_id, status, out);
    }

    /// Says of a task that this agent does not know that it was dropped.
    pub(super) fn report_unknown_task(
        &mut self,
        now: Time,
        framework_id: FrameworkId,
        task_id: TaskId,
        reason: Reason,
        message: &str,
        out: &mut Vec<Output>,
    ) {
        let end = End::new(self.dropped_state(&framework_id), reason, message);
        self.report_end(now, &framework_id, &task_id, end, out);
    }

    /// TASK_DROPPED for those that understand it. A framework of which nothing is here is taken for one that does:
    /// the master, which knows it, says TASK_LOST in its place where it must.
    fn dropped_state(&self, framework_id: &FrameworkId) -> TaskState {
        let framework = self.frameworks.get(framework_id);
        framework.map_or(TaskState::Dropped, |framework| dropped_for(&framework.info))
    }

    /// Puts a status into the stream of its task, and sends it if none is outstanding.
    fn report(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        mut status: TaskStatus,
        out: &mut Vec<Output>,
    ) {
        status.agent_id = self.id.clone();
        status.timestamp.get_or_insert(UnixTime(now.as_nanos()));
        let task_id = status.task_id.clone();
        self.count(status.state);
        let mut heard = true;
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            heard = !framework.removed;
            if let Some(task) = framework.reach(&task_id, status.state) {
                remember(task, &status);
            }
        }
        if status.state.is_terminal() {
            self.allot_of(framework_id, &task_id, out);
        }
        if !heard {
            if status.state.is_terminal() {
                self.task_is_over(framework_id, &task_id, out);
            } else {
                self.keep_task(framework_id, &task_id);
            }
            return;
        }
        if self.put_update(framework_id, status) {
            self.forward(now, framework_id.clone(), task_id, out);
        }
    }

    /// A task has ended: its executor's container may use less.
    fn allot_of(&mut self, framework_id: &FrameworkId, task_id: &TaskId, out: &mut Vec<Output>) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let executor =
            framework.tasks.get(task_id).and_then(|task| framework.executors.get(&task.executor_id));
        if let Some(container_id) = executor.map(|executor| executor.container_id.clone()) {
            self.allot(&container_id, out);
        }
    }

    /// Puts a status into its stream and keeps it. Says whether it is the outstanding one.
    fn put_update(&mut self, framework_id: &FrameworkId, status: TaskStatus) -> bool {
        let task_id = status.task_id.clone();
        let known = self.frameworks.get(framework_id).is_some_and(|known| known.tasks.contains_key(&task_id));
        // Who asks after a task that is not here asks again.
        let kept = known && self.keeps(framework_id);
        let key = (framework_id.clone(), task_id.clone());
        let stream = self.streams.entry(key).or_insert_with(|| Stream::new(status.state, kept));
        let (idle, kept) = (stream.is_empty(), stream.kept);
        let pushed = stream.push(status.clone());
        self.counters.coalesced_status_updates += u64::from(pushed.replaced.is_some());
        if kept {
            self.keep_update(framework_id, pushed.number, status);
            if let Some((number, replaced)) = pushed.replaced {
                self.keep_acknowledged(framework_id, number, replaced);
            }
            if let Some(number) = pushed.forgotten {
                self.gate.remove(Key::Update(framework_id.clone(), task_id, number));
            }
        }
        idle
    }

    /// Nobody waits for the end of a task any more.
    fn task_is_over(&mut self, framework_id: &FrameworkId, task_id: &TaskId, out: &mut Vec<Output>) {
        let framework = self.frameworks.get_mut(framework_id);
        if let Some(task) = framework.and_then(|framework| framework.tasks.remove(task_id)) {
            if self.keeps(framework_id) {
                self.gate.remove(Key::Task(framework_id.clone(), task_id.clone()));
            }
            self.complete_task(framework_id, task, out);
        }
    }

    pub(super) fn count(&mut self, state: TaskState) {
        let counter = match state {
            TaskState::Finished => &mut self.counters.tasks_finished,
            TaskState::Failed => &mut self.counters.tasks_failed,
            TaskState::Killed => &mut self.counters.tasks_killed,
            TaskState::Lost | TaskState::Dropped => &mut self.counters.tasks_lost,
            TaskState::Gone => &mut self.counters.tasks_gone,
            state if state.is_terminal() => &mut self.counters.tasks_error,
            _ => return,
        };
        *counter += 1;
    }

    /// Sends the outstanding update of a stream and sets the time of the next attempt.
    pub(super) fn forward(
        &mut self,
        now: Time,
        framework_id: FrameworkId,
        task_id: TaskId,
        out: &mut Vec<Output>,
    ) {
        let (Phase::Running, Some(to)) = (self.phase(), self.master().cloned()) else {
            return; // Sent when the master is back.
        };
        let key = (framework_id, task_id);
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let Some(status) = stream.outstanding().cloned() else { return };
        if let Some(framework) = self.frameworks.get_mut(&key.0)
            && let Some(task) = framework.tasks.get_mut(&key.1)
        {
            task.status_update_state = Some(status.state);
            task.status_update_uuid = status.uuid;
        }
        let update = StatusUpdate { framework_id: key.0.clone(), status, latest_state: stream.latest };
        out.push(Output::ToMaster { to, call: AgentCall::Update(update) });
        let again = now + stream.retry;
        stream.retry = (stream.retry * 2).min(MAX_UPDATE_RETRY);
        self.timers.set(Timer::Retry(key.0, key.1), again);
    }

    pub(super) fn acknowledge(
        &mut self,
        now: Time,
        framework_id: FrameworkId,
        task_id: TaskId,
        uuid: Uuid,
        out: &mut Vec<Output>,
    ) {
        let key = (framework_id, task_id);
        let outstanding = |stream: &Stream| stream.outstanding().and_then(|status| status.uuid);
        if self.streams.get(&key).and_then(outstanding) != Some(uuid) {
            tracing::debug!(task = %key.1, %uuid, "acknowledgement of what is not outstanding ignored");
            return;
        }
        self.timers.cancel(&Timer::Retry(key.0.clone(), key.1.clone()));
        let Some(stream) = self.streams.get_mut(&key) else { return };
        stream.retry = MIN_UPDATE_RETRY;
        let kept = stream.kept;
        let Some((number, status, known)) = stream.acknowledge() else { return };
        if status.state.is_terminal() {
            self.drop_stream(&key.0, &key.1);
            if kept {
                self.gate.remove(Key::Update(key.0.clone(), key.1.clone(), number));
            }
            self.task_is_over(&key.0, &key.1, out);
            self.forget_framework_if_idle(&key.0, out);
            return self.end_if_empty(out);
        }
        match (kept, known) {
            (true, true) => self.keep_acknowledged(&key.0, number, status),
            (true, false) => self.gate.remove(Key::Update(key.0.clone(), key.1.clone(), number)),
            (false, _) => {}
        }
        self.forward(now, key.0, key.1, out);
    }

    /// Nobody listens: nothing is sent until the master is back.
    pub(super) fn pause_updates(&mut self) {
        let keys: Vec<_> = self.streams.keys().cloned().collect();
        for (framework_id, task_id) in keys {
            self.timers.cancel(&Timer::Retry(framework_id, task_id));
        }
    }

    /// The master is back: what is outstanding is sent at once.
    pub(super) fn resume_updates(&mut self, now: Time, out: &mut Vec<Output>) {
        let keys: Vec<_> = self.streams.keys().cloned().collect();
        self.send_again(now, keys, out);
    }

    /// A framework has subscribed again: what it missed is sent at once.
    pub(super) fn framework_is_back(&mut self, now: Time, info: FrameworkInfo, out: &mut Vec<Output>) {
        let Some(framework_id) = info.id.clone() else { return };
        if !self.frameworks.contains_key(&framework_id) {
            return;
        }
        self.take_framework_info(&framework_id, info);
        self.send_again(now, self.streams_of(&framework_id), out);
    }

    fn send_again(&mut self, now: Time, keys: Vec<(FrameworkId, TaskId)>, out: &mut Vec<Output>) {
        for (framework_id, task_id) in keys {
            let key = (framework_id, task_id);
            if let Some(stream) = self.streams.get_mut(&key) {
                stream.retry = MIN_UPDATE_RETRY;
            }
            self.forward(now, key.0, key.1, out);
        }
    }

    /// Forgets what nobody will acknowledge.
    pub(super) fn drop_streams_of(&mut self, framework_id: &FrameworkId) {
        for key in self.streams_of(framework_id) {
            self.drop_stream(&key.0, &key.1);
            self.timers.cancel(&Timer::Retry(key.0, key.1));
        }
    }

    fn streams_of(&self, framework_id: &FrameworkId) -> Vec<(FrameworkId, TaskId)> {
        let first = (framework_id.clone(), TaskId::from(""));
        let keys = self.streams.range(first..).map(|(key, _)| key);
        keys.take_while(|key| key.0 == *framework_id).cloned().collect()
    }

    pub(super) fn agent_id(&self) -> AgentId {
        self.id.clone().expect("tasks run only once the agent has an id")
    }
}

/// States that an executor may report: the others are the agent's and the master's words.
fn may_report(state: TaskState) -> bool {
    use TaskState::*;
    matches!(state, Starting | Running | Killing | Finished | Failed | Killed | Error | Lost)
}

/// Keeps a status for those who ask later: one a state, without its data.
pub(super) fn remember(task: &mut Task, status: &TaskStatus) {
    let kept = TaskStatus { data: Default::default(), ..status.clone() };
    match task.statuses.iter_mut().find(|other| other.state == kept.state) {
        Some(other) => *other = kept,
        None => task.statuses.push(kept),
    }
}
