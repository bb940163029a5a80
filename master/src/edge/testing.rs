//! A master machine with agents and frameworks around it, for tests of what is shown of it.

use std::collections::{BTreeMap, BTreeSet};

use libactor::{Machine, Pid, Time};
use protocol::messages::{AgentCall, AgentEvent, Call, Event, SchedulerCall};
use protocol::{
    AgentId, AgentInfo, Attributes, CommandInfo, ExecutorInfo, Filters, FrameworkId, FrameworkInfo, Offer,
    Operation, Resources, Source, StatusUpdate, TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};

use super::mirror::Mirror;
use crate::core::allocator::{AllocatorConfig, Hierarchical};
use crate::core::{Input, Master, MasterConfig, Output};
use crate::registry::State;

/// All of it.
pub(crate) struct World {
    pub(crate) master: Master,
    /// What outlives it.
    registry: State,
    pub(crate) mirror: Mirror,
    pub(crate) now: Time,
    pub(crate) agents: Vec<FakeAgent>,
    pub(crate) frameworks: Vec<FakeFramework>,
    peers: u16,
    uuids: u128,
    tasks: usize,
}

pub(crate) struct FakeAgent {
    pub(crate) pid: Pid,
    pub(crate) info: AgentInfo,
    /// Tasks that it runs.
    pub(crate) tasks: BTreeMap<(FrameworkId, TaskId), TaskInfo>,
}

pub(crate) struct FakeFramework {
    pub(crate) pid: Pid,
    pub(crate) info: FrameworkInfo,
    pub(crate) offers: Vec<Offer>,
    /// Updates to be acknowledged.
    pub(crate) updates: Vec<TaskStatus>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Time::from_nanos(1_500_000_000);
        let config = MasterConfig {
            pid: "master@10.0.0.1:5050".to_owned(),
            max_completed_tasks_per_framework: 8,
            max_unreachable_tasks_per_framework: 4,
            max_completed_frameworks: 2,
            ..MasterConfig::default()
        };
        let allocator = Box::new(Hierarchical::new(AllocatorConfig::default(), seed));
        let master = Master::new(config, seed, now, allocator);
        let mirror = Mirror::new(&master, now);
        let (agents, frameworks) = (Vec::new(), Vec::new());
        let registry = State::default();
        Self { master, registry, mirror, now, agents, frameworks, peers: 0, uuids: 0, tasks: 0 }
    }

    /// The next master begins with what the registry holds.
    pub(crate) fn fail_over(&mut self, seed: u64) {
        let allocator = Box::new(Hierarchical::new(AllocatorConfig::default(), seed));
        self.master = Master::new(self.master.config().clone(), seed, self.now, allocator);
        self.master.recover(self.now, &self.registry);
        self.mirror = Mirror::new(&self.master, self.now);
        for framework in &mut self.frameworks {
            framework.offers.clear();
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.master.handle(self.now, input, &mut out);
        self.carry_out(out);
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + std::time::Duration::from_secs(seconds);
        let mut out = Vec::new();
        self.master.tick(self.now, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Changed(change) => self.mirror.note(&change),
                Output::Apply { operation } => {
                    self.registry.apply(&operation);
                    self.input(Input::Applied { operation });
                }
                Output::ToAgent { to, event } => self.agent_hears(&to, event),
                Output::ToScheduler { to, event } => self.framework_hears(&to, event),
                Output::Link { .. }
                | Output::Unlink { .. }
                | Output::Answer { .. }
                | Output::GiveUp { .. } => {}
            }
        }
    }

    fn agent_hears(&mut self, to: &Pid, event: AgentEvent) {
        let Some(agent) = self.agents.iter_mut().find(|agent| agent.pid == *to) else { return };
        match event {
            AgentEvent::Registered { agent_id, .. } => agent.info.id = Some(agent_id),
            AgentEvent::Ping { .. } => self.agent_says(to.clone(), AgentCall::Pong),
            AgentEvent::RunTask { framework, task, .. } => {
                let id = framework.id.expect("it is set");
                agent.tasks.insert((id, task.task_id.clone()), task);
            }
            AgentEvent::ShutdownFramework { framework_id } => {
                agent.tasks.retain(|(owner, _), _| *owner != framework_id);
            }
            _ => {}
        }
    }

    fn framework_hears(&mut self, to: &Pid, event: Event) {
        let Some(framework) = self.frameworks.iter_mut().find(|one| one.pid == *to) else { return };
        match event {
            Event::Subscribed { framework_id, .. } => framework.info.id = Some(framework_id),
            Event::Offers(offers) => framework.offers.extend(offers),
            Event::Rescind(id) => framework.offers.retain(|offer| offer.id != id),
            Event::Update(status) => framework.updates.extend(status.uuid.is_some().then_some(status)),
            _ => {}
        }
    }

    fn peer(&mut self, name: &str) -> Pid {
        self.peers += 1;
        format!("{name}@10.0.1.1:{}", 1000 + self.peers).parse().expect("an address")
    }

    pub(crate) fn agent_says(&mut self, from: Pid, call: AgentCall) {
        self.input(Input::Agent { from, call });
    }

    pub(crate) fn add_agent(&mut self, resources: &str) {
        let info = AgentInfo {
            hostname: format!("h{}", self.agents.len()),
            port: 5051,
            resources: resources.parse().expect("resources"),
            attributes: "rack:r1;zone:z1".parse::<Attributes>().expect("attributes"),
            id: None,
        };
        let pid = self.peer("slave(1)");
        self.agents.push(FakeAgent { pid: pid.clone(), info: info.clone(), tasks: BTreeMap::new() });
        self.agent_says(pid, AgentCall::Register { agent: info, version: "1.0".to_owned() });
    }

    /// An agent registers again, from a new address if its link broke, naming what it runs.
    pub(crate) fn reregister(&mut self, index: usize, broken: bool) {
        if broken {
            let pid = self.agents[index].pid.clone();
            self.input(Input::Exited { pid });
            self.agents[index].pid = self.peer("slave(1)");
        }
        let agent = &self.agents[index];
        let tasks = agent.tasks.iter().map(|((framework_id, _), info)| {
            protocol::Task::new(framework_id.clone(), info, TaskState::Running)
        });
        let frameworks: BTreeSet<_> = agent.tasks.keys().map(|(id, _)| id.clone()).collect();
        let known = self
            .frameworks
            .iter()
            .filter(|one| one.info.id.as_ref().is_some_and(|id| frameworks.contains(id)));
        let executors =
            agent.tasks.iter().filter_map(|((owner, _), info)| Some((owner.clone(), info.executor.clone()?)));
        let call = AgentCall::Reregister {
            agent: agent.info.clone(),
            version: "1.1".to_owned(),
            executors: executors.collect(),
            tasks: tasks.collect(),
            frameworks: known.map(|one| one.info.clone()).collect(),
        };
        let pid = agent.pid.clone();
        self.agent_says(pid, call);
    }

    pub(crate) fn calls(&mut self, index: usize, call: Call) {
        let framework = &self.frameworks[index];
        let call = SchedulerCall { framework_id: framework.info.id.clone(), call };
        let from = framework.pid.clone();
        self.input(Input::Scheduler { from, call });
    }

    pub(crate) fn add_framework(&mut self, info: FrameworkInfo) {
        let pid = self.peer("http(stream)");
        let (offers, updates) = (Vec::new(), Vec::new());
        self.frameworks.push(FakeFramework { pid, info: info.clone(), offers, updates });
        let index = self.frameworks.len() - 1;
        self.calls(index, Call::Subscribe { framework: info, suppressed_roles: BTreeSet::new() });
    }

    /// A scheduler fails over, or one that was away comes back.
    pub(crate) fn resubscribe(&mut self, index: usize) {
        let pid = self.peer("http(stream)");
        let framework = &mut self.frameworks[index];
        framework.pid = pid;
        framework.offers.clear();
        let info = framework.info.clone();
        self.calls(index, Call::Subscribe { framework: info, suppressed_roles: BTreeSet::new() });
    }

    /// Uses the oldest offer for a task, of a custom executor or none.
    pub(crate) fn launch(&mut self, index: usize, resources: &str, executor: Option<&str>) {
        let framework = &mut self.frameworks[index];
        if framework.offers.is_empty() {
            return;
        }
        let offer = framework.offers.remove(0);
        let resources: Resources = resources.parse().expect("resources");
        let id = format!("t{}", self.tasks);
        self.tasks += 1;
        let command = CommandInfo::shell("true");
        let task = match executor {
            None => TaskInfo::command(id.as_str(), offer.agent_id, resources, command),
            Some(executor) => {
                let mut executor = ExecutorInfo::new(executor, command);
                executor.resources = "cpus:0.1;mem:16".parse().expect("resources");
                TaskInfo::with_executor(id.as_str(), offer.agent_id, resources, executor)
            }
        };
        let operations = vec![Operation::Launch { tasks: vec![task] }];
        let (offer_ids, filters) = (vec![offer.id], Filters::default());
        self.calls(index, Call::Accept { offer_ids, operations, filters });
    }

    /// An agent reports a state of one of its tasks.
    pub(crate) fn update(&mut self, index: usize, which: usize, state: TaskState) {
        let agent = &mut self.agents[index];
        let Some(key) = agent.tasks.keys().nth(which).cloned() else { return };
        if state.is_terminal() {
            agent.tasks.remove(&key);
        }
        self.uuids += 1;
        let mut status = TaskStatus::new(key.1, state, Source::Executor);
        status.uuid = Some(Uuid::from_random(self.uuids));
        status.agent_id = agent.info.id.clone();
        status.executor_id = Some(protocol::ExecutorId::from(status.task_id.as_str()));
        status.timestamp = Some(protocol::UnixTime(self.now.as_nanos()));
        let update = StatusUpdate { framework_id: key.0, status, latest_state: state };
        let pid = agent.pid.clone();
        self.agent_says(pid, AgentCall::Update(update));
    }

    /// A framework acknowledges its oldest update.
    pub(crate) fn acknowledge(&mut self, index: usize) {
        let framework = &mut self.frameworks[index];
        if framework.updates.is_empty() {
            return;
        }
        let status = framework.updates.remove(0);
        let (Some(agent_id), Some(uuid)) = (status.agent_id, status.uuid) else { return };
        self.calls(index, Call::Acknowledge { agent_id, task_id: status.task_id, uuid });
    }

    pub(crate) fn agent_id(&self, index: usize) -> AgentId {
        self.agents[index].info.id.clone().expect("it is registered")
    }
}
