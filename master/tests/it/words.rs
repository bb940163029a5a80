//! What schedulers and operators say in golden scripts, and the words that all speak.

use std::collections::BTreeSet;
use std::time::Duration;

use master::core::OperatorRequest;
use master::registry::{Drain, Machine, Window};
use protocol::messages::{Call, ReconcileTask, SchedulerCall};
use protocol::{
    Capability, CommandInfo, ExecutorInfo, Filters, FrameworkInfo, Operation, Resources, Role, TaskInfo,
    TaskState, Uuid,
};

use crate::script::Script;
use crate::words;

impl Script {
    pub(crate) fn subscribe(&self, words: &[&str]) -> Result<SchedulerCall, String> {
        let (framework, suppressed_roles) = self.framework(words)?;
        let framework_id = framework.id.clone();
        Ok(SchedulerCall { framework_id, call: Call::Subscribe { framework, suppressed_roles } })
    }

    fn framework(&self, words: &[&str]) -> Result<(FrameworkInfo, BTreeSet<Role>), String> {
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
                ("gpus", _) => {
                    framework.capabilities.insert(Capability::GpuResources);
                }
                ("multi_role", _) => {
                    framework.capabilities.insert(Capability::MultiRole);
                }
                ("name", name) => framework.name = name.to_owned(),
                _ => return Err(format!("{word}?")),
            }
        }
        Ok((framework, suppressed_roles))
    }

    pub(crate) fn scheduler_call(&self, words: &[&str]) -> Result<Call, String> {
        let offers = |list: &str| list.split(',').map(|id| self.full(id).into()).collect::<Vec<_>>();
        let call = match words {
            ["teardown"] => Call::Teardown,
            ["accept", list, rest @ ..] => {
                let (operations, filters) = self.operations(rest)?;
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
                uuid: words::uuid(uuid)?,
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
            ["update", rest @ ..] => {
                let (framework, suppressed_roles) = self.framework(rest)?;
                Call::UpdateFramework { framework, suppressed_roles }
            }
            ["accept_inverse", list] => {
                let filters = Filters::default();
                Call::AcceptInverseOffers { inverse_offer_ids: offers(list), filters }
            }
            ["decline_inverse", list] => {
                let filters = Filters::default();
                Call::DeclineInverseOffers { inverse_offer_ids: offers(list), filters }
            }
            _ => return Err("what call is that?".to_owned()),
        };
        Ok(call)
    }

    /// Tasks, each by itself until `group+e1{cpus:0.1}` begins a group on an executor, `launch` ends it. `role=r` and
    /// `problem=why` are of the tasks that follow.
    fn operations(&self, words: &[&str]) -> Result<(Vec<Operation>, Filters), String> {
        let mut filters = Filters::default();
        let mut operations = vec![Operation::Launch { tasks: Vec::new() }];
        let (mut allocated_to, mut problem) = (None, None);
        for word in words {
            match word.split_once('=') {
                Some(("refuse", time)) => filters.refuse = duration(time)?,
                Some(("role", role)) => allocated_to = Some(Role::from(role)),
                Some(("problem", why)) => problem = Some(why.replace('_', " ")),
                _ if *word == "launch" => operations.push(Operation::Launch { tasks: Vec::new() }),
                _ => match (word.strip_prefix("group+"), operations.last_mut()) {
                    (Some(executor), _) => {
                        let executor = executor_info(executor)?;
                        operations.push(Operation::LaunchGroup { executor, tasks: Vec::new() });
                    }
                    (None, Some(Operation::Launch { tasks } | Operation::LaunchGroup { tasks, .. })) => {
                        let (allocated_to, problem) = (allocated_to.clone(), problem.clone());
                        tasks.push(TaskInfo { allocated_to, problem, ..self.task_info(word)? });
                    }
                    (None, None) => return Err("no operation".to_owned()),
                },
            }
        }
        Ok((operations, filters))
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
        Ok(TaskInfo::with_executor(task_id, agent_id, resources, executor_info(executor)?))
    }

    /// `teardown 0000`, `gone S0`, `deactivate S0`, `drain S0 grace=5s gone`, `schedule h1,h2/10.0.0.1 h3` (a window a word), `down h1`, `weights r=2000 q=500`.
    pub(crate) fn operator_request(&self, words: &[&str]) -> Result<OperatorRequest, String> {
        match words {
            ["teardown", id] => Ok(OperatorRequest::Teardown { framework_id: self.full(id).into() }),
            ["gone", id] => Ok(OperatorRequest::MarkAgentGone { agent_id: self.full(id).into() }),
            ["drain", id, rest @ ..] => {
                let mut drain = Drain { max_grace_period: None, mark_gone: false, drained: false };
                for word in rest {
                    match word.split_once('=') {
                        None if *word == "gone" => drain.mark_gone = true,
                        Some(("grace", time)) => drain.max_grace_period = Some(duration(time)?),
                        _ => return Err(format!("{word}?")),
                    }
                }
                Ok(OperatorRequest::DrainAgent { agent_id: self.full(id).into(), drain })
            }
            ["deactivate", id] => Ok(OperatorRequest::DeactivateAgent { agent_id: self.full(id).into() }),
            ["reactivate", id] => Ok(OperatorRequest::ReactivateAgent { agent_id: self.full(id).into() }),
            ["schedule", windows @ ..] => {
                let window = |list: &&str| Window {
                    machines: machines(list),
                    start: protocol::UnixTime(7),
                    duration: None,
                };
                Ok(OperatorRequest::UpdateSchedule { windows: windows.iter().map(window).collect() })
            }
            ["down", list] => Ok(OperatorRequest::StartMaintenance { machines: machines(list) }),
            ["up", list] => Ok(OperatorRequest::StopMaintenance { machines: machines(list) }),
            ["weights", list @ ..] => {
                let one = |word: &&str| {
                    let (role, weight) = word.split_once('=')?;
                    Some((Role::from(role), weight.parse().ok()?))
                };
                let weights: Option<_> = list.iter().map(one).collect();
                Ok(OperatorRequest::UpdateWeights { weights: weights.ok_or("role=thousandths?")? })
            }
            _ => Err("what request is that?".to_owned()),
        }
    }
}

/// `h1/10.0.0.1,h2/,/10.0.0.2`.
fn machines(list: &str) -> Vec<Machine> {
    let machine = |text: &str| {
        let (hostname, ip) = text.split_once('/').unwrap_or((text, ""));
        Machine { hostname: hostname.to_owned(), ip: ip.to_owned() }
    };
    list.split(',').filter(|text| !text.is_empty()).map(machine).collect()
}

/// `name{resources}`.
pub(crate) fn braced(text: &str) -> Result<(&str, Resources), String> {
    let (name, rest) = text.split_once('{').ok_or("name{resources}?")?;
    let text = rest.strip_suffix('}').ok_or("}?")?;
    if text.is_empty() {
        return Ok((name, Resources::new()));
    }
    Ok((name, text.parse().map_err(|error| format!("{error}"))?))
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').ok_or("seconds end in s")?;
    Ok(Duration::from_secs_f64(number.parse().map_err(|_| "seconds are a number")?))
}

pub(crate) fn roles(list: &str) -> BTreeSet<Role> {
    list.split(',').map(Role::from).collect()
}

pub(crate) fn state(name: &str) -> Result<TaskState, String> {
    let full = format!("TASK_{name}");
    TaskState::ALL.into_iter().find(|state| state.name() == full).ok_or(format!("{name} is no state"))
}

/// `u1` is the uuid that ends in 1.
pub(crate) fn uuid(text: &str) -> Result<Uuid, String> {
    let number = text.strip_prefix('u').and_then(|number| number.parse().ok()).ok_or("u1?")?;
    let mut bytes = [0; 16];
    bytes[15] = number;
    Ok(Uuid(bytes))
}

/// `e1{cpus:0.1}`.
fn executor_info(word: &str) -> Result<ExecutorInfo, String> {
    let (executor_id, resources) = braced(word)?;
    Ok(ExecutorInfo { resources, ..ExecutorInfo::new(executor_id, CommandInfo::shell("run")) })
}
