//! What agents say in golden scripts.

use protocol::messages::AgentCall;
use protocol::{
    AgentInfo, Attributes, CommandInfo, ExecutorInfo, FrameworkInfo, Role, Source, StatusUpdate, Task,
    TaskInfo, TaskStatus,
};

use crate::script::Script;
use crate::words::{self, braced, roles, uuid};

impl Script {
    fn agent_info(&self, id: Option<&str>, host: &str, resources: &str) -> Result<AgentInfo, String> {
        Ok(AgentInfo {
            hostname: host.to_owned(),
            port: 5051,
            resources: resources.parse().map_err(|error| format!("{error}"))?,
            attributes: Attributes::default(),
            id: id.map(|id| self.full(id).into()),
        })
    }

    pub(crate) fn agent_call(&self, words: &[&str]) -> Result<AgentCall, String> {
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
            ["resources", total] => {
                AgentCall::UpdateResources { total: total.parse().map_err(|error| format!("{error}"))? }
            }
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
        let state = words::state(state)?;
        let mut status = TaskStatus::new(task.into(), state, Source::Executor);
        let mut latest_state = state;
        for word in rest {
            match word.split_once('=') {
                Some(("latest", name)) => latest_state = words::state(name)?,
                Some(("agent", id)) => status.agent_id = Some(self.full(id).into()),
                Some(("u", _)) | None => status.uuid = Some(uuid(word)?),
                Some(_) => return Err(format!("{word}?")),
            }
        }
        Ok(StatusUpdate { framework_id: self.full(framework).into(), status, latest_state })
    }

    /// `task=0000/t1:RUNNING{cpus:1}` (`FINISHED/RUNNING`: the update of the second state was sent last; `0000/t1@e1` on an executor), `executor=0000/e1{cpus:1}`, `framework=0000` (`framework=0000:role`), `role=r` of the tasks that follow, `port=5052`, `attributes=rack:r1`.
    fn reregister(&self, mut agent: AgentInfo, version: String, rest: &[&str]) -> Result<AgentCall, String> {
        let (mut executors, mut tasks, mut frameworks) = (Vec::new(), Vec::new(), Vec::new());
        let mut allocated_to = None;
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
                    let told = words::state(told)?;
                    let task = Task::new(self.full(owner).into(), &info, words::state(state)?);
                    let allocated_to = allocated_to.clone();
                    tasks.push(Task { status_update_state: Some(told), allocated_to, ..task });
                }
                ("port", port) => agent.port = port.parse().map_err(|_| "a port is a number")?,
                ("attributes", text) => {
                    agent.attributes = text.parse().map_err(|error| format!("{error}"))?;
                }
                ("role", role) => allocated_to = Some(Role::from(role)),
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
