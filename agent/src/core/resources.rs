//! What the agent offers may change while it runs, and what a container may use as tasks come and go.

use protocol::messages::AgentCall;
use protocol::{ContainerId, FrameworkInfo, Reason, Resources};

use super::Output;
use super::launch::{Refused, dropped_for};
use super::queue::Queued;
use super::registration::Phase;
use super::state::Agent;

impl Agent {
    /// A device has fallen ill, or is well again. The master hears of it at once, so that it offers no more than there is;
    /// the agent itself goes by it when what is used fits.
    pub(super) fn resources_change(&mut self, total: Resources, out: &mut Vec<Output>) {
        let now = self.wanted.as_ref().unwrap_or(&self.config.info.resources);
        if total == *now {
            return;
        }
        tracing::warn!(before = %self.config.info.resources, now = %total, "what this agent offers has changed");
        self.wanted = Some(total);
        self.changed = true;
        self.tell_resources(out);
    }

    /// What a registration may not have said.
    pub(super) fn tell_resources(&mut self, out: &mut Vec<Output>) {
        if let (true, Phase::Running, Some(to)) = (self.changed, self.phase(), self.master().cloned()) {
            let total = self.wanted.as_ref().unwrap_or(&self.config.info.resources).clone();
            out.push(Output::ToMaster { to, call: AgentCall::UpdateResources { total } });
        }
    }

    /// At the end of each turn: what the agent is to offer counts once what is used fits into it.
    pub(super) fn settle_resources(&mut self) {
        if self.wanted.is_none() || self.recovery.is_some() {
            return;
        }
        let used = self.used_resources();
        if let Some(total) = self.wanted.take_if(|total| total.contains(&used)) {
            self.config.info.resources = total;
            self.keep_agent();
        }
    }

    /// Whether there is enough for tasks, where the master may not know yet that there is less than it thinks.
    pub(super) fn fits(
        &self,
        framework: &FrameworkInfo,
        work: &Queued,
        new_executor: bool,
    ) -> Result<(), Refused> {
        if !self.changed {
            return Ok(());
        }
        let total = self.wanted.as_ref().unwrap_or(&self.config.info.resources);
        let executor = work.tasks()[0].executor.as_ref().filter(|_| new_executor);
        let tasks = work.tasks().iter().map(|task| &task.resources);
        let asked: Resources = tasks.chain(executor.map(|executor| &executor.resources)).sum();
        let used = self.used_resources();
        if total.contains(&(used.clone() + asked.clone())) {
            return Ok(());
        }
        let message = format!(
            "what the agent offers has changed meanwhile: {asked} are asked for, and of {total} are {used} in use"
        );
        Err((dropped_for(framework), Reason::InvalidOffers, message))
    }

    /// Tells the containerizer what a custom executor's container may use now. One that is being launched is told after.
    pub(super) fn allot(&mut self, container_id: &ContainerId, out: &mut Vec<Output>) {
        let Some((framework_id, executor_id)) = self.containers.get(container_id) else { return };
        let executor = &self.frameworks[framework_id].executors[executor_id];
        if executor.command_executor || executor.os_pid.is_none() {
            return;
        }
        let resources = executor.live.sum().clone() + executor.info.resources.clone();
        if let Some(executor) = self.executor_mut(container_id)
            && executor.allotted != resources
        {
            executor.allotted = resources.clone();
            out.push(Output::Update { container_id: container_id.clone(), resources });
        }
    }
}
