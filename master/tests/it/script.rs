//! The language of the golden scripts.
//!
//! `s1`, `a1` ... are actors. Identities that the master gives out are written without the master's own: `0000`, `S0`, `O0`.
//! Time is `+15s`. What the registry is asked for is applied at once unless `hold` was said; `apply` applies the next.
//! `at_most 2 3 1` begins anew with a master that takes on two frameworks with three tasks each, and one agent.
//! Agents answer pings unless `silent a1` was said, and such pings are not shown.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use libactor::{Machine, Pid, Time};
use master::core::allocator::{AllocatorConfig, Hierarchical};
use master::core::{Bounds, Input, Master, MasterConfig, Output};
use master::registry::Operation;
use protocol::messages::{AgentCall, AgentEvent, Call, ReconcileTask, SchedulerCall};
use protocol::{
    AgentInfo, Attributes, Capability, CommandInfo, ExecutorInfo, Filters, FrameworkInfo, Resources, Role,
    Source, StatusUpdate, Task, TaskInfo, TaskState, TaskStatus, Uuid,
};

use crate::lines::{agent_event_line, event_lines, operation_line};

/// A master and what drives it.
pub(crate) struct Script {
    pub(crate) master: Master,
    pub(crate) now: Time,
    prefix: String,
    hold: bool,
    held: VecDeque<Operation>,
    silent: BTreeSet<String>,
}

pub(crate) const START: Duration = Duration::from_secs(1_000_000);

/// A master for tests, with the real allocator.
pub(crate) fn new_master(config: MasterConfig, now: Time) -> Master {
    let allocator = Hierarchical::new(AllocatorConfig::default(), 1);
    Master::new(config, 1, now, Box::new(allocator))
}

/// The address of an actor of a script: those that begin with `x` are on another host.
pub(crate) fn pid(name: &str) -> Pid {
    let host = if name.starts_with('x') { 2 } else { 1 };
    format!("{name}@10.0.0.{host}:5051").parse().expect("the name of an actor")
}

type Lines = Result<Vec<String>, String>;

impl Script {
    pub(crate) fn new() -> Self {
        let now = Time::default() + START;
        let master = new_master(MasterConfig::default(), now);
        let prefix = format!("{}-", master.info().id);
        Self { master, now, prefix, hold: false, held: VecDeque::new(), silent: BTreeSet::new() }
    }

    /// Carries one line out.
    pub(crate) fn feed(&mut self, line: &str) -> Lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let lines = match words.as_slice() {
            ["hold"] => {
                self.hold = true;
                Vec::new()
            }
            ["apply"] => {
                let operation = self.held.pop_front().ok_or("nothing is held")?;
                self.input(Input::Applied { operation })
            }
            ["silent", agent] => {
                self.silent.insert((*agent).to_owned());
                Vec::new()
            }
            ["offer_timeout", seconds] => {
                let offer_timeout = Some(duration(seconds)?);
                self.master = new_master(MasterConfig { offer_timeout, ..MasterConfig::default() }, self.now);
                Vec::new()
            }
            ["at_most", frameworks, tasks, agents] => {
                let number = |text: &str| text.parse().map_err(|_| "a number?");
                let bounds = Bounds {
                    frameworks: number(frameworks)?,
                    tasks_per_framework: number(tasks)?,
                    agents: number(agents)?,
                };
                self.master = new_master(MasterConfig { bounds, ..MasterConfig::default() }, self.now);
                Vec::new()
            }
            ["exit", name] => self.input(Input::Exited { pid: pid(name) }),
            ["show"] => self.show(),
            ["counters", names @ ..] => names
                .iter()
                .map(|name| format!("  {name} = {}", self.master.counters().value(name)))
                .collect(),
            [time] if time.starts_with('+') => self.advance(duration(&time[1..])?),
            [agent, rest @ ..] if agent.starts_with(['a', 'x']) => {
                let call = self.agent_call(rest)?;
                self.input(Input::Agent { from: pid(agent), call })
            }
            [scheduler, "subscribe", rest @ ..] => {
                let call = self.subscribe(rest)?;
                self.input(Input::Scheduler { from: pid(scheduler), call })
            }
            [scheduler, id, rest @ ..] => {
                let call = self.scheduler_call(rest)?;
                let call = SchedulerCall { framework_id: Some(self.full(id).into()), call };
                self.input(Input::Scheduler { from: pid(scheduler), call })
            }
            _ => return Err("what is that?".to_owned()),
        };
        Ok(lines.into_iter().map(|line| line.replace(&self.prefix, "")).collect())
    }

    fn input(&mut self, input: Input) -> Vec<String> {
        let mut out = Vec::new();
        self.master.handle(self.now, input, &mut out);
        self.master.check();
        let mut lines = self.carry_out(out);
        // Allocations that are due now belong to the input.
        if self.master.deadline().is_some_and(|due| due <= self.now) {
            lines.extend(self.tick());
        }
        lines
    }

    fn tick(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        self.master.tick(self.now, &mut out);
        self.master.check();
        self.carry_out(out)
    }

    fn advance(&mut self, by: Duration) -> Vec<String> {
        let end = self.now + by;
        let mut lines = Vec::new();
        while let Some(due) = self.master.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let new = self.tick();
            if !new.is_empty() {
                lines.push(format!("@{}s", self.now.since(Time::default() + START).as_secs_f64()));
                lines.extend(new);
            }
        }
        self.now = end;
        lines
    }

    fn carry_out(&mut self, out: Vec<Output>) -> Vec<String> {
        let mut lines = Vec::new();
        for output in out {
            match output {
                Output::ToScheduler { to, event } => lines.extend(event_lines(&to, event)),
                Output::ToAgent { to, event: AgentEvent::Ping { connected: true } }
                    if !self.silent.contains(to.name()) =>
                {
                    lines.extend(self.input(Input::Agent { from: to, call: AgentCall::Pong }));
                }
                Output::ToAgent { to, event } => lines.push(agent_event_line(&to, event)),
                Output::Answer { ask, answer } => lines.push(format!("answer {} {answer:?}", ask.0)),
                Output::Changed(_) => {}
                Output::Link { pid } => lines.push(format!("link {}", pid.name())),
                Output::Unlink { pid } => lines.push(format!("unlink {}", pid.name())),
                Output::Apply { operation } => {
                    lines.push(operation_line(&operation));
                    if self.hold {
                        self.held.push_back(operation);
                    } else {
                        lines.extend(self.input(Input::Applied { operation }));
                    }
                }
            }
        }
        lines
    }

    fn show(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, agent) in self.master.agents() {
            let state = if agent.connected { "connected" } else { "disconnected" };
            lines.push(format!("  agent {id} {state} used={} offered={}", agent.used, agent.offered));
            lines.extend(agent.orphans.keys().map(|(owner, task)| format!("    orphan {owner}/{task}")));
        }
        for (id, framework) in self.master.frameworks() {
            let state = if framework.pid.is_some() { "connected" } else { "disconnected" };
            lines.push(format!("  framework {id} {state}"));
            let task = |task: &Task| format!("{} {} @{}", task.task_id, task.state, task.agent_id);
            lines.extend(framework.tasks.values().map(|one| format!("    task {}", task(&one.task))));
            lines.extend(
                framework.unreachable.iter().map(|(_, one)| format!("    unreachable {}", task(&one.task))),
            );
            lines.extend(framework.completed.iter().map(|(_, one)| format!("    completed {}", task(one))));
        }
        lines.extend(
            self.master.completed_frameworks().map(|framework| format!("  completed {}", framework.id)),
        );
        lines
    }

    /// Puts the master's identity before a short one; `=` before a word leaves it as it is.
    fn full(&self, word: &str) -> String {
        if let Some(literal) = word.strip_prefix('=') {
            return literal.to_owned();
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let short = (word.len() == 4 && digits(word)) || word.strip_prefix(['S', 'O']).is_some_and(digits);
        if short { format!("{}{word}", self.prefix) } else { word.to_owned() }
    }

    fn subscribe(&self, words: &[&str]) -> Result<SchedulerCall, String> {
        let mut framework = FrameworkInfo::new("f");
        let mut suppressed_roles = BTreeSet::new();
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("id", id) => framework.id = Some(self.full(id).into()),
                ("user", user) => framework.user = user.to_owned(),
                ("roles", list) => framework.roles = roles(list),
                ("suppressed", list) => suppressed_roles = roles(list),
                ("failover", time) => framework.failover_timeout = duration(time)?,
                ("principal", name) => framework.principal = Some(name.to_owned()),
                ("checkpoint", _) => framework.checkpoint = true,
                ("partition_aware", _) => {
                    framework.capabilities.insert(Capability::PartitionAware);
                }
                ("multi_role", _) => {
                    framework.capabilities.insert(Capability::MultiRole);
                }
                _ => return Err(format!("{word}?")),
            }
        }
        let framework_id = framework.id.clone();
        Ok(SchedulerCall { framework_id, call: Call::Subscribe { framework, suppressed_roles } })
    }

    fn scheduler_call(&self, words: &[&str]) -> Result<Call, String> {
        let offers = |list: &str| list.split(',').map(|id| self.full(id).into()).collect::<Vec<_>>();
        let call = match words {
            ["teardown"] => Call::Teardown,
            ["accept", list, rest @ ..] => {
                let mut filters = Filters::default();
                let mut tasks = Vec::new();
                for word in rest {
                    match word.strip_prefix("refuse=") {
                        Some(time) => filters.refuse = duration(time)?,
                        None => tasks.push(self.task_info(word)?),
                    }
                }
                let operations = vec![protocol::Operation::Launch { tasks }];
                Call::Accept { offer_ids: offers(list), operations, filters }
            }
            ["decline", list] => Call::Decline { offer_ids: offers(list), filters: Filters::default() },
            ["decline", list, refuse] => {
                let refuse = duration(refuse.strip_prefix("refuse=").ok_or("refuse=?")?)?;
                Call::Decline { offer_ids: offers(list), filters: Filters { refuse } }
            }
            ["revive"] => Call::Revive { roles: BTreeSet::new() },
            ["revive", list] => Call::Revive { roles: roles(list) },
            ["suppress"] => Call::Suppress { roles: BTreeSet::new() },
            ["suppress", list] => Call::Suppress { roles: roles(list) },
            ["kill", task] => Call::Kill { task_id: (*task).into(), agent_id: None, kill_policy: None },
            ["kill", task, agent] => {
                let agent_id = Some(self.full(agent).into());
                Call::Kill { task_id: (*task).into(), agent_id, kill_policy: None }
            }
            ["shutdown", executor, agent] => {
                Call::Shutdown { executor_id: (*executor).into(), agent_id: self.full(agent).into() }
            }
            ["ack", agent, task, uuid] => Call::Acknowledge {
                agent_id: self.full(agent).into(),
                task_id: (*task).into(),
                uuid: self::uuid(uuid)?,
            },
            ["reconcile", tasks @ ..] => {
                let one = |word: &&str| {
                    let (task, agent) =
                        word.split_once('@').map_or((*word, None), |(task, agent)| (task, Some(agent)));
                    ReconcileTask {
                        task_id: task.into(),
                        agent_id: agent.map(|agent| self.full(agent).into()),
                    }
                };
                Call::Reconcile { tasks: tasks.iter().map(one).collect() }
            }
            ["message", agent, executor, text] => Call::Message {
                agent_id: self.full(agent).into(),
                executor_id: (*executor).into(),
                data: text.as_bytes().to_vec().into(),
            },
            ["request"] => Call::Request { requests: Vec::new() },
            _ => return Err("what call is that?".to_owned()),
        };
        Ok(call)
    }

    /// `t1@S0{cpus:1;mem:64}`, with a custom executor `t1@S0{cpus:1}+e1{cpus:0.1}`.
    fn task_info(&self, word: &str) -> Result<TaskInfo, String> {
        let (task, executor) =
            word.split_once('+').map_or((word, None), |(task, executor)| (task, Some(executor)));
        let (place, resources) = braced(task)?;
        let (task_id, agent) = place.split_once('@').ok_or("task@agent?")?;
        let agent_id = self.full(agent).into();
        let Some(executor) = executor else {
            return Ok(TaskInfo::command(task_id, agent_id, resources, CommandInfo::shell("true")));
        };
        let (executor_id, own) = braced(executor)?;
        let executor =
            ExecutorInfo { resources: own, ..ExecutorInfo::new(executor_id, CommandInfo::shell("run")) };
        Ok(TaskInfo::with_executor(task_id, agent_id, resources, executor))
    }

    fn agent_info(&self, id: Option<&str>, host: &str, resources: &str) -> Result<AgentInfo, String> {
        Ok(AgentInfo {
            hostname: host.to_owned(),
            port: 5051,
            resources: resources.parse().map_err(|error| format!("{error}"))?,
            attributes: Attributes::default(),
            id: id.map(|id| self.full(id).into()),
        })
    }

    fn agent_call(&self, words: &[&str]) -> Result<AgentCall, String> {
        let version = "1.0.0".to_owned();
        let call = match words {
            ["register", host, resources] => {
                AgentCall::Register { agent: self.agent_info(None, host, resources)?, version }
            }
            ["reregister", id, host, resources, rest @ ..] => {
                let agent = self.agent_info(Some(id), host, resources)?;
                self.reregister(agent, version, rest)?
            }
            ["pong"] => AgentCall::Pong,
            ["update", framework, task, state, rest @ ..] => {
                AgentCall::Update(self.update(framework, task, state, rest)?)
            }
            ["message", framework, executor, text] => AgentCall::Message {
                framework_id: self.full(framework).into(),
                executor_id: (*executor).into(),
                data: text.as_bytes().to_vec().into(),
            },
            ["exited", framework, executor, status] => AgentCall::ExecutorExited {
                framework_id: self.full(framework).into(),
                executor_id: (*executor).into(),
                status: status.parse().map_err(|_| "a status is a number")?,
            },
            ["unregister"] => AgentCall::Unregister,
            _ => return Err("what call is that?".to_owned()),
        };
        Ok(call)
    }

    fn update(
        &self,
        framework: &str,
        task: &str,
        state: &str,
        rest: &[&str],
    ) -> Result<StatusUpdate, String> {
        let state = self::state(state)?;
        let mut status = TaskStatus::new(task.into(), state, Source::Executor);
        let mut latest_state = state;
        for word in rest {
            match word.split_once('=') {
                Some(("latest", name)) => latest_state = self::state(name)?,
                Some(("agent", id)) => status.agent_id = Some(self.full(id).into()),
                Some(("u", _)) | None => status.uuid = Some(uuid(word)?),
                Some(_) => return Err(format!("{word}?")),
            }
        }
        Ok(StatusUpdate { framework_id: self.full(framework).into(), status, latest_state })
    }

    /// `task=0000/t1:RUNNING{cpus:1}` (`FINISHED/RUNNING`: the update of the second state was sent last; `0000/t1@e1` on an executor), `executor=0000/e1{cpus:1}`, `framework=0000` (`framework=0000:role`).
    fn reregister(&self, agent: AgentInfo, version: String, rest: &[&str]) -> Result<AgentCall, String> {
        let (mut executors, mut tasks, mut frameworks) = (Vec::new(), Vec::new(), Vec::new());
        for word in rest {
            match word.split_once('=').ok_or("name=value?")? {
                ("framework", text) => {
                    let (id, role) = text.split_once(':').unwrap_or((text, "*"));
                    let id = Some(self.full(id).into());
                    frameworks.push(FrameworkInfo { id, roles: roles(role), ..FrameworkInfo::new("old") });
                }
                ("task", text) => {
                    let (owner, text) = text.split_once('/').ok_or("framework/task?")?;
                    let (task, resources) = braced(text)?;
                    let (task_id, state) = task.split_once(':').ok_or("task:state?")?;
                    let agent_id = agent.id.clone().ok_or("an agent with an id")?;
                    let command = CommandInfo::shell("true");
                    let (task_id, executor) = task_id.split_once('@').unwrap_or((task_id, ""));
                    let info = match executor {
                        "" => TaskInfo::command(task_id, agent_id, resources, command),
                        executor => {
                            let executor = ExecutorInfo::new(executor, command);
                            TaskInfo::with_executor(task_id, agent_id, resources, executor)
                        }
                    };
                    let (state, told) = state.split_once('/').unwrap_or((state, state));
                    let told = self::state(told)?;
                    let task = Task::new(self.full(owner).into(), &info, self::state(state)?);
                    tasks.push(Task { status_update_state: Some(told), ..task });
                }
                ("executor", text) => {
                    let (owner, text) = text.split_once('/').ok_or("framework/executor?")?;
                    let (id, resources) = braced(text)?;
                    let executor =
                        ExecutorInfo { resources, ..ExecutorInfo::new(id, CommandInfo::shell("run")) };
                    executors.push((self.full(owner).into(), executor));
                }
                _ => return Err(format!("{word}?")),
            }
        }
        Ok(AgentCall::Reregister { agent, version, executors, tasks, frameworks })
    }
}

/// `name{resources}`.
fn braced(text: &str) -> Result<(&str, Resources), String> {
    let (name, rest) = text.split_once('{').ok_or("name{resources}?")?;
    let text = rest.strip_suffix('}').ok_or("}?")?;
    if text.is_empty() {
        return Ok((name, Resources::new()));
    }
    Ok((name, text.parse().map_err(|error| format!("{error}"))?))
}

fn duration(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').ok_or("seconds end in s")?;
    Ok(Duration::from_secs_f64(number.parse().map_err(|_| "seconds are a number")?))
}

fn roles(list: &str) -> BTreeSet<Role> {
    list.split(',').map(Role::from).collect()
}

fn state(name: &str) -> Result<TaskState, String> {
    let full = format!("TASK_{name}");
    TaskState::ALL.into_iter().find(|state| state.name() == full).ok_or(format!("{name} is no state"))
}

/// `u1` is the uuid that ends in 1.
fn uuid(text: &str) -> Result<Uuid, String> {
    let number = text.strip_prefix('u').and_then(|number| number.parse().ok()).ok_or("u1?")?;
    let mut bytes = [0; 16];
    bytes[15] = number;
    Ok(Uuid(bytes))
}
