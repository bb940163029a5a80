//! Agents that come back: what they run becomes what the master knows.
//!
//! | the agent names a task ... | then |
//! |---|---|
//! | of a removed framework | the agent is told to shut that framework down |
//! | that is known to be there | nothing: its updates follow |
//! | that is unreachable | it is back, its framework is told its state (M-B-08) |
//! | that its framework was told to have ended | it is an orphan: counted, and killed; an end is final |
//! | whose id is used elsewhere by now | as above |
//! | that is unknown | it is adopted: this master is new here. Its framework is told its state: it may believe it lost |
//!
//! A task that the master knows and the agent does not name is asked about in the answer: the agent reports it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libactor::Pid;
use protocol::messages::{AgentEvent, Event};
use protocol::{
    AgentId, AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Reason, Resources, Role,
    Source, Task, TaskId, TaskStatus,
};

use super::agents::{Agent, ExecutorRecord, Leaving, Orphan};
use super::input::Change;
use super::leaving::GONE;
use super::maintenance::DOWN;
use super::tasks::TaskRecord;
use super::{Master, Timer, Turn, validate};
use crate::registry::Operation;

/// What an agent says when it comes back.
#[derive(Clone, Debug)]
pub(super) struct Reregistration {
    pub(super) pid: Pid,
    pub(super) info: AgentInfo,
    pub(super) version: String,
    pub(super) executors: Vec<(FrameworkId, ExecutorInfo)>,
    pub(super) tasks: Vec<Task>,
    pub(super) frameworks: Vec<FrameworkInfo>,
}

/// What an agent is to end because its frameworks were told that it has.
#[derive(Default)]
struct Kill {
    tasks: Vec<((FrameworkId, TaskId), Orphan)>,
    /// Unless they run something else.
    executors: BTreeSet<(FrameworkId, ExecutorId)>,
}

impl Master {
    /// An agent that has an id registers again; it repeats this until it is answered (M-B-02).
    pub(super) fn reregister_agent(&mut self, turn: &mut Turn<'_>, back: Reregistration) {
        self.counters.count("messages_reregister_slave");
        let Some(id) = back.info.id.clone() else {
            return self.refuse_agent(
                turn,
                back.pid,
                "an agent without an id can't register again".to_owned(),
            );
        };
        let leaving = self.agents.get(&id).is_some_and(|agent| agent.leaving.is_some());
        if leaving || self.reregistering.contains_key(&id) || self.marking_gone.contains_key(&id) {
            return;
        }
        if let Err(reason) = self.may_return(&id, &back) {
            return self.refuse_agent(turn, back.pid, reason);
        }
        if let Some(other) = self.agent_pids.get(&back.pid).cloned().filter(|other| *other != id) {
            self.unbind(turn, &other);
            let why = Leaving::Removed("a new agent registered at the same address");
            self.start_leaving(turn, &other, why);
        }
        self.cancel_removal(&id);
        if self.agents.contains_key(&id) {
            return self.known_agent_back(turn, &id, back);
        }
        self.abandon(turn, &back.pid);
        turn.link(back.pid.clone());
        let info = Arc::new(back.info.clone());
        self.deciding.insert(back.pid.clone(), id.clone());
        self.reregistering.insert(id.clone(), back);
        // One that the registry knows so is taken at once: a new master meets all its agents at a time.
        let known = self.recovered.get(&id) == Some(&info) && !self.expiring.contains(&id);
        if known {
            self.agent_reachable(turn, info);
        } else {
            turn.apply(Operation::MarkAgentReachable { agent: info });
        }
    }

    /// The refusals of M-B-03, as sentences for the agent's operator.
    fn may_return(&self, id: &AgentId, back: &Reregistration) -> Result<(), String> {
        validate::agent(&back.info)?;
        if self.gone.contains_key(id) {
            return Err(GONE.to_owned());
        }
        if self.removed.contains_key(id) {
            return Err(format!("agent {id} was removed: it must register as a new one"));
        }
        if !self.agents.contains_key(id) && !self.recovered.contains_key(id) && self.agents_full() {
            return Err("this master takes no more agents".to_owned());
        }
        for task in &back.tasks {
            validate::report(task.status_update_state.unwrap_or(task.state), task.state)
                .map_err(|reason| format!("task {}: {reason}", task.task_id))?;
        }
        if self.is_down(&back.info, &back.pid) {
            return Err(DOWN.to_owned());
        }
        // Two machines with one work directory; one whose link is broken may have got another address.
        if let Some(agent) = self.agents.get(id).filter(|agent| agent.connected)
            && (agent.info.hostname != back.info.hostname
                || agent.pid.address().ip() != back.pid.address().ip())
        {
            return Err(format!("agent {id} is registered from another host or address"));
        }
        Ok(())
    }

    pub(super) fn refuse_agent(&mut self, turn: &mut Turn<'_>, to: Pid, message: String) {
        tracing::warn!(%to, message, "an agent is refused");
        self.counters.count("slave_shutdowns_completed");
        turn.tell_agent(to, AgentEvent::Shutdown { message });
    }

    fn known_agent_back(&mut self, turn: &mut Turn<'_>, id: &AgentId, back: Reregistration) {
        self.rescind_offers_of_agent(turn, id);
        let linked = self.agents.get(id).is_some_and(|agent| agent.connected && agent.pid == back.pid);
        if !linked {
            self.unbind(turn, id);
            self.bind(id, back.pid.clone());
            turn.link(back.pid.clone());
        }
        let named: BTreeSet<_> = back
            .executors
            .iter()
            .map(|(owner, executor)| (owner.clone(), executor.executor_id.clone()))
            .collect();
        let expected = self.executors_in_use(id);
        let Some(agent) = self.agents.get_mut(id) else { return };
        if *agent.info != back.info {
            turn.apply(Operation::UpdateAgent { agent: Arc::new(back.info.clone()) });
        }
        // What the agent says may be older than a task on its way there: that task's executor is not over yet.
        for (key, executor) in &mut agent.executors {
            let of_it = |task: &&Task| (&task.framework_id, &task.executor_id) == (&key.0, &key.1);
            let tasks = || back.tasks.iter().filter(of_it).map(|task| task.task_id.clone()).collect();
            executor.doubtful = (!named.contains(key)).then(tasks);
        }
        let ended: Vec<_> = agent
            .executors
            .keys()
            .filter(|key| !named.contains(key) && !expected.contains(key))
            .cloned()
            .collect();
        let alive: BTreeSet<_> =
            back.tasks.iter().map(|task| (task.framework_id.clone(), task.task_id.clone())).collect();
        let gone: Vec<_> = agent.orphans.keys().filter(|key| !alive.contains(key)).cloned().collect();
        agent.connected = true;
        // An agent that has an id registers anew only in a new life.
        agent.heard = true;
        agent.doubted_at = None;
        agent.ponged = true;
        agent.missed_pings = 0;
        agent.reregistered_at = Some(turn.now);
        agent.version = back.version.clone();
        agent.info = Arc::new(back.info.clone());
        for (framework_id, executor_id) in ended {
            self.drop_executor(turn, id, &framework_id, &executor_id);
        }
        for key in gone {
            if let Some(orphan) = self.agents.get_mut(id).and_then(|agent| agent.orphans.remove(&key)) {
                self.release(turn, &key.0, &orphan.role, id, &orphan.resources);
            }
        }
        self.timers.cancel(&Timer::Reregister(id.clone()));
        self.allocator.remove_agent(id);
        turn.changed(Change::AgentUpdated(id.clone()));
        self.settle(turn, id, back, false);
    }

    /// The custom executors that tasks on an agent which have not ended need.
    fn executors_in_use(&self, id: &AgentId) -> BTreeSet<(FrameworkId, ExecutorId)> {
        let Some(agent) = self.agents.get(id) else { return BTreeSet::new() };
        let records = agent.tasks.iter().filter_map(|(framework_id, task_id)| {
            let record = self.frameworks.get(framework_id)?.tasks.get(task_id)?;
            let needed = record.holds() && !record.task.command_executor;
            needed.then(|| (framework_id.clone(), record.task.executor_id.clone()))
        });
        records.collect()
    }

    /// A task has ended whose executor its agent did not name when it came back. If nothing else needs that executor
    /// it never was.
    pub(super) fn settle_doubt(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        framework_id: &FrameworkId,
        of: &ExecutorId,
    ) {
        let key = (framework_id.clone(), of.clone());
        let doubtful =
            |agent: &Agent| agent.executors.get(&key).is_some_and(|executor| executor.doubtful.is_some());
        if self.agents.get(id).is_some_and(doubtful) && !self.executors_in_use(id).contains(&key) {
            self.drop_executor(turn, id, framework_id, of);
        }
    }

    /// The registry knows that an agent is there which this master did not have.
    pub(super) fn agent_reachable(&mut self, turn: &mut Turn<'_>, info: Arc<AgentInfo>) {
        let Some(id) = info.id.clone() else { return };
        if self.agents.contains_key(&id) {
            return; // It had to ask twice.
        }
        self.unreachable.remove(&id);
        turn.changed(Change::AgentMoved(id.clone()));
        let mut back = self.reregistering.remove(&id);
        if let Some(refused) = back.take_if(|back| self.is_down(&back.info, &back.pid)) {
            // Its machine has gone down meanwhile.
            self.deciding.remove(&refused.pid);
            self.refuse_agent(turn, refused.pid.clone(), DOWN.to_owned());
            turn.unlink(refused.pid);
        }
        let Some(back) = back else {
            // Its process has ended meanwhile: it is waited for, as if this master had just begun.
            self.recovered.insert(id.clone(), info);
            return self.wait_for_recovered(turn, id);
        };
        self.deciding.remove(&back.pid);
        self.recovered.remove(&id);
        self.timers.cancel(&Timer::Recovered(id.clone()));
        let agent =
            Agent::new(id.clone(), back.info.clone(), back.pid.clone(), back.version.clone(), turn.now);
        self.agents.insert(id.clone(), agent);
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.reregistered_at = Some(turn.now);
            agent.heard = true;
        }
        self.bind(&id, back.pid.clone());
        turn.changed(Change::AgentAdded(id.clone()));
        self.settle(turn, &id, back, true);
    }

    /// Takes over what the agent runs and answers it. The allocator does not have the agent at this point. `returned`: nor did
    /// this master, until now.
    fn settle(&mut self, turn: &mut Turn<'_>, id: &AgentId, back: Reregistration, returned: bool) {
        let Reregistration { pid, info, executors, tasks, frameworks, .. } = back;
        tracing::info!(agent_id = %id, %pid, tasks = tasks.len(), "the agent is registered again");
        let mut over: BTreeSet<FrameworkId> = BTreeSet::new();
        let mut kill = Kill::default();
        for framework in frameworks {
            if let Some(framework_id) = framework.id.clone() {
                self.meet_framework(turn, &framework_id, framework, &mut over);
            }
        }
        for (framework_id, executor) in executors {
            self.meet_framework(turn, &framework_id, FrameworkInfo::new(""), &mut over);
            // It was made with its first task.
            let theirs =
                |task: &&Task| task.framework_id == framework_id && task.executor_id == executor.executor_id;
            let role = tasks.iter().find(theirs).and_then(role_named_by);
            self.adopt_executor(turn, id, framework_id, executor, role);
        }
        let mut named = BTreeSet::new();
        for task in tasks {
            self.meet_framework(turn, &task.framework_id, FrameworkInfo::new(""), &mut over);
            named.insert((task.framework_id.clone(), task.task_id.clone()));
            self.adopt_task(turn, id, task, returned, &mut kill);
        }
        if let Some(agent) = self.agents.get_mut(id) {
            for (key, orphan) in &kill.tasks {
                agent.add_orphan(key, orphan);
            }
        }
        let used = self.used_on(id);
        self.allocator.add_agent(id, info.resources.clone(), &used);
        if self.agents.get(id).is_some_and(|agent| !agent.active()) {
            self.allocator.set_agent_active(id, false);
        }
        self.carry_wish_out(turn, id);
        self.counters.count("slave_reregistrations");
        let Some(agent) = self.agents.get(id) else { return };
        let reconcile: Vec<_> = agent.tasks.iter().filter(|key| !named.contains(key)).cloned().collect();
        let ping_timeout = self.config.total_ping_timeout();
        let answer = AgentEvent::Reregistered { agent_id: id.clone(), ping_timeout, reconcile };
        turn.tell_agent(pid.clone(), answer);
        self.tell_drain(turn, id);
        self.look_whether_empty(id);
        for framework_id in over {
            turn.tell_agent(pid.clone(), AgentEvent::ShutdownFramework { framework_id });
        }
        for ((framework_id, task_id), _) in kill.tasks {
            turn.tell_agent(pid.clone(), AgentEvent::KillTask { framework_id, task_id, kill_policy: None });
        }
        for (framework_id, executor_id) in kill.executors {
            if !self.runs_something(id, &framework_id, &executor_id) {
                turn.tell_agent(pid.clone(), AgentEvent::ShutdownExecutor { framework_id, executor_id });
            }
        }
        self.repeat_kills(turn, id);
        self.ping(turn, id);
        self.allocate_soon(turn.now);
    }

    /// A framework that an agent names: known, removed, or met here for the first time. One too many is treated as
    /// a removed one.
    fn meet_framework(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        info: FrameworkInfo,
        over: &mut BTreeSet<FrameworkId>,
    ) {
        if self.frameworks.contains_key(id) {
            return;
        }
        if self.is_removed_framework(id) || self.frameworks_full() {
            over.insert(id.clone());
        } else {
            self.add_recovered(turn, id, info);
        }
    }

    fn adopt_executor(
        &mut self,
        turn: &mut Turn<'_>,
        agent_id: &AgentId,
        framework_id: FrameworkId,
        executor: ExecutorInfo,
        role: Option<Role>,
    ) {
        let Some(framework) = self.frameworks.get(&framework_id) else { return };
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        let key = (framework_id, executor.executor_id.clone());
        if agent.executors.contains_key(&key) {
            return;
        }
        turn.changed(Change::Executor(key.0.clone(), agent_id.clone()));
        let guess = || role_of(&executor.resources, &framework.info, framework.first_role());
        let role = role.unwrap_or_else(guess);
        agent.used += &executor.resources;
        agent.executors.insert(key, ExecutorRecord { info: Arc::new(executor), role, doubtful: None });
    }

    fn adopt_task(
        &mut self,
        turn: &mut Turn<'_>,
        agent_id: &AgentId,
        mut task: Task,
        returned: bool,
        kill: &mut Kill,
    ) {
        task.agent_id = agent_id.clone();
        let Some(framework) = self.frameworks.get_mut(&task.framework_id) else { return };
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        let key = (task.framework_id.clone(), task.task_id.clone());
        if agent.tasks.contains(&key) {
            return;
        }
        if agent.orphans.contains_key(&key) || framework.knows_end(&key.1, agent_id) {
            if !task.state.is_terminal() {
                let guess = || role_of(&task.resources, &framework.info, framework.first_role());
                let role = role_named_by(&task).unwrap_or_else(guess);
                if !task.command_executor {
                    kill.executors.insert((key.0.clone(), task.executor_id));
                }
                kill.tasks.push((key, Orphan { role, resources: task.resources }));
            }
            return;
        }
        let before = match framework.unreachable.get(&key.1) {
            Some(record) if record.task.agent_id == *agent_id => framework.unreachable.remove(&key.1),
            _ => None,
        };
        let back = before.is_some();
        let (role, kill) = match before {
            Some(record) => (record.role, record.kill),
            None => {
                let guess = || role_of(&task.resources, &framework.info, framework.first_role());
                (role_named_by(&task).unwrap_or_else(guess), None)
            }
        };
        let record = TaskRecord { task: Arc::new(task), role, kill, unreachable_since: None };
        // What no update has told yet, updates will tell.
        let state = record.told();
        // Its framework may have been told by another master that it is unreachable, or asked this one in vain.
        let news = back || (returned && record.task.status_update_state.is_some());
        if news && !state.is_terminal() {
            let mut status = TaskStatus::new(key.1.clone(), state, Source::Master)
                .because(Reason::AgentReregistered, "Agent reregistered");
            status.agent_id = Some(agent_id.clone());
            status.executor_id = Some(record.task.executor_id.clone());
            status.timestamp = Some(turn.unix_time());
            if back {
                turn.changed(Change::TaskUpdated { task: record.task.clone(), status: status.clone() });
            }
            framework.tell(turn, Event::Update(status));
        }
        turn.changed(match back {
            true => Change::TaskMoved(key.0, key.1),
            false => Change::TaskAdded(record.task.clone()),
        });
        self.add_task(record);
    }

    /// Whether an executor has a task that its framework counts on.
    fn runs_something(&self, id: &AgentId, framework_id: &FrameworkId, executor_id: &ExecutorId) -> bool {
        let (Some(agent), Some(framework)) = (self.agents.get(id), self.frameworks.get(framework_id)) else {
            return false;
        };
        let theirs = agent.tasks.iter().filter(|(owner, _)| owner == framework_id);
        let mut tasks = theirs.filter_map(|(_, task_id)| framework.tasks.get(task_id));
        tasks.any(|record| record.task.executor_id == *executor_id && !record.task.state.is_terminal())
    }

    /// Kills that were asked for while the agent was away (M-E-10).
    fn repeat_kills(&self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        for (framework_id, task_id) in &agent.tasks {
            let record = self.frameworks.get(framework_id).and_then(|framework| framework.tasks.get(task_id));
            if let Some(record) = record
                && let Some(kill_policy) = record.kill
                && !record.task.state.is_terminal()
            {
                let (framework_id, task_id) = (framework_id.clone(), task_id.clone());
                turn.tell_agent(
                    agent.pid.clone(),
                    AgentEvent::KillTask { framework_id, task_id, kill_policy },
                );
            }
        }
    }

    /// What is in use on an agent, by framework and role.
    pub(super) fn used_on(&self, id: &AgentId) -> BTreeMap<(FrameworkId, Role), Resources> {
        let mut used: BTreeMap<(FrameworkId, Role), Resources> = BTreeMap::new();
        let Some(agent) = self.agents.get(id) else { return used };
        for (framework_id, task_id) in &agent.tasks {
            let record = self.frameworks.get(framework_id).and_then(|framework| framework.tasks.get(task_id));
            if let Some(record) = record.filter(|record| record.holds()) {
                *used.entry((framework_id.clone(), record.role.clone())).or_default() +=
                    &record.task.resources;
            }
        }
        for ((framework_id, _), executor) in &agent.executors {
            let of = (framework_id.clone(), executor.role.clone());
            *used.entry(of).or_default() += &executor.info.resources;
        }
        for ((framework_id, _), orphan) in &agent.orphans {
            *used.entry((framework_id.clone(), orphan.role.clone())).or_default() += &orphan.resources;
        }
        used
    }
}

/// The role that a task was offered resources for, as its agent was told.
fn role_named_by(task: &Task) -> Option<Role> {
    task.allocated_to.clone().filter(|role| protocol::validate::role(role).is_ok())
}

/// The role that resources of an unknown past are counted for: the one they are reserved for, if their framework is
/// subscribed to it, else the framework's first.
fn role_of(resources: &Resources, framework: &FrameworkInfo, first: Role) -> Role {
    resources
        .iter()
        .filter(|resource| !resource.reservations.is_empty())
        .map(protocol::Resource::role)
        .find(|role| framework.roles.contains(role))
        .unwrap_or(first)
}

#[cfg(test)]
mod tests;
